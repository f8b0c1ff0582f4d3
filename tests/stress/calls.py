"""Random filesystem calls that are made on two trees, and the comparison of the trees.

A call is a tuple (KIND, ARGUMENT…). Chooser makes calls up; Tree.make(call) makes one, and returns its value, or the
errno as a negative number; differences(a, b) says in what two trees differ. Times are compared where utimensat set
them: it sets years long ago, which nothing else does."""
import ctypes
import errno
import hashlib
import os
import random
import stat

LONG_AGO_NS = 1262304000 * 10**9  # 2010
NOREPLACE, EXCHANGE = 1, 2
LIBC = ctypes.CDLL(None, use_errno=True)


def content(seed, size):
    return random.Random(seed).randbytes(size)


def write_all(fd, data, offset=None):
    done = 0
    while done < len(data):  # 16 KiB at a time, as Mastodon does, but not a thousand times
        piece = data[done:done + max(16384, len(data) // 8)]
        done += os.write(fd, piece) if offset is None else os.pwrite(fd, piece, offset + done)


def read_all(fd, size, offset):
    """One read gives what there was before an error; the error comes with the next."""
    data = b""
    while len(data) < size:
        piece = os.pread(fd, size - len(data), offset + len(data))
        if not piece:
            break
        data += piece
    return data


class Tree:
    """One of the trees: calls with paths below root. Handles belong to one thread."""

    def __init__(self, root):
        self.root, self.handles = root, {}

    def make(self, call):
        try:
            return getattr(self, "do_" + call[0])(*call[1:])
        except OSError as error:
            return -error.errno

    def at(self, path):
        return os.path.join(self.root, path)

    def open(self, path, flags, mode):
        """What is empty is not truncated: tootfs leaves its time alone then, others do not."""
        try:
            if os.lstat(self.at(path)).st_size == 0:
                flags &= ~os.O_TRUNC
        except OSError:
            pass
        return os.open(self.at(path), os.O_NOFOLLOW | flags, mode)

    def do_mkdir(self, path, mode):
        os.mkdir(self.at(path), mode)

    def do_rmdir(self, path):
        os.rmdir(self.at(path))

    def do_unlink(self, path):
        os.unlink(self.at(path))

    def do_put(self, path, flags, mode, offset, seed, size):
        fd = self.open(path, os.O_WRONLY | flags, mode)
        try:
            write_all(fd, content(seed, size), offset)
        finally:
            os.close(fd)

    def do_truncate(self, path, size):
        if os.stat(self.at(path)).st_size != size:  # whether that would touch the time is everybody's own choice
            os.truncate(self.at(path), size)

    def do_rename(self, old, new, flags):
        if LIBC.renameat2(-100, os.fsencode(self.at(old)), -100, os.fsencode(self.at(new)), flags) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def do_link(self, old, new):
        os.link(self.at(old), self.at(new), follow_symlinks=False)

    def do_symlink(self, target, path):
        os.symlink(target, self.at(path))

    def do_chmod(self, path, mode):
        os.chmod(self.at(path), mode)

    def do_chown(self, path, uid, gid):
        os.chown(self.at(path), uid, gid, follow_symlinks=False)

    def do_utimens(self, path, ns):
        os.utime(self.at(path), ns=(ns, ns), follow_symlinks=False)

    def do_setxattr(self, path, name, value):
        os.setxattr(self.at(path), name, value, follow_symlinks=False)

    def do_removexattr(self, path, name):
        os.removexattr(self.at(path), name, follow_symlinks=False)

    def do_read(self, path, offset, size):
        fd = os.open(self.at(path), os.O_RDONLY)
        try:
            return hashlib.md5(read_all(fd, size, offset)).hexdigest()
        finally:
            os.close(fd)

    def do_list(self, path):
        return sorted(os.listdir(self.at(path)))

    def do_facts(self, path):
        return facts(self.at(path))

    # handles: a slot at a time

    def do_open(self, slot, path, flags, mode):
        self.do_close(slot)
        self.handles[slot] = self.open(path, os.O_RDWR | flags, mode)

    def do_close(self, slot):
        if slot in self.handles:
            os.close(self.handles.pop(slot))

    def do_pwrite(self, slot, offset, seed, size):
        if slot in self.handles:
            write_all(self.handles[slot], content(seed, size), offset)

    def do_pread(self, slot, offset, size):
        if slot in self.handles:
            return hashlib.md5(read_all(self.handles[slot], size, offset)).hexdigest()
        return None

    def do_fsync(self, slot):
        if slot in self.handles:
            os.fsync(self.handles[slot])

    def do_fstat(self, slot):
        if slot in self.handles:
            found = os.fstat(self.handles[slot])
            return found.st_mode, found.st_size, found.st_nlink
        return None

    def close_all(self):
        for slot in list(self.handles):
            self.do_close(slot)


def facts(path):
    """(what stat and the extended attributes say; the time, if utimensat set it)"""
    found = os.lstat(path)
    target = os.readlink(path) if stat.S_ISLNK(found.st_mode) else None
    size = None if stat.S_ISDIR(found.st_mode) else found.st_size
    links = None if stat.S_ISDIR(found.st_mode) else found.st_nlink
    mtime = found.st_mtime_ns if found.st_mtime_ns < LONG_AGO_NS else None
    named = {name: os.getxattr(path, name, follow_symlinks=False)
             for name in os.listxattr(path, follow_symlinks=False) if name.startswith("user.")}
    return oct(found.st_mode), found.st_uid, found.st_gid, size, links, mtime, target, tuple(sorted(named.items()))


def same_bytes(a, b):
    with open(a, "rb", 0) as one, open(b, "rb", 0) as two:
        while True:
            pieces = one.read(1 << 20), two.read(1 << 20)
            if pieces[0] != pieces[1]:
                return False
            if not pieces[0]:
                return True


def differences(a, b, path="", bytes_too=True):
    """Yields a line for each."""
    at, bt = os.path.join(a, path), os.path.join(b, path)
    one, two = facts(at), facts(bt)
    if path and one != two:
        yield f"{path}: {one} and {two}"
    if one[0] != two[0]:
        return
    if stat.S_ISREG(os.lstat(at).st_mode):
        if bytes_too and one[3] == two[3] and not same_bytes(at, bt):
            yield f"{path}: other bytes"
    elif stat.S_ISDIR(os.lstat(at).st_mode):
        names = os.listdir(at), os.listdir(bt)
        for which, have, lacks in ((0, a, b), (1, b, a)):
            if len(set(names[which])) != len(names[which]):
                yield f"{path}: twice in the listing of {have}"
            for name in sorted(set(names[which]) - set(names[1 - which])):
                yield f"{os.path.join(path, name)}: in {have}, not in {lacks}"
        for name in sorted(set(names[0]) & set(names[1])):
            yield from differences(a, b, os.path.join(path, name), bytes_too)


class Chooser:
    """Makes up calls that fit a tree: mostly about what is there, and sometimes about what is not."""

    MIX = {"put": 22, "mkdir": 10, "unlink": 10, "rename": 14, "truncate": 5, "rmdir": 3, "link": 4, "symlink": 4,
           "chmod": 5, "chown": 4, "utimens": 6, "setxattr": 4, "removexattr": 1, "read": 10, "list": 4, "facts": 6}
    HANDLES = {"open": 6, "pwrite": 8, "pread": 6, "fstat": 4, "close": 3, "fsync": 1}

    def __init__(self, dice, root, handles=True, big=0.02, many=400):
        self.dice, self.root, self.big, self.many = dice, root, big, many
        mix = dict(self.MIX, **(self.HANDLES if handles else {}))
        self.kinds, self.weights = list(mix), list(mix.values())

    def entries(self, path):
        try:
            return sorted(os.listdir(os.path.join(self.root, path)))
        except OSError:
            return []

    def is_folder(self, path):
        full = os.path.join(self.root, path)
        return os.path.isdir(full) and not os.path.islink(full)

    def folder(self, depth=3):
        path = ""
        while depth and self.dice.random() < 0.7:
            inner = [n for n in self.entries(path) if self.is_folder(os.path.join(path, n))]
            if not inner:
                break
            path, depth = os.path.join(path, self.dice.choice(inner)), depth - 1
        return path

    def new(self):
        return os.path.join(self.folder(), f"{self.dice.choice(['n', 'Bild', 'ü ', 'a.'])}{self.dice.randrange(self.many)}")

    def old(self, folders=True):
        for _ in range(4):
            path = self.folder()
            names = self.entries(path)
            if names:
                path = os.path.join(path, self.dice.choice(names))
                if folders or not self.is_folder(path):
                    return path
        return self.new()

    def size(self):
        where = self.dice.random()
        if where < self.big:
            return self.dice.randrange(1 << 20, 12 << 20)
        return self.dice.randrange(self.dice.choice([1, 100, 5000, 70000, 300000]))

    def call(self):
        kind = self.dice.choices(self.kinds, self.weights)[0]
        return (kind, *getattr(self, "for_" + kind)())

    def for_put(self):
        dice = self.dice
        how = dice.randrange(5)
        path = self.new() if how < 2 else self.old(folders=dice.random() < 0.02)
        flags, offset = [(os.O_CREAT | os.O_EXCL, None), (os.O_CREAT | os.O_TRUNC, None), (os.O_TRUNC, None),
                         (os.O_APPEND, None), (0, dice.randrange(200000))][how]
        return path, flags, dice.choice([0o644, 0o600, 0o755]), offset, dice.randrange(1 << 32), self.size()

    def for_mkdir(self):
        return self.new(), self.dice.choice([0o755, 0o700, 0o775])

    def for_rmdir(self):
        return (self.old(),)

    def for_unlink(self):
        return (self.old(folders=self.dice.random() < 0.05),)

    def for_rename(self):
        how = self.dice.random()
        old, new = self.old(), self.new() if how < 0.6 else self.old()
        return old, new, EXCHANGE if how > 0.85 else NOREPLACE if how < 0.15 else 0

    def for_truncate(self):
        return self.old(folders=False), self.dice.choice([0, 1, 4096, self.dice.randrange(300000)])

    def for_link(self):
        return self.old(folders=False), self.new()

    def for_symlink(self):
        return os.path.basename(self.old()), self.new()

    def for_chmod(self):
        return self.old(), self.dice.choice([0o644, 0o600, 0o755, 0o700, 0o777])

    def for_chown(self):
        return self.old(), self.dice.randrange(2000), self.dice.randrange(2000)

    def for_utimens(self):
        return self.old(), self.dice.randrange(10**18, 12 * 10**17)

    def for_setxattr(self):
        return self.old(), f"user.x{self.dice.randrange(3)}", content(self.dice.random(), self.dice.randrange(300))

    def for_removexattr(self):
        return self.old(), f"user.x{self.dice.randrange(3)}"

    def for_read(self):
        return self.old(folders=False), self.dice.randrange(100000), 1 << 17

    def for_list(self):
        return (self.folder(),)

    def for_facts(self):
        return (self.old(),)

    def for_open(self):
        create = self.dice.random() < 0.3
        flags = (os.O_CREAT if create else 0) | (os.O_TRUNC if self.dice.random() < 0.2 else 0)
        return self.dice.randrange(6), self.new() if create else self.old(folders=False), flags, 0o644

    def for_pwrite(self):
        return self.dice.randrange(6), self.dice.randrange(200000), self.dice.randrange(1 << 32), self.size()

    def for_pread(self):
        return self.dice.randrange(6), self.dice.randrange(200000), 1 << 17

    def for_fstat(self):
        return (self.dice.randrange(6),)

    for_close = for_fsync = for_fstat


# Where several errors fit, POSIX does not say which one is given, or lets one choose.
ALIKE = [{-errno.EEXIST, -errno.ENOTEMPTY}]


def same_answer(a, b):
    return a == b or any(a in alike and b in alike for alike in ALIKE if isinstance(a, int) and isinstance(b, int))
