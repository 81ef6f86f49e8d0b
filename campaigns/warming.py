"""How much each group of mailbox hosts gets: no faster than its rate; and a new sender begins slowly, for what is over
a group's ceiling for today waits until tomorrow.

A place is taken when a message is decided on, for all of a batch at once; one that then does not leave after all has
used its place, which errs on the careful side.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import domains, eligibility, gates, mail_tables, tables
from campaigns.domains import Day, WarmUp
from campaigns.rules import Policy
from campaigns.states import State

days, messages, contents = mail_tables.warm_days, tables.messages, tables.message_contents


def over(conn: sa.Connection, mails: Sequence[tuple[UUID, str]], *, rules: Policy, now: datetime) -> set[UUID]:
    """Which of these mails, each with its address, must wait for another day. None without a plan."""
    plan, today = rules.warm_up, now.astimezone(eligibility.zone(rules.timezone)).date()
    if plan is None or today < plan.begins:
        return set()
    groups = {message_id: domains.group_of(address) for message_id, address in mails}
    wanted = Counter(groups.values())
    left = {group: _take(conn, plan, group, wanted[group], today=today, rules=rules) for group in sorted(wanted)}
    waiting = set()
    for message_id, group in groups.items():
        left[group] -= 1
        if left[group] < 0:
            waiting.add(message_id)
    return waiting


AHEAD = 2.0
"""Seconds of a group's rate that may leave together."""
PROVIDER = "mailbox hosts"
"""The buckets of the groups, beside those of providers."""


def too_fast(conn: sa.Connection, mails: Sequence[tuple[UUID, str]], *, rules: Policy) -> dict[UUID, timedelta]:
    """Which of these mails, each with its address, must wait for the rate of their group of hosts, and how long: each
    the longer, the more of its group stand before it."""
    groups: dict[str, list[UUID]] = {}
    for message_id, address in mails:
        groups.setdefault(domains.group_of(address), []).append(message_id)
    waits = {}
    for group in sorted(groups.keys() & rules.host_rates.keys()):
        rate, wanted = rules.host_rates[group], groups[group]
        free = gates.take(conn, PROVIDER, wanted=len(wanted), per_second=rate, name=group, burst=AHEAD)
        for place, message_id in enumerate(wanted[free:], start=1):
            waits[message_id] = timedelta(seconds=place / rate)
    return waits


def tomorrow(rules: Policy, *, now: datetime) -> datetime:
    """When the next day begins, where the shop is."""
    here = now.astimezone(eligibility.zone(rules.timezone))
    return datetime.combine(here.date() + timedelta(days=1), time(), here.tzinfo)


def _take(conn: sa.Connection, plan: WarmUp, group: str, wanted: int, *, today: date, rules: Policy) -> int:
    """Takes up to so many places of today's, and says how many there were."""
    mine = (days.c.host_group == group) & (days.c.day == today)
    found = conn.execute(sa.select(days.c.ceiling, days.c.sent).where(mine).with_for_update()).one_or_none()
    if found is None:
        _begin(conn, plan, group, today=today, rules=rules)
        found = conn.execute(sa.select(days.c.ceiling, days.c.sent).where(mine).with_for_update()).one()
    free = wanted if found.ceiling >= domains.KNOWN else max(0, min(wanted, found.ceiling - found.sent))
    conn.execute(sa.update(days).where(mine).values(sent=days.c.sent + free))
    return free


def _begin(conn: sa.Connection, plan: WarmUp, group: str, *, today: date, rules: Policy) -> None:
    earlier = (days.c.host_group == group) & (days.c.day < today) & (days.c.day >= plan.begins)
    last = conn.execute(sa.select(days).where(earlier).order_by(days.c.day.desc()).limit(1)).one_or_none()
    went = _went(conn, group, last.day, rules=rules) if last else None
    row = {"host_group": group, "day": today, "ceiling": plan.ceiling(last.ceiling if last else None, went)}
    conn.execute(postgresql.insert(days).values(row).on_conflict_do_nothing())


def _went(conn: sa.Connection, group: str, day: date, *, rules: Policy) -> Day:
    """What came of the mails a group got on a day."""
    begins = datetime.combine(day, time(), eligibility.zone(rules.timezone))
    domain = sa.func.split_part(contents.c.address, "@", 2)
    query = (
        sa.select(domain, messages.c.state, sa.func.count())
        .join(contents, contents.c.message_id == messages.c.id)
        .where(
            messages.c.channel == "email",
            messages.c.submitted_at >= begins,
            messages.c.submitted_at < begins + timedelta(days=1),
        )
        .group_by(domain, messages.c.state)
    )
    counted = Counter[str]()
    for host, state, number in conn.execute(query):
        if domains.group_of(f"@{host}") == group:
            counted[state] += number
    return Day(sum(counted.values()), counted[State.BOUNCED], counted[State.COMPLAINED])
