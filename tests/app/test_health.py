"""What a load balancer and Prometheus are told."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

import app as front
import scheduler
from app import doctor, parts
from app.console import changes, finding_words, words
from campaigns import findings, policy
from foundation import jobs
from foundation.database import Database
from shop import tables

NOW = datetime.now(UTC)


@pytest.fixture
def beating(db: Database) -> None:
    """A scheduler that is alive."""
    jobs.beat(db, "scheduler", started_at=NOW, now=datetime.now(UTC))


@pytest.mark.usefixtures("beating")
def test_an_installation_that_works_is_well(client: FlaskClient) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json["status"], answer.json["reasons"]) == (200, "ok", [])


def test_a_scheduler_that_never_ran_is_a_reason(client: FlaskClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 503
    assert [reason.split(":")[0] for reason in answer.json["reasons"]] == ["scheduler"]


def test_a_scheduler_gone_silent_is_a_reason(client: FlaskClient, db: Database) -> None:
    jobs.beat(db, "scheduler", started_at=NOW, now=NOW - timedelta(minutes=2))
    assert client.get("/health").status_code == 503


@pytest.fixture
def newer_program(db: Database) -> Iterator[None]:
    """A database that an older program left behind."""
    change = sa.text("UPDATE alembic_version SET version_num = :version")
    with db.begin() as conn:
        head = conn.scalar(sa.text("SELECT version_num FROM alembic_version"))
        conn.execute(change, {"version": "older"})
    yield
    with db.begin() as conn:
        conn.execute(change, {"version": head})


@pytest.mark.usefixtures("beating", "newer_program")
def test_a_schema_that_is_behind_is_a_reason(client: FlaskClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 503 and "flask migrate" in answer.json["reasons"][0]


def test_a_database_that_does_not_answer_is_a_reason(installation: parts.Parts) -> None:
    down = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    answer = front.create_app(replace(installation, db=down)).test_client().get("/health")
    assert (answer.status_code, answer.json["reasons"]) == (503, ["database: does not answer"])


@pytest.mark.usefixtures("beating")
def test_metrics_are_read_from_the_database(client: FlaskClient, db: Database) -> None:
    with db.begin() as conn:
        source = sa.insert(tables.sources).values(name='a "shop"', channel="web", created_at=NOW)
        source_id = conn.execute(source.returning(tables.sources.c.id)).scalar_one()
        counts = {"minute": NOW, "source_id": source_id, "name": "Product Viewed", "accepted": 3, "refused": 1}
        conn.execute(sa.insert(tables.event_counts).values(**counts))
    jobs.run(db, "admit", lambda _: "nothing to do")
    text = client.get("/metrics").text
    assert 'relance_events_last_hour{outcome="accepted",source="a \\"shop\\""} 3.0' in text
    assert 'relance_job_failures_in_a_row{job="admit"} 0.0' in text
    assert "relance_scheduler_silence_seconds" in text


@pytest.mark.parametrize(("sender", "sound"), [("Shop <news@shop.example>", True), ("Shop <news@localhost>", False)])
def test_mail_that_leaves_must_come_from_a_public_name(installation: parts.Parts, sender: str, sound: bool) -> None:
    config = replace(installation.config, email_url="smtp://127.0.0.1:25", email_from=sender)
    found = doctor.examine(replace(installation, config=config), now=NOW)
    assert {finding.subject: finding.good for finding in found}["sending domain"] is sound


def test_the_sender_of_the_shop_comes_before_that_of_the_settings(installation: parts.Parts, db: Database) -> None:
    config = replace(installation.config, email_url="smtp://127.0.0.1:25", email_from="Shop <news@shop.example>")
    with db.begin() as conn:
        policy.save(conn, replace(policy.load(conn), sender="Shop <news@intranet>"), now=NOW)
    found = {one.subject: one for one in doctor.examine(replace(installation, config=config), now=NOW)}
    assert found["sending domain"].detail.startswith("intranet is no public name")
    assert found["e-mail"].detail.endswith("from Shop <news@intranet>")


@pytest.mark.parametrize(
    ("channel", "base", "tracking", "told"),
    [
        ("smtp://127.0.0.1:25", "https://r.example", None, None),
        ("smtp://127.0.0.1:25", "http://r.example", None, "RELANCE_BASE_URL"),
        ("sendgrid:KEY", "https://r.example", "http://news.r.example", "RELANCE_TRACKING_URL"),
        ("sendgrid:KEY", "http://r.example", "https://news.r.example", None),
        ("outbox:", "http://localhost:8000", None, None),
    ],
)
def test_mail_that_leaves_must_be_unsubscribed_from_by_https(
    installation: parts.Parts, db: Database, channel: str, base: str, tracking: str | None, told: str | None
) -> None:
    config = replace(installation.config, email_url=channel, base_url=base, tracking_url=tracking)
    found = doctor.examine(replace(installation, config=config), now=NOW)
    (link,) = [one for one in found if one.subject == "unsubscribe link"]
    assert link.good is (told is None) and (told or "") in link.detail
    with db.begin() as conn:
        findings.keep(conn, found, now=NOW)
        assert (link in findings.harmful(conn, now=NOW)) is (told is not None)


def test_every_job_check_and_act_has_its_words(installation: parts.Parts) -> None:
    jobs_known = {job.name.partition(" ")[0] for job in scheduler.timetable(installation)}
    assert jobs_known <= words.JOB.keys()
    assert {finding.subject for finding in doctor.examine(installation, now=NOW)} <= finding_words.SAID.keys()
    posted = [rule for rule in front.create_app(installation).url_map.iter_rules() if "POST" in (rule.methods or ())]
    acts = {rule.endpoint.removeprefix("console.") for rule in posted if rule.endpoint.startswith("console.")}
    assert {act for act in acts if changes.noted(act)} <= changes.SAID.keys()
    by_hand = "".join(path.read_text() for path in Path(changes.__file__).parent.glob("*.py") if path.stem != "changes")
    unknown = {act for act in changes.SAID if act not in acts | {*changes.TAKEN_OUT} and f'"{act}"' not in by_hand}
    assert unknown == set(), "words for acts nobody does"
