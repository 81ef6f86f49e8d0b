"""A load generator over raw keep-alive sockets: several processes, many connections, no HTTP library in the way."""

import multiprocessing
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

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


def run(port: int, requests: Sequence[bytes], *, connections: int, rate: float | None = None) -> Load:
    """Sends every request once, over so many connections at a time.

    :param rate: so many a second, each at its moment whether the ones before were answered or not, and its time counted
        from that moment, as customers come; without it, each as soon as a connection is free
    """
    pause = None if rate is None else min(PROCESSES, connections) / rate
    processes = min(PROCESSES, connections)
    context = multiprocessing.get_context("fork")
    start = context.Barrier(processes + 1)
    pipes = []
    for number in range(processes):
        mine, theirs = context.Pipe(duplex=False)
        share = connections // processes
        context.Process(target=_drive, args=(port, requests[number::processes], share, pause, start, theirs)).start()
        pipes.append(mine)
    start.wait()
    began = time.perf_counter()
    told = [pipe.recv() for pipe in pipes]
    seconds = time.perf_counter() - began
    return Load(sum(t[0] for t in told), sum(t[1] for t in told), seconds, [each for t in told for each in t[2]])


def _drive(port: int, requests: Sequence[bytes], connections: int, pause: float | None, start: Any, out: Any) -> None:
    selector = selectors.DefaultSelector()
    free = []
    for _ in range(connections):
        one = socket.create_connection(("127.0.0.1", port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(one, selectors.EVENT_READ)
        free.append(one)
    start.wait()
    out.send(_answers(selector, free, requests, pause))


def _answers(
    selector: selectors.BaseSelector, free: list[socket.socket], requests: Sequence[bytes], pause: float | None
) -> tuple[int, int, list[float]]:
    good, began = 0, time.perf_counter()
    times: list[float] = []
    wanted: dict[socket.socket, float] = {}
    heard: dict[socket.socket, bytes] = {}
    sent = 0
    while len(times) < len(requests):
        moment = time.perf_counter()
        while free and sent < len(requests) and (pause is None or began + sent * pause <= moment):
            one = free.pop()
            wanted[one], heard[one] = moment if pause is None else began + sent * pause, b""
            one.sendall(requests[sent])
            sent += 1
        late = None if pause is None or not free or sent == len(requests) else began + sent * pause - moment
        for key, _ in selector.select(late if late is None else max(late, 0)):
            one = cast("socket.socket", key.fileobj)
            heard[one] += one.recv(65536)
            if _whole(heard[one]):
                times.append(time.perf_counter() - wanted[one])
                good += heard[one].startswith(b"HTTP/1.1 200")
                free.append(one)
    return good, len(requests) - good, times


def _whole(answer: bytes) -> bool:
    """Whether head and body are here; a closed connection ends an answer too."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return not answer
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return len(body) >= length


def one(port: int, request: bytes) -> bytes:
    """Sends one request over a connection of its own; the whole answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        heard = connection.recv(65536)
        while not _whole(heard):
            heard += connection.recv(65536)
        return heard
