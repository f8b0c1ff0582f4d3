#!/usr/bin/env python3
"""How much would a power cut cost? Writes files into a mount for some seconds, and looks at the cache meanwhile: what is in
index.mdb (its newest transaction) and what a power cut would leave (the transaction in `steady`, which is durable).

    lastsecond.py MOUNTPOINT CACHE SECONDS

Prints: looks, the median and the maximum of how long ago the first change that is not in `steady` was made, in ms. A
change comes into index.mdb up to 20 ms behind its acknowledgement (the journal has it before): they are added."""
import os
import statistics
import struct
import sys
import threading
import time

LOOK_S, BATCH_MS = 0.005, 20


def newest(folder):
    with open(os.path.join(folder, "index.mdb"), "rb") as file:
        first = file.read(512)
        file.seek(struct.unpack_from("<I", first, 40)[0])
        second = file.read(512)
    return max(struct.unpack_from("<Q", page, 144)[0] for page in (first, second))


def covered(folder):
    with open(os.path.join(folder, "steady"), "rb") as file:
        return struct.unpack_from("<Q", file.read(128), 64)[0]


def write(folder, stop):
    number = 0
    while not stop.is_set():
        with open(os.path.join(folder, f"{threading.get_ident()}-{number % 200}"), "wb") as file:
            file.write(os.urandom(20000))
        number += 1


def main():
    mount, cache, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    stop = threading.Event()
    threads = [threading.Thread(target=write, args=(mount, stop)) for _ in range(3)]
    for thread in threads:
        thread.start()
    made, waiting, ages = {}, [], []  # transaction → when it was first seen; those that steady does not cover
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now, txn, safe = time.monotonic(), newest(cache), covered(cache)
        if txn not in made:
            made[txn] = now
            waiting.append(txn)
        waiting = [t for t in waiting if t > safe]
        ages.append((now - made[waiting[0]]) * 1000 + BATCH_MS if waiting else 0)
        time.sleep(LOOK_S)
    stop.set()
    for thread in threads:
        thread.join()
    print(len(ages), len(made), round(statistics.median(ages)), round(max(ages)))


if __name__ == "__main__":
    main()
