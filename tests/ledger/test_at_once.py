"""What two do at the same moment: enrol, write to one mailbox, leave while a mail is on its way; and a refusal to start
over a database that may forget."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from campaigns import messages, tables
from foundation import postgres
from foundation.database import Database
from shop import consent, ingest, sources, vocabulary
from shop import customers as people
from shop.tables import customers
from tests.campaigns import journey, world
from tests.campaigns.carriers import Carrier
from tests.campaigns.test_delivery import states
from tests.conftest import PEPPER
from tests.prove import audience, goodbyes, workers

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_eight_who_enrol_at_once_take_everybody_in_once(db: Database, tmp_path: Path) -> None:
    setting = workers.setting_for(db.url, 0, tmp_path)
    audience.prepare(db, 400, now=setting.now())
    crew = [workers.start(workers.enrol, setting) for _ in range(8)]
    for one in crew:
        one.join(60)
    assert [one.exitcode for one in crew] == [0] * 8, "nobody saw an error"
    with db.begin() as conn:
        for table in (tables.enrolments, tables.messages):
            counted = sa.select(sa.func.count(), sa.func.count(table.c.customer_id.distinct()))
            assert tuple(conn.execute(counted).one()) == (400, 400)


ENTRY = {"type": "event", "event": "Quiz Taken"}


@pytest.fixture
def shop(db: Database, now: datetime) -> Database:
    """A campaign that answers a quiz with a mail."""
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
    journey.launch(db, ENTRY, [journey.send("hello")], now=now)
    return db


def deliver(db: Database, carrier: Carrier, folder: Path, *, now: datetime) -> None:
    """Four senders at the same moment, each a message at a time."""
    crew = [world.sending(carrier, folder / str(number), batch=1) for number in range(4)]
    with ThreadPoolExecutor(4) as hands:
        list(hands.map(lambda one: messages.deliver_due(db, one, now=now), crew))


def test_one_mailbox_of_several_records_gets_one_mail(shop: Database, tmp_path: Path, now: datetime) -> None:
    """However it is written; a dot makes another mailbox, for only some hosts ignore it."""
    written = (
        "Camille.Roy@Example.org",
        "camille.roy@example.org",
        "CAMILLE.ROY@EXAMPLE.ORG",
        "camilleroy@example.org",
    )
    with shop.begin() as conn:
        for user, address in zip("abcd", written, strict=True):
            person = world.make_customer(conn, user, at=now)
            conn.execute(sa.update(customers).where(customers.c.id == person).values(email=address))
            world.say(conn, user, "Quiz Taken", at=now)
    carrier = Carrier()
    journey.tick(shop, now)
    deliver(shop, carrier, tmp_path, now=now)
    addresses = sorted(mail.address.lower() for mail in carrier.handed)
    assert addresses == ["camille.roy@example.org", "camilleroy@example.org"]
    assert states(shop).count(("skipped", "duplicate_address")) == 2


GIFT = {"type": "event", "event": "Gift Chosen", "key": "product"}


def test_each_thing_a_mailbox_is_written_about_goes_there_once(db: Database, tmp_path: Path, now: datetime) -> None:
    """Two records of one address choose three things, one of them both of them."""
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        for user in "ab":
            person = world.make_customer(conn, user, at=now)
            conn.execute(sa.update(customers).where(customers.c.id == person).values(email="both@example.org"))
    journey.launch(db, GIFT, [journey.send("hello")], now=now, reentry={"rule": "each_key"})
    for user, product in (("a", "sel"), ("a", "cocotte"), ("b", "sel"), ("b", "torchon")):
        journey.say(db, user, "Gift Chosen", at=now, product_id=product)
    journey.tick(db, now)
    carrier = Carrier()
    deliver(db, carrier, tmp_path, now=now)
    with db.begin() as conn:
        left = tables.messages.c.state == "accepted"
        about = conn.scalars(sa.select(tables.messages.c.entry_key).where(left)).all()
    assert sorted(about) == ["cocotte", "sel", "torchon"] and len(carrier.handed) == 3
    assert states(db).count(("skipped", "duplicate_address")) == 1


def test_who_turns_out_to_be_somebody_known_gets_it_once(shop: Database, tmp_path: Path, now: datetime) -> None:
    """A visitor takes the quiz as the customer did, and signs in as her while both mails wait."""
    with shop.begin() as conn:
        world.make_customer(conn, "camille", at=now)
        world.say(conn, "camille", "Quiz Taken", at=now)
        _visitor(conn, {"type": "track", "event": "Quiz Taken"}, now=now)
    journey.tick(shop, now)
    with shop.begin() as conn:
        _visitor(conn, {"type": "identify", "userId": "camille"}, now=now)
    carrier = Carrier()
    deliver(shop, carrier, tmp_path, now=now)
    assert len(carrier.handed) == 1 and ("accepted", None) in states(shop)


@pytest.mark.parametrize(("looked_at", "more"), [("sel", []), ("cocotte", ["camille@example.org"])])
def test_what_reached_her_at_an_address_she_has_left_does_not_go_to_the_new_one(
    db: Database, tmp_path: Path, now: datetime, looked_at: str, more: list[str]
) -> None:
    """The visitor's mail has gone to one address, the customer's waits for another; then both are one. What is about
    something else still goes."""
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.make_customer(conn, "camille", at=now)
        _visitor(conn, {"type": "identify", "traits": {"email": "old@example.org"}}, now=now)
        visitor = people.find(conn, anonymous_id="visitor-1") or 0
        yes = {"channel": "email", "purpose": "marketing", "state": "granted", "source": "form"}
        consent.record(conn, customer_id=visitor, at=now, now=now, **yes)
    journey.launch(db, GIFT, [journey.send("hello")], now=now, reentry={"rule": "each_key"})
    with db.begin() as conn:
        _visitor(conn, {"type": "track", "event": "Gift Chosen", "properties": {"product_id": "sel"}}, now=now)
        world.say(conn, "camille", "Gift Chosen", at=now, product_id=looked_at)
    journey.tick(db, now)
    carrier, later = Carrier(), now + timedelta(hours=1)
    with db.begin() as conn:
        others = tables.messages.c.customer_id != visitor
        conn.execute(sa.update(tables.messages).where(others).values(not_before=later))
    deliver(db, carrier, tmp_path, now=now)
    with db.begin() as conn:
        _visitor(conn, {"type": "identify", "userId": "camille", "messageId": "in"}, now=now)
        assert people.canonical(conn, [visitor])[visitor] != visitor
    deliver(db, carrier, tmp_path, now=later)
    assert [mail.address for mail in carrier.handed] == ["old@example.org", *more]
    assert states(db).count(("skipped", "duplicate_address")) == (0 if more else 1)


def _visitor(conn: sa.Connection, said: dict[str, Any], *, now: datetime) -> None:
    source = sources.source(conn, "test web", channel="web", now=now, trusted=True)
    payload = {"anonymousId": "visitor-1", "messageId": said["type"], "timestamp": now.isoformat(), **said}
    event = vocabulary.parse(payload, source=source, received_at=now)
    assert isinstance(event, vocabulary.Event)
    ingest.ingest(conn, [event], now=now)


@pytest.mark.parametrize("way", ["unsubscribe", "stop"])
def test_nothing_to_her_begins_once_her_goodbye_was_answered(db: Database, tmp_path: Path, way: str) -> None:
    told = goodbyes.leave(db, tmp_path, people=40, way=way)
    assert told.left == 40 and told.began_after == 0, told
    assert told.spared, "some left before their message did"


TIMED = """
import atexit, runpy, time
import scheduler
began = time.monotonic()
atexit.register(lambda: print(time.monotonic() - began))
runpy.run_path("scheduler.py", run_name="__main__")
"""
"""The scheduler as it is run, once its libraries were read: how long that takes is the machine's affair."""


@pytest.mark.slow
def test_the_scheduler_does_not_start_over_a_database_that_may_forget(tmp_path: Path) -> None:
    db = Database(postgres.attach(tmp_path / "postgres"), pepper=PEPPER)
    db.migrate()
    environ = {"RELANCE_DATABASE_URL": db.url, "RELANCE_VAR": str(tmp_path / "var"), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", TIMED]
    for name in ("synchronous_commit", "fsync"):
        _system(db, f"ALTER SYSTEM SET {name} = off")
        ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        assert ended.returncode != 0 and f"PostgreSQL runs with {name} = off" in ended.stderr
        assert float(ended.stdout) <= 2, "seconds from its first line to its end"
        _system(db, f"ALTER SYSTEM RESET {name}")
    db.dispose()


def _system(db: Database, statement: str) -> None:
    with closing(db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")) as conn:
        conn.execute(sa.text(statement))
        conn.execute(sa.text("SELECT pg_reload_conf()"))
    time.sleep(0.2)
