"""The first page: what needs attention, what the campaigns earned, the ledger's sum, and what happens right now."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app import filters, i18n, security, users
from app.console import campaigns as campaign_pages
from app.console import customers as customer_pages
from app.console import roles, words
from app.i18n import N_
from app.parts import current_parts
from campaigns import audit, holding, ledger, overdue, plans, reports, surveys, timing
from foundation import jobs
from recommender import runs
from shop import customers, events

bp = Blueprint("overview", __name__)


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that needs attention: what, why it matters, since when, and where to go."""

    icon: str
    tone: str
    title: str
    text: str
    when: str
    href: str
    act: str


@bp.get("/")
@security.require_role(*roles.EVERYONE)
def index() -> str | Response:
    """What a marketer sees first; a shop assistant is sent to the customers."""
    user, now = security.current_user(), datetime.now(UTC)
    if user and user.role == users.Role.STORE:
        return redirect(url_for("console.customers.index"))
    with current_parts().db.begin() as conn:
        points = _points(conn, now)
        sums = ledger.sums(conn)
        found = [(plan, reports.campaign(conn, plan.id, now=now)) for plan in plans.every(conn)]
    return render_template(
        "console/overview/index.html",
        greeting=_greeting(user.name if user and user.name else "", len(points)),
        points=points,
        sums=sums,
        total=ledger.total(sums),
        found=found,
        now=now,
        words=words,
        verdict=campaign_pages.verdict,
        **_live(),
    )


@bp.get("/live")
@security.require_role(*roles.READ)
def live() -> str:
    """The last events, asked for again every few seconds."""
    return render_template("console/overview/live.html", words=words, **_live())


def _live() -> dict[str, object]:
    with current_parts().db.begin() as conn:
        latest = events.latest(conn, limit=8)
        people = customers.get_many(conn, {event.customer_id for event in latest if event.customer_id})
    return {"latest": latest, "people": people, "name": customer_pages.name}


def _greeting(name: str, points: int) -> str:
    hello = i18n.gettext("Hello %(name)s.", name=name.split(" ")[0]) if name else i18n.gettext("Hello.")
    if not points:
        return f"{hello} " + i18n.gettext("Nothing needs your attention.")
    return f"{hello} " + i18n.ngettext("%(n)s thing needs your attention.", "%(n)s things need your attention.", points)


def _points(conn: sa.Connection, now: datetime) -> list[Point]:
    return [
        *_scheduler(conn, now),
        *_held(conn, now),
        *_broken(conn, now),
        *_jobs(conn, now),
        *_overdue(conn, now),
        *_missed(conn, now),
        *_uncertain(conn),
        *_unhappy(conn, now),
        *_campaigns(conn, now),
        *_model(conn, now),
        *_refused(conn, now),
    ]


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


def _overdue(conn: sa.Connection, now: datetime) -> list[Point]:
    """What should have gone out long ago, which a person decides on."""
    return [
        Point(
            "hourglass",
            "warn",
            i18n.ngettext("%(n)s message is overdue", "%(n)s messages are overdue", one.number),
            i18n.gettext("Of “%(name)s”: send them now, or drop them?", name=one.campaign),
            filters.ago(one.oldest, now),
            url_for("console.campaigns.show", name=one.campaign, _anchor="overdue"),
            i18n.gettext("Decide"),
        )
        for one in overdue.counts(conn)
    ]


def _missed(conn: sa.Connection, now: datetime) -> list[Point]:
    """Moments of the calendar that nobody was there for, which a person decides on."""
    return [
        Point(
            "hourglass",
            "warn",
            i18n.gettext("A moment was missed"),
            i18n.gettext("Of “%(name)s”: run it now, or leave it?", name=one.campaign),
            filters.ago(one.due_at, now),
            url_for("console.campaigns.show", name=one.campaign, _anchor="missed"),
            i18n.gettext("Decide"),
        )
        for one in timing.missed(conn)
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


def _uncertain(conn: sa.Connection) -> list[Point]:
    total = ledger.total(ledger.sums(conn))
    if not total.uncertain:
        return []
    return [
        Point(
            "circle-help",
            "unsure",
            i18n.ngettext("%(n)s message is uncertain", "%(n)s messages are uncertain", total.uncertain),
            i18n.ngettext(
                "It was handed over and no clear answer came. It is never sent again without proof.",
                "They were handed over and no clear answer came. They are never sent again without proof.",
                total.uncertain,
            ),
            "",
            url_for("console.messages.index", state="uncertain"),
            i18n.gettext("Have a look"),
        )
    ]


def _unhappy(conn: sa.Connection, now: datetime) -> list[Point]:
    """Low scores given to a question, which somebody should answer."""
    return [
        Point(
            "star",
            "warn",
            i18n.gettext("%(name)s gave a score of %(score)s", name=alert.customer or "?", score=alert.score),
            alert.comment or i18n.gettext("Without a comment."),
            filters.ago(alert.answered_at, now),
            url_for("console.campaigns.show", name=alert.campaign, _anchor="answers"),
            i18n.gettext("See the answer"),
        )
        for alert in surveys.alerts(conn, limit=5)
    ]


def _campaigns(conn: sa.Connection, now: datetime) -> list[Point]:
    titles = {"paused": N_("“%(name)s” is paused"), "draft": N_("“%(name)s” has not been launched")}
    texts = {
        "paused": i18n.gettext("Its messages wait. Those too late to be of use will not leave."),
        "draft": i18n.gettext("Nobody comes in until it is."),
    }
    return [
        Point(
            "pause" if plan.state == "paused" else "circle-dashed",
            "warn" if plan.state == "paused" else "accent",
            i18n.gettext(titles[plan.state], name=plan.name),
            texts[plan.state],
            filters.ago(plan.updated_at, now),
            url_for("console.campaigns.show", name=plan.name),
            i18n.gettext("Open it"),
        )
        for plan in plans.every(conn)
        if plan.state in titles
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
