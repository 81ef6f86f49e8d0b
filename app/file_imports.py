"""Files handed in by the console: what their columns are, tried without storing, taken in beside the request."""

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app import tables
from foundation import database
from foundation.database import Database
from foundation.errors import Conflict, Fault, Invalid, NotFound, RelanceError
from shop import import_files, imports

log = logging.getLogger(__name__)
file_imports = tables.file_imports

STALE = timedelta(seconds=60)
"""An import that says nothing for so long was ended with its process; it may be begun again, and adds nothing twice."""
KEPT = timedelta(days=30)
"""How long a file and its refused rows stay on the disk."""
TOLD_EVERY = 0.5
SAMPLES = 3
LARGEST = 4 * 1024**3
ALIASES = {
    "email": ("e-mail", "mail", "email_address", "adresse_email", "courriel"),
    "user_id": ("userid", "customer_id", "client_id", "id_client", "id"),
    "phone": ("telephone", "tel", "mobile", "phone_number", "portable"),
    "first_name": ("firstname", "prenom", "prénom"),
    "last_name": ("lastname", "nom", "surname"),
    "product_id": ("sku", "reference", "ref", "id", "item_id", "ean"),
    "title": ("name", "nom", "titre", "designation", "libelle"),
    "price": ("prix", "unit_price", "prix_ttc", "amount"),
    "quantity": ("qty", "quantite", "qte", "quantité", "stock"),
    "timestamp": ("date", "created_at", "time", "order_date", "ordered_at"),
    "order_id": ("order", "commande", "id_commande", "order_number", "numero"),
    "store_id": ("store", "magasin", "boutique", "id"),
    "category": ("categorie", "catégorie", "product_type", "rayon"),
    "image_url": ("image", "image_link", "photo"),
    "url": ("link", "lien"),
    "event": ("event_name", "type", "action"),
}
"""What shops often call our columns, in the order of how sure it is."""


@dataclass(frozen=True, slots=True)
class FileImport:
    """One file: its columns each with samples, what each is here, what came of it. `dry`: the report is of a try."""

    id: int
    kind: str
    file: str
    stored: str
    by: str
    columns: list[tuple[str, list[str]]]
    mapping: dict[str, str]
    state: str
    dry: bool
    share: float
    accepted: int
    repeated: int
    refused: int
    detail: str | None
    started_at: datetime
    moved_at: datetime

    def stopped(self, now: datetime) -> bool:
        """Whether nobody works on it any more although it is not done."""
        return self.state == "running" and now - self.moved_at > STALE


def begin(conn: sa.Connection, folder: Path, kind: str, *, file: str, path: Path, by: str, now: datetime) -> int:
    """Keeps a file that was handed in, with a guess of what its columns are. `path` is where it was written; raises
    `Invalid` if it cannot be read."""
    columns = import_files.peek(path, rows=SAMPLES)
    stored = f"{secrets.token_hex(8)}{path.suffix.lower()}"
    folder.mkdir(parents=True, exist_ok=True)
    path.rename(folder / stored)
    row: dict[str, object] = {"kind": kind, "file": file[:200], "stored": stored, "by": by, "state": "mapping"}
    row |= {"columns": list(columns.items()), "mapping": guess(kind, list(columns))}
    made: int = conn.execute(
        sa.insert(file_imports).values(**row, started_at=now, moved_at=now).returning(file_imports.c.id)
    ).scalar_one()
    return made


def guess(kind: str, columns: list[str]) -> dict[str, str]:
    """What each column of a file is: its own name if we have one like it, else what shops often call it."""
    known, _ = imports.columns(kind)
    plain = {name: name.strip().lower().replace(" ", "_") for name in columns}
    found = {name: plain[name] for name in columns if plain[name] in known}
    for ours in known:
        taken = set(found.values())
        free = [name for name in columns if name not in found]
        also = [name for alias in ALIASES.get(ours, ()) for name in free if plain[name] == alias]
        if also and ours not in taken:
            found[also[0]] = ours
    return {name: found.get(name, "") for name in columns}


def get(conn: sa.Connection, number: int) -> FileImport:
    """One import; raises `NotFound`."""
    found = database.read(conn, sa.select(file_imports).where(file_imports.c.id == number), FileImport)
    if not found:
        raise NotFound("no such import")
    return found[0]


def latest(conn: sa.Connection, *, limit: int) -> list[FileImport]:
    """The files handed in last, the newest first."""
    return database.read(conn, sa.select(file_imports).order_by(file_imports.c.id.desc()).limit(limit), FileImport)


def start(conn: sa.Connection, number: int, *, mapping: Mapping[str, str], dry: bool, now: datetime) -> FileImport:
    """Marks it as being read; raises `Invalid` if a column it must have is nowhere, or two are the same, and `Conflict`
    while it is read already: of two who start it at once, the second."""
    conn.execute(sa.select(file_imports.c.id).where(file_imports.c.id == number).with_for_update())
    standing = get(conn, number)
    if standing.state == "running" and not standing.stopped(now):
        raise Conflict("import_running", "this file is being read already")
    known, required = imports.columns(standing.kind)
    meant = {name: mapping.get(name, "") for name, _ in standing.columns}
    chosen = [ours for ours in meant.values() if ours]
    faults = [Fault(f"/{one}", "is a required column and is not there") for one in required if one not in chosen]
    faults += [Fault(f"/{one}", "stands twice in the header") for one in known if chosen.count(one) > 1]
    faults += [Fault("", f"{one} is no column of {standing.kind}") for one in chosen if one not in known]
    if faults:
        raise Invalid(*faults)
    values = {"mapping": meant, "state": "running", "dry": dry, "share": 0.0, "moved_at": now, "detail": None}
    conn.execute(sa.update(file_imports).where(file_imports.c.id == number).values(**values))
    return get(conn, number)


def run(db: Database, folder: Path, one: FileImport, *, now: datetime) -> None:
    """Reads the file, says how far it is, and keeps the report. Manages its own transactions; never raises what is the
    file's fault."""
    told = [0.0]

    def progress(done: int, of: int | None) -> None:
        if time.monotonic() - told[0] > TOLD_EVERY:
            told[0] = time.monotonic()
            _keep(db, one.id, share=min(1.0, done / (of or 1)))

    path = folder / one.stored
    try:
        report = imports.run(db, one.kind, path=path, now=now, progress=progress, renames=one.mapping, dry=one.dry)
        counts = {what: getattr(report, what) for what in ("accepted", "repeated", "refused")}
        _keep(db, one.id, state="tried" if one.dry else "done", share=1.0, **counts)
    except RelanceError as refused:
        _keep(db, one.id, state="failed", detail=str(refused)[:500])
    except Exception:
        log.exception("import failed", extra={"import": one.id})
        _keep(db, one.id, state="failed", detail="")


def refused_file(folder: Path, one: FileImport) -> Path:
    """Where the refused rows of the last reading are, each with its line and reason."""
    return folder / f"{one.stored}.refused.csv"


def prune(folder: Path, *, now: datetime) -> int:
    """Forgets files of long ago; says how many."""
    gone = 0
    for path in folder.glob("*") if folder.is_dir() else ():
        if datetime.fromtimestamp(path.stat().st_mtime, UTC) < now - KEPT:
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def _keep(db: Database, number: int, **values: Any) -> None:
    with db.begin() as conn:
        conn.execute(
            sa.update(file_imports).where(file_imports.c.id == number).values(**values, moved_at=datetime.now(UTC))
        )
