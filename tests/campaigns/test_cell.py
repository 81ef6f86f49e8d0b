"""Texts are tried in a process of their own: what hangs or swells is killed, and the next text is served."""

import statistics
import time
from pathlib import Path

import pytest

from campaigns import cell, wording
from campaigns.definitions.content import FIELDS
from tests.campaigns import hostile


def test_what_is_hostile_is_never_rendered_and_ends_in_time(tmp_path: Path) -> None:
    wording.render("warm {{ x }}", {"x": "y"})
    witness, values = tmp_path / "witness", {"x": {"y": "z"}, "a": None, "customer": {}, "cart": {"lines": []}}
    took = list[float]()
    for source in hostile.corpus(str(witness)):
        begun = time.monotonic()
        with pytest.raises(wording.WordingError):
            wording.render(source, values)
        took.append(time.monotonic() - begun)
    assert len(took) == 266 and max(took) < 2.5 and statistics.median(took) < 0.05
    assert not witness.exists()


@pytest.mark.parametrize("source", hostile.FOREIGN)
def test_what_other_languages_would_run_is_said_to_the_letter(source: str) -> None:
    assert wording.check(source, fields=FIELDS) == []
    assert wording.render(source, {}) == source


MEGABYTE = 1024 * 1024
TAKEN = {"swell": 2048 * MEGABYTE, "much": 513 * MEGABYTE, "some": 300 * MEGABYTE}


def trial(text: str) -> str | None:
    """A trial that never ends, or takes all there is."""
    if text in TAKEN:
        assert len(bytearray(TAKEN[text])) == TAKEN[text]
        return None
    if text == "hang":
        while True:
            pass
    return "is odd" if text == "odd" else None


def test_the_limits_are_two_seconds_and_512_megabytes() -> None:
    """The real ones, once; the next test has smaller ones."""
    made = cell.Cell("tests.campaigns.test_cell")
    try:
        assert made.tried("fine") is None
        begun = time.monotonic()
        assert made.tried("hang") == "takes longer than 2 s to fill in"
        assert 2.0 <= time.monotonic() - begun < 4.0
        assert made.tried("some") is None, "300 MB are within them"
        assert made.tried("much") == "needs more memory than 512 MB"
        assert made.tried("fine") is None
    finally:
        made.close()


def test_what_hangs_or_swells_is_killed_and_the_next_is_served() -> None:
    made = cell.Cell("tests.campaigns.test_cell", seconds=0.5, memory=1024 * 1024 * 1024)
    try:
        assert made.tried("fine") is None
        assert made.tried("hang") == "takes longer than 0.5 s to fill in"
        assert made.tried("odd") == "is odd"
        assert made.tried("swell") == "needs more memory than 1024 MB"
        assert made.tried("fine") is None
    finally:
        made.close()
