"""Finds a page of every kind in a console: follows links from the home page until each view that answers with a page
has been met once."""

import html
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map

Get = Callable[[str], str]
"""Asks for a path; gives its HTML, or nothing where the answer is no page."""

MOST_OF_A_KIND = 3
"""Pages of one kind whose links are followed: one campaign in draft links elsewhere than one that runs."""
LINK = re.compile(r'href="(/[^"#]*)')
START = ("/console/", "/console/styleguide")


def pages(get: Get, views: Map) -> dict[str, str]:
    """The first address met of each view of the console, in the order they were met."""
    return {endpoint: addresses[0] for endpoint, addresses in every(get, views, START).items()}


def every(get: Get, views: Map, start: Sequence[str]) -> dict[str, list[str]]:
    """The first addresses met of each view, by links that stay where the first of `start` is."""
    met: dict[str, list[str]] = {}
    followed: dict[str, int] = {}
    queue, seen = deque(start), set(start)
    while queue:
        path = queue.popleft()
        endpoint = kind(path, views)
        if endpoint is None or followed.get(endpoint, 0) >= MOST_OF_A_KIND:
            continue
        followed[endpoint] = followed.get(endpoint, 0) + 1
        page = get(path)
        if "</html>" not in page:
            continue
        met.setdefault(endpoint, []).append(path)
        for link in _links(page, under=start[0]):
            if link not in seen:
                seen.add(link)
                queue.append(link)
    return met


def kind(path: str, views: Map) -> str | None:
    """The view that answers a path; None if none does by GET."""
    try:
        endpoint, _ = views.bind("localhost").match(path.partition("?")[0], method="GET")
    except HTTPException:
        return None
    return None if endpoint == "console.nowhere" else str(endpoint)


def _links(page: str, *, under: str) -> Iterator[str]:
    for found in LINK.findall(page):
        if found.startswith(under.rstrip("/")):
            yield html.unescape(found)
