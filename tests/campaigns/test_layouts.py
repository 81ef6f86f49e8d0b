"""Layouts of e-mails: what is put together is, to the letter, what Jinja fills in; and who is in a form: nobody."""

import random
from typing import Any
from uuid import UUID

import pytest
from markupsafe import escape

from campaigns import layouts, phrases
from campaigns.channels.pieces import Body, Cut, Fixed, Form, Same, whole

KINDS = (
    *("header", "image", "text", "basket", "button", "code", "products", "reviews", "store"),
    *("question", "product", "text", "header"),
)
ODD = (
    "Cocotte & <b>fonte</b>",
    'L\'huile "vierge" : 3 €',
    "",
    "日本語 😀",
    "a\nb",
    "{{ 7*7 }}",
    "nul\0 \0001\0",
    "x" * 200,
)


def page(chance: random.Random) -> dict[str, Any]:
    """Values of every part, some of them missing, some of them hostile."""

    def odd(*others: Any) -> Any:
        return chance.choice((*ODD, *others))

    def many(most: int, **shape: tuple[Any, ...]) -> list[dict[str, Any]]:
        return [{name: odd(*others) for name, others in shape.items()} for _ in range(chance.choice((0, 1, 3, most)))]

    one = {"title": odd(), "image": odd(None), "url": odd(None), "price": odd(), "detail": odd(), "lowest": odd(None)}
    names = ("locale", "shop", "postal_address", "why", "view", "trap", "unsubscribe", "preferences", "subject")
    return {name: odd() for name in (*names, "preheader", "colon")} | {
        "say": phrases.of(chance.choice(("fr", "en"))),
        "lines": many(9, title=(), image=(None,), url=(None,), price=(), detail=()),
        "totals": many(2, label=(), amount=(), tone=(), style=()),
        "about": one,
        "reviews": many(2, stars=(), text=()),
        "question": [{"score": Fixed(score), "url": odd(None)} for score in range(chance.choice((0, 6)))],
        "code": {"text": odd(), "terms": odd(), "image": odd(), "width": chance.choice(("1", "200"))},
        "privacy": odd(None),
        "pixel": odd(None),
    }


def shown(chance: random.Random) -> list[dict[str, Any] | None]:
    """What each block shows, where there is anything."""

    def odd(*others: Any) -> Any:
        return chance.choice((*ODD, *others))

    def product() -> dict[str, Any]:
        names = ("title", "reason", "price", "url", "image", "padding", "width")
        return {name: odd(None) for name in names}

    text = {"heading": odd(), "paragraphs": [odd() for _ in range(chance.randrange(3))]}
    visible = text if "\\x00" not in repr(text) else {"heading": "", "paragraphs": []}  # as definitions have it
    made: list[dict[str, Any]] = [
        {"online": chance.choice((True, False))},
        {"image": odd(), "alt": odd(), "url": odd(None)},
        text,
        {"shown": True},
        {"url": odd(None), "label": odd()},
        {"image": odd(None), "width": Fixed(132), "height": Fixed(chance.choice((66, 132))), "alt": odd()},
        {"title": odd(), "rows": [[product() for _ in range(chance.randrange(4))] for _ in range(chance.randrange(3))]},
        {"shown": True},
        {"name": odd(), "address": odd(), "hours": odd(None), "map": odd(None)},
        {"shown": True},
        {"shown": True},
        Same(visible),
        {"online": True},
    ]
    return [*(one if chance.random() < 0.8 else None for one in made), {"shown": True}]


def test_pieces_put_together_are_what_jinja_fills_in() -> None:
    chance, kinds = random.Random(7), (*KINDS, "footer")
    whole = [layouts.HTML.from_string(layouts.sources(kinds)[0].removesuffix("\n"))]
    whole += [layouts.TEXT.from_string(layouts.sources(kinds)[1])]
    layout, empty = layouts.layout(kinds), 0
    for _ in range(400):
        values, blocks = page(chance), shown(chance)
        body = layout.fill(values, blocks)
        again = Body.of(Form.unpacked(body.form.packed), body.own)
        for template, said, kept in zip(whole, (body.html, body.text), (again.html, again.text), strict=True):
            text = template.render({**values, "blocks": blocks})
            assert said == text == kept
            empty += not text
    assert not empty


def test_readers_of_one_shape_share_one_form() -> None:
    layout, chance = layouts.layout((*KINDS, "footer")), random.Random(8)
    values, blocks = page(chance) | {"shop": "Aubier", "reviews": [{"stars": "★", "text": "Belle"}]}, shown(chance)
    body = layout.fill(values, blocks)
    other = layout.fill(values | {"shop": "Orme", "why": values["why"]}, blocks)
    assert other.form is body.form
    assert other.html == body.html.replace("Aubier", "Orme") != body.html
    longer = values | {"reviews": values["reviews"] * 2}
    shorter = layout.fill(longer, [None if block is blocks[7] else block for block in blocks]).form
    assert (layout.fill(longer, blocks).form is body.form) == (blocks[7] is None) and shorter is not None


def test_no_text_is_part_of_a_form_that_is_not_said_to_be_the_same_for_all() -> None:
    layout, chance = layouts.layout((*KINDS, "footer")), random.Random(9)
    for number in range(50):
        values, blocks = page(chance) | {"shop": f"zoé{number}", "trap": Fixed("everybody")}, shown(chance)
        blocks[KINDS.index("text", 4)] = None
        body = layout.fill(values, blocks)
        assert "zoé".encode() not in body.form.packed and f"zoé{number}" in body.html
        assert b"everybody" in body.form.packed and b"everybody" not in body.own
        assert not any(odd.encode() in body.form.packed for odd in ("Cocotte", "日本語", "7*7"))


@pytest.mark.parametrize("value", [7, 7.5, b"hers", UUID(int=7), ("hers",)])
def test_what_is_no_text_is_not_shown(value: object) -> None:
    layout, chance = layouts.layout(("text", "footer")), random.Random(9)
    with pytest.raises(TypeError, match="what is shown is a text"):
        layout.fill(page(chance) | {"why": value}, [None, {"shown": True}])


@pytest.mark.parametrize("source", ["{{ a|length }}", "{% if a == 'b' %}{% endif %}", "{{ a + 'b' }}", "{{ a[0] }}"])
def test_a_layout_that_computes_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="depends on more than what there is to show"):
        layouts.named(layouts.HTML, source)
    assert layouts.named(layouts.HTML, "{% for a in b %}{{ a.c or d }}{% endfor %}") == {"b", "d"}


def test_a_form_takes_values_of_any_letters() -> None:
    form = Form(Cut(["a", "é", ""], [0, 1]), Cut(["", ""], [1]))
    for values in (["", "<"], ["1", "\0"], ["😀", "\0\0"]):
        made = Body.of(form, Body(form, values).own)
        assert made.html == f"a{values[0]}é{escape(values[1])}" and made.text == values[1]
    assert Body(Form(Cut(["alone"], []), Cut([""], [])), []).html == "alone"


def test_the_preview_is_what_a_mail_reader_shows_beside_the_subject() -> None:
    chance = random.Random(9)
    said = 'Cocotte & <b>fonte</b> "vierge"'
    body = layouts.layout((*KINDS, "footer")).fill(page(chance) | {"preheader": said}, shown(chance))
    assert layouts.preview(body) == said
    assert layouts.preview(whole("", "Your basket waits")) == "Your basket waits"
