"""Customers found by the beginning of what somebody types: an address, a number, a card, a telephone, a name.

Each way of being meant is one walk along one index, in that index's own order, so a page costs the same among a
thousand customers and among a million, and the next page goes on where this one ended. Accents and capitals do not
count in names; spaces, dots and dashes do not count in numbers.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import phonenumbers
import sqlalchemy as sa

from shop import customers
from shop.customers import Customer
from shop.tables import BY_FAMILY_NAME, BY_GIVEN_NAME

REGIONS = ("FR", "GB")
"""Countries whose way of writing telephone numbers is understood without their prefix."""
LONGEST = 200
Place = tuple[int, str, int]
"""Which way a customer was meant, the words found, and her id: where a page ended."""


@dataclass(frozen=True, slots=True)
class Page:
    """Customers in the order they were found, and where the next page begins; None if there is none."""

    customers: Sequence[Customer]
    after: Place | None


def search(conn: sa.Connection, text: str, *, limit: int, after: Place | None = None) -> Page:
    """Customers meant by `text`: addresses and numbers first, then names; all of them, newest first, if it is empty."""
    word = " ".join(unicodedata.normalize("NFC", text.replace("\0", ""))[:LONGEST].split())
    found = _meant(conn, word, limit, after) if word else _newest(conn, limit, after)
    known = customers.get_many(conn, [place[2] for place in found])
    shown = [known[one] for one in dict.fromkeys(place[2] for place in found) if one in known]
    return Page(shown, found[-1] if len(found) == limit else None)


def _newest(conn: sa.Connection, limit: int, after: Place | None) -> list[Place]:
    query = "SELECT id FROM customers WHERE merged_into IS NULL AND id < :before ORDER BY id DESC LIMIT :limit"
    given = {"before": after[2] if after else 2**63 - 1, "limit": limit}
    return [(0, "", row.id) for row in conn.execute(sa.text(query), given)]


def _meant(conn: sa.Connection, word: str, limit: int, after: Place | None) -> list[Place]:
    """One statement of all walks that are not over yet. A customer is found by the first of them that meets her."""
    handles, name = [_like(one) for one in _handles(word)], _like(_folded(word))
    given: dict[str, Any] = {"limit": limit, "word": word, "handles": handles, "name": name}
    given |= {"number": int(word) if word.isdecimal() and len(word) < 18 else None}
    walks = [_EXACT, *(_HANDLE.format(n=n) for n in range(len(handles))), _FAMILY, _GIVEN]
    given |= {f"handle_{n}": handle for n, handle in enumerate(handles)}
    given |= {f"before_{n}": handles[:n] for n in range(len(handles))}
    begun, key, last = after or (0, None, None)
    parts = []
    for rank, walk in list(enumerate(walks))[begun:]:
        further = "WHERE (word, id) > (:key, :last)" if rank == begun and key is not None else ""
        parts.append(f"(SELECT {rank} AS rank, word, id FROM ({walk}) AS w {further} ORDER BY word, id LIMIT :limit)")
    if key is not None:
        given |= {"key": key, "last": last}
    query = f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS met ORDER BY rank, word, id LIMIT :limit"
    if not parts:
        return []
    # Starting helpers takes PostgreSQL longer than any of these walks.
    conn.execute(sa.text("SET LOCAL max_parallel_workers_per_gather = 0"))
    return [(row.rank, row.word, row.id) for row in conn.execute(sa.text(query), given)]


_EXACT = """
    SELECT DISTINCT '' COLLATE "C" AS word, id FROM (
        SELECT customer_id AS id FROM identities WHERE value = :word AND kind IN ('anonymous_id', 'device')
        UNION ALL SELECT customer_id FROM identity_claims
            WHERE value = lower(:word) AND kind IN ('email', 'phone', 'card', 'user_id')
        UNION ALL SELECT coalesce(merged_into, id) FROM customers WHERE id = CAST(:number AS bigint)
    ) AS found
"""
"""Meant to the letter: a browser, somebody who gave an address another one holds, our own number."""

_HANDLE = """
    SELECT value COLLATE "C" AS word, customer_id AS id FROM identities
    WHERE value COLLATE "C" LIKE :handle_{n} AND kind IN ('user_id', 'email', 'phone', 'card')
        AND NOT EXISTS (SELECT FROM identities AS other WHERE other.customer_id = identities.customer_id
            AND other.kind IN ('user_id', 'email', 'phone', 'card')
            AND (other.value LIKE ANY(CAST(:before_{n} AS text[]))
                OR other.value LIKE :handle_{n} AND other.value COLLATE "C" < identities.value))
"""
_NAMED = """
    SELECT {key} AS word, id FROM customers
    WHERE {key} LIKE :name AND merged_into IS NULL AND (last_name IS NOT NULL OR first_name IS NOT NULL)
        AND NOT EXISTS (SELECT FROM identities WHERE customer_id = customers.id
            AND kind IN ('user_id', 'email', 'phone', 'card') AND value LIKE ANY(CAST(:handles AS text[])))
"""
_FAMILY = _NAMED.format(key=BY_FAMILY_NAME)
_GIVEN = _NAMED.format(key=BY_GIVEN_NAME) + f" AND NOT {BY_FAMILY_NAME} LIKE :name"


def _handles(word: str) -> list[str]:
    """How the beginning of an address or number may be kept: each once."""
    bare = re.sub(r"[\s.()-]", "", word)
    return list(dict.fromkeys([word.lower(), word, bare.upper(), *_telephones(bare)]))


def _telephones(bare: str) -> Iterator[str]:
    """The international beginnings of a number that may be written without its country."""
    if re.fullmatch(r"\+\d+", bare):
        yield bare
    elif re.fullmatch(r"00\d+", bare):
        yield f"+{bare[2:]}"
    elif re.fullmatch(r"0\d+", bare):
        for region in REGIONS:
            yield f"+{phonenumbers.country_code_for_region(region)}{bare[1:]}"


def _folded(word: str) -> str:
    """A name as the index keeps it: neither capitals nor accents."""
    plain = unicodedata.normalize("NFKD", word.lower().replace("œ", "oe").replace("æ", "ae"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def _like(beginning: str) -> str:
    return beginning.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
