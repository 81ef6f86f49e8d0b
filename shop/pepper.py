"""The pepper: hashes of addresses are keyed with a secret that lies outside the database.

Addresses are few enough to try them all, so a hash alone hides none from who holds the table. A word made with the
pepper is kept beside the hashes: by it a program that has another one is recognised before it writes or misses any.
"""

import hmac

import sqlalchemy as sa

from foundation import database
from foundation.errors import RelanceError
from shop.tables import pepper_words

LOST = "hashes of addresses were made with another pepper: give RELANCE_PEPPER as it was, or flask new-pepper"


class WrongPepper(RelanceError):
    """Addresses that must not be used would not be recognised."""


def keyed(conn: sa.Connection, digest: bytes) -> bytes:
    """The hash under which an address is kept."""
    return hmac.digest(database.pepper(conn), digest, "sha256")


def fits(conn: sa.Connection) -> bool:
    """Whether the hashes in this database were made with our pepper; where there are none yet, ours it is."""
    word, known = keyed(conn, b"relance pepper"), conn.scalar(sa.select(pepper_words.c.word))
    if known is None and database.insert_once(conn, pepper_words, {"word": word}):
        return True
    return hmac.compare_digest(bytes(known or conn.execute(sa.select(pepper_words.c.word)).scalar_one()), word)


def require(conn: sa.Connection) -> None:
    """Raises `WrongPepper` unless it fits."""
    if not fits(conn):
        raise WrongPepper(LOST)


def replace(conn: sa.Connection) -> None:
    """From now on ours is the one; what was hashed with another is recognised no more."""
    conn.execute(sa.update(pepper_words).values(word=keyed(conn, b"relance pepper")))
