"""The ways of a dry run's customers, all walked together: what splits ask is asked once for all who stand there."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from campaigns import rehearsal, segments
from campaigns.definitions import shapes
from campaigns.definitions.conditions import Condition
from campaigns.definitions.steps import Branch, Split
from campaigns.rehearsal import Asking, Entrant, Line, Question, Stage
from campaigns.supposing import suppose

Rules = Mapping[str, Condition]
"""Rules of segments, by name."""
_Seen = dict[tuple[object, ...], dict[int, bool]]
"""Whom a branch was found to hold for, by what was supposed of them: nobody is asked about twice."""


def rules(conn: sa.Connection) -> Rules:
    """The rules of all segments."""
    return {segment.name: segment.rule for segment in segments.every(conn) if segment.rule is not None}


def walked(
    conn: sa.Connection, stage: Stage, entrants: Sequence[Entrant], known: Rules, *, now: datetime
) -> list[tuple[Entrant, list[Line]]]:
    """What each entrant would have met, customer by customer; everything a customer came in by must be among them.

    What rules ask of customers is answered as things are today, and as the steps before would have left their traits.
    """
    mine: dict[int, list[Entrant]] = defaultdict(list)
    for one in entrants:
        mine[one.customer_id].append(one)
    walks = {customer: rehearsal.walk(stage, ways) for customer, ways in mine.items()}
    told: dict[int, list[list[Line]]] = {}
    asked = _on(walks, dict.fromkeys(walks), told)
    seen: _Seen = defaultdict(dict)
    while asked:
        asked = _on(walks, _answers(conn, stage, asked, known=known, seen=seen, now=now), told)
    return [way for customer, ways in mine.items() for way in zip(ways, told[customer], strict=True)]


def _on(
    walks: Mapping[int, Asking], answers: Mapping[int, int | None], told: dict[int, list[list[Line]]]
) -> dict[int, Question]:
    """Each goes on with her answer, until she asks again or has told everything."""
    asked: dict[int, Question] = {}
    for customer, branch in answers.items():
        walk = walks[customer]
        try:
            asked[customer] = next(walk) if branch is None else walk.send(branch)
        except StopIteration as end:
            told[customer] = end.value
    return asked


def _answers(
    conn: sa.Connection, stage: Stage, asked: Mapping[int, Question], *, known: Rules, seen: _Seen, now: datetime
) -> dict[int, int]:
    """The branch each is led to; one statement a branch for all of whom the same is supposed."""
    alike: dict[tuple[str, bytes, bytes], list[Question]] = defaultdict(list)
    for one in asked.values():
        alike[one.split, _word(one.written), _word(one.settled)].append(one)
    answers: dict[int, int] = {}
    for key, questions in alike.items():
        split = stage.flow.nodes[key[0]].step
        if not isinstance(split, Split):
            continue
        left = {one.entrant.customer_id: one for one in questions}
        for number, branch in enumerate(split.branches):
            for customer in _fits(conn, branch, left, known=known, seen=seen[*key, number], now=now):
                answers[customer] = number
                del left[customer]
        answers |= dict.fromkeys(left, len(split.branches))
    return answers


def _word(traits: Mapping[str, Any]) -> bytes:
    return orjson.dumps(traits, option=orjson.OPT_SORT_KEYS)


def _fits(
    conn: sa.Connection, branch: Branch, asked: Mapping[int, Question], *, known: Rules, seen: dict[int, bool],
    now: datetime,
) -> set[int]:  # fmt: skip
    """Whom of these a branch takes; the same is supposed of all of them."""
    fits = {
        customer
        for customer, one in asked.items()
        if all(shapes.holds(test, one.entrant.context) for test in branch.where)
    }
    if branch.when is None or not fits:
        return fits
    one = next(iter(asked.values()))
    rule = suppose(branch.when, written=one.written, settled=one.settled, segments=known)
    new = fits - seen.keys()
    held = segments.matching(conn, rule, new, now=now)
    seen.update({customer: customer in held for customer in new})
    return {customer for customer in fits if seen[customer]}


def whole(entrants: Iterable[Entrant], size: int) -> list[list[Entrant]]:
    """Batches of about so many, in each of which customers are with all they came in by."""
    mine: dict[int, list[Entrant]] = defaultdict(list)
    for one in entrants:
        mine[one.customer_id].append(one)
    batches: list[list[Entrant]] = [[]]
    for ways in mine.values():
        if len(batches[-1]) >= size:
            batches.append([])
        batches[-1] += ways
    return batches
