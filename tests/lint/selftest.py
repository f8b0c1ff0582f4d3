#!/usr/bin/env python3
"""Each check can fail: small trees with one fault planted, and the place where it must be reported."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

GOOD = {
    "cache/base/err.h": "#ifndef ERR_H\n#define ERR_H\nint err(void);\n#endif\n",
    "cache/index/index.h": '#ifndef INDEX_H\n#define INDEX_H\n#include "cache/base/err.h"\nint i(void);\n#endif\n',
    "cache/index/index.c": '#include "index.h"\n#include <lmdb.h>\n#include <stdio.h>\n\nint i(void)\n{\n\treturn 0;\n}\n',
    "cache/flow/fill.c": '#include "cache/index/index.h"\n',
    "cache/cache.h": "#ifndef CACHE_H\n#define CACHE_H\nint c(void);\n#endif\n",
    "fs/main.c": '#include <fuse_lowlevel.h>\n#include "cache/cache.h"\n#include "cache/base/err.h"\n',
    "tests/unit/test_index.c": '#include "cache/index/index.h"\n#include <lmdb.h>\n',
}


def function(lines=1, arguments="void"):
    return f"int f({arguments})\n{{\n" + "\t;\n" * (lines - 2) + "}\n"


# check, file, what stands in it, the line that must be reported (None: the tree is fine)
CASES = [
    ("layers", "fs/main.c", '#include "cache/flow/fill.h"\n', 1),
    ("layers", "fs/main.c", '\n#include "cache/index/index.h"\n', 2),
    ("layers", "cache/tree.c", '#include "cache/cache.h"\n#include <lmdb.h>\n', 2),
    ("layers", "cache/blob/blob.c", '#include "cache/index/index.h"\n', 1),
    ("layers", "cache/index/names.c", '#include "cache/cache.h"\n', 1),
    ("layers", "cache/base/log.c", '#include "cache/index/index.h"\n', 1),
    ("layers", "cache/base/log.c", '#include "../index/index.h"\n', 1),
    ("layers", "cache/flow/send.c", "#include <curl/curl.h>\n", 1),
    ("layers", "cache/file.c", "#  include <fuse_lowlevel.h>\n", 1),
    ("layers", "cache/index/x.c", "#include <openssl/evp.h>\n", 1),
    ("layers", "cache/blob/x.c", "#include <cache/base/err.h>\n", 1),
    ("layers", "cache/blob/x.c", "#include HIDDEN\n", 1),
    ("layers", "cache/blob/x.c", '#include "missing.h"\n', 1),
    ("layers", "cache/flow/x.c", '#include "cache/index/index.c"\n', 1),
    ("layers", "other/x.c", '#include "cache/base/err.h"\n', 1),
    ("layers", "cache/flow/x.c", '#include "cache/base/err.h"\n/* #include "fs/x.h" */\n', None),
    ("sizes", "cache/long.c", "\n" * 501, 501),
    ("sizes", "cache/long.c", "\n" * 500, None),
    ("sizes", "cache/long.h", "\n" * 201, 201),
    ("sizes", "tests/unit/test_long.c", "\n" * 801, 801),
    ("sizes", "tests/unit/test_long.c", "\n" * 800, None),
    ("sizes", "cache/f.c", function(lines=61), 2),
    ("sizes", "cache/f.c", function(lines=60), None),
    ("sizes", "cache/f.c", function(arguments="int a, int b, int c, int d, int e, int f, int g"), 2),
    ("sizes", "cache/f.c", function(arguments="int a, int b, int c, int d,\n      int e, int f, int g"), 3),
    ("sizes", "cache/f.c", function(arguments="int a, int (*b)(int, int), int c, int d, int e, int f"), None),
    ("headers", "cache/alone.h", "#ifndef A_H\n#define A_H\nsize_t f(void);\n#endif\n", 1),
    ("headers", "cache/twice.h", "struct s {\n\tint a;\n};\n", 1),
    ("headers", "cache/same.h", "#ifndef CACHE_H\n#define CACHE_H\nint g(void);\n#endif\n", 1),
    ("headers", "cache/fine.h", "#ifndef F_H\n#define F_H\n#include <stddef.h>\nsize_t f(void);\n#endif\n", None),
    ("names", "README.md", "\nsee /w" + "ork/main\n", 2),
    ("names", "tests/x.sh", "cd /tmp/b" + "uild-me\n", 1),
    ("names", "tests/x.sh", "curl https://r" + "egistry.example.org/x\n", 1),
    ("names", "cache/x.c", "/* TO" + "DO */\n", 1),
    ("names", "cache/blob_util.c", "int u;\n", 1),
    ("names", "README.md", "at home: ~/work/tootfs, mkdtemp XXXXXX, utility\n", None),
]


def plant(root, files):
    for path, text in files.items():
        os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
        with open(os.path.join(root, path), "w", encoding="utf-8") as file:
            file.write(text)


def run(check, files):
    with tempfile.TemporaryDirectory() as root:
        plant(root, files)
        script = os.path.join(HERE, check + ".py")
        done = subprocess.run([sys.executable, script, root], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def main():
    failed = 0
    cases = [(check, "README.md", "good\n", None) for check in ("layers", "sizes", "headers", "names")] + CASES
    for check, path, text, line in cases:
        status, output = run(check, {**GOOD, path: text})
        if status == 77:
            continue
        good = status == 0 if line is None else status == 1 and f"{path}:{line}: " in output
        if not good:
            failed += 1
            print(f"{check}: {path} {text[:60]!r}: expected {line}, status {status}\n{output}")
    print(f"{len(cases)} cases, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
