"""What like mails have in common, so that one call carries many: one body with tags, and each mail's own values. Pure.

Mails of one campaign differ in a name, some links, a few prices: those become tags, and putting a mail's values back in
gives its body to the letter. SendGrid calls these substitutions. Mails just rendered say themselves which of their
pieces are values. Those frozen earlier are compared line by line: a few show where all of them differ; the others are
only cut there, and whoever does not fit is looked at too.
"""

import itertools
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix

from campaigns.channels.pieces import Pieces

MARK = "-rl"
_TAG = re.compile(rf"{MARK}\d")
"""How each tag begins. Signed links have the mark itself in them now and then."""
MOST_BYTES = 10_000
"""What the values of one recipient may weigh together."""
SAMPLE, MOST_SAMPLED = 4, 12


@dataclass(frozen=True, slots=True)
class Shared:
    """Bodies with tags, and for each mail, in order, the values that go where the tags stand; None for one that is made
    otherwise and shares nothing."""

    html: str
    text: str
    values: Sequence[dict[str, str] | None]


def gather(made: Sequence[tuple[Pieces, Pieces]]) -> Shared:
    """The same of mails that are all of one form, by their pieces, HTML and text."""
    tags: dict[tuple[str, ...], str] = {}
    html, in_html = _named([html for html, _ in made], tags)
    text, in_text = _named([text for _, text in made], tags)
    rows = list(zip(*tags, strict=True)) or [()] * len(made)
    fits = [not _TAG.search("\n".join(row)) for row in rows]
    if len(_TAG.findall(f"{html}\n{text}")) > in_html + in_text or not any(fits):
        return Shared("", "", [None] * len(made))
    own = [dict(zip(tags.values(), row, strict=True)) for row in rows]
    return Shared(html, text, [values if fit else None for values, fit in zip(own, fits, strict=True)])


def _named(made: Sequence[Pieces], tags: dict[tuple[str, ...], str]) -> tuple[str, int]:
    """A text with a tag for each value in which mails differ, and how many. The same difference gets the same tag."""
    said, number = list[str](), 0
    for cells in zip(*(pieces.values for pieces in made), strict=True):
        differ = cells.count(cells[0]) < len(cells)
        said.append(tags.setdefault(cells, f"{MARK}{len(tags)}-") if differ else cells[0])
        number += differ
    return made[0].form.written(said), number


def share(bodies: Sequence[tuple[str, str]]) -> Shared:
    """Takes what mails have in common that are made like the first; `bodies` are their HTML and text.

    A mail that says what a tag could be taken for shares nothing either.
    """
    html, in_html = _cut([html for html, _ in bodies])
    text, in_text = _cut([text for _, text in bodies])
    fits = [
        a is not None and b is not None and not _TAG.search("\n".join((*a, *b)))
        for a, b in zip(in_html, in_text, strict=True)
    ]
    if _TAG.search("\n".join((*html, *text))) or not any(fits):
        return Shared("", "", [None] * len(bodies))
    tags: dict[tuple[str, ...], str] = {}
    bodies_of = (_tagged(html, _kept(in_html, fits), tags), _tagged(text, _kept(in_text, fits), tags))
    places = itertools.count()
    return Shared(*bodies_of, [_values(tags, next(places)) if fit else None for fit in fits])


def _values(tags: dict[tuple[str, ...], str], place: int) -> dict[str, str]:
    return {tag: cells[place] for cells, tag in tags.items()}


def weight(values: dict[str, str]) -> int:
    """The bytes of one recipient's tags and values."""
    return len("".join(itertools.chain(values, values.values())).encode())


def _kept(rows: Sequence[tuple[str, ...] | None], fits: Sequence[bool]) -> list[tuple[str, ...]]:
    return [row for row, fit in zip(rows, fits, strict=True) if fit and row is not None]


def _tagged(segments: Sequence[str], rows: Sequence[tuple[str, ...]], tags: dict[tuple[str, ...], str]) -> str:
    """What all say, with a tag where they differ. The same difference again gets the same tag."""
    named = [tags.setdefault(cells, f"{MARK}{len(tags)}-") for cells in zip(*rows, strict=True)]
    return segments[0] + "".join(itertools.chain.from_iterable(zip(named, segments[1:], strict=True)))


def _cut(texts: Sequence[str]) -> tuple[list[str], list[tuple[str, ...] | None]]:
    """What all say, and what each says in between; None for one with another number of lines than the first."""
    lines = texts[0].count("\n")
    sample = [text for text in texts[:SAMPLE] if text.count("\n") == lines]
    while True:
        segments = _segments(sample)
        rows = [_between(text, segments) for text in texts]
        odd = [text for text, row in zip(texts, rows, strict=True) if row is None and text.count("\n") == lines]
        if not odd:
            return segments, rows
        sample = [*sample, odd[0]] if len(sample) < MOST_SAMPLED else [*sample, *odd]


def _segments(sample: Sequence[str]) -> list[str]:
    """What all of them say, cut wherever they differ; between two cuts there is always the end of a line."""
    first, *others = [text.split("\n") for text in sample]
    differing = {n for other in others for n in itertools.compress(range(len(first)), map(operator.ne, first, other))}
    segments, begin, kept = list[str](), 0, ""
    for number in sorted(differing):
        cells = [lines[number] for lines in (first, *others)]
        start = len(commonprefix(cells))
        end = len(commonprefix([cell[start:][::-1] for cell in cells]))
        segments.append("\n".join([*([kept] if begin else []), *first[begin:number], first[number][:start]]))
        begin, kept = number + 1, first[number][len(first[number]) - end :]
    segments.append("\n".join([*([kept] if begin else []), *first[begin:]]))
    return segments


def _between(text: str, segments: Sequence[str]) -> tuple[str, ...] | None:
    """What a text says between the segments, which are then all there is beside; None if they do not fit it.

    A value ends in its line, so the next segment is found by the end of that line, not by searching for it.
    """
    if not text.startswith(segments[0]):
        return None
    values, place = [], len(segments[0])
    for segment in segments[1:]:
        cut = segment.find("\n")
        end = len(text) - len(segment) if cut < 0 else text.find("\n", place) - cut
        if end < place or not text.startswith(segment, end):
            return None
        values.append(text[place:end])
        place = end + len(segment)
    return tuple(values) if place == len(text) else None
