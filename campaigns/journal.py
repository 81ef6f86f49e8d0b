"""The send journal: a line on disk outside PostgreSQL for every message about to leave, so that a restored backup
cannot forget it; and one for every address that must not be written to any more.

No line holds an address: only the hash by which the ledger would know it again.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Line:
    """One message about to leave: everything by which it can be recognised if the database forgets it. `bare` if its
    hash was written before hashes were keyed with the pepper."""

    at: datetime
    message_id: UUID
    attempt: int
    campaign: str
    step: str
    channel: str
    address_hash: bytes
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """An address that must not be used, since when and why; `bare` as above."""

    at: datetime
    channel: str
    address_hash: bytes
    reason: str
    bare: bool = False


KEYED = "hmac:"
"""Before every hash keyed with the pepper, where older ones stand alone."""


class Journal:
    """Append-only files, one a process and day, under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Lock()
        self._open: dict[str, tuple[str, int]] = {}
        self.last: Line | None = None

    def write(self, lines: Sequence[Line]) -> None:
        """Returns once the lines are on the disk itself."""
        self._append("sent", [(line.at, _written(line)) for line in lines])
        self.last = lines[-1] if lines else self.last

    def refuse(self, refusals: Sequence[Refusal], *, now: datetime) -> None:
        """Returns once these are on the disk itself; the same again does no harm."""
        self._append("refused", [(now, _refused(one)) for one in refusals])

    def sent(self, *, since: datetime) -> Iterator[Line]:
        """Every hand-over since then, in no order; a line cut short by a crash was never handed over."""
        for parts in self._read("sent", since=since, fields=7):
            at = datetime.fromisoformat(parts[0])
            if at >= since:
                yield Line(at, UUID(parts[1]), int(parts[2]), parts[3], parts[4], parts[5], *_hash(parts[6]))

    def refused(self, *, since: datetime) -> Iterator[Refusal]:
        """Every refusal written down since then."""
        for parts in self._read("refused", since=since, fields=4):
            at = datetime.fromisoformat(parts[0])
            if at >= since:
                hashed, bare = _hash(parts[2])
                yield Refusal(at, parts[1], hashed, parts[3], bare)

    def _append(self, kind: str, lines: Iterable[tuple[datetime, str]]) -> None:
        with self._turn:
            for day, text in _by_day(lines):
                file = self._file(kind, f"{kind}-{day}-{os.getpid()}.log")
                os.write(file, text.encode())
                os.fdatasync(file)

    def _file(self, kind: str, name: str) -> int:
        known, file = self._open.get(kind, ("", -1))
        if known == name:
            return file
        if file >= 0:
            os.close(file)
        self._folder.mkdir(parents=True, exist_ok=True)
        file = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self._open[kind] = (name, file)
        return file

    def _read(self, kind: str, *, since: datetime, fields: int) -> Iterator[list[str]]:
        for path in sorted(self._folder.glob(f"{kind}-*.log")):
            if path.name[len(kind) + 1 :][:10] < f"{since:%Y-%m-%d}":
                continue
            with open(path, encoding="ascii", errors="replace") as lines:
                for line in lines:
                    parts = line.split()
                    if line.endswith("\n") and len(parts) == fields:
                        yield parts


def _by_day(lines: Iterable[tuple[datetime, str]]) -> list[tuple[str, str]]:
    days: dict[str, list[str]] = {}
    for at, text in lines:
        days.setdefault(f"{at:%Y-%m-%d}", []).append(text)
    return [(day, "".join(texts)) for day, texts in days.items()]


def _hash(text: str) -> tuple[bytes, bool]:
    return bytes.fromhex(text.removeprefix(KEYED)), not text.startswith(KEYED)


def _written(line: Line) -> str:
    place = f"{line.campaign} {line.step} {line.channel}"
    return f"{line.at.isoformat()} {line.message_id} {line.attempt} {place} {KEYED}{line.address_hash.hex()}\n"


def _refused(one: Refusal) -> str:
    return f"{one.at.isoformat()} {one.channel} {KEYED}{one.address_hash.hex()} {one.reason}\n"
