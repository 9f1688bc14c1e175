"""What a measurement is made of: a build, certificates, the cheap backend and
the load generator; the proxies in between are in peers.py. All of it on
loopback, with ports that the kernel gives, in a folder that goes away at the
end."""

import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import tempfile

REPOSITORY = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
STOP_SECONDS = 120


class Lab:
    """The folder, the certificates and the programs; a context manager."""

    def __init__(self, build_folder):
        self.build_folder = build_folder
        self.folder = tempfile.mkdtemp(prefix="gatepost-bench-")
        os.chmod(self.folder, 0o755)
        self.ca = self.path("ca.pem")
        self.chain = self.path("chain.pem")
        self.key = self.path("key.pem")
        self.both = self.path("both.pem")  # chain and key in one

    def __enter__(self):
        stop_without("openssl")
        raise_descriptor_limit()
        _make_certificates(self)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def new_folder(self):
        """One that a proxy may write to that gave up root."""
        folder = tempfile.mkdtemp(dir=self.folder)
        os.chmod(folder, 0o777)
        return folder

    def program(self, name):
        return os.path.join(self.build_folder, name)


def stop_without(*programs):
    """Ends the program with a line that installs what it needs."""
    absent = [name for name in programs if shutil.which(name) is None]
    if absent:
        sys.exit(f"not installed: {', '.join(absent)}. Once, run\n"
                 "  deploy/packages install build bench")


def build(build_folder, extra_settings=(), with_gatepost=True,
          more_targets=()):
    """A release build of what is measured and of what measures."""
    stop_without("cmake", "ninja", "cc", "pkg-config")
    targets = ["bench_backend", "bench_load", "bench_heap", "bench_table",
               "bench_sweeps", "bench_handover", "bench_turns", *more_targets]
    if with_gatepost:
        targets.append("gatepost")
    _run_quietly("cmake", "-S", REPOSITORY, "-B", build_folder, "-G", "Ninja",
                 "-DCMAKE_BUILD_TYPE=Release", "-DGATEPOST_TESTS=OFF",
                 "-DGATEPOST_BENCH=ON", *extra_settings)
    _run_quietly("cmake", "--build", build_folder, "--target", *targets)


def _run_quietly(*command):
    """Shows what it printed only where it failed."""
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}{' '.join(command)} failed; what a build "
                 "needs is installed by deploy/packages install build bench")


class Talker:
    """A bench program: told by lines, tells by lines, ends with its input."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[0]} ended by itself")
        return line.split()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask_counts(self):
        """A dictionary from a line such as "open 3 lost 0"."""
        self.tell("counts")
        return pairs(self.hear())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(STOP_SECONDS)
        self.process.stdout.close()


class Backend(Talker):
    """The cheap backend, with a plain port and a TLS one."""

    def __init__(self, lab):
        super().__init__(lab.program("bench_backend"),
                         "--chain", lab.chain, "--key", lab.key)
        self.ports = {}
        while len(self.ports) < 2:
            name, port = self.hear()
            self.ports[name] = int(port)
        self.hear()  # "ready"


class IdleLoad(Talker):
    """The load generator in mode idle."""

    def __init__(self, lab, proxy, steps, *more):
        super().__init__(lab.program("bench_load"), "idle",
                         "--connect", f"127.0.0.1:{proxy.port}",
                         "--steps", ",".join(map(str, steps)), *more)


def pairs(words):
    return {words[i]: int(words[i + 1]) for i in range(0, len(words), 2)}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def is_listening(port):
    """Asks the kernel: a connection of ours, which TCP_DEFER_ACCEPT may hold
    for a second, would be counted as one of the proxy's sockets."""
    with open("/proc/net/tcp", encoding="utf-8") as table:
        return any(line.split()[1].endswith(f":{port:04X}") and
                   line.split()[3] == "0A" for line in table)


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout.strip()


def describe_machine():
    return (f"Linux {platform.release()}, {os.cpu_count()} cores, "
            f"{' '.join(platform.libc_ver())}")


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _make_certificates(lab):
    """ECDSA P-256, a CA and a server's certificate under it."""
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = lab.write("names.ext",
                      "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for command in (
            ["req", "-x509", *new_key, "-keyout", lab.path("ca.key"),
             "-out", lab.ca, "-subj", "/CN=Bench CA", "-days", "30"],
            ["req", *new_key, "-keyout", lab.key, "-out", lab.path("csr.pem"),
             "-subj", "/CN=localhost"],
            ["x509", "-req", "-in", lab.path("csr.pem"), "-CA", lab.ca,
             "-CAkey", lab.path("ca.key"), "-CAcreateserial", "-days", "30",
             "-extfile", names, "-out", lab.chain]):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    with open(lab.both, "w", encoding="utf-8") as both:
        for name in (lab.chain, lab.key):
            with open(name, encoding="utf-8") as part:
                both.write(part.read())
