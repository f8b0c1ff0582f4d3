#!/usr/bin/env python3
"""Makes the system calls that Mastodon's attachment code was seen to make, and expects the answers that a local
filesystem gave.

    mastodon.py FOLDER      an empty one

The temporary file is always on another filesystem, so rename(2) fails with EXDEV and the copy path is taken; times,
owner and mode are set after close, by path."""
import errno
import os
import random
import sys
import tempfile

sys.dont_write_bytecode = True
import templates  # noqa: E402

QUIET = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT, errno.EINVAL, errno.ENOTDIR, errno.EACCES)
dice = random.Random(3)


def exists(path):
    try:
        os.stat(path)
        return True
    except FileNotFoundError:
        return False


def mkdir_p(path, root):
    missing = []
    while not exists(path):
        assert path != root, "the mount point is gone"
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        try:
            os.mkdir(folder)
        except FileExistsError:
            assert os.path.isdir(folder)


def store(root, key, data):
    """mkdir_p, then FileUtils.mv of a temporary file, then chmod."""
    path = os.path.join(root, key)
    mkdir_p(os.path.dirname(path), root)
    with tempfile.NamedTemporaryFile(delete=False) as temporary:
        temporary.write(data)
    for _ in range(4):
        exists(path)
    try:
        os.rename(temporary.name, path)
        raise AssertionError("rename from another filesystem succeeded")
    except OSError as error:
        assert error.errno == errno.EXDEV, error
    source = os.open(temporary.name, os.O_RDONLY)
    info = os.fstat(source)
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.copy_file_range(source, target, len(data))
        raise AssertionError("copy_file_range over two filesystems succeeded")
    except OSError as error:
        assert error.errno in (errno.EXDEV, errno.EINVAL), error
    sent = 0
    while sent < len(data):
        sent += os.sendfile(target, source, sent, len(data) - sent)
    os.close(target)
    os.close(source)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    os.chown(path, os.geteuid(), os.getegid())
    os.chmod(path, 0o600)
    os.lstat(path)
    os.chmod(path, 0o644)
    os.unlink(temporary.name)
    found = os.stat(path)
    assert (found.st_size, found.st_mtime_ns, found.st_mode & 0o777) == (len(data), info.st_mtime_ns, 0o644), found


def remove(root, key):
    """flush_deletes: unlink, then rmdir upwards until one fails or is still there."""
    path = os.path.join(root, key)
    if exists(path):
        os.unlink(path)
    try:
        while True:
            path = os.path.dirname(path)
            os.rmdir(path)
            if exists(path):
                return
    except OSError as error:
        assert error.errno in QUIET, f"rmdir {path}: {error.strerror}"


def remove_batch(root, keys):
    """AttachmentBatch: unlink without a look, rmdir parents; only some errors are rescued."""
    for key in keys:
        path = os.path.join(root, key)
        try:
            os.unlink(path)
        except OSError:
            pass
        try:
            while True:
                path = os.path.dirname(path)
                os.rmdir(path)
        except OSError as error:
            assert error.errno in QUIET, f"rmdir {path}: {error.strerror}"


def read_back(root, key, data):
    with open(os.path.join(root, key), "rb") as file:
        assert file.read() == data, f"{key} came back changed"


def media(number, style, extension="png"):
    digits = f"{110000000000000000 + number * 65536 * 977:018d}"
    groups = "/".join(digits[i:i + 3] for i in range(0, 18, 3))
    return f"cache/media_attachments/files/{groups}/{style}/{dice.getrandbits(64):016x}.{extension}"


def picture(size):
    return templates.png(size, dice.randbytes)


def main():
    root = sys.argv[1]
    kept, gone = {}, []

    for number in range(25):  # new records, two styles each
        for style, size in (("original", dice.randrange(1000, 300000)), ("small", 9000)):
            key, data = media(number, style), picture(size)
            store(root, key, data)
            kept[key] = data

    for number, key in enumerate(sorted(kept)[:10]):  # an avatar is changed: delete, then write another name
        data = picture(20000 + number)
        remove(root, key)
        del kept[key]
        key = os.path.join(os.path.dirname(key), f"{dice.getrandbits(64):016x}.png")
        store(root, key, data)
        kept[key] = data

    for number in range(6):  # a video is reprocessed: read, delete, written again under the same name at once
        key, data = f"media_attachments/files/110/000/000/000/000/00{number}/original/reprocessed.mp4", b""
        for turn in range(3):
            if turn:
                read_back(root, key, data)
                remove(root, key)
            data = templates.mp4(200000 + 1000 * turn, dice.randbytes)
            store(root, key, data)
        kept[key] = data

    for key in sorted(kept)[12:20]:  # the vacuum
        gone.append(key)
        del kept[key]
    remove_batch(root, gone + gone[:2])

    for mode in (0o600, 0o644, 0o600):  # an account is suspended, and back, and again
        for key in sorted(kept)[:5]:
            os.lstat(os.path.join(root, key))
            os.chmod(os.path.join(root, key), mode)

    old = sorted(kept)[0]  # the storage schema is upgraded
    new = old.replace("cache/", "", 1)
    mkdir_p(os.path.dirname(os.path.join(root, new)), root)
    os.rename(os.path.join(root, old), os.path.join(root, new))
    kept[new] = kept.pop(old)

    for key, data in kept.items():
        read_back(root, key, data)
    for key in gone + [old]:
        assert not exists(os.path.join(root, key)), f"{key} is still there"

    def stop(error):
        raise error

    found = {os.path.relpath(os.path.join(base, name), root)
             for base, _, names in os.walk(root, onerror=stop) for name in names}
    assert found == set(kept), found ^ set(kept)
    print(f"{len(kept)} files as Mastodon left them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
