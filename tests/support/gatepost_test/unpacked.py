"""A server out of Debian's packages that are unpacked beside each other, not
installed: in a namespace of its own its files lie over /usr and /etc, so that
it finds them where it was built to look. Nobody else sees them."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import procfs

_ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__),
                                     *[os.pardir] * 3))

# Then the words of the command. /run is the server's own as well.
_ENTER = """\
set -e
mount -t overlay overlay -o lowerdir="$1/usr":/usr /usr
mount -t overlay overlay -o lowerdir="$2/etc":"$1/etc":/etc /etc
mount -t tmpfs tmpfs /run
shift 2
exec "$@"
"""


def _folder_of_packages():
    folder = (os.environ.get("GATEPOST_SERVERS") or
              os.path.join(_ROOT, "build", "servers"))
    assert os.path.exists(f"{folder}/unpacked"), (
        f"{folder} is not there: tests/run makes it, or "
        f"deploy/packages unpack {folder} servers")
    return folder


def mail_account():
    """Who owns the mail: mail as root; in a namespace of another user there
    is nobody else."""
    return pwd.getpwnam("mail" if os.getuid() == 0 else "root")


class Unpacked:
    """A server in `folder`, on `plain_port` (with STARTTLS) and, where it has
    one, `tls_port`. Those who derive from it write their files, `run` what
    prepares them, and then `start`.

    `users` maps names of any domain to passwords (text)."""

    host = "127.0.0.1"
    tls_port = None

    def __init__(self, leaf, users):
        self.users = users
        name = type(self).__name__.lower()
        self.folder = tempfile.mkdtemp(prefix=f"gp-{name}-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        os.mkdir(f"{self.folder}/etc")
        self.process = None
        self.account = mail_account()
        chain, key = leaf.save(self.folder, "leaf")
        self._give(chain)
        self._give(key)

    def _give(self, path):
        """Gives a file or folder to the account that serves mail."""
        if os.getuid() == 0:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def write(self, name, text, mode=0o644, give=False):
        """A file in the folder."""
        path = f"{self.folder}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(path, mode)
        if give:
            self._give(path)
        return path

    def make_folder(self, name):
        """A folder in the folder, of the account that serves mail."""
        path = f"{self.folder}/{name}"
        os.makedirs(path)
        self._give(path)
        return path

    def _command(self, words):
        namespaces = ["--mount", "--pid", "--fork"]
        if os.getuid() != 0:
            namespaces.append("--map-root-user")
        return ["unshare", *namespaces, "sh", "-c", _ENTER, "sh",
                _folder_of_packages(), self.folder, *words]

    def run(self, *words, octets=b""):
        """Runs a command of the server's to its end."""
        done = subprocess.run(self._command(words), input=octets, timeout=30,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            self._give_up(f"{words} failed:\n{done.stdout}")
        return done.stdout

    def _give_up(self, reason):
        self.stop()
        raise AssertionError(reason)

    def start(self, *words):
        """Starts the server and waits until all its ports greet."""
        with open(f"{self.folder}/output", "wb") as output:
            self.process = subprocess.Popen(
                self._command(words), stdin=subprocess.DEVNULL,
                stdout=output, stderr=output)
        deadline = time.monotonic() + 20
        for port in filter(None, [self.plain_port, self.tls_port]):
            while not self._answers(port):
                if (self.process.poll() is not None or
                        time.monotonic() > deadline):
                    self._give_up(f"{words} does not answer:\n"
                                  f"{self.output()}")
                time.sleep(0.05)

    def _answers(self, port):
        try:
            with socket.create_connection((self.host, port), 1) as probe:
                probe.settimeout(5)
                return port == self.tls_port or probe.recv(4) == b"* OK"
        except OSError:
            return False

    def output(self):
        """What the server printed."""
        with open(f"{self.folder}/output", errors="replace") as output:
            return output.read()

    def stop(self):
        """Ends the server with all its children and takes its folder away."""
        if self.process is not None:
            # With its first process all of a namespace ends.
            for pid in procfs.tree(self.process.pid)[1:2]:
                os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
