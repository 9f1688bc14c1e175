"""A real GNU Mailutils imap4d in a folder of its own, on free loopback
ports."""

import collections

from .courier import hashed
from .ports import free_port
from .unpacked import Unpacked

_CONFIG = """\
mode daemon;
foreground yes;
max-children 200;
pidfile {folder}/imap4d.pid;
logging {{
  syslog no;
}}
tcp-wrappers {{
  enable no;
}}
virtdomain {{
  passwd-dir {folder}/domains;
}}
mailbox {{
  mailbox-pattern "maildir:${{home}}/INBOX";
  mailbox-type maildir;
}}
tls {{
  ssl-certificate-file {folder}/leaf.pem;
  ssl-key-file {folder}/leaf.key;
}}
tls-file-checks {{
  key-file none;
  cert-file none;
}}
server 127.0.0.1:{plain_port} {{
  tls-mode ondemand;
}}
server 127.0.0.1:{tls_port} {{
  tls-mode connection;
}}
"""


class Mailutils(Unpacked):
    """`users` are NAME@DOMAIN: one table of accounts per domain."""

    def __init__(self, leaf, users):
        super().__init__(leaf, users)
        self.plain_port, self.tls_port = free_port(), free_port()
        self.port = self.plain_port
        self._write_users()
        config = self.write("imap4d.conf", _CONFIG.format(
            folder=self.folder, plain_port=self.plain_port,
            tls_port=self.tls_port))
        self.start("/usr/sbin/imap4d", f"--config-file={config}")

    def _write_users(self):
        tables = collections.defaultdict(str)
        for user, password in self.users.items():
            local, _, domain = user.partition("@")
            home = self.make_folder(f"mail/{user}")
            for part in ("", "/tmp", "/new", "/cur"):
                self.make_folder(f"mail/{user}/INBOX{part}")
            tables[domain] += (
                f"{local}:{hashed(password)}:{self.account.pw_uid}:"
                f"{self.account.pw_gid}::{home}:/bin/false\n")
        for domain, table in tables.items():
            self.write(f"domains/{domain}", table)
