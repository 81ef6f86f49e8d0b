"""The channel of development and demos: keeps what it would have sent, shown as a mailbox in the console."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from campaigns import tables
from campaigns.channels import mime
from campaigns.channels.base import Mail, Note, Outcome, Receipt
from foundation import database
from foundation.database import Database


class OutboxChannel:
    """Takes a message at most once, however often it is handed over; like any provider, it has its own transaction,
    and its own clock."""

    def __init__(self, db: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._db, self._clock = db, clock

    @property
    def provider(self) -> str:
        return "outbox"

    @property
    def keeps_for(self) -> timedelta | None:
        return timedelta(days=3650)

    @property
    def tells(self) -> bool:
        return False

    def deliver(self, batch: Sequence[Mail | Note]) -> list[Receipt]:
        return [self._deliver(message) for message in batch]

    def close(self) -> None:
        """There is nothing to close: its connections are the database's."""

    def _deliver(self, message: Mail | Note) -> Receipt:
        try:
            if isinstance(message, Mail):
                mime.encode(message)
            with self._db.begin() as conn:
                row = {"message_id": message.message_id, "received_at": self._clock()}
                database.insert_once(conn, tables.outbox, row)
        except (mime.Unsendable, UnicodeError) as error:
            return Receipt(message.message_id, Outcome.REFUSED_FINAL, str(error))
        except sa.exc.OperationalError as error:
            return Receipt(message.message_id, Outcome.AMBIGUOUS, type(error).__name__)
        return Receipt(message.message_id, Outcome.ACCEPTED, "kept in the mailbox")
