"""A real Courier in a folder of its own, on free loopback ports."""

import subprocess

from .ports import free_port
from .unpacked import Unpacked

_AUTHDAEMON = """\
authmodulelist="authuserdb"
authmodulelistorig="authuserdb"
daemons=2
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
LOGGEROPTS=""
"""

# Debian's settings, but for where it listens, how many may come from one
# address, and that AUTH=LOGIN is offered as well.
_START = """\
set -ea
mkdir -p /run/courier/authdaemon
. /etc/courier/authdaemonrc
/usr/lib/courier/courier-authlib/authdaemond &
while [ ! -S /run/courier/authdaemon/socket ]; do sleep 0.02; done
. /etc/courier/imapd-ssl
. /etc/courier/imapd
IMAP_CAPABILITY="$IMAP_CAPABILITY AUTH=PLAIN AUTH=LOGIN"
IMAP_CAPABILITY_TLS="$IMAP_CAPABILITY"
IMAP_STARTTLS=YES
IMAP_IDLE_TIMEOUT=1
TLS_CERTFILE={folder}/courier.pem
TLS_CACHEFILE=
serve() {{
    port=$1
    shift
    /usr/sbin/couriertcpd -address=127.0.0.1 -maxprocs=200 -maxperip=200 \\
        -nodnslookup -noidentlookup "$port" "$@" \\
        /usr/lib/courier/courier/imaplogin /usr/bin/imapd Maildir &
}}
serve {plain_port}
IMAP_STARTTLS=NO
IMAP_TLS=1
serve {tls_port} /usr/bin/couriertls -server -tcpd
wait
"""


def hashed(password):
    """The password as crypt(3) keeps it."""
    done = subprocess.run(["openssl", "passwd", "-6", "-stdin"],
                          input=password.encode(), capture_output=True,
                          timeout=10, check=True)
    return done.stdout.decode().strip()


class Courier(Unpacked):
    """`users` log in by the names that they have, out of a userdb."""

    def __init__(self, leaf, users):
        super().__init__(leaf, users)
        self.plain_port, self.tls_port = free_port(), free_port()
        self.port = self.plain_port
        self.write("courier.pem", (leaf.key_pem + leaf.chain_pem).decode(),
                   0o600)
        self._give(f"{self.folder}/courier.pem")
        self.write("etc/courier/authdaemonrc", _AUTHDAEMON)
        self._write_accounts()
        self._write_users()
        script = self.write("start", _START.format(
            folder=self.folder, plain_port=self.plain_port,
            tls_port=self.tls_port))
        self.start("sh", script)

    def _write_accounts(self):
        """couriertls becomes the user courier, who only exists where Courier
        is installed."""
        with open("/etc/passwd", encoding="utf-8") as accounts:
            text = accounts.read()
        self.write("etc/passwd", f"{text}courier:x:{self.account.pw_uid}:"
                                 f"{self.account.pw_gid}::/:/bin/false\n")

    def _write_users(self):
        lines = []
        for user, password in self.users.items():
            home = f"{self.folder}/mail/{user}"
            for part in ("", "/Maildir", "/Maildir/tmp", "/Maildir/new",
                         "/Maildir/cur"):
                self.make_folder(f"mail/{user}{part}")
            lines.append(f"{user}\thome={home}|uid={self.account.pw_uid}|"
                         f"gid={self.account.pw_gid}|"
                         f"systempw={hashed(password)}\n")
        table = self.write("etc/courier/userdb", "".join(lines), 0o600)
        self.run("makeuserdb", "-f", table)
