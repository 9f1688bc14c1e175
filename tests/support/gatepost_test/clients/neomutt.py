"""neomutt on a terminal of its own, with the keys to press in its
configuration; what servers told it is read from its log."""

import os
import pty
import re
import select
import subprocess
import time

from .visit import TIMEOUT, exists, searched, text_of

# The browser of folders is opened at the server, for its list.
_CONFIG = """\
set imap_user="{user}" imap_pass="{password}" imap_authenticators="login"
set folder={scheme}://localhost:{port}/ spoolfile=+INBOX
set ssl_ca_certificates_file={ca} certificate_file={folder}/accepted
set ssl_force_tls=yes ssl_starttls=yes header_cache="" mbox_type=mbox
set confirmappend=no confirmcreate=no quit=yes wait_key=no sleep_time=0
push "<change-folder>?<change-dir><kill-line>=<enter><exit>\\
<limit>=hsubject:{wanted}<enter><copy-message>{folder}/fetched<enter>\\
<change-folder>{folder}/left<enter><copy-message>=INBOX<enter><quit>"
"""


def neomutt(visit):
    """Copies a message from the server to a file, and one back."""
    visit.write("left", "From gatepost Fri Jan  1 00:00:00 2021\n" +
                visit.message.replace("\r\n", "\n") + "\n")
    config = visit.write("neomuttrc", _CONFIG.format(
        scheme="imap" if visit.starttls else "imaps", **vars(visit)))
    log = os.path.join(visit.folder, "log")
    seen = _on_a_terminal(
        "neomutt", "-n", "-F", config, "-d", "5", "-l", log,
        env=dict(os.environ, TERM="vt100", HOME=visit.folder,
                 LC_ALL="C.UTF-8"))
    if b"(r)eject" in seen:
        raise RuntimeError(f"neomutt asks about a certificate: {seen}")
    said = text_of(log + "0")
    if failures := re.findall("<E> .*", said):
        raise RuntimeError("\n".join(failures))
    return {"list": " ".join(re.findall(r"< \* LIST .*", said)),
            "select": exists(said), "search": searched(said),
            "fetch": text_of(os.path.join(visit.folder, "fetched")),
            "append": "Copying to " in said}


def _on_a_terminal(*command, env):
    """What the command showed. A certificate that it asks about is rejected
    by hand, as a wary person would."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(command, stdin=theirs, stdout=theirs,
                              stderr=theirs, env=env,
                              start_new_session=True) as process:
            os.close(theirs)
            try:
                return _watch(ours)
            finally:
                process.kill()
    finally:
        os.close(ours)


def _watch(terminal):
    """Everything that the terminal showed, until nobody is left on it."""
    answers = [(b"(r)eject", b"r"), (b"No mailbox is open", b"q")]
    seen = b""
    deadline = time.monotonic() + TIMEOUT
    while select.select([terminal], [], [], deadline - time.monotonic())[0]:
        try:
            seen += os.read(terminal, 65536)
        except OSError:
            return seen
        if answers and answers[0][0] in seen:
            os.write(terminal, answers.pop(0)[1])
    raise RuntimeError(f"neomutt does not end: {seen}")
