"""A backend in a process of its own, which can be killed with thousands of
sessions in it. Run as a program: PORT TLS [CERTIFICATE KEY]."""

import asyncio
import socket
import ssl
import subprocess
import sys
import time

from .ports import free_port


class Mortal:
    """That process; `host` and `port` stay the same from life to life."""

    host = "127.0.0.1"

    def __init__(self, tls, files):
        self.port = free_port()
        self._command = [sys.executable, "-m", "gatepost_test.mortal",
                         str(self.port), tls, *files]
        self.live()

    def live(self):
        """Starts it, and waits until it answers."""
        self.process = subprocess.Popen(
            self._command, cwd=_support(), stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection((self.host, self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "does not listen"
                time.sleep(0.01)

    def die(self):
        """SIGKILL: the kernel ends all of its connections."""
        self.process.kill()
        self.process.wait()

    stop = die


def _support():
    return __file__.rsplit("/", 2)[0]


class _Server:
    """Lets everybody in, and answers every command with OK."""

    def __init__(self, tls, context):
        self.tls, self.context = tls, context

    async def serve(self, reader, writer):
        try:
            writer.write(b"* OK ready\r\n")
            while line := await reader.readline():
                await self._answer(writer, *line.split(None, 2)[:2])
                await writer.drain()
        except (OSError, ValueError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer, tag, name):
        name = name.upper()
        if name == b"CAPABILITY":
            offers = b" STARTTLS" if self.tls == "starttls" else b""
            writer.write(b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN" +
                         offers + b"\r\n")
        writer.write(tag + b" OK done\r\n")
        if name == b"STARTTLS":
            await writer.start_tls(self.context)


async def _run(port, tls, files):
    context = None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    server = await asyncio.start_server(
        _Server(tls, context).serve, "127.0.0.1", int(port), backlog=4096,
        ssl=context if tls == "implicit" else None)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], sys.argv[2], sys.argv[3:]))
