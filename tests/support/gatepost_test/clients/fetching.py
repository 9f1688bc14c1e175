"""Clients that get messages out of a mailbox: curl, fetchmail, getmail6."""

import os
import re

from aiosmtpd.controller import UnixSocketController
from aiosmtpd.lmtp import LMTP

from .visit import NAME, exists, run, searched, text_of


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
    said = run("fetchmail", "--verbose", "--nosyslog", "--pidfile",
               f"{visit.folder}/pid", "--fetchmailrc", config,
               env=dict(os.environ, FETCHMAILHOME=visit.folder,
                        LC_ALL="C", SSL_CERT_DIR=visit.folder))
    return {"select": exists(said), "search": searched(said),
            "fetch": text_of(os.path.join(visit.folder, "fetched"))}


# ALL asks for the list. Delivery is by LMTP since the other destinations fork:
# getmail looks out for its child's end only after the fork, and where the
# child was quicker it waits for its whole timeout.
_GETMAIL = """\
[retriever]
type = {kind}
server = localhost
port = {port}
username = {user}
password = {password}
mailboxes = ALL
imap_search = SUBJECT {wanted}
timeout = 20
{trust}

[destination]
type = MDA_lmtp
host = {folder}/lmtp
override = {user}
"""


class _Mailbox(UnixSocketController):
    """An LMTP server that keeps what it is given."""

    def __init__(self, path):
        super().__init__(self, path)
        self.fetched = ""

    def factory(self):
        return LMTP(self.handler)

    async def handle_DATA(self, _server, _session, envelope):
        self.fetched += envelope.content.decode()
        return "250 OK"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


def getmail(visit):
    """Takes what it searched for, from all mailboxes; STARTTLS is not among
    what it can."""
    config = visit.write("getmailrc", _GETMAIL.format(
        kind=f"SimpleIMAP{'' if visit.starttls else 'SSL'}Retriever",
        trust="" if visit.starttls else f"ca_certs = {visit.ca}",
        **vars(visit)))
    with _Mailbox(f"{visit.folder}/lmtp") as mailbox:
        said = run("getmail", "--getmaildir", visit.folder, "--rcfile",
                   config, "--trace", env=dict(os.environ, HOME=visit.folder))
    return {"list": re.search("command LIST response (.*)", said).group(1),
            "select": int(re.search(r"select\(INBOX\) returned message count "
                                    r"of (\d+)", said).group(1)),
            "search": re.findall("retrieving body for message", said),
            "fetch": mailbox.fetched}
