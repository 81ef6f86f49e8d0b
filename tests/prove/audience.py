"""Customers with a cart gone quiet, as many as wanted, and the judge who counts what became of them."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from campaigns import feedback, files, plans, policy, rules, tables
from campaigns.feedback import Kind, Report
from foundation.database import Database
from shop import catalogue
from tests import emptying
from tests.campaigns import world
from tests.prove import warm

QUIET = timedelta(hours=2)
"""How long carts have been left alone."""

_PEOPLE = """
INSERT INTO customers (user_id, email, first_name, locale, created_at, updated_at)
SELECT 'u' || n, 'u' || n || '@example.org', 'Camille', CASE n % 2 WHEN 0 THEN 'fr' ELSE 'en' END, :at, :at
FROM generate_series(1, :n) AS n;
"""
_IDENTITIES = """
INSERT INTO identities (kind, value, customer_id, origin_id, first_seen_at)
SELECT 'user_id', user_id, id, id, :at FROM customers
"""
_CONSENTS = """
INSERT INTO consents (customer_id, channel, purpose, state, at)
SELECT id, 'email', 'marketing', 'granted', :at FROM customers
"""
_CARTS = """
INSERT INTO carts (cart_id, customer_id, origin_id, state, lines, value, currency, channel, created_at, touched_at)
SELECT 'c' || id, id, id, 'open', '[{"product_id": "pot", "quantity": 1, "price": 18900}]', 18900, 'EUR', 'web',
    :at, :at
FROM customers
"""


def prepare(db: Database, size: int, *, now: datetime, **changes: Any) -> None:
    """An empty installation with `size` quiet carts and the campaign launched, nobody enrolled yet; `changes` are of
    its definition."""
    quiet = {"at": now - QUIET, "n": size}
    with db.begin() as conn:
        emptying.empty(conn)
        for statement in (_PEOPLE, _IDENTITIES, _CONSENTS, _CARTS):
            conn.execute(sa.text(statement), quiet)
        row = {"product_id": "pot", "title": "Cocotte", "price": "189.00", "url": "https://shop.example/pot"}
        assert all(result.ok for result in catalogue.put(conn, [row], now=now))
        files.ensure_demo(conn, now=now, demo=False)
        definition = world.relaunch(products=0) | changes
        plans.update(conn, files.DEMO, definition=definition, now=now)
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None, late_hours=48), now=now)
        plans.launch(conn, files.DEMO, now=now)
    warm.layouts_of(definition)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the witness and the database say together."""

    audience: int
    states: dict[str, int]
    accepts: int
    duplicates: int
    lost: int
    wrong: int
    uncertain_accepted: int

    @property
    def uncertain(self) -> int:
        return self.states.get("uncertain", 0) + self.states.get("unconfirmed", 0)

    @property
    def sound(self) -> bool:
        """Nobody twice, nobody forgotten, nobody said to be reached who was not."""
        return not (self.duplicates or self.lost or self.wrong) and sum(self.states.values()) == self.audience


def judge(db: Database, accepted: list[str], *, audience: int) -> Verdict:
    """Compares the provider's ledger with ours. Lost: not accepted, and our ledger neither says so nor doubts."""
    witness = Counter(accepted)
    with db.begin() as conn:
        rows = [(str(row.id), row.state) for row in conn.execute(sa.select(tables.messages))]
    states = Counter(state for _, state in rows)
    claims = {message_id for message_id, state in rows if state in ("accepted", "delivered")}
    doubts = {message_id for message_id, state in rows if state in ("uncertain", "unconfirmed", "submitting")}
    known = claims | doubts
    return Verdict(
        audience=audience,
        states=dict(states),
        accepts=len(witness),
        duplicates=sum(count - 1 for count in witness.values()),
        lost=audience - len(rows) + len(claims - witness.keys()),
        wrong=len(witness.keys() - known),
        uncertain_accepted=len(doubts & witness.keys()),
    )


def confirm(db: Database, accepted: list[str], *, now: datetime) -> None:
    """The provider reports what it accepted, each report three times."""
    reports = [Report(f"accepted:{one}", Kind.ACCEPTED, now, message_id=UUID(one)) for one in accepted]
    for _ in range(3):
        with db.begin() as conn:
            feedback.reported(conn, "witness", reports, now=now)
