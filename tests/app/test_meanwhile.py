"""The same thing open in two tabs: who saves second is shown what the first has written, and loses nothing typed."""

import re
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import parts
from campaigns import drafts, offers, onsite, plans
from recommender import merchandising
from tests.app import console_world, test_channel_pages, test_console_recommending
from tests.app.console_world import CAMPAIGN, post

OFFER = "/console/promotions/WELCOME-BACK/edit"
RULES, PLACEMENT = "/console/rules", "/console/placements/home"
BLOCK, FILE = "/console/onsite/free-delivery", f"/console/campaigns/{CAMPAIGN}/file"


@pytest.fixture
def there(ines: FlaskClient, installation: parts.Parts) -> FlaskClient:
    """An administrator before an offer, a campaign, two rules and a block."""
    console_world.live(installation)
    for name in ("one", "two"):
        post(ines, f"{RULES}/new", test_console_recommending.RULE | {"name": name})
    post(ines, "/console/onsite/-/new", test_channel_pages.FORM, on="/console/onsite/-/new")
    return ines


def form_of(client: FlaskClient, page: str, *, has: str = 'name="seen"') -> dict[str, str]:
    """What the form of a page would send as it stands."""
    shown = client.get(page).text
    form = next(form for form in re.findall(r"<form.*?</form>", shown, re.DOTALL) if has in form)
    sent: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        about = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if about.get("type") != "checkbox" or " checked" in tag:
            sent[unescape(about.get("name", ""))] = unescape(about.get("value", "on"))
    for name, text in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.DOTALL):
        sent[name] = unescape(text)
    for name, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        sent[name] = unescape(chosen[1]) if chosen else ""
    return {name: text for name, text in sent.items() if name}


def standing(installation: parts.Parts) -> dict[str, Any]:
    """What each page's thing says by now."""
    with installation.db.begin() as conn:
        rule = merchandising.every_rule(conn)[0]
        return {
            OFFER: offers.get(conn, "WELCOME-BACK").terms.valid_days,
            f"{RULES}/{rule.id}": rule.rule.name,
            PLACEMENT: merchandising.every_placement(conn)["home"].n,
            BLOCK: onsite.get(conn, "free-delivery").block.title,
            FILE: drafts.of(conn, plans.get(conn, CAMPAIGN)).definition["title"],
        }


@pytest.mark.parametrize(
    ("page", "field", "first", "second"),
    [
        (OFFER, "/valid_days", "21", "35"),
        ("rule", "name", "First <b>", "Second"),
        (PLACEMENT, "n", "9", "11"),
        (BLOCK, "/title", "First", "Second <b>"),
        (FILE, "file", "First", "Second"),
    ],
)
def test_who_saves_second_sees_both_versions_and_decides(
    there: FlaskClient, installation: parts.Parts, page: str, field: str, first: str, second: str
) -> None:
    page = next(iter(one for one in standing(installation) if one.startswith(f"{RULES}/"))) if page == "rule" else page
    opened = form_of(there, page)
    assert "seen" in opened

    def typed(text: str) -> dict[str, str]:
        title = re.sub(r'"title": "[^"]*"', f'"title": "{text}"', opened[field], count=1)
        return opened | {field: title if field == "file" else text}

    assert post(there, page, typed(first)).status_code == 303
    late = post(there, page, typed(second))
    shown = unescape(late.text)
    assert late.status_code == 409 and "Somebody changed this while you were writing." in shown
    note, _, below = shown.partition("in force is:")[2].partition("Take theirs")
    assert first in note and second in below, "theirs in the note, what was typed in the form"
    assert "<b>" not in "".join(re.findall(r"(?:First|Second) (<b>)", late.text)), "it is text, not markup"
    assert str(standing(installation)[page]) == first, "nothing is saved yet"
    seen = re.search(r'name="seen" value="(\w+)"', late.text)
    assert seen and post(there, page, typed(second) | {"seen": seen[1]}).status_code == 303
    assert str(standing(installation)[page]) == second


def test_a_value_that_cannot_be_kept_does_not_hide_what_a_colleague_changed_since(there: FlaskClient) -> None:
    opened = form_of(there, OFFER)
    wrong = post(there, OFFER, opened | {"/valid_days": "many"})
    seen = re.search(r'name="seen" value="(\w+)"', wrong.text)
    assert wrong.status_code == 422 and seen
    assert post(there, OFFER, opened | {"/valid_days": "21"}).status_code == 303
    assert post(there, OFFER, opened | {"/valid_days": "35", "seen": seen[1]}).status_code == 409


def test_rules_are_moved_in_the_order_that_was_looked_at(there: FlaskClient, installation: parts.Parts) -> None:
    opened = form_of(there, RULES)
    with installation.db.begin() as conn:
        first, second = (one.id for one in merchandising.every_rule(conn))
    assert post(there, f"{RULES}/{second}/move", {"seen": opened["seen"], "way": "up"}).status_code == 303
    late = post(there, f"{RULES}/{second}/move", {"seen": opened["seen"], "way": "up"})
    assert late.status_code == 409 and "“two” was not moved." in late.text
    with installation.db.begin() as conn:
        assert [one.id for one in merchandising.every_rule(conn)] == [second, first]


def test_a_rule_two_people_switch_off_is_off(there: FlaskClient, installation: parts.Parts) -> None:
    with installation.db.begin() as conn:
        first = merchandising.every_rule(conn)[0]
    button = f'name="enabled" value="no" formaction="{RULES}/{first.id}/switch"'
    assert first.rule.enabled and button in there.get(RULES).text
    for _ in range(2):
        assert post(there, f"{RULES}/{first.id}/switch", {"enabled": "no"}).status_code == 303
    with installation.db.begin() as conn:
        assert not merchandising.get_rule(conn, first.id).enabled
    post(there, f"{RULES}/{first.id}/switch", {"enabled": "yes"})
    with installation.db.begin() as conn:
        assert merchandising.get_rule(conn, first.id).enabled
