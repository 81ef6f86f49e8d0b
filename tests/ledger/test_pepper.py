"""Hashes of addresses are keyed with a secret outside the database; what was hashed before is keyed where it stands."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from click.testing import Result

import app as front
from app import doctor, parts
from app.health import MIGRATIONS
from campaigns import holding, rehashing, tables
from campaigns.journal import Journal
from foundation import jobs
from foundation.config import Config
from foundation.database import Database
from shop import consent, pepper
from shop.tables import suppressions
from tests.campaigns.test_sendgrid import in_doubt
from tests.conftest import PEPPER

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "camille@example.org"


def bare(channel: str, address: str) -> bytes:
    """The hash as it was made before there was a pepper."""
    return hashlib.sha256(f"relance address\0{channel}\0{address}".encode()).digest()


def test_an_address_is_not_found_in_the_table_without_the_pepper(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        consent.suppress_many(conn, [("email", ADDRESS), ("sms", "+33612345678")], reason="complaint", now=now)
        kept = {bytes(found) for found in conn.scalars(sa.select(suppressions.c.address_hash))}
        ours = {consent.address_hash(conn, "email", ADDRESS), consent.address_hash(conn, "sms", "+33 6 12 34 56 78")}
    assert kept == ours
    guesses = {bare("email", ADDRESS), bare("sms", "+33612345678")}
    guesses |= {hashlib.sha256(text.encode()).digest() for text in (ADDRESS, "+33612345678", "33612345678")}
    assert not kept & guesses
    other = Database(db.url, pepper="another pepper of the tests")
    with other.begin() as conn:
        assert not consent.suppressed(conn, "email", [consent.address_hash(conn, "email", ADDRESS)])
    other.dispose()


@pytest.fixture
def old(server_url: str, worker_id: str) -> Iterator[Database]:
    """An empty database as it was before hashes were keyed."""
    admin, name = sa.create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool), f"old_{worker_id}"
    with admin.connect() as conn:
        conn.execute(sa.text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        conn.execute(sa.text(f"CREATE DATABASE {name}"))
    made = Database(sa.make_url(server_url).set(database=name).render_as_string(hide_password=False), pepper=PEPPER)
    with made.engine.connect() as conn:
        config = AlembicConfig()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = conn
        command.upgrade(config, "0025")
        conn.commit()
    yield made
    made.dispose()


def test_what_was_hashed_before_is_keyed_where_it_stands(old: Database, now: datetime) -> None:
    with old.begin() as conn:
        for channel, address in (("email", ADDRESS), ("sms", "+33612345678")):
            row = {"channel": channel, "address_hash": bare(channel, address), "reason": "complaint", "since": now}
            conn.execute(sa.insert(suppressions).values(**row))
    without = Database(old.url)
    with pytest.raises(LookupError, match="migrate with the pepper"):
        without.migrate()
    without.dispose()
    old.migrate()
    with old.begin() as conn:
        assert pepper.fits(conn)
        for channel, address in (("email", "Camille@Example.org"), ("sms", "+33 6 12 34 56 78")):
            hashed = consent.address_hash(conn, channel, address)
            assert consent.suppressed(conn, channel, [hashed]) == {hashed}
        assert bare("email", ADDRESS) not in {
            bytes(one) for one in conn.scalars(sa.select(suppressions.c.address_hash))
        }


def test_the_journal_of_before_is_still_understood(db: Database, tmp_path: Path, now: datetime) -> None:
    line = f"{now.isoformat()} email {bare('email', ADDRESS).hex()} complaint\n"
    (tmp_path / f"refused-{now:%Y-%m-%d}-1.log").write_text(line)
    with db.begin() as conn:
        holding.check(conn, Journal(tmp_path), now=now)
        holding.hold(conn, "restored", now=now)
        holding.check(conn, Journal(tmp_path), now=now)
        hashed = consent.address_hash(conn, "email", ADDRESS)
        assert consent.suppressed(conn, "email", [hashed]) == {hashed}


@pytest.fixture
def lost(db: Database, tmp_path: Path, now: datetime) -> Iterator[parts.Parts]:
    """An installation over refusals that were hashed with another pepper: two it has mails of."""
    in_doubt(db, "camille", at=now - timedelta(hours=1))
    in_doubt(db, "marc", at=now - timedelta(hours=1))
    with db.begin() as conn:
        refused = [("email", f"{name}@example.org") for name in ("camille", "marc", "stranger")]
        consent.suppress_many(conn, refused, reason="complaint", now=now)
    environ = {"RELANCE_DATABASE_URL": db.url, "RELANCE_VAR": str(tmp_path), "RELANCE_PEPPER": "not the one it was"}
    built = parts.build(Config.from_env(environ))
    yield built
    built.close()


def test_a_lost_pepper_is_told_and_nothing_is_kept_or_sent_with_another(lost: parts.Parts, now: datetime) -> None:
    (found,) = [one for one in doctor.examine(lost, now=now) if one.subject == "pepper"]
    assert not found.good and "RELANCE_PEPPER" in found.detail
    with pytest.raises(pepper.WrongPepper), lost.db.begin() as conn:
        consent.suppress(conn, channel="email", address=ADDRESS, reason="complaint", now=now)
    environ = {**os.environ, "RELANCE_DATABASE_URL": lost.db.url, "RELANCE_VAR": str(lost.config.var)}
    environ |= {"RELANCE_PEPPER": lost.config.pepper}
    ended = subprocess.run(
        [sys.executable, "scheduler.py"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0 and "another pepper" in ended.stderr


def test_whom_a_kept_mail_names_is_recognised_again_with_a_new_pepper(lost: parts.Parts, now: datetime) -> None:
    with lost.db.begin() as conn:
        assert rehashing.begin_anew(conn) == rehashing.Rehashed(kept=2, lost=1)
        assert pepper.fits(conn)
        hashes = [
            consent.address_hash(conn, "email", f"{name}@example.org") for name in ("camille", "marc", "stranger")
        ]
        assert consent.suppressed(conn, "email", hashes) == set(hashes[:2])
        assert set(conn.scalars(sa.select(tables.messages.c.address_hash))) == set(hashes[:2])


def test_the_command_goes_on_with_the_present_pepper_once_nothing_is_sent(lost: parts.Parts, now: datetime) -> None:
    web = front.create_app(lost)

    def run(*args: str, answer: str = "") -> Result:
        with web.app_context():
            return web.test_cli_runner().invoke(args=["new-pepper", *args], input=answer)

    jobs.beat(lost.db, "scheduler", started_at=now, now=datetime.now(UTC))
    with lost.db.begin() as conn:
        before = set(conn.scalars(sa.select(suppressions.c.address_hash)))
    assert "stop it first" in run("--yes").output
    jobs.beat(lost.db, "scheduler", started_at=now, now=now)
    assert run(answer="n\n").exit_code == 1
    with lost.db.begin() as conn:
        assert set(conn.scalars(sa.select(suppressions.c.address_hash))) == before
    done = run(answer="y\n")
    assert done.exit_code == 0 and "2 refused addresses are recognised again, 1 are not." in done.output
    assert "nothing to do" in run().output
