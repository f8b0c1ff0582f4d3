#!/usr/bin/env python3
"""Every #include against layers.txt: which folder may see which, and where a foreign library is at home."""
import os
import re
import sys

from shared import tree

INCLUDE = re.compile(r'^\s*#\s*(?:include|include_next|import)\s*(.*)$')
TARGET = re.compile(r'^(?:"([^"]+)"|<([^>]+)>)')


def rules():
    allowed, homes = {}, {}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layers.txt")
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split("#")[0].split()
            if not words:
                continue
            kind, subject, colon, *folders = words
            assert colon == ":" and kind in ("folder", "home"), line
            (allowed if kind == "folder" else homes)[subject] = set(folders)
    return allowed, homes


def project_include(root, path, target):
    """The header's path in the repository, by the compiler's order: the same folder, then the root."""
    for place in (os.path.dirname(path), ""):
        header = os.path.normpath(os.path.join(place, target))
        if os.path.exists(os.path.join(root, header)):
            return header
    return None


def check_quoted(root, path, target, allowed):
    folder = os.path.dirname(path)
    if ".." in target.split("/"):
        return f'"{target}": headers of other folders are named from the root'
    header = project_include(root, path, target)
    if header is None:
        return f'"{target}": there is no such header'
    if not header.endswith(".h"):
        return f'"{target}": only headers are included'
    to = os.path.dirname(header)
    if to == folder or to in allowed.get(folder, set()):
        return None
    return f'"{target}": {folder or "the top"} may not include headers of {to}'


def check_line(root, path, line, allowed, homes):
    found = INCLUDE.match(line)
    if not found:
        return None
    target = TARGET.match(found.group(1))
    if not target:
        return "an #include that names no file hides from this check"
    quoted, angled = target.groups()
    if quoted:
        return check_quoted(root, path, quoted, allowed)
    if angled.startswith(("cache/", "fs/", "tools/", "tests/")):
        return f"<{angled}>: headers of the project are included with quotes"
    for prefix, folders in homes.items():
        if angled.startswith(prefix) and os.path.dirname(path) not in folders:
            return f"<{angled}>: its home is {' '.join(sorted(folders))}"
    return None


def main():
    root = tree.root_argument()
    allowed, homes = rules()
    findings, sources = [], [p for p in tree.files(root, (".c", ".h")) if not p.startswith("tests/")]
    for path in sources:
        for number, line in enumerate(tree.lines(root, path), 1):
            text = check_line(root, path, line, allowed, homes)
            if text:
                findings.append((path, number, text))
    return tree.finish(findings, len(sources))


sys.exit(main())
