"""A relay that puts a backend at a distance: every byte, and the connecting
itself, takes its time, and each turn of the talk is counted."""

import asyncio
import threading

NEAR, FAR = "near", "far"


class Relayed:
    """One connection through the relay, as the near side lives it."""

    def __init__(self):
        self.turns = []  # (moment, side): who began to speak, and when
        # A connection takes a round trip, and then its first answer waits
        # for our acknowledgement, which goes with our first bytes, if any.
        self.began = asyncio.get_running_loop().time()
        for side in (NEAR, FAR, NEAR):
            self.note(side)

    def note(self, side):
        """What this side says belongs to its turn, or begins one."""
        if not self.turns or self.turns[-1][1] != side:
            self.turns.append((asyncio.get_running_loop().time(), side))

    def round_trips(self, since=0):
        """How often the near side waited for the far one since a moment of
        DelayingRelay.now."""
        return sum(1 for moment, side in self.turns
                   if side == NEAR and moment >= since)


class DelayingRelay:
    """Listens on loopback and relays to `backend`, `delay` seconds away in
    each direction."""

    def __init__(self, backend, delay):
        self.backend, self.delay = backend, delay
        self.connections = []
        self._tasks = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever,
                                        daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024),
            self._loop).result(10)
        self.host, self.port = self._server.sockets[0].getsockname()

    def now(self):
        """The relay's clock."""
        return self._loop.time()

    def stop(self):
        """Ends everything."""
        async def end():
            self._server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        connection = Relayed()
        self.connections.append(connection)
        far_writer = None
        try:
            # SYN, SYN-ACK and ACK have passed when the far side accepts.
            await self._until(connection.began + 3 * self.delay)
            far_reader, far_writer = await asyncio.open_connection(
                self.backend.host, self.backend.port)
            await asyncio.gather(
                self._carry(reader, far_writer, connection, NEAR),
                self._carry(far_reader, writer, connection, FAR))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in (writer, far_writer):
                if one is not None:
                    one.close()
            self._tasks.discard(asyncio.current_task())

    async def _until(self, moment):
        await asyncio.sleep(max(0, moment - self._loop.time()))

    async def _carry(self, reader, writer, connection, side):
        """Takes what comes at once and hands it on when it is due."""
        due = asyncio.Queue()
        taking = asyncio.ensure_future(
            self._take(reader, due, connection, side))
        try:
            while True:
                moment, octets = await due.get()
                await self._until(moment)
                if not octets:
                    break
                if side == FAR:
                    connection.note(FAR)
                writer.write(octets)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        finally:
            taking.cancel()

    async def _take(self, reader, due, connection, side):
        octets = None
        while octets != b"":
            try:
                octets = await reader.read(65536)
            except OSError:
                octets = b""
            if side == NEAR and octets:
                connection.note(NEAR)
            # What was sent with the ACK has travelled already.
            sent = max(self._loop.time(), connection.began + 2 * self.delay)
            due.put_nowait((sent + self.delay, octets))
