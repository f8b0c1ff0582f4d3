#!/usr/bin/env python3
"""Random calls on a mount and on a plain folder, side by side, from several threads; see run.

    model.py MOUNT MODEL --seconds N --seed N [--threads N] [--calls N]

Each thread has a folder of its own; one more is for all of them, a call at a time. Every answer must be the
same. At quiet points, when no thread is in a call, the trees are compared: names, types, modes, owners, sizes, link counts, times,
targets, attributes and bytes. A folder "ballast" may be in both: it is read, so that the cache is too small."""
import argparse
import os
import random
import sys
import threading
import time

import calls

QUIET_CALLS = 400  # of each thread, between two quiet points


class Player:
    def __init__(self, options, name, seed):
        self.mount = calls.Tree(os.path.join(options.mount, name))
        self.model = calls.Tree(os.path.join(options.model, name))
        self.name, self.dice = name, random.Random(seed)
        self.chooser = calls.Chooser(self.dice, self.model.root)
        self.made, self.refused, self.last = 0, 0, []

    def play(self):
        call = self.chooser.call()
        self.last = self.last[-29:] + [call]
        got, wanted = self.mount.make(call), self.model.make(call)
        if not calls.same_answer(got, wanted):
            shown = "\n".join(f"  {str(c)[:200]}" for c in self.last)
            raise AssertionError(f"{self.name}: {call[0]} gave {got}, not {wanted}; the last calls:\n{shown}")
        self.made += 1
        self.refused += isinstance(got, int) and got < 0

    def close(self):
        self.mount.close_all()
        self.model.close_all()


class Play:
    def __init__(self, options):
        self.options, self.failures, self.quiet_points, self.ballast_reads = options, [], 0, 0
        for name in [f"t{i}" for i in range(options.threads)] + ["all"]:
            os.mkdir(os.path.join(options.mount, name))
            os.mkdir(os.path.join(options.model, name))
        self.players = [Player(options, f"t{i}", options.seed * 1000 + i) for i in range(options.threads)]
        self.shared, self.shared_lock = Player(options, "all", options.seed * 1000 + 999), threading.Lock()
        self.barrier = threading.Barrier(options.threads, action=self.quiet)
        self.until, self.done = time.monotonic() + options.seconds, False

    def quiet(self):
        """In one thread, while the others wait."""
        self.quiet_points += 1
        found = [line for _, line in zip(range(20), calls.differences(self.options.mount, self.options.model))]
        if found:
            raise AssertionError(f"at quiet point {self.quiet_points}:\n" + "\n".join(found))
        made = sum(p.made for p in self.players)
        self.done = time.monotonic() > self.until or (self.options.calls and made >= self.options.calls)

    def read_ballast(self, dice):
        folder = os.path.join(self.options.model, "ballast")
        if not os.path.isdir(folder):
            return
        name = dice.choice(sorted(os.listdir(folder)))
        self.ballast_reads += 1
        if not calls.same_bytes(os.path.join(folder, name), os.path.join(self.options.mount, "ballast", name)):
            raise AssertionError(f"ballast/{name}: other bytes")

    def run(self, player):
        try:
            while not self.done:
                for step in range(QUIET_CALLS):
                    player.play()
                    if step % 8 == 0:
                        with self.shared_lock:
                            self.shared.play()
                    if step % 50 == 0:
                        self.read_ballast(player.dice)
                self.barrier.wait()
        except threading.BrokenBarrierError:
            pass
        except BaseException as error:  # whatever it is, the others must not wait for this one
            self.failures.append(repr(error) if not isinstance(error, AssertionError) else str(error))
            self.barrier.abort()

    def all(self):
        threads = [threading.Thread(target=self.run, args=(p,)) for p in self.players]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for player in [*self.players, self.shared]:
            player.close()
        if not self.failures:
            self.quiet_points += 1
            self.failures += calls.differences(self.options.mount, self.options.model)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mount")
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--calls", type=int, default=0)
    options = parser.parse_args()
    os.umask(0)
    play = Play(options)
    play.all()
    players = [*play.players, play.shared]
    print(f"seed {options.seed}: {sum(p.made for p in players)} calls ({sum(p.refused for p in players)} refused on both "
          f"sides), {play.quiet_points} quiet points, {play.ballast_reads} reads of ballast, {len(play.failures)} failures")
    for failure in play.failures[:20]:
        print(failure, file=sys.stderr)
    return 1 if play.failures else 0


if __name__ == "__main__":
    sys.exit(main())
