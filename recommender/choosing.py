"""From what is ranked to what is shown: chosen by the merchant's rules, looked up as it stands this moment, and what is
gone replaced; many requests at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import numpy as np
import sqlalchemy as sa

from recommender import for_sale, reasons, shown, slate
from recommender.algorithms.base import Ints
from recommender.live import Live
from recommender.past import NOBODY, Who
from recommender.placements import Arm, Mode, Placement
from recommender.ranked import Ranked
from recommender.reasons import Around, Evidence
from recommender.slate import Hindrance, Mark, Pick, Product, SlateItem
from shop import stores

ROUNDS = 4
"""Times to choose anew in place of what turned out to be gone. What is not replaced by then is left out."""

WIDE = 300
"""Candidates looked up at once when some of those chosen were gone."""

ALIKE = frozenset({"als", "bm25", "follows", "sessions", "together", "viewed"})
"""Algorithms that find a product by what it goes with."""

POPULAR = frozenset({"popularity", "lately", "local"})
BY_CATEGORY = frozenset({"aisles", "fresh"})
"""What was found by its category."""

FILLED = "new"
"""What fills a slate when nothing else is left: the newest of the shop, which may be old."""

NEW = frozenset({FILLED, "fresh", "explore"})
"""Sources that say nothing of who is asking."""

MARKED = {Mark.PINNED: "pinned", Mark.EXPLORED: "explore"}
"""The source of what no algorithm chose."""


@dataclass(slots=True)
class Job:
    """One request on its way. `context` are the products being looked at, by number; `without` those not to show.

    `refused`: she does not want what she did to be used; then, as for one who is not known, she is `nobody`.
    """

    slate_id: UUID
    placement: Placement
    n: int
    context: tuple[int, ...]
    without: frozenset[int]
    store_id: str | None
    category: str | None
    who: Who = NOBODY
    refused: bool = False
    nobody: bool = True
    arm: Arm | None = None
    ranked: Ranked | None = None
    picks: Sequence[Pick] = ()
    partners: Sequence[int] = ()

    @property
    def takes_ahead(self) -> bool:
        """Whether what the model ranked for her is what she is shown."""
        return not self.nobody and self.arm is not Arm.POPULARITY

    @property
    def given(self) -> Ranked:
        """What was ranked."""
        if self.ranked is None:
            raise AssertionError("chosen before it was ranked")
        return self.ranked


class Looked:
    """What was looked up for one batch, by number, wherever it was asked to be."""

    def __init__(self, conn: sa.Connection, live: Live) -> None:
        self._conn = conn
        self._live = live
        self._found: dict[str | None, dict[int, Product | None]] = {}
        self._titles: dict[str, str] = {}
        self._stores: dict[str, str | None] = {}

    def look_up(self, store_id: str | None, numbers: Iterable[int]) -> None:
        """In one query, those that were not looked up yet."""
        found = self._found.setdefault(store_id, {})
        names = self._live.catalogue.goods.product_ids
        wanted = {names[number]: number for number in numbers if number not in found}
        if not wanted:
            return
        looked = for_sale.look_up(self._conn, wanted, store_id=store_id)
        self._titles |= looked.titles
        for product_id, number in wanted.items():
            found[number] = looked.for_sale.get(product_id)

    def product(self, store_id: str | None, number: int) -> Product | None:
        """The product if it is for sale there."""
        return self._found[store_id].get(number)

    def store(self, store_id: str) -> str | None:
        """What a store is called; asked once a batch."""
        if store_id not in self._stores:
            known = stores.get(self._conn, store_id)
            self._stores[store_id] = known.name if known else None
        return self._stores[store_id]

    def title(self, number: int) -> str | None:
        """What it is called, if it exists."""
        return self._titles.get(self._live.catalogue.goods.product_ids[number])


def rotate(conn: sa.Connection, live: Live, jobs: Sequence[Job]) -> None:
    """Marks what the latest slates of the same placement showed, where the placement rotates."""
    by_placement: dict[str, list[Job]] = {}
    for job in jobs:
        if job.placement.rotation and job.who.customer_id is not None:
            by_placement.setdefault(job.placement.name, []).append(job)
    for name, turning in by_placement.items():
        customers = [job.who.customer_id for job in turning if job.who.customer_id is not None]
        latest = shown.latest(conn, customers, placement=name, slates=turning[0].placement.rotation)
        for job in turning:
            numbers = live.catalogue.known(latest.get(job.who.customer_id or 0, ()))
            choices = replace(job.given.choices, shown=np.isin(job.given.choices.products, numbers))
            job.ranked = replace(job.given, choices=choices)


def choose(conn: sa.Connection, live: Live, jobs: Sequence[Job], *, now: datetime) -> Looked:
    """Fills the picks of each job with products that are for sale this moment; gives what was looked up."""
    looked = Looked(conn, live)
    _choose(conn, live, jobs, looked=looked, now=now)
    short = [job for job in jobs if len(job.picks) < job.n]
    if short:
        _deeper(conn, live, short, looked=looked, now=now)
    return looked


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A product that ranked high and may not be shown, and why."""

    product_id: str
    title: str
    hindrance: Hindrance


def left_out(conn: sa.Connection, live: Live, job: Job, *, most: int, now: datetime) -> list[LeftOut]:
    """The best ranked of those that may not be shown; what the shop does not know any more is passed over."""
    found = slate.hindrances(
        job.given.choices,
        placement=job.placement,
        there=live.there(conn, store_id=job.store_id, category=job.category),
        replenished=live.replenished,
        effect=live.effect(job.placement, now=now),
        without=job.without,
    )
    rows = np.flatnonzero(found)
    numbers = job.given.choices.products[rows].tolist()
    looked, kept = Looked(conn, live), []
    looked.look_up(job.store_id, numbers[: 2 * most])
    for row, number in zip(rows.tolist(), numbers[: 2 * most], strict=False):
        title = looked.title(number)
        if title is not None:
            product_id = live.catalogue.goods.product_ids[number]
            kept.append(LeftOut(product_id, title, Hindrance(found[row])))
    return kept[:most]


def _deeper(conn: sa.Connection, live: Live, jobs: Sequence[Job], *, looked: Looked, now: datetime) -> None:
    """Where too few of what was ranked may be shown: whatever else the shop has. What was bought a moment ago, and
    other categories and stores than were asked for, come back only where there would be nothing at all."""
    for job in jobs:
        _follow(conn, live, job)
    _choose(conn, live, jobs, looked=looked, now=now)
    empty = [job for job in jobs if not job.picks]
    for job in empty:
        job.placement = replace(job.placement, bought_days=None)
    _choose(conn, live, empty, looked=looked, now=now)
    elsewhere = [job for job in empty if not job.picks and (job.store_id or job.category)]
    for job in elsewhere:
        job.store_id = job.category = None
        _follow(conn, live, job)
    _choose(conn, live, elsewhere, looked=looked, now=now)


def _follow(conn: sa.Connection, live: Live, job: Job) -> None:
    there = live.there(conn, store_id=job.store_id, category=job.category)[live.rest]
    job.ranked = job.given.followed(live.rest[there], wanted=live.wanted[there])


def _choose(conn: sa.Connection, live: Live, jobs: Sequence[Job], *, looked: Looked, now: datetime) -> None:
    waiting = list(jobs)
    for turn in range(ROUNDS):
        for job in waiting:
            _pick(conn, live, job, now=now)
        _look(waiting, looked, wide=turn > 0)
        waiting = [job for job in waiting if _gone(job, looked)]
        if not waiting:
            return
        for job in waiting:
            job.without |= _gone(job, looked)
    for job in waiting:
        kept = [place for place, pick in enumerate(job.picks) if looked.product(job.store_id, pick.product)]
        job.picks, job.partners = [job.picks[place] for place in kept], [job.partners[place] for place in kept]


def _pick(conn: sa.Connection, live: Live, job: Job, *, now: datetime) -> None:
    job.picks = slate.choose(
        job.given.choices,
        live.catalogue.goods,
        placement=job.placement,
        n=job.n,
        seed=slate.seed(job.slate_id),
        there=live.there(conn, store_id=job.store_id, category=job.category),
        replenished=live.replenished,
        effect=live.effect(job.placement, now=now),
        without=job.without,
        fresh=live.fresh,
    )
    job.partners = _partners(live, job)


def _partners(live: Live, job: Job) -> list[int]:
    """What each pick goes with, -1 if it was not found by that: of what is being looked at, else of what she knows."""
    ranked, found = job.given, [-1] * len(job.picks)
    places = [place for place, pick in enumerate(job.picks) if _is_alike(ranked, pick)]
    among: Ints = np.array(job.context, np.int64) if job.context else ranked.own
    if places and len(among):
        nearest = live.model.partners(np.array([job.picks[place].product for place in places]), among)
        for place, partner in zip(places, nearest.tolist(), strict=True):
            found[place] = partner
    return found


def _is_alike(ranked: Ranked, pick: Pick) -> bool:
    return pick.row >= 0 and ranked.pairs[pick.row] < 0 and _source(ranked, pick) in ALIKE


def _look(jobs: Sequence[Job], looked: Looked, *, wide: bool) -> None:
    """Looks up all picks and what their reasons may name; if `wide`, also what may take the place of some."""
    by_store: dict[str | None, set[int]] = {}
    for job in jobs:
        wanted = by_store.setdefault(job.store_id, set())
        wanted.update(pick.product for pick in job.picks)
        wanted.update(partner for partner in job.partners if partner >= 0)
        if wide:
            wanted.update(job.given.choices.products[:WIDE].tolist())
    for store_id, numbers in by_store.items():
        looked.look_up(store_id, numbers)


def _gone(job: Job, looked: Looked) -> frozenset[int]:
    """The picks that turned out not to be for sale."""
    return frozenset(pick.product for pick in job.picks if looked.product(job.store_id, pick.product) is None)


# ------------------------------------------------------------------------------------------------------ items
def items(job: Job, live: Live, looked: Looked, *, locale: str, public: bool) -> tuple[SlateItem, ...]:
    """What the slate shows, each with its reason.

    :param public: nothing may tell what the customer did
    """
    found = []
    for pick, partner in zip(job.picks, job.partners, strict=True):
        product = looked.product(job.store_id, pick.product)
        if product is not None:
            evidence = _evidence(job, live, looked, pick=pick, partner=partner)
            found.append(_item(job, product, pick=pick, evidence=evidence, locale=locale, public=public))
    return tuple(found)


def _item(job: Job, product: Product, *, pick: Pick, evidence: Evidence, locale: str, public: bool) -> SlateItem:
    source, score = MARKED.get(pick.mark) or _source(job.given, pick), 0.0
    if pick.row >= 0:
        score = round(float(job.given.scores[pick.row]), 4)
    if public:
        evidence = replace(reasons.impersonal(evidence), category=evidence.category if job.category else None)
        if pick.mark is Mark.RANKED and source not in POPULAR | NEW:
            source, score = "chosen", 0.0
    return SlateItem(
        product_id=product.product_id,
        title=product.title,
        url=product.url,
        image_url=product.image_url,
        price=product.price,
        currency=product.currency,
        reason=reasons.say(evidence, locale),
        source=source,
        score=score,
        personal=reasons.is_personal(evidence),
    )


def _source(ranked: Ranked, pick: Pick) -> str:
    return ranked.names[int(ranked.sources[pick.row])]


def _evidence(job: Job, live: Live, looked: Looked, *, pick: Pick, partner: int) -> Evidence:
    goods, source = live.catalogue.goods, MARKED.get(pick.mark) or _source(job.given, pick)
    category = int(goods.categories[pick.product])
    within = bool(job.category) or source in BY_CATEGORY or pick.mark is Mark.EXPLORED
    filled = source == FILLED and pick.product not in live.fresh
    popular = source in POPULAR | BY_CATEGORY
    return Evidence(
        mark=Mark.EXPLORED if source in NEW and not filled else pick.mark,
        done=job.given.known.done(int(job.given.pairs[pick.row])) if pick.row >= 0 else reasons.NOTHING_DONE,
        goes_with=looked.title(partner) if partner >= 0 else None,
        around=_around(job),
        popular=popular,
        filled=filled,
        store=looked.store(job.store_id)
        if popular and job.store_id and live.sells(job.store_id, pick.product)
        else None,
        category=goods.category_names[category].rpartition(" > ")[2] if within and category >= 0 else None,
    )


def _around(job: Job) -> Around:
    if not job.context:
        return Around.PAST
    return Around.PRODUCT if job.placement.mode is Mode.SIMILAR else Around.BASKET
