#!/usr/bin/env bash
# Fails, and names file:line, if a line of code, of a comment or of Markdown is longer than 100
# columns. Characters count, not bytes.
#
# Exempt: rows of Markdown tables, in comments too, and lines that are nothing but one address.
#
# Usage: ci/columns.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# `length` of awk counts bytes in some locales and in some versions, so Python counts.
find . \( -name target -o -name .git \) -prune -o -type f \( -name '*.rs' -o -name '*.md' \
    -o -name '*.toml' -o -name '*.sh' -o -name '*.c' -o -name '*.cs' -o -name '*.pml' \
    -o -name '*.py' -o -path ./.ci/run \) -print0 | python3 -c '
import os, re, sys

EXEMPT = re.compile(r"\s*(//[/!]? |# )?\s*(\||[-*]? ?<?https?://\S+$|\[[^]]+\]: https?://\S+$)")
names = sys.stdin.read().split("\0")
files = [name for name in names if name and not os.path.islink(name)]
found = False
for name in files:
    try:
        with open(name, encoding="utf-8") as source:
            lines = source.read().splitlines()
    except FileNotFoundError:
        continue  # Removed, and not committed yet.
    for number, line in enumerate(lines, 1):
        if len(line) > 100 and not EXEMPT.match(line):
            found = True
            print(f"{name}:{number}: {len(line)} columns, and 100 are the most: break the line")
sys.exit(found)
'
