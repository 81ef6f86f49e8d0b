"""How many codes the campaigns of an offer are about to need, set against what its pool has."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from campaigns import dry_run, dry_runs, offer_figures, offers, plans
from campaigns.offers import Kept
from campaigns.plans import Plan


@dataclass(frozen=True, slots=True)
class Need:
    """What one offer has to give. `has` is empty where codes are made here: there are always enough."""

    offer: str
    needed: int
    has: int | None

    @property
    def short(self) -> int:
        """How many codes are missing."""
        return 0 if self.has is None else max(self.needed - self.has, 0)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The need of each campaign over as many days as were replayed, and of all together; `least` if more came in than
    were looked at. While it is being made, `done` people `of` so many are replayed, and it is `complete` once every
    campaign was; `failed` if one could not be."""

    days: int
    campaigns: Mapping[str, int]
    whole: Need
    least: bool = False
    pending: bool = False
    done: int = 0
    of: int = 0
    complete: bool = True
    failed: bool = False


def of(conn: sa.Connection, offer: Kept, *, days: int, now: datetime) -> Forecast:
    """What every campaign that gives these codes would have used in the last days, as if each ran as it stands."""
    needed, least = {}, False
    for plan in _giving(conn, offer):
        outcome = dry_run.run(conn, plan, days=days, now=now)
        needed[plan.name] = outcome.codes_needed.get(offer.name, 0)
        least = least or outcome.cut
    return Forecast(days, needed, _need(conn, offer, sum(needed.values())), least)


def ask(conn: sa.Connection, offer: Kept, *, days: int, by: str, now: datetime) -> None:
    """Asks for what `of` says, which a job makes: a campaign at a time, and none of them twice in an hour."""
    for plan in _giving(conn, offer):
        dry_runs.foretell(conn, plan, days=days, by=by, now=now)


def read(conn: sa.Connection, offer: Kept, *, days: int) -> Forecast:
    """As much of it as was made by now."""
    found = {plan.name: plan.id for plan in _giving(conn, offer)}
    made = dry_runs.forecasts(conn, list(found.values()))
    over = {
        name: next((run for run in made if run.campaign_id == id_ and run.outcome), None) for name, id_ in found.items()
    }
    last = [next((run for run in made if run.campaign_id == id_), None) for id_ in found.values()]
    needed = {name: dry_runs.codes_wanted(run).get(offer.name, 0) for name, run in over.items() if run}
    waiting = [run for run in last if run and run.pending]
    return Forecast(
        days,
        needed,
        _need(conn, offer, sum(needed.values())),
        least=any(run.cut for run in over.values() if run),
        pending=bool(waiting),
        done=sum(run.done for run in waiting),
        of=sum(run.of for run in waiting),
        complete=all(over.values()),
        failed=any(run.state == "failed" for run in last if run),
    )


def _giving(conn: sa.Connection, offer: Kept) -> list[Plan]:
    """The campaigns that give its codes, by name."""
    return plans.named(conn, offers.used_by(conn).get(offer.name, []))


def compare(conn: sa.Connection, needed: Mapping[str, int]) -> list[Need]:
    """What a campaign would need of each offer, against what there is."""
    found = [(offers.find(conn, name), number) for name, number in sorted(needed.items())]
    return [_need(conn, offer, number) for offer, number in found if offer is not None]


def _need(conn: sa.Connection, offer: Kept, needed: int) -> Need:
    has = offer_figures.of(conn, offer.id)[0].free if offer.terms.codes == "pool" else None
    return Need(offer.name, needed, has)
