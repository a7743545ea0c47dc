#!/usr/bin/env bash
# Fails if a Markdown file links to a file, or to a heading of one, that does not exist.
# Symbolic links are left to the files that they point to.
set -euo pipefail
cd "$(dirname "$0")/.."

# The anchor of each heading, as GitHub makes it.
anchors() {
    sed '/^```/,/^```/d' "$1" | sed -n 's/^#\{1,6\} *//p' | tr '[:upper:]' '[:lower:]' |
        sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

broken=0
while IFS= read -r file; do
    [ -L "$file" ] && continue
    # Code blocks hold no links.
    while IFS= read -r target; do
        path=${target%%#*}
        anchor=${target#"$path"}
        case $target in *://* | mailto:*) continue ;; esac
        found=$(dirname "$file")/$path
        [ -n "$path" ] || found=$file
        if [ ! -e "$found" ]; then
            echo "$file: there is no $target" >&2
            broken=1
        elif [ -n "$anchor" ] && ! anchors "$found" | grep -Fqx -- "${anchor#\#}"; then
            echo "$file: there is no heading $target" >&2
            broken=1
        fi
    done < <(sed '/^```/,/^```/d' "$file" | tr '\n' ' ' | grep -oP '\]\(\K[^)]+(?=\))' || true)
done < <(find . \( -name target -o -name .git \) -prune -o -type f -name '*.md' -print)
exit $broken
