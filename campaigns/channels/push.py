"""Notifications on every device of a customer: browsers by web push, apps by Firebase, and a simulated telephone."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from campaigns.channels import webpush
from campaigns.channels.base import Messenger, Note, Receipt

APP, PHONE = "app:", "phone:"
"""How the address of an app's device, or of the telephone of a demonstration, begins; any other is a browser's."""


class Push:
    """Gives each device to whoever reaches its kind, and one receipt for the message."""

    def __init__(self, *, web: Messenger, app: Messenger | None) -> None:
        self._web, self._app = web, app

    @property
    def provider(self) -> str:
        return "push"

    @property
    def keeps_for(self) -> timedelta | None:
        return None

    @property
    def tells(self) -> bool:
        return False

    def deliver(self, batch: Sequence[Note]) -> list[Receipt]:
        told: dict[int, list[tuple[str, Receipt]]] = {number: [] for number in range(len(batch))}
        for carrier, beginnings in ((self._web, ("[",)), (self._app, (APP, PHONE))):
            chosen = {number: _only(note, beginnings) for number, note in enumerate(batch)}
            going = {number: note for number, note in chosen.items() if note.addresses}
            if carrier is None or not going:
                continue
            receipts = carrier.deliver([_bare(note) for note in going.values()])
            for (number, note), receipt in zip(going.items(), receipts, strict=True):
                told[number].append(("", _named(receipt, note)))
        return [webpush.combined(note, told[number]) for number, note in enumerate(batch)]

    def close(self) -> None:
        """Closes the connections of both."""
        self._web.close()
        if self._app is not None:
            self._app.close()


def _only(note: Note, beginnings: tuple[str, ...]) -> Note:
    return _to(note, tuple(address for address in note.addresses if address.startswith(beginnings)))


def _bare(note: Note) -> Note:
    """As the carrier knows its devices: an app's by its token alone."""
    return _to(note, tuple(address.removeprefix(APP) for address in note.addresses))


def _named(receipt: Receipt, note: Note) -> Receipt:
    """The receipt with dead devices named as they were given."""
    given = {address.removeprefix(APP): address for address in note.addresses}
    dead = tuple(given[device] for device in receipt.dead)
    return replace(receipt, dead=dead)


def _to(note: Note, addresses: tuple[str, ...]) -> Note:
    return replace(note, addresses=addresses)
