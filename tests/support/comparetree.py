#!/usr/bin/env python3
"""Reads every file of two trees and says whether they are the same: names, kinds, symlink targets, every byte.

    comparetree.py ORIGINAL COPY [--progress]

Prints "FILES BYTES"; differences and the progress line go to standard error."""
import os
import stat
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

PIECE = 1 << 20


def walk(top):
    found = {}
    for base, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(base, name)
            found[os.path.relpath(path, top)] = stat.S_IFMT(os.lstat(path).st_mode)
    return found


def same_bytes(one, two):
    total = 0
    with open(one, "rb", buffering=0) as a, open(two, "rb", buffering=0) as b:
        while True:
            left, right = a.read(PIECE), b.read(PIECE)
            while right and len(right) < len(left):
                more = b.read(len(left) - len(right))
                if not more:
                    break
                right += more
            if left != right:
                raise ValueError("other content")
            if not left:
                return total
            total += len(left)


def kind_now(path):
    """A listing of a bucket does not tell a symlink from a file; opening it does."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
    except OSError:
        pass
    return stat.S_IFMT(os.lstat(path).st_mode)


class Comparison:
    def __init__(self, original, copy):
        self.original, self.copy = original, copy
        self.files, self.bytes, self.faults, self.lock = 0, 0, [], threading.Lock()

    def file(self, path):
        one, two = os.path.join(self.original, path), os.path.join(self.copy, path)
        try:
            size = same_bytes(one, two)
        except (OSError, ValueError) as error:
            with self.lock:
                self.faults.append(f"{path}: {error}")
            return
        with self.lock:
            self.files, self.bytes = self.files + 1, self.bytes + size

    def run(self, progress):
        wanted, got = walk(os.fsencode(self.original)), walk(os.fsencode(self.copy))
        self.original, self.copy = os.fsencode(self.original), os.fsencode(self.copy)
        for path in sorted(wanted.keys() ^ got.keys()):
            self.faults.append(f"{path}: only in the {'original' if path in wanted else 'copy'}")
        both = sorted(p for p in wanted if p in got)
        for path in both:
            if stat.S_ISLNK(wanted[path]) and not stat.S_ISLNK(got[path]):
                got[path] = kind_now(os.path.join(self.copy, path))
        self.faults += [f"{p}: another kind of file" for p in both if wanted[p] != got[p]]
        for path in (p for p in both if stat.S_ISLNK(wanted[p]) and wanted[p] == got[p]):
            if os.readlink(os.path.join(self.original, path)) != os.readlink(os.path.join(self.copy, path)):
                self.faults.append(f"{path}: another target")
        regular = [p for p in both if stat.S_ISREG(wanted[p]) and wanted[p] == got[p]]
        with ThreadPoolExecutor(4) as pool:
            work = [pool.submit(self.file, p) for p in regular]
            while progress and not all(w.done() for w in work[-100:]):
                print(f"\r  compared {self.files} of {len(regular)} files", end="", file=sys.stderr, flush=True)
                time.sleep(0.3)
        if progress:
            print("\r\033[K", end="", file=sys.stderr)


def main():
    comparison = Comparison(sys.argv[1], sys.argv[2])
    comparison.run("--progress" in sys.argv and sys.stderr.isatty())
    for fault in comparison.faults[:20]:
        print(fault, file=sys.stderr)
    print(comparison.files, comparison.bytes)
    return 1 if comparison.faults else 0


if __name__ == "__main__":
    sys.exit(main())
