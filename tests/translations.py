"""Keeps the French catalogue in step with the texts of the console and the public pages.

python -m tests.translations      adds new texts to messages.po, drops those gone, writes messages.mo
"""

from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
PO = ROOT / "app/translations/fr/LC_MESSAGES/messages.po"
MO = PO.with_suffix(".mo")
METHODS = [("app/**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}


def texts() -> Catalog:
    """Every text of the pages, as it stands in code and templates."""
    found = Catalog()
    for name, line, message, _comments, _context in extract_from_dir(
        ROOT, METHODS, keywords=KEYWORDS, directory_filter=_is_read
    ):
        found.add(message, locations=[(name, line)])
    return found


def _is_read(path: str | Path) -> bool:
    """Only what lies under the application and its templates is read."""
    inside = Path(path).relative_to(ROOT).parts
    return bool(inside) and inside[0] in ("app", "templates") and "static" not in inside


def french() -> Catalog:
    """The catalogue as it is kept."""
    with PO.open("rb") as file:
        return read_po(file, locale="fr")


def compiled(catalogue: Catalog) -> bytes:
    """The catalogue as the program reads it."""
    out = BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def update() -> None:
    """Brings both files up to date; what has no French yet is left empty, and a test says so."""
    catalogue = Catalog(locale="fr", project="Relance", fuzzy=False, header_comment="# Relance in French.")
    kept = french() if PO.exists() else catalogue
    for text in texts():
        before = kept.get(text.id) if text.id else None
        if text.id:
            same = before is not None and isinstance(before.id, tuple) == isinstance(text.id, tuple)
            catalogue.add(text.id, before.string if before and same else ("", "") if text.pluralizable else "")
    PO.parent.mkdir(parents=True, exist_ok=True)
    with PO.open("wb") as file:
        write_po(file, catalogue, no_location=True, sort_output=True, width=120)
    MO.write_bytes(compiled(french()))


if __name__ == "__main__":
    update()
