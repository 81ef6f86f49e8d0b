"""What needs somebody's attention, the gravest first: each thing with what it means, since when, and what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import url_for

from app import filters, i18n
from app.console import campaign_list, words
from campaigns import (
    approvals,
    audit,
    crowds,
    figures,
    holding,
    ledger,
    offer_figures,
    overdue,
    plans,
    segments,
    surveys,
    timing,
)
from campaigns.figures import Figures
from campaigns.insights.house import House
from campaigns.plans import Plan
from foundation import jobs
from recommender import runs
from shop import events, sources

GRAVITY = ("bad", "warn", "unsure", "accent")
"""From what stops messages or loses money to what merely waits for somebody."""
SILENT = timedelta(hours=3)
USUAL = timedelta(days=7)


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


def points(conn: sa.Connection, house: House | None, *, now: datetime) -> list[Point]:
    """Everything that needs attention; nothing large is counted to find it."""
    every = plans.every(conn)
    known = figures.of(conn, [plan.id for plan in every])
    found = [
        *_scheduler(conn, now),
        *_held(conn, now),
        *_broken(conn, now),
        *_providers(conn, now),
        *_codes(conn, now),
        *_jobs(conn, now),
        *_stuck(every, known, now),
        *_paused(every, now),
        *_overdue(conn, now),
        *_missed(conn, now),
        *_crowds(conn, now),
        *_model(conn, now),
        *_silent(conn, now),
        *_refused(conn, now),
        *_segments(conn, now),
        *_unhappy(conn, now),
        *_uncertain(house),
        *_approvals(conn, now),
        *_drafts(every, now),
    ]
    return sorted(found, key=lambda point: GRAVITY.index(point.tone))


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


def _codes(conn: sa.Connection, now: datetime) -> list[Point]:
    """Pools of codes that are about to be empty: without a code, its messages wait or leave without one."""
    return [
        Point(
            "ticket-percent",
            "bad" if not low.free else "warn",
            i18n.gettext("The pool of “%(offer)s” is empty", offer=low.offer)
            if not low.free
            else i18n.gettext("The pool of “%(offer)s” is running out", offer=low.offer),
            i18n.ngettext("%(n)s code is left.", "%(n)s codes are left.", low.free)
            + (" " + _lasts(low.days) if low.days is not None and low.free else ""),
            "",
            url_for("console.promotions.show", name=low.offer),
            i18n.gettext("Add codes"),
        )
        for low in offer_figures.low(conn, now=now)
    ]


def _lasts(days: float) -> str:
    if days < 1:
        return i18n.gettext("At the pace of the last week they last less than a day.")
    return i18n.ngettext(
        "At the pace of the last week they last %(n)s day.",
        "At the pace of the last week they last %(n)s days.",
        int(days),
    )


def _stuck(every: Sequence[Plan], known: Mapping[int, Figures], now: datetime) -> list[Point]:
    """Journeys that lose messages: what failed within a day, what has no provider, which calls were given up."""
    found = []
    for plan in every:
        trouble = known[plan.id].trouble if plan.id in known else {}
        parts = [i18n.ngettext(*campaign_list.TROUBLE[word], trouble[word]) for word in STUCK if trouble.get(word)]
        if parts and plan.state == "sending":
            found.append(
                Point(
                    "triangle-alert",
                    "bad",
                    i18n.gettext("“%(name)s” does not get everything through", name=plan.definition.title),
                    i18n.gettext("Within a day: %(what)s.", what=", ".join(parts)),
                    filters.ago(known[plan.id].at, now),
                    _stuck_at(plan, trouble),
                    i18n.gettext("See which"),
                )
            )
    return found


STUCK = ("failed", "not_connected", "calls")
"""Troubles of a journey that stop somebody on her way; doubts and low scores are told apart."""


def _stuck_at(plan: Plan, trouble: Mapping[str, int]) -> str:
    if trouble.get("failed"):
        return url_for("console.messages.index", state="failed", campaign=plan.name)
    return url_for("console.builder.show", name=plan.name)


def _paused(every: Sequence[Plan], now: datetime) -> list[Point]:
    itself = i18n.gettext("It paused itself: too many bounces, complaints or failures.") + " "
    waits = i18n.gettext("Its messages wait. Those too late to be of use will not leave.")
    return [
        Point(
            "pause",
            "bad" if plan.pause_reason else "warn",
            i18n.gettext("“%(name)s” is paused", name=plan.definition.title),
            itself + waits if plan.pause_reason else waits,
            filters.ago(plan.updated_at, now),
            url_for("console.campaigns.show", name=plan.name),
            i18n.gettext("Open it"),
        )
        for plan in every
        if plan.state == "paused"
    ]


def _drafts(every: Sequence[Plan], now: datetime) -> list[Point]:
    """One line for all of them: a draft is nobody's emergency."""
    drafts = [plan for plan in every if plan.state == "draft"]
    if not drafts:
        return []
    if len(drafts) == 1:
        title = i18n.gettext("“%(name)s” has not been launched", name=drafts[0].definition.title)
        href = url_for("console.builder.show", name=drafts[0].name)
    else:
        title = i18n.ngettext("%(n)s draft was not launched", "%(n)s drafts were not launched", len(drafts))
        href = url_for("console.campaigns.index", state="draft")
    newest = max(plan.updated_at for plan in drafts)
    text = i18n.gettext("Nobody comes in until it is.")
    return [Point("circle-dashed", "accent", title, text, filters.ago(newest, now), href, i18n.gettext("Open it"))]


def _approvals(conn: sa.Connection, now: datetime) -> list[Point]:
    """Launches that wait for a second person's yes."""
    return [
        Point(
            "user-check",
            "accent",
            i18n.gettext("“%(name)s” waits for a second approval", name=asked.campaign),
            i18n.gettext("Asked for by %(who)s.", who=asked.asked_by),
            filters.ago(asked.asked_at, now),
            url_for("console.builder.show", name=asked.campaign),
            i18n.gettext("Read it"),
        )
        for asked in approvals.waiting(conn)
    ]


def _silent(conn: sa.Connection, now: datetime) -> list[Point]:
    """Sources that spoke within a week and have been silent for hours: baskets paid there may be relaunched."""
    return [
        Point(
            "plug",
            "warn",
            i18n.gettext("“%(name)s” is silent", name=sender.name),
            i18n.gettext("An order taken there is not known here: its basket might be relaunched."),
            filters.ago(sender.last_event_at, now),
            url_for("console.sources.index"),
            i18n.gettext("See the source"),
        )
        for sender in sources.senders(conn)
        if sender.name not in words.OWN_SOURCES and sender.last_event_at and SILENT < now - sender.last_event_at < USUAL
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


def _crowds(conn: sa.Connection, now: datetime) -> list[Point]:
    """Very many who moved in a segment at one moment, whom no campaign knows of yet."""
    return [
        Point(
            "hourglass",
            "warn",
            i18n.gettext("Very many moved at once in “%(name)s”", name=one.title),
            i18n.gettext("Tell the campaigns, or leave it?"),
            filters.ago(one.at, now),
            url_for("console.segments.show", name=one.segment, _anchor="crowds"),
            i18n.gettext("Decide"),
        )
        for one in crowds.waiting(conn)
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


def _uncertain(house: House | None) -> list[Point]:
    uncertain = sum(part.uncertain for part in house.sums.values()) if house else 0
    if not house or not uncertain:
        return []
    return [
        Point(
            "circle-help",
            "unsure",
            i18n.ngettext("%(n)s message is uncertain", "%(n)s messages are uncertain", uncertain),
            i18n.ngettext(
                "It was handed over and no clear answer came. It is never sent again without proof.",
                "They were handed over and no clear answer came. They are never sent again without proof.",
                uncertain,
            ),
            "",
            url_for("console.messages.index", state="uncertain"),
            i18n.gettext("Have a look"),
        )
    ]
