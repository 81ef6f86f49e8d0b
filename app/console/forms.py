"""A form as it was filled in: what its fields hold, and each fault beside the field it concerns."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from app import i18n
from app.console import sentences
from foundation.errors import Fault


@dataclass(frozen=True, slots=True)
class Form:
    """What fields hold, as text, and what is wrong with them, by field; and, if somebody else changed it while it was
    being filled in, what stands instead."""

    values: Mapping[str, str]
    faults: Mapping[str, str] = field(default_factory=dict)
    stands: Mapping[str, str] | None = None

    def value(self, name: str) -> str:
        """What the field shows."""
        return self.values.get(name, "")


def with_faults(values: Mapping[str, str], faults: Iterable[Fault]) -> Form:
    """The form as it was sent, each fault beside the field it concerns; `""` holds what concerns none."""
    placed: dict[str, str] = {}
    for fault in faults:
        names = (fault.pointer, fault.pointer.strip("/").replace("/", "_"))
        where = next((name for name in names if name in values), None)
        sentence = i18n.gettext("This value %(fault)s.", fault=sentences.said(fault.detail))
        if where is not None:
            placed.setdefault(where, sentence)
        else:
            placed[""] = " ".join(filter(None, [placed.get(""), f"{fault.pointer}: {sentence}"]))
    return Form(dict(values), placed)


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
