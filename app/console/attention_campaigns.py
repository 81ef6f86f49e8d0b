"""What about the campaigns needs attention: stuck, paused, waiting for somebody, short of codes."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from flask import url_for

from app import filters, i18n
from app.console import campaign_list
from app.console.pointing import Point
from campaigns import approvals, crowds, latecomers, offer_figures, overdue, surveys, timing
from campaigns.figures import Figures
from campaigns.insights.house import House
from campaigns.plans import Plan

STUCK = ("failed", "not_connected", "calls")
"""Troubles of a journey that stop somebody on her way; doubts and low scores are told apart."""


def points(
    conn: sa.Connection, every: Sequence[Plan], known: Mapping[int, Figures], house: House | None, *, now: datetime
) -> list[Point]:
    """Everything about campaigns that needs attention."""
    return [
        *_codes(conn, now),
        *_stuck(every, known, now),
        *_paused(every, now),
        *_overdue(conn, now),
        *_missed(conn, now),
        *_latecomers(conn, now),
        *_crowds(conn, now),
        *_unhappy(conn, now),
        *_uncertain(house),
        *_approvals(conn, now),
        *_drafts(every, now),
    ]


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


def _question(title: str, text: str, since: str, href: str) -> Point:
    """What waits until a person decides on it."""
    return Point("hourglass", "warn", title, text, since, href, i18n.gettext("Decide"))


def _overdue(conn: sa.Connection, now: datetime) -> list[Point]:
    """What should have gone out long ago."""
    return [
        _question(
            i18n.ngettext("%(n)s message is overdue", "%(n)s messages are overdue", one.number),
            i18n.gettext("Of “%(name)s”: send them now, or drop them?", name=one.campaign),
            filters.ago(one.oldest, now),
            url_for("console.campaigns.show", name=one.campaign, _anchor="overdue"),
        )
        for one in overdue.counts(conn)
    ]


def _missed(conn: sa.Connection, now: datetime) -> list[Point]:
    """Moments of the calendar that nobody was there for."""
    return [
        _question(
            i18n.gettext("A moment was missed"),
            i18n.gettext("Of “%(name)s”: run it now, or leave it?", name=one.campaign),
            filters.ago(one.due_at, now),
            url_for("console.campaigns.show", name=one.campaign, _anchor="missed"),
        )
        for one in timing.missed(conn)
    ]


def _latecomers(conn: sa.Connection, now: datetime) -> list[Point]:
    """Who would have entered, had anything run in time."""
    return [
        _question(
            i18n.ngettext("%(n)s person came too late to enter", "%(n)s people came too late to enter", one.number),
            i18n.gettext("Of “%(name)s”: let them in, or leave them?", name=one.campaign),
            filters.ago(one.oldest, now),
            url_for("console.campaigns.show", name=one.campaign, _anchor="latecomers"),
        )
        for one in latecomers.counts(conn)
    ]


def _crowds(conn: sa.Connection, now: datetime) -> list[Point]:
    """Very many who moved in a segment at one moment, whom no campaign knows of yet."""
    return [
        _question(
            i18n.gettext("Very many moved at once in “%(name)s”", name=one.title),
            i18n.gettext("Tell the campaigns, or leave it?"),
            filters.ago(one.at, now),
            url_for("console.segments.show", name=one.segment, _anchor="crowds"),
        )
        for one in crowds.waiting(conn)
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
