"""`Recommender`: slates from the live model, many requests at once; one is a batch of one.

Read who asks and what they did, rank, choose, look up what was chosen as it stands this moment, and choose again in
place of what is gone. Requests that wait at the same moment share the queries and the arithmetic.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import sqlalchemy as sa
import threadpoolctl

from foundation import database
from foundation.database import Database
from foundation.gathering import Gathering
from recommender import ahead, choosing, past, placements, ranked
from recommender.algorithms import base
from recommender.choosing import Job, LeftOut
from recommender.live import Keeper, Live
from recommender.memory import Memory
from recommender.past import Handle, Version, Who
from recommender.placements import Arm, Mode, Placement
from recommender.ranked import Ranked
from recommender.rules import Rule
from recommender.shown import Shelf, Shown
from recommender.slate import SlateItem

UNFITTED = "popular"
"""What `model` says while none is published."""

TOGETHER = 32
"""Requests of one process answered as one batch."""
GATHER_SECONDS = 0.004
"""How long a batch is put off until as many wait as came of late: four together cost what two cost apart."""

MANY = 512
"""Requests of a long list worked on at a time: the arrays of so many fit a processor's cache and a little memory."""

CONSENT = {"web": "onsite", "app": "onsite"}
"""The channel of consent of a placement's channel, where it has another name."""

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Request:
    """A slate wanted: for whom (an id of ours, else a handle the shop knows), where, around which products.

    :param n: how many products; None means as many as the placement shows
    :param public: whoever asks may be anybody: nothing may tell what the customer did
    """

    placement: str
    customer_id: int | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    products: tuple[str, ...] = ()
    n: int | None = None
    store_id: str | None = None
    category: str | None = None
    exclude: tuple[str, ...] = ()
    record: bool = True
    locale: str = "en"
    public: bool = False


@dataclass(frozen=True, slots=True)
class Slate:
    """Products shown at once. By its id, what was clicked and bought is traced back to it."""

    slate_id: UUID
    model: str
    items: tuple[SlateItem, ...]


class Recommender:
    """Answers from the live model. Safe for many threads: a model is a value, and a new one takes its place at once.

    :param files: where models lie as files that all processes of a machine share
    """

    def __init__(self, db: Database, *, files: Path | None = None) -> None:
        threadpoolctl.threadpool_limits(1, "blas")  # many requests share the cores; threads within one would fight
        self._db = db
        self._conn: sa.Connection | None = None
        """Of the batch that is being answered; there is one at a time."""
        self._shelf = Shelf(db)
        self._memory: Memory[_Kept] = Memory()
        self._keeper = Keeper(db, files=files)
        self._gathering: Gathering[tuple[Request, datetime], Slate] = Gathering(
            self._together, most=TOGETHER, patience=GATHER_SECONDS
        )

    def answer(self, request: Request, *, now: datetime) -> Slate:
        """The slate for one request, answered together with those that other threads ask for at this moment. Manages
        its own connection, which they share."""
        return self._gathering.ask((request, now))

    def recommend(self, conn: sa.Connection, request: Request, *, now: datetime) -> Slate:
        """The slate for one request: exactly `n` products while so many are eligible."""
        return self.recommend_many(conn, [request], now=now)[0]

    def recommend_many(
        self, conn: sa.Connection, requests: Sequence[Request], *, now: datetime, progress: Progress | None = None
    ) -> list[Slate]:
        """A slate for each request, in their order.

        :param progress: told how many are done, and of how many
        """
        live, made = self._keeper.current(conn, now), []
        for start in range(0, len(requests), MANY):
            made += self._slates(conn, live, requests[start : start + MANY], now=now)
            if progress is not None:
                progress(len(made), len(requests))
        return made

    def preview(
        self, conn: sa.Connection, request: Request, *, rules: Sequence[Rule], placement: Placement, now: datetime
    ) -> Slate:
        """The slate as it would be with these rules and this placement instead of those kept; nothing is recorded."""
        live = self._keeper.current(conn, now)
        decided = replace(
            live.decided, rules=tuple(rules), placements={**live.decided.placements, placement.name: placement}
        )
        tried = replace(live, decided=decided, effects={})
        return self._slates(conn, tried, [replace(request, record=False)], now=now, look_again=False)[0]

    def left_out(self, conn: sa.Connection, request: Request, *, now: datetime, most: int = 10) -> list[LeftOut]:
        """What ranks high for this request and is not shown, and why."""
        live = self._keeper.current(conn, now)
        job = _job(live, request)
        self._rank(conn, live, [job], [request], now=now)
        return choosing.left_out(conn, live, job, most=most, now=now)

    def refused(self, conn: sa.Connection, *, now: datetime) -> int | None:
        """The id of a live model that cannot be read here, so that the one before serves; None if all is well."""
        self._keeper.current(conn, now)
        return self._keeper.refused

    def flush(self) -> None:
        """Writes every slate shown so far."""
        self._shelf.flush()

    def close(self) -> None:
        """Writes every slate shown so far and stops the writer."""
        self._keeper.close()
        self._shelf.close()
        self._let_go()

    # -------------------------------------------------------------------------------------------------- a batch
    def _together(self, asked: Sequence[tuple[Request, datetime]]) -> list[Slate]:
        """A connection that died since the last batch, as when PostgreSQL was started anew, is replaced, and the batch
        answered after all."""
        try:
            return self._batch(asked)
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return self._batch(asked)

    def _batch(self, asked: Sequence[tuple[Request, datetime]]) -> list[Slate]:
        """The batch's moment is its latest, so that nobody misses what she did before she asked."""
        now = max(moment for _, moment in asked)
        if self._conn is None:
            self._conn = self._db.reader()
        try:
            live = self._keeper.at_hand(self._conn, now)
            return self._slates(self._conn, live, [request for request, _ in asked], now=now)
        except Exception:
            self._let_go()  # it may be broken; the next batch takes another
            raise

    def _let_go(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()

    def _slates(
        self, conn: sa.Connection, live: Live, requests: Sequence[Request], *, now: datetime, look_again: bool = True
    ) -> list[Slate]:
        jobs = [_job(live, request) for request in requests]
        self._rank(conn, live, jobs, requests, now=now)
        choosing.rotate(conn, live, jobs)
        looked = choosing.choose(conn, live, jobs, now=now)
        if look_again and not all(job.picks for job in jobs):
            live = self._keeper.read_again(conn, live, now)
            looked = choosing.choose(conn, live, jobs, now=now)
        model = UNFITTED if live.model_id is None else str(live.model_id)
        slates = []
        for job, request in zip(jobs, requests, strict=True):
            items = choosing.items(job, live, looked, locale=request.locale, public=request.public)
            slates.append(Slate(job.slate_id, model, items))
            if request.record and not job.refused:
                self._shelf.put(_as_shown(job, items, model_id=live.model_id, now=now))
        return slates

    def _rank(
        self, conn: sa.Connection, live: Live, jobs: Sequence[Job], requests: Sequence[Request], *, now: datetime
    ) -> None:
        """Ranks for those who did anything since they were last ranked for; for the others it is remembered."""
        asked = [_question(request, job, live) for request, job in zip(requests, jobs, strict=True)]
        kept = [self._memory.get(question, version=live.fitted_at, now=now) for question in asked]
        versions = [None if had is None else had.version for had in kept]
        handles = [replace(one.handle, version=last) for one, last in zip(asked, versions, strict=True)]
        read = past.read(conn, handles, model_id=live.model_id, now=now)
        anew = []
        for place, (job, who) in enumerate(zip(jobs, read.who, strict=True)):
            _meet(live, job, who)
            had = kept[place]
            if job.nobody:
                asked[place] = replace(asked[place], handle=past.NO_HANDLE)
                had = self._memory.get(asked[place], version=live.fitted_at, now=now)
            if had is not None and (who.unchanged or job.nobody) and had.arm is job.arm:
                job.ranked = had.ranked
            else:
                anew.append(place)
        for place, found in _ranked(live, read, jobs, places=anew, now=now):
            jobs[place].ranked = found
            remembered = _Kept(read.who[place].version, jobs[place].arm, found)
            self._memory.put(asked[place], remembered, version=live.fitted_at, now=now)


@dataclass(frozen=True, slots=True)
class _Question:
    """What a ranking is made for. Who asks the same is given the same for a while, unless she does something."""

    handle: Handle
    context: tuple[int, ...]
    category: str | None
    store: int
    mode: Mode
    n: int


@dataclass(frozen=True, slots=True)
class _Kept:
    version: Version | None
    arm: Arm | None
    ranked: Ranked


def _job(live: Live, request: Request) -> Job:
    placement = placements.known(live.decided.placements, request.placement)
    context = tuple(live.catalogue.known(request.products))
    return Job(
        slate_id=database.new_id(),
        placement=placement,
        n=placement.n if request.n is None else request.n,
        context=context,
        without=frozenset((*context, *live.catalogue.known(request.exclude))),
        store_id=request.store_id,
        category=request.category,
    )


def _question(request: Request, job: Job, live: Live) -> _Question:
    store = live.shops.get(job.store_id, -1)
    plain = job.placement.mode is Mode.FOR_YOU and not job.context and job.category is None and store < 0
    handle = Handle(
        request.customer_id,
        request.user_id,
        request.anonymous_id,
        ranked=plain and job.n <= ahead.N and live.model_id is not None,
    )
    return _Question(handle, job.context, request.category, store, job.placement.mode, job.n)


def _meet(live: Live, job: Job, who: Who) -> None:
    """Who is asking: what she did counts unless she said it must not."""
    job.who = who
    job.refused = not who.refused.isdisjoint(("any", CONSENT.get(job.placement.channel, job.placement.channel)))
    job.nobody = job.refused or who.customer_id is None
    if not job.nobody:
        job.arm = placements.arm(live.decided.experiments.get(job.placement.name), str(who.customer_id))


def _ranked(
    live: Live, read: past.Pasts, jobs: Sequence[Job], *, places: Sequence[int], now: datetime
) -> Iterator[tuple[int, Ranked]]:
    """What the model says for the jobs at these places, made ahead or now; what is wanted in the same way is made in
    one step."""
    moment = past.micros(now)
    made = [place for place in places if read.ahead[place] is not None and jobs[place].takes_ahead]
    if made:
        asks = live.numbered(read, made).asks([base.NO_INTS] * len(made), moment=moment)
        ranking = ahead.unpacked([read.ahead[place] or b"" for place in made])
        yield from zip(made, ranked.given(live.model, asks, ranking), strict=True)
    alike: dict[tuple[str | None, frozenset[str] | None, int], list[int]] = {}
    for place in set(places).difference(made):
        job = jobs[place]
        alike.setdefault((job.category, ranked.about(job.placement.mode, job.arm), job.n), []).append(place)
    for (category, only, n), group in alike.items():
        stores = [live.shops.get(jobs[place].store_id, -1) for place in group]
        pasts = live.numbered(read, [None if jobs[place].nobody else place for place in group], stores=stores)
        asks = pasts.asks([np.array(jobs[place].context, np.int64) for place in group], moment=moment)
        within = live.within(category) if category is not None else None
        yield from zip(group, ranked.rank(live.model, asks, n=n, within=within, only=only), strict=True)


def _as_shown(job: Job, items: Sequence[SlateItem], *, model_id: int | None, now: datetime) -> Shown:
    told = [{"product_id": item.product_id, "source": item.source, "score": item.score} for item in items]
    return Shown(job.slate_id, now, job.who.customer_id, job.placement.name, model_id, told, arm=job.arm)
