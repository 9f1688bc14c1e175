"""What one visit of a client is, and what clients share."""

import dataclasses
import os
import re
import subprocess

import pytest

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
    """The command's output; raises, with all of it, unless its exit status
    is okay. One that is late fails the test, whatever it waits to see."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=TIMEOUT,
                              check=False, **options)
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"{command[0]} took over {TIMEOUT} s:\n"
                    f"{(late.output or b'').decode()}")
    text = done.stdout.decode()
    if done.returncode not in okay:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n"
                           f"{text}")
    return text


def text_of(path):
    """What the file holds."""
    with open(path, encoding="utf-8") as message:
        return message.read()


def exists(text):
    """How many messages the mailbox has, by its EXISTS line."""
    return int(re.search(r"\* (\d+) EXISTS", text).group(1))


def searched(text):
    """The numbers of the SEARCH line."""
    return re.search(r"\* SEARCH([ \d]*)", text).group(1).split()
