#!/usr/bin/env python3
"""Every header compiles alone, twice in a row, with each compiler that is here; no two share a guard."""
import os
import re
import shutil
import subprocess
import sys

from shared import tree

FLAGS = "-std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wshadow -Werror -fsyntax-only -x c -".split()


def library_flags():
    names = ["fuse3", "lmdb", "libcurl", "libcrypto", "expat", "jansson", "libmicrohttpd"]
    try:
        done = subprocess.run(["pkg-config", "--cflags", *names], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    # as CMake includes them: what they would be warned for is not ours
    return done.stdout.replace("-I", "-isystem").split() if done.returncode == 0 else []


def compile_alone(compiler, root, path, flags):
    source = f'#include "{path}"\n#include "{path}"\nextern int not_empty;\n'
    done = subprocess.run([compiler, "-I.", *flags, *FLAGS], input=source, capture_output=True, text=True,
                          check=False, cwd=root)
    return done.stderr if done.returncode else None


def check_guard(root, path, seen):
    text = "\n".join(tree.lines(root, path))
    guard = re.search(r"^#ifndef (\w+)\n#define \1$", text, re.MULTILINE)
    if not guard:
        return "no guard"
    other = seen.setdefault(guard.group(1), path)
    return None if other == path else f"its guard {guard.group(1)} is also that of {other}"


def main():
    root = os.path.abspath(tree.root_argument())
    compilers = [c for c in ("gcc", "clang") if shutil.which(c)]
    if not compilers:
        print("no compiler")
        return 77
    flags, findings, seen = library_flags(), [], {}
    headers = tree.files(root, (".h",))
    for path in headers:
        text = check_guard(root, path, seen)
        if text:
            findings.append((path, 1, text))
        for compiler in compilers:
            errors = compile_alone(compiler, root, path, flags)
            if errors:
                findings.append((path, 1, f"does not compile alone with {compiler}:\n{errors}"))
    print(f"compilers: {' '.join(compilers)}")
    return tree.finish(findings, len(headers))


sys.exit(main())
