"""Writes the archive that a Linux kernel unpacks as its first file system:
cpio's "newc" format, of files of this machine under the names they have."""

import os
import re
import stat
import subprocess

END = "TRAILER!!!"


class Archive:
    """Files with the folders above them, each once."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.names = set()

    def close(self):
        self._put(END, 0, b"")
        self.file.close()

    def add_program(self, path):
        """With what ldd(1) says that it needs."""
        self.add_file(path)
        needs = subprocess.run(["ldd", path], capture_output=True, text=True)
        for library in re.findall(r"(/\S+) \(0x", needs.stdout):
            self.add_file(library)

    def add_tree(self, folder, but=()):
        """`but` are names of files and folders to be left out anywhere."""
        for root, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if name not in but]
            for name in files:
                path = os.path.join(root, name)
                if name in but or not os.path.isfile(path):
                    continue
                if ".so" in name:
                    self.add_program(path)
                else:
                    self.add_file(path)

    def add_file(self, path, name=None):
        """What a link leads to is put in its place."""
        with open(path, "rb") as file:
            self.add_bytes(name or path, file.read(),
                           os.stat(path).st_mode)

    def add_bytes(self, name, content, mode=stat.S_IFREG | 0o755):
        name = os.path.normpath(name).lstrip("/")
        if name in self.names:
            return
        self.add_folder(os.path.dirname(name))
        self.names.add(name)
        self._put(name, mode, content)

    def add_folder(self, name):
        name = name.lstrip("/")
        if not name or name in self.names:
            return
        self.add_folder(os.path.dirname(name))
        self.names.add(name)
        self._put(name, stat.S_IFDIR | 0o755, b"")

    def _put(self, name, mode, content):
        encoded = name.encode() + b"\0"
        fields = (len(self.names), mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0,
                  len(encoded), 0)
        header = "070701" + "".join(f"{field:08X}" for field in fields)
        self.file.write(_padded(header.encode() + encoded))
        self.file.write(_padded(content))


def _padded(content):
    return content + b"\0" * (-len(content) % 4)
