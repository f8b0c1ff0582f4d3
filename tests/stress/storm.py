#!/usr/bin/env python3
"""Kills a daemon again and again while threads change its mount, and looks each time for what was acknowledged; see kill.

    storm.py MOUNT MODEL --kills N --seed N --log FILE [--patience N] -- PROGRAM ARGUMENT…    (-f among them)

What a call acknowledged is also done in the plain folder MODEL. At the kill each thread has at most one call that was not
acknowledged: it may have happened or not, and of a file that was being written, also its being made or emptied alone.
All else must be exact: names, types, modes, owners, sizes, link counts, times, targets, attributes, bytes."""
import argparse
import errno
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import calls

GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENODEV, errno.ESTALE, errno.EINTR)
BUG = re.compile(rb"(ERROR: (Address|Leak)|WARNING: Thread)Sanitizer|runtime error:|[Aa]ssertion")
DAMAGE = re.compile(rb"damaged=[1-9]|damage(?!d=)|rescue|lost\+found")


class Failed(Exception):
    pass


class Daemon:
    def __init__(self, options):
        self.options, self.process = options, None

    def mounted(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            return any(line.split()[4] == self.options.mount for line in file)

    def launch(self):
        with open(self.options.log, "ab") as log:
            self.process = subprocess.Popen(self.options.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self):
        self.launch()
        end = time.monotonic() + 60 * self.options.patience
        while not self.mounted():
            if self.process.poll() is not None:
                raise Failed(f"the daemon ended instead of mounting: {self.process.returncode}")
            if time.monotonic() > end:
                raise Failed("not mounted in time")
            time.sleep(0.005)
        os.stat(self.options.mount)

    def kill(self):
        if self.process.poll() is not None:
            raise Failed(f"the daemon was gone before it was killed: {self.process.returncode}")
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def clear(self):
        while self.mounted():
            subprocess.run(["umount", "-l", self.options.mount], check=True)

    def stop(self):
        subprocess.run(["umount", self.options.mount], check=True)
        if self.process.wait(100 * self.options.patience) != 0:
            raise Failed(f"the daemon stopped with {self.process.returncode}")


class Burst:
    """Many small changes of one kind, one after the other; then of the next."""

    def __init__(self, dice, folder):
        self.dice, self.folder, self.next, self.names, self.rest = dice, folder, 0, [], []

    def path(self, name):
        return os.path.join(self.folder, name)

    def fresh(self):
        self.next += 1
        return f"b{self.next}"

    def refill(self):
        count = self.dice.randrange(20, 600)
        kinds = ["mkdir", "touch"] if len(self.names) < 100 else ["rename", "chmod", "swap", "remove", "remove", "times"]
        kind = self.dice.choice(kinds)
        if kind in ("mkdir", "touch"):
            made = [(self.fresh(), kind) for _ in range(count)]
            self.names += made
            return [("mkdir", self.path(n), 0o755) if k == "mkdir" else
                    ("put", self.path(n), os.O_CREAT | os.O_EXCL, 0o644, None, self.next, self.dice.randrange(40))
                    for n, k in made]
        some = self.dice.sample(range(len(self.names)), min(count, len(self.names)))
        if kind == "rename":
            result = []
            for i in some:
                new = self.fresh()
                result.append(("rename", self.path(self.names[i][0]), self.path(new), calls.NOREPLACE))
                self.names[i] = new, self.names[i][1]
            return result
        if kind == "swap":
            pairs = list(zip(some[::2], some[1::2]))
            for i, k in pairs:
                self.names[i], self.names[k] = (self.names[i][0], self.names[k][1]), (self.names[k][0], self.names[i][1])
            return [("rename", self.path(self.names[i][0]), self.path(self.names[k][0]), calls.EXCHANGE) for i, k in pairs]
        if kind == "remove":
            gone = [self.names[i] for i in some]
            self.names = [n for i, n in enumerate(self.names) if i not in set(some)]
            return [("rmdir" if k == "mkdir" else "unlink", self.path(n)) for n, k in gone]
        if kind == "chmod":
            return [("chmod", self.path(self.names[i][0]), self.dice.choice([0o700, 0o711])) for i in some]
        return [("utimens", self.path(self.names[i][0]), self.dice.randrange(10**18, 12 * 10**17)) for i in some]

    def call(self):
        while not self.rest:
            self.rest = self.refill()[::-1]
        return self.rest.pop()


class Writer:
    def __init__(self, options, number):
        self.name, self.dice = f"w{number}", random.Random(options.seed * 1000 + number)
        self.mount = calls.Tree(os.path.join(options.mount, "storm", self.name))
        self.model = calls.Tree(os.path.join(options.model, "storm", self.name))
        for tree in (self.mount, self.model):
            os.makedirs(os.path.join(tree.root, "burst"))
        self.chooser = calls.Chooser(self.dice, self.model.root, handles=False, big=0.004, many=200)
        self.burst = Burst(self.dice, "burst")
        self.made, self.undone, self.failure, self.settled = 0, None, None, {"not": 0, "partly": 0, "done": 0}

    def choose(self):
        if self.dice.random() < (0.97 if self.bursts else 0.1):
            return self.burst.call()
        while True:
            call = self.chooser.call()
            if not any(isinstance(a, str) and (a == "burst" or a.startswith("burst/")) for a in call[1:3]):
                return call

    def run(self):
        """Until the daemon is gone."""
        try:
            self.bursts = self.dice.random() < 0.5
            while True:
                call = self.choose()
                got = self.mount.make(call)
                if isinstance(got, int) and -got in GONE:
                    self.undone = call
                    return
                wanted = self.model.make(call)
                if not calls.same_answer(got, wanted):
                    raise Failed(f"{self.name}: {call[0]} gave {got}, not {wanted}: {str(call)[:300]}")
                self.made += 1
        except BaseException as error:
            self.failure = error

    def differences(self):
        return [line for _, line in zip(range(10), calls.differences(self.model.root, self.mount.root))]

    def empty(self, path, flags, mode):
        """What is done of a put before anything is written."""
        os.close(self.model.open(path, os.O_WRONLY | flags, mode))

    def verify(self):
        if self.failure:
            raise self.failure
        first, undone, self.undone = self.differences(), self.undone, None
        if not first or not undone:
            self.settled["not"] += undone is not None
            return first
        if undone[0] == "put" and undone[2]:
            try:
                self.empty(*undone[1:4])
            except OSError:
                return first
            if not self.differences():
                self.settled["partly"] += 1
                return []
            undone = (*undone[:2], undone[2] & ~os.O_EXCL, *undone[3:])
        self.model.make(undone)
        second = self.differences()
        self.settled["done"] += not second
        return second and [f"{self.name} without {undone[:3]}:", *first, "and with it:", *second]


class Storm:
    def __init__(self, options):
        self.options, self.dice, self.daemon = options, random.Random(options.seed), Daemon(options)
        self.kills = self.early = 0

    def recover(self):
        """Starts again; now and then it is killed at that, before or just after it has mounted."""
        self.daemon.clear()
        while self.kills < self.options.kills and self.dice.random() < 0.35:
            self.daemon.launch()
            time.sleep(self.dice.choice([0.003, 0.015, 0.06, 0.3]) * self.options.patience * self.dice.random())
            self.daemon.kill()
            self.daemon.clear()
            self.kills, self.early = self.kills + 1, self.early + 1
        self.daemon.start()

    def round(self):
        threads = [threading.Thread(target=writer.run) for writer in self.writers]
        for thread in threads:
            thread.start()
        time.sleep(self.dice.choice([0.05, 0.3, 1.5, 4]) * self.dice.random())
        self.daemon.kill()
        self.kills += 1
        for thread in threads:
            thread.join()
        self.recover()
        found = [line for writer in self.writers for line in writer.verify()]
        if found:
            raise Failed(f"after {self.kills} kills:\n" + "\n".join(found))

    def run(self):
        started = time.monotonic()
        self.daemon.start()
        self.writers = [Writer(self.options, i) for i in range(4)]
        while self.kills < self.options.kills:
            self.round()
            if self.kills // 50 > (self.kills - 1) // 50:
                print(f"{self.kills} kills, {time.monotonic() - started:.0f} s", flush=True)
        with open(self.options.log, "rb") as file:
            said = file.read()
        for line in said.splitlines():
            if BUG.search(line) or DAMAGE.search(line):
                raise Failed("the daemon says: " + line.decode(errors="replace"))
        settled = {how: sum(w.settled[how] for w in self.writers) for how in ("not", "partly", "done")}
        print(f"seed {self.options.seed}: {self.kills} kills ({self.early} of them while it started), "
              f"{sum(w.made for w in self.writers)} acknowledged calls, all there; of the calls cut short {settled['done']} "
              f"had happened, {settled['partly']} partly, {settled['not']} not; {time.monotonic() - started:.0f} s")


def main():
    split = sys.argv.index("--")
    parser = argparse.ArgumentParser()
    parser.add_argument("mount")
    parser.add_argument("model")
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--patience", type=int, default=1)
    options = parser.parse_args(sys.argv[1:split])
    options.command = sys.argv[split + 1:]
    os.umask(0)
    storm = Storm(options)
    try:
        storm.run()
        storm.daemon.stop()
        status = 0
    except Failed as failure:
        print(f"seed {options.seed}: {failure}", file=sys.stderr)
        status = 1
    if storm.daemon.process.poll() is None:
        storm.daemon.kill()
    storm.daemon.clear()
    return status


if __name__ == "__main__":
    sys.exit(main())
