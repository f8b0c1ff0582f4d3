#!/usr/bin/env python3
"""Attributes: modes, owners, times and extended attributes, as POSIX and Linux have it."""
import errno
import os
import stat
import sys
import time

from cases import Skip, as_user, case, equal, fails, read, run, write

SECOND = 10 ** 9


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def root_only():
    if os.geteuid() != 0:
        raise Skip("needs root")


@case
def modes_and_umask(top):
    os.umask(0o027)
    os.close(os.open(top + "/f", os.O_CREAT | os.O_WRONLY, 0o666))
    os.mkdir(top + "/d", 0o777)
    os.umask(0o022)
    equal((mode_of(top + "/f"), mode_of(top + "/d")), (0o640, 0o750))
    for mode in (0o000, 0o400, 0o600, 0o644, 0o755, 0o4755, 0o1777, 0o7777):
        os.chmod(top + "/f", mode)
        equal(oct(mode_of(top + "/f")), oct(mode))


@case
def owners(top):
    root_only()
    write(top + "/f", b"")
    equal((os.stat(top + "/f").st_uid, os.stat(top + "/f").st_gid), (os.geteuid(), os.getegid()))
    os.chown(top + "/f", 991, 992)
    os.chown(top + "/f", -1, 993)
    equal((os.stat(top + "/f").st_uid, os.stat(top + "/f").st_gid), (991, 993))
    os.symlink("x", top + "/l")
    os.lchown(top + "/l", 5, 6)
    equal((os.lstat(top + "/l").st_uid, os.lstat(top + "/l").st_gid), (5, 6))
    os.chmod(top, 0o777)
    as_user(991, write, top + "/theirs", b"")
    as_user(991, os.mkdir, top + "/their-folder")
    for name in ("/theirs", "/their-folder"):
        equal((os.stat(top + name).st_uid, os.stat(top + name).st_gid), (991, 991), name)


@case
def permissions_are_enforced(top):
    root_only()
    os.chmod(top, 0o755)
    write(top + "/secret", b"")
    os.chmod(top + "/secret", 0o600)
    write(top + "/public", b"seen by all")
    as_user(991, fails, errno.EACCES, read, top + "/secret")
    as_user(991, read, top + "/public")
    as_user(991, fails, errno.EACCES, write, top + "/public", b"x")
    as_user(991, fails, errno.EACCES, write, top + "/new", b"x")
    as_user(991, fails, errno.EPERM, os.chmod, top + "/public", 0o777)
    as_user(991, fails, errno.EPERM, os.chown, top + "/public", 991, 991)
    as_user(991, fails, errno.EPERM, os.utime, top + "/public", (1, 1))
    as_user(991, fails, errno.EACCES, os.unlink, top + "/public")
    os.mkdir(top + "/closed", 0o700)
    write(top + "/closed/f", b"")
    as_user(991, fails, errno.EACCES, os.stat, top + "/closed/f")


@case
def setgid_directory(top):
    root_only()
    os.chown(top, 0, 4242)
    os.chmod(top, 0o2777)
    as_user(991, write, top + "/f", b"")
    as_user(991, os.mkdir, top + "/d")
    as_user(991, os.symlink, "x", top + "/l")
    equal([os.lstat(top + n).st_gid for n in ("/f", "/d", "/l")], [4242] * 3, "group")
    assert mode_of(top + "/d") & stat.S_ISGID, "a folder in a setgid folder is setgid"
    assert not mode_of(top + "/f") & stat.S_ISGID


@case
def setuid_is_cleared(top):
    root_only()

    def prepare(name):
        write(top + name, b"0123456789")
        os.chown(top + name, 991, 991)
        os.chmod(top + name, 0o6777)
        return top + name

    def append(path):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.write(handle, b"x")
        os.close(handle)

    path = prepare("/written")
    as_user(992, append, path)
    equal(oct(mode_of(path)), oct(0o777), "mode after a write by another user")
    path = prepare("/cut")
    as_user(992, os.truncate, path, 3)
    equal(oct(mode_of(path)), oct(0o777), "mode after truncate by another user")
    path = prepare("/given")
    os.chown(path, 5, 5)
    equal(oct(mode_of(path)), oct(0o777), "mode after chown")


@case
def times_to_the_nanosecond(top):
    write(top + "/f", b"x")
    os.mkdir(top + "/d")
    os.symlink("x", top + "/l")
    for name in ("/f", "/d", "/l"):
        for atime, mtime in ((1234567890123456789, 987654321987654321), (1, 2), (0, 0)):
            os.utime(top + name, ns=(atime, mtime), follow_symlinks=False)
            info = os.lstat(top + name)
            equal((info.st_atime_ns, info.st_mtime_ns), (atime, mtime), name)
    os.utime(top + "/f", ns=(-5 * SECOND, -7 * SECOND + 3))  # before 1970
    equal(os.stat(top + "/f").st_mtime_ns, -7 * SECOND + 3)
    os.utime(top + "/f")  # now
    assert abs(os.stat(top + "/f").st_mtime_ns - time.time_ns()) < 10 * SECOND


@case
def times_that_calls_change(top):
    path = top + "/f"
    write(path, b"x" * 100)

    def changed(function):
        os.utime(path, ns=(SECOND, SECOND))
        before = os.stat(path)
        time.sleep(0.02)
        function()
        after = os.stat(path)
        return after.st_mtime_ns != before.st_mtime_ns, after.st_ctime_ns > before.st_ctime_ns

    equal(changed(lambda: write(path, b"abc", "r+b")), (True, True), "(mtime, ctime) by write")
    equal(changed(lambda: os.truncate(path, 50)), (True, True), "(mtime, ctime) by truncate to another size")
    equal(changed(lambda: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))), (True, True), "by O_TRUNC")
    equal(changed(lambda: os.chmod(path, 0o600)), (False, True), "(mtime, ctime) by chmod")
    equal(changed(lambda: os.link(path, top + "/g")), (False, True), "(mtime, ctime) by link")
    equal(changed(lambda: os.unlink(top + "/g")), (False, True), "(mtime, ctime) by unlink of another name")
    equal(changed(lambda: read(path)), (False, False), "(mtime, ctime) by read")
    equal(changed(lambda: os.close(os.open(path, os.O_RDWR))), (False, False), "(mtime, ctime) by open and close")


@case
def utimes_on_an_open_file_stay(top):
    handle = os.open(top + "/f", os.O_CREAT | os.O_WRONLY, 0o600)  # as cp -a does it
    os.write(handle, b"x" * 200000)
    os.utime(handle, ns=(5 * SECOND, 6 * SECOND + 7))
    os.fchmod(handle, 0o640)
    os.close(handle)
    info = os.stat(top + "/f")
    equal((info.st_mtime_ns, oct(stat.S_IMODE(info.st_mode)), info.st_size), (6 * SECOND + 7, oct(0o640), 200000))


@case
def calls_after_close_as_mastodon_makes_them(top):
    write(top + "/f", b"x" * 70000)
    os.utime(top + "/f", ns=(SECOND + 1, SECOND + 2))
    os.chown(top + "/f", os.geteuid(), os.getegid())
    os.chmod(top + "/f", 0o600)
    os.chmod(top + "/f", 0o644)
    equal((os.stat(top + "/f").st_mtime_ns, oct(mode_of(top + "/f"))), (SECOND + 2, oct(0o644)))
    equal(read(top + "/f"), b"x" * 70000)


@case
def blocks_are_plausible(top):
    write(top + "/f", b"x" * 100000)
    info = os.stat(top + "/f")
    assert 100000 // 512 <= info.st_blocks <= 100000 // 512 + 256, f"{info.st_blocks} blocks for 100000 bytes"
    assert info.st_blksize >= 512


@case
def user_xattrs(top):
    os.mkdir(top + "/d")
    write(top + "/f", b"x")
    for path in (top + "/f", top + "/d"):
        os.setxattr(path, "user.one", b"\0binary\xff")
        os.setxattr(path, "user.empty", b"")
        equal(os.getxattr(path, "user.one"), b"\0binary\xff")
        equal(os.getxattr(path, "user.empty"), b"")
        equal(sorted(os.listxattr(path)), ["user.empty", "user.one"])
        fails(errno.EEXIST, os.setxattr, path, "user.one", b"", os.XATTR_CREATE)
        fails(errno.ENODATA, os.setxattr, path, "user.no", b"", os.XATTR_REPLACE)
        os.setxattr(path, "user.one", b"v" * 4000, os.XATTR_REPLACE)
        equal(len(os.getxattr(path, "user.one")), 4000)
        os.removexattr(path, "user.one")
        fails(errno.ENODATA, os.getxattr, path, "user.one")
        fails(errno.ENODATA, os.removexattr, path, "user.one")
        fails(errno.EOPNOTSUPP, os.setxattr, path, "nonsense.x", b"")
    os.rename(top + "/f", top + "/g")
    equal(os.listxattr(top + "/g"), ["user.empty"])


@case
def attributes_outlive_the_kernels_memory(top):
    """What a fresh lookup says must be what the call before was told."""
    write(top + "/f", b"x" * 1000)
    os.chmod(top + "/f", 0o604)
    os.utime(top + "/f", ns=(SECOND, 3 * SECOND + 5))
    wanted = os.stat(top + "/f")
    if os.geteuid() == 0:
        try:
            write("/proc/sys/vm/drop_caches", b"2", "wb")
        except OSError:
            pass
    got = os.stat(top + "/f")
    for field in ("st_ino", "st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_ctime_ns", "st_nlink"):
        equal(getattr(got, field), getattr(wanted, field), field)


if __name__ == "__main__":
    sys.exit(run())
