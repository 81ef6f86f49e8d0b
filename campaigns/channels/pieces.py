"""A text much of which is the same for many: constants made once, and between them the values of one reader. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

T = TypeVar("T")


class Form:
    """What all texts of one form say: constants, one more than there are values between them.

    Two texts are of one form if theirs is the same object.
    """

    def __init__(self, constants: Sequence[str]) -> None:
        self.constants = tuple(constants)
        self._written = _spread(self.constants, "")
        self._encoded = _spread([constant.encode() for constant in self.constants], b"")

    def written(self, values: Sequence[str]) -> str:
        """The whole text with these values."""
        whole = self._written.copy()
        whole[1::2] = values
        return "".join(whole)

    def encoded(self, values: Sequence[bytes]) -> bytes:
        """The whole text in UTF-8 with these values."""
        whole = self._encoded.copy()
        whole[1::2] = values
        return b"".join(whole)


@dataclass(frozen=True)
class Pieces:
    """One reader's text: its form, and the values that stand between the form's constants, in order."""

    form: Form
    values: Sequence[str]

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.form.written(self.values)

    @cached_property
    def encoded(self) -> bytes:
        """All of it in UTF-8. Encoding what is the same for many each time would take longer than all the rest."""
        encoded = "\0".join(self.values).encode().split(b"\0")
        if len(encoded) != len(self.values):
            encoded = [value.encode() for value in self.values]
        return self.form.encoded(encoded)


def _spread(constants: Sequence[T], between: T) -> list[T]:
    """The constants with a place between any two."""
    spread = [between] * (2 * len(constants) - 1)
    spread[::2] = constants
    return spread
