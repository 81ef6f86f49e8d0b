"""Each part of the policy said in one sentence, as it is in force."""

from app import filters, i18n
from campaigns.rules import KEPT, Policy


def sentence(part: str, policy: Policy) -> str:
    """What this part of the policy comes to."""
    return {
        "shop": _shop,
        "pressure": _pressure,
        "hours": _hours,
        "measuring": _measuring,
        "topics": _topics,
        "sending": _sending,
        "money": _money,
        "retention": _retention,
    }[part](policy)


def _shop(policy: Policy) -> str:
    return i18n.gettext("Messages come from %(shop)s.", shop=policy.shop_name)


def _pressure(policy: Policy) -> str:
    if not policy.cap_messages:
        return i18n.gettext("Nobody gets any marketing.")
    days = i18n.ngettext("%(n)s day", "%(n)s days", policy.cap_days)
    return i18n.ngettext(
        "A customer gets at most %(n)s message within %(days)s.",
        "A customer gets at most %(n)s messages within %(days)s.",
        policy.cap_messages,
        days=days,
    )


def _hours(policy: Policy) -> str:
    if policy.quiet_from is None or policy.quiet_until is None:
        return i18n.gettext("Messages leave at any hour.")
    return i18n.gettext(
        "Nobody is written to from %(start)s to %(end)s.",
        start=f"{policy.quiet_from:%H:%M}",
        end=f"{policy.quiet_until:%H:%M}",
    )


def _measuring(policy: Policy) -> str:
    said = {
        "off": i18n.gettext("Opens are measured of nobody."),
        "hygiene": i18n.gettext("Of opens, the last day alone is kept."),
        "consent": i18n.gettext("Opens are measured of who agreed."),
    }
    return said[policy.opens]


def _topics(policy: Policy) -> str:
    if not policy.topics:
        return i18n.gettext("People choose all of it or nothing.")
    return i18n.ngettext("People choose from %(n)s topic.", "People choose from %(n)s topics.", len(policy.topics))


def _sending(policy: Policy) -> str:
    if policy.warm_up is not None:
        return i18n.gettext("A new sender is warming up.")
    return i18n.ngettext(
        "What is more than %(n)s hour late waits for a decision.",
        "What is more than %(n)s hours late waits for a decision.",
        policy.late_hours,
    )


def _money(policy: Policy) -> str:
    return i18n.gettext(
        "Reports reckon with a margin of %(share)s.", share=filters.percent(policy.margin_percent / 100, 0)
    )


def _retention(policy: Policy) -> str:
    days = policy.keep_days.get("change_log", KEPT["change_log"])
    return i18n.ngettext("Who changed what is kept for %(n)s day.", "Who changed what is kept for %(n)s days.", days)
