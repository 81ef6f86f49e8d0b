"""Every way to name an inner address, really tried: a witness listens on loopback, and none of them reaches it."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from foundation import outward
from foundation.outward import Outward

# `{p}` is the port of the witness. What has no letters but those of numbers, and what is called localhost, is asked of
# the operating system; other names have the answers below.
LOOPBACK = [
    "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7F.1",
    "0177.0.0.1", "0177.1", "017700000001", "0", "0.0.0.0", "127.000.000.001", "127.0.0.1.", "localhost", "LOCALHOST",
    "localhost.", "１２７.０.０.１", "127。0。0。1", "ⓛocalhost", "127.0.0.1%2f",
    "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::ffff:0:7f00:1]",
    "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[::]", "[::1%25lo]",
]  # fmt: skip
INNER = [
    "10.0.0.1", "172.16.3.4", "192.168.1.1", "3232235777", "0xa000001", "100.64.0.1", "198.18.0.1", "224.0.0.1",
    "255.255.255.255", "240.0.0.1", "192.0.0.192", "[fe80::1]", "[fe80::1%25eth0]", "[fc00::1]", "[fec0::1]",
    "[ff02::1]", "[2001:db8::1]",
    # Where clouds tell a machine who it is, and its keys.
    "169.254.169.254", "2852039166", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "100.100.100.200",
    "168.63.129.16", "metadata.google.internal",
]  # fmt: skip
BY_NAME = ["one-of-two.example", "mapped.example", "scoped.example", "inner.example", "sixth.example", "zero.example"]
WRITTEN = [
    "https://shop.example@127.0.0.1:{p}/", "https://user:word@127.0.0.1:{p}/", "https://shop.example:443@127.0.0.1:{p}/",
    "https://127.0.0.1:{p}\\@shop.example:{p}/", "https://shop.example:{p}#@127.0.0.1:{p}/",
    "https://shop.example:{p}?@127.0.0.1:{p}/", "https:127.0.0.1:{p}/", "https:/127.0.0.1:{p}/",
    "https:\\\\127.0.0.1:{p}\\", "//127.0.0.1:{p}/", "http://127.0.0.1:{p}/", "ftp://127.0.0.1:{p}/",
    "gopher://127.0.0.1:{p}/_GET", "file:///etc/passwd", "https://127.0.0.1:{p}x/", "https://127.0.0.1:/",
    "https://127.0.0.1:0/", "https://127.0.0.1:22/", "https://127.0.0.1:99999/", "https://127.0.0.1:-1/",
    "https://127.0.0.1:{p}/\r\nHost: shop.example", "https://shop.example:{p}\r\n@127.0.0.1:{p}/", "https://", "https://[",
    "https://[127.0.0.1]:{p}/",
]  # fmt: skip
HOSTS = [f"https://{host}:{{p}}/latest/meta-data/" for host in (*LOOPBACK, *INNER, *BY_NAME)]
ANSWERS = {
    "one-of-two.example": ["8.8.8.8", "127.0.0.1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "scoped.example": ["fe80::1%lo"],
    "inner.example": ["127.0.0.1"],
    "sixth.example": ["2001:4860:4860::8888", "::1"],
    "zero.example": ["0.0.0.0"],
    "metadata.google.internal": ["169.254.169.254"],
}


def resolver(host: str, port: int) -> Sequence[str]:
    """The operating system's answer where it needs no name server."""
    if host in ANSWERS:
        return ANSWERS[host]
    if "example" in host:
        raise OSError("no such name")
    return outward.resolve(host, port)


class Witness:
    """Listens on a port of loopback, by both versions of the protocol where there are both; remembers who came."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self.port = sockets[0].getsockname()[1]
        self.came: list[object] = []
        self._changed = threading.Condition()
        for one in sockets:
            threading.Thread(target=self._listen, args=(one,), daemon=True).start()

    def _listen(self, server: socket.socket) -> None:
        while True:
            try:
                connection, address = server.accept()
            except OSError:
                return
            with self._changed:
                self.came.append(address)
                self._changed.notify_all()
            connection.close()

    def saw(self, number: int) -> bool:
        """Whether so many came, within ten seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.came) >= number, timeout=10)


@pytest.fixture
def witness() -> Iterator[Witness]:
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        sockets = [first]
        if socket.has_ipv6:
            try:
                sixth = socket.create_server(("::1", first.getsockname()[1]), family=socket.AF_INET6)
                sockets.append(stack.enter_context(sixth))
            except OSError:
                pass  # a machine without IPv6 on loopback has one way less
        yield Witness(sockets)


def test_none_of_many_ways_inward_reaches_the_witness(witness: Witness) -> None:
    way = Outward(resolver=resolver, ports=(witness.port, 443))
    urls = [url.replace("{p}", str(witness.port)) for url in (*HOSTS, *WRITTEN)]
    assert len(set(urls)) == len(urls) >= 60
    reached = [url for url in urls if way.post(url, b"{}", headers={}).status is not None]
    assert reached == [] and witness.came == []
    anybody = Outward(allow=lambda _: True, ports=(witness.port,))
    anybody.post(f"https://127.0.0.1:{witness.port}/", b"{}", headers={})
    assert witness.saw(1), "the witness sees who comes"


@pytest.mark.parametrize("host", [*LOOPBACK, *INNER])
def test_an_inner_address_however_written_is_refused_before_a_connection(host: str) -> None:
    """Not merely unreachable from here: from nowhere is it asked for."""
    tried: list[str] = []

    def allow(address: str) -> bool:
        allowed = outward.public(address)
        tried.extend([address] * allowed)
        return allowed

    Outward(resolver=resolver, allow=allow).post(f"https://{host}/", b"{}", headers={})
    assert tried == []


def test_a_name_that_answers_otherwise_the_second_time_leads_nowhere(witness: Witness) -> None:
    """Rebinding: what was checked is what is spoken to, and a later call checks anew."""
    answers = [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]]
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    # Nobody listens at 127.0.0.2, which stands for the public address: whoever looked again would meet the witness.
    way = Outward(resolver=rebinding, allow=lambda address: address == "127.0.0.2", ports=(witness.port,))
    told = [way.post(f"https://rebind.example:{witness.port}/", b"{}", headers={}) for _ in answers]
    assert [answer.hopeless for answer in told] == [False, True, True] and "refused" in told[0].detail.lower()
    assert len(asked) == 3 and witness.came == []
