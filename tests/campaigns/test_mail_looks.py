"""How e-mails look: every block, on a telephone and a desk, by day and by night; and what is always in them."""

import email
import email.policy
import hashlib
import http.server
import os
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser

from campaigns import barcode, content, layouts, rules, wording
from campaigns.channels import mime
from campaigns.definitions import shapes
from campaigns.definitions.steps import Send
from campaigns.links import Links
from tests.campaigns import letters, mails, world
from tests.conftest import NOW

GOLDEN = Path(__file__).parent / "golden"
SECRET = ["a secret of these tests, long enough"]


def test_what_has_nothing_to_show_is_left_out_and_the_footer_never() -> None:
    row = content.render(
        letters.occasion(cart=None, items=[], offer=None, code=None, reviews=[], says=_plain()), world.LINKS
    )
    assert "Me désinscrire" in row["body"].html and "14 rue Crébillon" in row["body"].html
    assert 'mbtn"' not in row["body"].html and 'mbox"' not in row["body"].html
    assert "Me désinscrire" in row["body"].text and "http" in row["body"].text


def _plain() -> Send:
    words = {"subject": "Bonjour", "heading": "Bonjour", "intro": "Rien de neuf."}
    return shapes.read(Send, {"type": "send", "id": "s", "words": {"fr": words}})


def test_every_marketing_mail_has_its_headers_its_text_and_its_sender() -> None:
    signed = Links(SECRET, "https://relance.example", return_address="bounces@m.aubier.example")
    for number in range(1_000):
        name = f"Ada{number}" if number % 3 else "Éloïse d’Ohara"
        row = content.render(letters.occasion(message_id=uuid4(), first_name=name, blocks=bool(number % 2)), signed)
        texts = {part: row[part] for part in ("subject", "body", "headers")}
        raw = mime.encode(mails.mail(sender=row["sender"], **texts))
        got = email.message_from_bytes(raw, policy=email.policy.default)
        assert re.fullmatch(r"<https://[^>]+>, <mailto:bounces\+u[^>]+>", str(got["List-Unsubscribe"]))
        assert got["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click" and "cart-relaunch." in got["List-Id"]
        plain = got.get_body(("plain",))
        assert plain is not None and "14 rue Crébillon, 44000 Nantes" in plain.get_content()
        assert name in str(got["Subject"]) and len(got.get_all("Subject")) == 1


@pytest.mark.parametrize("name", ["A\r\nBcc: all@example.org", "A\nB", "\x00", "<b>A</b>", "{{ 7*7 }}", "A" * 500])
def test_what_a_customer_is_called_breaks_nothing(name: str) -> None:
    row = content.render(letters.occasion(first_name=name), world.LINKS)
    assert "\n" not in row["subject"] and "\r" not in row["subject"]
    assert "<b>A</b>" not in row["body"].html and "49" not in row["subject"]


def test_a_missing_name_is_told_by_its_field_and_a_fallback_fills_it() -> None:
    with pytest.raises(wording.WordingError, match="customer.first_name|first_name"):
        content.render(letters.occasion(first_name=None), world.LINKS)
    said = {"subject": "{{ customer.first_name|default('Bonjour') }}", "heading": "h", "intro": "i"}
    step = shapes.read(Send, {"type": "send", "id": "s", "words": {"fr": said}})
    assert content.render(letters.occasion(first_name=None, says=step), world.LINKS)["subject"] == "Bonjour"


@pytest.mark.parametrize(("opens", "clicks"), [(True, True), (False, True), (False, False)])
def test_pictures_and_links_are_hers_only_if_they_may_be(opens: bool, clicks: bool) -> None:
    row = content.render(letters.occasion(count_opens=opens, count_clicks=clicks), world.LINKS)
    assert ("/o/" in row["body"].html) == opens
    assert ("/c/" in row["body"].html + row["body"].text) == clicks and bool(row["links"]) == clicks
    assert "https://aubier.example/p/cocotte" not in row["body"].html or not clicks


def test_a_second_yes_is_asked_for_by_the_button() -> None:
    said = {"subject": "Un dernier clic", "heading": "Confirmez", "intro": "Est-ce bien vous ?"}
    step = shapes.read(Send, {"type": "send", "id": "s", "words": {"fr": said}, "link": "/confirm"})
    row = content.render(letters.occasion(says=step, cart=None), world.LINKS)
    token = re.search(r"https://relance\.example/k/([^\s\"]+)", row["body"].text)
    assert token and world.LINKS.read_confirm(token[1]) == letters.MESSAGE and "Je confirme" in row["body"].html


def test_each_order_of_blocks_is_compiled_once() -> None:
    kinds = ("header", "text", "footer")
    assert layouts.layout(kinds) is layouts.layout(kinds)


def test_a_mail_asks_no_other_host_for_its_letters() -> None:
    text = '<mj-text font-family="Roboto">a</mj-text>'
    html = layouts.compiled(f"<mjml><mj-body><mj-section><mj-column>{text}</mj-column></mj-section></mj-body></mjml>")
    assert re.findall(r"https?://[^\"' )]+", html) == ["http://www.w3.org/1999/xhtml"]


def test_blocks_are_checked_by_name_and_place() -> None:
    wrong = [{"type": "image", "url": "javascript:x", "alt": ""}, {"type": "html"}, {"type": "store"}]
    step = {"type": "send", "id": "s", "words": {"fr": {"subject": "s", "blocks": wrong}}}
    with pytest.raises(shapes.Invalid) as refused:
        shapes.read(Send, step)
    places = {fault.pointer for fault in refused.value.faults}
    assert {place for place in places if place.startswith("/words/fr/blocks/")} == places and len(places) >= 3


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ([{}], [[1, 2, 3, 4, 5, 6, 7, 8]]),
        ([{}, {}], [[1, 2, 3, 4], [5, 6, 7, 8]]),
        ([{}, {}, {}], [[1, 2, 3], [4, 5, 6], [7, 8]]),
        ([{"most": 3}, {}], [[1, 2, 3], [4, 5, 6, 7, 8]]),
        ([{}, {"most": 3}], [[1, 2, 3, 4, 5], [6, 7, 8]]),
        ([{"most": 6}, {"first": 4, "most": 6}], [[1, 2, 3, 4, 5, 6], [7, 8]]),
        ([{"first": 7, "most": 2}, {"most": 12}], [[7, 8], [1, 2, 3, 4, 5, 6]]),
        ([{"most": 12}, {}], [[1, 2, 3, 4, 5, 6, 7, 8], []]),
    ],
)
def test_several_blocks_of_products_share_one_slate_and_repeat_nothing(
    asked: list[dict[str, int]], shown: list[list[int]]
) -> None:
    chosen: list[dict[str, Any]] = []
    for number, one in enumerate(asked):
        chosen += [{"type": "text", "heading": f"Rang {number}"}, {"type": "products"} | one]
    say = {"type": "send", "id": "s", "products": 8, "words": {"fr": {"subject": "s", "blocks": chosen}}}
    items = [letters.item(letters.product(f"p{n}", f"Produit {n}", 100, ""), "") for n in range(1, 9)]
    row = content.render(letters.occasion(says=shapes.read(Send, say), cart=None, items=items), world.LINKS)
    for said in (row["body"].html, row["body"].text):
        parts = re.split("Rang [0-9]", said)[-len(asked) :]
        assert [[int(n) for n in dict.fromkeys(re.findall("Produit ([0-9])", part))] for part in parts] == shown


def test_her_own_store_is_shown_with_its_hours_and_the_way_there() -> None:
    words = {"fr": {"subject": "s", "blocks": [{"type": "store"}]}}
    step = shapes.read(Send, {"type": "send", "id": "s", "words": words})
    row = content.render(letters.occasion(says=step, stores={"": letters.STORE}), world.LINKS)
    for said in (row["body"].html, row["body"].text):
        assert "Nantes Crébillon" in said and "Du mardi au samedi, 10 h – 19 h 30" in said
    assert any(url.startswith("https://www.openstreetmap.org/?mlat=47.2136&mlon=-1.5621") for url in row["links"])
    alone = content.render(letters.occasion(says=step, stores={}), world.LINKS)["body"].html
    assert "Voir sur un plan" not in alone and "14 rue Crébillon" in alone, "who has none sees none"


def test_a_qr_square_is_a_picture_with_its_quiet_zone() -> None:
    png = barcode.square("AUBIER7K2MQX")
    width, height = struct.unpack(">II", png[16:24])
    assert png.startswith(b"\x89PNG") and width == height and zlib.crc32(png)


# -------------------------------------------------------------------------------------------- in Chromium
@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    """Both mails over HTTP, with their pictures; one picture is missing."""

    class Shop(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = shown(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    base = f"http://127.0.0.1:{server.server_port}"
    signed = Links(SECRET, base)
    made = {f"/{name}": content.render(letters.occasion(base, blocks=full), signed) for name, full in MAILS.items()}

    def shown(address: str) -> tuple[str, bytes]:
        if address in made:
            return "text/html; charset=utf-8", made[address]["body"].html.encode()
        if address.startswith("/p/"):
            kind = address.split("/")[2]
            code = signed.read_code(address.rsplit("/", 1)[1], kind=kind) or ""
            return "image/png", barcode.square(code) if kind == "qr" else barcode.png(code)
        return "image/png", b"" if "bol" in address else _square(address)

    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    yield base
    server.shutdown()
    serving.join()
    server.server_close()


MAILS = {"usual": False, "blocks": True}


def _square(address: str) -> bytes:
    """A plain picture, of a colour of its own."""
    rgb = hashlib.sha256(address.encode()).digest()[:3]
    row = b"\0" + rgb * 200

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 200, 200, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row * 200)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [700, 390, 320])
@pytest.mark.parametrize("name", list(MAILS))
def test_mails_look_as_they_did_when_they_were_looked_at(
    chromium: Browser, pages: str, name: str, width: int, scheme: str
) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{pages}/{name}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = page.evaluate(LOOK)
    page.close()
    golden = GOLDEN / f"mail-{name}-{width}-{scheme}.txt"
    if "RELANCE_LOOK_AGAIN" in os.environ:  # after somebody looked at the mails as they are now
        golden.write_text(found)
    assert found == golden.read_text()


LOOK = """() => {
  const lines = [];
  const round = (n) => Math.round(n / 4) * 4;
  for (const node of document.querySelectorAll("body, .msheet, .mbtn, .mbox, .mbars, img, a, td, div, strong, span")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    const seen = ["IMG", "BODY"].includes(node.tagName) || node.className || own;
    const box = node.getBoundingClientRect();
    if (!seen || !box.width || !box.height) continue;
    const look = getComputedStyle(node);
    const solid = node.tagName === "IMG" || /msheet|mbtn|mbox|mbars/.test(node.className);
    const text = own ? node.textContent.trim().replace(/\\s+/g, " ").slice(0, 24) : node.alt || node.className;
    const place = solid ? [round(box.x), round(box.width)] : [];
    lines.push([node.tagName, ...place, look.color, look.backgroundColor, text].join(" | "));
  }
  return lines.join("\\n") + "\\n";
}"""


def test_a_code_can_be_read_by_night_as_by_day() -> None:
    html = content.render(letters.occasion(), world.LINKS)["body"].html
    assert ".mbars" in html and "#ffffff !important" in html, "bars stay on white"
    assert html.count("alt=") >= html.count("<img"), "every picture says what it shows"
    assert rules.Policy().postal_address in html and NOW is not None
