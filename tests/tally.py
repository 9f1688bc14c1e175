#!/usr/bin/python3
"""Counts tests: prints "PASSED FAILED SKIPPED" summed over the files given.

FILE.xml is JUnit's form, by pytest or by ctest. In ctest's a test is a whole
cmocka binary, so its cases are counted from what it printed; those that it
did not come to, because it crashed, have failed. Of any other file the lines
"ok NAME" and "not ok NAME" are counted.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree


def of_binary(case):
    """The counts of one test of ctest."""
    output = case.findtext("system-out") or ""
    passed = len(re.findall(r"^\[       OK \]", output, re.M))
    skipped = len(re.findall(r"^\[  SKIPPED \] (?!\d+ test)", output, re.M))
    skipped //= 2  # listed once more at the end
    began = sum(int(count) for count in re.findall(
        r"^\[=+\] Running (\d+) test\(s\)", output, re.M))
    failed = max(0, began - passed - skipped)
    if case.get("status") != "run" and failed == 0:
        failed = 1
    if (passed, failed, skipped) == (0, 0, 0):
        passed = 1
    return passed, failed, skipped


def of_suite(suite):
    """The counts of one testsuite of pytest."""
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    skipped = int(suite.get("skipped", 0))
    return int(suite.get("tests", 0)) - failed - skipped, failed, skipped


def of_junit(path):
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as fault:
        print(f"{path}: {fault}", file=sys.stderr)
        return 0, 1, 0
    cases = root.findall("testcase")
    if cases:
        return add(of_binary(case) for case in cases)
    return add(of_suite(suite) for suite in root.iter("testsuite"))


def of_lines(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    return (len(re.findall(r"^ok \S", text, re.M)),
            len(re.findall(r"^not ok \S", text, re.M)), 0)


def add(counts):
    return tuple(sum(column) for column in zip(*counts)) or (0, 0, 0)


def main():
    print(*add((of_junit if path.endswith(".xml") else of_lines)(path)
               for path in sys.argv[1:]))


if __name__ == "__main__":
    main()
