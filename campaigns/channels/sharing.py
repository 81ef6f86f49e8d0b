"""What like mails have in common, so that one call carries many: one body with tags, and each mail's own values. Pure.

Mails of one campaign differ in a name, some links, a few prices. Line by line, what they share stays and what is in
between becomes a tag; putting a mail's values back in gives its body to the letter. SendGrid calls these substitutions.
"""

import itertools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix

MARK = "-rl"
MOST_BYTES = 10_000
"""What the values of one recipient may weigh together."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Bodies with tags, and for each mail, in order, the values that go where the tags stand."""

    html: str
    text: str
    values: Sequence[dict[str, str]]


def shape(html: str, text: str) -> tuple[int, int]:
    """Mails of another shape have nothing in common."""
    return html.count("\n"), text.count("\n")


def shareable(html: str, text: str) -> bool:
    """Whether tags can be told from what the mail itself says."""
    return MARK not in html and MARK not in text


def share(bodies: Sequence[tuple[str, str]]) -> Shared:
    """Takes what mails of one shape, all of them shareable, have in common; `bodies` are their HTML and text."""
    tags: dict[tuple[str, ...], str] = {}
    html = _common([html.split("\n") for html, _ in bodies], tags)
    text = _common([text.split("\n") for _, text in bodies], tags)
    values = [{tag: cells[index] for cells, tag in tags.items()} for index in range(len(bodies))]
    return Shared(html, text, values)


def weight(values: dict[str, str]) -> int:
    """The bytes of one recipient's tags and values."""
    return len("".join(itertools.chain(values, values.values())).encode())


def _common(columns: Sequence[list[str]], tags: dict[tuple[str, ...], str]) -> str:
    """The lines of all, with a tag where they differ. The same difference again gets the same tag."""
    first, *others = columns
    lines, numbers = list(first), range(len(first))
    differing = {n for other in others for n in itertools.compress(numbers, map(operator.ne, first, other))}
    for number in differing:
        cells = [column[number] for column in columns]
        start = len(commonprefix(cells))
        rests = [cell[start:] for cell in cells]
        end = len(commonprefix([rest[::-1] for rest in rests]))
        own = tuple(rest[: len(rest) - end] for rest in rests)
        tag = tags.setdefault(own, f"{MARK}{len(tags)}-")
        lines[number] = cells[0][:start] + tag + rests[0][len(rests[0]) - end :]
    return "\n".join(lines)
