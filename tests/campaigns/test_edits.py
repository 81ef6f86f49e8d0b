"""Changes to a journey while it is written: pure operations on its tree, each step named by its id."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.definitions import edits
from campaigns.definitions.edits import Change, Spot
from foundation.errors import Conflict, Invalid


def _wait(name: str) -> dict[str, Any]:
    return {"type": "wait", "id": name, "duration": "1h"}


def _journey() -> dict[str, Any]:
    split = {
        "type": "split",
        "id": "split",
        "branches": [{"name": "gold", "steps": [_wait("x"), _wait("y")]}],
        "otherwise": [_wait("z")],
    }
    return {"title": "T", "steps": [_wait("a"), split, _wait("b")]}


def _order(definition: dict[str, Any]) -> list[str]:
    return [f"{found.branch or '-'}:{found.step['id']}" for found in edits.walk(definition)]


def test_a_step_is_put_in_anywhere() -> None:
    journey = _journey()
    new = _wait("new")
    assert _order(edits.insert(journey, new, Spot()))[0] == "-:new"
    assert _order(edits.insert(journey, new, Spot(after="a")))[:2] == ["-:a", "-:new"]
    assert "branches/0/steps:new" in _order(edits.insert(journey, new, Spot(parent="split", branch="branches/0/steps")))
    assert _order(edits.insert(journey, new, Spot(after="z")))[-2:] == ["otherwise:new", "-:b"]
    assert _order(journey) == _order(_journey()), "what was given stays as it was"


@pytest.mark.parametrize("at", [Spot(after="gone"), Spot(parent="split", branch="branches/7/steps")])
def test_a_place_that_is_gone_is_named(at: Spot) -> None:
    with pytest.raises(Conflict):
        edits.insert(_journey(), _wait("new"), at)


@pytest.mark.parametrize("text", ["after:a", "head::", "head:split:branches/0/steps"])
def test_a_spot_is_read_as_it_is_written(text: str) -> None:
    assert str(edits.spot(text)) == text
    with pytest.raises(Invalid):
        edits.spot("somewhere")


def test_keys_move_a_step_up_down_and_through_branches() -> None:
    journey = _journey()
    assert _order(edits.shift(journey, "b", "up"))[:2] == ["-:a", "-:b"]
    assert _order(edits.shift(journey, "a", "up")) == _order(journey)
    assert _order(edits.shift(journey, "x", "up"))[:2] == ["-:a", "-:x"]
    assert _order(edits.shift(journey, "y", "down"))[-2:] == ["-:y", "-:b"]
    assert _order(edits.shift(journey, "b", "in"))[-2:] == ["branches/0/steps:b", "otherwise:z"]
    assert "otherwise:y" in _order(edits.shift(journey, "y", "in"))
    assert "branches/0/steps:z" in _order(edits.shift(journey, "z", "out"))
    assert _order(edits.shift(journey, "y", "out"))[1] == "-:y"


def test_a_step_never_stands_within_itself() -> None:
    with pytest.raises(Invalid):
        edits.move(_journey(), "split", Spot(after="x"))
    with pytest.raises(Invalid):
        edits.move(_journey(), "split", Spot(parent="split", branch="otherwise"))


def test_a_copy_has_ids_of_its_own() -> None:
    changed, made = edits.copy(_journey(), "split")
    assert made == "split-2"
    assert edits.ids(changed) == {"a", "split", "x", "y", "z", "b", "split-2", "x-2", "y-2", "z-2"}


def test_a_step_leaves_with_its_branches() -> None:
    assert edits.ids(edits.remove(_journey(), "split")) == {"a", "b"}


def test_versions_are_compared_step_by_step() -> None:
    old = _journey()
    new = edits.shift(edits.remove(edits.insert(old, _wait("new"), Spot(after="b")), "z"), "b", "up")
    new = edits.replace(new, "a", {**_wait("a"), "duration": "2h"})
    left, right = edits.compared(old, new)
    assert left["z"] is Change.REMOVED and right["new"] is Change.ADDED
    assert left["a"] is right["a"] is Change.CHANGED
    assert right["b"] is Change.MOVED and right["x"] is Change.SAME
    assert set(edits.compared(old, old)[0].values()) == {Change.SAME}


@given(st.lists(st.tuples(st.sampled_from("abxyz"), st.sampled_from(["up", "down", "in", "out"])), max_size=12))
def test_however_steps_are_moved_none_is_lost(moves: list[tuple[str, str]]) -> None:
    journey = _journey()
    for step, way in moves:
        journey = edits.shift(journey, step, way)
    assert edits.ids(journey) == edits.ids(_journey())
    assert len(list(edits.walk(journey))) == 6
