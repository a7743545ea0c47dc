#!/usr/bin/env python3
"""Holds the generated parts of the documents to the committed results of the comparison.

Such a part of a Markdown file stands between `<!-- begin: made by COMMAND -->`, which may take
several lines, and `<!-- end -->`. COMMAND is `slipring-comparison --from ...`. It runs in the
folder `comparison`, and the part is its standard output; with `--chart FILE` the part is that file.

Usage: ci/results.py                fails, and names each part that is not as its command makes it
       ci/results.py --write        makes all parts anew
       ci/results.py --self-test    checks that each kind of mistake is found in a tree made for it
"""

import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

BEGIN = "<!-- begin: made by "
END = "<!-- end -->"
PART = re.compile(f"{BEGIN}(?P<command>.*?) -->\n(?P<text>.*?){END}", re.DOTALL)
FOLDER = "comparison"


def compare(args, folder):
    """What the comparison prints with these arguments."""
    cargo = ["cargo", "run", "--quiet", "--release", "--locked", "--"]
    ran = subprocess.run(cargo + args, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if ran.returncode != 0:
        sys.exit(f"slipring-comparison {shlex.join(args)}: exit code {ran.returncode}")
    return ran.stdout


def documents(root):
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in ("target", ".git")]
        for name in names:
            path = Path(folder, name)
            if path.suffix == ".md" and not path.is_symlink():
                yield path


class Parts:
    def __init__(self, root, write, program):
        self.root, self.write, self.program = Path(root), write, program
        self.wrong, self.count = [], 0

    def check(self):
        for path in sorted(documents(self.root)):
            old = path.read_text(encoding="utf-8")
            new = PART.sub(lambda part: self.part(path, part), old)
            if old.count(BEGIN) != len(PART.findall(old)):
                self.tell(path, f"a part has no {END}")
            if new != old and self.write:
                path.write_text(new, encoding="utf-8")

    def tell(self, path, why):
        self.wrong.append(f"{path.relative_to(self.root)}: {why}")

    def part(self, path, part):
        """A part as it has to be."""
        self.count += 1
        command, text = part["command"], part["text"]
        # Markers of a table are lines of a document, so they may be broken.
        name, *args = shlex.split(command)
        if name != "slipring-comparison" or "--from" not in args:
            self.tell(path, f"not a command that shows results: {command}")
            return part[0]
        made = self.made(args)
        if "--chart" in args:
            chart = self.root / FOLDER / args[args.index("--chart") + 1]
            same = chart.is_file() and chart.read_text(encoding="utf-8") == made
            if not same and self.write:
                chart.write_text(made, encoding="utf-8")
            path = Path(os.path.normpath(chart))
        else:
            # Markdown wants a table to be apart from a comment.
            made = f"\n{made}\n"
            same = text == made
            text = made
        if not same and not self.write:
            self.tell(path, "not what the results make: run ci/results.py --write")
        return f"{BEGIN}{command} -->\n{text}{END}"

    def made(self, args):
        folder = self.root / FOLDER
        expanded = []
        for arg in args:
            found = sorted(glob.glob(arg, root_dir=folder)) if "*" in arg else [arg]
            expanded += found
        if "--chart" not in args:
            return self.program(expanded, folder)
        with tempfile.TemporaryDirectory() as directory:
            chart = Path(directory, "chart")
            expanded[expanded.index("--chart") + 1] = str(chart)
            self.program(expanded, folder)
            return chart.read_text(encoding="utf-8")


def self_test():
    def program(args, folder):
        assert (Path(folder) / "results" / "a.json").is_file()
        if "--chart" in args:
            Path(args[args.index("--chart") + 1]).write_text("a chart", encoding="utf-8")
        return f"| {' '.join(args)} |\n"

    def begin(command):
        return f"{BEGIN}{command} -->\n"

    good = "slipring-comparison --from results/*.json\n     --summary"
    chart = "slipring-comparison --from results/*.json --chart ../chart.svg"
    table = "\n| --from results/a.json results/b.json --summary |\n\n"
    with tempfile.TemporaryDirectory() as root:
        document = Path(root, "page.md")
        Path(root, FOLDER, "results").mkdir(parents=True)
        for name in "b", "a":
            Path(root, FOLDER, "results", f"{name}.json").touch()

        def wrong(text, write=False):
            if text is not None:
                document.write_text(text, encoding="utf-8")
            parts = Parts(root, write, program)
            parts.check()
            return [one.split(": ", 1)[1] for one in parts.wrong]

        stale = ["not what the results make: run ci/results.py --write"]
        assert wrong(f"{begin(good)}\nold\n\n<!-- end -->\n") == stale
        assert wrong(f"{begin(chart)}![](chart.svg)\n<!-- end -->\n") == stale
        both = f"{begin(good)}old<!-- end -->\ntext\n{begin(chart)}image\n<!-- end -->\n"
        assert wrong(both) == stale * 2
        assert wrong(both, write=True) == []
        assert wrong(None) == []
        written = f"{begin(good)}{table}<!-- end -->\ntext\n{begin(chart)}image\n<!-- end -->\n"
        assert document.read_text(encoding="utf-8") == written
        assert wrong(f"{begin(good)}{table}") == ["a part has no <!-- end -->"]
        other = wrong(f"{begin('rm -r /')}<!-- end -->\n")
        assert other == ["not a command that shows results: rm -r /"], other
    print("each kind of mistake is found")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:] not in ([], ["--write"]):
        sys.exit(__doc__)
    parts = Parts(Path(__file__).resolve().parent.parent, sys.argv[1:] == ["--write"], compare)
    parts.check()
    if parts.count == 0:
        parts.wrong.append("no document has a generated part")
    if parts.wrong:
        sys.exit("\n".join(parts.wrong))


main()
