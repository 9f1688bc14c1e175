"""SIGTERM: no one is cut off without need, and the end is 0 (row H7)."""

import signal
import socket
import time

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer, sink
from gatepost_test.wire import WireClient

pytestmark = pytest.mark.threads


@pytest.mark.threat("H7")
def test_h7_without_sessions_it_ends_at_once_with_0(gatepost, backend):
    front = gatepost(routes_to(backend))
    start = time.monotonic()

    front.signal(signal.SIGTERM)

    assert front.wait_exit() == 0
    assert time.monotonic() - start < 2


@pytest.mark.threat("H7")
@pytest.mark.parametrize("how", ["secure", "starttls"])
def test_h7_sessions_before_login_hear_bye(gatepost, backend, how):
    front = gatepost(routes_to(backend))
    client = getattr(front, how)()

    front.signal(signal.SIGTERM)
    transcript = client.read_to_end(5)

    assert transcript.startswith(b"* BYE")
    assert client.saw_close_notify
    client.abandon()
    assert front.wait_exit() == 0


@pytest.mark.threat("H7")
def test_h7_sessions_before_tls_hear_bye(gatepost, backend):
    front = gatepost(routes_to(backend))
    client = front.connect("starttls")
    client.read_line()

    front.signal(signal.SIGTERM)

    assert client.read_to_end(5).startswith(b"* BYE")
    client.abandon()
    assert front.wait_exit() == 0


@pytest.mark.threat("H7")
def test_h7_who_is_in_the_handshake_hears_bye_after_it(gatepost, backend):
    front = gatepost(routes_to(backend))
    client = front.connect()
    hello = client.start_tls()
    client.send_raw(hello[:100])
    time.sleep(0.3)

    front.signal(signal.SIGTERM)
    time.sleep(0.3)
    client.finish_handshake(hello[100:])

    assert client.read_to_end(5).startswith(b"* BYE")
    client.abandon()
    assert front.wait_exit() == 0


@pytest.mark.threat("H7")
def test_h7_nobody_new_is_accepted(gatepost, backend):
    front = gatepost(routes_to(backend), timeouts={"drain": 5})
    session = front.logged_in()

    front.signal(signal.SIGTERM)
    deadline = time.monotonic() + 3
    while True:
        try:
            with WireClient(front.address()) as client:
                client.handshake()
                # Who comes before the signal has reached the worker is
                # greeted first.
                assert b"* BYE" in client.read_to_end(3)
        except (ConnectionRefusedError, ConnectionResetError):
            break
        except (ConnectionError, OSError):
            pass
        assert time.monotonic() < deadline, "still accepted"
        time.sleep(0.05)

    assert session.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.threat("H7")
def test_h7_a_spliced_session_works_until_the_drain_time(
        gatepost, backend):
    front = gatepost(routes_to(backend), timeouts={"drain": 3})
    client = front.logged_in()
    start = time.monotonic()

    front.signal(signal.SIGTERM)
    worked = 0
    try:
        while time.monotonic() - start < 8:
            assert client.command("NOOP", 3)[-1].startswith(b"OK")
            worked = time.monotonic() - start
            time.sleep(0.05)
    except (ConnectionError, OSError):
        pass

    assert 1 < worked < 4.5
    assert client.saw_close_notify
    client.abandon()
    assert front.wait_exit() == 0
    assert time.monotonic() - start < 6


@pytest.mark.threat("H7")
def test_h7_the_end_of_a_spliced_session_injects_no_text(
        gatepost, fake_backend):
    backend = fake_backend(ImapServer(after=sink))
    front = gatepost(routes_to(backend), timeouts={"drain": 1})
    client = front.logged_in()

    front.signal(signal.SIGTERM)

    assert client.read_to_end(6) == b""
    assert client.saw_close_notify and client.ended == "fin"
    assert backend.conversation().ended.wait(5)
    client.abandon()
    assert front.wait_exit() == 0


@pytest.mark.threat("H7")
def test_h7_it_ends_as_soon_as_the_last_session_does(gatepost, backend):
    front = gatepost(routes_to(backend), timeouts={"drain": 20})
    client = front.logged_in()
    front.signal(signal.SIGTERM)
    time.sleep(0.3)

    client.command("LOGOUT")
    client.read_to_end(5)
    client.abandon()
    start = time.monotonic()

    assert front.wait_exit(10) == 0
    assert time.monotonic() - start < 3


@pytest.mark.threat("H7")
def test_h7_a_second_sigterm_ends_now(gatepost, backend):
    front = gatepost(routes_to(backend), timeouts={"drain": 30})
    client = front.logged_in()
    start = time.monotonic()

    front.signal(signal.SIGTERM)
    time.sleep(0.3)
    assert client.command("NOOP")[-1].startswith(b"OK")
    front.signal(signal.SIGTERM)

    assert front.wait_exit(5) == 0
    assert time.monotonic() - start < 3


@pytest.mark.threat("H7")
def test_h7_a_login_in_progress_ends_well(gatepost, fake_backend):
    """The backend answers while the drain goes on: the user is let in, or
    hears BYE, but is never left without a word."""
    backend = fake_backend(ImapServer(
        accept=lambda *_: time.sleep(0.5) or True))
    front = gatepost(routes_to(backend), timeouts={"drain": 3})
    client = front.secure()
    client.send(b"a LOGIN u p\r\n")
    backend.conversation()

    front.signal(signal.SIGTERM)
    transcript = client.read_until(b"\r\n", 3)

    assert transcript.startswith((b"a OK", b"* BYE", b"a NO"))


@pytest.mark.threat("H7")
def test_h7_connections_in_the_queue_are_not_reset(gatepost, backend):
    """Connections made just before the signal hear a word, not RST."""
    front = gatepost(routes_to(backend), workers=4)
    clients = [front.connect("starttls") for _ in range(60)]

    front.signal(signal.SIGTERM)
    seen = [client.read_to_end(5) for client in clients]

    assert all(b"* BYE" in one for one in seen)
    assert all(client.ended == "fin" for client in clients)
    for client in clients:
        client.abandon()
    assert front.wait_exit() == 0


@pytest.mark.threat("H7")
def test_h7_handshakes_in_progress_do_not_hold_the_end(gatepost, backend):
    front = gatepost(routes_to(backend), timeouts={"drain": 2})
    client = front.connect()
    client.send_raw(client.start_tls()[:100])
    start = time.monotonic()

    front.signal(signal.SIGTERM)

    assert front.wait_exit(10) == 0
    assert time.monotonic() - start < 4


@pytest.mark.threat("H7")
def test_h7_sigint_ends_it_too(gatepost, backend):
    front = gatepost(routes_to(backend))

    front.signal(signal.SIGINT)

    assert front.wait_exit(5) == 0


@pytest.mark.threat("H7")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_h7_a_signal_at_the_very_end_changes_no_exit_status(
        gatepost, backend, number):
    for _ in range(3):
        front = gatepost(routes_to(backend))
        front.signal(signal.SIGTERM)
        front.wait_log("ended")

        while front.process.poll() is None:
            front.signal(number)

        assert front.wait_exit() == 0


@pytest.mark.threat("H7")
@pytest.mark.parametrize("number", [
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_h7_a_signal_while_the_end_waits_for_a_reload_changes_nothing(
        gatepost, backend, number):
    front = gatepost(routes_to(backend))
    first = front.settings["listeners"][0]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        front.write_settings(dict(front.settings, listeners=[
            first, dict(first, port=taken.getsockname()[1])]))
        front.signal(signal.SIGHUP)  # waits for the port
        time.sleep(0.3)
        front.signal(signal.SIGTERM)
        front.wait_log("draining")
        time.sleep(0.3)
        assert front.process.poll() is None, "the reload did not wait"

        front.signal(number)

        assert front.wait_exit() == 0
    assert front.wait_log("ended")


@pytest.mark.threat("H7")
def test_h7_sessions_have_their_log_line(gatepost, backend):
    front = gatepost(routes_to(backend), timeouts={"drain": 1})
    clients = [front.logged_in(f"u{number}") for number in range(5)]
    clients.append(front.secure())

    front.signal(signal.SIGTERM)
    assert front.wait_exit(10) == 0

    ends = [one for one in front.log if one.get("event") == "session-end"]
    assert len(ends) == 6
    for client in clients:
        client.abandon()
