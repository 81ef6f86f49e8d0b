"""What serves now: the published model and the shop's catalogue beside it, kept fresh while requests are answered.

A model is a value: a new one, or a new reading of the catalogue, takes the place of the old in one step, and requests
under way finish with what they began with. A model that cannot be read is refused, and the old one serves on.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from foundation.database import Database
from recommender import for_sale, merchandising, past, registry, rules, unfitted
from recommender.algorithms import base
from recommender.algorithms.base import Flags, Ints
from recommender.algorithms.local import Local
from recommender.artefact import Damaged
from recommender.for_sale import Catalogue
from recommender.goods import Goods
from recommender.merchandising import Merchandising
from recommender.model import Model
from recommender.placements import Placement
from recommender.ranked import Pasts
from recommender.rules import Effect

log = logging.getLogger(__name__)

FRESH = timedelta(seconds=30)
"""How often the pointer and the catalogue are read: a model published is served everywhere after this."""

IDLE = timedelta(minutes=2)
"""Who was not asked for so long looks before it answers; else it answers while a thread looks."""

UNFITTED_FRESH = timedelta(minutes=5)

MOST_FRESH = 500
"""New products tried at a time: after a large delivery, the newest."""

MOST_STORES = MOST_CATEGORIES = 500


@dataclass(frozen=True, slots=True)
class Live:
    """What serves: a published model, or none and its stand-in, and the catalogue numbered as the model numbers it.

    `rest` is everything for sale, most wanted first, then newest; `wanted` tells which of it anybody wanted. `fresh`
    are the new products. `shops` and `channels` are the numbers of those of which the model knows what is wanted there.
    """

    model_id: int | None
    model: Model
    catalogue: Catalogue
    replenished: Flags
    rest: Ints
    wanted: Flags
    fresh: Ints
    decided: Merchandising
    fitted_at: datetime
    read_at: datetime
    shops: Mapping[str | None, int]
    channels: Mapping[str | None, int]
    effects: dict[tuple[str, str], Effect] = field(default_factory=dict)
    stores: dict[str, Flags] = field(default_factory=dict)
    categories: dict[str, Flags] = field(default_factory=dict)

    def effect(self, placement: Placement, *, now: datetime) -> Effect:
        """What the merchant's rules come to there; made once and kept as long as it holds."""
        key = (placement.name, placement.channel)
        found = self.effects.get(key)
        if found is None or found.until is not None and found.until <= now:
            where = {"placement": placement.name, "channel": placement.channel}
            found = self.effects[key] = rules.effect(self.decided.rules, self.catalogue.goods, now=now, **where)
        return found

    def there(self, conn: sa.Connection, *, store_id: str | None, category: str | None) -> Flags:
        """By product number, what is for sale, in a store and a category if they are named."""
        goods = self.catalogue.goods
        flags = goods.for_sale
        if store_id is not None:
            if store_id not in self.stores:
                if len(self.stores) >= MOST_STORES:
                    self.stores.clear()
                self.stores[store_id] = for_sale.in_store(conn, self.catalogue, store_id)
            flags = self.stores[store_id]
        return flags if category is None else flags & self.within(category)

    def numbered(self, read: past.Pasts, places: Sequence[int | None], *, stores: Sequence[int] = ()) -> Pasts:
        """The pasts at these places, None being nobody's, in the model's numbers; without what is in no catalogue.

        :param stores: the store of each, -1 for that where she was last
        """
        wanted = np.array([place for place in places if place is not None], np.int64)
        rows, owner = base.runs(read.starts, wanted)
        owner = np.flatnonzero([place is not None for place in places])[owner]
        products = self.catalogue.numbered(read.products[rows])
        kept = products >= 0
        rows, owner = rows[kept], owner[kept]
        starts = base.offsets(np.bincount(owner, minlength=len(places)))
        last = [-1 if place is None else self.shops.get(read.stores[place], -1) for place in places]
        named = np.array(stores or [-1] * len(places), np.int64)
        channels = [-1 if place is None else self.channels.get(read.channels[place], -1) for place in places]
        return Pasts(
            starts,
            products[kept],
            times=read.times[rows],
            kinds=read.kinds[rows],
            stores=np.where(named >= 0, named, last),
            channels=np.array(channels, np.int64),
        )

    def sells(self, store_id: str, product: int) -> bool:
        """Whether it is among what is wanted most in that store."""
        store = self.shops.get(store_id)
        local = [source for source in self.model.sources if isinstance(source, Local)]
        return store is not None and any(source.sells(store, product) for source in local)

    def within(self, category: str) -> Flags:
        """By product number, whether it is of that category or below it."""
        if category not in self.categories:
            if len(self.categories) >= MOST_CATEGORIES:
                self.categories.clear()
            self.categories[category] = self.catalogue.goods.within(category)
        return self.categories[category]


class Keeper:
    """Holds what serves, and looks now and then whether it still is. Safe for many threads.

    :param files: where models lie as files that processes share; None keeps them in memory
    """

    def __init__(self, db: Database, *, files: Path | None) -> None:
        self._db = db
        self._files = files
        self._live: Live | None = None
        self._looked_at: datetime | None = None
        self._looking = threading.Lock()
        self.refused: int | None = None
        """The model that is live for all but could not be read here."""

    def current(self, conn: sa.Connection, now: datetime) -> Live:
        """What serves, looked after first if it is time."""
        live = self._live
        if live is not None and not self._due(now, FRESH):
            return live
        with self._looking:
            if self._live is None or self._due(now, FRESH):
                self._look(conn, now)
            return self._held()

    def at_hand(self, conn: sa.Connection, now: datetime) -> Live:
        """What serves. If it is time to look, a thread does, unless nobody asked for long."""
        live = self._live
        if live is None or self._due(now, IDLE):
            return self.current(conn, now)
        if self._due(now, FRESH) and self._looking.acquire(blocking=False):
            threading.Thread(target=self._look_aside, args=(now,), name="recommender", daemon=True).start()
        return live

    def read_again(self, conn: sa.Connection, live: Live, now: datetime) -> Live:
        """With the catalogue of this moment, for one to whom nothing was found; at most once a second."""
        with self._looking:
            if self._live is live and now - live.read_at >= timedelta(seconds=1):
                self._live = _read(conn, live, now)
            return self._held()

    def close(self) -> None:
        """Returns once nobody is looking any more."""
        with self._looking:
            self._looked_at = None

    def _held(self) -> Live:
        if self._live is None:
            raise AssertionError("the lock was held and nothing loaded")
        return self._live

    def _due(self, now: datetime, after: timedelta) -> bool:
        return self._looked_at is None or not timedelta() <= now - self._looked_at < after

    def _look_aside(self, now: datetime) -> None:
        """Given the lock, which is let go here."""
        try:
            with self._db.begin() as conn:
                self._look(conn, now)
        except Exception:
            self._looked_at = now  # it will be tried again, not by every request
            log.exception("the live model was not looked for")
        finally:
            self._looking.release()

    def _look(self, conn: sa.Connection, now: datetime) -> None:
        live_id, live = registry.live_id(conn), self._live
        if live_id is not None and live_id != self.refused and (live is None or live.model_id != live_id):
            try:
                live = _made(conn, live_id, registry.load(conn, live_id, files=self._files), now)
                self.refused = None
            except Damaged:
                self.refused = live_id
                log.exception("model refused", extra={"model_id": live_id})
        if live is None or live.model_id is None and now - live.fitted_at >= UNFITTED_FRESH:
            live = _made(conn, None, unfitted.counted(conn, now=now), now)
        self._live = _read(conn, live, now)
        self._looked_at = now


def _made(conn: sa.Connection, model_id: int | None, model: Model, now: datetime) -> Live:
    """A model with a catalogue still to be read."""
    catalogue = for_sale.number(conn, model.product_ids)
    none = np.zeros(0, np.int64)
    local = Local.name in model.source_names
    return Live(
        model_id=model_id,
        model=model,
        catalogue=catalogue,
        replenished=model.replenished,
        rest=none,
        wanted=none > 0,
        fresh=none,
        decided=merchandising.load(conn),
        fitted_at=now,
        read_at=now,
        shops={name: number for number, name in enumerate(model.store_names)} if local else {},
        channels={name: number for number, name in enumerate(model.channel_names)} if local else {},
    )


def _read(conn: sa.Connection, live: Live, now: datetime) -> Live:
    """The same model with the catalogue of this moment."""
    catalogue = for_sale.read(conn, live.catalogue)
    count = len(catalogue.goods)
    wanted = live.model.popularity.shares(np.arange(count))
    rest = np.lexsort((-catalogue.goods.created, -wanted))
    rest = rest[catalogue.active[rest]]
    replenished = np.zeros(count, bool)
    replenished[: len(live.model.replenished)] = live.model.replenished
    return replace(
        live,
        catalogue=catalogue,
        replenished=replenished,
        rest=rest,
        wanted=wanted[rest] > 0,
        fresh=_newest(catalogue.goods, now),
        decided=merchandising.load(conn),
        read_at=now,
        effects={},
        stores={},
        categories={},
    )


def _newest(goods: Goods, now: datetime) -> Ints:
    fresh = goods.fresh(past.micros(now))
    return np.sort(fresh[np.argsort(-goods.created[fresh], kind="stable")[:MOST_FRESH]])
