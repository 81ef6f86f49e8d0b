"""The way out to addresses others named: a witness listens on loopback, and nothing may reach it."""

import socket
import threading
from collections.abc import Iterator

import pytest

from foundation import outward
from foundation.outward import Outward

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


def test_what_the_world_does_is_an_answer_and_no_error() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    assert "not known" in Outward(resolver=unknown).post("https://nowhere.example/", b"", headers={}).detail
    assert Outward().post("https://[::1", b"", headers={}).hopeless
    assert Outward().post("http://shop.example/", b"", headers={}).hopeless
