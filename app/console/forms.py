"""Reading a form into a definition, and a definition into a form, with each fault beside its field.

A field is named by the JSON pointer of what it holds, as `/steps/0/words/fr/subject`; so a fault finds its field.
"""

import copy
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from app import i18n
from app.console import sentences
from campaigns.definitions import campaign as definitions
from campaigns.definitions import content, flow
from campaigns.definitions.campaign import Campaign
from campaigns.definitions.steps import Ask, Send
from foundation.errors import Fault

WORDS = ("subject", "heading", "intro")


@dataclass(frozen=True, slots=True)
class Form:
    """What fields hold, as text, and what is wrong with them, by field."""

    values: Mapping[str, str]
    faults: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str) -> str:
        """What the field shows."""
        return self.values.get(name, "")


@dataclass(frozen=True, slots=True)
class Part:
    """The fields of one step that says something."""

    place: str
    step: Send | Ask

    @property
    def sends(self) -> bool:
        """Whether it is a message, and no question."""
        return isinstance(self.step, Send)


def parts(definition: Campaign) -> list[Part]:
    """The steps whose words a form shows, in reading order."""
    walked = flow.walk(definition.steps)
    return [Part(place, step) for place, step in walked if isinstance(step, Send | Ask) and step.words]


def of_definition(definition: Campaign) -> Form:
    """The form of a campaign as it stands."""
    return Form({pointer: _shown(_at(_whole(definition), pointer)) for pointer in _fields(definition)})


def definition_of(values: Mapping[str, str], definition: Campaign) -> dict[str, Any]:
    """The definition a form asks for: the one that stands, with what the form holds in its place.

    What is no number stays text, so that its fault is found with the others. A language without words is left out.
    """
    given = copy.deepcopy(definitions.dump(definition))
    for pointer in _fields(definition):
        if pointer in values:
            _put(given, pointer, _read(pointer, values[pointer]))
    for part in parts(definition):
        words = _at(given, f"{part.place}/words")
        for locale in [locale for locale, said in words.items() if not any(said.get(name) for name in WORDS)]:
            del words[locale]
    return given


def with_faults(values: Mapping[str, str], faults: Iterable[Fault]) -> Form:
    """The form as it was sent, each fault beside the field it concerns; `""` holds what concerns none."""
    placed: dict[str, str] = {}
    for fault in faults:
        names = (fault.pointer, fault.pointer.strip("/").replace("/", "_"), f"{fault.pointer}/fr/subject")
        where = next((name for name in names if name in values), None)
        sentence = i18n.gettext("This value %(fault)s.", fault=sentences.said(fault.detail))
        if where is not None:
            placed.setdefault(where, sentence)
        else:
            placed[""] = " ".join(filter(None, [placed.get(""), f"{fault.pointer}: {sentence}"]))
    return Form(dict(values), placed)


def _fields(definition: Campaign) -> Iterator[str]:
    """The pointers of everything a form changes."""
    yield "/title"
    yield "/holdout_percent"
    if hasattr(definition.entry, "delay"):
        yield "/entry/delay"
    for part in parts(definition):
        yield f"{part.place}/expires"
        if part.sends:
            yield f"{part.place}/offer"
            yield f"{part.place}/products"
        for locale in content.LOCALES:
            for name in WORDS:
                yield f"{part.place}/words/{locale}/{name}"


def _whole(definition: Campaign) -> dict[str, Any]:
    return definition.model_dump(mode="json")


def _at(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        value = value[int(part)] if isinstance(value, list) else value.get(part) if isinstance(value, dict) else None
    return value


def _put(value: Any, pointer: str, new: object) -> None:
    """Writes it at its place, making objects on the way; None and an empty text take a field away."""
    *way, last = pointer.split("/")[1:]
    for part in way:
        value = value[int(part)] if isinstance(value, list) else value.setdefault(part, {})
    if new in (None, ""):
        value.pop(last, None)
    else:
        value[last] = new


def _read(pointer: str, text: str) -> object:
    cleaned = text.replace("\r\n", "\n").strip()
    if pointer.endswith(("/holdout_percent", "/products")):
        return number(cleaned.replace(",", "."))
    return cleaned.replace(" ", "") if pointer.endswith(("/delay", "/expires")) else cleaned


def _shown(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def number(text: str) -> int | float | str:
    """What was typed as a number; what is none stays text, so that its fault is found with the others."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def fingerprint(values: object) -> str:
    """A short word for what a form showed when it was opened: another one means that it was changed since."""
    return hashlib.blake2b(orjson.dumps(values, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
