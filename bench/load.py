"""A load generator over raw keep-alive sockets: several processes, many connections, no HTTP library in the way."""

import multiprocessing
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it: answers of 200, others, the seconds it took, and each answer's time in seconds."""

    good: int
    bad: int
    seconds: float
    times: list[float]

    def percentile(self, share: float) -> float:
        """The time within which this share of the answers came."""
        ordered = sorted(self.times) or [0.0]
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def run(port: int, requests: Sequence[bytes], *, connections: int) -> Load:
    """Sends every request once, over so many connections at a time."""
    processes = min(PROCESSES, connections)
    context = multiprocessing.get_context("fork")
    start = context.Barrier(processes + 1)
    pipes = []
    for number in range(processes):
        mine, theirs = context.Pipe(duplex=False)
        share = connections // processes
        context.Process(target=_drive, args=(port, requests[number::processes], share, start, theirs)).start()
        pipes.append(mine)
    start.wait()
    began = time.perf_counter()
    told = [pipe.recv() for pipe in pipes]
    seconds = time.perf_counter() - began
    return Load(sum(t[0] for t in told), sum(t[1] for t in told), seconds, [each for t in told for each in t[2]])


def _drive(port: int, requests: Sequence[bytes], connections: int, start: object, out: object) -> None:
    selector = selectors.DefaultSelector()
    waiting = iter(requests)
    sent: dict[socket.socket, float] = {}
    for _ in range(connections):
        one = socket.create_connection(("127.0.0.1", port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(one, selectors.EVENT_READ)
        sent[one] = 0.0
    start.wait()
    good = bad = 0
    times = []
    for one in list(sent):
        _next(one, waiting, sent, selector)
    heard = dict.fromkeys(sent, b"")
    while sent:
        for key, _ in selector.select():
            one = key.fileobj
            heard[one] += one.recv(65536)
            if not _whole(heard[one]):
                continue
            times.append(time.perf_counter() - sent[one])
            fine = heard[one].startswith(b"HTTP/1.1 200")
            good, bad = good + fine, bad + (not fine)
            heard[one] = b""
            _next(one, waiting, sent, selector)
    out.send((good, bad, times))


def _whole(answer: bytes) -> bool:
    """Whether head and body are here; a closed connection ends an answer too."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return not answer
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return len(body) >= length


def _next(
    one: socket.socket, waiting: Iterator[bytes], sent: dict[socket.socket, float], selector: selectors.BaseSelector
) -> None:
    """Sends the next request over this connection, or ends it when there is none."""
    request = next(waiting, None)
    if request is None:
        selector.unregister(one)
        one.close()
        del sent[one]
    else:
        sent[one] = time.perf_counter()
        one.sendall(request)
