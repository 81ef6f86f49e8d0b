"""The rows of an import that were not taken: a file beside the one they came from, which no spreadsheet runs."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from foundation.errors import Fault, Invalid
from shop import import_blocks
from shop.import_blocks import Refused
from shop.import_files import ImportFile

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would run if a cell began with it."""


@dataclass(slots=True)
class RefusedFile:
    """The rows that were not taken, beside the file they came from; there is none if all were."""

    file: ImportFile
    count: int = 0
    path: Path = field(init=False)
    _open: TextIO | None = None

    def __post_init__(self) -> None:
        self.path = self.file.path.with_name(f"{self.file.path.name}.refused.csv")

    def __enter__(self) -> "RefusedFile":
        self.path.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._open:
            self._open.close()

    def write(self, refused: Sequence[Refused]) -> None:
        """Adds rows, each with its line and reason before its own cells."""
        if not refused:
            return
        self.count += len(refused)
        if self._open is None:
            self._open = self._begin()
        csv.writer(self._open).writerows(
            [_harmless(cell) for cell in (row.line, row.reason, *row.cells)] for row in refused
        )

    def _begin(self) -> TextIO:
        try:
            opened = self.path.open("w", encoding="utf-8", errors="replace", newline="")
        except OSError as error:
            raise Invalid(Fault(self.path.name, f"cannot be written: {error.strerror}")) from error
        csv.writer(opened).writerow(["line", "reason", *(_harmless(name) for name in self.file.columns)])
        return opened


def _harmless(cell: object) -> str:
    """The cell as a spreadsheet may show it: never a formula, never a NUL."""
    text = "" if cell is None else str(cell).replace("\0", "").replace(import_blocks.NOT_UTF8, "\ufffd")
    return f"'{text}" if text.startswith(FORMULA) else text
