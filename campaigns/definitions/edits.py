"""Changes to a journey while it is written: steps put in, moved, copied, taken out and replaced, named by their ids.

A definition here is JSON as it was typed: it may still have faults, which `campaign.parse` finds. Every change gives a
new definition and leaves the old one as it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from foundation.errors import Conflict, Fault, Invalid

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a step goes: right behind `after`; else the head of `branch` of `parent`; else the very beginning."""

    after: str = ""
    parent: str = ""
    branch: str = ""

    def __str__(self) -> str:
        return f"after:{self.after}" if self.after else f"head:{self.parent}:{self.branch}"


@dataclass(frozen=True, slots=True)
class Found:
    """A step where it stands: its JSON pointer, the sequence it is in, its number there, and whose branch that is."""

    step: Json
    pointer: str
    sequence: list[Json]
    number: int
    parent: str
    branch: str


def spot(text: str) -> Spot:
    """Reads what `str(spot)` writes; raises `Invalid`."""
    kind, _, rest = text.partition(":")
    parent, _, branch = rest.partition(":")
    if kind == "after" and rest:
        return Spot(after=rest)
    if kind != "head":
        raise Invalid(Fault("/at", "is not known"))
    return Spot(parent=parent, branch=branch)


def branches(step: Mapping[str, Any]) -> list[tuple[str, list[Json]]]:
    """The sequences a step holds, each with its place within the step. They are made where they are left out."""
    match step.get("type"):
        case "wait_for":
            return [(name, _held(step, name)) for name in ("then", "otherwise")]
        case "split":
            ways = [(f"branches/{n}/steps", _held(one, "steps")) for n, one in enumerate(step.get("branches", ()))]
            return [*ways, ("otherwise", _held(step, "otherwise"))]
        case "experiment":
            return [(f"variants/{n}/steps", _held(one, "steps")) for n, one in enumerate(step.get("variants", ()))]
    return []


def _held(holder: Any, name: str) -> list[Json]:
    found: list[Json] = holder.setdefault(name, [])
    return found


def walk(definition: Mapping[str, Any]) -> Iterator[Found]:
    """Every step in reading order, each before what its branches hold."""
    yield from _walk(definition.get("steps", []), "/steps", "", "")


def _walk(sequence: list[Json], pointer: str, parent: str, branch: str) -> Iterator[Found]:
    for number, step in enumerate(sequence):
        place = f"{pointer}/{number}"
        yield Found(step, place, sequence, number, parent, branch)
        for name, inner in branches(step):
            yield from _walk(inner, f"{place}/{name}", step["id"], name)


def find(definition: Mapping[str, Any], step_id: str) -> Found:
    """The step of that id; raises `Conflict` if there is none: somebody else took it out."""
    for found in walk(definition):
        if found.step.get("id") == step_id:
            return found
    raise Conflict("step_gone", f"the step {step_id} is not there any more")


# ------------------------------------------------------------------------------------------------- changes
def insert(definition: Mapping[str, Any], step: Json, at: Spot) -> Json:
    """Puts a step at a spot."""
    changed = _copied(definition)
    sequence, number = _place(changed, at)
    sequence.insert(number, deepcopy(step))
    return changed


def remove(definition: Mapping[str, Any], step_id: str) -> Json:
    """Takes a step out, with all its branches."""
    changed = _copied(definition)
    found = find(changed, step_id)
    del found.sequence[found.number]
    return changed


def replace(definition: Mapping[str, Any], step_id: str, step: Json) -> Json:
    """Puts another step in the place of one."""
    changed = _copied(definition)
    found = find(changed, step_id)
    found.sequence[found.number] = deepcopy(step)
    return changed


def move(definition: Mapping[str, Any], step_id: str, at: Spot) -> Json:
    """Takes a step to another spot, with its branches; raises `Invalid` if that spot is within itself."""
    changed = _copied(definition)
    found = find(changed, step_id)
    if at.after == step_id:
        return changed
    within = {one.step["id"] for _, inner in branches(found.step) for one in _walk(inner, "", "", "")} | {step_id}
    if {at.after, at.parent} & within:
        raise Invalid(Fault("/at", "cannot stand within itself"))
    sequence, number = _place(changed, at)
    if sequence is found.sequence and number > found.number:
        number -= 1
    del found.sequence[found.number]
    sequence.insert(number, found.step)
    return changed


def copy(definition: Mapping[str, Any], step_id: str, at: Spot | None = None) -> tuple[Json, str]:
    """Puts a copy of a step behind it, or at a spot, with ids of its own; gives the id of the copy as well."""
    step = deepcopy(find(definition, step_id).step)
    taken = ids(definition)
    for found in _walk([step], "", "", ""):
        found.step["id"] = fresh(taken, found.step["id"])
        taken.add(found.step["id"])
    return insert(definition, step, at or Spot(after=step_id)), step["id"]


def shift(definition: Mapping[str, Any], step_id: str, way: str) -> Json:
    """Moves a step as keys do: `up` and `down` the journey, `in` to a branch or the next one, `out` of it or back.

    What cannot go further stays where it is.
    """
    found = find(definition, step_id)
    at = {"up": _up, "down": _down, "in": _into, "out": _out}[way](definition, found)
    return move(definition, step_id, at) if at else _copied(definition)


def _up(definition: Mapping[str, Any], found: Found) -> Spot | None:
    if found.number == 0:
        return _before(find(definition, found.parent)) if found.parent else None
    return _before(_beside(found, -1))


def _down(_: Mapping[str, Any], found: Found) -> Spot | None:
    if found.number + 1 < len(found.sequence):
        return Spot(after=found.sequence[found.number + 1]["id"])
    return Spot(after=found.parent) if found.parent else None


def _into(definition: Mapping[str, Any], found: Found) -> Spot | None:
    if found.number and (ways := branches(found.sequence[found.number - 1])):
        return _end(found.sequence[found.number - 1]["id"], ways[0])
    return _neighbour(definition, found, 1)


def _out(definition: Mapping[str, Any], found: Found) -> Spot | None:
    if not found.parent:
        return None
    return _neighbour(definition, found, -1) or _before(find(definition, found.parent))


def _neighbour(definition: Mapping[str, Any], found: Found, by: int) -> Spot | None:
    """The end of the branch beside this one."""
    if not found.parent:
        return None
    ways = branches(find(definition, found.parent).step)
    number = [name for name, _ in ways].index(found.branch) + by
    return _end(found.parent, ways[number]) if 0 <= number < len(ways) else None


def _end(parent: str, way: tuple[str, Sequence[Json]]) -> Spot:
    name, inner = way
    return Spot(after=inner[-1]["id"]) if inner else Spot(parent=parent, branch=name)


def _beside(found: Found, by: int) -> Found:
    number = found.number + by
    return Found(found.sequence[number], "", found.sequence, number, found.parent, found.branch)


def _before(found: Found) -> Spot:
    if found.number:
        return Spot(after=found.sequence[found.number - 1]["id"])
    return Spot(parent=found.parent, branch=found.branch)


def _place(definition: Json, at: Spot) -> tuple[list[Json], int]:
    """The sequence a spot is in, and the number there."""
    if at.after:
        found = find(definition, at.after)
        return found.sequence, found.number + 1
    if not at.parent:
        return definition.setdefault("steps", []), 0
    for name, inner in branches(find(definition, at.parent).step):
        if name == at.branch:
            return inner, 0
    raise Conflict("branch_gone", f"the branch {at.branch} is not there any more")


def ids(definition: Mapping[str, Any]) -> set[str]:
    """The ids of all steps."""
    return {found.step["id"] for found in walk(definition)}


def fresh(taken: set[str], wish: str) -> str:
    """The wished id, or the first free one like it."""
    if wish not in taken:
        return wish
    stem = wish.rstrip("0123456789").rstrip("-")[:58]
    return next(name for name in (f"{stem}-{n}" for n in range(2, len(taken) + 3)) if name not in taken)


def _copied(definition: Mapping[str, Any]) -> Json:
    return deepcopy(dict(definition))


def trimmed(definition: Mapping[str, Any]) -> Json:
    """Without branches that hold nothing, which need not be said."""
    kept = _copied(definition)
    for found in list(walk(kept)):
        for holder in (found.step, *found.step.get("branches", ()), *found.step.get("variants", ())):
            for name in ("steps", "then", "otherwise"):
                if holder.get(name) == []:
                    del holder[name]
    return kept


# -------------------------------------------------------------------------------------------- differences
class Change(StrEnum):
    """How a step differs between two versions of a journey."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"
    SAME = "same"


def compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[dict[str, Change], dict[str, Change]]:
    """What became of every step of the old definition, and what is true of every step of the new one, by id."""
    before = {found.step["id"]: found for found in walk(_copied(old))}
    after = {found.step["id"]: found for found in walk(_copied(new))}
    told = {name: _change(before[name], after[name]) for name in before.keys() & after.keys()}
    moved = _moved([name for name in before if name in after], [name for name in after if name in before])
    told |= {name: Change.MOVED for name in moved if told[name] == Change.SAME}
    left = {name: told.get(name, Change.REMOVED) for name in before}
    return left, {name: told.get(name, Change.ADDED) for name in after}


def _change(old: Found, new: Found) -> Change:
    if _bare(old.step) != _bare(new.step):
        return Change.CHANGED
    return Change.SAME if (old.parent, old.branch) == (new.parent, new.branch) else Change.MOVED


def _bare(step: Json) -> Json:
    """A step without what its branches hold."""
    bare = deepcopy(step)
    for _, inner in branches(bare):
        inner.clear()
    return bare


def _moved(before: list[str], after: list[str]) -> set[str]:
    """The fewest steps that were moved from one order to the other: all but the longest run that kept its order."""
    order = {name: number for number, name in enumerate(after)}
    best: list[list[str]] = []
    for name in before:
        runs = [run for run in best if order[run[-1]] < order[name]]
        best.append([*(max(runs, key=len) if runs else ()), name])
    return set(before) - set(max(best, key=len) if best else ())
