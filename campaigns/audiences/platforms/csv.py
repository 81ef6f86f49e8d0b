"""A file for any other platform: nothing is called; who is in is what the file holds when it is fetched."""

from collections.abc import Sequence
from datetime import datetime

from campaigns.audiences import normalising
from campaigns.audiences.platforms.base import Answer, Person, Reply, Sale

HEADER = b"email_sha256,phone_sha256\r\n"


class Csv:
    """Takes everything."""

    name = "csv"
    rules = normalising.PLAIN
    batch = 10_000
    sales_batch = 0
    sales_days = 0

    def add(self, audience: str, people: Sequence[Person]) -> Reply:
        return Reply(Answer.TAKEN)

    def remove(self, audience: str, people: Sequence[Person]) -> Reply:
        return Reply(Answer.TAKEN)

    def tell(self, sales: Sequence[Sale], *, now: datetime) -> Reply:
        return Reply(Answer.TAKEN)

    def close(self) -> None:
        """Nothing is kept open."""


def lines(people: Sequence[Person]) -> bytes:
    """A line each. Hexadecimal alone: nothing in it a spreadsheet would take for a formula."""
    return b"".join(f"{_hex(person.email_hash)},{_hex(person.phone_hash)}\r\n".encode() for person in people)


def _hex(digest: bytes | None) -> str:
    return digest.hex() if digest else ""
