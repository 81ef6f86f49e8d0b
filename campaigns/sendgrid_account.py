"""What is asked of a SendGrid account beside sending: its log of what the webhook missed, and its lists of addresses.

Neither is needed for sending. An account that does not allow it is left in peace, and says so in the job's line.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx2
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import feedback, mail_tables, sendgrid_events, tables
from campaigns.channels.base import Channel
from campaigns.channels.sendgrid import SendgridChannel
from campaigns.states import State
from foundation.database import Database
from shop import consent, handles
from shop.tables import consents, customers, suppressions

messages, contents = tables.messages, tables.message_contents

PROVIDER = "sendgrid"
SILENT = timedelta(minutes=10)
"""How long the webhook is waited for before the log is asked."""
MOST_ASKED = 50
PAGE = 500
LISTS = {
    "bounces": "hard_bounce",
    "invalid_emails": "hard_bounce",
    "spam_reports": "complaint",
    "unsubscribes": "unsubscribed",
}
"""Theirs, and the reason each address of it is left alone for. Blocks are not the person's fault and stay there."""


class Refused(Exception):
    """The account does not allow it, or asks for silence."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A message of which nothing is known, and what SendGrid's log can be asked for."""

    message_id: UUID
    attempt: int
    address: str
    submitted_at: datetime


# ---------------------------------------------------------------------------------------------- the log
def reconcile(db: Database, channel: Channel, *, now: datetime) -> str | None:
    """Asks the log for messages in doubt of which the webhook said nothing. Manages its own transactions: nothing is
    asked inside one."""
    if not isinstance(channel, SendgridChannel):
        return None
    with db.begin() as conn:
        doubtful = _doubtful(conn, now=now)
    found: list[feedback.Report] = []
    try:
        for one in doubtful:
            found += _logged(channel.client, one, now=now)
    except Refused as refused:
        return f"log not open: {refused}"
    with db.begin() as conn:
        reader = functools.partial(sendgrid_events.reports, now=now)
        new = feedback.reported(conn, PROVIDER, found, now=now, by="log_pull", reader=reader)
    return f"{new} reports of {len(doubtful)} in doubt" if doubtful else None


def _doubtful(conn: sa.Connection, *, now: datetime) -> list[Doubtful]:
    query = (
        sa.select(messages.c.id, messages.c.attempt, contents.c.address, messages.c.submitted_at)
        .join(contents, contents.c.message_id == messages.c.id)
        .where(
            messages.c.state == State.UNCERTAIN,
            messages.c.provider == PROVIDER,
            messages.c.submitted_at < now - SILENT,
        )
        .order_by(messages.c.submitted_at.desc())
        .limit(MOST_ASKED)
    )
    return [Doubtful(*row) for row in conn.execute(query)]


def _logged(client: httpx2.Client, one: Doubtful, *, now: datetime) -> Iterator[feedback.Report]:
    """The events of the mail that carries our id, if the log knows one: it cannot be searched for it, so each mail to
    this address of that hour is opened."""
    if '"' in one.address or "\\" in one.address:
        return
    window = [(one.submitted_at + timedelta(minutes=minutes)).astimezone(UTC) for minutes in (-5, 55)]
    created = " AND ".join(
        f'sg_message_id_created_at {sign} TIMESTAMP "{moment:%Y-%m-%dT%H:%M:%SZ}"'
        for sign, moment in zip((">=", "<="), window, strict=True)
    )
    asked = {"query": f'to_email = "{one.address}" AND {created}', "limit": 10}
    for hit in _json(client.build_request("POST", "/v3/logs", json=asked), client).get("messages", []):
        name = str(hit.get("sg_message_id", ""))
        mail = _json(client.build_request("GET", f"/v3/logs/{name}"), client) if name else {}
        if str((mail.get("custom_args") or {}).get("mid")) == str(one.message_id):
            yield from sendgrid_events.reports(_events(mail, one), now=now)


def _events(mail: Mapping[str, Any], one: Doubtful) -> Iterator[dict[str, Any]]:
    """Those of the log as those of the webhook: they lack our ids and write times otherwise."""
    for number, event in enumerate(mail.get("events") or ()):
        try:
            at = datetime.fromisoformat(str(event.get("processed") or event.get("timestamp"))).timestamp()
        except ValueError:
            at = one.submitted_at.timestamp()
        own = {"mid": str(one.message_id), "attempt": str(one.attempt), "timestamp": int(at)}
        name = f"log:{one.message_id.hex}:{one.attempt}:{number}"
        yield {"sg_event_id": name, "sg_message_id": mail.get("sg_message_id"), **event, **own}


# --------------------------------------------------------------------------------------------- the lists
def agree(db: Database, channel: Channel, *, now: datetime) -> str | None:
    """Both ways: their addresses never to be used become ours, as hashes, and ours become theirs where they are still
    known; who unsubscribed and came back leaves theirs. Manages its own transactions: nothing is asked inside one."""
    if not isinstance(channel, SendgridChannel):
        return None
    taken = 0
    try:
        for name, reason in LISTS.items():
            taken += _take(db, channel.client, name, reason=reason, now=now)
        given = _give(db, channel.client, now=now)
        back = _take_back(db, channel.client, now=now)
    except Refused as refused:
        return f"lists not open: {refused}"
    told = {"taken over": taken, "handed on": given, "taken back": back}
    return ", ".join(f"{number} {word}" for word, number in told.items() if number) or None


def _take(db: Database, client: httpx2.Client, name: str, *, reason: str, now: datetime) -> int:
    """What was added to one of their lists since it was last read; overlapping by an hour, for a repeat is nothing."""
    with db.begin() as conn:
        since = _read_until(conn, name)
    taken, start = 0, int(since.timestamp() - 3600) if since else 0
    while True:
        more = {"start_time": start, "end_time": int(now.timestamp()), "limit": PAGE, "offset": taken}
        page = _json(client.build_request("GET", f"/v3/suppression/{name}", params=more), client, kind=list)
        listed = {
            str(entry["email"]): _created(entry) for entry in page if isinstance(entry, dict) and "email" in entry
        }
        with db.begin() as conn:
            back = _agreed_since(conn, listed) if reason == "unsubscribed" else set()
            addresses = [("email", address) for address in listed if address not in back]
            consent.suppress_many(conn, addresses, reason=reason, now=now)
            if len(page) < PAGE:
                _note(conn, name, now)
                return taken + len(page)
        taken += len(page)


def _created(entry: Mapping[str, Any]) -> datetime:
    created = entry.get("created")
    return datetime.fromtimestamp(created if isinstance(created, int) and 0 <= created < 2**33 else 0, UTC)


def _agreed_since(conn: sa.Connection, listed: Mapping[str, datetime]) -> set[str]:
    """Who said yes again after an address of hers was put on the list, by herself or by us: her last word stands."""
    plain = {address: handles.email(address) or address.strip().lower() for address in listed}
    query = (
        sa.select(customers.c.email, sa.func.max(consents.c.at))
        .join(consents, consents.c.customer_id == customers.c.id)
        .where(
            customers.c.email == sa.any_(sa.bindparam("emails", list(plain.values()), postgresql.ARRAY(sa.Text))),
            consents.c.channel.in_(("email", "any")),
            consents.c.purpose.in_(("marketing", "any")),
            consents.c.state == consent.State.GRANTED,
        )
        .group_by(customers.c.email)
    )
    agreed = {email: at for email, at in conn.execute(query)}
    return {address for address, at in listed.items() if plain[address] in agreed and agreed[plain[address]] > at}


def _give(db: Database, client: httpx2.Client, *, now: datetime) -> int:
    """Addresses that ended here since the last time, of those a message still names."""
    with db.begin() as conn:
        since = _read_until(conn, "ours")
        ended = sa.select(suppressions.c.address_hash).where(
            suppressions.c.channel == "email",
            suppressions.c.reason.in_(("unsubscribed", "complaint")),
            suppressions.c.since > (since or datetime.fromtimestamp(0, UTC)),
        )
        known = (
            sa.select(contents.c.address)
            .distinct()
            .join(messages, messages.c.id == contents.c.message_id)
            .where(messages.c.channel == "email", messages.c.address_hash.in_(ended))
        )
        addresses = list(conn.scalars(known))
    for start in range(0, len(addresses), PAGE):
        body = {"recipient_emails": addresses[start : start + PAGE]}
        _json(client.build_request("POST", "/v3/asm/suppressions/global", json=body), client)
    with db.begin() as conn:
        _note(conn, "ours", now)
    return len(addresses)


def _take_back(db: Database, client: httpx2.Client, *, now: datetime) -> int:
    """Who unsubscribed and has said yes again since the last time, with the proof of it, is taken off their list of
    goodbyes. Their lists of bounces and complaints are never touched, and whom we must not write to stays."""
    with db.begin() as conn:
        since = _read_until(conn, "back") or datetime.fromtimestamp(0, UTC)
        said = conn.scalars(sa.text(_CAME_BACK), {"since": since, "now": now}).all()
        hashed = {address: consent.address_hash(conn, "email", address) for address in said}
        refused = consent.suppressed(conn, "email", hashed.values())
    welcome = [address for address in said if hashed[address] not in refused]
    for address in welcome:
        _end(client, f"/v3/asm/suppressions/global/{quote(address, safe='')}")
    with db.begin() as conn:
        _note(conn, "back", now)
    return len(welcome)


_CAME_BACK = """
SELECT DISTINCT customers.email FROM consent_log AS yes
JOIN consents AS stands USING (customer_id, channel, purpose)
JOIN customers ON customers.id = yes.customer_id AND customers.email IS NOT NULL
WHERE yes.recorded_at > :since AND yes.recorded_at <= :now AND yes.state = 'granted' AND stands.state = 'granted'
    AND yes.channel IN ('email', 'any') AND split_part(yes.purpose, '/', 1) IN ('marketing', 'any')
    AND (yes.text IS NOT NULL OR yes.proof <> '{}')
    AND EXISTS (SELECT FROM consent_log AS no WHERE no.customer_id = yes.customer_id AND no.state = 'denied'
        AND no.channel IN ('email', 'any') AND split_part(no.purpose, '/', 1) IN ('marketing', 'any')
        AND no.at < yes.at)
    AND NOT EXISTS (SELECT FROM consents AS no WHERE no.customer_id = yes.customer_id AND no.state = 'denied'
        AND no.channel IN ('email', 'any') AND no.purpose IN ('marketing', 'any'))
ORDER BY customers.email
"""


def _read_until(conn: sa.Connection, name: str) -> datetime | None:
    table = mail_tables.provider_lists
    query = sa.select(table.c.read_until).where(table.c.provider == PROVIDER, table.c.name == name)
    return conn.scalar(query)


def _note(conn: sa.Connection, name: str, now: datetime) -> None:
    table = mail_tables.provider_lists
    row = {"provider": PROVIDER, "name": name, "read_until": now}
    statement = postgresql.insert(table).values(row)
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=["provider", "name"], set_={"read_until": statement.excluded.read_until}
        )
    )


def _end(client: httpx2.Client, path: str) -> None:
    """Deletes what may not be there any more."""
    try:
        response = client.delete(path)
    except httpx2.HTTPError as error:
        raise Refused(f"{type(error).__name__}: {error}"[:200]) from error
    if not response.is_success and response.status_code != 404:
        raise Refused(f"{path.rpartition('/')[0]} answered {response.status_code}")


def _json(request: httpx2.Request, client: httpx2.Client, *, kind: type = dict) -> Any:
    """The answer; raises `Refused` for anything but a 2xx with JSON of this kind."""
    try:
        response = client.send(request)
        found = response.json() if response.is_success and response.content else kind()
    except (httpx2.HTTPError, ValueError) as error:
        raise Refused(f"{type(error).__name__}: {error}"[:200]) from error
    if not response.is_success or not isinstance(found, kind):
        raise Refused(f"{request.url.path} answered {response.status_code}")
    return found
