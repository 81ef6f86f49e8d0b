"""The send journal: a line on disk outside PostgreSQL for every message about to leave, so that a restored backup
cannot forget it."""

import os
import threading
from datetime import datetime
from pathlib import Path
from uuid import UUID


class Journal:
    """Append-only files, one a process and day, under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Lock()
        self._name: str | None = None
        self._file = -1

    def write(self, message_id: UUID, *, attempt: int, now: datetime) -> None:
        """Returns once the line is on the disk itself."""
        line = f"{now.isoformat()} {message_id} {attempt}\n".encode()
        with self._turn:
            self._turn_page(f"{now:%Y-%m-%d}-{os.getpid()}.log")
            os.write(self._file, line)
            os.fdatasync(self._file)

    def _turn_page(self, name: str) -> None:
        if name == self._name:
            return
        if self._file >= 0:
            os.close(self._file)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self._name = name
