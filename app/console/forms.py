"""Reading a form into a definition, and a definition into a form, with each fault beside its field."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app import i18n
from app.console import sentences
from campaigns.definitions import campaign as definitions
from campaigns.definitions.campaign import CartAbandonment
from foundation.errors import Fault

WORDS = ("subject", "heading", "intro")
NUMBERS = ("delay_minutes", "expires_hours", "products")


@dataclass(frozen=True, slots=True)
class Form:
    """What fields hold, as text, and what is wrong with them, by field."""

    values: Mapping[str, str]
    faults: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str) -> str:
        """What the field shows."""
        return self.values.get(name, "")


def of_definition(definition: CartAbandonment) -> Form:
    """The form of a campaign as it stands."""
    values = {name: str(getattr(definition, name)) for name in NUMBERS}
    values["holdout_percent"] = f"{definition.holdout_percent:g}"
    values["offer"] = definition.offer or ""
    for locale, version in definition.words.items():
        values.update({f"{locale}_{name}": getattr(version, name) for name in WORDS})
    return Form(values)


def definition_of(values: Mapping[str, str], *, placement: str = "email") -> dict[str, Any]:
    """The definition a form asks for; what is no number stays text, so that its fault is found with the others."""
    given: dict[str, Any] = {name: number(values.get(name, "")) for name in NUMBERS}
    given["holdout_percent"] = number(values.get("holdout_percent", "").replace(",", "."))
    given["offer"] = values.get("offer") or None
    given["placement"] = placement
    given["words"] = {
        locale: {name: values.get(f"{locale}_{name}", "").replace("\r\n", "\n").strip() for name in WORDS}
        for locale in definitions.LOCALES
        if any(values.get(f"{locale}_{name}", "").strip() for name in WORDS)
    }
    return given


def with_faults(values: Mapping[str, str], faults: Iterable[Fault]) -> Form:
    """The form as it was sent, each fault beside the field it concerns; `""` holds what concerns none."""
    placed: dict[str, str] = {}
    for fault in faults:
        name = fault.pointer.strip("/").removeprefix("words/").replace("/", "_")
        where = name if name in values else "fr_subject" if name == "words" else ""
        placed.setdefault(where, i18n.gettext("This value %(fault)s.", fault=sentences.said(fault.detail)))
    return Form(dict(values), placed)


def number(text: str) -> int | float | str:
    """What was typed as a number; what is none stays text, so that its fault is found with the others."""
    cleaned = text.strip()
    try:
        return int(cleaned)
    except ValueError:
        pass
    try:
        return float(cleaned)
    except ValueError:
        return cleaned
