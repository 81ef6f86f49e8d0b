"""What a marketer writes: read, written back, and refused with the place of every fault."""

import json
from pathlib import Path
from typing import Any

import pytest

from campaigns import files, rules
from campaigns.definitions import campaign as definitions
from campaigns.definitions import content, flow, shapes
from foundation.errors import Invalid
from tests.campaigns import world

SOUND: dict[str, Any] = world.relaunch()
MAIL: dict[str, Any] = SOUND["steps"][0]


def test_a_definition_survives_being_written_and_read() -> None:
    parsed = definitions.parse(SOUND)
    assert definitions.parse(definitions.dump(parsed)) == parsed
    versions = parsed.steps[0].words  # type: ignore[union-attr]
    assert content.spoken(versions, "fr-FR")[0] == "fr" and content.spoken(versions, "de")[0] == "en"  # type: ignore[arg-type]


def changed(pointer: str, value: object) -> dict[str, Any]:
    """The sound definition with one thing put in its place."""
    given = json.loads(json.dumps(SOUND)) if value is not None else SOUND
    *way, last = pointer.split("/")[1:]
    here = given
    for part in way:
        here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
    if isinstance(here, list):
        here.insert(int(last), value)
    else:
        here[last] = value
    return given  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("place", "value", "pointer"),
    [
        ("/entry/delay", "0m", "/entry/delay"),
        ("/entry/delay", 60, "/entry/delay"),
        ("/entry/delay", "100y", "/entry/delay"),
        ("/entry/delay", "900d", "/entry/delay"),
        ("/entry/type", "spam", "/entry"),
        ("/holdout_percent", 80, "/holdout_percent"),
        ("/holdout_percent", float("nan"), "/holdout_percent"),
        ("/holdout_percent", True, "/holdout_percent"),
        ("/surprise", 1, "/surprise"),
        ("/title", "a\0b", "/title"),
        ("/ends_at", "2026-13-40", "/ends_at"),
        ("/ends_at", "2026-01-01T00:00:00", "/ends_at"),
        ("/goal", {"within": "0h"}, "/goal/within"),
        ("/goal", {"same": "order"}, "/goal/same"),
        ("/reentry", {"rule": "after"}, "/reentry/days"),
        ("/reentry", {"rule": "never", "days": 3}, "/reentry/days"),
        ("/steps/0", {"type": "wait", "id": "w", "duration": "0h"}, "/steps/0/duration"),
        ("/steps/0", {"type": "wait", "id": "cart_1", "duration": "1h"}, "/steps/1/id"),
        ("/steps/0", {"type": "wait", "id": "A B", "duration": "1h"}, "/steps/0/id"),
        ("/steps/0", {"type": "goto", "id": "w", "step": "cart_1"}, "/steps/0"),
        ("/steps/0", {"type": "exit", "id": "out"}, "/steps/1"),
        ("/steps/0", {"type": "wait_until", "id": "w", "at": "25:00"}, "/steps/0/at"),
        ("/steps/0", {"type": "wait_until", "id": "w", "zone": "Mars/Olympus"}, "/steps/0/zone"),
        ("/steps/0", {"type": "wait_until", "id": "w", "weekdays": ["monday"]}, "/steps/0/weekdays/0"),
        ("/steps/0", {"type": "split", "id": "s", "branches": [{"name": "a"}]}, "/steps/0/branches/0/when"),
        ("/steps/0", {"type": "experiment", "id": "e", "variants": [{"name": "a"}]}, "/steps/0/variants"),
        (
            "/steps/0",
            {"type": "experiment", "id": "e", "variants": [{"name": "a"}, {"name": "a"}]},
            "/steps/0/variants/1/name",
        ),
        ("/steps/0", {"type": "set_trait", "id": "t", "trait": "email", "value": "x"}, "/steps/0/trait"),
        ("/steps/0", {"type": "set_trait", "id": "t", "trait": "tier", "value": None}, "/steps/0/value"),
        ("/steps/0", {"type": "send", "id": "a", "channel": "audience_in"}, "/steps/0/audience"),
        ("/steps/0", {**MAIL, "id": "a", "channel": "pigeon"}, "/steps/0/channel"),
        ("/steps/0", {**MAIL, "id": "a", "products": 3, "placement": "sidebar"}, "/steps/0/placement"),
        ("/steps/0", {"type": "send", "id": "a"}, "/steps/0/words"),
        (
            "/steps/0",
            {"type": "ask", "id": "a", "kind": "stars", "words": MAIL["words"], "alert_at_most": 9},
            "/steps/0/alert_at_most",
        ),
        ("/steps/0/products", 99, "/steps/0/products"),
        ("/steps/0/offer", 7, "/steps/0/offer"),
        ("/steps/0/words/xx~1y", {}, "/steps/0/words/xx~01y"),
        ("/steps/0/words", {}, "/steps/0/words"),
        ("/steps/0/words/fr", "text", "/steps/0/words/fr"),
        ("/steps/0/words/fr/subject", "a\nb", "/steps/0/words/fr/subject"),
        ("/steps/0/words/fr/subject", "\ud800", "/steps/0/words/fr/subject"),
        ("/steps/0/words/fr/subject", "{{ a.b }}", "/steps/0/words/fr/subject"),
        ("/steps/0/words/fr/subject", "{{ product.title }}", "/steps/0/words/fr/subject"),
        ("/steps/0/words/fr/subject", "", "/steps/0/words/fr/subject"),
    ],
)
def test_every_fault_has_its_place(place: str, value: object, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        definitions.parse(changed(place, value))
    assert pointer in [fault.pointer for fault in refused.value.faults]


PLAIN = {"type": "send", "id": "mail", "words": {"en": {"subject": "Hello", "heading": "Hello", "intro": "There."}}}
SENT = {"type": "event", "event": "Message Sent", "key": "event"}
KNOWN = {"type": "event", "event": "Identified", "key": "event"}
TAG = {"type": "set_trait", "id": "tag", "trait": "tag", "value": "x"}


@pytest.mark.parametrize(
    ("entry", "steps", "sound"),
    [
        (SENT, [PLAIN], False),
        (SENT | {"where": [{"property": "message_channel", "value": "email"}]}, [PLAIN], False),
        (SENT | {"where": [{"property": "campaign_id", "value": 7}]}, [PLAIN], True),
        (SENT, [TAG], True),
        (SENT | {"event": "Message Clicked"}, [PLAIN], True),
        (KNOWN, [TAG], False),
        (KNOWN | {"where": [{"property": "traits.tier", "value": "gold"}]}, [TAG], True),
        (KNOWN, [PLAIN], True),
    ],
)
def test_a_campaign_does_not_set_itself_off(entry: dict[str, Any], steps: list[dict[str, Any]], sound: bool) -> None:
    given = {"title": "Echo", "entry": entry, "steps": steps, "reentry": {"rule": "each_key"}}
    if sound:
        assert definitions.parse(given)
        return
    with pytest.raises(Invalid, match="/entry/event: is caused by its own"):
        definitions.parse(given)
    assert definitions.parse(given | {"reentry": {"rule": "never"}}), "once each is no circle"


def test_a_branch_that_asks_for_the_entrys_event_needs_one() -> None:
    branch = {"name": "a", "where": [{"property": "tier", "value": "gold"}]}
    split = {"type": "split", "id": "s", "branches": [branch]}
    with pytest.raises(Invalid, match="/steps/0/branches/0/where: can never hold"):
        definitions.parse(changed("/steps/0", split))
    given = {"title": "Split", "entry": {"type": "event", "event": "Signed Up"}, "steps": [split]}
    assert definitions.parse(given)


def test_words_that_need_a_code_need_an_offer() -> None:
    guarded = world.relaunch(offer=None)
    assert definitions.parse(guarded)
    bare = world.relaunch(offer=None, words={"en": {"subject": "{{ code.text }}", "heading": "h", "intro": "i"}})
    with pytest.raises(Invalid, match="/steps/0/words/en/subject: cannot be written without an offer"):
        definitions.parse(bare)


def test_what_nobody_could_follow_is_refused() -> None:
    deep: dict[str, Any] = {"type": "wait", "id": "w", "duration": "1h"}
    for number in range(30):
        deep = {"type": "wait_for", "id": f"f{number}", "event": "x", "timeout": "1h", "then": [deep]}
    with pytest.raises(Invalid, match="nested too deep"):
        definitions.parse(changed("/steps/0", deep))
    with pytest.raises(Invalid):
        definitions.parse([])
    many = [{"type": "wait", "id": f"w{number}", "duration": "1h"} for number in range(70)]
    with pytest.raises(Invalid, match="/steps: must hold at most"):
        definitions.parse({**SOUND, "steps": many})


def test_every_way_through_a_tree_of_steps_ends() -> None:
    def wait(name: str) -> dict[str, Any]:
        return {"type": "wait", "id": name, "duration": "1h"}

    tree = [
        {"type": "wait_for", "id": "f", "event": "x", "timeout": "1d", "then": [wait("a"), wait("b")], "otherwise": []},
        wait("c"),
    ]
    laid = flow.lay(definitions.parse({**SOUND, "steps": tree}).steps)
    assert laid.first == "f" and laid.nodes["f"].heads == ("a", "c")
    assert (laid.nodes["a"].next, laid.nodes["b"].next, laid.nodes["c"].next) == ("b", "c", flow.END)


@pytest.mark.parametrize(
    ("test", "properties", "passes"),
    [
        ({"test": "is", "value": 3}, {"p": "3.0"}, True),
        ({"test": "is", "value": True}, {"p": True}, True),
        ({"test": "is", "value": 1}, {"p": True}, False),
        ({"test": "is_not", "value": "a"}, {}, True),
        ({"test": "one_of", "value": ["a", "b"]}, {"p": "b"}, True),
        ({"test": "at_least", "value": 50}, {"p": "49.99"}, False),
        ({"test": "at_most", "value": 50}, {"p": "49.99"}, True),
        ({"test": "at_least", "value": 50}, {"p": "many"}, False),
        ({"test": "contains", "value": "ca"}, {"p": "cart"}, True),
        ({"test": "contains", "value": "a"}, {"p": ["a", "b"]}, True),
        ({"test": "exists"}, {"p": 0}, True),
        ({"test": "missing"}, {"p": None}, True),
    ],
)
def test_properties_are_held_against_values(test: dict[str, Any], properties: dict[str, Any], passes: bool) -> None:
    asked = shapes.read(shapes.Test, {"property": "p", **test})
    assert shapes.holds(asked, properties) is passes
    assert shapes.holds(asked.model_copy(update={"property": "deep.p"}), {"deep": properties}) is passes


@pytest.mark.parametrize("ready", files.ready_made(), ids=lambda ready: ready.name)
def test_a_ready_made_campaign_is_sound_and_says_it_in_both_languages(ready: files.Ready) -> None:
    (campaign,) = ready.file.campaigns
    definition = definitions.dump(campaign)
    del definition["name"]
    parsed = definitions.parse(definition)
    assert definitions.parse(definitions.dump(parsed)) == parsed
    for _, step in flow.walk(parsed.steps):
        assert set(getattr(step, "words", None) or content.LOCALES) == set(content.LOCALES)


def test_the_example_of_the_manual_is_sound() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "campaigns.md").read_text()
    example = manual.split("```json")[1].split("```")[0]
    (campaign,) = files.read(example.encode()).campaigns
    assert definitions.parse({name: value for name, value in definitions.dump(campaign).items() if name != "name"})


def test_a_policy_survives_being_written_and_read() -> None:
    policy = rules.Policy(link_hosts=("shop.example",), quiet_from=None, quiet_until=None)
    assert rules.parse(rules.dump(policy)) == policy


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"cap_messages": -1}, "/cap_messages"),
        ({"quiet_from": "25:00"}, "/quiet_from"),
        ({"quiet_until": None}, "/quiet_until"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"timezone": "../../etc/passwd"}, "/timezone"),
        ({"sender": "nobody"}, "/sender"),
        ({"shop_name": "a\r\nBcc: x"}, "/shop_name"),
        ({"link_hosts": ["https://x/"]}, "/link_hosts"),
        ({"other": 1}, "/other"),
    ],
)
def test_a_policy_is_refused_with_the_place(values: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.parse(values)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]
