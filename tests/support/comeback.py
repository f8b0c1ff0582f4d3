#!/usr/bin/env python3
"""How clients came back after an outage: comeback.py PROXYLOG, which begins when the bucket was back.

Nobody may hurry: one request is answered before a second one is begun, and then no more are under way at a time than
uploads and downloads may be."""
import json
import sys

AT_A_TIME = 16 + 16


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        requests = sorted((r["t"], r["t"] + r["ms"] / 1000) for r in map(json.loads, file) if not r["fault"])
    first = requests[0]
    early = [r for r in requests[1:] if r[0] < first[1]]
    busiest = max(sum(1 for other in requests if other[0] <= begin < other[1]) for begin, _ in requests)
    soon = sum(1 for begin, _ in requests if begin < first[0] + 1)
    print(f"{soon} requests in the first second, {busiest} at a time, {len(early)} besides the probe")
    return len(early) > 1 or busiest > AT_A_TIME


if __name__ == "__main__":
    sys.exit(main())
