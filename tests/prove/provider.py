"""The witness: an SMTP server in its own process that writes every mail it accepts to a ledger on disk, then answers.

It can misbehave as providers do: take a mail and lose the answer, refuse for now, break down, or kill its client at
the worst moment.
"""

import asyncio
import hashlib
import multiprocessing
import os
import random
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of mails that go wrong, and the moment at which the client named in `victim` is killed."""

    lost_answers: float = 0.0
    refused: float = 0.0
    broken: float = 0.0
    kill_at: str | None = None


class Provider:
    """Runs from construction to `stop`. `accepted()` gives the message ids in the ledger, in order."""

    def __init__(self, folder: Path, faults: Faults, *, seed: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ledger, self.victim = folder / "ledger", folder / "victim"
        self.ledger.write_bytes(b"")
        (folder / "seen").write_bytes(b"")
        self._seen = folder / "seen"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        handler = _Handler(self.ledger, self.victim, faults, seed)
        context = multiprocessing.get_context("fork")
        ready = context.Event()
        self._process = context.Process(target=_serve, args=(handler, self.port, ready), daemon=True)
        self._process.start()
        if not ready.wait(10):
            raise RuntimeError("the provider did not start")

    def accepted(self) -> list[str]:
        return self.ledger.read_text().split()

    def seen(self) -> list[tuple[str, str, float]]:
        """Every mail it was handed, those it refused too: its id, the hash of its bytes, and the time of day."""
        lines = (line.split() for line in self._seen.read_text().splitlines())
        return [(message_id, hashed, float(at)) for message_id, hashed, at in lines]

    def stop(self) -> None:
        self._process.kill()
        self._process.join()


@dataclass
class _Handler:
    ledger: Path
    victim: Path
    faults: Faults
    seed: int

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._file = os.open(self.ledger, os.O_WRONLY | os.O_APPEND)
        self._seen = os.open(self.ledger.with_name("seen"), os.O_WRONLY | os.O_APPEND)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[Any]
    ) -> str:
        self._strike("rcpt")
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self._strike("data")
        content = envelope.original_content or b""
        line = f"{_id(content).decode()} {hashlib.sha256(content).hexdigest()} {time.time():.3f}\n"
        os.write(self._seen, line.encode())
        roll, faults = self._dice.random(), self.faults
        if roll < faults.refused:
            return "451 4.7.1 later, please"
        if roll < faults.refused + faults.broken:
            return "451 4.3.0 internal error"
        self._accept(envelope)
        self._strike("accepted")
        return self._hang_up(server) if roll > 1 - faults.lost_answers else "250 OK"

    def _accept(self, envelope: Envelope) -> None:
        os.write(self._file, _id(envelope.original_content or b"") + b"\n")
        os.fsync(self._file)

    def _hang_up(self, server: SMTP) -> str:
        assert server.transport is not None
        server.transport.abort()
        return "421 gone"

    def _strike(self, moment: str) -> None:
        """Kills the worker whose process id stands in the file, once."""
        if self.faults.kill_at == moment and self.victim.exists():
            pid = int(self.victim.read_text())
            self.victim.unlink()
            os.kill(pid, signal.SIGKILL)


def _id(content: bytes) -> bytes:
    return content.split(b"Message-ID: <", 1)[1].split(b"@", 1)[0]


def _serve(handler: _Handler, port: int, ready: Any) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(handler, hostname="provider.example"), "127.0.0.1", port)
        ready.set()
        await server.serve_forever()

    asyncio.run(run())
