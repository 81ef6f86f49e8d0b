"""What should become of each customer of a journey: a page of plain Python beside which the engine is held."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from campaigns import experiments
from campaigns.definitions import shapes

LATE = timedelta(hours=24)
Steps = Sequence[Mapping[str, Any]]


@dataclass
class Person:
    """One customer: what she did, and where the oracle thinks she is."""

    customer_id: int
    orders: dict[str, datetime] = field(default_factory=dict)
    quits: list[datetime] = field(default_factory=list)
    version: int = 0
    arm: str = ""
    happened: datetime | None = None
    entered: datetime | None = None
    since: datetime | None = None
    wake: datetime | None = None
    left: str | None = None
    todo: list[Mapping[str, Any]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)

    @property
    def under_way(self) -> bool:
        return self.entered is not None and self.left is None


@dataclass
class Oracle:
    """The campaign and its people. `versions` holds the steps of each version, the first at 1."""

    name: str
    holdout_percent: float
    window: timedelta
    versions: list[Steps]
    state: str = "sending"
    people: dict[str, Person] = field(default_factory=dict)
    signals: list[tuple[str, str, datetime]] = field(default_factory=list)

    def hears(self, user: str, event: str, *, at: datetime) -> None:
        """An event leaves a signal while the campaign runs; nobody listens for a paused one."""
        if self.state == "sending":
            self.signals.append((user, event, at))

    def tick(self, now: datetime) -> None:
        """Takes up every signal, then takes everybody whose turn it is as far as she gets."""
        for user, event, at in self.signals:
            person = self.people[user]
            if event == "Signed Up" and self.state == "sending" and at > now - LATE and person.entered is None:
                self._enter(person, at, now)
        for user, event, _ in self.signals:
            person = self.people[user]
            if event != "Signed Up" and person.under_way and person.wake is not None and person.wake > now:
                person.wake = now
        self.signals.clear()
        for person in self.people.values():
            if person.under_way and person.wake is not None and person.wake <= now:
                if self.state == "sending" or not person.todo:
                    self._advance(person, now)

    def _enter(self, person: Person, at: datetime, now: datetime) -> None:
        person.version = len(self.versions)
        person.arm = experiments.assign(self.name, person.customer_id, holdout_percent=self.holdout_percent)
        person.happened = person.since = at
        person.entered = person.wake = now
        person.todo = list(self.versions[-1])

    def _advance(self, person: Person, now: datetime) -> None:
        assert person.happened and person.entered and person.since
        if any(at > person.happened for at in person.orders.values()):
            person.left = "converted"
        elif person.todo and any(at > person.happened for at in person.quits):
            person.left = "exited"
        else:
            self._walk(person, now)

    def _walk(self, person: Person, now: datetime) -> None:
        assert person.entered and person.since
        while person.todo:
            step = person.todo[0]
            if step["type"] == "wait":
                until = person.since + shapes.length(step["duration"])
                if now < until:
                    person.wake = until
                    return
            person.todo.pop(0)
            person.todo[:0] = self._inside(person, step)
            if step["type"] == "send" and person.arm == "treated":
                person.sent.append(step["id"])
            person.since = now
        person.wake = person.entered + self.window
        if now >= person.wake:
            person.left = "ended"

    def _inside(self, person: Person, step: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        if step["type"] != "experiment":
            return []
        weights = {variant["name"]: variant.get("weight", 1) for variant in step["variants"]}
        drawn = experiments.draw(f"{self.name}:{step['id']}", person.customer_id, weights=weights)
        person.choices[step["id"]] = drawn
        return next(list(variant["steps"]) for variant in step["variants"] if variant["name"] == drawn)

    def places(self) -> Iterator[tuple[str, tuple[str, str | None, str, tuple[str, ...]]]]:
        """Everybody who came in: state, why she left, her next step, what was said to her."""
        for user, person in self.people.items():
            if person.entered is not None:
                state = "left" if person.left else "waiting"
                step = person.todo[0]["id"] if person.todo else ""
                yield user, (state, person.left, step, tuple(sorted(person.sent)))
