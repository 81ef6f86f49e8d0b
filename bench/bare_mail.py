"""What a mail costs without us: its layout's two Jinja templates, whole, and the values they are filled with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from campaigns import layouts
from campaigns.channels.pieces import Body


@dataclass(frozen=True, slots=True)
class Bare:
    """The templates of one layout, HTML and text, and for each mail made with it the values of both."""

    html: jinja2.Template
    text: jinja2.Template
    values: Sequence[Mapping[str, Any]]


def of(make: Callable[[], object]) -> Bare:
    """The bare form of the mails that `make` renders, all of one layout."""
    filled = list[tuple[layouts.Layout, Mapping[str, Any], Sequence[Any]]]()
    usual = layouts.Layout.fill

    def watched(layout: layouts.Layout, page: Mapping[str, Any], shown: Sequence[Any]) -> Body:
        filled.append((layout, page, shown))
        return usual(layout, page, shown)

    layouts.Layout.fill = watched  # type: ignore[method-assign]
    try:
        make()
    finally:
        layouts.Layout.fill = usual  # type: ignore[method-assign]
    html, text = layouts.sources(filled[0][0].kinds)
    values = [{**page, "blocks": shown} for _, page, shown in filled]
    return Bare(layouts.HTML.from_string(html.removesuffix("\n")), layouts.TEXT.from_string(text), values)
