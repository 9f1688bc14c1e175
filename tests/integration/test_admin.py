"""The admin socket: who may ask, what is told, and that nobody who asks
badly hurts a session (row H6)."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from gatepost_test import admin
from gatepost_test.gatepost import (
    REFUSED, SANITIZER_REPORT, environment, routes_to)
from gatepost_test.ports import free_port
from gatepost_test.scripts import ImapServer

SECRET = "secret-alice"


@pytest.fixture
def path(folder):
    """Where the socket is."""
    return os.path.join(folder, admin.SOCKET)


@pytest.fixture
def backend(fake_backend):
    """Takes whoever has a good password."""
    return fake_backend(ImapServer(
        accept=lambda user, password: password.startswith(b"secret-")))


@pytest.fixture
def server(gatepost, backend):
    """A Gatepost with an admin socket, in front of one backend."""
    return gatepost(routes_to(backend), admin={"socket": admin.SOCKET})


@pytest.fixture
def refused(binary, folder, settings, backend):
    """refused(socket): what a server says that cannot have that socket."""
    def start(name):
        settings.setdefault("admin", {})["socket"] = name
        settings["routes"] = "routes.json"
        for stem, content in (("gatepost", settings),
                              ("routes", routes_to(backend))):
            with open(os.path.join(folder, stem + ".json"), "w") as out:
                json.dump(content, out)
        done = subprocess.run(
            [binary, "serve", os.path.join(folder, "gatepost.json")],
            stderr=subprocess.PIPE, text=True, timeout=30,
            env=environment({}))
        assert done.returncode == 1
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        return done.stderr
    return start


# -- the socket --------------------------------------------------------------

def test_only_the_owner_may_open_the_socket(server, path):
    found = os.lstat(path)

    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600


def test_the_socket_goes_with_the_server(server, path):
    server.signal(signal.SIGTERM)
    server.wait_exit()

    assert not os.path.lexists(path)


def test_a_socket_that_nobody_listens_on_is_replaced(gatepost, backend, path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left_behind:
        left_behind.bind(path)

    gatepost(routes_to(backend), admin={"socket": admin.SOCKET})

    assert admin.request(path, "/healthz").status == 200


def test_a_socket_that_somebody_serves_is_left_alone(refused, path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(path)
        other.listen(1)

        assert "a server answers there already" in refused(admin.SOCKET)

    assert os.path.lexists(path)


def test_a_file_of_that_name_is_left_alone(refused, path):
    with open(path, "w") as other:
        other.write("precious")

    assert "something else has this name" in refused(admin.SOCKET)

    with open(path) as other:
        assert other.read() == "precious"


def test_a_folder_that_is_not_there_is_told(refused):
    assert ("nowhere/admin.sock: No such file" in
            refused("nowhere/admin.sock"))


# -- health ------------------------------------------------------------------

def test_a_server_that_serves_is_healthy_and_ready(server, path):
    assert admin.request(path, "/healthz").text == "ok\n"
    assert admin.request(path, "/readyz").text == "ready\n"
    assert admin.request(path, "/readyz", "HEAD").status == 200


def test_a_server_that_drains_is_healthy_but_not_ready(server, path):
    client = server.logged_in()
    server.signal(signal.SIGTERM)
    server.wait_log("draining")

    answer = admin.request(path, "/readyz")

    assert (answer.status, answer.text) == (503, "draining\n")
    assert admin.request(path, "/healthz").status == 200
    client.abandon()


def test_a_full_server_is_not_ready(gatepost, backend, path):
    server = gatepost(routes_to(backend), admin={"socket": admin.SOCKET},
                      limits={"sessions": 1})
    client = server.secure()

    answer = admin.request(path, "/readyz")

    assert (answer.status, answer.text) == (503, "full\n")
    client.abandon()


# -- metrics -----------------------------------------------------------------

def test_metrics_tell_every_counter(server, path):
    counted = server.counters()
    told = admin.metrics(path)

    names = {re.sub(r"^gatepost_|_total$", "", name) for name in told}
    missing = set(counted) - names - {"time", "level", "event"}
    assert missing <= {"dropped"}, missing


def test_metrics_follow_a_login(server, path):
    client = server.logged_in()

    told = admin.metrics(path)

    assert told["gatepost_logins_ok_total"] == 1
    assert told["gatepost_sessions_open"] == 1
    assert told['gatepost_backend_sessions{backend="b1"}'] == 1
    assert told['gatepost_backend_up{backend="b1"}'] == 1
    assert told['gatepost_backend_mode{backend="b1",mode="ready"}'] == 1
    client.abandon()


def test_metrics_tell_when_a_certificate_ends(server, path):
    told = {name: value for name, value in admin.metrics(path).items()
            if "certificate_expiry" in name}

    (name, value), = told.items()
    assert 'certificate="0",name="imap.example.test"' in name
    assert time.time() < value < time.time() + 3650 * 86400


def test_every_metric_has_help_and_type_once(server, path):
    lines = admin.request(path, "/metrics").text.splitlines()
    typed = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    helped = [line.split()[2] for line in lines if line.startswith("# HELP")]
    told = {re.split(r"[{ ]", line)[0] for line in lines
            if not line.startswith("#")}

    assert typed == helped
    assert len(set(typed)) == len(typed)
    assert told <= set(typed)


# -- bad manners -------------------------------------------------------------

@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "",
                                  "localhost.evil.example", "localhost:x",
                                  "local", "localhos:80",
                                  "[::1", "127.0.0.1.evil.example"])
def test_a_foreign_host_is_refused(server, path, host):
    answer = admin.request(path, "/metrics", host=host)

    assert answer.status == 421
    assert b"gatepost_" not in answer.body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9100", "127.0.0.1",
                                  "10.0.0.1:80", "[::1]:9100"])
def test_addresses_and_localhost_are_taken_as_host(server, path, host):
    assert admin.request(path, "/healthz", host=host).status == 200


def test_a_web_page_is_refused(server, path):
    answer = admin.request(path, "/metrics",
                           headers=["Origin: http://localhost"])

    assert answer.status == 403


@pytest.mark.parametrize("target", [
    "/", "/metrics/", "//metrics", "/./metrics", "/metrics/../healthz",
    "/METRICS", "/%2e%2e/etc/passwd", "/../../etc/passwd", "/metrics%00",
    "*", "http://localhost/metrics2"])
def test_no_other_path_leads_anywhere(server, path, target):
    assert admin.request(path, target).status in (400, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS",
                                    "TRACE", "PATCH", "get", "BREW"])
def test_another_method_is_refused(server, path, method):
    answer = admin.request(path, "/healthz", method)

    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("headers", [
    ["Content-Length: 5"], ["Content-Length: 99999999999999"],
    ["Transfer-Encoding: chunked"]])
def test_a_body_is_refused_before_it_comes(server, path, headers):
    assert admin.request(path, "/healthz", headers=headers).status == 413


@pytest.mark.parametrize("octets", [
    b"GET /healthz HTTP/1.1\r\n\r\n",
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
    b"\0" * 20000, b"\x16\x03\x01\x02\x00" * 5000, b"\r\n" * 20000,
    b"a LOGIN alice secret\r\n\r\n", b"GET\r\n\r\n"])
def test_what_is_no_good_request_gets_no_good_answer(server, path, octets):
    def send():
        with admin.connect(path, timeout=3) as plug:
            try:
                plug.sendall(octets)
                plug.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            return admin.read_all(plug)

    answer = send()

    assert b" 200 " not in answer.partition(b"\r\n")[0]
    assert admin.request(path, "/healthz").status == 200


def test_who_asks_byte_by_byte_is_answered(server, path):
    with admin.connect(path) as plug:
        for octet in b"GET /healthz HTTP/1.1\r\nHost: ::1\r\n".replace(
                b"::1", b"localhost") + b"Connection: close\r\n\r\n":
            plug.send(bytes([octet]))
        answer = admin.Answer(admin.read_all(plug))

    assert answer.text == "ok\n"


def test_one_request_is_answered_on_a_connection(server, path):
    one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

    octets = admin.exchange(path, one + one)

    assert octets.count(b"HTTP/1.1 200 OK") == 1
    assert b"Connection: close" in octets


@pytest.mark.slow
def test_who_stays_silent_makes_room_in_the_end(server, path):
    """More connections than places; each place is held for 10 s at most."""
    crowd = [admin.connect(path) for _ in range(16)]
    for one in crowd:
        one.send(b"GET /healthz HTTP/1.1\r\nHo")

    assert admin.request(path, "/healthz", timeout=25).status == 200

    for one in crowd:
        one.close()


def test_who_leaves_makes_room_at_once(server, path):
    crowd = [admin.connect(path) for _ in range(20)]
    for one in crowd:
        one.send(b"GET /healthz HTTP/1.1\r\nHo")
    time.sleep(0.1)
    for one in crowd:
        one.close()

    assert admin.request(path, "/healthz").status == 200


def test_a_crowd_at_the_socket_delays_no_session(server, path):
    crowd = [admin.connect(path) for _ in range(20)]
    for one in crowd:
        one.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n")

    server.logged_in().abandon()

    for one in crowd:
        one.close()


def test_a_reader_that_never_reads_delays_nobody(server, path):
    stuck = admin.connect(path)
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    stuck.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)

    assert admin.request(path, "/healthz").status == 200
    server.logged_in().abandon()
    stuck.close()


def test_an_end_does_not_wait_for_who_asks(server, path):
    half = admin.connect(path)
    half.send(b"GET /metrics HTTP/1.1\r\n")
    began = time.monotonic()

    server.signal(signal.SIGTERM)
    server.wait_exit()

    assert time.monotonic() - began < 5
    half.close()


# -- secrets -----------------------------------------------------------------

def test_no_answer_holds_a_secret(server, path):
    server.logged_in(password=SECRET).abandon()
    server.secure().login("alice@example.org", "wrong-password-42")

    told = b"".join(admin.exchange(
        path, f"GET {target} HTTP/1.1\r\nHost: localhost\r\n"
              "Connection: close\r\n\r\n".encode())
        for target in ("/metrics", "/healthz", "/readyz", "/status"))

    assert SECRET.encode() not in told
    assert b"wrong-password-42" not in told
    assert b"PRIVATE KEY" not in told


# -- gatepost status ---------------------------------------------------------

@pytest.fixture
def ask(binary, path):
    """ask("status", ...): (exit status, output, errors) of such a command."""
    def run(name, *arguments, where=path):
        done = subprocess.run(
            [binary, name, "--socket", where, *arguments],
            capture_output=True, text=True, timeout=30, env=environment({}))
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        return done.returncode, done.stdout, done.stderr
    return run


def test_status_tells_what_the_server_does(server, ask):
    client = server.logged_in()

    status, output, errors = ask("status")

    assert (status, errors) == (0, "")
    assert output.startswith("Gatepost ")
    assert " serving for " in output and " by 2 workers" in output
    assert "sessions   1 open, of them 0 before login" in output
    assert "listener   127.0.0.1:" in output
    assert re.search(r"^backend    b1: up for \d+ s .*; 1 sessions, 0 of 1 "
                     "dials failed", output, re.M), output
    assert "reload     none since the start" in output
    client.abandon()


def test_status_tells_why_a_backend_is_down(gatepost, backend, ask):
    backend.stop()
    server = gatepost(routes_to(backend), admin={"socket": admin.SOCKET})
    for _ in range(3):
        server.secure().login("alice@example.org", SECRET)

    _, output, _ = ask("status")

    assert re.search(r"backend    b1: down for \d+ s \(.*refused", output), (
        output)


def test_status_as_json_has_all_of_it(server, ask, path):
    status, output, _ = ask("status", "--json")
    told = json.loads(output)

    assert status == 0
    assert told["listeners"][0]["tls"] == "implicit"
    assert told["backends"][0]["name"] == "b1"
    assert told["backends"][0]["mode"] == "ready"
    assert told["last_reload"] is None
    assert set(told) == set(admin.request(path, "/status").json)


def test_status_tells_how_the_last_reload_went(server, ask):
    server.write_routes(b"{")
    server.reload(REFUSED)

    refused = ask("status")[1]
    server.write_routes(routes_to_nobody())
    server.reload()
    taken = ask("status")[1]

    assert "the last one was refused" in refused
    assert "routes.json" in refused.rpartition("refused")[2]
    assert "the last one was taken" in taken


def routes_to_nobody():
    """Good routes, of a backend that nobody needs."""
    return {"backends": {"b1": {"host": "127.0.0.1", "port": 9,
                                "tls": "none"}},
            "pools": {"p1": {"backends": ["b1"]}}, "default": "p1"}


@pytest.mark.parametrize("make, told", [
    (lambda path: None, "no such socket"),
    (lambda path: open(path, "w").close(), "no server listens there"),
    (lambda path: socket.socket(socket.AF_UNIX).bind(path),
     "no server listens there")])
def test_status_says_why_it_cannot_ask(folder, ask, make, told):
    where = os.path.join(folder, "wrong.sock")
    make(where)

    status, output, errors = ask("status", where=where)

    assert (status, output) == (1, "")
    assert errors.startswith(f"gatepost: {where}: ") and told in errors


@pytest.mark.parametrize("answer", [
    b"", b"* OK IMAP\r\n", b"HTTP/1.1 200 OK\r\n\r\nhello",
    b"HTTP/1.1 200\r\n\r\n", b"\0" * 1000])
def test_status_knows_a_stranger_by_its_answer(folder, ask, answer):
    where = os.path.join(folder, "strange.sock")
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(where)
        stranger.listen(1)

        def serve():
            plug, _ = stranger.accept()
            plug.recv(65536)
            plug.sendall(answer)
            plug.close()

        server = threading.Thread(target=serve)
        server.start()
        status, output, errors = ask("status", where=where)
        server.join()

    assert (status, output) == (1, "")
    assert "what answers there is no Gatepost" in errors


@pytest.mark.parametrize("arguments", [["--jsn"], ["now"], ["--socket"]])
def test_status_takes_nothing_else(ask, arguments):
    status, output, errors = ask("status", *arguments)

    assert (status, output) == (2, "")
    assert "gatepost status: " in errors and "Usage:" in errors


# -- by TCP ------------------------------------------------------------------

def by_tcp(port, target, method="GET", host="127.0.0.1", headers=()):
    """The Answer to a request by TCP."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", port), 10) as plug:
        plug.sendall("\r\n".join(lines).encode("latin-1"))
        return admin.Answer(admin.read_all(plug))


@pytest.fixture
def port(gatepost, backend):
    """Where a Gatepost tells by TCP what everybody may know."""
    number = free_port()
    gatepost(routes_to(backend), admin={
        "socket": admin.SOCKET,
        "listen": {"address": "127.0.0.1", "port": number}})
    return number


def test_by_tcp_health_and_metrics_are_told(port):
    assert by_tcp(port, "/healthz").text == "ok\n"
    assert by_tcp(port, "/readyz").text == "ready\n"
    assert b"gatepost_build_info" in by_tcp(port, "/metrics").body


@pytest.mark.parametrize("target, method", [
    ("/status", "GET"), ("/sessions", "GET"), ("/route?user=a", "GET"),
    ("/kick?user=a", "POST"), ("/drain?backend=b1", "POST"),
    ("/reload", "POST")])
def test_by_tcp_nothing_else_is_there(port, path, target, method):
    assert by_tcp(port, target, method).status == 404
    assert admin.request(path, target, method).status == 200


def test_by_tcp_a_foreign_host_is_refused(port):
    assert by_tcp(port, "/metrics", host="evil.example").status == 421


TOKEN = "a-token-of-some-length"

VERBS = [
    ("/status", "GET"), ("/processes", "GET"), ("/sessions", "GET"),
    ("/route?user=a", "GET"), ("/kick?user=a", "POST"),
    ("/drain?backend=b1", "POST"), ("/ready?backend=b1", "POST"),
    ("/reload", "POST")]


@pytest.fixture
def guarded(gatepost, backend, folder):
    """(server, port) of a Gatepost that hears whoever has the token."""
    number = free_port()
    write_token(folder, TOKEN + "\n")
    return gatepost(routes_to(backend), admin={
        "socket": admin.SOCKET, "token": "token",
        "hosts": ["gate.example.org"],
        "listen": {"address": "127.0.0.1", "port": number}}), number


def write_token(folder, text, mode=0o600):
    """Puts the token in place."""
    where = os.path.join(folder, "token")
    with open(where, "w") as out:
        out.write(text)
    os.chmod(where, mode)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER  "])
def test_by_tcp_whoever_has_the_token_may_ask_for_all(guarded, scheme):
    _, port = guarded
    said = [f"Authorization: {scheme} {TOKEN}"]

    told = {verb: by_tcp(port, *verb, headers=said).status for verb in VERBS}

    assert told == dict.fromkeys(VERBS, 200)


@pytest.mark.threat("H6")
@pytest.mark.parametrize("said", [
    None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
    f"Bearer x{TOKEN[1:]}", f"Bearer {TOKEN.upper()}", f"Basic {TOKEN}",
    f"Bearer{TOKEN}", f"Bearer {TOKEN}, Bearer {TOKEN}", TOKEN,
    "Bearer \xff" + TOKEN, "Bearer " + "a" * 4000])
def test_by_tcp_nobody_else_may(guarded, said):
    server, port = guarded
    client = server.logged_in()
    headers = [] if said is None else [f"Authorization: {said}"]

    answer = by_tcp(port, "/kick?user=alice@example.org", "POST",
                    headers=headers)

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="gatepost"'
    assert TOKEN.encode() not in answer.body
    client.command("NOOP")
    client.abandon()


def test_a_token_is_not_asked_for_what_is_public(guarded, path):
    _, port = guarded

    assert by_tcp(port, "/metrics").status == 200
    assert by_tcp(port, "/nowhere").status == 404
    assert admin.request(path, "/status").status == 200


def test_with_a_token_pages_and_foreign_hosts_are_refused_too(guarded):
    _, port = guarded
    said = [f"Authorization: Bearer {TOKEN}"]

    assert by_tcp(port, "/status", host="evil.example",
                  headers=said).status == 421
    assert by_tcp(port, "/status", headers=[
        *said, "Origin: http://127.0.0.1"]).status == 403


def test_two_hosts_are_none(path, server):
    answer = admin.request(path, "/status", headers=["Host: evil.example"])

    assert answer.status == 400


@pytest.mark.parametrize("host", ["gate.example.org", "GATE.example.ORG:80"])
def test_names_of_the_config_are_taken_as_host(guarded, host):
    _, port = guarded

    assert by_tcp(port, "/healthz", host=host).status == 200
    assert by_tcp(port, "/healthz", host=f"x{host}").status == 421


def test_a_reload_takes_another_token(guarded, folder):
    server, port = guarded
    write_token(folder, "another-token-of-some-length")

    server.reload()

    assert by_tcp(port, "/status", headers=[
        f"Authorization: Bearer {TOKEN}"]).status == 401
    assert by_tcp(port, "/status", headers=[
        "Authorization: Bearer another-token-of-some-length"]).status == 200


def test_a_token_that_all_may_read_is_refused(guarded, folder):
    server, port = guarded
    write_token(folder, TOKEN, 0o644)

    server.reload(REFUSED)

    assert by_tcp(port, "/status", headers=[
        f"Authorization: Bearer {TOKEN}"]).status == 200


def test_a_port_that_is_taken_is_no_start(refused, settings):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        settings["admin"] = {"listen": {
            "address": "127.0.0.1", "port": other.getsockname()[1]}}

        assert "start-failed" in refused(admin.SOCKET)
