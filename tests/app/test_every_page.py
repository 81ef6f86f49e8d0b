"""Every page of the console, found by following links, is answered."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import parts
from tests import crawl
from tests.app import busy_shop

FEWEST = 60
"""Pages there are at least; fewer means that a link to some was lost."""


@pytest.fixture
def paths(ines: FlaskClient, web: Flask, installation: parts.Parts) -> list[str]:
    """An address of every kind of page, in a shop where everything has happened."""
    busy_shop.opened(installation)
    return list(crawl.pages(lambda path: _asked(ines, path), web.url_map).values())


def _asked(client: FlaskClient, path: str) -> str:
    with client.get(path, follow_redirects=True) as answer:
        assert answer.status_code < 400, f"{path}: {answer.status_code}"
        return answer.text if answer.mimetype == "text/html" else ""


def test_every_link_leads_to_a_page(paths: list[str]) -> None:
    assert len(paths) >= FEWEST, paths
