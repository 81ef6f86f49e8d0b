"""A few words that wait for their customer on the shop's own pages: kept here, fetched and shown by the tracker."""

from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa

from campaigns.channels.base import Note, Outcome, Receipt
from campaigns.channels.tables import onsite_notes
from foundation import database
from foundation.database import Database

KEPT = timedelta(days=400)


class OnsiteChannel:
    """Takes a note at most once, however often it is handed over; like any provider, it has its own transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @property
    def provider(self) -> str:
        return "onsite"

    @property
    def keeps_for(self) -> timedelta | None:
        return KEPT

    @property
    def tells(self) -> bool:
        return False

    def deliver(self, batch: Sequence[Note]) -> list[Receipt]:
        return [self._deliver(note) for note in batch]

    def close(self) -> None:
        """There is nothing to close: its connections are the database's."""

    def _deliver(self, note: Note) -> Receipt:
        button = note.actions[0][0] if note.actions else None
        said = {"title": note.title, "text": note.text, "url": note.url, "image": note.image, "button": button}
        row = {"message_id": note.message_id, "customer_id": int(note.addresses[0]), "said": said}
        try:
            with self._db.begin() as conn:
                database.insert_once(conn, onsite_notes, row | {"expires_at": note.expires_at})
        except sa.exc.IntegrityError:
            return Receipt(note.message_id, Outcome.REFUSED_FINAL, "she is not known any more")
        except sa.exc.OperationalError as error:
            return Receipt(note.message_id, Outcome.AMBIGUOUS, type(error).__name__)
        return Receipt(note.message_id, Outcome.ACCEPTED, "waits on the shop's pages")
