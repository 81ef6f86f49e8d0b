"""What about the works needs attention: scheduler, providers, model, sources, segments, what was refused."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import url_for

from app import filters, i18n
from app.console import words
from app.console.pointing import Point
from campaigns import audit, holding, ledger, segments
from campaigns.insights import followed
from foundation import jobs
from recommender import runs
from shop import events, sources


def stopped(conn: sa.Connection, *, now: datetime) -> list[Point]:
    """What keeps messages from leaving, or the works from running."""
    return [
        *_scheduler(conn, now),
        *_held(conn, now),
        *_broken(conn, now),
        *_providers(conn, now),
        *_jobs(conn, now),
    ]


def worrying(conn: sa.Connection, *, now: datetime) -> list[Point]:
    """What goes on, but not as it should."""
    return [*_unfollowed(conn), *_model(conn, now), *_silent(conn, now), *_refused(conn, now), *_segments(conn, now)]


def _scheduler(conn: sa.Connection, now: datetime) -> list[Point]:
    beat = jobs.last_beat(conn, "scheduler")
    if beat is not None and now - beat <= jobs.STALE:
        return []
    return [
        Point(
            "unplug",
            "bad",
            i18n.gettext("The scheduler is silent"),
            i18n.gettext("Nothing is planned or sent until it is started again. Nothing is lost meanwhile."),
            filters.ago(beat, now) if beat else i18n.gettext("never seen"),
            url_for("console.health.index"),
            i18n.gettext("See the health"),
        )
    ]


def _held(conn: sa.Connection, now: datetime) -> list[Point]:
    """Nothing leaves until an engineer has looked: the commonest cause is a backup that was brought back."""
    held = holding.held(conn)
    if held is None:
        return []
    forgotten = int(held.detail.get("messages") or 0)
    said = i18n.ngettext(
        "%(n)s message left after the backup was made; it is not sent again.",
        "%(n)s messages left after the backup was made; none is sent again.",
        forgotten,
    )
    return [
        Point(
            "shield-x",
            "bad",
            i18n.gettext("Everything is held: nothing is sent"),
            (said + " " if forgotten else "") + i18n.gettext("flask release-hold lets messages leave again."),
            filters.ago(held.since, now),
            url_for("console.health.index"),
            i18n.gettext("See the health"),
        )
    ]


def _broken(conn: sa.Connection, now: datetime) -> list[Point]:
    """The sums of a campaign do not hold: somebody got a message twice, or one is nowhere."""
    return [
        Point(
            "circle-alert",
            "bad",
            i18n.gettext("“%(name)s” does not add up", name=one.campaign),
            i18n.gettext(
                "%(twice)s twice, %(lost)s lost, %(more)s too many.",
                twice=one.figures.duplicates,
                lost=one.figures.lost,
                more=one.figures.surplus,
            ),
            filters.ago(one.broken_since or now, now),
            url_for("console.campaigns.show", name=one.campaign),
            i18n.gettext("Open it"),
        )
        for one in audit.broken(conn)
    ]


def _providers(conn: sa.Connection, now: datetime) -> list[Point]:
    """Providers that do not answer or asked for silence."""
    return [
        Point(
            "unplug",
            "bad",
            i18n.gettext("%(provider)s is not spoken to for now", provider=gate.provider),
            (filters.typeset(gate.reason) + ". " if gate.reason else "")
            + i18n.gettext("Its messages wait, none is lost; other channels go on."),
            filters.ago(gate.opened_at, now) if gate.opened_at else "",
            url_for("console.channels.index"),
            i18n.gettext("See the channel"),
        )
        for gate in ledger.shut_gates(conn)
    ]


def _jobs(conn: sa.Connection, now: datetime) -> list[Point]:
    return [
        Point(
            "circle-alert",
            "bad",
            i18n.gettext("The job “%(job)s” fails", job=run.job),
            run.outcome or "",
            filters.ago(run.started_at, now),
            url_for("console.health.index"),
            i18n.gettext("See the job"),
        )
        for run in jobs.last_runs(conn)
        if run.failed
    ]


def _unfollowed(conn: sa.Connection) -> list[Point]:
    """Providers that used to tell what became of messages, and of many no longer do."""
    return [
        Point(
            "circle-help",
            "warn",
            i18n.gettext("%(provider)s tells less than it used to", provider=one.provider),
            i18n.ngettext(
                "Of %(n)s message of a week, %(share)s, nothing was heard for three days. Do its reports arrive?",
                "Of %(n)s messages of a week, %(share)s, nothing was heard for three days. Do its reports arrive?",
                one.unfollowed,
                share=filters.percent(one.share),
            ),
            "",
            url_for("console.messages.index", state=ledger.UNFOLLOWED),
            i18n.gettext("See which"),
        )
        for one in followed.read(conn)
        if one.unusual
    ]


def _model(conn: sa.Connection, now: datetime) -> list[Point]:
    last = next(iter(runs.latest(conn, limit=1)), None)
    if last is None or last.state not in ("refused", "failed"):
        return []
    titles = {
        "refused": i18n.gettext("The last model was not put in service"),
        "failed": i18n.gettext("The last training run failed"),
    }
    return [
        Point(
            "shield-x",
            "warn",
            titles[last.state],
            i18n.gettext("The one before it still serves, or best-sellers if there was none."),
            filters.ago(last.started_at, now),
            url_for("console.model.index"),
            i18n.gettext("Compare"),
        )
    ]


def _silent(conn: sa.Connection, now: datetime) -> list[Point]:
    """Baskets paid where nobody is heard from may be relaunched."""
    return [
        Point(
            "plug",
            "warn",
            i18n.gettext("“%(name)s” is silent", name=sender.name),
            i18n.gettext("An order taken there is not known here: its basket might be relaunched."),
            filters.ago(sender.last_event_at, now) if sender.last_event_at else "",
            url_for("console.sources.index"),
            i18n.gettext("See the source"),
        )
        for sender in sources.silent(conn, now=now)
        if sender.name not in words.OWN_SOURCES
    ]


def _refused(conn: sa.Connection, now: datetime) -> list[Point]:
    refused = sum(minute.refused for minute in events.per_minute(conn, since=now - timedelta(hours=24)))
    if not refused:
        return []
    return [
        Point(
            "triangle-alert",
            "warn",
            i18n.ngettext("%(n)s event was refused", "%(n)s events were refused", refused),
            i18n.gettext("What is refused is kept with its reason, so that whoever sends it can mend it."),
            i18n.gettext("within a day"),
            url_for("console.sources.index", _anchor="refused"),
            i18n.gettext("See why"),
        )
    ]


def _segments(conn: sa.Connection, now: datetime) -> list[Point]:
    """Segments that stopped, and those whose members had drifted from their rule."""
    found = []
    for one in segments.every(conn):
        wrong = one.drift["missing"] + one.drift["surplus"] if one.drift else 0
        if not one.fault and not wrong:
            continue
        found.append(
            Point(
                "blend",
                "bad" if one.fault else "unsure",
                i18n.gettext("The segment “%(name)s” has stopped", name=one.title)
                if one.fault
                else i18n.gettext("The segment “%(name)s” had drifted", name=one.title),
                filters.typeset(one.fault)
                if one.fault
                else i18n.ngettext(
                    "%(n)s member was put right last night.", "%(n)s members were put right last night.", wrong
                ),
                "",
                url_for("console.segments.show", name=one.name),
                i18n.gettext("See the segment"),
            )
        )
    return found
