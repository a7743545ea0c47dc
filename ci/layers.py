#!/usr/bin/env python3
"""Holds the order of the layers of slipring/src.

Imports go downwards only, no files import each other in a circle, and the operating system is used
in `sys` alone. Code of tests is not checked. A path that goes through a re-export counts as an
import of the file that has the item, so a module that only declares and re-exports its children
imports nothing.

Usage: ci/layers.py [SOURCES]      checks the tree (default: slipring/src)
       ci/layers.py --self-test    checks that each kind of mistake is found in a tree made for it
"""

import os
import re
import sys
import tempfile
from pathlib import Path

# From top to bottom: a layer, and the modules that are in it, with all that is below them.
LAYERS = [
    ("crate", ["crate"]),
    ("frame", ["frame"]),
    ("tokio", ["tokio"]),
    ("board", ["board"]),
    ("feed", ["feed"]),
    ("mmf", ["mmf"]),
    ("stream", ["stream"]),
    ("link", ["link"]),
    ("endpoint", ["endpoint"]),
    (
        "data",
        [
            "options", "peer", "error", "name", "descriptor_limit",
            "growth", "memory_limit", "stats",
        ],
    ),
    ("ring", ["ring"]),
    ("wait", ["wait"]),
    ("fail_points", ["fail_points"]),
    ("sys", ["sys"]),
]

# Imports that are forbidden although they lie below.
FORBIDDEN = [("ring", "sys"), ("wait", "sys"), ("mmf", "stream"), ("mmf", "link")]

# The operating system, and the layers that may use it.
SYSTEM = ["rustix", "libc", "std::os"]
SYSTEM_LAYERS = ["sys"]
# Descriptors are in the signatures of public functions, and of functions of `sys`.
SYSTEM_TYPES = ["std::os::fd"]
# Uses elsewhere, each with its reason. One that is no longer there is a mistake.
ALLOWED = [
    ("stream/connect.rs", "std::os::unix::net::UnixStream", "`Options::upgrade` takes one"),
    ("name.rs", "std::os::unix::ffi::OsStrExt", "a name is bytes of a path, as the user gives it"),
]


def blank(text):
    """The text in which comments and literals are blank; the lines stay where they are."""
    pattern = re.compile(
        r"""//[^\n]*
          | /\*
          | \b(?:br|cr|r)(?P<hashes>\#*)".*?"(?P=hashes)
          | \b[bc]?"(?:\\.|[^"\\])*"
          | "(?:\\.|[^"\\])*"
          | b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^'\\\n])'""",
        re.DOTALL | re.VERBOSE,
    )
    out, at = [], 0
    while match := pattern.search(text, at):
        start, end = match.span()
        if match.group() == "/*":
            depth = 1
            while depth and (edge := re.compile(r"/\*|\*/").search(text, end)):
                depth += 1 if edge.group() == "/*" else -1
                end = edge.end()
            end = end if not depth else len(text)
        out.append(text[at:start])
        out.append(re.sub(r"[^\n]", " ", text[start:end]))
        at = end
    return "".join(out) + text[at:]


def closing(text, at):
    """Where the bracket at `at` is closed."""
    depth = 0
    for i in range(at, len(text)):
        if text[i] in "([{":
            depth += 1
        elif text[i] in ")]}":
            depth -= 1
            if depth == 0:
                return i
    return len(text)


TEST = re.compile(r"#\[cfg\((?:test|all\(test\b[^\]]*)\)\]")
ITEM = re.compile(
    r"(?:pub(?:\([^)]*\))?\s+)?"
    r"(?:(?:const|static|unsafe|async|extern|fn|mod|use|impl|struct|enum|type|trait|let)\b"
    r"|macro_rules!)"
)


def without_tests(text):
    """Blanks each item behind `#[cfg(test)]`; returns the names of modules in files, too."""
    files = set()
    while match := TEST.search(text):
        at = match.end()
        while other := re.compile(r"\s*#\[").match(text, at):
            at = closing(text, other.end() - 1) + 1
        at += len(text[at:]) - len(text[at:].lstrip())
        item = ITEM.match(text, at)
        is_use = item is not None and item.group().split()[-1] == "use"
        end = at
        while end < len(text):
            if text[end] == ";" or (item is None and text[end] == ","):
                break
            if text[end] in "([{":
                is_body = text[end] == "{" and not is_use
                end = closing(text, end)
                if is_body:
                    break
            elif text[end] in ")]}":
                end -= 1
                break
            end += 1
        whole = text[at : end + 1]
        if module := re.match(r"(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", whole):
            files.add(module.group(1))
        start = match.start()
        text = text[:start] + re.sub(r"[^\n]", " ", text[start : end + 1]) + text[end + 1 :]
    return text, files


def trees(path, prefix=()):
    """The paths in a `use` declaration: (segments, the name it has here)."""
    path = path.strip()
    brace = path.find("{")
    if brace < 0:
        name = None
        if alias := re.fullmatch(r"(.*?)\s+as\s+(\w+)", path, re.DOTALL):
            path, name = alias.groups()
        segments = [part.strip() for part in path.split("::") if part.strip()]
        segments = [*prefix, *segments]
        if segments[-1] == "self":
            segments.pop()
        yield segments, name or segments[-1]
        return
    prefix = [*prefix, *(part.strip() for part in path[:brace].split("::") if part.strip())]
    depth, start, inside = 0, 0, path[brace + 1 : path.rindex("}")]
    for i, letter in enumerate(inside + ","):
        if letter == "," and depth == 0:
            if inside[start:i].strip():
                yield from trees(inside[start:i], prefix)
            start = i + 1
        depth += (letter == "{") - (letter == "}")


class Module:
    """What one file, or one module within it, says."""

    def __init__(self, path, file):
        self.path, self.file = path, file
        self.children = {}
        self.exports = {}
        self.mentions = []  # (line, segments)


class Crate:
    def __init__(self, root):
        self.root = Path(root)
        self.modules = {}
        self.skipped = set()
        self.read(self.root / "lib.rs", ())
        for file in sorted(self.root.rglob("*.rs")):
            # What no `mod` has led to, as a file that a `#[path]` chooses.
            path = file.relative_to(self.root).with_suffix("").parts
            path = path[:-1] if path[-1] == "mod" else path
            if any(path[: len(test)] == test for test in self.skipped) or path == ("lib",):
                continue
            if path not in self.modules:
                self.read(file, path)

    def read(self, file, path):
        text, tests = without_tests(blank(file.read_text(encoding="utf-8")))
        self.skipped |= {(*path, name) for name in tests}
        self.parse(text, 0, path, file, text)

    def parse(self, text, offset, path, file, whole):
        module = self.modules[path] = Module(path, file)
        line = lambda at: whole.count("\n", 0, offset + at) + 1
        # Modules within the file, from the inside of their braces.
        while inner := re.search(r"\bmod\s+(\w+)\s*\{", text):
            name, start = inner.group(1), inner.end() - 1
            end = closing(text, start)
            module.children[name] = (*path, name)
            self.parse(text[start + 1 : end], offset + start + 1, (*path, name), file, whole)
            span = slice(inner.start(), end + 1)
            text = text[: span.start] + re.sub(r"[^\n]", " ", text[span]) + text[span.stop :]
        for match in re.finditer(r"\bmod\s+(\w+)\s*;", text):
            name = match.group(1)
            module.children[name] = (*path, name)
            base = file.parent if file.name in ("lib.rs", "mod.rs") else file.with_suffix("")
            for candidate in (base / f"{name}.rs", base / name / "mod.rs"):
                if candidate.exists():
                    self.read(candidate, (*path, name))
        for match in re.finditer(r"(\bpub(?:\([^)]*\))?\s+)?\buse\s+([^;]*);", text):
            at = match.start(2)
            for segments, name in trees(match.group(2)):
                if match.group(1):
                    module.exports[name] = segments
                first = segments[0]
                is_child = first in module.children or first == "self"
                # A re-export of a child module is no import.
                if not (match.group(1) and is_child):
                    module.mentions.append((line(at), segments))
            span = slice(match.start(), match.end())
            text = text[: span.start] + re.sub(r"[^\n]", " ", text[span]) + text[span.stop :]
        for name, segments in module.exports.items():
            # What is re-exported and used here as well is imported.
            if match := re.search(rf"(?<![\w:.]){re.escape(name)}\b(?!\s*:[^:])", text):
                module.mentions.append((line(match.start()), segments))
        for match in re.finditer(r"(?<![\w:])\$?((?:\w+\s*::\s*)+\w+)", text):
            segments = re.split(r"\s*::\s*", match.group(1))
            known = (*module.children, "crate", "super", "self", "std", *SYSTEM)
            if segments[0] in known:
                module.mentions.append((line(match.start()), segments))

    def resolve(self, path, segments, seen=()):
        """The module that has the item; `None` for an item of another crate."""
        at, segments = path, list(segments)
        if segments[0] == "crate":
            at = ()
            segments.pop(0)
        elif segments[0] in ("self", "super"):
            while segments and segments[0] in ("self", "super"):
                at = at[:-1] if segments.pop(0) == "super" else at
        elif segments[0] not in self.modules[path].children:
            return None
        for i, segment in enumerate(segments):
            module = self.modules.get(at)
            if module is None:
                return None
            if segment in module.children and module.children[segment] in self.modules:
                at = module.children[segment]
                continue
            if segment in module.children:
                return None  # Code of tests.
            if segment in module.exports and (at, segment) not in seen:
                rest = [*module.exports[segment], *segments[i + 1 :]]
                found = self.resolve(at, rest, (*seen, (at, segment)))
                return at if found is None else found
            return at
        return at

    def imports(self):
        """(file, line, file that it imports, as it is written)."""
        for path, module in self.modules.items():
            for line, segments in module.mentions:
                target = self.resolve(path, segments)
                if target is not None and self.modules[target].file != module.file:
                    yield module.file, line, self.modules[target].file, "::".join(segments)

    def uses_of_system(self):
        for module in self.modules.values():
            for line, segments in module.mentions:
                written = "::".join(segments)
                within = lambda names: any(
                    written == name or written.startswith(name + "::") for name in names
                )
                if within(SYSTEM) and not within(SYSTEM_TYPES):
                    if segments[0] not in module.children:
                        yield module.file, line, written


def layer_of(file, root):
    """The number of its layer from the top, and its name."""
    parts = file.relative_to(root).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "mod" else parts
    name = "crate" if parts == ("lib",) else "::".join(parts)
    for number, (layer, prefixes) in enumerate(LAYERS):
        if any(name == prefix or name.startswith(prefix + "::") for prefix in prefixes):
            return number, layer
    return None


def circles(graph):
    """The sets of files that import each other (Tarjan), each with one way round."""
    index, low, stack, found = {}, {}, [], []

    def visit(file):
        index[file] = low[file] = len(index)
        stack.append(file)
        for other in graph.get(file, {}):
            if other not in index:
                visit(other)
                low[file] = min(low[file], low[other])
            elif other in stack:
                low[file] = min(low[file], index[other])
        if low[file] == index[file]:
            group = []
            while not group or group[-1] != file:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    sys.setrecursionlimit(10_000)
    for file in sorted(graph):
        if file not in index:
            visit(file)
    return [(group, way_round(graph, group)) for group in found]


def way_round(graph, group):
    """A shortest circle among these files."""
    best = None
    for start in group:
        ways = [[start]]
        visited = set()
        while ways:
            way = ways.pop(0)
            for other in sorted(graph.get(way[-1], {})):
                if other == start and (best is None or len(way) < len(best)):
                    best = way
                if other in group and other not in visited and other != start:
                    visited.add(other)
                    ways.append([*way, other])
    return best


def check(root):
    """Every mistake, as lines of text."""
    root = Path(root)
    crate = Crate(root)
    shown = os.path.relpath
    out = []
    for file in sorted({module.file for module in crate.modules.values()}):
        if layer_of(file, root) is None:
            out.append(
                f"{shown(file)}:1: belongs to no layer; move it below one, or put it into LAYERS "
                f"of ci/layers.py"
            )
    graph, wrong, system = {}, {}, {}
    for file, line, target, written in sorted(crate.imports()):
        graph.setdefault(file, {}).setdefault(target, (line, written))
        here, there = layer_of(file, root), layer_of(target, root)
        if here is None or there is None:
            continue
        if there[0] < here[0] or (here[1], there[1]) in FORBIDDEN:
            wrong.setdefault((file, line, here, there), []).append(written)
    for (file, line, here, there), written in wrong.items():
        written = ", ".join(f"`{path}`" for path in dict.fromkeys(written))
        if there[0] < here[0]:
            out.append(
                f"{shown(file)}:{line}: `{here[1]}` imports {written} of the layer "
                f"`{there[1]}` above it; move the item down to `{here[1]}` or below, or pass it in"
            )
        else:
            out.append(
                f"{shown(file)}:{line}: `{here[1]}` imports {written}, and nothing of "
                f"`{there[1]}` may be used there; pass the value in from above"
            )
    unused = {(file, written): reason for file, written, reason in ALLOWED}
    for file, line, written in sorted(crate.uses_of_system()):
        layer = layer_of(file, root)
        if unused.pop((file.relative_to(root).as_posix(), written), None):
            continue
        if layer is not None and layer[1] not in SYSTEM_LAYERS:
            system.setdefault((file, line, layer), []).append(written)
    for (file, line, layer), written in system.items():
        written = ", ".join(f"`{path}`" for path in dict.fromkeys(written))
        out.append(
            f"{shown(file)}:{line}: `{layer[1]}` uses the operating system by {written}; "
            f"call a function of `sys` in its place"
        )
    for name, written in unused:
        if (root / name).exists():
            out.append(
                f"{shown(root / name)}:1: does not use `{written}` any more; take it out of "
                f"ALLOWED of ci/layers.py"
            )
    for group, way in circles(graph):
        steps = []
        for file, other in zip(way, [*way[1:], way[0]]):
            line, written = graph[file][other]
            steps.append(f"    {shown(file)}:{line} imports `{written}` of {shown(other)}")
        names = ", ".join(str(file.relative_to(root)) for file in group)
        out.append(
            f"{shown(way[0])}:{graph[way[0]][[*way, way[0]][1]][0]}: {len(group)} files import "
            f"each other in a circle ({names}); move what both need into a third file below. "
            f"A shortest way round:\n" + "\n".join(steps)
        )
    return list(dict.fromkeys(out))


CLEAN = {
    "lib.rs": "mod error;\npub mod frame;\nmod name;\nmod ring;\nmod sys;\npub use error::Error;\n",
    "error.rs": "pub struct Error;\n",
    # A path through the root and one through a parent that re-exports.
    "frame/mod.rs": "mod a;\nuse crate::ring::Producer;\npub use a::A;\nfn f(_: crate::Error) {}\n",
    "frame/a.rs": "//! use crate::frame::B;\npub struct A;\nconst _: &str = \"crate::tokio::X\";\n",
    "ring.rs": "mod producer;\npub(crate) use producer::Producer;\n",
    # A use of the system that is in ALLOWED.
    "name.rs": "use std::os::unix::ffi::OsStrExt;\n",
    # What tests import does not count, nor does what stands in a comment.
    "ring/producer.rs": "pub struct Producer; // crate::frame::A\n"
    "#[cfg(test)]\nuse crate::frame::A;\n"
    "#[cfg(test)]\nmod tests {\n    use crate::sys::get;\n    fn f() -> crate::frame::A {}\n}\n",
    "sys/mod.rs": "use std::os::unix::net::UnixStream;\n"
    "pub fn get() { rustix::process::getpid(); }\n",
}

# Changes to the tree, and the complaint that each has to raise.
MISTAKES = [
    ("ring.rs", "use crate::frame::A;", "ring.rs:1: `ring` imports `crate::frame::A` of the layer"),
    ("ring.rs", "fn f() { crate::frame::A; }", "ring.rs:1: `ring` imports `crate::frame::A`"),
    ("error.rs", "use super::{\n    frame::{A as B},\n};", "error.rs:1: `data` imports `super::"),
    ("ring.rs", "use crate::sys::get;", "and nothing of `sys` may be used there"),
    ("error.rs", "use rustix::io::Errno;", "error.rs:1: `data` uses the operating system"),
    ("error.rs", "use std::{io, os::unix::fs};", "`data` uses the operating system by `std::os"),
    ("name.rs", "use std::os::unix::fs;", "`data` uses the operating system by `std::os::unix::fs"),
    ("name.rs", None, "name.rs:1: does not use `std::os::unix::ffi::OsStrExt` any more"),
    ("ring.rs", "use rustix::fd::OwnedFd;", "`ring` uses the operating system by `rustix::fd"),
    ("frame/a.rs", "use super::f;", "2 files import each other in a circle"),
    ("frame/a.rs", "use super::f as h;", "2 files import each other in a circle"),
    ("other.rs", "", "other.rs:1: belongs to no layer"),
]


def self_test():
    def found(changes):
        with tempfile.TemporaryDirectory() as directory:
            for name, text in {**CLEAN, **changes}.items():
                path = Path(directory) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return check(directory)

    assert found({}) == [], found({})
    for name, line, expected in MISTAKES:
        changes = {name: "" if line is None else line + "\n" + CLEAN.get(name, "")}
        if name == "frame/a.rs":
            # The parent has to use something of the child for that to be a circle: by its path, or
            # by the name that it re-exports.
            use = "fn g(_: A) {}\n" if " as " in line else "fn g() { a::g() }\n"
            changes["frame/mod.rs"] = CLEAN["frame/mod.rs"] + use
        said = found(changes)
        assert len(said) == 1 and expected in said[0], (name, line, said)
    print(f"a clean tree passes, and each of {len(MISTAKES)} mistakes is found")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) > 2 or sys.argv[1:] and sys.argv[1].startswith("-"):
        sys.exit(__doc__.strip())
    root = Path(sys.argv[1] if sys.argv[1:] else Path(__file__).parent.parent / "slipring/src")
    if not (root / "lib.rs").exists():
        sys.exit(f"{sys.argv[0]}: there is no {root}/lib.rs; name a library's folder of sources")
    mistakes = check(root)
    for mistake in mistakes:
        print(mistake)
    if mistakes:
        sys.exit(f"{sys.argv[0]}: {len(mistakes)} mistakes; the layers are described in LAYERS")
    print("imports go downwards only, and no files import each other in a circle")


main()
