"""A local HTTP server that stands for a provider: it speaks the provider's words, or misbehaves as it is told to."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx2


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """The body read as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


Answer = tuple[int, dict[str, str], bytes]
HANG = 0
"""As a status: the request is taken and never answered."""
LOST = -1
"""As a status: the request is taken and the connection closed."""


def said(status: int, body: object, **headers: str) -> Answer:
    """An answer in JSON."""
    return status, {"Content-Type": "application/json", **headers}, json.dumps(body).encode()


@dataclass
class Provider:
    """What came in, and what to say. `answer` decides by the request; what it answers 2xx to counts as taken."""

    answer: Callable[[Asked], Answer]
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    taken: list[Asked] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"


class _Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: Provider

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked("POST", self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.provider.asked.append(asked)
        status, headers, text = self.provider.answer(asked)
        if status in (HANG, LOST) or 200 <= status < 300:
            self.provider.taken.append(asked)
        if status == HANG:
            self.provider.closing.wait(20)
        if status in (HANG, LOST):
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: Any) -> None:
        """Quiet."""


@contextmanager
def speaking(answer: Callable[[Asked], Answer]) -> Iterator[Provider]:
    """A provider that answers so, until the end of the block."""
    provider = Provider(answer)
    handler = type("Endpoint", (_Endpoint,), {"provider": provider})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    provider.port = server.server_port
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield provider
    finally:
        provider.closing.set()
        server.shutdown()
        serving.join()
        server.server_close()


class Rerouted(httpx2.BaseTransport):
    """Leads every call to a local provider, whatever host it names; the host it named is kept in a header."""

    def __init__(self, url: str) -> None:
        self._inner = httpx2.HTTPTransport()
        self._url = httpx2.URL(url)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["X-Meant-For"] = str(request.url)
        request.url = request.url.copy_with(scheme=self._url.scheme, host=self._url.host, port=self._url.port)
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def soon(seconds: float = 30.0) -> float:
    """A deadline."""
    return time.monotonic() + seconds
