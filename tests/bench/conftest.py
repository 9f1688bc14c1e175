"""Options and fixtures for the tests of the bench programs."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import lab as labs  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--build", metavar="FOLDER",
                     default=os.path.join(labs.REPOSITORY, "build/bench"),
                     help="where bench_load and bench_backend are "
                          "(default: build/bench)")


@pytest.fixture(scope="session")
def lab(pytestconfig):
    with labs.Lab(pytestconfig.getoption("--build")) as made:
        yield made


@pytest.fixture
def backend(lab):
    with labs.Backend(lab) as started:
        yield started


@pytest.fixture
def load(lab):
    """load(MODE, PORT, OPTION...) gives a load generator that is ready."""
    started = []

    def start(mode, port, *options):
        talker = labs.Talker(lab.program("bench_load"), mode,
                             "--connect", f"127.0.0.1:{port}", *options)
        started.append(talker)
        assert talker.hear() == ["ready"]
        return talker

    yield start
    for talker in started:
        talker.stop()
