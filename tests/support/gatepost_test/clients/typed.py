"""Clients that only carry what is typed: openssl s_client, gnutls-cli."""

import os
import re
import select
import subprocess
import time

from .visit import NAME, TIMEOUT, exists, searched


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
