"""Advisory locks: a number means one thing, so that nobody waits for somebody who has nothing to do with it."""

import re
from collections import defaultdict
from pathlib import Path

HOUSE = Path(__file__).parents[2]
FLOORS = ("foundation", "shop", "recommender", "campaigns", "app")
NUMBER = re.compile(r"LOCK\w* = (\d{4,})|advisory\w*lock\w*\((\d{4,})")


def test_no_two_modules_wait_for_the_same_number() -> None:
    users: dict[str, set[str]] = defaultdict(set)
    for floor in FLOORS:
        for path in (HOUSE / floor).rglob("*.py"):
            for found in NUMBER.finditer(path.read_text()):
                users[found[1] or found[2]].add(str(path.relative_to(HOUSE)))
    assert len(users) > 5
    assert {number: files for number, files in users.items() if len(files) > 1} == {}
