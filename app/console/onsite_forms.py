"""Reading the form of a block on the shop's pages into its definition, and back. Fields are named by JSON pointers."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from app.console import forms
from app.console.forms import Form
from campaigns.definitions.onsite import Block

LOCALES = ("en", "fr")
PLAIN = ("/title", "/form", "/position", "/slot", "/image", "/action", "/link", "/placement", "/segment", "/visitors")
NUMBERS = (
    *("/products", "/priority", "/moment/page_views", "/moment/after_seconds", "/moment/scrolled"),
    *("/cap/times", "/cap/days", "/cap/closed_days"),
)
LISTS = ("/pages", "/except_pages")
MOMENTS = ("/starts_at", "/ends_at")
WORDS = tuple(f"/words/{locale}/{name}" for locale in LOCALES for name in ("heading", "text", "button"))
TICKS = ("/moment/leaving",)
FIELDS = ("name", *PLAIN, *NUMBERS, *LISTS, *MOMENTS, *WORDS, *TICKS)


def blank() -> Form:
    """The form of a block there is not yet."""
    return Form({"/form": "banner", "/moment/page_views": "1", "/cap/times": "3", "/cap/days": "7", "/priority": "50"})


def form_of(name: str, block: Block, zone: tzinfo) -> Form:
    """A block as its form shows it; moments by the reader's own clock."""
    whole = block.model_dump(mode="json")
    values = {pointer: _shown(_at(whole, pointer)) for pointer in (*PLAIN, *NUMBERS, *WORDS)}
    values |= {pointer: "\n".join(_at(whole, pointer) or ()) for pointer in LISTS}
    values |= {pointer: "on" if _at(whole, pointer) else "" for pointer in TICKS}
    for pointer in MOMENTS:
        moment: datetime | None = getattr(block, pointer[1:])
        values[pointer] = moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M") if moment else ""
    return Form({"name": name, **values})


def definition_of(values: Mapping[str, str], zone: tzinfo) -> dict[str, Any]:
    """The definition a form asks for. What is no number or moment stays text, so that it is refused in its place."""
    given: dict[str, Any] = {}
    for pointer in (*PLAIN, *WORDS):
        _put(given, pointer, values.get(pointer, "").replace("\r\n", "\n").strip())
    for pointer in NUMBERS:
        text = values.get(pointer, "").strip()
        _put(given, pointer, forms.number(text) if text else "")
    for pointer in LISTS:
        lines = [line.strip() for line in values.get(pointer, "").splitlines() if line.strip()]
        _put(given, pointer, lines or "")
    for pointer in TICKS:
        _put(given, pointer, pointer in values or "")
    for pointer in MOMENTS:
        _put(given, pointer, _moment(values.get(pointer, ""), zone))
    given["words"] = {locale: said for locale, said in given.get("words", {}).items() if said}
    return given


def _moment(text: str, zone: tzinfo) -> str:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).isoformat() if text else ""
    except ValueError:
        return text


def _at(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _put(value: dict[str, Any], pointer: str, new: object) -> None:
    """An empty text leaves the field out."""
    *way, last = pointer.split("/")[1:]
    if new == "":
        return
    for part in way:
        value = value.setdefault(part, {})
    value[last] = new


def _shown(value: object) -> str:
    return "" if value is None else str(value)
