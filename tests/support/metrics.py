#!/usr/bin/env python3
"""Checks Prometheus text (0.0.4) on stdin more strictly than Prometheus reads it; then prints the values asked for.

    metrics.py [NAME | NAME{label="value"} …]

Each metric has HELP and TYPE before its samples, all together; no sample comes twice; counters end in _total and are not
negative; histograms grow from bucket to bucket, end at +Inf, and that is their count; names have our prefix or process_."""
import re
import sys

NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
SAMPLE = re.compile(rf'^({NAME})(?:\{{((?:{NAME}="(?:[^"\\\n]|\\["\\n])*",?)*)\}})? (\S+)$')
LABEL = re.compile(rf'({NAME})="((?:[^"\\\n]|\\["\\n])*)"')


def parse(text):
    types, helped, values, current, closed = {}, set(), {}, None, set()
    assert text.endswith("\n"), "the last line is not ended"
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            _, _, name, words = line.split(" ", 3)
            assert name not in helped and words.endswith("."), line
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name in helped and name not in types and kind in ("gauge", "counter", "histogram"), line
            assert name.startswith(("tootfs_", "process_")), line
            assert (kind == "counter") == name.endswith("_total"), line
            closed.add(current)
            types[name], current = kind, name
        else:
            take_sample(line, types, values, current, closed)
    assert helped == set(types), helped ^ set(types)
    return types, values


def take_sample(line, types, values, current, closed):
    match = SAMPLE.match(line)
    assert match, f"no sample: {line!r}"
    name, labels, value = match.group(1), dict(LABEL.findall(match.group(2) or "")), float(match.group(3))
    family = re.sub("_(bucket|sum|count)$", "", name) if types.get(current) == "histogram" else name
    assert family == current and family not in closed, f"outside of its family: {line}"
    key = name + ("{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}" if labels else "")
    assert key not in values, f"twice: {line}"
    assert types[family] == "gauge" or value >= 0, line
    values[key] = (value, labels)


def check_histogram(family, values):
    rows = {}
    for key, (value, labels) in values.items():
        if key.startswith(family + "_bucket{"):
            rest = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
            rows.setdefault(rest, []).append((float(labels["le"]), value))
    assert rows, family
    for rest, buckets in rows.items():
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), (family, rest)
        assert [v for _, v in buckets] == sorted(v for _, v in buckets), (family, rest, "falls")
        labels = "{" + ",".join(f'{k}="{v}"' for k, v in rest) + "}" if rest else ""
        assert values[family + "_count" + labels][0] == buckets[-1][1], (family, rest, "count")
        assert family + "_sum" + labels in values, (family, rest, "sum")


def main():
    types, values = parse(sys.stdin.read())
    for family, kind in types.items():
        if kind == "histogram":
            check_histogram(family, values)
    for wanted in sys.argv[1:]:
        print(f"{values[wanted][0]:.10g}")


main()
