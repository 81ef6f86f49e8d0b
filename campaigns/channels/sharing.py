"""What like mails have in common, so that one call carries many: one body with tags, and each mail's own values. Pure.

Mails of one form differ in a name, some links, a few prices: those become tags, and putting a mail's values back in
gives its body to the letter. SendGrid calls these substitutions.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from campaigns.channels.pieces import Body, Cut

MARK = "-rl"
_TAG = re.compile(rf"{MARK}\d")
"""How each tag begins. Signed links have the mark itself in them now and then."""
MOST_BYTES = 10_000
"""What the values of one recipient may weigh together."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Bodies with tags, and for each mail, in order, the values that go where the tags stand; None for one that says
    what a tag could be taken for, and shares nothing."""

    html: str
    text: str
    values: Sequence[dict[str, str] | None]


def gather(bodies: Sequence[Body]) -> Shared:
    """The same of mails that are all of one form."""
    tags: dict[tuple[str, ...], str] = {}
    form = bodies[0].form
    html, in_html = _named(form.html, [body.escaped for body in bodies], tags)
    text, in_text = _named(form.text, [body.values for body in bodies], tags)
    rows = list(zip(*tags, strict=True)) or [()] * len(bodies)
    fits = [not _TAG.search("\n".join(row)) for row in rows]
    if len(_TAG.findall(f"{html}\n{text}")) > in_html + in_text or not any(fits):
        return Shared("", "", [None] * len(bodies))
    own = [dict(zip(tags.values(), row, strict=True)) for row in rows]
    return Shared(html, text, [values if fit else None for values, fit in zip(own, fits, strict=True)])


def _named(cut: Cut, made: Sequence[Sequence[str]], tags: dict[tuple[str, ...], str]) -> tuple[str, int]:
    """A text with a tag for each value in which mails differ, and how many. The same difference gets the same tag."""
    said, tagged, shown = [""] * len(made[0]), set[int](), set(cut.places)
    for place, cells in enumerate(zip(*made, strict=True)):
        if place in shown and cells.count(cells[0]) < len(cells):
            said[place] = tags.setdefault(cells, f"{MARK}{len(tags)}-")
            tagged.add(place)
        else:
            said[place] = cells[0]
    return cut.written(said), sum(place in tagged for place in cut.places)


def weight(values: dict[str, str]) -> int:
    """The bytes of one recipient's tags and values."""
    return len("".join(itertools.chain(values, values.values())).encode())
