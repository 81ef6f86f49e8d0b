"""What figures of evidence mean, in sentences: what is proved, what is missing, why an order is whose."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from app import filters, i18n
from app.console import words
from app.i18n import N_
from campaigns.attribution import Why
from campaigns.crediting import Credited
from campaigns.evidence import sequences
from campaigns.evidence.measures import Anew
from campaigns.evidence.verdicts import Lacking, Lift, Verdict
from campaigns.evidence.winners import Standing
from campaigns.reports import Report
from foundation.intervals import Interval

GOALS = {
    "buyers": N_("share of customers who buy"),
    "orders": N_("orders a customer"),
    "sales": N_("sales a customer, net of returns and discounts"),
    "margin": N_("margin a customer, net of returns and discounts"),
    "clicks": N_("share of customers who click"),
}
ARMS = {"holdout": N_("left alone by this campaign"), "everywhere": N_("left alone by every campaign")}
LEFT = {
    "converted": N_("reached the goal before any message"),
    "exited": N_("the journey ended before any message"),
    "ended": N_("the journey ended before any message"),
    "emptied": N_("emptied the basket before any message"),
    "cancelled": N_("the campaign was cancelled before any message"),
    "": N_("no message was due"),
}


def headline(lift: Lift) -> str:
    """The one true sentence at the top."""
    if not lift.treated.people and not lift.held_out.people:
        return i18n.gettext("Nobody’s time is over yet, so nothing can be said.")
    if not lift.held_out.people:
        return i18n.gettext("Nobody is held out, so what it causes cannot be said.")
    if lift.bought is None or not lift.bought.conclusive:
        return i18n.gettext("Whether it makes people buy is not proved yet.")
    points = filters.number(abs(lift.bought.value) * 100, 1)
    if lift.bought.value > 0:
        return i18n.gettext("It makes people buy: %(points)s points more than those left alone.", points=points)
    return i18n.gettext("It makes people buy less: %(points)s points below those left alone.", points=points)


def anew(found: Anew) -> str:
    """That the comparison began anew, and why."""
    when = filters.moment(found.at)
    if found.everywhere:
        return i18n.gettext(
            "The comparison began anew on %(when)s: since then another share of customers is left alone by every "
            "campaign. Who came in before is not compared.",
            when=when,
        )
    return i18n.gettext(
        "The comparison began anew on %(when)s: since then this campaign leaves another share alone. Who came in "
        "before is not compared.",
        when=when,
    )


def changed(standing: Standing) -> str:
    """That the evidence of an experiment began anew, because it says something else; empty if it never did."""
    if not standing.before:
        return ""
    if standing.since is None:
        return i18n.ngettext(
            "It was changed, and its evidence begins anew: %(n)s customer drawn before proves nothing of it.",
            "It was changed, and its evidence begins anew: %(n)s customers drawn before prove nothing of it.",
            standing.before,
        )
    return i18n.ngettext(
        "It was changed, and its evidence began anew on %(when)s: %(n)s customer drawn before proves nothing of it.",
        "It was changed, and its evidence began anew on %(when)s: %(n)s customers drawn before prove nothing of it.",
        standing.before,
        when=filters.moment(standing.since),
    )


def explained(lift: Lift, window: timedelta) -> str:
    """The figures behind the headline, and what is missing where it proves nothing."""
    said = []
    if lift.treated.people:
        said.append(
            i18n.gettext(
                "Of %(n)s customers written to, %(share)s bought within %(time)s.",
                n=filters.number(lift.treated.people),
                share=filters.percent(lift.treated.share),
                time=lasting(window),
            )
        )
    if lift.held_out.people:
        said.append(
            i18n.gettext(
                "Of %(n)s left alone, %(share)s did.",
                n=filters.number(lift.held_out.people),
                share=filters.percent(lift.held_out.share),
            )
        )
    if lift.watched:
        said.append(
            i18n.ngettext(
                "%(n)s customer is still watched and not counted yet.",
                "%(n)s customers are still watched and not counted yet.",
                lift.watched,
            )
        )
    return " ".join([*said, missing(lift)]).strip()


def missing(lift: Lift) -> str:
    """What it takes before the holdout says anything; empty if it does."""
    if not lift.held_out.people or lift.conclusive:
        return ""
    fewest = min(lift.treated.buyers, lift.held_out.buyers)
    if fewest < sequences.LEAST_BUYERS:
        return i18n.gettext(
            "It takes %(n)s buyers in each group before a difference is told; one has %(fewest)s.",
            n=sequences.LEAST_BUYERS,
            fewest=filters.number(fewest),
        )
    more = sequences.wanted(lift.treated.bought, lift.held_out.bought)
    if more is None:
        return i18n.gettext("The two groups are alike so far.")
    return i18n.ngettext(
        "If the difference stays as it is, %(n)s customer more would settle it.",
        "If the difference stays as it is, about %(n)s customers more would settle it.",
        _about(more),
    )


def lasting(window: timedelta) -> str:
    """A window in days, or hours if it is short."""
    if window < timedelta(days=1):
        return i18n.ngettext("%(n)s hour", "%(n)s hours", round(window / timedelta(hours=1)))
    return i18n.ngettext("%(n)s day", "%(n)s days", round(window / timedelta(days=1)))


def _about(number: int) -> int:
    """Two digits are enough of what is only an estimate."""
    step = 10 ** max(0, len(str(number)) - 2)
    return int(math.ceil(number / step) * step)


def verdict(gap: Interval | None) -> words.Word:
    """Whether a difference is established, as a tag."""
    if gap is None or not gap.conclusive:
        return words.Word(i18n.gettext("Not yet"), "hourglass")
    return words.Word(i18n.gettext("Established"), "check", "ok" if gap.value > 0 else "bad")


def settled(one: Standing) -> words.Word:
    """Where an experiment stands, as a tag."""
    if one.winner:
        return words.Word(i18n.gettext("Newcomers get “%(variant)s”", variant=one.winner.variant), "check", "ok")
    if one.verdict.winner:
        return words.Word(i18n.gettext("“%(variant)s” is better", variant=one.verdict.winner), "check", "ok")
    return words.Word(i18n.gettext("Not conclusive yet"), "hourglass")


def lacking(found: Verdict, pace: float) -> list[str]:
    """What is missing before a winner may be named, a sentence each. `pace` is people a week."""
    return [_lacks(Lacking(what), number, pace) for what, number in found.lacking.items()]


def _lacks(what: Lacking, number: int | None, pace: float) -> str:
    if what is Lacking.PEOPLE:
        return i18n.ngettext(
            "%(n)s customer more in the smallest variant.", "%(n)s customers more in the smallest variant.", number or 0
        )
    if what is Lacking.CONVERSIONS:
        return i18n.ngettext(
            "%(n)s conversion more in the smallest variant.",
            "%(n)s conversions more in the smallest variant.",
            number or 0,
        )
    if what is Lacking.DAYS:
        return i18n.ngettext("%(n)s day more.", "%(n)s days more.", number or 0)
    if number is None:
        return i18n.gettext("A difference: the variants are alike so far.")
    said = i18n.ngettext(
        "Proof of the difference: %(n)s customer more would do if it stays as it is.",
        "Proof of the difference: about %(n)s customers more would do if it stays as it is.",
        _about(number),
    )
    weeks = math.ceil(number / pace) if pace else 0
    if not weeks or weeks > MOST_WEEKS:
        return said
    return f"{said} " + i18n.ngettext("%(n)s week at the present pace.", "%(n)s weeks at the present pace.", weeks)


MOST_WEEKS = 52
"""Beyond a year no pace stays what it is."""


def pace(report: Report, *, now: datetime) -> float:
    """People a week, since the first."""
    if report.first is None:
        return 0.0
    weeks = max((now - report.first) / timedelta(days=7), 1 / 7)
    return report.funnel.audience.entered / weeks


def differences(one: Standing, *, money: str | None) -> list[str]:
    """The leader against each other variant, in a sentence."""
    return [_difference(one, name, gap, money) for name, gap in one.verdict.gaps.items() if gap is not None]


def _difference(one: Standing, other: str, gap: Interval, money: str | None) -> str:
    tell = Amounts(one.verdict.goal, money)
    return i18n.gettext(
        "%(leader)s is ahead of %(other)s by %(gap)s; the true difference lies between %(low)s and %(high)s.",
        leader=one.verdict.leader,
        other=other,
        gap=tell.said(gap.value),
        low=tell.said(gap.low),
        high=tell.said(gap.high),
    )


class Amounts:
    """How a figure of a goal is said: a share in points, orders with two decimals, money as money."""

    def __init__(self, goal: str, currency: str | None) -> None:
        self._goal, self._currency = goal, currency

    def said(self, value: float, *, signed: bool = False) -> str:
        """The figure; with its sign if it is a difference."""
        sign = "+" if signed and value > 0 else ""
        if self._goal in ("buyers", "clicks", "bought"):
            return sign + i18n.gettext("%(points)s pts", points=filters.number(value * 100, 1))
        if self._goal == "orders":
            return sign + filters.number(value, 2)
        return sign + filters.money(round(value), self._currency)


def credit(found: Credited, campaigns: Mapping[int, str], window: timedelta) -> str:
    """Why an order is whose, in a sentence."""
    touch = found.decision.touch
    name = campaigns.get(touch.campaign_id, "") if touch else ""
    if found.cancelled and found.decision.credited:
        return i18n.gettext("Cancelled, so credited to nothing.")
    if found.decision.why is Why.NO_CLICK or touch is None:
        return i18n.gettext(
            "Credited to no message: none was clicked in the %(time)s before, and no code of one was used.",
            time=lasting(window),
        )
    if found.decision.why is Why.CODE:
        return i18n.gettext("Credited to “%(campaign)s”: a code it gave was used for it.", campaign=name)
    ago = lasting(found.ordered_at - touch.at)
    if found.decision.why is Why.TOO_EARLY:
        return i18n.gettext(
            "Credited to no message: the last click, in “%(campaign)s”, was %(ago)s before; it counts for %(time)s.",
            campaign=name,
            ago=ago,
            time=lasting(window),
        )
    return i18n.gettext(
        "Credited to “%(campaign)s”: the last click before the order, %(ago)s earlier.", campaign=name, ago=ago
    )
