#!/usr/bin/env python3
"""table.py RESULTS "NAME NAME …": the table of tests/bench/run, from lines of NAME ROW MICROSECONDS|late|wrong."""
import collections
import statistics
import sys

ROWS = [("copy", "cp -a until all is in the bucket"), ("find-after", "find -type f, right after"),
        ("find-cold", "find -type f, new mount, no cache"), ("read-cold", "read everything, no cache"),
        ("read-warm", "read everything again")]


def text_of(values, unit=1e6):
    if not values:
        return "-"
    odd = [v for v in values if not v.isdigit()]
    if odd:
        return {"late": "gave up", "wrong": "WRONG"}.get(odd[0], odd[0])
    numbers = [int(v) / unit for v in values]
    digits = 2 if statistics.median(numbers) < 10 else 1
    text = f"{statistics.median(numbers):.{digits}f}"
    if len(numbers) > 1:
        text += f" ({min(numbers):.{digits}f}-{max(numbers):.{digits}f})"
    return text


def main():
    found = collections.defaultdict(list)
    with open(sys.argv[1], encoding="ascii") as file:
        for line in file:
            name, row, value = line.split()
            found[name, row].append(value)
    names = sys.argv[2].split()
    print("\nseconds: median (min-max)")
    print(f"{'':36}" + "".join(f"{n:>24}" for n in names))
    for row, title in ROWS:
        print(f"{title:36}" + "".join(f"{text_of(found[n, row]):>24}" for n in names))
    peaks = [str(max(map(int, found[n, "memory"]))) if found[n, "memory"] else "" for n in names]
    print(f"{'daemon, peak MiB':36}" + "".join(f"{text_of([p] if p else [], 1024):>24}" for p in peaks))
    complaints = [max(found[n, "complaints"], key=int) if found[n, "complaints"] else "-" for n in names]
    print(f"{'lines of complaint from cp -a':36}" + "".join(f"{c:>24}" for c in complaints))
    return 0


if __name__ == "__main__":
    sys.exit(main())
