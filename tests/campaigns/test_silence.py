"""Who gave no sign for long gets no marketing mail: the one thing that reads the day of somebody's last open."""

import ast
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import pruning
from campaigns import mail_tables, messages, policy, rules, silence, tables, visits
from campaigns.definitions import conditions
from foundation import database
from foundation.database import Database
from foundation.errors import Invalid
from shop import consent
from tests.campaigns import journey, world
from tests.campaigns.carriers import Carrier

DAY = timedelta(days=1)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def camille(db: Database, now: datetime) -> int:
    """Somebody who agreed 300 days ago and got a mail each month since; of her nothing was heard."""
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
    began = now - 300 * DAY
    plan = journey.launch(db, {"type": "event", "event": "Quiz Taken"}, [journey.send("hello")], now=began)
    with db.begin() as conn:
        person = world.make_customer(conn, "camille", at=began)
        for month in range(1, 10):
            _mail(conn, plan.id, person, f"m{month}", at=began + 30 * month * DAY, state="accepted")
    return person


def _mail(conn: sa.Connection, plan: int, person: int, key: str, *, at: datetime, state: str) -> None:
    row = {"id": database.new_id(), "campaign_id": plan, "version": 1, "step": "hello", "channel": "email"}
    row |= {"customer_id": person, "entry_key": key, "state": state}
    row |= {"queued_at": at, "not_before": at, "expires_at": at + 2 * DAY}
    conn.execute(sa.insert(tables.messages), row | ({"accepted_at": at} if state == "accepted" else {}))


def measure(db: Database, opens: str, *, days: int = 180, at: datetime) -> None:
    with db.begin() as conn:
        policy.save(conn, replace(policy.load(conn), opens=opens, silence_days=days), now=at)


def agree(db: Database, person: int, state: str, *, at: datetime, purpose: str = "analytics") -> None:
    with db.begin() as conn:
        said = {"customer_id": person, "channel": "email", "purpose": purpose, "state": state, "source": "form"}
        consent.record(conn, **said, at=at, now=at)


def silent(db: Database, person: int, now: datetime) -> bool:
    with db.begin() as conn:
        return bool(silence.silent(conn, [person], rules=policy.load(conn), now=now))


def sent(db: Database, person: int, folder: Path, now: datetime) -> tuple[str, str | None]:
    """What becomes of one more mail to her."""
    with db.begin() as conn:
        plan = conn.scalar(sa.select(tables.campaigns.c.id)) or 0
        _mail(conn, plan, person, "last", at=now, state="pending")
    messages.deliver_due(db, world.sending(Carrier(), folder), now=now)
    with db.begin() as conn:
        one = tables.messages.c
        row = conn.execute(sa.select(one.state, one.reason).where(one.entry_key == "last")).one()
    return row.state, row.reason


@pytest.mark.parametrize(
    ("opens", "said", "outcome"),
    [
        ("hygiene", None, ("skipped", "silent")),
        ("hygiene", "denied", ("accepted", None)),
        ("consent", "granted", ("skipped", "silent")),
        ("consent", None, ("accepted", None)),
        ("consent", "denied", ("accepted", None)),
    ],
)
def test_only_who_could_have_been_seen_reading_is_taken_for_silent(
    db: Database, camille: int, tmp_path: Path, now: datetime, opens: str, said: str | None, outcome: tuple[str, str]
) -> None:
    measure(db, opens, at=now - 299 * DAY)
    if said:
        agree(db, camille, said, at=now - 299 * DAY)
    assert sent(db, camille, tmp_path, now) == outcome


def test_where_no_opens_are_measured_nobody_is_silent_and_the_rule_is_refused(
    db: Database, camille: int, tmp_path: Path, now: datetime
) -> None:
    measure(db, "off", days=0, at=now - 299 * DAY)
    assert sent(db, camille, tmp_path, now) == ("accepted", None)
    for values, place in (
        ({"opens": "off", "silence_days": 90}, "/silence_days"),
        ({"silence_days": 29}, "/silence_days"),
    ):
        with pytest.raises(Invalid) as refused:
            rules.parse(values)
        assert [fault.pointer for fault in refused.value.faults] == [place]


@pytest.mark.parametrize("sign", ["open", "click", "visit", "yes", "apple"])
def test_any_sign_within_the_days_lets_her_mails_go_on(db: Database, camille: int, now: datetime, sign: str) -> None:
    mode = "consent" if sign == "apple" else "hygiene"
    measure(db, mode, at=now - 299 * DAY)
    agree(db, camille, "granted", at=now - 299 * DAY)
    assert silent(db, camille, now)
    lately = now - 100 * DAY
    with db.begin() as conn:
        mail = conn.scalar(sa.select(tables.messages.c.id).where(tables.messages.c.entry_key == "m1"))
        assert mail is not None
        if sign == "open":
            conn.execute(sa.insert(mail_tables.last_opens).values(customer_id=camille, day=lately.date()))
        elif sign == "click":
            conn.execute(sa.update(tables.messages).where(tables.messages.c.id == mail).values(last_clicked_at=lately))
        elif sign == "visit":
            world.say(conn, "camille", "Product Viewed", at=lately, product_id="sel")
        elif sign == "apple":
            visits.fetched(conn, mail, now=lately)
    if sign == "yes":
        agree(db, camille, "granted", at=lately, purpose="marketing")
    assert not silent(db, camille, now)
    assert not silent(db, camille, now + 79 * DAY) and silent(db, camille, now + 121 * DAY)


def test_nobody_is_silent_before_the_rule_stood_so_long_or_three_mails_came(
    db: Database, camille: int, now: datetime
) -> None:
    measure(db, "hygiene", at=now - 179 * DAY)
    assert not silent(db, camille, now)
    measure(db, "hygiene", days=90, at=now - 65 * DAY)
    assert not silent(db, camille, now + 30 * DAY), "two mails since the rule was changed"


def test_other_mails_and_channels_are_not_ended_by_silence(
    db: Database, camille: int, tmp_path: Path, now: datetime
) -> None:
    measure(db, "hygiene", at=now - 299 * DAY)
    with db.begin() as conn:
        conn.execute(sa.update(tables.messages).values(purpose="transactional"))
        plan = conn.scalar(sa.select(tables.campaigns.c.id)) or 0
        _mail(conn, plan, camille, "parcel", at=now, state="pending")
        parcel = tables.messages.c.entry_key == "parcel"
        conn.execute(sa.update(tables.messages).where(parcel).values(purpose="transactional"))
    messages.deliver_due(db, world.sending(Carrier(), tmp_path), now=now)
    with db.begin() as conn:
        assert conn.scalar(sa.select(tables.messages.c.state).where(parcel)) == "accepted"


def test_the_days_are_forgotten_in_another_mode_and_of_who_says_no(
    db: Database, camille: int, tmp_path: Path, now: datetime
) -> None:
    def kept() -> int:
        pruning.prune(db, tmp_path, now=now)
        with db.begin() as conn:
            return conn.scalar(sa.select(sa.func.count()).select_from(mail_tables.last_opens)) or 0

    measure(db, "hygiene", at=now)
    with db.begin() as conn:
        conn.execute(sa.insert(mail_tables.last_opens).values(customer_id=camille, day=now.date()))
    assert kept() == 1
    agree(db, camille, "denied", at=now)
    assert kept() == 0
    with db.begin() as conn:
        conn.execute(sa.insert(mail_tables.last_opens).values(customer_id=camille, day=now.date()))
    measure(db, "consent", at=now)
    assert kept() == 0


def test_no_segment_trigger_or_winner_can_read_an_open() -> None:
    for did in ("opened", "open", "read"):
        with pytest.raises(Invalid):
            conditions.parse({"type": "message", "did": did, "op": "at_least", "value": 1})
    readers = {
        path.relative_to(ROOT).as_posix()
        for floor in ("app", "campaigns", "recommender", "shop")
        for path in (ROOT / floor).rglob("*.py")
        if _names(path, "last_opens")
    }
    assert readers == {"campaigns/mail_tables.py", "campaigns/feedback.py", "campaigns/silence.py"}


def _names(path: Path, word: str) -> bool:
    """Whether the code, or the SQL in it, names it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    named = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    named |= {node.id for node in nodes if isinstance(node, ast.Name)}
    texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return word in named or any(word in text for text in texts)
