"""Clients that keep a Maildir and a server alike: mbsync, offlineimap3."""

import os

from .visit import run, text_of

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

_OFFLINEIMAP = """\
[general]
accounts = both
metadata = {folder}/state
ui = quiet
socktimeout = 20

[Account both]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {folder}/near

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {port}
remoteuser = {user}
remotepass = {password}
ssl = {ssl}
starttls = {starttls}
sslcacertfile = {ca}
auth_mechanisms = PLAIN
"""


def mbsync(visit):
    """Has the message to leave among those that were seen."""
    config = visit.write("mbsyncrc", _MBSYNC.format(
        kind="STARTTLS" if visit.starttls else "IMAPS", **vars(visit)))
    return _sync(visit, "cur/1.gatepost:2,S", "mbsync", "--config", config,
                 "--all")


def offlineimap(visit):
    """Verifies nothing after STARTTLS, whatever it is told."""
    config = visit.write("offlineimaprc", _OFFLINEIMAP.format(**{
        **vars(visit), "ssl": "no" if visit.starttls else "yes",
        "starttls": "yes" if visit.starttls else "no"}))
    return _sync(visit, "new/1.gatepost", "offlineimap", "-o", "-c", config)


def _sync(visit, name, *command):
    """Syncs a Maildir that holds one message of its own, both ways."""
    inbox = os.path.join(visit.folder, "near", "INBOX")
    for part in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(inbox, part))
    left = visit.write(f"near/INBOX/{name}",
                       visit.message.replace("\r\n", "\n"))
    mine = text_of(left)
    run(*command, env=dict(os.environ, HOME=visit.folder))
    pulled = [text for text in map(text_of, _files_of(inbox))
              if mine.split("\n")[2] not in text]
    return {"list": " ".join(os.listdir(os.path.dirname(inbox))),
            "select": len(pulled),
            "fetch": "\n".join(pulled),
            "append": True}


def _files_of(maildir):
    for part in ("cur", "new"):
        folder = os.path.join(maildir, part)
        yield from (os.path.join(folder, one) for one in os.listdir(folder))
