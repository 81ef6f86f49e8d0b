"""A table given away as CSV. What a spreadsheet would take for a formula is written as text."""

import csv
import io
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from flask import Response

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell begins with that is carried out instead of shown (OWASP, CSV injection)."""

Cell = str | int | float | None
Row = Sequence[Cell]


def attached(rows: Iterable[Row], name: str) -> Response:
    """The table as a file of this name, which a spreadsheet opens in any language."""
    attachment = f"attachment; filename*=UTF-8''{quote(f'{name}.csv')}"
    return Response("\ufeff" + written(rows), mimetype="text/csv", headers={"Content-Disposition": attachment})


def written(rows: Iterable[Row]) -> str:
    """The table as text, a row a line."""
    out = io.StringIO()
    table = csv.writer(out)
    for row in rows:
        table.writerow([safe(cell) for cell in row])
    return out.getvalue()


def safe(cell: Cell) -> Cell:
    """The cell, so that no spreadsheet carries it out; numbers are numbers."""
    if isinstance(cell, str) and cell.lstrip(" ").startswith(FORMULAS):
        return f"'{cell}"
    return cell
