"""A real Dovecot in a folder of its own, on free loopback ports."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .ports import free_port

_CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
instance_name = gatepost-test-{name}
protocols = imap
listen = 127.0.0.1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
default_client_limit = 4096
default_process_limit = 1024
default_vsz_limit = 0
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {mail}
mail_gid = {mail_gid}
mail_location = maildir:{folder}/mail/%u
mail_max_userip_connections = 2000
auth_mechanisms = plain login
auth_username_chars =
auth_failure_delay = 0
disable_plaintext_auth = no
login_greeting = {name} ready
ssl = yes
ssl_cert = <{folder}/leaf.pem
ssl_key = <{folder}/leaf.key
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = static
  args = uid={mail} gid={mail_gid} home={folder}/mail/%u
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  client_limit = 4096
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""

# Who may log in as anybody, by PLAIN with an authorization identity.
_MASTERS = """\
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/masters
  master = yes
}}
"""


def _accounts():
    """Who Dovecot's parts run as: its own users as root, else we alone."""
    me = pwd.getpwuid(os.getuid())
    if me.pw_uid != 0:
        return me, me, me
    return (pwd.getpwnam("dovecot"), pwd.getpwnam("dovenull"),
            pwd.getpwnam("mail"))


def _group(account):
    import grp
    return grp.getgrgid(account.pw_gid).gr_name


class Dovecot:
    """One shard. `plain_port` speaks IMAP with STARTTLS, `tls_port` implicit
    TLS; `users` maps names to passwords; each INBOX starts with one message
    whose subject is "NAME: hello USER". `masters` are users who may log in as
    anybody; `more` is appended to the config."""

    host = "127.0.0.1"

    def __init__(self, name, leaf, users, masters=None, more=""):
        self.name, self.users = name, users
        self.folder = tempfile.mkdtemp(prefix=f"gp-{name}-", dir="/tmp")
        self.plain_port, self.tls_port = free_port(), free_port()
        self.port = self.plain_port
        internal, login, self._mail = _accounts()
        os.chmod(self.folder, 0o755)
        leaf.save(self.folder, "leaf")
        self._write_table("users", users)
        if masters:
            self._write_table("masters", masters)
            more += _MASTERS.format(folder=self.folder)
        os.mkdir(f"{self.folder}/mail")
        os.chown(f"{self.folder}/mail", self._mail.pw_uid, self._mail.pw_gid)
        for user in users:
            self.deliver(user, f"{name}: hello {user}")
        self._config = f"{self.folder}/dovecot.conf"
        with open(self._config, "w") as out:
            out.write(_CONFIG.format(
                folder=self.folder, name=name, internal=internal.pw_name,
                internal_group=_group(internal), login=login.pw_name,
                mail=self._mail.pw_uid, mail_gid=self._mail.pw_gid,
                plain_port=self.plain_port, tls_port=self.tls_port))
            out.write(more)
        self.come_up()

    def come_up(self):
        """Starts it, at first and after `go_down`."""
        self.process = subprocess.Popen(
            ["dovecot", "-F", "-c", self._config], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._wait_ready()

    def _write_table(self, name, passwords):
        path = f"{self.folder}/{name}"
        with open(path, "w") as table:
            for user, password in passwords.items():
                table.write(f"{user}:{{PLAIN}}{password}\n")
        os.chmod(path, 0o644)

    def _wait_ready(self):
        deadline = time.monotonic() + 15
        while True:
            try:
                with socket.create_connection((self.host, self.plain_port),
                                              1) as probe:
                    if probe.recv(4) == b"* OK":
                        return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError("dovecot does not answer:\n" +
                                     self.process.stderr.read().decode() +
                                     self.log())
            time.sleep(0.05)

    def log(self):
        """What Dovecot has logged so far."""
        try:
            with open(f"{self.folder}/dovecot.log") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, text, since=0, timeout=10):
        """What was logged from `since` on, once the text is in it."""
        deadline = time.monotonic() + timeout
        while text not in self.log()[since:]:
            if time.monotonic() > deadline:
                raise AssertionError(f"not in Dovecot's log: {text}\n" +
                                     self.log()[-2000:])
            time.sleep(0.02)
        return self.log()[since:]

    def mailbox(self, user):
        """The folder of the user's Maildir."""
        return f"{self.folder}/mail/{user}"

    def deliver(self, user, subject, body="A message.\r\n"):
        """Puts a message into the user's INBOX, as a delivery agent would."""
        box = self.mailbox(user)
        for part in ("", "/tmp", "/new", "/cur"):
            if not os.path.isdir(box + part):
                os.mkdir(box + part)
                os.chown(box + part, self._mail.pw_uid, self._mail.pw_gid)
        unique = f"{time.time_ns()}.gatepost.test"
        with open(f"{box}/tmp/{unique}", "w", newline="") as message:
            message.write(f"From: test@example.org\r\nTo: {user}\r\n"
                          f"Subject: {subject}\r\n\r\n{body}")
        os.chown(f"{box}/tmp/{unique}", self._mail.pw_uid, self._mail.pw_gid)
        os.rename(f"{box}/tmp/{unique}", f"{box}/new/{unique}")

    def go_down(self):
        """Ends it, and with it all sessions."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()

    def stop(self):
        """Ends this Dovecot and takes its folder away."""
        self.go_down()
        shutil.rmtree(self.folder, ignore_errors=True)


def stop_all(dovecots):
    """Ends them together: each takes a second."""
    for one in dovecots:
        one.process.terminate()
    for one in dovecots:
        one.stop()
