"""Is this installation well: `/health` for a load balancer, `/metrics` for Prometheus, both read from the database.

Several processes serve at once, so a figure counted in one of them would be a share of the truth. Every figure here is
asked of PostgreSQL when it is asked of us.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app import doctor, parts
from campaigns.insights import followed
from campaigns.tables import messages, provider_gates
from foundation import jobs
from foundation.database import Database
from shop.tables import event_counts, sources

bp = Blueprint("health", __name__)

MIGRATIONS = Path(jobs.__file__).parent / "migrations"


WATCHED = ("database", "fsync", "synchronous_commit", "scheduler", "pepper")
"""What the doctor looks at that makes an installation unfit to serve; the rest is advice."""


@bp.get("/health")
def health() -> tuple[Response, int]:
    """200, or 503 with what is wrong."""
    findings = examine(parts.current_parts(), now=datetime.now(UTC))
    well = all(finding.good for finding in findings)
    body = {
        "status": "ok" if well else "failing",
        "reasons": [f"{finding.subject}: {finding.detail}" for finding in findings if not finding.good],
        "checks": {finding.subject: {"ok": finding.good, "detail": finding.detail} for finding in findings},
    }
    return jsonify(body), 200 if well else 503


def examine(of: parts.Parts, *, now: datetime) -> list[doctor.Finding]:
    """Looks at the schema, the database's durability and the scheduler; stops where the next needs the last."""
    try:
        with of.db.begin() as conn:
            schema = _schema(conn)
    except sa.exc.OperationalError:
        return [doctor.Finding("database", False, "does not answer")]
    if not schema.good:
        return [schema]
    return [schema, *(finding for finding in doctor.examine(of, now=now) if finding.subject in WATCHED)]


def _schema(conn: sa.Connection) -> doctor.Finding:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    wanted = ScriptDirectory.from_config(config).get_current_head()
    found = MigrationContext.configure(conn).get_current_revision()
    if found == wanted:
        return doctor.Finding("schema", True, f"at {found}")
    return doctor.Finding("schema", False, f"at {found}, this program needs {wanted}: run flask migrate")


@bp.get("/metrics")
def metrics() -> Response:
    """Prometheus text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(parts.current_parts().db, now=datetime.now(UTC)))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Figures(Collector):
    """The figures of one scrape."""

    def __init__(self, db: Database, *, now: datetime) -> None:
        self._db = db
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Every figure, read in one transaction."""
        with self._db.begin() as conn:
            yield from _events(conn, self._now)
            yield from _ledger(conn)
            yield from _jobs(conn, self._now)


def _events(conn: sa.Connection, now: datetime) -> Iterator[Metric]:
    """Events of the last hour by source; whole minutes are kept, so a rate is drawn from the gauge."""
    family = GaugeMetricFamily("relance_events_last_hour", "Events received", labels=["source", "outcome"])
    rows = conn.execute(
        sa.select(
            sources.c.name,
            *(sa.func.sum(event_counts.c[outcome]).label(outcome) for outcome in ("accepted", "repeated", "refused")),
        )
        .join(sources, sources.c.id == event_counts.c.source_id)
        .where(event_counts.c.minute > now - timedelta(hours=1))
        .group_by(sources.c.name)
    ).mappings()
    for row in rows:
        for outcome in ("accepted", "repeated", "refused"):
            family.add_metric([row["name"], outcome], float(row[outcome]))
    yield family


def _ledger(conn: sa.Connection) -> Iterator[Metric]:
    family = GaugeMetricFamily("relance_messages", "Messages of the ledger", labels=["channel", "state"])
    counts = sa.select(messages.c.channel, messages.c.state, sa.func.count()).group_by(
        messages.c.channel, messages.c.state
    )
    for channel, state, number in conn.execute(counts):
        family.add_metric([channel, state], number)
    yield family
    gates = GaugeMetricFamily("relance_provider_open", "1 while a provider is not spoken to", labels=["provider"])
    for provider, breaker in conn.execute(sa.select(provider_gates.c.provider, provider_gates.c.breaker)):
        gates.add_metric([provider], float(breaker != "closed"))
    yield gates
    unheard = GaugeMetricFamily(
        "relance_messages_unfollowed", "Of a week's accepted messages, those nothing was heard of", labels=["provider"]
    )
    for one in followed.read(conn):
        unheard.add_metric([one.provider], one.unfollowed)
    yield unheard


def _jobs(conn: sa.Connection, now: datetime) -> Iterator[Metric]:
    beat = jobs.last_beat(conn, "scheduler")
    age = GaugeMetricFamily("relance_scheduler_silence_seconds", "Since the scheduler was last known alive")
    if beat is not None:
        age.add_metric([], (now - beat).total_seconds())
    yield age
    seconds = GaugeMetricFamily("relance_job_seconds", "How long the last run took", labels=["job"])
    failures = GaugeMetricFamily("relance_job_failures_in_a_row", "Failed runs since the last good one", labels=["job"])
    finished = GaugeMetricFamily("relance_job_finished_timestamp_seconds", "When it last finished", labels=["job"])
    for row in conn.execute(sa.select(jobs.job_runs).where(jobs.job_runs.c.finished_at.is_not(None))):
        seconds.add_metric([row.job], row.seconds)
        failures.add_metric([row.job], row.failures_in_a_row)
        finished.add_metric([row.job], row.finished_at.timestamp())
    yield from (seconds, failures, finished)
