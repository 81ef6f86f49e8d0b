"""Customers found as somebody types: by every way of being meant, in pages that neither repeat nor leave out."""

from datetime import datetime

import pytest
import sqlalchemy as sa

from shop import finding, tables


@pytest.fixture
def people(conn: sa.Connection, now: datetime) -> dict[str, int]:
    """Five people, found by what each of them is."""
    made = {}
    for user_id, first, last, email, phone, card in (
        ("C-1", "Élodie", "Lefèvre", "elodie@aubier.example", "+33612345678", None),
        ("C-2", "Paul", "Leroy", "p.leroy@aubier.example", None, "3760-0418 2291"),
        ("C-3", "Leroy", "Paul", "lp@aubier.example", "+447911123456", None),
        ("C-4", "<script>alert(1)</script>", "100%_sure", "x@aubier.example", None, None),
        ("C-5", None, None, None, None, None),
    ):
        row = {"user_id": user_id, "first_name": first, "last_name": last, "email": email, "phone": phone}
        insert = sa.insert(tables.customers).values(**row, created_at=now, updated_at=now)
        made[user_id] = number = conn.scalar(insert.returning(tables.customers.c.id))
        card = card and card.replace("-", "").replace(" ", "")
        for kind, value in (("user_id", user_id), ("email", email), ("phone", phone), ("card", card)):
            if value:
                _handle(conn, kind, value, number, now)
    return made


def _handle(conn: sa.Connection, kind: str, value: str, customer: int, now: datetime) -> None:
    row = {"kind": kind, "value": value, "customer_id": customer, "origin_id": customer, "first_seen_at": now}
    conn.execute(sa.insert(tables.identities).values(row))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("elodie@", ["C-1"]),
        ("ELODIE@Aubier", ["C-1"]),
        ("élodie", ["C-1"]),
        ("lefevre elo", ["C-1"]),
        ("06 12 34", ["C-1"]),
        ("0033612", ["C-1"]),
        ("07911", ["C-3"]),
        ("3760 0418", ["C-2"]),
        ("C-2", ["C-2"]),
        ("leroy p", ["C-2", "C-3"]),
        ("paul leroy", ["C-3", "C-2"]),
        ("100%_", ["C-4"]),
        ("<script>", ["C-4"]),
        ("%", []),
        ("nobody", []),
    ],
)
def test_everybody_is_found_by_what_they_are(
    conn: sa.Connection, people: dict[str, int], typed: str, found: list[str]
) -> None:
    page = finding.search(conn, typed, limit=10)
    assert [one.user_id for one in page.customers] == found


def test_our_own_number_and_a_browser_are_meant_to_the_letter(
    conn: sa.Connection, people: dict[str, int], now: datetime
) -> None:
    _handle(conn, "anonymous_id", "visit-7", people["C-5"], now)
    assert [one.id for one in finding.search(conn, "visit-7", limit=10).customers] == [people["C-5"]]
    assert finding.search(conn, "visit-", limit=10).customers == []
    assert finding.search(conn, str(people["C-5"]), limit=10).customers[0].id == people["C-5"]


def test_who_gave_an_address_another_holds_is_found_by_it(
    conn: sa.Connection, people: dict[str, int], now: datetime
) -> None:
    claim = {"kind": "email", "value": "lp@aubier.example", "customer_id": people["C-2"], "claimed_at": now}
    conn.execute(sa.insert(tables.identity_claims).values(claim))
    page = finding.search(conn, "LP@aubier.example", limit=10)
    assert [one.user_id for one in page.customers] == ["C-2", "C-3"]


@pytest.mark.parametrize("typed", ["", "c", "le", "C-"])
def test_pages_neither_repeat_nor_leave_out(conn: sa.Connection, people: dict[str, int], typed: str) -> None:
    whole = [one.id for one in finding.search(conn, typed, limit=100).customers]
    seen, after = [], None
    while True:
        page = finding.search(conn, typed, limit=1, after=after)
        seen += [one.id for one in page.customers]
        if (after := page.after) is None:
            break
    assert seen == whole and len(set(whole)) == len(whole) > 0


def test_the_next_of_an_unknown_place_is_nothing(conn: sa.Connection, people: dict[str, int]) -> None:
    assert finding.search(conn, "leroy", limit=5, after=(99, "x", 1)).customers == []
