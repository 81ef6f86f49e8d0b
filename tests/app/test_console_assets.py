"""What the console is made of beside Python: its French, its icons, its stylesheet, what was taken from others."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Message

from app.console import styleguide
from tests import translations

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "app/static"
TEMPLATES = sorted((ROOT / "templates/console").rglob("*.html"))
CODE = [*sorted((ROOT / "app/console").glob("*.py")), *sorted((STATIC / "js").glob("*.js"))]
SHEETS = ("base", "frame", "components", "charts", "pages", "styleguide", "journeys")
WRITTEN = "\n".join(path.read_text() for path in (*TEMPLATES, *CODE))


def test_every_text_has_its_french() -> None:
    french = translations.french()
    wanting = [text.id for text in translations.texts() if text.id and not _all_said(french.get(text.id))]
    assert not wanting, f"run python -m tests.translations, then translate: {wanting}"


def _all_said(text: Message | None) -> bool:
    if text is None:
        return False
    return bool(text.string) and all([text.string] if isinstance(text.string, str) else text.string)


def test_the_compiled_french_is_that_of_the_catalogue() -> None:
    assert translations.MO.read_bytes() == translations.compiled(translations.french())


def test_a_translation_holds_the_fields_of_its_text() -> None:
    for text in translations.french():
        if text.id:
            ids = [text.id] if isinstance(text.id, str) else text.id
            strings = [text.string] if isinstance(text.string, str) else text.string
            fields = set(re.findall(r"%\(\w+\)s", ids[-1]))
            for string in strings:
                assert set(re.findall(r"%\(\w+\)s", string)) <= fields, text.id
            assert set(re.findall(r"%\(\w+\)s", strings[-1])) == fields, text.id


def test_every_icon_that_is_shown_exists() -> None:
    drawn = set(re.findall(r'<symbol id="i-([\w-]+)"', (STATIC / "icons.svg").read_text()))
    asked = set(re.findall(r'icon\("([\w-]+)"', WRITTEN)) | set(re.findall(r'Word\(N_\("[^"]*"\), "([\w-]+)"', WRITTEN))
    assert asked <= drawn, asked - drawn


def test_no_page_carries_style_or_script_of_its_own() -> None:
    for path in TEMPLATES:
        text = path.read_text()
        assert not re.search(r'\sstyle="|<style|\son\w+="|javascript:', text), path
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path


def test_the_stylesheet_holds_nothing_no_page_uses() -> None:
    used = set(re.findall(r"[\w-]+", WRITTEN))
    tones = {f"{kind}-{tone}" for kind in ("state", "tag", "dot", "note") for tone in used}
    unused = set()
    for sheet in SHEETS:
        text = re.sub(r"/\*.*?\*/|\"[^\"]*\"", "", (STATIC / f"css/{sheet}.css").read_text(), flags=re.DOTALL)
        unused |= {name for name in re.findall(r"\.([a-z][\w-]*)", text) if name not in used | tones}
    assert not unused - {"htmx-request", "i-sm"}, sorted(unused)


def test_what_was_taken_from_others_is_what_it_was() -> None:
    taken = json.loads((STATIC / "vendor/vendored.json").read_text())
    for one in taken:
        assert hashlib.sha256((STATIC / "vendor" / one["file"]).read_bytes()).hexdigest() == one["sha256"]
    assert (STATIC / "vendor/LICENSE-htmx.txt").exists() and (STATIC / "LICENSE-lucide.txt").exists()
    assert {path.suffix for path in (STATIC / "fonts").iterdir()} >= {".woff2", ".txt"}


@pytest.mark.parametrize("sheet", SHEETS)
def test_colours_are_named_in_one_place(sheet: str) -> None:
    colours = re.findall(r"#[0-9a-f]{3,8}\b", (STATIC / f"css/{sheet}.css").read_text())
    assert set(colours) <= {"#fff", "#f2c879"}, colours


def test_the_style_guide_shows_every_colour_of_the_stylesheet() -> None:
    shown = {one.name for _, group in styleguide.colours() for one in group}
    written = set(re.findall(r"--([\w-]+):\s*light-dark\(#", (STATIC / "css/tokens.css").read_text()))
    assert written - shown <= {"toast", "on-toast"}
    assert ("s4", 16) in styleguide.spaces()
