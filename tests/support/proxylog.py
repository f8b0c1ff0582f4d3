#!/usr/bin/env python3
"""Searches the log of faultproxy.py.

    proxylog.py LOG METHOD TARGET            how many requests fit (METHOD, TARGET as in its rules)
    proxylog.py LOG METHOD TARGET FIELD      one line each: the value of a field, or of a header"""
import json
import re
import sys


def main():
    log, method, target, *field = sys.argv[1:]
    method, target = re.compile(method.replace("*", ".*")), re.compile(target)
    with open(log, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file if line.endswith("\n")]
    fit = [r for r in lines if method.fullmatch(r["method"])
           and target.search(r["path"] + ("?" + r["query"] if r["query"] else ""))]
    if not field:
        print(len(fit))
    for request in fit if field else []:
        print(request.get(field[0], request["headers"].get(field[0], "")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
