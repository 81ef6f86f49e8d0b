"""`Recommender`: the live model, kept fresh; one request to one slate, in milliseconds."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
import threadpoolctl

from foundation import database
from foundation.database import Database
from recommender import for_sale, past, registry, slate, unfitted
from recommender.algorithms.base import Asks, Kind
from recommender.artefact import Damaged
from recommender.memory import Memory
from recommender.model import Asked, Model, Ranking
from recommender.past import Who
from recommender.shown import Shelf, Shown
from recommender.slate import Product, Proposal, SlateItem

log = logging.getLogger(__name__)

FRESH = timedelta(seconds=30)
"""How often the pointer is read: a model published is served everywhere after this."""

UNFITTED_FRESH = timedelta(minutes=5)
UNFITTED = "popular"
"""What `model` says while none is published."""

SIZE = 100
"""Candidates each algorithm gives, as in the trials that judge the model."""

SPARE = 12
"""So many products are looked up beside twice those to be shown, should some not be for sale."""

MANY = 2_000
"""How deep to look where the first few are not for sale."""


@dataclass(frozen=True, slots=True)
class Request:
    """A slate wanted: for whom (an id of ours, else a handle the shop knows), where, around which products."""

    placement: str
    customer_id: int | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    products: tuple[str, ...] = ()
    n: int = 12
    store_id: str | None = None
    category: str | None = None
    exclude: tuple[str, ...] = ()
    record: bool = True
    locale: str = "en"


@dataclass(frozen=True, slots=True)
class Slate:
    """Products shown at once. By its id, what was clicked and bought is traced back to it."""

    slate_id: UUID
    model: str
    items: tuple[SlateItem, ...]


@dataclass(frozen=True, slots=True)
class _Live:
    """What serves: a published model, or none and its stand-in."""

    model_id: int | None
    model: Model
    loaded_at: datetime


class Recommender:
    """Answers from the live model. Safe for many threads: a model is a value, and a new one takes its place at once."""

    def __init__(self, db: Database) -> None:
        threadpoolctl.threadpool_limits(1, "blas")  # many requests share the cores; threads within one would fight
        self._shelf = Shelf(db)
        self._memory: Memory[tuple[Proposal, ...]] = Memory()
        self._live: _Live | None = None
        self._checked_at: datetime | None = None
        self._refused: int | None = None
        self._loading = threading.Lock()

    def recommend(self, conn: sa.Connection, request: Request, *, now: datetime) -> Slate:
        """The slate for one request: exactly `n` products while so many are eligible."""
        live = self._fresh(conn, now)
        who = past.who(
            conn, customer_id=request.customer_id, user_id=request.user_id, anonymous_id=request.anonymous_id
        )
        items = _items(conn, self._first(conn, live, request=request, who=who, now=now), request=request)
        if len(items) < request.n:
            items = _deeper(conn, live.model, _visit(conn, live.model, request, who=who, now=now), request=request)
        if not items and (request.category or request.store_id):
            return self.recommend(conn, replace(request, category=None, store_id=None), now=now)
        made = Slate(database.new_id(), UNFITTED if live.model_id is None else str(live.model_id), items)
        if request.record:
            self._shelf.put(_as_shown(made, request, customer_id=who.customer_id, model_id=live.model_id, now=now))
        return made

    def recommend_many(self, conn: sa.Connection, requests: Sequence[Request], *, now: datetime) -> list[Slate]:
        """A slate for each request, in their order."""
        return [self.recommend(conn, request, now=now) for request in requests]

    def flush(self) -> None:
        """Writes every slate shown so far."""
        self._shelf.flush()

    def close(self) -> None:
        """Writes every slate shown so far and stops the writer."""
        self._shelf.close()

    def _first(
        self, conn: sa.Connection, live: _Live, *, request: Request, who: Who, now: datetime
    ) -> tuple[Proposal, ...]:
        """A few more proposals than wanted, made anew if she did anything since they were last made. What the shop has
        is asked afterwards, every time."""
        question = (who.customer_id, request.products, request.exclude, request.category, request.n)
        version = (live.model_id, live.loaded_at, who.version)
        kept = self._memory.get(question, version=version, now=now)
        if kept is not None:
            return kept
        visit = _visit(conn, live.model, request, who=who, now=now)
        ranking = _ranked(live.model, visit, request, size=max(SIZE, slate.AHEAD * request.n))
        found = _proposals(live.model, visit, ranking=ranking, request=request)[: 2 * request.n + SPARE]
        self._memory.put(question, found, version=version, now=now)
        return found

    # ----------------------------------------------------------------------------------------- the live model
    def _fresh(self, conn: sa.Connection, now: datetime) -> _Live:
        """The live model. One thread at a time looks whether it is still the one; others go on with what is here."""
        if self._live is not None and self._checked_at is not None and now - self._checked_at < FRESH:
            return self._live
        if self._loading.acquire(blocking=self._live is None):
            try:
                self._live = self._looked_up(conn, now)
                self._checked_at = now
            finally:
                self._loading.release()
        if self._live is None:
            raise AssertionError("the lock was taken and nothing loaded")
        return self._live

    def _looked_up(self, conn: sa.Connection, now: datetime) -> _Live:
        live_id, live = registry.live_id(conn), self._live
        if live is not None and live_id is not None and live.model_id == live_id:
            return live
        if live_id is not None and live_id != self._refused:
            try:
                return _Live(live_id, registry.load(conn, live_id), now)
            except Damaged:
                self._refused = live_id
                log.exception("model refused", extra={"model_id": live_id})
        if live is not None and (live.model_id is not None or now - live.loaded_at < UNFITTED_FRESH):
            return live
        return _Live(None, unfitted.counted(conn, now=now), now)


# ------------------------------------------------------------------------------------------------- the slate
def _visit(conn: sa.Connection, model: Model, request: Request, *, who: Who, now: datetime) -> Asked:
    return model.asks([past.read(conn, who.customer_id, now=now)], [request.products])


def _ranked(model: Model, visit: Asked, request: Request, *, size: int) -> Ranking:
    within = model.within(request.category) if request.category else None
    return model.rank(visit.asks, within=within, size=size)


def _items(conn: sa.Connection, proposals: Sequence[Proposal], *, request: Request) -> tuple[SlateItem, ...]:
    """Those of the proposals that are for sale this moment, composed."""
    looked = for_sale.look_up(conn, _named(proposals), store_id=request.store_id, category=request.category)
    return slate.compose(proposals, looked.for_sale, n=request.n, titles=looked.titles, locale=request.locale)


def _deeper(conn: sa.Connection, model: Model, visit: Asked, *, request: Request) -> tuple[SlateItem, ...]:
    """Where too few of the first are for sale: many more, and then whatever the shop has."""
    ranking = _ranked(model, visit, request, size=MANY)
    proposals = _proposals(model, visit, ranking=ranking, request=request)
    looked = for_sale.look_up(conn, _named(proposals), store_id=request.store_id, category=request.category)
    there = [proposal for proposal in proposals if proposal.product_id in looked.for_sale]
    if len(there) < request.n:
        for product in _others(conn, model, visit, request=request, found=there):
            looked.for_sale[product.product_id] = product
            there.append(Proposal(product.product_id, "new", 0.0))
    return slate.compose(there, looked.for_sale, n=request.n, titles=looked.titles, locale=request.locale)


def _proposals(model: Model, visit: Asked, *, ranking: Ranking, request: Request) -> tuple[Proposal, ...]:
    """The ranking with the shop's ids and what reasons are made of, without what was bought too lately."""
    asks = visit.asks
    barred = {*request.exclude, *_just_bought(model, visit)}
    pairs = dict(
        zip(
            asks.pairs.tolist(),
            zip(asks.counts(Kind.ORDER).tolist(), asks.strongest().tolist(), strict=True),
            strict=True,
        )
    )
    around = len(asks.context) > 0
    numbers = ranking.products.tolist()
    partners = model.partners(ranking.products, asks.context if around else asks.pairs).tolist()
    made = []
    for number, product_id, place, score, partner in zip(
        numbers,
        model.names(numbers, visit.strangers),
        ranking.sources.tolist(),
        ranking.scores.tolist(),
        partners,
        strict=True,
    ):
        source = model.source_names[place]
        orders, strongest = pairs.get(number, (0, Kind.VIEW))
        if product_id not in barred:
            personal = source == "history" or (source == "als" and not around)
            goes_with = model.product_ids[partner] if source == "als" and partner >= 0 else None
            made.append(Proposal(product_id, source, score, personal, orders, Kind(strongest), goes_with))
    return tuple(made)


def _just_bought(model: Model, visit: Asked) -> list[str]:
    asks: Asks = visit.asks
    return model.names(asks.pairs[model.history.just_bought(asks)].tolist(), visit.strangers)


def _named(proposals: Sequence[Proposal]) -> set[str]:
    """Every product to look up: what is proposed, and what its reason may name."""
    found = {proposal.product_id for proposal in proposals}
    return found | {proposal.goes_with for proposal in proposals if proposal.goes_with}


def _others(
    conn: sa.Connection, model: Model, visit: Asked, *, request: Request, found: Sequence[Proposal]
) -> list[Product]:
    """What else the shop has. What was bought a moment ago comes back only where there would be nothing at all."""
    barred = {*request.exclude, *request.products}
    taken = barred | {proposal.product_id for proposal in found}
    bought = _just_bought(model, visit)
    place = {"store_id": request.store_id, "category": request.category}
    others = for_sale.others(conn, without=taken | set(bought), n=request.n - len(found), **place)
    return others if others or found else for_sale.others(conn, without=barred, n=request.n, **place)


def _as_shown(made: Slate, request: Request, *, customer_id: int | None, model_id: int | None, now: datetime) -> Shown:
    items = [{"product_id": item.product_id, "source": item.source, "score": item.score} for item in made.items]
    return Shown(made.slate_id, now, customer_id, request.placement, model_id, items)
