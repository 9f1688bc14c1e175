"""What the tools print is read right."""

from collections import Counter

import counts

DUMP = """\
version: 1
events: Ir

ob=(1) /usr/lib/libcrypto.so.0
fl=(1) ???
fn=(1) 0x1000
100 7
+3 5

ob=(2) /usr/bin/gatepost
fl=(2) pick.c
fn=(2) dial_next
10 100
cfn=(3) pick_next
calls=2 20
11 60
12 1
cob=(1)
cfn=(1)
calls=4 0
13 48

fn=(3)
20 60

totals: 173
"""


def test_a_dump_gives_own_costs_by_file_and_whole_costs_by_function(tmp_path):
    path = tmp_path / "dump"
    path.write_text(DUMP, encoding="utf-8")

    costs, functions = counts.read_dump(path)

    assert costs == {"libcrypto.so.0": 12, "gatepost": 161}
    assert functions["pick_next"].calls == 2
    assert functions["pick_next"].instructions == 60
    assert functions["0x1000"].instructions == 48


def test_a_call_told_in_two_lines_counts_once(tmp_path):
    trace = tmp_path / "trace"
    trace.write_bytes(
        b"7  read(9,  <unfinished ...>\n"
        b"8  write(4, \"\"..., 12) = 12\n"
        b"7  <... read resumed>\"\"..., 64) = 12\n"
        b"7  epoll_wait(5, [], 1024, 10) = 0\n"
        b"8  rea")

    calls, end = counts.read_trace(trace, 0)
    trace.write_bytes(trace.read_bytes() + b"d(9, \"\"..., 64) = 0\n")
    later, _ = counts.read_trace(trace, end)

    assert calls == {"read": 1, "write": 1, "epoll_wait": 1}
    assert later == {"read": 1}


def test_the_cost_of_one_is_the_slope_between_two_batches():
    small = Counter({"read": 15, "openat": 3})
    large = Counter({"read": 35, "openat": 3, "close": 2})

    cost = counts.per_unit(small, 10, large, 30)

    assert cost == {"read": 1.0, "openat": 0.0, "close": 0.1}
