"""What an e-mail looks like: a layout of blocks in MJML, compiled once for each order of blocks that is used.

The compiler makes HTML that Outlook and telephones both understand, every style inline. What is filled in for each
reader are Jinja's marks, which the compiler never sees: they are put aside before and put back after. A block that has
nothing to show is left out. The text part has blocks of its own; it is written, not scraped.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from mjml import mjml2html

CLIPPED = 100 * 1024
"""Mail readers cut longer mails off: marketers are warned."""
FOLDER = Path(__file__).resolve().parent.parent / "templates" / "messages" / "email"

_MARK = re.compile(r"{{.*?}}|{%.*?%}", re.DOTALL)
_ASIDE = re.compile(r"jqx(\d+)xqj")

_html = Environment(autoescape=True, undefined=StrictUndefined, auto_reload=False, trim_blocks=True)
_text = Environment(autoescape=False, undefined=StrictUndefined, auto_reload=False)  # noqa: S701 - plain text


@dataclass(frozen=True, slots=True)
class Layout:
    """The two templates of one order of blocks; both take `blocks`, what each of them shows, and the page's values."""

    html: Template
    text: Template


@lru_cache(maxsize=256)
def layout(kinds: Sequence[str]) -> Layout:
    """The layout of blocks of these kinds, in their order; `kinds` is a tuple of the names in `blocks/`."""
    frame = (FOLDER / "frame.mjml").read_text()
    parts = [_part(number, kind) for number, kind in enumerate(kinds)]
    html = compiled(frame.replace("BLOCKS", "\n".join(parts)))
    text = "".join(_when(number, (FOLDER / "blocks" / f"{kind}.txt").read_text()) for number, kind in enumerate(kinds))
    return Layout(_html.from_string(html), _text.from_string(text))


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


def _part(number: int, kind: str) -> str:
    mjml = (FOLDER / "blocks" / f"{kind}.mjml").read_text()
    begin, end = f"<mj-raw>{_begin(number)}</mj-raw>", "<mj-raw>{% endif %}</mj-raw>"
    return f"{begin}\n{mjml}\n{end}"


def _when(number: int, text: str) -> str:
    return f"{_begin(number)}{text}{{% endif %}}"


def _begin(number: int) -> str:
    return f"{{% set block = blocks[{number}] %}}{{% if block %}}"
