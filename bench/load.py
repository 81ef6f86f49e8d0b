"""A load generator over raw keep-alive sockets: several processes, many connections, no HTTP library in the way.

It takes a share of the processor of its own. Where the floor is made by a program in C, so should the load: `light`.
"""

import multiprocessing
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson

PROCESSES = 2
SCRIPT = Path(__file__).with_suffix(".lua")


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


@dataclass(frozen=True, slots=True)
class Light:
    """The same of `light`: `p50` and `p99` are the seconds within which half and 99 of a hundred answers came."""

    good: int
    bad: int
    seconds: float
    p50: float
    p99: float


def light(port: int, requests: Sequence[bytes], *, connections: int, seconds: int) -> Light:
    """Sends for so many seconds, each request once and as soon as a connection is free, by `wrk`, which takes a few
    microseconds a request. Raises `RuntimeError` if it is not installed, or ran out of requests."""
    if (wrk := shutil.which("wrk")) is None:
        raise RuntimeError("this benchmark's load comes from wrk; install it (Debian: apt install wrk)")
    with tempfile.TemporaryDirectory(prefix="relance-load-") as folder:
        for number in range(PROCESSES):
            with Path(folder, str(number)).open("wb") as out:
                out.writelines(b"%d\n%b\n" % (len(one), one) for one in requests[number::PROCESSES])
        command = [wrk, f"-t{PROCESSES}", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(SCRIPT)]
        command += [f"http://127.0.0.1:{port}", "--", folder]
        told = subprocess.run(command, check=False, capture_output=True)
    try:
        return Light(**orjson.loads(told.stdout.splitlines()[-1]))
    except (IndexError, ValueError) as error:
        raise RuntimeError(f"wrk failed: {told.stderr.decode()[-500:]}") from error


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
