"""What an e-mail looks like: a layout of blocks in MJML, compiled once for each order of blocks that is used.

The compiler makes HTML that Outlook and telephones both understand, every style inline. What is filled in for each
reader are Jinja's marks, which the compiler never sees: they are put aside before and put back after. A block that has
nothing to show is left out. The text part has blocks of its own; it is written, not scraped.

A layout only shows values, asks whether there are any, and repeats for each; so what decides all of it but the values
is which of them there are. Jinja fills a part once for each such shape, with places where values go; for every other
reader of that shape her values are put there (`campaigns/channels/pieces.py`). Every text is a value unless it is said
to be the same for all (`Fixed`, `Same`, `Phrases`): what is about somebody cannot become a constant by accident.
"""

import html as markup
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, meta, nodes
from mjml import mjml2html

from campaigns.channels.pieces import Body, Cut, Fixed, Form, Same
from campaigns.phrases import Phrases

CLIPPED = 100 * 1024
"""Mail readers cut longer mails off: marketers are warned."""
FOLDER = Path(__file__).resolve().parent.parent / "templates" / "messages" / "email"

_PREVIEW = re.compile(r'<body[^>]*>\s*<div style="display:none[^>]*>(.*?)</div>', re.DOTALL)
_MARK = re.compile(r"{{.*?}}|{%.*?%}|{#.*?#}", re.DOTALL)
_ASIDE = re.compile(r"jqx(\d+)xqj")
_BLOCK = re.compile(r"{% set block = blocks\[\d+\] %}({% if block %}.*?){# block #}", re.DOTALL)
_PLACE = re.compile(r"\0(\d+)\0")
_ASKED = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.If, nodes.For, nodes.Or)

HTML = Environment(
    autoescape=True, undefined=StrictUndefined, auto_reload=False, trim_blocks=True, keep_trailing_newline=True
)
TEXT = Environment(autoescape=False, undefined=StrictUndefined, auto_reload=False, keep_trailing_newline=True)  # noqa: S701 - plain text
_END = "{% endif %}{# block #}"


@dataclass(frozen=True, eq=False, slots=True)
class _Part:
    """A block, or what stands between two: its templates, and the names of the values it shows."""

    html: Template
    text: Template
    names: tuple[str, ...]


class Layout:
    """One order of blocks, each of a kind."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self.kinds = tuple(kinds)
        html, text = sources(kinds)
        between, written = _BLOCK.split(html.removesuffix("\n")), _BLOCK.findall(text)
        # What follows a block begins, as in the whole, behind a tag: where that ends a line, the line's end is dropped.
        self.frame = [_part(f"{{# #}}{piece}" if number else piece, "") for number, piece in enumerate(between[::2])]
        self.blocks = [_part(*both) for both in zip(between[1::2], written, strict=True)]
        if any(part.names for part in self.frame[1:]):
            raise ValueError("a layout's frame shows values of its own before its blocks alone")

    def fill(self, page: Mapping[str, Any], shown: Sequence[Mapping[str, Any] | None]) -> Body:
        """HTML and text with the page's values; `shown` are the values of each block, None for one left out."""
        values: list[str] = []
        shapes: list[tuple[_Shape, ...] | None] = [_shapes([page[name] for name in self.frame[0].names], values)]
        for part, block in zip(self.blocks, shown, strict=True):
            here = [block if name == "block" else page[name] for name in part.names] if block else None
            shapes.append(_shapes(here, values) if here else None)
        return Body(_form(self, tuple(shapes)), values)


@lru_cache(maxsize=256)
def layout(kinds: Sequence[str]) -> Layout:
    """The layout of blocks of these kinds, in their order; `kinds` is a tuple of the names in `blocks/`."""
    return Layout(kinds)


# --------------------------------------------------------------------------------------------- compiling
def preview(body: Body) -> str:
    """The words mail readers show beside the subject: the preview text, which opens the HTML unseen; of what has no
    HTML the text."""
    hidden = _PREVIEW.search(body.html or "")
    return markup.unescape(hidden[1]).strip() if hidden else body.text


def sources(kinds: Sequence[str]) -> tuple[str, str]:
    """The two templates of this order of blocks, whole; both take `blocks`, what each shows, and the page's values."""
    frame = (FOLDER / "frame.mjml").read_text()
    parts = [_mjml(number, kind) for number, kind in enumerate(kinds)]
    html = compiled(frame.replace("BLOCKS", "\n".join(parts)))
    text = "".join(_when(number, (FOLDER / "blocks" / f"{kind}.txt").read_text()) for number, kind in enumerate(kinds))
    return html, text


def compiled(mjml: str) -> str:
    """MJML with Jinja's marks in it as HTML with the same marks in the same places."""
    marks: list[str] = []

    def aside(mark: re.Match[str]) -> str:
        marks.append(mark[0])
        return f"jqx{len(marks) - 1}xqj"

    html = mjml2html(_MARK.sub(aside, mjml), fonts={})  # a mail asks no other host for its letters
    # A line to a row, so that mails of one campaign can be told apart line by line; and no line is too long.
    broken = re.sub(r"(</tr>|</div>)(?=<)", r"\1\n", html)
    return _ASIDE.sub(lambda found: marks[int(found[1])], broken)


def _mjml(number: int, kind: str) -> str:
    mjml = (FOLDER / "blocks" / f"{kind}.mjml").read_text()
    begin, end = f"<mj-raw>{_begin(number)}</mj-raw>", f"<mj-raw>{_END}</mj-raw>"
    return f"{begin}\n{mjml}\n{end}"


def _when(number: int, text: str) -> str:
    return f"{_begin(number)}{text}{_END}"


def _begin(number: int) -> str:
    return f"{{% set block = blocks[{number}] %}}{{% if block %}}"


@lru_cache(maxsize=1_024)
def _part(html: str, text: str) -> _Part:
    names = sorted(named(HTML, html) | named(TEXT, text))
    return _Part(HTML.from_string(html), TEXT.from_string(text), tuple(names))


def named(jinja: Environment, source: str) -> set[str]:
    """The values a template shows; raises `ValueError` if it does more with them than its shape could tell."""
    tree = jinja.parse(source)
    if odd := next((node for node in _walk(tree) if not isinstance(node, _ASKED)), None):
        raise ValueError(f"a layout uses {type(odd).__name__}, which depends on more than what there is to show")
    return meta.find_undeclared_variables(tree)


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)


# ----------------------------------------------------------------------------------------------- shapes
class _Text:
    """The shape of a text that is not empty: whatever it says, it is shown in the same places."""


_TEXT = _Text()
_CONSTANT = (Fixed, Same, Phrases, bool, type(None), str)
"""What is part of a form as it is. Of texts only the empty one is."""
_Shape = Any
"""What remains of values once texts are taken out: hashable, and enough to make values of the same shape again."""


def _shapes(shown: Iterable[Any], values: list[str]) -> tuple[_Shape, ...]:
    """The shapes of all that is shown; its texts are added to `values`. Raises `TypeError` for anything that might be
    about somebody and is no text."""
    shapes: list[_Shape] = []
    for one in shown:
        kind = type(one)
        if kind is str and one:
            values.append(one)
            shapes.append(_TEXT)
        elif kind is dict:
            shapes.append((dict, tuple(one), _shapes(one.values(), values)))
        elif kind is list:
            shapes.append((list, _shapes(one, values)))
        elif kind in _CONSTANT:
            shapes.append((kind, one))
        else:
            raise TypeError(f"a layout shows a {kind.__name__}; what is shown is a text")
    return tuple(shapes)


def _example(shape: _Shape, places: Iterator[int]) -> Any:
    """Values of this shape, each text saying which it is."""
    if shape is _TEXT:
        return f"\0{next(places)}\0"
    kind, value = shape[0], shape[-1]
    if kind is dict:
        return dict(zip(shape[1], (_example(one, places) for one in value), strict=True))
    return [_example(one, places) for one in value] if kind is list else value


@lru_cache(maxsize=2_048)
def _cuts(part: _Part, shapes: tuple[_Shape, ...]) -> tuple[Cut, Cut, int]:
    """HTML and text of a part for values of these shapes, and how many there are."""
    places = count()
    values = {name: _example(shape, places) for name, shape in zip(part.names, shapes, strict=True)}
    return _cut(part.html.render(values)), _cut(part.text.render(values)), next(places)


def _cut(filled: str) -> Cut:
    pieces = _PLACE.split(filled)
    return Cut(pieces[::2], [int(place) for place in pieces[1::2]])


@lru_cache(maxsize=64)
def _form(layout: Layout, shapes: tuple[tuple[_Shape, ...] | None, ...]) -> Form:
    """Of this layout's mails whose frame and blocks are of these shapes; None for a block left out."""
    frame, before = iter(layout.frame), 0
    parts = [(next(frame), shapes[0] or ())]
    for part, shape in zip(layout.blocks, shapes[1:], strict=True):
        parts += [*([(part, shape)] if shape else []), (next(frame), ())]
    cuts: tuple[list[Cut], list[Cut]] = ([], [])
    for part, shape in parts:
        *both, number = _cuts(part, shape)
        for found, cut in zip(cuts, both, strict=True):
            found.append(Cut(cut.constants, [before + place for place in cut.places]))
        before += number
    return Form(*map(_joined, cuts))


def _joined(cuts: Sequence[Cut]) -> Cut:
    """One after the other."""
    constants = list(cuts[0].constants)
    for cut in cuts[1:]:
        constants[-1] += cut.constants[0]
        constants.extend(cut.constants[1:])
    return Cut(constants, [place for cut in cuts for place in cut.places])
