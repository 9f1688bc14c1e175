"""Real IMAP clients, each on one visit: it logs in and does what it can of
list, select, fetch, append and search, and tells what it saw.

A visitor is a function(visit) that returns {operation: what was seen} and
raises when the client fails, as it does for a certificate it distrusts."""

import dataclasses
import imaplib
import json
import os
import re
import select
import ssl
import subprocess
import time

NAME = "imap.example.test"  # what the front's certificate is good for
TIMEOUT = 20


@dataclasses.dataclass
class Visit:
    """Who comes where, what they look for, and what they leave."""
    port: int
    starttls: bool
    user: str
    password: str
    ca: str       # path of the only authority that the client trusts
    folder: str   # where the client may put files
    wanted: str   # the subject of the message that is looked for
    message: str  # what is appended, with CRLF

    def write(self, name, text):
        """Puts a file into the folder; returns its path."""
        path = os.path.join(self.folder, name)
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC,
                          0o600), "w", newline="") as out:
            out.write(text)
        return path


def run(*command, okay=(0,), **options):
    """The command's output; raises unless its exit status is okay."""
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=TIMEOUT,
                          check=False, **options)
    text = done.stdout.decode()
    if done.returncode not in okay:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n"
                           f"{text}")
    return text


# -- curl ------------------------------------------------------------------

def curl(visit):
    """A connection per operation."""
    scheme = "imap" if visit.starttls else "imaps"

    def get(path, *options):
        return run("curl", "--silent", "--show-error", "--ssl-reqd",
                   "--cacert", visit.ca, "--resolve",
                   f"{NAME}:{visit.port}:127.0.0.1", "--user",
                   f"{visit.user}:{visit.password}", *options,
                   f"{scheme}://{NAME}:{visit.port}/{path}")

    seen = {"list": get(""),
            "select": exists(get("", "-X", "EXAMINE INBOX")),
            "search": searched(get("INBOX?SUBJECT%20" + visit.wanted))}
    seen["fetch"] = get(f"INBOX;MAILINDEX={seen['search'][0]}")
    seen["append"] = get("INBOX", "--upload-file",
                         visit.write("message", visit.message)) == ""
    return seen


# -- mbsync ----------------------------------------------------------------

_MBSYNC = """\
IMAPStore far
Host localhost
Port {port}
User {user}
Pass {password}
SSLType {kind}
SystemCertificates no
CertificateFile {ca}
AuthMechs LOGIN

MaildirStore near
Path {folder}/near/
Inbox {folder}/near/INBOX
SubFolders Verbatim

Channel both
Far :far:
Near :near:
Patterns *
Create Near
Sync New
SyncState *
"""


def mbsync(visit):
    """Syncs a Maildir that holds one message of its own, both ways."""
    inbox = os.path.join(visit.folder, "near", "INBOX")
    for part in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(inbox, part))
    visit.write("near/INBOX/cur/1.gatepost:2,S",
                visit.message.replace("\r\n", "\n"))
    config = visit.write("mbsyncrc", _MBSYNC.format(
        kind="STARTTLS" if visit.starttls else "IMAPS", **vars(visit)))
    before = set(_files_of(inbox))
    run("mbsync", "--config", config, "--all",
        env=dict(os.environ, HOME=visit.folder))
    pulled = set(_files_of(inbox)) - before
    return {"list": " ".join(os.listdir(os.path.dirname(inbox))),
            "select": len(pulled),
            "fetch": "\n".join(map(_text_of, pulled)),
            "append": True}


def _files_of(maildir):
    for part in ("cur", "new"):
        folder = os.path.join(maildir, part)
        yield from (os.path.join(folder, one) for one in os.listdir(folder)
                    if not one.startswith("1.gatepost"))


def _text_of(path):
    with open(path, encoding="utf-8") as message:
        return message.read()


# -- fetchmail -------------------------------------------------------------

_FETCHMAIL = """\
poll localhost protocol IMAP port {port} auth password
  user "{user}" password "{password}"
  {kind} sslcertck sslcertfile "{ca}"
  keep bsmtp "{folder}/fetched"
"""


def fetchmail(visit):
    """Takes over what is unseen."""
    config = visit.write("fetchmailrc", _FETCHMAIL.format(
        kind='sslproto "TLS1.2+"' if visit.starttls else "ssl",
        **vars(visit)))
    # The trust store must be empty but for ours; root is told off.
    said = run("fetchmail", "--verbose", "--nosyslog", "--fetchmailrc",
               config, env=dict(os.environ, FETCHMAILHOME=visit.folder,
                                LC_ALL="C", SSL_CERT_DIR=visit.folder))
    return {"select": exists(said), "search": searched(said),
            "fetch": _text_of(os.path.join(visit.folder, "fetched"))}


# -- imaplib ---------------------------------------------------------------

def python_imaplib(visit):
    """Python's own client, in this process."""
    context = ssl.create_default_context(cafile=visit.ca)
    if visit.starttls:
        client = imaplib.IMAP4("localhost", visit.port, TIMEOUT)
        client.starttls(context)
    else:
        client = imaplib.IMAP4_SSL("localhost", visit.port,
                                   ssl_context=context, timeout=TIMEOUT)
    with client:
        client.login(visit.user, visit.password)
        seen = {"list": str(_okay(client.list())),
                "select": int(_okay(client.select())[0]),
                "search": _okay(client.search(None, "SUBJECT",
                                              visit.wanted))[0].split()}
        found = _okay(client.fetch(seen["search"][0], "BODY[]"))
        seen["fetch"] = found[0][1].decode()
        seen["append"] = _okay(client.append("INBOX", None, None,
                                             visit.message.encode()))
    return seen


def _okay(answer):
    status, lines = answer
    assert status == "OK", answer
    return lines


# -- clients that only carry what is typed ---------------------------------

class Typed:
    """A program to whose input IMAP is typed."""

    def __init__(self, *command):
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self._heard = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    def wait_for(self, pattern):
        """Everything heard up to and with the pattern."""
        deadline = time.monotonic() + TIMEOUT
        while not (found := re.search(pattern, self._heard, re.M)):
            poll = select.poll()
            poll.register(self._process.stdout, select.POLLIN)
            left = deadline - time.monotonic()
            octets = (os.read(self._process.stdout.fileno(), 65536)
                      if left > 0 and poll.poll(left * 1000) else b"")
            if not octets:
                self._process.kill()
                raise RuntimeError(
                    f"no {pattern} in {self._heard}:\n" +
                    self._process.communicate()[1].decode())
            self._heard += octets
        heard = self._heard[:found.end()]
        self._heard = self._heard[found.end():]
        return heard.decode()

    def type(self, text):
        """Types the text as it is."""
        try:
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # `wait_for` tells why

    def command(self, text):
        """Types a command; everything up to its OK."""
        self.type(f"x {text}\r\n")
        heard = self.wait_for(rb"^x (OK|NO|BAD)[^\n]*\n")
        if not re.search(r"^x OK", heard, re.M):
            raise RuntimeError(heard)
        return heard


def _typed_visit(program, visit):
    seen = {}
    program.command(f'LOGIN "{visit.user}" "{visit.password}"')
    seen["list"] = program.command('LIST "" "*"')
    seen["select"] = exists(program.command("SELECT INBOX"))
    seen["search"] = searched(program.command(f"SEARCH SUBJECT "
                                              f"{visit.wanted}"))
    seen["fetch"] = program.command(f"FETCH {seen['search'][0]} BODY[]")
    program.type(f"x APPEND INBOX {{{len(visit.message)}}}\r\n")
    program.wait_for(rb"^\+[^\n]*\n")
    program.type(visit.message + "\r\n")
    seen["append"] = program.wait_for(rb"^x OK[^\n]*\n")
    program.type("x LOGOUT\r\n")
    program.wait_for(rb"^\* BYE[^\n]*\r\nx OK")
    return seen


def openssl_s_client(visit):
    """-quiet, so that no letter at a line's start is a command to it."""
    options = ["-starttls", "imap"] if visit.starttls else []
    with Typed("openssl", "s_client", "-quiet", "-connect",
               f"127.0.0.1:{visit.port}", "-servername", NAME,
               "-verify_hostname", NAME, "-CAfile", visit.ca, "-no-CApath",
               "-no-CAstore", "-verify_return_error", *options) as program:
        return _typed_visit(program, visit)


def gnutls_cli(visit):
    """Its own words go to a log file; what is heard is IMAP."""
    options = ["--starttls-proto=imap"] if visit.starttls else []
    with Typed("gnutls-cli", f"--logfile={visit.folder}/gnutls.log",
               f"--port={visit.port}", f"--sni-hostname={NAME}",
               f"--verify-hostname={NAME}", f"--x509cafile={visit.ca}",
               *options, "127.0.0.1") as program:
        return _typed_visit(program, visit)


# -- imapflow --------------------------------------------------------------

def imapflow(visit):
    """The npm package, by a script of ours."""
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), *[
        os.pardir] * 3))
    modules = os.path.join(
        os.environ.get("GATEPOST_IMAPFLOW") or
        os.path.join(root, "build", "imapflow"), "node_modules")
    assert os.path.isdir(modules), (
        f"{modules} is not there: tests/run installs it")
    wish = dict(vars(visit), name=NAME)
    return json.loads(run(
        "node", os.path.join(root, "tests", "integration", "imapflow",
                             "visit.js"),
        input=json.dumps(wish).encode(),
        env=dict(os.environ, NODE_PATH=modules)))


# -- what servers say ------------------------------------------------------

def exists(text):
    """How many messages the mailbox has, by its EXISTS line."""
    return int(re.search(r"\* (\d+) EXISTS", text).group(1))


def searched(text):
    """The numbers of the SEARCH line."""
    return re.search(r"\* SEARCH([ \d]*)", text).group(1).split()


# Each client with what it does of the five operations.
EVERYTHING = frozenset(("list", "select", "fetch", "append", "search"))
CLIENTS = {
    curl: EVERYTHING,
    mbsync: EVERYTHING - {"search"},
    fetchmail: EVERYTHING - {"list", "append"},
    python_imaplib: EVERYTHING,
    openssl_s_client: EVERYTHING,
    gnutls_cli: EVERYTHING,
    imapflow: EVERYTHING,
}
