"""What messages say, as it is kept: what all of one kind say once, and of each what it alone says; put together again.

Of a message that is sent nothing is kept twice, and what is about somebody stands in her message alone: forms come from
the campaign's definition and our layouts, so whoever erases a message erases all of it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from campaigns import mail_tables, tables
from campaigns.channels import pieces
from campaigns.channels.pieces import Body, Form
from foundation import database

contents, forms = tables.message_contents, mail_tables.mail_forms

WORDS = (contents.c.html, contents.c.text, contents.c.form, contents.c.own)
"""The columns a message is put together from."""
PARTS = """
CASE WHEN messages.channel <> 'sms' THEN 1 ELSE coalesce((
    SELECT (message_contents.headers ->> 'parts')::int FROM message_contents WHERE message_id = messages.id), 1) END
"""
"""SQL: how often a message of the ledger costs the price of its channel: a text message once for each of its parts."""


def keep(conn: sa.Connection, chosen: Iterable[Form]) -> None:
    """Keeps each form, once. One used since yesterday is not removed meanwhile, so no more is asked of it."""
    wanted = {form.digest: form for form in chosen}
    known = database.driver(conn).execute(_KNOWN, {"digests": list(wanted)}).fetchall()
    new = sorted(wanted.keys() - {row[0] for row in known})
    if new:
        given = {"digests": new, "packed": [wanted[digest].packed for digest in new]}
        database.driver(conn).execute(_KEEP, given)


def columns(bodies: Sequence[Body]) -> dict[str, Any]:
    """The words of messages as parameters: HTML and text of what has a form of its own; of others the form and what
    they alone say."""
    whole = [not body.values for body in bodies]
    return {
        "html": [body.html if alone else None for body, alone in zip(bodies, whole, strict=True)],
        "text": [body.text if alone else None for body, alone in zip(bodies, whole, strict=True)],
        "forms": [None if alone else body.form.digest for body, alone in zip(bodies, whole, strict=True)],
        "own": [None if alone else body.own for body, alone in zip(bodies, whole, strict=True)],
    }


def shared(bodies: Iterable[Body]) -> list[Form]:
    """The forms that are kept for these."""
    return list({body.form for body in bodies if body.values})


def bodies(conn: sa.Connection, rows: Collection[Mapping[Any, Any]]) -> dict[UUID, Body]:
    """HTML and text of messages, by rows of `message_contents` with at least `message_id` and `WORDS`."""
    digests = {bytes(row["form"]) for row in rows if row["form"] is not None}
    query = sa.select(forms.c.digest, forms.c.packed).where(forms.c.digest.in_(digests))
    known = {bytes(digest): Form.unpacked(packed) for digest, packed in (conn.execute(query) if digests else ())}
    return {
        row["message_id"]: pieces.whole(row["html"], row["text"])
        if row["form"] is None
        else Body.of(known[bytes(row["form"])], row["own"])
        for row in rows
    }


def unchanged(row: Mapping[Any, Any], body: Body, payload_hash: bytes | None) -> bool:
    """Whether what was kept is, to the letter, what was frozen. Of what is kept as a whole no such proof is asked."""
    if row["form"] is None:
        return True
    parts = (row["address"], row["sender"], row["subject"])
    return payload_hash == pieces.fingerprint(*parts, body=body, headers=row["headers"])


def prune(conn: sa.Connection) -> int:
    """Removes forms that no message has any more."""
    return conn.execute(sa.text(_PRUNE)).rowcount


def _told(conn: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows as they are given to whom they are about: with the words they stand for."""
    whole = bodies(conn, rows)
    said = [(row, whole[row["message_id"]]) for row in rows]
    hidden = ("form", "own")
    return [
        {name: value for name, value in row.items() if name not in hidden} | {"html": body.html, "text": body.text}
        for row, body in said
    ]


contents.info["told"] = _told

_KNOWN = """
SELECT digest FROM mail_forms
WHERE digest = ANY(%(digests)s::bytea[]) AND used_at > clock_timestamp() - interval '1 day'
"""
_KEEP = """
INSERT INTO mail_forms (digest, packed, used_at)
SELECT given.*, clock_timestamp() FROM unnest(%(digests)b::bytea[], %(packed)b::bytea[]) AS given (digest, packed)
ON CONFLICT (digest) DO UPDATE SET used_at = excluded.used_at
"""
_PRUNE = """
DELETE FROM mail_forms WHERE used_at < clock_timestamp() - interval '7 days'
    AND NOT EXISTS (SELECT FROM message_contents WHERE message_contents.form = mail_forms.digest)
"""
"""Whoever is just using one again writes its time first: then it is not removed, or not found and kept anew."""
