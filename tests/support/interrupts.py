#!/usr/bin/env python3
"""Reads of a bucket that keeps its readers waiting, ended by signals.

    interrupts.py singly FILE…       the bucket is silent: each way of reading a file of its own, ended by a signal
    interrupts.py mapped FILE COPY   the bucket is slow: mapped memory, with a timer that the program handles
    interrupts.py storm FOLDER COPY  the bucket is slow: every file read, each interrupted at a random moment
"""
import mmap
import os
import random
import signal
import sys
import tempfile
import time

SOON = 3 * float(os.environ.get("TOOTFS_PATIENCE", "1"))
PAGE = 4096


class Rung(Exception):
    pass


def ring(*_):
    raise Rung


def read(path, direct, offset=0):
    fd = os.open(path, os.O_RDONLY | (os.O_DIRECT if direct else 0))
    try:
        with mmap.mmap(-1, PAGE) as page:
            return page[:os.preadv(fd, [page], offset)]
    finally:
        os.close(fd)


def expect(right, what):
    if not right:
        raise SystemExit(f"FAIL: {what}")


def handled(path, direct):
    """A signal that the program handles ends a read that the kernel itself does not wait for."""
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    began = time.monotonic()
    try:
        read(path, direct)
        expect(False, f"{path} was read")
    except Rung as rung:
        expect(not rung.__context__, f"{path}: {rung.__context__!r} instead of EINTR")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    expect(time.monotonic() - began < SOON, f"{path}: {time.monotonic() - began:.1f} s until EINTR")


def killed(path, direct, number):
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            read(path, direct)
        finally:
            os._exit(1)
    time.sleep(0.3)
    began = time.monotonic()
    os.kill(child, number)
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        expect(time.monotonic() - began < SOON, f"{path}: {number.name} does not end the reader")
        time.sleep(0.01)
    expect(os.WIFSIGNALED(ended[1]), f"{path}: the reader was answered before {number.name}")


def singly(paths):
    handled(paths[0], True)
    for path, direct in zip(paths[1:], (False, True, False, True)):
        killed(path, direct, signal.SIGINT if direct else signal.SIGKILL)
    killed(paths[1], True, signal.SIGKILL)
    handled(paths[0], True)


def mapped(path, copy):
    """No SIGBUS, no EFAULT of a system call that is given mapped memory, and the right bytes."""
    rings = []
    signal.signal(signal.SIGALRM, lambda *_: rings.append(1))
    with open(path, "rb") as file, open(copy, "rb") as other, tempfile.TemporaryFile() as out:
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory, memoryview(memory) as view:
            memory.madvise(mmap.MADV_RANDOM)
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
            for start in range(0, len(view), 1 << 16):
                os.write(out.fileno(), view[start:start + (1 << 16)])
            signal.setitimer(signal.ITIMER_REAL, 0)
        out.seek(0)
        expect(out.read() == other.read(), f"{path} is not {copy}")
    expect(rings, "no signal came while it was read")


def storm(folder, copies):
    dice, ended = random.Random(7), [0, 0]
    signal.signal(signal.SIGALRM, ring)
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(copies, name), "rb") as file:
            whole = file.read(PAGE)
        try:
            signal.setitimer(signal.ITIMER_REAL, dice.uniform(0.0005, 0.09))
            got = read(os.path.join(folder, name), dice.random() < 0.8)
            signal.setitimer(signal.ITIMER_REAL, 0)
            expect(got == whole, f"wrong bytes in {name}")
            ended[0] += 1
        except Rung:
            ended[1] += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
    print(f"{ended[0]} reads ended, {ended[1]} were interrupted")
    expect(min(ended) >= 10, "most ended in one way")


def main():
    action, *rest = sys.argv[1:]
    if action == "storm":
        storm(*rest)
    elif action == "mapped":
        mapped(*rest)
    else:
        singly(rest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
