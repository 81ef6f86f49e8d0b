"""Blocks of an e-mail while it is written, and what speaks against it: pure operations and checks."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns import contrast, layouts, mail_checks, spam_words
from campaigns.definitions import block_edits, blocks, content, json_places, shapes
from campaigns.links import Reach
from campaigns.mail_checks import Setting
from foundation.errors import Conflict, Fault

OURS = Reach("https://shop.example", frozenset({"shop.example"}))
CART = Setting("cart", (*content.CUSTOMER_FIELDS, *content.CART_FIELDS, *content.CODE_FIELDS), OURS)


def _step(**more: Any) -> dict[str, Any]:
    words = {"en": {"subject": "Your basket", "heading": "Hello", "intro": "Still there."}}
    words["fr"] = {"subject": "Votre panier", "heading": "Bonjour", "intro": "Toujours là."}
    return {"type": "send", "id": "m", "words": words, "offer": "TEN", **more}


def _kinds(step: dict[str, Any], locale: str = "en") -> list[str]:
    return block_edits.kinds(step, locale, about="cart")


def _words(checks: list[mail_checks.Check], state: str = "") -> list[str]:
    return [check.word for check in checks if state in ("", check.state) and (state or check.state != "ok")]


def test_what_goes_without_saying_is_shown_and_kept_once_changed() -> None:
    step = _step()
    assert _kinds(step) == ["header", "text", "basket", "button", "code"]
    changed = block_edits.insert(
        step, "en", {"type": "image", "url": "https://x.example/a.png", "alt": "A"}, at=2, about="cart"
    )
    assert _kinds(changed) == _kinds(changed, "fr") == ["header", "text", "image", "basket", "button", "code"]
    assert changed["words"]["fr"]["blocks"][1] == {"type": "text", "heading": "Bonjour", "body": "Toujours là."}
    assert "intro" not in changed["words"]["en"] and changed["words"]["en"]["subject"] == "Your basket"
    assert step == _step(), "what was given stays as it was"
    best = block_edits.remove(_step(channel="best"), "en", number=0, about="cart")
    assert best["words"]["en"]["intro"] == "Still there.", "other channels still need it"


def test_languages_that_look_alike_change_together_and_others_alone() -> None:
    step = block_edits.move(_step(), "en", number=4, at=1, about="cart")
    assert _kinds(step) == _kinds(step, "fr") == ["header", "code", "text", "basket", "button"]
    step["words"]["fr"]["blocks"].pop()
    alone = block_edits.copy(step, "en", number=1, at=2, about="cart")
    assert _kinds(alone)[:3] == ["header", "code", "code"] and len(_kinds(alone, "fr")) == 4
    same = block_edits.follow(alone, "fr", other="en", about="cart")
    assert _kinds(same, "fr") == _kinds(same)
    assert same["words"]["fr"]["blocks"][3]["heading"] == "Bonjour", "its own texts stay"


def test_what_a_block_says_in_every_language_is_said_in_all_that_said_it() -> None:
    step = block_edits.write(_step(), "en", {"type": "code", "drawn": "square"}, number=4, about="cart")
    assert step["words"]["fr"]["blocks"][4] == {"type": "code", "drawn": "square"}
    step = block_edits.write(step, "en", {"type": "text", "heading": "Hi", "body": ""}, number=1, about="cart")
    assert step["words"]["fr"]["blocks"][1]["heading"] == "Bonjour"
    step["words"]["fr"]["blocks"][4]["drawn"] = "letters"
    step = block_edits.write(step, "en", {"type": "code"}, number=4, about="cart")
    assert step["words"]["fr"]["blocks"][4]["drawn"] == "letters", "a difference somebody wanted stays"


def test_a_block_is_found_again_after_others_were_moved() -> None:
    step = block_edits.move(_step(), "en", number=1, at=0, about="cart")
    found = step["words"]["en"]["blocks"]
    was = block_edits.mark({"type": "text", "heading": "Hello", "body": "Still there."})
    assert block_edits.locate(found, 1, kind="text", was=was) == 0
    assert block_edits.locate(found, 0, kind="text", was="changed by somebody") == 0
    with pytest.raises(Conflict):
        block_edits.locate(found, 1, kind="text", was="gone")


def test_the_last_block_and_those_that_are_gone_are_named() -> None:
    step = _step(words={"en": {"blocks": [{"type": "header"}]}})
    for act in (
        lambda: block_edits.remove(step, "en", number=0, about="cart"),
        lambda: block_edits.remove(_step(), "en", number=9, about="cart"),
        lambda: block_edits.copy(_step(), "en", number=-1, at=0, about="cart"),
    ):
        with pytest.raises(Conflict):
            act()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["insert", "move", "copy", "remove"]), st.integers(0, 9), st.integers(0, 9))))
def test_whatever_is_done_no_block_is_lost_unasked(acts: list[tuple[str, int, int]]) -> None:
    step = _step()
    for act, number, at in acts:
        before = _kinds(step)
        try:
            if act == "insert":
                step = block_edits.insert(step, "en", {"type": "button"}, at=at, about="cart")
            elif act == "move":
                step = block_edits.move(step, "en", number=number, at=at, about="cart")
            elif act == "copy":
                step = block_edits.copy(step, "en", number=number, at=at, about="cart")
            else:
                step = block_edits.remove(step, "en", number=number, about="cart")
        except Conflict:
            continue
        grown = {"insert": 1, "copy": 1, "move": 0, "remove": -1}[act]
        assert len(_kinds(step)) == len(before) + grown
        assert _kinds(step) == _kinds(step, "fr")
        if act == "move":
            assert sorted(_kinds(step)) == sorted(before)
        if len(before) + grown <= blocks.MOST:
            shapes.read(content.Words, step["words"]["en"])


# -------------------------------------------------------------------------------------------------- checks
def test_a_sound_message_has_nothing_against_it() -> None:
    step = _step()
    step["words"]["en"] |= {"preheader": "Kept for you"}
    assert _words(mail_checks.written(step, "en", CART)) == []


def test_links_pictures_fields_and_wording_are_checked_in_their_place() -> None:
    step = _step()
    step["words"]["en"]["blocks"] = [
        {"type": "text", "heading": "Dear {{ customer.first_name }}", "body": "Act now!!"},
        {"type": "image", "url": "http://elsewhere.example/a.png", "alt": "banner"},
        {"type": "button", "link": "https://evil.example/"},
        {"type": "product"},
    ]
    hosts = replace(CART, reach=replace(OURS, listed=("shop.example",)))
    found = {check.word: check for check in mail_checks.written(step, "en", hosts)}
    assert (found["field_alone"].block, found["field_alone"].values) == (0, {"field": "customer.first_name"})
    assert found["spam"].values["text"] in ("act now", "!!")
    assert (found["link_http"].block, found["link_http"].state) == (1, "bad")
    assert (found["link_host"].block, found["link_host"].name) == (2, "link")
    assert found["alt_name"].block == 1
    assert found["block_empty"].block == 3
    assert found["block_lacking"].values == {"kind": "code"}
    assert found["language_lacks"].values["locale"] == "fr"


def test_a_fallback_is_enough() -> None:
    step = _step()
    step["words"]["en"]["heading"] = 'Dear {{ customer.first_name|default("friend") }}'
    assert "field_alone" not in _words(mail_checks.written(step, "en", CART))


@pytest.mark.parametrize(
    ("subject", "word"),
    [("", "subject_none"), ("Re: your order", "subject_pretends"), ("long " * 20, "subject_long")],
)
def test_subjects(subject: str, word: str) -> None:
    step = _step(words={"en": {"subject": subject, "heading": "H", "intro": "I"}})
    assert word in _words(mail_checks.written(step, "en", CART))


def test_a_subject_is_as_long_as_one_of_its_ways() -> None:
    assert (
        mail_checks.letters(
            "{% if customer.first_name %}{{ customer.first_name }}, your{% else %}Your{% endif %} basket"
        )
        == 21
    )


def test_how_a_mail_came_out_is_weighed() -> None:
    good = '<body style="background:#fff"><p style="color:#333333">Hi</p><img src="/a" alt=""><a href="/u/x">stop</a>'
    headers = {"List-Unsubscribe": "<https://x>"}
    assert _words(mail_checks.sent(mail_checks.Sent(good, "Hi", headers))) == []
    pale = good.replace("#333333", "#bbbbbb").replace(' alt=""', "").replace("/u/x", "/") + " " * layouts.CLIPPED
    assert set(_words(mail_checks.sent(mail_checks.Sent(pale, " ", {})), "bad")) == {
        "weight", "contrast", "bare_pictures", "unsubscribe_none", "text_none",
    }  # fmt: skip


def test_contrast_is_that_of_the_recommendation() -> None:
    assert contrast.ratio("#000", "#ffffff") == pytest.approx(21)
    assert contrast.ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    large = '<p style="color:#949494;font-size:24px">Large</p>'
    found = contrast.weakest(large)
    assert found and found[0] >= contrast.ENOUGH, "large letters are asked less"
    assert contrast.weakest('<td style="font-size:0px"> </td><div style="display:none">x</div>') is None


def test_notes_have_checks_of_their_own() -> None:
    step = {"type": "send", "id": "m", "channel": "push", "words": {"en": {"heading": "x" * 60, "intro": ""}}}
    found = mail_checks.noted(step, "en", CART, channel="push")
    assert {"note_long", "lacks_text", "language_none"} <= set(_words(found))


@pytest.mark.parametrize(("text", "said"), [("CLICK HERE", ["click here"]), ("Offer of the week", []), ("winners", [])])
def test_traps_are_whole_words(text: str, said: list[str]) -> None:
    assert spam_words.found(text, locale="en") == said


def test_shouting_is_heard() -> None:
    assert spam_words.loud("LAST CHANCE TODAY ONLY") and spam_words.loud("Yes! !")
    assert spam_words.loud("Votre code AUBIER {% if CODE %}") is None


def test_a_fault_is_shown_at_its_line() -> None:
    text = json.dumps({"a": {"b~": [1, {"c": "x: y"}]}, "d": []}, indent=2)
    places = dict(json_places.places_of(text))
    assert text.split("\n")[places["/a/b~0/1/c"] - 1].strip() == '"c": "x: y"'
    found = json_places.lines(text, [Fault("/a/b~0/1/gone", "is needed"), Fault("/@3", "is no JSON"), Fault("/d", "x")])
    assert sorted(found) == [3, places["/a/b~0/1"], places["/d"]]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_every_value_of_any_json_has_its_place(value: Any) -> None:
    def pointers(of: Any, at: str = "") -> list[str]:
        inner = of.items() if isinstance(of, dict) else enumerate(of) if isinstance(of, list) else ()
        return [at, *(one for key, held in inner for one in pointers(held, f"{at}/{shapes.escape(key)}"))]

    text = json.dumps(value, indent=1, ensure_ascii=False)
    assert "\\" in text or [place for place, _ in json_places.places_of(text)] == pointers(json.loads(text))
