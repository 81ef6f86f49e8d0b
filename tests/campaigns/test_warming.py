"""A new sender begins slowly: each group of hosts has its ceiling of the day, which grows only after a good one."""

import time
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from campaigns import domains, mail_tables, messages, policy, rules, tables, warming
from campaigns.domains import Day, WarmUp
from foundation.database import Database
from foundation.errors import Invalid
from tests.campaigns import world
from tests.campaigns.carriers import Carrier
from tests.campaigns.test_delivery import enrol
from tests.campaigns.test_sendgrid import in_doubt

DAY = timedelta(days=1)
PLAN = WarmUp(date(2026, 11, 20), first_day=10, factor=2.0)


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("a@gmail.com", "gmail"),
        ("a@GoogleMail.com", "gmail"),
        ("a@hotmail.fr", "outlook"),
        ("a@live.co.uk", "outlook"),
        ("a@yahoo.fr", "yahoo"),
        ("a@icloud.com", "apple"),
        ("a@wanadoo.fr", "orange"),
        ("a@free.fr", "free"),
        ("a@neuf.fr", "sfr"),
        ("a@laposte.net", "laposte"),
        ("a@example.org", "other"),
        ("nonsense", "other"),
    ],
)
def test_an_address_is_with_who_decides_for_it(address: str, group: str) -> None:
    assert domains.group_of(address) == group and group in domains.GROUPS


def test_the_ceiling_grows_after_good_days_alone() -> None:
    assert PLAN.ceiling(None, None) == 10
    assert PLAN.ceiling(10, Day(sent=10)) == 20
    assert PLAN.ceiling(20, Day(sent=0)) == 20, "nothing learnt"
    assert PLAN.ceiling(1000, Day(sent=1000, bounced=21)) == 1000
    assert PLAN.ceiling(1000, Day(sent=1000, complained=2)) == 1000
    assert PLAN.ceiling(1000, Day(sent=1000, bounced=20, complained=1)) == 2000
    assert PLAN.ceiling(900_000, Day(sent=900_000)) == domains.KNOWN


def test_what_is_over_todays_ceiling_waits_and_the_next_day_is_larger(db: Database, now: datetime) -> None:
    policy = rules.Policy(warm_up=PLAN)
    mails = [(uuid4(), f"a{n}@gmail.com") for n in range(14)] + [(uuid4(), "b@orange.fr")]
    with db.begin() as conn:
        waiting = warming.over(conn, mails, rules=policy, now=now)
        assert waiting == {message_id for message_id, _ in mails[10:14]}, "another group has its own ceiling"
        assert warming.over(conn, mails[:1], rules=policy, now=now) == {mails[0][0]}
        assert warming.tomorrow(policy, now=now) > now
    _sent_on(db, now, 3, state="delivered")
    with db.begin() as conn:
        assert len(warming.over(conn, mails[:14] * 2, rules=policy, now=now + DAY)) == 0
        assert (
            conn.scalars(sa.select(mail_tables.warm_days.c.ceiling).order_by(mail_tables.warm_days.c.day)).all()[-1]
            == 20
        )
    _sent_on(db, now + DAY, 3, state="bounced")
    with db.begin() as conn:
        warming.over(conn, mails[:1], rules=policy, now=now + 2 * DAY)
        latest = sa.select(mail_tables.warm_days.c.ceiling).order_by(mail_tables.warm_days.c.day.desc()).limit(1)
        assert conn.scalar(latest) == 20, "a bad day stands still"


def _sent_on(db: Database, at: datetime, number: int, *, state: str) -> None:
    for n in range(number):
        message_id = in_doubt(db, f"{state}{n}", at=at, state=state)
        with db.begin() as conn:
            mine = tables.message_contents.c.message_id == message_id
            conn.execute(sa.update(tables.message_contents).where(mine).values(address=f"{state}{n}@gmail.com"))


def test_without_a_plan_or_before_it_begins_nothing_waits(db: Database, now: datetime) -> None:
    later = replace(PLAN, begins=now.date() + DAY)
    with db.begin() as conn:
        for policy in (rules.Policy(), rules.Policy(warm_up=later)):
            assert warming.over(conn, [(uuid4(), "a@gmail.com")] * 50, rules=policy, now=now) == set()


@pytest.mark.parametrize(
    "plan",
    [
        "soon",
        {"begins": "soon"},
        {"begins": "2026-11-22", "first_day": 0},
        {"begins": "2026-11-22", "factor": 9},
        {"first_day": 5},
        {"begins": "2026-11-22", "more": 1},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(plan: object) -> None:
    with pytest.raises(Invalid, match="warm_up"):
        rules.parse({"warm_up": plan})
    good = rules.parse({"warm_up": {"begins": "2026-11-22"}, "topics": {"news": "News"}, "opens": "hygiene"})
    assert rules.parse(rules.dump(good)) == good


def test_a_slow_host_gets_no_more_than_its_rate_and_keeps_nobody_else_waiting(
    db: Database, tmp_path: Path, now: datetime
) -> None:
    carrier = Carrier()
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.launch(conn, now=now)
        policy.save(conn, replace(policy.load(conn), host_rates={"orange": 5, "gmail": 1000}), now=now)
    for n in range(30):
        due = enrol(db, f"o{n}", now=now, email=f"o{n}@{'wanadoo.fr' if n % 2 else 'orange.fr'}")
    for name in ("gmail.com", "example.org"):
        due = enrol(db, name, now=now, email=f"a@{name}")
    began = time.monotonic()
    sending = world.sending(carrier, tmp_path)
    messages.deliver_due(db, sending, now=due)
    handed = [mail.address for mail in carrier.handed]
    assert {"a@gmail.com", "a@example.org"} <= set(handed), "other hosts wait for nobody"
    assert 10 <= len(handed) - 2 <= 10 + 5 * (time.monotonic() - began) + 1, "two seconds' worth, and what time brought"
    with db.begin() as conn:
        waiting = conn.execute(
            sa.select(tables.messages.c.reason, sa.func.max(tables.messages.c.not_before))
            .where(tables.messages.c.state == "pending")
            .group_by(tables.messages.c.reason)
        ).all()
    assert [reason for reason, _ in waiting] == ["host_rate"] and waiting[0][1] <= due + 4 * timedelta(seconds=1)
    while len(carrier.handed) < 32 and time.monotonic() < began + 60:
        past = timedelta(seconds=time.monotonic() - began)
        messages.deliver_due(db, sending, now=due + past)
    assert len(carrier.handed) == 32 and time.monotonic() - began >= (30 - 10) / 5 - 0.5
    assert len({mail.message_id for mail in carrier.handed}) == 32


@pytest.mark.parametrize("wrong", [{"orange.fr": 5}, {"orange": 0}, {"orange": "fast"}, ["orange"]])
def test_a_rate_is_of_a_known_group_of_hosts(wrong: object) -> None:
    with pytest.raises(Invalid, match="/host_rates"):
        rules.parse({"host_rates": wrong})
