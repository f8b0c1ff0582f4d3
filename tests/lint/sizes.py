#!/usr/bin/env python3
"""Nothing longer than can be read at once: 500 lines a .c, 200 a .h, 60 a function, 6 arguments.

Tests are tables for a good part: their files may have 800 lines.
A function is found by its braces in the first column; its lines are those from brace to brace."""
import re
import sys

from shared import tree

C_LINES, H_LINES, TEST_LINES, FUNCTION_LINES, ARGUMENTS = 500, 200, 800, 60, 6
FOREIGN = {"splice_message", "http_request"}  # callbacks whose arguments a library has chosen


def signature(lines, brace):
    """The text between the end of what came before and the brace."""
    start = brace
    while start > 0 and not re.match(r"^(\s*$|[}#]|.*[;}]\s*$|.*\*/\s*$)", lines[start - 1]):
        start -= 1
    return " ".join(lines[start:brace])


def arguments(text):
    """The name, and how many commas stand between its parentheses; macros for attributes are in capitals."""
    match = re.search(r"\b(\w*[a-z]\w*)\s*\(", text)
    if not match:
        return "?", 0
    depth, count = 1, 1
    for c in text[match.end():]:
        depth += (c == "(") - (c == ")")
        if depth == 0:
            break
        count += c == "," and depth == 1
    return match.group(1), count


def check_functions(path, lines):
    brace = None
    for number, line in enumerate(lines):
        if line.rstrip() == "{":
            brace = number
        elif line.startswith("}") and brace is not None:
            name, count = arguments(signature(lines, brace))
            length = number - brace + 1
            if length > FUNCTION_LINES:
                yield path, brace + 1, f"{name}: {length} lines, {FUNCTION_LINES} at most"
            if count > ARGUMENTS and name not in FOREIGN:
                yield path, brace + 1, f"{name}: {count} arguments, {ARGUMENTS} at most"
            brace = None


def main():
    root = tree.root_argument()
    findings, sources = [], tree.files(root, (".c", ".h"))
    for path in sources:
        lines = tree.lines(root, path)
        count = len(lines) - (lines[-1] == "")
        limit = H_LINES if path.endswith(".h") else C_LINES
        if path.startswith("tests/"):
            limit = TEST_LINES
        if count > limit:
            findings.append((path, count, f"{count} lines, {limit} at most"))
        findings += check_functions(path, lines)
    return tree.finish(findings, len(sources))


sys.exit(main())
