"""Gatepost and its peers, each started with the settings that are best for it
and still honest: a process or thread for each core, TLS sessions resumed by
tickets that all of them know, logs as they are by default. All offer ECDHE
with AES-128-GCM first and have the lab's ECDSA P-256 certificate; the client
offers X25519 alone."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import lab as labs
from measure import ProcessTree, is_alive

STOP_SECONDS = 20
LOG_END_SIZE = 2000
STREAMS = ("fetch", "append", "fetch-tls")
TLS12_CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
TLS13_CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"


class Proxy:
    """What every proxy under measurement can do. A subclass gives a command
    and writes its configuration."""

    name = None
    executable = None
    package = None  # Debian's
    backend_kinds = ("plain", "tls")
    descriptor_limit = None  # None: as many as there may be
    load_words = ()  # what the load generator must be told
    differs_in = None  # the kinds of work that show its setting; None: all
    start_seconds = 20

    def __init__(self, lab, backend_kind, backend_port, environment=None,
                 cores=None, workers=None):
        self.lab = lab
        self.backend_kind = backend_kind
        self.backend_port = backend_port
        self.cores = cores or os.sched_getaffinity(0)
        self.workers = workers or len(self.cores)
        self.port = labs.free_port()
        self.folder = lab.new_folder()
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self.command(), env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=self._limit_itself)
        self.tree = ProcessTree(self.pid)
        self._wait_until_it_listens()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @classmethod
    def installed(cls):
        """The path of what Debian's package holds, or None."""
        return find_program(cls.executable)

    @classmethod
    def program(cls, lab):
        """The path of what is run."""
        del lab
        return cls.installed()

    @classmethod
    def version(cls, lab):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    @property
    def pid(self):
        return self.process.pid

    def logged_sessions(self):
        """How many sessions have ended by its own account; None where it
        does not say."""
        return None

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def log_end(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()[-LOG_END_SIZE:]

    def freeze(self):
        """It runs no further, and can only be stopped."""
        self.process.send_signal(signal.SIGSTOP)

    def stop(self):
        """Ends it the quick way: its sessions are of no more use."""
        children = ProcessTree(self.pid).pids()[1:]
        self.process.kill()
        self.process.wait(STOP_SECONDS)
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + STOP_SECONDS
        while any(map(is_alive, children)) and time.monotonic() < deadline:
            time.sleep(0.01)

    def _limit_itself(self):
        os.sched_setaffinity(0, self.cores)
        if self.descriptor_limit is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE,
                               (self.descriptor_limit, self.descriptor_limit))

    def _wait_until_it_listens(self):
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if labs.is_listening(self.port):
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self.name} did not start: {self.log_end()}")


class Gatepost(Proxy):
    name = "gatepost"
    binary = None  # a path, where it is not the build folder's own
    log_read = 0
    sessions_logged = 0

    @classmethod
    def program(cls, lab):
        return cls.binary or lab.program("gatepost")

    @classmethod
    def version(cls, lab):
        return " ".join(labs.output_of(cls.program(lab), "--version")
                        .split("\n"))

    def command(self):
        self.write("routes.json", json.dumps(self.routes()))
        config = self.write("gatepost.json", json.dumps(self.settings()))
        return [self.program(self.lab), "serve", config]

    def routes(self):
        backend = {"host": "127.0.0.1", "port": self.backend_port,
                   "tls": "none"}
        if self.backend_kind == "tls":
            backend.update(tls="implicit", tls_name="localhost",
                           ca=self.lab.ca)
        return {"backends": {"cheap": backend},
                "pools": {"all": {"backends": ["cheap"]}},
                "default": "all"}

    def settings(self):
        return {"listeners": [{"address": "127.0.0.1", "port": self.port,
                               "tls": "implicit"}],
                "tls": {"certificates": [{"chain": self.lab.chain,
                                          "key": self.lab.key}]},
                "routes": "routes.json",
                "workers": self.workers}

    def logged_sessions(self):
        """The log is read on from where it was left."""
        with open(self.log, "rb") as log:
            log.seek(self.log_read)
            text = log.read()
        whole = text[:text.rfind(b"\n") + 1]
        self.log_read += len(whole)
        self.sessions_logged += whole.count(b" session-end ")
        return self.sessions_logged


class OtherGatepost(Gatepost):
    """Another build, beside which one's own is measured."""

    name = "other-gatepost"


class HAProxy(Proxy):
    """TLS offload in TCP mode: no IMAP, so a lower bound for its kind. It has
    no session cache, which costs a lock and a copy for each handshake: tickets
    serve every client."""

    name = "haproxy"
    executable = "haproxy"
    package = "haproxy"
    buffer = 16384  # its default

    @classmethod
    def version(cls, lab):
        text = labs.output_of(cls.program(lab), "-vv")
        library = re.search(r"Running on OpenSSL version : (.*)", text)
        return (f"{text.splitlines()[0]}, {library.group(1)}, buffers of "
                f"{cls.buffer // 1024}k")

    def command(self):
        tls = ""
        if self.backend_kind == "tls":
            tls = (f" ssl ca-file {self.lab.ca} verify required"
                   " sni str(localhost) verifyhost localhost")
        config = self.write("haproxy.cfg", f"""
global
    maxconn {min(9500, hard_descriptor_limit() // 2 - 100)}
    nbthread {self.workers}
    tune.bufsize {self.buffer}
    tune.ssl.cachesize 0
    ssl-default-bind-options ssl-min-ver TLSv1.2
    ssl-default-bind-ciphers {TLS12_CIPHERS}
    ssl-default-bind-ciphersuites {TLS13_CIPHERS}
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend imaps
    bind 127.0.0.1:{self.port} ssl crt {self.lab.both}
    default_backend cheap
backend cheap
    server cheap 127.0.0.1:{self.backend_port}{tls}
""")
        return [self.program(self.lab), "-db", "-f", config]


class HAProxyLargeBuffer(HAProxy):
    """With buffers for streams, of which each busy session holds two."""

    name = "haproxy-64k"
    buffer = 65536
    differs_in = STREAMS


class Nginx(Proxy):
    """The mail module. What it asks about each user is answered by a fixed
    answer of its own over a Unix socket, the cheapest that can be had."""

    name = "nginx"
    executable = "nginx"
    package = "libnginx-mod-mail"
    backend_kinds = ("plain",)
    buffer = "4k"

    @classmethod
    def installed(cls):
        return super().installed() if os.path.exists(NGINX_MAIL) else None

    @classmethod
    def version(cls, lab):
        text = said_by(cls.program(lab), "-V")
        return (f"{re.search('nginx/[0-9.]+', text).group(0)}, "
                f"{openssl_version()}, buffers of {cls.buffer}")

    def command(self):
        for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
            os.mkdir(os.path.join(self.folder, name))
        config = self.write("nginx.conf", f"""
load_module {NGINX_MAIL};
{"user www-data;" if os.geteuid() == 0 else ""}
daemon off;
pid {self.folder}/pid;
error_log stderr;
worker_processes {self.workers};
worker_rlimit_nofile {hard_descriptor_limit()};
events {{
    worker_connections {hard_descriptor_limit() - 100};
}}
mail {{
    auth_http unix:{self.folder}/auth:/;
    proxy on;
    proxy_buffer {self.buffer};
    imap_client_buffer {self.buffer};
    timeout 1h;
    proxy_timeout 1h;
    imap_capabilities IMAP4rev1 SASL-IR LITERAL+ ID IDLE NAMESPACE UNSELECT;
    ssl_certificate {self.lab.chain};
    ssl_certificate_key {self.lab.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers {TLS12_CIPHERS};
    ssl_conf_command Ciphersuites {TLS13_CIPHERS};
    ssl_session_cache shared:tls:50m;
    ssl_session_tickets on;
    server {{
        listen 127.0.0.1:{self.port} ssl backlog=4096;
        protocol imap;
    }}
}}
http {{
    access_log off;
    client_body_temp_path {self.folder}/body;
    proxy_temp_path {self.folder}/proxy;
    fastcgi_temp_path {self.folder}/fastcgi;
    uwsgi_temp_path {self.folder}/uwsgi;
    scgi_temp_path {self.folder}/scgi;
    server {{
        listen unix:{self.folder}/auth backlog=4096;
        add_header Auth-Status OK;
        add_header Auth-Server 127.0.0.1;
        add_header Auth-Port {self.backend_port};
        return 204;
    }}
}}
""")
        return [self.program(self.lab), "-e", "stderr", "-p", self.folder,
                "-c", config]


class NginxLargeBuffer(Nginx):
    """With a buffer for streams, which each session holds twice."""

    name = "nginx-64k"
    buffer = "64k"
    differs_in = STREAMS


class Dovecot(Proxy):
    """As a proxy, in its high-performance mode: login processes that live on
    and serve many. They do not share ticket keys."""

    name = "dovecot"
    executable = "dovecot"
    package = "dovecot-imapd"

    @classmethod
    def version(cls, lab):
        return (f"dovecot {labs.output_of(cls.program(lab), '--version')}, "
                f"{openssl_version()}")

    def command(self):
        route = (f"proxy=y nopassword=y host=127.0.0.1 "
                 f"port={self.backend_port}")
        if self.backend_kind == "tls":
            route = route.replace("host=127.0.0.1",
                                  "host=localhost hostip=127.0.0.1 ssl=yes")
        config = self.write("dovecot.conf", f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = /dev/stderr
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{self.lab.chain}
ssl_key = <{self.lab.key}
ssl_ca = <{self.lab.ca}
ssl_require_crl = no
ssl_min_protocol = TLSv1.2
ssl_cipher_list = {TLS12_CIPHERS}
ssl_prefer_server_ciphers = no
auth_mechanisms = plain login
passdb {{
  driver = static
  args = {route}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {self.port}
    ssl = yes
  }}
  service_count = 0
  process_min_avail = {self.workers}
  process_limit = {self.workers}
  client_limit = 10000
  vsz_limit = 0
}}
service auth {{
  client_limit = 20000
}}
service anvil {{
  client_limit = 20000
}}
service stats {{
  client_limit = 20000
}}
""")
        return [self.program(self.lab), "-F", "-c", config]


class Perdition(Proxy):
    """A process for each connection. At its end it closes every descriptor
    up to the limit, so that a high limit would cost it milliseconds. It knows
    P-256 alone."""

    name = "perdition"
    executable = "perdition"
    package = "perdition"
    backend_kinds = ("plain",)
    descriptor_limit = 1024
    load_words = ("--any-group",)

    @classmethod
    def version(cls, lab):
        text = said_by(cls.program(lab), "--help")
        return (f"perdition {re.search('version ([0-9.]+)', text).group(1)}, "
                f"{openssl_version()}")

    def command(self):
        user = ()
        if os.geteuid() == 0:
            user = ("--username", "nobody", "--group", "nogroup")
        return [self.program(self.lab), "-P", "IMAP4S", "--ssl_mode",
                "ssl_listen", "--no_daemon", "--no_lookup", "-M", "",
                "--bind_address", f"127.0.0.1:{self.port}",
                "--outgoing_server", f"127.0.0.1:{self.backend_port}",
                "--imap_capability", "IMAP4rev1 LITERAL+ ID IDLE NAMESPACE",
                "--server_resp_line", "--log_facility", "+", "--quiet",
                "--pid_file", "", "--timeout", "0",
                "--ssl_cert_file", self.lab.chain,
                "--ssl_key_file", self.lab.key,
                "--ssl_listen_ciphers", TLS12_CIPHERS,
                "--ssl_no_cipher_server_preference",
                *user]


class Hitch(Proxy):
    """TLS offload alone, a process for each core."""

    name = "hitch"
    executable = "hitch"
    package = "hitch"
    backend_kinds = ("plain",)

    @classmethod
    def version(cls, lab):
        return (f"{said_by(cls.program(lab), '--version').strip()}, "
                f"{openssl_version()}")

    def command(self):
        config = self.write("hitch.conf", f"""
frontend = "[127.0.0.1]:{self.port}"
backend = "[127.0.0.1]:{self.backend_port}"
pem-file = "{self.lab.both}"
workers = {self.workers}
backlog = 4096
tls-protos = TLSv1.2 TLSv1.3
ciphers = "{TLS12_CIPHERS}"
ciphersuites = "{TLS13_CIPHERS}"
daemon = off
{'user = "nobody"' if os.geteuid() == 0 else ""}
""")
        return [self.program(self.lab), "--config=" + config]


class Stunnel(Proxy):
    """TLS offload alone, a thread for each connection."""

    name = "stunnel"
    executable = "stunnel4"
    package = "stunnel4"
    backend_kinds = ("plain",)

    @classmethod
    def version(cls, lab):
        text = said_by(cls.program(lab), "-version")
        return (f"{re.search('stunnel [0-9.]+', text).group(0)}, "
                f"{re.search('Running.*(OpenSSL [^ ]+)', text).group(1)}")

    def command(self):
        config = self.write("stunnel.conf", f"""
foreground = yes
pid =
syslog = no
debug = warning
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[imaps]
accept = 127.0.0.1:{self.port}
connect = 127.0.0.1:{self.backend_port}
cert = {self.lab.chain}
key = {self.lab.key}
sslVersionMin = TLSv1.2
ciphers = {TLS12_CIPHERS}
ciphersuites = {TLS13_CIPHERS}
sessionCacheSize = 100000
""")
        return [self.program(self.lab), config]


NGINX_MAIL = "/usr/lib/nginx/modules/ngx_mail_module.so"
PROXIES = {proxy.name: proxy
           for proxy in (Gatepost, OtherGatepost, HAProxy, HAProxyLargeBuffer,
                         Nginx, NginxLargeBuffer, Dovecot, Perdition, Hitch,
                         Stunnel)}


def missing_packages(names):
    """Debian's names of what must be installed first."""
    found = [PROXIES[name] for name in names]
    return sorted({proxy.package for proxy in found
                   if proxy.package and proxy.installed() is None})


def stop_if_missing(names):
    """Ends the program with a line that installs what it needs."""
    packages = missing_packages(names)
    if packages:
        sys.exit(f"not installed: {', '.join(packages)}. Either\n"
                 "  deploy/packages install bench\nor, of these alone,\n"
                 "  apt-get install --no-install-recommends "
                 f"{' '.join(packages)}")


def find_program(name):
    """Servers are not on everyone's path."""
    return shutil.which(name, path=os.environ.get("PATH", "") +
                        ":/usr/sbin:/usr/local/sbin")


def hard_descriptor_limit():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def openssl_version():
    """Of the library that Debian's servers share."""
    return " ".join(labs.output_of("openssl", "version").split()[:2])


def said_by(*command):
    """Some print their version on standard error; perdition breaks after."""
    return subprocess.run(command, check=False, text=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT).stdout
