#!/usr/bin/env python3
"""Reading directories while names come and go. Entries that are there all the time are told exactly once."""
import ctypes
import os
import sys
import threading

from cases import case, equal, libc, run, write

COUNT = 3000 // int(os.environ.get("TOOTFS_PATIENCE", "1"))  # slow builds have less to do


class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("reclen", ctypes.c_uint16),
                ("type", ctypes.c_uint8), ("name", ctypes.c_char * 256)]


libc.opendir.restype = libc.telldir.restype = ctypes.c_long
libc.readdir.restype = ctypes.POINTER(Dirent)
for function in (libc.readdir, libc.telldir, libc.closedir, libc.rewinddir):
    function.argtypes = [ctypes.c_long]
libc.seekdir.argtypes = [ctypes.c_long, ctypes.c_long]


class Stream:
    """opendir and its friends, which Python hides."""

    def __init__(self, path):
        self.handle = libc.opendir(os.fsencode(path))
        assert self.handle, f"opendir {path}"

    def next(self):
        """(name, cookie of the place after it), or None."""
        entry = libc.readdir(self.handle)
        return (os.fsdecode(entry.contents.name), libc.telldir(self.handle)) if entry else None

    def rest(self):
        names = []
        while (found := self.next()) is not None:
            names.append(found[0])
        return names

    def seek(self, cookie):
        libc.seekdir(self.handle, cookie)

    def close(self):
        libc.closedir(self.handle)


def fill(top, count=COUNT):
    names = [f"n{i:05d}" for i in range(count)]
    for name in names:
        write(f"{top}/{name}", b"")
    return names


@case
def every_name_once(top):
    names = fill(top)
    equal(sorted(os.listdir(top)), names)
    stream = Stream(top)
    equal(sorted(stream.rest()), sorted(names + [".", ".."]))
    stream.close()


@case
def types_and_inodes(top):
    os.mkdir(top + "/d")
    write(top + "/f", b"")
    os.symlink("f", top + "/l")
    with os.scandir(top) as entries:
        for entry in entries:
            info = os.lstat(entry.path)
            equal(entry.inode(), info.st_ino, entry.name)
            equal((entry.is_dir(follow_symlinks=False), entry.is_symlink()), (entry.name == "d", entry.name == "l"))


@case
def names_come_and_go(top):
    names, stop = fill(top), threading.Event()
    stay = set(names[::2])

    def churn():
        number = 0
        while not stop.is_set():
            victim = f"{top}/{names[1 + 2 * (number % (COUNT // 2))]}"
            if os.path.exists(victim):
                os.unlink(victim)
            else:
                write(victim, b"")
            write(f"{top}/new{number % 50}", b"")
            if number % 3 == 0:
                os.rename(f"{top}/new{number % 50}", f"{top}/moved{number % 70}")
            number += 7

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(10):
            stream = Stream(top)
            seen = stream.rest()
            stream.close()
            lost = stay.difference(seen)
            assert not lost, f"{len(lost)} names were not told, {sorted(lost)[:3]} …"
            twice = [n for n in stay if seen.count(n) > 1] if len(seen) != len(set(seen)) else []
            assert not twice, f"told twice: {sorted(twice)[:3]}"
    finally:
        stop.set()
        thread.join()


@case
def go_on_after_the_name_is_gone(top):
    names = fill(top, 500)
    stream, seen = Stream(top), []
    while len(seen) < 100:
        name, cookie = stream.next()
        if name not in (".", ".."):
            seen.append(name)
            os.unlink(f"{top}/{name}")
    stream.seek(cookie)
    seen += [n for n in stream.rest() if n not in (".", "..")]
    equal(sorted(seen), names)
    stream.close()


@case
def cookies_lead_back(top):
    fill(top, 400)
    stream, places = Stream(top), []
    while (found := stream.next()) is not None:
        places.append(found)
    for index in (0, 1, 2, 50, 399, 200):
        stream.seek(places[index][1])
        after = stream.next()
        equal(after and after[0], places[index + 1][0] if index + 1 < len(places) else None, f"after entry {index}")
    libc.rewinddir(stream.handle)
    write(top + "/late", b"")
    libc.rewinddir(stream.handle)
    assert "late" in stream.rest()
    stream.close()


@case
def remove_everything_while_reading(top):
    """What rm -r does: read a block, unlink what it named, read on."""
    fill(top)
    stream = Stream(top)
    while (found := stream.next()) is not None:
        if found[0] not in (".", ".."):
            os.unlink(f"{top}/{found[0]}")
    stream.close()
    equal(os.listdir(top), [])
    os.rmdir(top)
    os.mkdir(top)


if __name__ == "__main__":
    sys.exit(run())
