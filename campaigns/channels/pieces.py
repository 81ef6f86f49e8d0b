"""A mail much of which is the same for many: constants made once, and between them the values of one reader. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
from markupsafe import escape


class Fixed(str):
    """A text that says the same to all: the merchant's own words, without a field."""

    __slots__ = ()


class Same(dict[str, Any]):
    """What a block shows to everybody alike; there is one object for all that says the same."""

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


@dataclass(frozen=True, slots=True)
class Cut:
    """One text of a form: its constants, and which value stands between each of them and the next."""

    constants: Sequence[str]
    places: Sequence[int]

    def written(self, values: Sequence[str]) -> str:
        """The whole text with these values."""
        whole = [""] * (2 * len(self.places) + 1)
        whole[::2] = self.constants
        whole[1::2] = [values[place] for place in self.places]
        return "".join(whole)


@dataclass(frozen=True, eq=False)
class Form:
    """What all mails of one kind say, HTML and text; nobody is in it. Two that say the same are equal."""

    html: Cut
    text: Cut

    def __eq__(self, other: object) -> bool:
        return self is other or isinstance(other, Form) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of all of it: the name it is kept by."""
        return hashlib.sha256(self.packed).digest()

    @cached_property
    def packed(self) -> bytes:
        """All of it as JSON, as it is kept."""
        return orjson.dumps([self.html.constants, self.html.places, self.text.constants, self.text.places])

    @classmethod
    def unpacked(cls, packed: bytes) -> "Form":
        """The form that was packed so."""
        html, in_html, text, in_text = orjson.loads(packed)
        return cls(Cut(html, in_html), Cut(text, in_text))


@dataclass(frozen=True)
class Body:
    """One reader's mail: its form, and the values that stand in it, as they are before they are written in HTML."""

    form: Form
    values: Sequence[str]

    @cached_property
    def html(self) -> str:
        """The whole HTML."""
        return self.form.html.written(self.escaped)

    @cached_property
    def text(self) -> str:
        """The whole text."""
        return self.form.text.written(self.values)

    @cached_property
    def escaped(self) -> Sequence[str]:
        """The values as HTML; all at once, for to ask for each takes longer."""
        escaped = str.split(escape("\0".join(self.values)), "\0") if self.values else []
        return escaped if len(escaped) == len(self.values) else [str(escape(value)) for value in self.values]

    @cached_property
    def own(self) -> bytes:
        """The values as JSON, as they are kept."""
        return orjson.dumps(self.values)

    @classmethod
    def of(cls, form: Form, own: bytes) -> "Body":
        """The mail of which this was kept."""
        values: Any = orjson.loads(own)
        return cls(form, values)


def whole(html: str, text: str) -> Body:
    """A mail that was written as a whole and has a form of its own."""
    return Body(Form(Cut((html,), ()), Cut((text,), ())), ())


def fingerprint(*parts: str, body: Body, headers: Mapping[str, str]) -> bytes:
    """SHA-256 of all that is sent: of the form its digest stands for what it says. Whatever of these were another, so
    would this be."""
    said = [*parts, body.form.digest.hex(), sorted(headers.items())]
    return hashlib.sha256(orjson.dumps(said) + body.own).digest()
