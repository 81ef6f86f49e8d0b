"""People count, machines do not: visits noted at once and judged beside their neighbours, on labelled traces."""

import random
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from app import robots
from campaigns import feedback, mail_tables, policy, rules, tables, visits
from foundation.database import Database
from shop import consent
from shop.tables import events
from tests.campaigns import journey
from tests.campaigns.test_sendgrid import in_doubt

enrolments = tables.enrolments
SECOND = timedelta(seconds=1)
LATER = timedelta(hours=1)
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari"
DESK = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"


@pytest.fixture
def sent(db: Database, now: datetime) -> UUID:
    """A mail with five links, accepted a minute ago."""
    return _sent(db, "camille", now)


def _sent(db: Database, user: str, now: datetime) -> UUID:
    message_id = in_doubt(db, user, at=now - timedelta(minutes=1), state="accepted")
    with db.begin() as conn:
        conn.execute(sa.update(tables.messages).where(tables.messages.c.id == message_id).values(accepted_at=now))
    return message_id


def told(db: Database) -> int:
    query = sa.select(sa.func.count()).select_from(events).where(events.c.name == "Message Clicked")
    with db.begin() as conn:
        return conn.scalar(query) or 0


def follow(db: Database, message_id: UUID, *clicks: tuple[int, datetime], machine: bool = False) -> None:
    with db.begin() as conn:
        for n, at in clicks:
            visits.followed(conn, message_id, n, machine=machine, now=at)


def test_a_click_starts_nothing_until_its_neighbours_could_come(db: Database, sent: UUID, now: datetime) -> None:
    follow(db, sent, (0, now + LATER))
    assert visits.judge(db, now=now + LATER + 5 * SECOND) is None and told(db) == 0
    assert visits.judge(db, now=now + LATER + 10 * SECOND) == "1 by people, 0 by machines"
    assert visits.judge(db, now=now + 2 * LATER) is None and told(db) == 1


def test_three_links_in_two_seconds_are_a_scanner_and_two_are_a_reader(db: Database, sent: UUID, now: datetime) -> None:
    follow(db, sent, *((n, now + LATER + n * SECOND) for n in range(3)))
    assert visits.judge(db, now=now + 2 * LATER) == "0 by people, 3 by machines"
    follow(db, sent, (0, now + 3 * LATER), (1, now + 3 * LATER + SECOND), (1, now + 3 * LATER + SECOND))
    assert visits.judge(db, now=now + 4 * LATER) == "3 by people, 0 by machines"


def test_a_click_within_two_seconds_of_delivery_is_nobodys(db: Database, sent: UUID, now: datetime) -> None:
    follow(db, sent, (0, now + SECOND))
    assert visits.judge(db, now=now + LATER) == "0 by people, 1 by machines"


def test_who_looks_before_the_provider_has_answered_us_is_nobody(db: Database, sent: UUID, now: datetime) -> None:
    """Its host may have the mail, and open what is in it, while we still wait for its answer."""
    mine = tables.messages.c.id == sent
    with db.begin() as conn:
        conn.execute(sa.update(tables.messages).where(mine).values(state="submitting", accepted_at=None))
        assert feedback.too_soon(conn, sent, now=now)
        assert not feedback.too_soon(conn, uuid4(), now=now)
    follow(db, sent, (0, now))
    assert visits.judge(db, now=now + 20 * SECOND) is None, "when it was delivered is not known yet"
    with db.begin() as conn:
        answered = {"state": "accepted", "accepted_at": now + 25 * SECOND}
        conn.execute(sa.update(tables.messages).where(mine).values(answered))
    assert visits.judge(db, now=now + 30 * SECOND) == "0 by people, 1 by machines"


def test_who_falls_into_the_trap_was_never_a_person(db: Database, sent: UUID, now: datetime) -> None:
    follow(db, sent, (0, now + LATER), (1, now + LATER + 30 * SECOND))
    with db.begin() as conn:
        visits.trapped(conn, sent, now=now + LATER + 8 * SECOND)
        visits.trapped(conn, uuid4(), now=now)
    assert visits.judge(db, now=now + 2 * LATER) == "1 by people, 1 by machines"


def test_what_calls_itself_a_machine_is_kept_and_starts_nothing(db: Database, sent: UUID, now: datetime) -> None:
    follow(db, sent, (0, now + LATER), machine=True)
    assert visits.judge(db, now=now + 2 * LATER) is None and told(db) == 0
    with db.begin() as conn:
        assert conn.scalar(sa.select(mail_tables.visits.c.machine)) is True
        assert conn.scalar(sa.select(tables.messages.c.first_clicked_at)) is None


def _traces(chance: random.Random, start: datetime) -> list[tuple[bool, list[tuple[int, datetime, str]]]]:
    """Five hundred visits to mails, each by a person or a machine: links, times after delivery, the browser's name."""
    made: list[tuple[bool, list[tuple[int, datetime, str]]]] = []
    for number in range(500):
        if number % 2:
            first = start + timedelta(seconds=chance.uniform(15, 90_000))
            pauses = [0.0, *(chance.uniform(4, 300) for _ in range(chance.randrange(3)))]
            times = [first + timedelta(seconds=sum(pauses[: n + 1])) for n in range(len(pauses))]
            made.append((False, [(chance.randrange(5), at, chance.choice([PHONE, DESK])) for at in times]))
            continue
        kind = number // 2 % 4
        at = start + timedelta(seconds=chance.uniform(3, 60))
        sweep = [(n, at + timedelta(seconds=n * chance.uniform(0.05, 0.4)), DESK) for n in range(5)]
        early = [(0, start + timedelta(seconds=chance.uniform(0.1, 1.8)), DESK)]
        named = [(0, at, chance.choice(["", "Mozilla/5.0", "Barracuda Link Protect", "python-requests/2.32"]))]
        prefetched = [(-1, at + SECOND, DESK), (chance.randrange(5), at, DESK)]
        made.append((True, (sweep, early, named, prefetched)[kind]))
    return made


def test_of_five_hundred_labelled_visitors_nearly_all_are_told_apart(db: Database, now: datetime) -> None:
    chance, labels, plan = random.Random(7), dict[UUID, bool](), _thanks(db, now)
    for number, (machine, trace) in enumerate(_traces(chance, now)):
        message_id = _sent(db, f"c{number}", now)
        labels[message_id] = machine
        with db.begin() as conn:
            for n, at, agent in trace:
                if n < 0:
                    visits.trapped(conn, message_id, now=at)
                else:
                    alone = robots.is_machine("GET", agent, {})
                    visits.followed(conn, message_id, n, machine=alone, now=at)
    for hours in range(6, 54, 6):
        visits.judge(db, now=now + hours * LATER)
        journey.tick(db, now + hours * LATER)
    with db.begin() as conn:
        begun = set(conn.scalars(sa.select(enrolments.c.customer_id).where(enrolments.c.campaign_id == plan)))
        whose = dict(conn.execute(sa.select(tables.messages.c.customer_id, tables.messages.c.id)).all())
        clicked = set(
            conn.scalars(sa.select(tables.messages.c.id).where(tables.messages.c.first_clicked_at.is_not(None)))
        )
    people = {message_id for message_id, machine in labels.items() if not machine}
    machines = set(labels) - people
    assert len(machines - clicked) >= 0.95 * len(machines), "robots recognised"
    assert len(people - clicked) <= 0.01 * len(people), "people lost"
    assert {whose[person] for person in begun} == clicked & people, "a journey begins with a click, and with no robot's"


def _thanks(db: Database, now: datetime) -> int:
    """A campaign that begins when somebody follows a link of a message."""
    entry = {"type": "event", "event": "Message Clicked"}
    tag = {"type": "set_trait", "id": "tag", "trait": "reader", "value": "yes"}
    return journey.launch(db, entry, [tag], now=now - LATER, name="readers").id


# ----------------------------------------------------------------------------------------------- opens
@pytest.mark.parametrize("mode", rules.OPENS)
@pytest.mark.parametrize("said", ["granted", "denied", None])
def test_what_is_kept_of_an_open_is_what_the_mode_and_she_allow(
    db: Database, sent: UUID, now: datetime, mode: str, said: str | None
) -> None:
    with db.begin() as conn:
        person = feedback.customer_of(conn, sent) or 0
        if said:
            given = {"customer_id": person, "channel": "email", "purpose": "analytics", "source": "form"}
            consent.record(conn, **given, state=said, at=now, now=now)
        rule = policy.load(conn)
        state = feedback.measurable(conn, sent)
        assert rules.counts_opens(rules.Policy(opens=mode), state) == (
            mode == "consent" and said == "granted" or mode == "hygiene" and said != "denied"
        )
        assert rules.counts_clicks(rule, state)
        assert rules.counts_clicks(rules.Policy(track_clicks="consent"), state) == (said == "granted")
        feedback.opened(conn, sent, now=now)
        feedback.seen_on(conn, sent, now=now)
        feedback.seen_on(conn, sent, now=now + timedelta(days=1))
    with db.begin() as conn:
        assert (conn.scalar(sa.select(tables.messages.c.opened_at)) is not None) == (said == "granted")
        days = conn.scalars(sa.select(mail_tables.last_opens.c.day)).all()
    assert days == ([] if said == "denied" else [(now + timedelta(days=1)).date()]), "one day, and no hour"
