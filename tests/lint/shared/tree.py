"""The files of the repository, and how a check reports."""
import os
import sys

SKIPPED = {".git", "__pycache__"}


def files(root, suffixes=None):
    """Paths below root, with '/', sorted; no build folders."""
    found = []
    for folder, names, entries in os.walk(root):
        names[:] = sorted(n for n in names if n not in SKIPPED and not n.startswith("build"))
        for entry in sorted(entries):
            if suffixes is None or entry.endswith(suffixes):
                path = os.path.join(folder, entry)
                if os.path.isfile(path) and not os.path.islink(path):
                    found.append(os.path.relpath(path, root))
    return found


def lines(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read().split("\n")


def root_argument():
    if len(sys.argv) == 2:
        return sys.argv[1]
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")


def finish(findings, looked_at):
    """Prints each finding as path:line: text; the exit status of the check."""
    for path, line, text in findings:
        print(f"{path}:{line}: {text}")
    print(f"{looked_at} files, {len(findings)} findings")
    if looked_at == 0:
        print("nothing was looked at: that is a fault of the check")
        return 1
    return 1 if findings else 0
