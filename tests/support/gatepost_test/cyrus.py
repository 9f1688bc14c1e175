"""A real Cyrus in a folder of its own, on free loopback ports."""

from .ports import free_port
from .unpacked import Unpacked

_IMAPD = """\
configdirectory: {folder}/lib
proc_path: {folder}/lib/proc
mboxname_lockpath: {folder}/lib/lock
defaultpartition: default
partition-default: {folder}/spool
cyrus_user: {account}
proxyservers: {master}
admins: {admin}
virtdomains: userid
defaultdomain: cyrus.test
servername: cyrus.test
autocreate_quota: 0
failedloginpause: 0
allowplaintext: yes
imapidlepoll: 1
duplicatesuppression: no
lmtpsocket: {folder}/lib/socket/lmtp
idlesocket: {folder}/lib/socket/idle
notifysocket: {folder}/lib/socket/notify
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {folder}/sasldb2
sasl_mech_list: {mechanisms}
tls_server_cert: {folder}/leaf.pem
tls_server_key: {folder}/leaf.key
tls_session_timeout: 0
"""

_CYRUS = """\
START {{
  recover cmd="/usr/sbin/cyrus ctl_cyrusdb -C {folder}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="imapd -C {folder}/imapd.conf" listen="127.0.0.1:{plain_port}" prefork=1
  imaps cmd="imapd -C {folder}/imapd.conf -s" listen="127.0.0.1:{tls_port}" prefork=1
}}
EVENTS {{
}}
"""

MASTER = ("gatepost", "secret-of-the-master")
ADMIN = ("postmaster", "secret-of-the-admin")


class Cyrus(Unpacked):
    """`users` log in by the names that they have; a mailbox is made at the
    first login. MASTER may log in as anybody; ADMIN is offered more than
    others. `more` is appended to imapd.conf."""

    def __init__(self, leaf, users, mechanisms="PLAIN LOGIN", more=""):
        super().__init__(leaf, users)
        self.plain_port, self.tls_port = free_port(), free_port()
        self.port = self.plain_port
        for name in ("lib", "lib/proc", "lib/lock", "lib/socket", "lib/db",
                     "spool"):
            self.make_folder(name)
        facts = dict(
            folder=self.folder, account=self.account.pw_name,
            mechanisms=mechanisms, master=MASTER[0], admin=ADMIN[0],
            plain_port=self.plain_port, tls_port=self.tls_port)
        self.write("imapd.conf", _IMAPD.format(**facts) + more)
        self.write("cyrus.conf", _CYRUS.format(**facts))
        for user, password in [*users.items(), MASTER, ADMIN]:
            self._add_user(user, password)
        self.start("/usr/lib/cyrus/bin/master", "-D",
                   "-C", f"{self.folder}/imapd.conf",
                   "-M", f"{self.folder}/cyrus.conf",
                   "-p", f"{self.folder}/lib/master.pid")

    def _add_user(self, name, password):
        local, _, realm = name.partition("@")
        self.run("saslpasswd2", "-p", "-c", "-f", f"{self.folder}/sasldb2",
                 "-u", realm or "cyrus.test", local,
                 octets=password.encode())
        self._give(f"{self.folder}/sasldb2")
