"""What a crowd of idle sessions costs is counted right, and a guest gets the
files that it needs."""

import os
import resource
import subprocess
import sys

import pytest

import crowd
import kernel

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "guest"))

from archive import Archive  # noqa: E402


def kernel_holds(**caches):
    return {"caches": caches, "slabs": 0, "tables": 0, "vmalloc": 0,
            "buffers": 0}


def test_the_kernel_s_part_is_of_caches_that_grow_with_sessions():
    before = kernel_holds(TCP=(100, 2500), kmalloc=(5000, 64))
    after = kernel_holds(TCP=(500, 2500), kmalloc=(5010, 64),
                         filp=(400, 200))

    slope = kernel.KernelSlope(before, after, 100)

    assert slope.caches == [("TCP", 4.0, 10000.0), ("filp", 4.0, 800.0)]
    assert slope.sockets == 10800


def test_what_looking_at_sockets_costs_is_no_session_s():
    before = kernel_holds(proc_inode_cache=(0, 700))
    after = kernel_holds(proc_inode_cache=(400, 700))

    assert kernel.KernelSlope(before, after, 100).caches == []


def test_where_no_cache_can_be_read_all_slabs_count():
    before, after = kernel_holds(), kernel_holds()
    after["slabs"] = 1800000

    assert kernel.KernelSlope(before, after, 100).sockets == 18000


def test_a_crowd_has_room_below_the_limit_of_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    assert crowd.as_many_as_fit(10) == 10
    assert hard * 0.4 < crowd.as_many_as_fit(10 ** 9) < hard / 2


def test_no_source_address_runs_out_of_ports():
    for sessions in (100, 20000, 250000):
        assert sessions / crowd.sources_for(sessions) < crowd.PORTS * 0.8


def test_idle_holds_a_crowd_and_times_logins_beside_it(pytestconfig):
    build = pytestconfig.getoption("--build")
    if not os.path.exists(os.path.join(build, "gatepost")):
        pytest.skip("this build folder has no gatepost")

    done = subprocess.run(
        [os.path.join(HERE, "idle"), "--build", build, "--no-build",
         "--no-heap", "--backend", "plain", "--sessions", "80", "--rounds",
         "1", "--batches", "1", "--logins", "10", "--quiet", "0.2",
         "--settle", "0.2"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "(client/proxy/backend): 80/80/80" in done.stdout
    for part in ("PSS", "kernel", "all quiet", "CPU of a login", "computed"):
        assert f"  {part}" in done.stdout


def test_an_archive_has_each_file_once_below_its_folders(tmp_path):
    path = str(tmp_path / "archive")
    archive = Archive(path)
    archive.add_bytes("/a/b/c", b"12345")
    archive.add_bytes("/a/b/c", b"again")
    archive.add_bytes("a/d", b"")
    archive.close()

    assert read_archive(path) == [("a", b""), ("a/b", b""),
                                  ("a/b/c", b"12345"), ("a/d", b""),
                                  ("TRAILER!!!", b"")]


def test_an_archive_has_the_libraries_of_a_program(tmp_path):
    path = str(tmp_path / "archive")
    archive = Archive(path)
    archive.add_program("/usr/bin/python3")
    archive.close()

    names = [name for name, _ in read_archive(path)]

    assert "usr/bin/python3" in names
    assert any(name.endswith("libc.so.6") for name in names)


def read_archive(path):
    """(name, content) of all that is in it."""
    entries = []
    with open(path, "rb") as file:
        while header := file.read(110):
            assert header[:6] == b"070701"
            size, name_size = (int(header[start:start + 8], 16)
                               for start in (54, 94))
            name = file.read(name_size)[:-1].decode()
            file.read(-file.tell() % 4)
            entries.append((name, file.read(size)))
            file.read(-file.tell() % 4)
    return entries
