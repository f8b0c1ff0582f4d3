#!/usr/bin/env python3
"""Names: creating, linking, renaming and removing them, as POSIX and Linux have it."""
import errno
import os
import stat
import sys

from cases import Skip, as_user, call, case, equal, fails, read, run, write

AT_FDCWD, NOREPLACE, EXCHANGE, WHITEOUT = -100, 1, 2, 4


def rename2(old, new, flags):
    call("renameat2", AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags)


@case
def create_exclusive(top):
    path = top + "/f"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    fails(errno.EEXIST, os.open, path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.mkdir(top + "/d")
    fails(errno.EEXIST, os.open, top + "/d", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.symlink("nowhere", top + "/l")
    fails(errno.EEXIST, os.open, top + "/l", os.O_CREAT | os.O_EXCL | os.O_WRONLY)


@case
def missing_names(top):
    fails(errno.ENOENT, os.stat, top + "/no")
    fails(errno.ENOENT, os.unlink, top + "/no")
    fails(errno.ENOENT, os.rmdir, top + "/no")
    fails(errno.ENOENT, os.rename, top + "/no", top + "/x")
    fails(errno.ENOENT, os.mkdir, top + "/no/x")
    write(top + "/f", b"")
    fails(errno.ENOTDIR, os.mkdir, top + "/f/x")
    fails(errno.ENOTDIR, os.stat, top + "/f/x")
    fails(errno.ENOTDIR, os.rmdir, top + "/f")
    fails(errno.EISDIR, os.open, top, os.O_WRONLY)
    fails(errno.EISDIR, os.unlink, top)


@case
def a_name_seen_missing_appears(top):
    for make in (lambda p: write(p, b"1"), os.mkdir, lambda p: os.symlink("x", p)):
        path = f"{top}/{len(os.listdir(top))}"
        fails(errno.ENOENT, os.lstat, path)
        make(path)
        os.lstat(path)


@case
def long_names(top):
    write(top + "/" + "n" * 255, b"x")
    equal(os.listdir(top), ["n" * 255])
    fails(errno.ENAMETOOLONG, write, top + "/" + "n" * 256, b"x")
    fails(errno.ENAMETOOLONG, os.mkdir, top + "/" + "n" * 256)
    fails(errno.ENAMETOOLONG, os.stat, top + "/" + "n" * 256)
    fails(errno.ENAMETOOLONG, os.rename, top + "/" + "n" * 255, top + "/" + "m" * 256)


@case
def long_keys(top):
    path = top
    with_room = 1024 - 5 * 201 - len(os.path.basename(top)) - 1
    for letter in "abcde":
        path += "/" + letter * 200
        os.mkdir(path)
    if with_room < 8:
        raise Skip("the name of this case is too long")
    os.chdir(path)  # PATH_MAX is not what is tested
    try:
        write("x" * with_room if with_room < 255 else "x", b"fits")
        fails(errno.ENAMETOOLONG, write, "x" * (with_room + 1), b"1024 bytes are the longest key")
        fails(errno.ENAMETOOLONG, os.symlink, "t", "x" * 200)
        fails(errno.ENAMETOOLONG, os.link, os.listdir(".")[0], "y" * 200)
        fails(errno.ENAMETOOLONG, os.rename, os.listdir(".")[0], "y" * 200)
    finally:
        os.chdir("/")


@case
def strange_names(top):
    names = [b"with space", b"plus+", b"per%cent%20", b"quote'\"", b"<&>", b"\xc3\xa4\xe2\x82\xac", b"back\\slash",
             b"~!*()", b"-dash", b"#?&=;:@,$", b"trailing ", b"@1x", b".hidden", b"a..b", b"..."]
    for name in names:
        write(os.path.join(os.fsencode(top), name), name)
    equal(sorted(os.listdir(os.fsencode(top))), sorted(names))
    for name in names:
        equal(read(os.path.join(os.fsencode(top), name)), name)


@case
def directories_and_link_counts(top):
    equal(os.stat(top).st_nlink, 2, "nlink of an empty directory")
    os.mkdir(top + "/a")
    os.mkdir(top + "/b")
    write(top + "/f", b"")
    equal(os.stat(top).st_nlink, 4, "nlink with two directories")
    os.rename(top + "/b", top + "/a/b")
    equal(os.stat(top).st_nlink, 3, "nlink after one moved away")
    equal(os.stat(top + "/a").st_nlink, 3, "nlink where it moved to")
    equal(os.stat(top + "/a/b/..").st_ino, os.stat(top + "/a").st_ino, "..")
    fails(errno.ENOTEMPTY, os.rmdir, top + "/a")
    os.rmdir(top + "/a/b")
    os.rmdir(top + "/a")
    equal(os.stat(top).st_nlink, 2, "nlink after both are gone")


@case
def parents_change_with_names(top):
    def changes(what, function):
        os.utime(top, ns=(10 ** 18, 10 ** 18))
        before = os.stat(top).st_ctime_ns
        function()
        info = os.stat(top)
        assert info.st_mtime_ns > 10 ** 18, f"{what} left the directory's mtime as it was"
        assert info.st_ctime_ns >= before, f"{what} turned ctime back"

    changes("create", lambda: write(top + "/f", b""))
    changes("mkdir", lambda: os.mkdir(top + "/d"))
    changes("symlink", lambda: os.symlink("x", top + "/l"))
    changes("link", lambda: os.link(top + "/f", top + "/h"))
    changes("rename", lambda: os.rename(top + "/f", top + "/g"))
    changes("unlink", lambda: os.unlink(top + "/g"))
    changes("rmdir", lambda: os.rmdir(top + "/d"))


@case
def hard_links(top):
    write(top + "/a", b"one")
    os.link(top + "/a", top + "/b")
    os.mkdir(top + "/d")
    os.link(top + "/b", top + "/d/c")
    infos = [os.stat(top + name) for name in ("/a", "/b", "/d/c")]
    equal({i.st_ino for i in infos}, {infos[0].st_ino}, "inodes")
    equal([i.st_nlink for i in infos], [3, 3, 3], "nlink")
    write(top + "/b", b"two, longer")
    equal(read(top + "/d/c"), b"two, longer")
    fails(errno.EEXIST, os.link, top + "/a", top + "/b")
    fails((errno.EPERM, errno.EACCES), os.link, top + "/d", top + "/e")
    before = os.stat(top + "/a").st_ctime_ns
    os.unlink(top + "/a")
    equal(os.stat(top + "/b").st_nlink, 2, "nlink after unlink")
    assert os.stat(top + "/b").st_ctime_ns >= before
    os.rename(top + "/b", top + "/d/c")  # two names of one file: POSIX says that nothing happens
    equal(sorted(os.listdir(top)), ["b", "d"])
    os.unlink(top + "/b")
    equal(read(top + "/d/c"), b"two, longer")
    equal(os.stat(top + "/d/c").st_nlink, 1)


@case
def symlinks(top):
    for target in ("a", "../somewhere/else", "/absolute/ä", "t" * 1000):
        path = f"{top}/{len(target)}"
        os.symlink(target, path)
        equal(os.readlink(path), target)
        info = os.lstat(path)
        assert stat.S_ISLNK(info.st_mode)
        equal(info.st_size, len(os.fsencode(target)), "size of a symlink")
    write(top + "/file", b"behind")
    os.symlink("file", top + "/to")
    equal(read(top + "/to"), b"behind")
    fails(errno.EINVAL, os.readlink, top + "/file")
    os.rename(top + "/to", top + "/moved")
    equal(os.readlink(top + "/moved"), "file")
    os.symlink("loop", top + "/loop")
    fails(errno.ELOOP, os.stat, top + "/loop")


@case
def special_nodes_are_refused(top):
    if os.geteuid() == 0:
        fails(errno.EPERM, os.mknod, top + "/dev", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        fails(errno.EPERM, os.mknod, top + "/blk", 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    fails(errno.EPERM, os.mkfifo, top + "/fifo")
    equal(os.listdir(top), [])
    os.mknod(top + "/plain", 0o640 | stat.S_IFREG)
    equal(stat.S_IMODE(os.stat(top + "/plain").st_mode), 0o640)


@case
def rename_replaces(top):
    write(top + "/a", b"new")
    write(top + "/b", b"old")
    inode = os.stat(top + "/a").st_ino
    os.rename(top + "/a", top + "/b")
    equal((os.listdir(top), read(top + "/b"), os.stat(top + "/b").st_ino), (["b"], b"new", inode))
    os.mkdir(top + "/d")
    os.mkdir(top + "/e")
    os.rename(top + "/d", top + "/e")
    fails(errno.EISDIR, os.rename, top + "/b", top + "/e")
    fails(errno.ENOTDIR, os.rename, top + "/e", top + "/b")
    write(top + "/e/full", b"")
    os.mkdir(top + "/d")
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rename, top + "/d", top + "/e")
    fails(errno.EINVAL, os.rename, top + "/e", top + "/e/inside")
    os.rename(top + "/b", top + "/b")
    equal(read(top + "/b"), b"new")


@case
def rename_open_target_lives_on(top):
    write(top + "/a", b"new")
    write(top + "/b", b"old")
    with open(top + "/b", "rb") as file:
        os.rename(top + "/a", top + "/b")
        equal(file.read(), b"old")
        equal(os.fstat(file.fileno()).st_nlink, 0)
    equal(read(top + "/b"), b"new")


@case
def rename_flags(top):
    write(top + "/a", b"a")
    write(top + "/b", b"b")
    os.makedirs(top + "/d/sub")
    write(top + "/d/sub/f", b"deep")
    fails(errno.EEXIST, rename2, top + "/a", top + "/b", NOREPLACE)
    rename2(top + "/a", top + "/c", NOREPLACE)
    rename2(top + "/b", top + "/c", EXCHANGE)
    equal((read(top + "/b"), read(top + "/c")), (b"a", b"b"))
    rename2(top + "/b", top + "/d", EXCHANGE)
    equal((read(top + "/d"), read(top + "/b/sub/f")), (b"a", b"deep"))
    fails(errno.ENOENT, rename2, top + "/b", top + "/no", EXCHANGE)
    fails(errno.EINVAL, rename2, top + "/b", top + "/c", NOREPLACE | EXCHANGE)
    fails(errno.EINVAL, rename2, top + "/c", top + "/w", WHITEOUT)


@case
def rename_directory_with_content(top):
    for folder in ("x/y/z", "x/empty"):
        os.makedirs(f"{top}/{folder}")
    for path in ("x/1", "x/y/2", "x/y/z/3"):
        write(f"{top}/{path}", path.encode())
    with open(top + "/x/y/z/3", "r+b") as file:
        os.mkdir(top + "/to")
        os.rename(top + "/x", top + "/to/new")
        file.write(b"written after the move")
    fails(errno.ENOENT, os.stat, top + "/x")
    equal(read(top + "/to/new/1"), b"x/1")
    equal(read(top + "/to/new/y/2"), b"x/y/2")
    equal(read(top + "/to/new/y/z/3"), b"written after the move")
    equal(os.listdir(top + "/to/new/empty"), [])
    os.mkdir(top + "/x")
    equal(os.listdir(top + "/x"), [])


@case
def unlinked_while_open(top):
    with open(top + "/f", "w+b") as file:
        file.write(b"still here")
        file.flush()
        os.unlink(top + "/f")
        fails(errno.ENOENT, os.stat, top + "/f")
        equal(os.fstat(file.fileno()).st_nlink, 0)
        file.write(b" and more")
        file.seek(0)
        equal(file.read(), b"still here and more")
        write(top + "/f", b"another")
        file.seek(0)
        equal(file.read(), b"still here and more")
    equal((os.listdir(top), read(top + "/f")), (["f"], b"another"))


@case
def removed_directory_while_open(top):
    os.mkdir(top + "/d")
    handle = os.open(top + "/d", os.O_RDONLY)
    os.rmdir(top + "/d")
    fails(errno.ENOENT, os.open, "f", os.O_CREAT | os.O_WRONLY, dir_fd=handle)
    os.close(handle)
    equal(os.listdir(top), [])


@case
def file_and_folder_share_no_name(top):
    write(top + "/n", b"")
    fails(errno.EEXIST, os.mkdir, top + "/n")
    os.unlink(top + "/n")
    os.mkdir(top + "/n")
    fails(errno.EISDIR, os.open, top + "/n", os.O_CREAT | os.O_WRONLY)
    write(top + "/n.a", b"")  # sorts before "n/"
    write(top + "/n0", b"")  # sorts after it
    equal(sorted(os.listdir(top)), ["n", "n.a", "n0"])


@case
def sticky_directory(top):
    os.chmod(top, 0o1777)
    write(top + "/roots", b"")
    os.chmod(top + "/roots", 0o666)
    as_user(991, fails, errno.EPERM, os.unlink, top + "/roots")
    as_user(991, fails, errno.EPERM, os.rename, top + "/roots", top + "/x")
    as_user(991, write, top + "/theirs", b"mine")
    as_user(992, fails, errno.EPERM, os.unlink, top + "/theirs")
    as_user(991, os.unlink, top + "/theirs")


if __name__ == "__main__":
    sys.exit(run())
