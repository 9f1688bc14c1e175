"""Where certificates and secrets lie on real machines, and the steps by which
their keepers change them."""

import os

LIVE_KINDS = ("cert", "privkey", "chain", "fullchain")


def replace(path, content):
    """Puts a file in place by one rename, for its owner's eyes."""
    with open(os.open(path + ".new", os.O_CREAT | os.O_WRONLY | os.O_TRUNC,
                      0o600), "wb") as out:
        out.write(content)
    os.rename(path + ".new", path)


class Certbot:
    """live/NAME/*.pem, each a link to archive/NAME/*N.pem."""

    def __init__(self, folder, name, leaf):
        self.live = os.path.join(folder, "live", name)
        self._archive = os.path.join(folder, "archive", name)
        self._version = 1
        os.makedirs(self.live)
        os.makedirs(self._archive)
        for kind in LIVE_KINDS:
            self.turn(kind)
        self._write(leaf)

    def path(self, kind):
        """The link that a configuration names."""
        return os.path.join(self.live, f"{kind}.pem")

    def add(self, leaf):
        """The next version of all files, written where they stay."""
        self._version += 1
        self._write(leaf)

    def _write(self, leaf):
        for kind in LIVE_KINDS:
            content = leaf.key_pem if kind == "privkey" else leaf.chain_pem
            with open(self._target(kind), "wb") as out:
                os.fchmod(out.fileno(), 0o600)
                out.write(content)

    def turn(self, kind):
        """Leads one link to the last version: taken away, made anew."""
        if os.path.islink(self.path(kind)):
            os.unlink(self.path(kind))
        os.symlink(os.path.relpath(self._target(kind), self.live),
                   self.path(kind))

    def renew(self, leaf):
        """What one renewal does, without a pause."""
        self.add(leaf)
        for kind in LIVE_KINDS:
            self.turn(kind)

    def _target(self, kind):
        return os.path.join(self._archive, f"{kind}{self._version}.pem")


class Volume:
    """A folder as Kubernetes mounts secrets and config maps: each name is a
    link to ..data/NAME, and ..data one to a folder of the files."""

    def __init__(self, folder, files):
        self.folder = folder
        self._version = 0
        os.makedirs(folder)
        self.write(files)

    def path(self, name):
        """The link that a configuration names."""
        return os.path.join(self.folder, name)

    def write(self, files):
        """All files (a dict of bytes) at once, in the kubelet's order."""
        data = self.path("..data")
        former = os.readlink(data) if os.path.islink(data) else None
        self._version += 1
        stamp = f"..2026_01_01_00_00_00.{self._version}"
        os.mkdir(self.path(stamp))
        for name, content in files.items():
            with open(self.path(f"{stamp}/{name}"), "wb") as out:
                os.fchmod(out.fileno(), 0o600)
                out.write(content)
        os.symlink(stamp, self.path("..data_tmp"))
        os.rename(self.path("..data_tmp"), data)
        for name in files:
            if not os.path.islink(self.path(name)):
                os.symlink(f"..data/{name}", self.path(name))
        if former is not None:
            for name in os.listdir(self.path(former)):
                os.unlink(self.path(f"{former}/{name}"))
            os.rmdir(self.path(former))
