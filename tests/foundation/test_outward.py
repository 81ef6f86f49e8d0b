"""The way out to addresses others named: a witness listens on loopback, and nothing may reach it."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from foundation import outward
from foundation.outward import Answer, Outward
from tests.foundation.certificate import certificate

INWARD = [
    "https://127.0.0.1/", "https://localhost/", "https://x.localhost/", "https://[::1]/", "https://[::ffff:127.0.0.1]/",
    "https://10.0.0.1/", "https://172.16.3.4/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/", "https://0.0.0.0/", "https://224.0.0.1/", "https://[fe80::1]/", "https://[fc00::1]/",
    "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "http://shop.example/", "ftp://shop.example/",
    "https://shop.example:22/", "https://user:pass@shop.example/", "https://", "https://[::1", "file:///etc/passwd",
]  # fmt: skip
BY_NAME = ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "rebind.example", "metadata.example"]


@pytest.mark.parametrize("url", INWARD)
def test_what_leads_inward_is_refused_when_it_is_written(url: str) -> None:
    assert outward.wrong(url)


@pytest.mark.parametrize("url", ["https://shop.example/hook?x=1", "https://shop.example:8443/", "https://8.8.8.8/"])
def test_public_addresses_may_be_written(url: str) -> None:
    assert outward.wrong(url) is None


@pytest.fixture
def witness() -> Iterator[tuple[int, list[object]]]:
    """A listener on loopback that remembers who came."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        came: list[object] = []
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                connection.close()
                came.append(address)

        thread = threading.Thread(target=listen)
        thread.start()
        yield server.getsockname()[1], came
        over.set()
        thread.join()


@pytest.mark.parametrize("host", BY_NAME)
def test_a_name_that_resolves_inward_reaches_nobody(witness: tuple[int, list[object]], host: str) -> None:
    port, came = witness
    way = Outward(resolver=lambda *_: ["93.184.216.34", "127.0.0.1"], ports=(port,))
    answer = way.post(f"https://{host}:{port}/", b"{}", headers={})
    assert answer.hopeless and answer.status is None and came == []


def test_the_address_that_was_checked_is_the_one_that_is_spoken_to(witness: tuple[int, list[object]]) -> None:
    """A name that says something else when asked again is not asked again."""
    port, came = witness
    asked: list[str] = []

    def rebinding(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    way = Outward(resolver=rebinding, allow=lambda _: True, ports=(port,))
    answer = way.post(f"https://rebind.example:{port}/", b"{}", headers={})
    assert answer.status is None and len(asked) == 1 and len(came) == 1


# ------------------------------------------------------------------------------------------------- the time
SECONDS, LATE = 1.0, 2.5
"""What a call may take here, and what it would never take if that held: each byte comes well within a time-out."""
BODY = b"{}"
Talk = Callable[[socket.socket, threading.Event], None]


def dripped(line: bytes) -> Talk:
    """Says this a byte at a time."""

    def talk(other: socket.socket, over: threading.Event) -> None:
        for byte in line:
            if over.wait(0.3):
                return
            other.sendall(bytes([byte]))

    return talk


def silent(_: socket.socket, over: threading.Event) -> None:
    """Says nothing and stays."""
    over.wait(30)


@contextmanager
def speaking(folder: Path, talk: Talk, *, secure: bool = True) -> Iterator[tuple[Outward, str]]:
    """A way out, and the address of a server that takes one connection and talks, with TLS or before it."""
    held, secret = certificate(folder, "hooks.example")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(held, secret)
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        with ExitStack() as stack, suppress(OSError):
            other = stack.enter_context(listener.accept()[0])
            if secure:
                other = stack.enter_context(served.wrap_socket(other, server_side=True))
                told = b""
                while not told.endswith(BODY):
                    told += other.recv(65536)
            talk(other, over)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        trust, port = ssl.create_default_context(cafile=str(held)), listener.getsockname()[1]
        way = Outward(
            resolver=lambda *_: ["127.0.0.1"], allow=lambda _: True, trust=trust, ports=(port,), seconds=SECONDS
        )
        try:
            yield way, f"https://hooks.example:{port}/x"
        finally:
            over.set()
            thread.join()


def asked(way: Outward, url: str) -> tuple[Answer, float]:
    """What came back, and after how many seconds."""
    begun = time.monotonic()
    answer = way.post(url, BODY, headers={})
    return answer, time.monotonic() - begun


@pytest.mark.parametrize(
    ("talk", "secure"),
    [
        (silent, False),
        (silent, True),
        (dripped(b"\x16\x03\x03\x40\x00" + b"\x02" * 30), False),
        (dripped(b"HTTP/1.1 200 OK, and a long reason"), True),
        (dripped(b"HTTP/1.1 200 OK\r\nX-Long: header"), True),
    ],
    ids=["hangs before TLS", "hangs after the request", "drips TLS", "drips the status", "drips headers"],
)
def test_a_call_is_over_when_its_time_is_however_little_comes_at_a_time(
    tmp_path: Path, talk: Talk, secure: bool
) -> None:
    with speaking(tmp_path, talk, secure=secure) as (way, url):
        answer, took = asked(way, url)
    assert answer.status is None and not answer.hopeless and SECONDS <= took < LATE


def test_an_answer_whose_end_does_not_come_is_its_status(tmp_path: Path) -> None:
    def talk(other: socket.socket, over: threading.Event) -> None:
        other.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n")
        dripped(b"." * 60)(other, over)

    with speaking(tmp_path, talk) as (way, url):
        answer, took = asked(way, url)
    assert answer.good and took < LATE


def test_a_name_nobody_answers_for_takes_no_longer_than_a_call_may() -> None:
    over = threading.Event()

    def slow(*_: object) -> list[str]:
        over.wait(30)
        return ["127.0.0.1"]

    answer, took = asked(Outward(resolver=slow, seconds=SECONDS), "https://slow.example/")
    over.set()
    assert "no answer in time" in answer.detail and not answer.hopeless and SECONDS <= took < LATE


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_an_answer_and_leads_nowhere(
    tmp_path: Path, witness: tuple[int, list[object]], status: str
) -> None:
    port, came = witness

    def talk(other: socket.socket, _: threading.Event) -> None:
        head = f"HTTP/1.1 {status}\r\nLocation: http://127.0.0.1:{port}/\r\nContent-Length: 0\r\n\r\n"
        other.sendall(head.encode())

    with speaking(tmp_path, talk) as (way, url):
        answer, _ = asked(way, url)
    assert answer == Answer(int(status[:3]), "redirects are not followed", hopeless=True) and came == []


# ------------------------------------------------------------------------------------------------ the world
def test_what_the_world_does_is_an_answer_and_no_error() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    assert "not known" in Outward(resolver=unknown).post("https://nowhere.example/", b"", headers={}).detail
    assert Outward().post("https://[::1", b"", headers={}).hopeless
    assert Outward().post("http://shop.example/", b"", headers={}).hopeless
    assert Outward().post("https://a..example/", b"", headers={}).status is None
    here = Outward(resolver=lambda *_: ["127.0.0.1"], allow=lambda _: True)
    assert here.post("https://shop.example/caf\u00e9", b"", headers={}).hopeless
