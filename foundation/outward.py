"""The one way out to addresses other people named: only public hosts, by HTTPS, pinned to the address that was checked.

Names are resolved once, every address found must be public, and the connection goes to that very address, so that a
name which answers differently a moment later leads nowhere. No redirects, five seconds for all of a call, one megabyte.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

SECONDS = 5.0
"""From asking for the name to the end of the answer, however little comes at a time."""
MOST_BYTES = 1024 * 1024
PORTS = (443, 8443)

Resolve = Callable[[str, int], Sequence[str]]
"""The addresses of a host."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the HTTP status, or None and why there is none. `hopeless`: trying again would change nothing.

    `retry_after` seconds were asked for.
    """

    status: int | None
    detail: str
    hopeless: bool = False
    retry_after: float | None = None

    @property
    def good(self) -> bool:
        """The other side took it."""
        return self.status is not None and 200 <= self.status < 300


def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of the host; raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


def wrong(url: str) -> str | None:
    """What is wrong with an address before anybody asks for it, as the end of a sentence."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        return "is no address"
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
        return "must be an https address without a password"
    if port not in PORTS:
        return f"must use port {PORTS[0]} or {PORTS[1]}"
    try:
        literal = str(ipaddress.ip_address(parts.hostname))
    except ValueError:
        literal = ""
    if literal and not public(literal) or parts.hostname == "localhost" or parts.hostname.endswith(".localhost"):
        return "leads into a private network"
    return None


def public(address: str) -> bool:
    """Whether anybody on the internet may be there: not private, loopback, link-local, shared, mapped or reserved, nor
    where a cloud tells its machines who they are."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None:
            return False
    return found.is_global and not found.is_multicast and not any(found in network for network in _INNER)


_INNER = tuple(
    map(
        ipaddress.ip_network,
        (
            # An address of the old protocol within one of the new, in the ways `ipaddress` does not know.
            *("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "192.88.99.0/24"),
            # Set aside, though some versions of `ipaddress` call them global.
            *("192.0.0.0/24", "fec0::/10", "3fff::/20", "5f00::/16"),
            # Azure's, which looks like any other.
            "168.63.129.16/32",
        ),
    )
)


class Outward:
    """Posts to addresses others named. Tests hand in their own resolver, allowed addresses and trust."""

    def __init__(
        self,
        *,
        resolver: Resolve = resolve,
        allow: Callable[[str], bool] = public,
        trust: ssl.SSLContext | None = None,
        ports: Sequence[int] = PORTS,
        seconds: float = SECONDS,
    ) -> None:
        self._resolver = resolver
        self._allow = allow
        self._trust = trust or ssl.create_default_context()
        self._trust.sslsocket_class = _Bounded
        self._ports = ports
        self._seconds = seconds

    def post(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> Answer:
        """One POST; never raises for what the world may do, and never takes longer than it may."""
        until = time.monotonic() + self._seconds
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or 443
        except ValueError:
            return Answer(None, "is no address", hopeless=True)
        if parts.scheme != "https" or port not in self._ports:
            return Answer(None, "must be an https address on port 443 or 8443", hopeless=True)
        try:
            addresses = self._addresses(host, port, until=until)
        except (OSError, UnicodeError) as error:
            return Answer(None, f"the name is not known: {str(error) or 'no answer in time'}")
        if not addresses or not all(self._allow(address) for address in addresses):
            return Answer(None, "leads into a private network", hopeless=True)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return self._ask(_Pinned(host, port, address=addresses[0], trust=self._trust, until=until), path, body, headers)

    def _addresses(self, host: str, port: int, *, until: float) -> Sequence[str]:
        """The operating system cannot be told how long to look a name up: it is left to a thread, and the thread to
        itself once the time is over."""
        found: Future[Sequence[str]] = Future()

        def look() -> None:
            try:
                found.set_result(self._resolver(host, port))
            except (OSError, UnicodeError) as error:
                found.set_exception(error)

        threading.Thread(target=look, name="outward name", daemon=True).start()
        return found.result(_left(until))

    def _ask(self, connection: "_Pinned", path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            connection.request("POST", path, body=body, headers={**headers, "Connection": "close"})
            response = connection.getresponse()
            # The status is the answer. What follows it is read so that the other side can finish, and left when late.
            with suppress(OSError, http.client.HTTPException):
                response.read(MOST_BYTES)
        except UnicodeError:
            return Answer(None, "is no address", hopeless=True)
        except (OSError, http.client.HTTPException) as error:
            return Answer(None, f"{type(error).__name__}: {error}")
        finally:
            connection.close()
        if 300 <= response.status < 400:
            return Answer(response.status, "redirects are not followed", hopeless=True)
        gone = response.status in (400, 401, 403, 404, 405, 410, 413, 415, 422)
        after = response.getheader("Retry-After") or ""
        wait = float(after) if after.isdecimal() and len(after) < 7 else None
        return Answer(response.status, response.reason, hopeless=gone, retry_after=wait)


def _left(until: float) -> float:
    """Seconds until then; raises `TimeoutError` once there are none."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _Bounded(ssl.SSLSocket):
    """A connection on which every operation has what is left of the call: a byte now and then gains nobody time."""

    until: float

    def recv_into(self, *args: Any, **named: Any) -> int:
        """As any socket's."""
        self.settimeout(_left(self.until))
        return super().recv_into(*args, **named)

    def send(self, *args: Any, **named: Any) -> int:
        """As any socket's; `sendall` comes through here."""
        self.settimeout(_left(self.until))
        return super().send(*args, **named)


class _Pinned(http.client.HTTPSConnection):
    """A connection to the address that was checked, with the certificate of the name."""

    def __init__(self, host: str, port: int, *, address: str, trust: ssl.SSLContext, until: float) -> None:
        super().__init__(host, port, context=trust)
        self._address = address
        self._trust = trust
        self._until = until

    def connect(self) -> None:
        """Connects to the address alone; the name is only for the certificate."""
        plain = socket.create_connection((self._address, self.port), _left(self._until))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secure = self._trust.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock = bounded = cast(_Bounded, secure)
        bounded.until = self._until
        bounded.settimeout(_left(self._until))
        bounded.do_handshake()
