#!/usr/bin/env python3
"""Each S3 operation × each fault, on one mount behind faultproxy.py.

    faultmatrix.py prepare                           puts into the bucket what the workload finds there
    faultmatrix.py run MOUNT RULES PROXYLOG [every=N] [seed=N] [only=REGEX]    every=N: one cell of N, another one for each seed

A cell is one request of one operation that goes wrong in one way. Each has keys of its own, which its rule names, so
that all cells of a phase go wrong at the same time on one mount. What must follow, for every cell:

    reads    FAILS says in words which faults end the read with EIO, and never more than so many times; after that, and
             else at once, the right bytes come. Wrong bytes, or no end, never.
    writes   the object is there with the right bytes in bounded time, with no help. What is refused for good with a word
             about the whole bucket (403) stops the sender, which says so, and goes on when it is answered.
    at last  the bucket holds exactly what the model says, and no upload is left.

A failed cell is one line: operation, fault, what happened; the seed chooses cells and bytes."""
import concurrent.futures
import os
import random
import re
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import s3 as s3client  # noqa: E402

PATIENCE = float(os.environ.get("TOOTFS_PATIENCE", "1"))
MIB = 1 << 20
LARGE = 5 * MIB + 1000  # two parts
GARBAGE = "status=200 body=garbage"

FAULTS = {  # what the first request of the cell meets
    "reset-before": "reset=before",
    "reset-after": "reset=after",
    "reset-in-body": "reset=body",
    "500": "status=500 code=InternalError",
    "500-but-done": "status=500 code=InternalError when=after",
    "503": "status=503 code=ServiceUnavailable",
    "slow-down": "status=503 code=SlowDown retry_after=1",
    "403-expired": "status=403 code=ExpiredToken",
    "404": "status=404 code=NoSuchKey",
    "404-upload": "status=404 code=NoSuchUpload",
    "409": "status=409 code=OperationAborted",
    "412": "status=412 code=PreconditionFailed",
    "200-with-error": "status=200 code=InternalError",
    "truncated": "truncate=20",
    "stalled": "stall=before",
    "stalled-after": "stall=after",
    "wrong-length": "shorten=-5",
    "wrong-checksum": "status=400 code=XAmzContentSHA256Mismatch",
    "other-etag": 'header=etag:"00000000000000000000000000000000"',
    "garbage": GARBAGE,
}
UPLOAD_ONLY = {"404-upload"}

FAILS = {  # reads that end with EIO, and how often at most, before they are right again
    "403-expired": 1,
    "404": 1,
    "stalled": 6,  # so many at a time look like an outage, in which reads fail at once
    "stalled-after": 6,
    "other-etag": 2,
    "412": 2,
    "200-with-error": 2,
    "wrong-length": 2,
    "wrong-checksum": 2,
    "garbage": 2,
}

READS = ("get", "range", "list")
UPLOADS = ("create", "part", "complete", "abort", "uploads")
WRITES = ("put", "copy", "head") + UPLOADS
DELETES = ("delete", "batch")
BATCHES = [f"batch/{i}" for i in range(80)]


def content(name, size):
    return random.Random(name).randbytes(size)


class Cell:
    def __init__(self, operation, fault):
        self.operation, self.fault = operation, fault
        self.name = f"{operation}.{fault}"
        self.folder = f"{operation}/{fault}"
        self.failed_reads = 0

    def key(self, name="o"):
        return f"{self.folder}/{name}"

    def rule(self, seen):
        key, do = re.escape(urllib.parse.quote(self.folder)), FAULTS[self.fault]
        if self.operation in DELETES + ("abort",) and self.fault.startswith("404"):
            do += " when=after"  # said of what is there, it would be a lie that nobody can see through
        encoded = re.escape(urllib.parse.quote(self.folder, safe=""))
        at = f"range=bytes={seen * MIB}-"
        method, target = {
            "get": ("GET", f"/{key}/o"),
            "range": ("GET", "/range/large"),
            "list": ("GET", rf"list-type=2.*prefix={encoded}"),
            "put": ("PUT", f"/{key}/o"),
            "copy": ("PUT", f"/{key}/p"),
            "head": ("HEAD", f"/{key}/o"),
            "create": ("POST", rf"/{key}/o\?uploads"),
            "part": ("PUT", rf"/{key}/o\?.*partNumber=2"),
            "complete": ("POST", rf"/{key}/o\?uploadId"),
            "abort": ("DELETE", rf"/{key}/o\?uploadId"),
            "uploads": ("GET", rf"uploads=?&prefix={encoded}%2Fo"),
            "delete": ("DELETE", f"/{key}/o"),
            "batch": ("POST", r"\?delete$|\?delete="),
        }[self.operation]
        when = {"range": f"first=1 {at}", "batch": f"nth={2 * seen + 2}"}.get(self.operation, "first=1")
        words = [f"{method} {target} {when} {do} name={self.name}"]
        if self.operation == "abort":
            words.append(rf"PUT /{key}/o\?.*partNumber=2 first=1 status=404 code=NoSuchUpload")
        if self.operation == "uploads":
            words.append(rf"POST /{key}/o\?uploads first=1 reset=after")
        return words


def cells(every, seed, only="."):
    found = []
    for operation in READS + WRITES + DELETES:
        for fault in FAULTS:
            if fault in UPLOAD_ONLY and operation not in UPLOADS:
                continue
            if fault in ("other-etag",) and operation not in ("get", "range"):
                continue
            if re.search(only, f"{operation}.{fault}"):
                found.append(Cell(operation, fault))
    dice = random.Random(seed)
    first = dice.randrange(every)
    return found[first::every]


class Matrix:
    def __init__(self, mount, rules, log, every, seed, only):
        self.mount, self.rules, self.log = mount, rules, log
        self.s3 = s3client.S3()
        self.cells, self.wrong, self.seed = cells(every, seed, only), [], seed
        self.gone = []  # folders of BATCHES
        self.began = time.monotonic()

    def of(self, *operations):
        return [c for c in self.cells if c.operation in operations]

    def path(self, key):
        return os.path.join(self.mount, key)

    def complain(self, cell, what):
        self.say_wrong(f"{cell.operation:9} × {cell.fault:15} {what}")

    def say_wrong(self, line):
        self.wrong.append(line)
        print(f"FAIL: {line} (seed {self.seed})", file=sys.stderr, flush=True)

    def set_rules(self, cells_now):
        lines = [line for cell in cells_now for line in cell.rule(list(FAULTS).index(cell.fault))]
        with open(self.rules + ".new", "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        os.rename(self.rules + ".new", self.rules)

    # -- reads --

    def read(self, cell):
        if cell.operation == "list":
            return b"".join(sorted(os.fsencode(n) for n in os.listdir(self.path(cell.folder))))
        if cell.operation == "get":
            with open(self.path(cell.key()), "rb", buffering=0) as file:
                return file.read()
        with open(self.path("range/large"), "rb", buffering=0) as file:
            return os.pread(file.fileno(), 4096, list(FAULTS).index(cell.fault) * MIB)

    def wanted(self, cell):
        if cell.operation == "list":
            return b"abc"
        if cell.operation == "get":
            return content(cell.key(), 50000)
        start = list(FAULTS).index(cell.fault) * MIB
        return content("range/large", len(FAULTS) * MIB)[start:start + 4096]

    def try_read(self, cell):
        end = time.monotonic() + 25 * PATIENCE
        while True:
            try:
                if self.read(cell) != self.wanted(cell):
                    self.complain(cell, "WRONG BYTES")
                break
            except OSError as error:
                cell.failed_reads += 1
                if time.monotonic() > end:
                    self.complain(cell, f"not readable in the end: {error}")
                    return
                time.sleep(0.7)
        if cell.failed_reads > FAILS.get(cell.fault, 0):
            self.complain(cell, f"{cell.failed_reads} reads failed, at most {FAILS.get(cell.fault, 0)} should")

    def reads(self):
        os.stat(self.path("range/large"))
        for folder in ("get", "range", "list"):
            os.listdir(self.path(folder))
        for cell in self.of("get"):
            os.listdir(self.path(cell.folder))
        self.set_rules(self.of(*READS))
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            list(pool.map(self.try_read, self.of(*READS)))

    # -- writes --

    def make(self, cell):
        if cell.operation in ("copy", "head"):
            os.rename(self.path(cell.key("o")), self.path(cell.key("p")))
            return
        with open(self.path(cell.key()), "wb") as file:
            file.write(self.model(cell)[1])

    @staticmethod
    def model(cell):
        """(key, bytes) in the end; bytes None: no such key."""
        if cell.operation in ("copy", "head"):
            return cell.key("p"), content(cell.key("o"), 3000)
        return cell.key(), content(cell.key(), 20000 if cell.operation == "put" else LARGE)

    def is_sent(self, cell):
        key, wanted = self.model(cell)
        try:
            return self.s3.get(key.encode()) == wanted
        except s3client.Refused:
            return False

    def wait_all(self, what, waiting, seconds):
        """waiting: cell → is it done? Says which are not."""
        end, open_cells = time.monotonic() + seconds * PATIENCE, list(what)
        while open_cells and time.monotonic() < end:
            open_cells = [cell for cell in open_cells if not waiting(cell)]
            time.sleep(0.2 if open_cells else 0)
        for cell in open_cells:
            self.complain(cell, "not done in time")

    def writes(self):
        todo = self.of(*WRITES)
        for cell in todo:
            if cell.operation in ("copy", "head"):
                os.listdir(self.path(cell.folder))
            else:
                os.makedirs(self.path(cell.folder))
        for cell in todo:
            self.make(cell)

    # -- deletes --

    def sync(self):
        fd = os.open(self.mount, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)

    def is_gone(self, cell):
        return not list(self.s3.list(cell.folder.encode() + b"/"))

    def fired(self):
        with open(self.log, encoding="utf-8") as file:
            return {name for line in file for name in re.findall(r'"name": "([^"]*)"', line)}

    def delete_batches(self):
        """A batch is not told by its target: batches are made until each fault has met one."""
        left = {cell.name for cell in self.of("batch")}
        for folder in BATCHES if left else []:
            os.listdir(self.path(folder))
            for name in "abc":
                os.unlink(self.path(f"{folder}/{name}"))
            self.gone.append(folder)
            self.sync()
            end = time.monotonic() + 0.5
            while time.monotonic() < end and list(self.s3.list(f"{folder}/".encode())):
                time.sleep(0.02)
            if not left - self.fired():
                break

    def deletes(self):
        for cell in self.of("delete"):
            os.listdir(self.path(cell.folder))
            os.unlink(self.path(cell.key("o\x01")))

    def changes(self):
        self.set_rules(self.of(*WRITES, *DELETES))
        self.writes()
        self.deletes()
        # So many refusals and stalls in a row are an outage to the sender, which then tries every 30 s at last.
        self.wait_all(self.of(*WRITES), self.is_sent, 120)
        self.wait_all(self.of("delete"), self.is_gone, 90)
        self.delete_batches()

    def run(self):
        for phase in (self.reads, self.changes):
            phase()
            print(f"{phase.__name__}: {time.monotonic() - self.began:.1f} s", flush=True)
        end = time.monotonic() + 20 * PATIENCE
        while self.s3.uploads() and time.monotonic() < end:
            time.sleep(0.3)
        for key, _ in self.s3.uploads():
            self.say_wrong(f"an upload is left: {key.decode()}")
        end = time.monotonic() + 30 * PATIENCE
        while self.keys_wrong() and time.monotonic() < end:
            time.sleep(0.3)
        for line in self.keys_wrong():
            self.say_wrong(line)
        # last: the log has a stalled request when its client has given up
        while {cell.name for cell in self.cells} - self.fired() and time.monotonic() < end:
            time.sleep(0.3)
        fired = self.fired()
        for cell in self.cells:
            if cell.name not in fired:
                self.complain(cell, "never happened")
        return self.wrong

    def keys_wrong(self):
        touched = {cell.name for cell in self.cells}
        wanted = {b"range/large"} | {f"{f}/{n}".encode() for f in BATCHES if f not in self.gone for n in "abc"}
        for cell in cells(1, 0):
            if cell.name in touched and cell.operation in WRITES:
                wanted.add(self.model(cell)[0].encode())
            elif cell.name not in touched or cell.operation in READS:
                wanted |= {name.encode() for name, _ in prepared(cell)}
        there = {key for key, _, _ in self.s3.list()}
        return [f"key {'left over' if key in there else 'missing'}: {key!r}" for key in sorted(there ^ wanted)]


def prepared(cell):
    if cell.operation == "get":
        return [(cell.key(), content(cell.key(), 50000))]
    if cell.operation == "list":
        return [(cell.key(name), b"x") for name in "abc"]
    if cell.operation in ("copy", "head"):
        return [(cell.key(), content(cell.key(), 3000))]
    if cell.operation == "delete":
        return [(cell.key("o\x01"), b"x")]
    return []


def prepare():
    client = s3client.S3()
    things = [thing for cell in cells(1, 0) for thing in prepared(cell)]
    things += [(f"{folder}/{name}", b"x") for folder in BATCHES for name in "abc"]
    things.append(("range/large", content("range/large", len(FAULTS) * MIB)))
    client.each(lambda thing: client.put(thing[0].encode(), thing[1]), things)


def main():
    if sys.argv[1] == "prepare":
        prepare()
        return 0
    mount, rules, log, *words = sys.argv[2:]
    options = dict(word.split("=") for word in words)
    matrix = Matrix(mount, rules, log, int(options.get("every", 1)), int(options.get("seed", 1)),
                    options.get("only", "."))
    wrong = matrix.run()
    print(f"{len(matrix.cells)} cells, {len(wrong)} wrong, {time.monotonic() - matrix.began:.1f} s")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
