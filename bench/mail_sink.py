"""A provider for benchmarks, a process of its own: speaks SendGrid's v3, takes everything, and says what it took.

python -m bench.mail_sink PORT
"""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import httpx2
import orjson

from bench import web


@dataclass(frozen=True, slots=True)
class Taken:
    """What it took since it began: when each message came, by its id, in seconds of the world's clock."""

    calls: int
    twice: int
    times: dict[str, float]

    @property
    def a_second(self) -> float:
        """From the first message to the last; what the last call carried came for nothing."""
        first, last = min(self.times.values()), max(self.times.values())
        before = sum(at < last for at in self.times.values())
        return before / (last - first)


class Sink:
    """Somebody to send to."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def taken(self) -> Taken:
        """What came so far."""
        return Taken(**httpx2.get(f"{self.url}/taken", timeout=60).json())

    def forget(self) -> None:
        """It begins anew."""
        httpx2.post(f"{self.url}/forget")


@contextmanager
def started() -> Iterator[Sink]:
    """A sink that runs for the length of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen([sys.executable, "-m", "bench.mail_sink", str(port)], cwd=web.ROOT)
    try:
        web.wait(port)
        yield Sink(port)
    finally:
        process.kill()
        process.wait()


class _Provider(asyncio.Protocol):
    """One connection; HTTP as far as its clients go."""

    calls, twice = 0, 0
    times: dict[str, float] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._heard = transport, bytearray()
        self._body_at, self._end = 0, 0

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while self._whole():
            body = bytes(self._heard[self._body_at : self._end])
            path = bytes(self._heard[: self._heard.index(b" HTTP/")]).split(b" ", 1)[1]
            del self._heard[: self._end]
            self._end = 0
            self._answer(path, body)

    def _whole(self) -> bool:
        if not self._end:
            if (found := self._heard.find(b"\r\n\r\n")) < 0:
                return False
            lines = bytes(self._heard[:found]).lower().split(b"\r\n")
            length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
            self._body_at, self._end = found + 4, found + 4 + length
        return len(self._heard) >= self._end

    def _answer(self, path: bytes, body: bytes) -> None:
        told, status, kind = b"", b"202 Accepted", _Provider
        if path == b"/taken":
            told, status = orjson.dumps({"calls": kind.calls, "twice": kind.twice, "times": kind.times}), b"200 OK"
        elif path == b"/forget":
            kind.calls, kind.twice, kind.times = 0, 0, {}
        else:
            self._take(body)
        head = f"X-Message-Id: {uuid4().hex}\r\nContent-Length: {len(told)}\r\n\r\n".encode()
        self._transport.write(b"HTTP/1.1 " + status + b"\r\n" + head + told)

    def _take(self, body: bytes) -> None:
        kind, now = _Provider, time.time()
        kind.calls += 1
        for one in orjson.loads(body)["personalizations"]:
            name = one["custom_args"]["mid"]
            kind.twice += name in kind.times
            kind.times[name] = now


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Provider, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
