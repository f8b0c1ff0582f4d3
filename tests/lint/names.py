#!/usr/bin/env python3
"""What the repository must not name: places of one machine, package registries, unfinished work.

The patterns are written so that they do not match themselves."""
import os
import re
import sys

from shared import tree

EVERYWHERE = [
    (re.compile(r"(?<![\w.~}-])/w[o]rk/"), "a path of somebody's machine"),
    (re.compile(r"/tmp/b(?:rief|ash_jobs|uild-)"), "a path of somebody's machine"),
    (re.compile(r"(?:n[p]mjs|p[y]pi\.org|p[y]thonhosted|c[r]ates\.io|r[u]bygems\.org|proxy\.g[o]lang|"
                r"d[e]b\.debian\.org|a[r]chive\.ubuntu\.com|a[r]tifactory|r[e]gistry\.[\w-]+\.\w)", re.IGNORECASE),
     "a package registry"),
]
SOURCES = [
    (re.compile(r"\b(?:T[O]DO|F[I]XME|X[X]X)\b"), "unfinished work"),
]
FILE_NAMES = re.compile(r"(?:^|[_/.-])(?:util|utils|manager|handler|helper|helpers)(?:[_.-]|$)")


def check_text(root, path):
    patterns = EVERYWHERE + (SOURCES if path.endswith((".c", ".h", ".py", ".sh")) else [])
    for number, line in enumerate(tree.lines(root, path), 1):
        for pattern, text in patterns:
            found = pattern.search(line)
            if found:
                yield path, number, f"{found.group(0)}: {text}"


def is_text(root, path):
    with open(os.path.join(root, path), "rb") as file:
        return b"\0" not in file.read(4096)


def main():
    root = tree.root_argument()
    findings, paths = [], tree.files(root)
    for path in paths:
        if FILE_NAMES.search(path):
            findings.append((path, 1, "a file is named after the noun that it owns"))
        if is_text(root, path):
            findings += check_text(root, path)
    return tree.finish(findings, len(paths))


sys.exit(main())
