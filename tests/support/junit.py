#!/usr/bin/env python3
"""Reads what ctest --output-junit wrote: "PASSED FAILED SKIPPED", then "SKIP test: why" and "FAIL test" lines."""
import re
import sys
import xml.etree.ElementTree as ET


def main():
    cases = list(ET.parse(sys.argv[1]).getroot().iter("testcase"))
    kinds = {"run": [], "fail": [], "notrun": [], "disabled": []}
    for case in cases:
        kinds.setdefault(case.get("status"), []).append(case)
    # ctest has "notrun" both for a test that skipped itself and for one whose program is not there
    absent = [c for c in kinds["notrun"] if c.find("skipped") is None
              or "SKIP_RETURN_CODE" not in (c.find("skipped").get("message") or "")]
    skipped = [c for c in kinds["notrun"] if c not in absent]
    failed = kinds["fail"] + absent
    print(len(kinds["run"]), len(failed), len(skipped) + len(kinds["disabled"]))
    for case in skipped:
        why = re.search(r"SKIP: (.*)", case.findtext("system-out") or "")
        print("SKIP", case.get("name") + ":", why.group(1) if why else "no reason given")
    for case in failed:
        print("FAIL", case.get("name"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
