"""Every interleaving there is of one message: two workers who die, freeze and go on, a sweeper, a provider that loses
answers and repeats its reports, and somebody who cancels. The moves are those of `campaigns/states.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from campaigns import states
from campaigns.states import State


class Place(StrEnum):
    """Where a worker is."""

    IDLE = "idle"
    CLAIMED = "claimed"
    MEANT = "meant"
    """Its intent is committed; not a byte has left."""
    TAKEN = "taken"
    SILENT = "silent"
    """Handed over, and no answer came."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Worker:
    """`token` is of the lease it believes to hold, `attempt` of the intent it committed."""

    place: Place = Place.IDLE
    token: int = 0
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """The row of the ledger, the workers, and what the provider took; `taken` are the attempts it accepted."""

    state: State = State.PENDING
    token: int = 0
    attempt: int = 0
    resends: int = 0
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    taken: tuple[int, ...] = ()
    crashes: int = 2
    claims: int = 4
    cancels: int = 1


@dataclass(frozen=True, slots=True)
class Rules:
    """What may happen besides. `resend`: a message in doubt goes out again once the provider's reports show that it was
    not taken. `late`: a worker may begin to write however long ago it looked at its deadline. `reopen`: the mistake of
    taking a message back to waiting by a time-out alone.
    """

    resend: bool = False
    late: bool = True
    reopen: bool = False


HANDED = (State.SUBMITTING, State.UNCERTAIN, State.UNCONFIRMED)


@dataclass(frozen=True, slots=True)
class Explored:
    """All that can be reached, and from where to where."""

    steps: dict[World, list[World]]

    def doubled(self) -> list[World]:
        """Where the provider took it twice."""
        return [world for world in self.steps if len(world.taken) > 1]

    def mistaken(self) -> list[World]:
        """Where the ledger says that nothing was sent, and something was."""
        unsent = (*states.NOT_SENT, State.PENDING, State.HELD, State.CLAIMED)
        return [world for world in self.steps if world.taken and world.state in unsent]

    def invented(self) -> list[World]:
        """Where the ledger says that it was taken, and it was not."""
        return [world for world in self.steps if not world.taken and world.state in states.SENT]

    def stuck(self) -> list[World]:
        """From where no end can be reached any more."""
        ends = (*states.NOT_SENT, *states.SENT, State.UNCONFIRMED)
        into: dict[World, list[World]] = {}
        for world, following in self.steps.items():
            for after in following:
                into.setdefault(after, []).append(world)
        good = {world for world in self.steps if world.state in ends}
        left = list(good)
        while left:
            for before in into.get(left.pop(), []):
                if before not in good:
                    good.add(before)
                    left.append(before)
        return [world for world in self.steps if world not in good]


def explore(rules: Rules, *, crashes: int = 2, claims: int = 4) -> Explored:
    """Everything that can happen to one message that workers die over so often, and take up so often."""
    steps: dict[World, list[World]] = {}
    left = [World(crashes=crashes, claims=claims)]
    while left:
        world = left.pop()
        if world in steps:
            continue
        steps[world] = list(_following(world, rules))
        left += steps[world]
    return Explored(steps)


def _following(world: World, rules: Rules) -> Iterator[World]:
    for number in (0, 1):
        yield from _worker(world, number, rules)
    yield from _sweeper(world, rules)
    yield from _provider(world)
    if world.cancels and world.state in (State.PENDING, State.CLAIMED):
        yield replace(_moved(world, State.CANCELLED), cancels=world.cancels - 1)


def _worker(world: World, number: int, rules: Rules) -> Iterator[World]:
    worker = world.workers[number]
    if worker.place is not Place.IDLE and world.crashes:
        yield replace(_at(world, number, Worker()), crashes=world.crashes - 1)
    if worker.place in _ANSWERS:
        yield _recorded(world, number, _ANSWERS[worker.place])
    match worker.place:
        case Place.IDLE if world.state is State.PENDING and world.claims:
            held = replace(_moved(world, State.CLAIMED), token=world.token + 1, claims=world.claims - 1)
            yield _at(held, number, Worker(Place.CLAIMED, token=held.token))
        case Place.CLAIMED if world.state is State.CLAIMED and world.token == worker.token:
            meant = replace(_moved(world, State.SUBMITTING), attempt=world.attempt + 1)
            yield _at(meant, number, Worker(Place.MEANT, worker.token, meant.attempt))
        case Place.CLAIMED:
            yield _at(world, number, Worker())
        case Place.MEANT:
            yield from _handed(world, number, worker, rules)


_ANSWERS = {Place.TAKEN: State.ACCEPTED, Place.SILENT: State.UNCERTAIN, Place.REFUSED: State.PENDING}


def _handed(world: World, number: int, worker: Worker, rules: Rules) -> Iterator[World]:
    """Its deadline was over; or it writes, and the provider takes it, answering or not, refuses it, or is silent."""
    yield _at(world, number, replace(worker, place=Place.REFUSED))
    in_time = world.state is State.SUBMITTING and world.attempt == worker.attempt
    if rules.late or in_time:
        took = replace(world, taken=(*world.taken, worker.attempt))
        yield _at(took, number, replace(worker, place=Place.TAKEN))
        yield _at(took, number, replace(worker, place=Place.SILENT))
        yield _at(world, number, replace(worker, place=Place.SILENT))


def _recorded(world: World, number: int, state: State) -> World:
    """The answer is kept if the attempt is still this one and the ledger may move there."""
    mine = world.workers[number].attempt == world.attempt and world.state in HANDED
    kept = _moved(world, state) if mine and world.state in states.before(state) else world
    return _at(kept, number, Worker())


def _sweeper(world: World, rules: Rules) -> Iterator[World]:
    """A lease may have lapsed at any moment: workers may be that slow."""
    if world.state is State.CLAIMED:
        yield _moved(world, State.PENDING)
    if world.state is State.SUBMITTING:
        yield replace(world, state=State.PENDING) if rules.reopen else _moved(world, State.UNCERTAIN)
    if world.state is State.UNCERTAIN:
        yield _moved(world, State.UNCONFIRMED)
        if rules.resend and not world.resends and not world.taken:
            yield replace(_moved(world, State.PENDING), resends=1)


def _provider(world: World) -> Iterator[World]:
    """It reports what it took, as often as it likes, of which attempt."""
    if world.attempt in world.taken and world.state in states.before(State.ACCEPTED):
        yield _moved(world, State.ACCEPTED)


def _moved(world: World, state: State) -> World:
    if state not in states.MOVES[world.state]:
        raise AssertionError(f"{world.state} may not become {state}")
    return replace(world, state=state)


def _at(world: World, number: int, worker: Worker) -> World:
    workers = (worker, world.workers[1]) if number == 0 else (world.workers[0], worker)
    return replace(world, workers=workers)
