#!/usr/bin/env python3
"""Content: reading, writing, sizes, mapping and locks, as POSIX and Linux have it."""
import ctypes
import errno
import fcntl
import mmap
import os
import random
import signal
import sys
import threading

from cases import call, case, equal, fails, libc, read, run, write

KEEP_SIZE, PUNCH_HOLE = 1, 2
MIB = 1 << 20


@case
def empty_file(top):
    write(top + "/f", b"")
    equal((os.stat(top + "/f").st_size, read(top + "/f")), (0, b""))


@case
def sizes_around_pages(top):
    for size in (1, 4095, 4096, 4097, 65535, 65536, 65537, 131072, MIB - 1, MIB + 1):
        data = os.urandom(size)
        write(f"{top}/{size}", data)
        equal(os.stat(f"{top}/{size}").st_size, size)
        assert read(f"{top}/{size}") == data, f"{size} bytes came back changed"


@case
def random_writes_against_a_model(top):
    dice, model, path = random.Random(7), bytearray(), top + "/f"
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    for step in range(400):
        action, offset, length = dice.random(), dice.randrange(300000), dice.randrange(1, 20000)
        if action < 0.5:
            data = dice.randbytes(length)
            os.pwrite(handle, data, offset)
            model.extend(bytes(max(0, offset + length - len(model))))
            model[offset:offset + length] = data
        elif action < 0.6:
            os.ftruncate(handle, offset)
            model[offset:] = bytes(max(0, offset - len(model)))
        elif action < 0.65:
            os.close(handle)
            handle = os.open(path, os.O_RDWR)
        elif action < 0.7:
            os.fsync(handle)
        assert os.pread(handle, length, offset) == model[offset:offset + length], f"step {step}"
        equal(os.fstat(handle).st_size, len(model), f"size at step {step}")
    os.close(handle)
    assert read(path) == model


@case
def append(top):
    with open(top + "/f", "ab", buffering=0) as one, open(top + "/f", "ab", buffering=0) as two:
        for i in range(50):
            (one, two)[i % 2].write(b"%02d" % i)
    equal(read(top + "/f"), b"".join(b"%02d" % i for i in range(50)))


@case
def truncate(top):
    path = top + "/f"
    write(path, b"x" * 100000)
    os.truncate(path, 10)
    equal(read(path), b"x" * 10)
    os.truncate(path, 5000)
    equal(read(path), b"x" * 10 + bytes(4990))
    write(path, b"short")  # O_TRUNC
    equal(read(path), b"short")
    os.truncate(path, 0)
    equal(read(path), b"")
    fails(errno.EINVAL, os.truncate, path, -1)
    os.utime(path, (1, 1))
    write(path, b"")  # O_TRUNC of what is empty
    assert os.stat(path).st_mtime > 1000000000, "the time of an empty file that was emptied"


@case
def truncate_while_another_reads(top):
    write(top + "/f", b"a" * 200000)
    with open(top + "/f", "rb", buffering=0) as reader:
        equal(len(reader.read(1000)), 1000)
        os.truncate(top + "/f", 500)
        equal(reader.read(1000), b"")
        equal(os.pread(reader.fileno(), 1000, 0), b"a" * 500)


@case
def holes_read_as_zeros(top):
    with open(top + "/f", "wb") as file:
        file.seek(3 * MIB)
        file.write(b"end")
    data = read(top + "/f")
    equal((len(data), data.count(0), data[-3:]), (3 * MIB + 3, 3 * MIB, b"end"))
    handle = os.open(top + "/f", os.O_RDONLY)
    try:
        equal(os.lseek(handle, 0, os.SEEK_HOLE) <= 3 * MIB + 3, True)
        assert os.lseek(handle, 0, os.SEEK_DATA) <= 3 * MIB
    except OSError as error:
        assert error.errno in (errno.EINVAL, errno.EOPNOTSUPP), error
    os.close(handle)


@case
def fallocate(top):
    with open(top + "/f", "w+b", buffering=0) as file:
        def allocate(mode, offset, length):
            call("fallocate64", file.fileno(), mode, ctypes.c_int64(offset), ctypes.c_int64(length))

        file.write(b"0123456789" * 1000)
        for mode, offset, length in ((KEEP_SIZE, 0, 100000), (KEEP_SIZE | PUNCH_HOLE, 4096, 4096), (0, 0, 50000)):
            before = read(top + "/f")
            try:
                allocate(mode, offset, length)
            except OSError as error:
                equal(error.errno, errno.EOPNOTSUPP, f"errno of fallocate mode {mode}")
                equal(read(top + "/f"), before)
                continue
            after = read(top + "/f")
            if mode & PUNCH_HOLE:
                equal(after, before[:4096] + bytes(4096) + before[8192:])
            elif mode & KEEP_SIZE:
                equal(after, before)
            else:
                equal(after, before + bytes(50000 - len(before)))
        os.posix_fallocate(file.fileno(), 0, 60000)
        equal(os.fstat(file.fileno()).st_size, 60000)


@case
def written_bytes_are_seen_at_once(top):
    with open(top + "/f", "wb", buffering=0) as writer:
        writer.write(b"first")
        equal((read(top + "/f"), os.stat(top + "/f").st_size), (b"first", 5))
        writer.write(b"+second")
        equal(read(top + "/f"), b"first+second")


@case
def read_write_handle(top):
    with open(top + "/f", "w+b", buffering=0) as file:
        file.write(b"abcdef")
        file.seek(2)
        equal(file.read(2), b"cd")
        file.write(b"XY")
        file.seek(0)
        equal(file.read(), b"abcdXY")
        fails(errno.EBADF, os.read, os.open(top + "/f", os.O_WRONLY), 1)
        fails(errno.EBADF, os.write, os.open(top + "/f", os.O_RDONLY), b"x")


@case
def access_modes_at_open(top):
    write(top + "/f", b"keep")
    os.close(os.open(top + "/f", os.O_RDWR))
    os.close(os.open(top + "/f", os.O_WRONLY))
    os.close(os.open(top + "/f", os.O_RDONLY | os.O_NOATIME if os.geteuid() == 0 else os.O_RDONLY))
    equal(read(top + "/f"), b"keep")
    fails(errno.ENOTDIR, os.open, top + "/f", os.O_RDONLY | os.O_DIRECTORY)
    os.symlink("f", top + "/l")
    fails(errno.ELOOP, os.open, top + "/l", os.O_RDONLY | os.O_NOFOLLOW)


@case
def unnamed_temporary_file(top):
    try:
        handle = os.open(top, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError as error:
        assert error.errno in (errno.EOPNOTSUPP, errno.EISDIR), error
        return
    os.write(handle, b"x")
    equal(os.listdir(top), [])
    os.close(handle)


@case
def mapped_memory(top):
    data = os.urandom(300000)
    write(top + "/f", data)
    with open(top + "/f", "r+b") as file:
        with mmap.mmap(file.fileno(), 0) as shared:
            assert shared[:] == data
            shared[0:5] = b"begin"
            shared[299995:300000] = b"final"
            shared.flush()
        equal((os.pread(file.fileno(), 5, 0), os.pread(file.fileno(), 5, 299995)), (b"begin", b"final"))
        with mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE) as private:
            private[10:20] = b"notwritten"
    assert read(top + "/f") == b"begin" + data[5:299995] + b"final"


@case
def mapped_memory_outlives_its_handle(top):
    write(top + "/f", bytes(10000))
    handle = os.open(top + "/f", os.O_RDWR)
    shared = mmap.mmap(handle, 0)
    os.close(handle)
    shared[100:106] = b"mapped"
    shared.close()
    equal(read(top + "/f")[100:106], b"mapped")


@case
def copy_file_range_inside(top):
    data = os.urandom(2 * MIB + 5)
    write(top + "/a", data)
    with open(top + "/a", "rb") as source, open(top + "/b", "wb") as target:
        done = 0
        while done < len(data):
            step = os.copy_file_range(source.fileno(), target.fileno(), len(data) - done)
            assert step > 0, "stopped short"
            done += step
    assert read(top + "/b") == data
    with open(top + "/a", "rb") as source, open(top + "/c", "wb") as target:
        os.sendfile(target.fileno(), source.fileno(), 0, len(data))
    assert read(top + "/c") == data


@case
def whole_file_locks(top):
    write(top + "/f", b"")
    with open(top + "/f", "wb") as one, open(top + "/f", "wb") as two:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fails(errno.EWOULDBLOCK, fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(one, fcntl.LOCK_SH)
        fcntl.flock(two, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(one, fcntl.LOCK_UN)
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)


@case
def range_locks(top):
    write(top + "/f", b"x" * 100)
    with open(top + "/f", "r+b") as mine:
        fcntl.lockf(mine, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                with open(top + "/f", "r+b") as other:
                    fails((errno.EAGAIN, errno.EACCES), fcntl.lockf, other, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)
                    fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 50)
                status = 0
            finally:
                os._exit(status)
        equal(os.waitpid(pid, 0)[1], 0, "status of the other process")


@case
def a_waiting_lock_can_be_interrupted(top):
    write(top + "/f", b"")
    with open(top + "/f", "wb") as one:
        fcntl.flock(one, fcntl.LOCK_EX)
        pid = os.fork()
        if pid == 0:
            with open(top + "/f", "wb") as two:
                signal.alarm(1)
                fcntl.flock(two, fcntl.LOCK_EX)
            os._exit(0)
        equal(os.WTERMSIG(os.waitpid(pid, 0)[1]), signal.SIGALRM)


@case
def many_threads_many_files(top):
    failures = []

    def work(number):
        try:
            for i in range(20):
                path, data = f"{top}/{number}-{i}", os.urandom(1000 + 500 * i)
                write(path, data)
                assert read(path) == data, path
                if i % 3 == 0:
                    os.rename(path, path + ".moved")
                elif i % 3 == 1:
                    os.unlink(path)
        except (OSError, AssertionError) as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(failures, [])
    equal(len(os.listdir(top)), 8 * 13)


@case
def two_writers_of_one_file(top):
    size, path = 200000, top + "/f"
    write(path, bytes(size))

    def work(byte, start):
        with open(path, "r+b", buffering=0) as file:
            for offset in range(start, size, 2000):
                os.pwrite(file.fileno(), bytes([byte]) * 1000, offset)

    threads = [threading.Thread(target=work, args=a) for a in ((1, 0), (2, 1000))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(path) == (b"\1" * 1000 + b"\2" * 1000) * (size // 2000)


@case
def sync_calls(top):
    with open(top + "/f", "wb") as file:
        file.write(b"x")
        file.flush()
        os.fsync(file.fileno())
        os.fdatasync(file.fileno())
    handle = os.open(top, os.O_RDONLY)
    os.fsync(handle)
    equal(libc.syncfs(handle), 0, "syncfs")
    os.close(handle)


@case
def free_space_is_told(top):
    info = os.statvfs(top)
    assert info.f_bsize > 0 and info.f_frsize > 0 and info.f_namemax == 255, info
    assert 0 < info.f_bavail <= info.f_bfree <= info.f_blocks, info


if __name__ == "__main__":
    sys.exit(run())
