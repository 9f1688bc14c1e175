"""The tests themselves: every threat row due now has one."""

import glob
import os
import re

DUE = ("A1 A2 A3 A4 A5 A6 A7 A8 A9 B1 B5 B7 B10 B11 B12 B14 B15 C1 C2 C3 C4 "
       "C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 D1 D2 D3 D4 D5 D6 D7 D8 D9 D10 "
       "D11 E1 E2 E3 E4 E5 E6 E7 E8 E9 E10 E11 E12 E13 E14 E15 F1 F2 F3 F4 "
       "F5 G1 G2 G6 G8 H1 H2 H3 H4 H6 H7 H8").split()


def test_every_due_threat_row_has_a_test():
    rows = set()
    here = os.path.dirname(os.path.abspath(__file__))
    for path in glob.glob(os.path.join(here, "test_*.py")):
        with open(path, encoding="utf-8") as source:
            for marker in re.findall(r"mark\.threat\(([^)]*)\)",
                                     source.read()):
                rows |= set(re.findall(r'"([A-I]\d+)"', marker))

    assert set(DUE) <= rows, set(DUE) - rows
