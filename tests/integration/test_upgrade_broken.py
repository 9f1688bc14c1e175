"""`gatepost upgrade` to a program that takes our state, and then does not do
what a successor does: the old process serves on, and soon."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from gatepost_test import admin, orphans
from gatepost_test.gatepost import Gatepost, environment, routes_to
from gatepost_test.scripts import ImapServer

# As in control_message.h and state/handover_wire.h.
HELLO, PREPARED, SERVING, KICK = 1, 4, 7, 8
END = 10
NO_TEXT = b"\xff\xff"

# A successor: says that it is prepared, reads all of the state, then does what
# the test wants.
PROGRAM = """#!{python}
import os, socket, struct, sys, time
ends = os.environ["GATEPOST_PREDECESSOR"].split(",")
control, state = (socket.socket(fileno=int(end)) for end in ends)


def say(kind, number=0, texts=b""):
    control.send(struct.pack("<BIQ", kind, 0, number) + texts)


def go_apart(then):
    told, tell = os.pipe()
    if os.fork() > 0:
        control.close()
        state.close()
        os.close(tell)
        os.read(told, 1)
        then()
    return tell


def take_state():
    say({hello}, 1)
    say({prepared}, os.getpid())
    while state.recv(1 << 20)[0] != {end}:
        pass


def write_pid(name):
    with open({folder!r} + "/" + name + ".new", "w") as out:
        out.write(str(os.getpid()))
    os.rename({folder!r} + "/" + name + ".new", {folder!r} + "/" + name)


{story}
"""

HANGS = """
take_state()
write_pid("successor")
time.sleep(1000)
"""

GOES_ALONE_AND_HANGS = """
tell = go_apart(then=lambda: os._exit(0))
take_state()
os.close(tell)
time.sleep(0.1)
write_pid("successor")
time.sleep(1000)
"""

SERVES_BESIDE_ONE_THAT_STAYS = """
tell = go_apart(then=lambda: time.sleep(1000))
take_state()
say({serving}, 0)
write_pid("successor")
time.sleep(1000)
"""

KICKS_BEFORE_IT_SERVES = """
tell = go_apart(then=lambda: os._exit(0))
take_state()
user = b"a@one.test"
say({kick}, 0, struct.pack("<H", len(user)) + user + b"\\0" + {no_text!r} * 4)
write_pid("successor")
time.sleep(1000)
"""


@pytest.fixture
def front(binary, folder, settings, fake_backend):
    """front(env, **settings): a Gatepost of a program that a test replaces."""
    orphans.adopt()
    started = []

    def start(env=None, **more):
        place = os.path.join(folder, "gatepost")
        shutil.copy(binary, place)
        settings.update(more, admin={"socket": admin.SOCKET})
        started.append(Gatepost(place, folder, settings,
                                routes_to(fake_backend(ImapServer())), env))
        return started[-1]

    yield start
    if os.path.exists(f"{folder}/successor"):
        orphans.kill(successor_in(folder))
    for one in started:
        one.kill()


def replace(folder, story):
    """Renames a successor that does so over the program."""
    place = os.path.join(folder, "gatepost")
    with open(place + ".new", "w") as out:
        numbers = {"serving": SERVING, "kick": KICK, "no_text": NO_TEXT}
        out.write(PROGRAM.format(python=sys.executable, folder=folder,
                                 hello=HELLO, prepared=PREPARED, end=END,
                                 story=story.format(**numbers)))
    os.chmod(place + ".new", 0o755)
    os.rename(place + ".new", place)


def successor_in(folder, timeout=10):
    """The process of the successor, once it has the state."""
    deadline = time.monotonic() + timeout
    while not os.path.exists(f"{folder}/successor"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with open(f"{folder}/successor") as written:
        return int(written.read())


class Asker(threading.Thread):
    """Asks for an upgrade."""

    def __init__(self, binary, folder):
        super().__init__()
        self._command = [binary, "upgrade", "--socket",
                         os.path.join(folder, admin.SOCKET)]
        self.start()

    def run(self):
        self.done = subprocess.run(self._command, capture_output=True,
                                   text=True, timeout=60, env=environment({}))

    def answer(self):
        """The exit status, and what was printed."""
        self.join()
        return self.done.returncode, self.done.stdout


def answers(client):
    """Whether a session is well."""
    return client.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.parametrize("story", [HANGS, GOES_ALONE_AND_HANGS],
                         ids=["hangs", "goes alone and hangs"])
def test_one_that_has_our_state_and_hangs_is_ended(front, binary, folder,
                                                   story):
    server = front({"GATEPOST_FAULT_CLOCK_SCALE": "10"})
    replace(folder, story)

    status, output = Asker(binary, folder).answer()

    assert status == 1
    assert "found silence, with our state in its hands" in output
    assert not orphans.is_running(successor_in(folder))
    assert answers(server.logged_in())


@pytest.mark.parametrize("story", [HANGS, GOES_ALONE_AND_HANGS],
                         ids=["hangs", "goes alone and hangs"])
def test_a_login_that_is_not_answered_ends_it(front, binary, folder, story):
    server = front()
    replace(folder, story)
    early = [server.secure() for _ in range(3)]
    asker = Asker(binary, folder)
    successor = successor_in(folder)
    began = time.monotonic()

    assert early[0].login("a@one.test", "x").startswith(b"NO [UNAVAILABLE]")
    status, output = asker.answer()

    assert time.monotonic() - began < 4
    assert status == 1
    assert "found no answer to what a login asked" in output
    server.wait_log("upgrade-failed")
    assert "no answer to what a login asked" in server.stderr
    assert not orphans.is_running(successor)
    assert all(client.login("a@one.test", "x").startswith(b"OK")
               for client in early)


def test_the_end_of_the_server_ends_one_that_goes_alone(front, binary, folder):
    server = front()
    replace(folder, GOES_ALONE_AND_HANGS)
    Asker(binary, folder)
    successor = successor_in(folder)

    server.signal(signal.SIGTERM)

    assert server.wait_exit() == 0
    assert not orphans.is_running(successor)


def test_nobody_is_waited_for_but_the_successor(front, binary, folder):
    """The process between both does not end."""
    server = front()
    replace(folder, SERVES_BESIDE_ONE_THAT_STAYS)
    client = server.logged_in()

    status, _ = Asker(binary, folder).answer()

    assert status == 0
    server.wait_log("retired")
    assert answers(client)


def test_a_kick_before_it_serves_is_heard(front, binary, folder):
    server = front()
    replace(folder, KICKS_BEFORE_IT_SERVES)
    client, other = (server.logged_in("a@one.test"),
                     server.logged_in("b@one.test"))

    Asker(binary, folder)

    assert client.read_to_end() == b""
    assert answers(other)
