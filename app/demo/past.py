"""The demo's last weeks, played through the engine itself in simulated time: nothing in its reports is written by hand.

Every few hours of those weeks the jobs of the timetable are called with the moment they are played for. In between,
customers do what `habits` draws for them, by the doors everybody uses (`past_people`). Mail goes to the console's
mailbox alone, whatever the settings say.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import sqlalchemy as sa

from app.demo.kept_back import WEEKS, Bought
from app.demo.past_people import People
from app.parts import Parts
from campaigns import (
    conversions,
    enrolments,
    figures,
    files,
    ledger,
    membership,
    messages,
    offer_figures,
    plans,
    pressure,
    segments,
    settling,
    visits,
)
from campaigns.channels.outbox import OutboxChannel
from campaigns.definitions.conditions import Orders
from campaigns.definitions.entries import Schedule
from campaigns.evidence import winners
from campaigns.files import File
from campaigns.insights import house, shopping
from recommender import results

FILE = Path(__file__).resolve().parent / "past.json"
TRIAL, LETTER, WIN_BACK = "autumn-baskets", "weekly-letter", "win-back"
HOURS = (time(9, 40), time(15, 20), time(19, 40))
"""When the jobs of a day are played, in UTC: soon after the hours the campaigns go by."""
OF_THEN = ("basket-left", "clicked-lately", "code-in-hand")
"""Segments of what happened in these weeks alone grow day by day. The others are about orders, of which the import has
told the later ones already: they begin today."""
BEFORE = timedelta(days=90)
EVERY = 3
"""Days between two looks at who is in which segment, and at what slates led to."""
LETTERS_AFTER = timedelta(days=14)
SETTLED = timedelta(days=5)
"""The trial takes baskets in until so long before today: it is over then, and sends nothing more by itself."""

Progress = Callable[[int, int | None], None]


def play(parts: Parts, kept: Sequence[Bought], *, now: datetime, progress: Progress) -> None:
    """Plays the weeks before `now`. `kept` are the baskets the import left out."""
    start = datetime.combine((now - WEEKS).date(), time.min, tzinfo=UTC)
    with parts.db.begin() as conn:
        _launch(conn, start=start, until=now - SETTLED)
        people = People.of(conn, kept, parts.config.base_url, since=start, until=now - SETTLED)
    moments = [start, *_moments(start, now)]
    for number, (before, at) in enumerate(itertools.pairwise(moments), 1):
        people.live(parts.db, before, at)
        _work(parts, at)
        with parts.db.begin() as conn:
            people.receive(conn, at)
        progress(number, len(moments))
    people.live(parts.db, moments[-1], now)
    _count(parts, now=now)
    progress(1, 1)


def _launch(conn: sa.Connection, *, start: datetime, until: datetime) -> None:
    """The segments, offers and campaigns of those weeks, as they were written on the first day."""
    file = files.read(FILE.read_bytes())
    changed: dict[str, dict[str, object]] = {
        TRIAL: {"ends_at": until.replace(minute=0, second=0, microsecond=0)},
        LETTER: {"entry": _readers(file, start)},
    }
    campaigns = tuple(one.model_copy(update=changed.get(one.name, {})) for one in file.campaigns)
    then = tuple(one for one in file.segments if one.name in OF_THEN)
    files.apply(conn, file.model_copy(update={"segments": then, "campaigns": campaigns}), now=start)
    if WIN_BACK not in {plan.name for plan in plans.every(conn)}:
        files.start_from(conn, WIN_BACK, now=start)
    for name, after in ((TRIAL, timedelta(0)), (WIN_BACK, timedelta(0)), (LETTER, LETTERS_AFTER)):
        plans.launch(conn, name, now=start + after)


def _readers(file: File, start: datetime) -> Schedule:
    """The letter goes to those who ordered often in the months before these weeks."""
    entry = next(one.entry for one in file.campaigns if one.name == LETTER)
    if not isinstance(entry, Schedule) or not isinstance(entry.audience, Orders):
        raise TypeError(f"{LETTER} goes to those who ordered, by the calendar")
    days = {"since": (start - BEFORE).date(), "until": start.date()}
    return entry.model_copy(update={"audience": entry.audience.model_copy(update=days)})


def _moments(start: datetime, now: datetime) -> Iterator[datetime]:
    for day in range((now - start).days + 1):
        for hour in HOURS:
            at = datetime.combine((start + timedelta(days=day)).date(), hour, tzinfo=UTC)
            if at < now:
                yield at


def _work(parts: Parts, at: datetime) -> None:
    """What the scheduler does all day, once."""
    outbox = OutboxChannel(parts.db, clock=lambda: at)
    sending = replace(parts.sending(), channels={"email": outbox, "sms": outbox}, batch=500, hands=1)
    visits.judge(parts.db, now=at)
    if at.time() == HOURS[0] and at.toordinal() % EVERY == 0:
        membership.refresh(parts.db, now=at)
        results.meet(parts.db, now=at)
        settling.sweep(parts.db, channels=sending.channels, now=at)
    enrolments.admit_due(parts.db, now=at)
    enrolments.admit_timed(parts.db, now=at)
    enrolments.advance_due(parts.db, now=at)
    messages.deliver_due(parts.db, sending, now=at)


def _count(parts: Parts, *, now: datetime) -> None:
    """What the timetable would count in the next half hour, so that the first page shows it; and whatever is new in the
    mailbox from now on is."""
    db = parts.db
    with db.begin() as conn:
        ledger.open_all(conn, now=now)
    conversions.credit_new_orders(db, now=now)
    winners.decide(db, now=now)
    offer_figures.keep_up(db, now=now)
    results.meet(db, now=now)
    with db.begin() as conn:
        for segment in files.read(FILE.read_bytes()).segments:
            segments.apply(conn, segment, now=now)
    membership.refresh(db, now=now)
    figures.refresh(db, now=now)
    pressure.count(db, now=now)
    for _ in range(house.DAYS // house.AT_ONCE):
        house.refresh(db, now=now)
    shopping.refresh(db, now=now)
