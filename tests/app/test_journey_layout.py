"""A journey as it is drawn: the spine as wide as people are many, and who leaves on each edge, why."""

import re

import pytest

from app.console import journey_layout
from app.console.journey_layout import EDGE, LEFT, LINE, WIDEST, Edge, Journey
from campaigns.figures import Walked
from tests.campaigns.journey import send, wait

STEPS = [wait("pause", "1h"), send("first"), wait("night", "1d"), send("second")]


def _laid(walked: Walked | None, steps: list[dict[str, object]] = STEPS) -> Journey:
    return journey_layout.lay({"steps": steps}, walked)


def _before(journey: Journey, step: str) -> Edge:
    return next(node.before for node in journey.sequence.nodes if node.step["id"] == step)


def _number(pattern: str, path: str) -> float:
    found = re.search(pattern, path)
    assert found, path
    return float(found[1])


WALKED = Walked(
    entered=100,
    passed={"pause": {"0": 70}, "first": {"0": 60}, "night": {"0": 55}, "second": {"0": 50}},
    left={
        "pause": {"converted": 20, "cancelled": 10},
        "first": {"converted": 6},
        "": {"ended": 40, "converted": 10},
    },
    standing={"first": 4, "night": 5},
)


def test_who_leaves_is_told_on_the_edge_before_the_step_the_most_first() -> None:
    journey = _laid(WALKED)
    assert [(one.reason, one.people) for one in _before(journey, "pause").losses] == [
        ("converted", 20),
        ("cancelled", 10),
    ]
    assert [(one.reason, one.people) for one in _before(journey, "first").losses] == [("converted", 6)]
    assert _before(journey, "night").losses == () and _before(journey, "second").losses == ()


def test_coming_to_the_end_is_no_loss_but_leaving_behind_the_last_step_is() -> None:
    last = _laid(WALKED).sequence.last
    assert last is not None
    assert [(one.reason, one.people) for one in last.losses] == [("converted", 10)]


def test_everybody_is_on_one_way_or_another() -> None:
    journey = _laid(WALKED)
    people = {node.step["id"]: node.people for node in journey.sequence.nodes}
    assert people == {"pause": 100, "first": 70, "night": 60, "second": 50}
    arrived = people["pause"]
    lost = sum(one.people for one in _before(journey, "pause").losses)
    assert arrived is not None and arrived - lost == people["first"], (
        "who neither left nor stands came to the next step"
    )


def test_a_journey_nobody_walked_has_no_losses_and_no_numbers() -> None:
    for walked in (None, Walked()):
        journey = _laid(walked)
        assert journey.entered is None
        assert all(node.before.losses == () and node.people is None for node in journey.sequence.nodes)


def test_held_out_people_are_no_loss() -> None:
    journey = _laid(Walked(entered=0, held_out=7))
    assert journey.held_out == 7 and all(node.before.losses == () for node in journey.sequence.nodes)


def test_the_spine_is_as_wide_as_people_are_many_and_losses_branch_off_beside_each_other() -> None:
    edge = _before(_laid(WALKED), "pause")
    assert _number(r"H([\d.]+)V", edge.spine) == LEFT + WIDEST
    begins = [_number(r"M([\d.]+) 0", one.path) for one in edge.losses]
    assert begins[0] == LEFT + WIDEST and begins[1] > begins[0], "the second begins where the first ends"


@pytest.mark.parametrize("reasons", [1, 2, 3, 6])
def test_an_edge_is_high_enough_for_a_line_of_words_for_each_reason(reasons: int) -> None:
    left = {"first": {f"reason-{n}": n + 1 for n in range(reasons)}}
    edge = _before(_laid(Walked(entered=50, left=left, standing={"second": 5})), "first")
    assert len(edge.losses) == reasons and edge.height == max(EDGE, EDGE + LINE * (reasons - 1))
    middles = [_number(r"94 ([\d.-]+)V", one.path) for one in edge.losses]
    assert middles == sorted(middles) and all(0 < middle < edge.height + LINE for middle in middles)


def test_losses_within_a_branch_stand_on_its_own_edge() -> None:
    split = {
        "type": "split",
        "id": "split",
        "branches": [{"when": {"type": "orders", "value": 1}, "steps": [send("inside")]}],
        "otherwise": [],
    }
    walked = Walked(
        entered=10, passed={"split": {"0": 6, "1": 4}, "inside": {"0": 4}}, left={"inside": {"converted": 2}}
    )
    journey = _laid(walked, [split, send("after")])
    way = journey.sequence.nodes[0].ways[0]
    assert way.people == 6 and [one.people for one in way.sequence.nodes[0].before.losses] == [2]
    assert way.sequence.last is not None and way.sequence.last.losses == (), "nobody can leave at the end of a branch"
    assert _before(journey, "split").losses == () and _before(journey, "after").losses == ()
