"""Runs test cases in a folder of some filesystem: each in a fresh sub-folder, all of them even when one fails.

    @case
    def append_goes_to_the_end(top): ...

    if __name__ == "__main__":
        sys.exit(run())                  SCRIPT FOLDER [PATTERN]"""
import ctypes
import errno
import os
import re
import sys
import traceback

sys.dont_write_bytecode = True
CASES = []
libc = ctypes.CDLL(None, use_errno=True)


def case(function):
    CASES.append(function)
    return function


class Skip(Exception):
    """What the case is about cannot be tried here."""


def fails(wanted, function, *arguments, **named):
    """The call must fail with this errno, or one of these."""
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    try:
        result = function(*arguments, **named)
    except OSError as error:
        assert error.errno in wanted, (f"{error.strerror} instead of "
                                       f"{' or '.join(errno.errorcode[w] for w in wanted)}")
        return
    raise AssertionError(f"succeeded ({result!r}) instead of {errno.errorcode[wanted[0]]}")


def equal(got, wanted, what="value"):
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"


def call(name, *arguments):
    """A system call wrapper of libc that Python lacks; raises OSError."""
    result = getattr(libc, name)(*arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def write(path, data, mode="wb"):
    with open(path, mode) as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def as_user(uid, function, *arguments):
    """Runs the function in a child as an ordinary user; its failure is ours. Root only."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            function(*arguments)
            status = 0
        except BaseException:  # pylint: disable=broad-except
            traceback.print_exc()
        finally:
            os._exit(status)
    equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, f"what uid {uid} did")


def where(error):
    """The line of the case, not of the helper that raised."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    return frames[-1].lineno if frames else 0


def run():
    folder, pattern = sys.argv[1], re.compile(sys.argv[2] if len(sys.argv) > 2 else "")
    failed = 0
    for function in CASES:
        if not pattern.search(function.__name__):
            continue
        top = os.path.join(folder, function.__name__)
        os.mkdir(top)
        try:
            function(top)
            print(f"ok {function.__name__}")
        except Skip as reason:
            print(f"skipped {function.__name__}: {reason}")
        except (AssertionError, OSError, ValueError) as error:
            failed += 1
            print(f"FAIL {function.__name__}, line {where(error)}: {type(error).__name__}: {error}")
    return 1 if failed else 0
