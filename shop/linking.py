"""Decides who each event of a batch belongs to, and which customers turn out to be one person. Pure.

The rules, in the order they weigh:

1. A user id is the shop's own word for a person. Two different user ids are two people, unless a trusted source says
   otherwise by `alias`.
2. A browser or device (anonymous id, device token) belongs to the known customer seen on it last. What an anonymous
   visitor did there before is that customer's; another known customer keeps all that is theirs.
3. An e-mail, phone or card links to a customer without a user id. Held by another known customer it is only a claim,
   and claimed by several it says nothing any more: it is quarantined.
4. A public write key cannot become a known customer by knowing their e-mail: that takes a user id or a secret.

Events are placed one after the other, so a batch ends where single calls would have.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from shop import handles
from shop.handles import Handle, Kind
from shop.vocabulary import Event, Reason

CLAIMS_OF_A_HUB = 2
"""So many known customers beside its holder make a handle meaningless."""


@dataclass(frozen=True, slots=True)
class Merge:
    """`loser` turned out to be `winner`; the handle and the event that showed it."""

    winner: int
    loser: int
    handle: Handle
    event: Event


@dataclass(slots=True)
class Graph:
    """Who holds which handle, as stored and as the batch changes it. Customers not yet stored have negative ids."""

    holders: dict[Handle, int] = field(default_factory=dict)
    user_ids: dict[int, str | None] = field(default_factory=dict)
    quarantined: set[Handle] = field(default_factory=set)
    claims: dict[Handle, set[int]] = field(default_factory=dict)

    created: list[int] = field(default_factory=list)
    attached: dict[Handle, int] = field(default_factory=dict)
    moved: dict[Handle, int] = field(default_factory=dict)
    promoted: set[int] = field(default_factory=set)
    merges: list[Merge] = field(default_factory=list)
    claimed: set[tuple[Handle, int]] = field(default_factory=set)
    newly_quarantined: set[Handle] = field(default_factory=set)
    _parents: dict[int, int] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything must be written. Whoever is new brings a handle."""
        return bool(self.attached or self.moved or self.merges or self.claimed or self.promoted)

    def find(self, customer: int) -> int:
        """Whom a customer has become."""
        while customer in self._parents:
            customer = self._parents[customer]
        return customer

    def holder(self, handle: Handle) -> int | None:
        """Who a handle names today."""
        customer = self.holders.get(handle)
        return customer if customer is None or not self._parents else self.find(customer)

    def place(self, event: Event) -> int | Reason:
        """The customer an event belongs to, having learnt what it says of who is who; or why it is refused."""
        if event.type == "alias" and not event.trusted and self._joins_two_known(event):
            return Reason.TWO_KNOWN_CUSTOMERS
        weak, strong = handles.weak(event), handles.strong(event)
        if event.user_id:
            customer = self._known(Handle(Kind.USER_ID, event.user_id), weak, event)
        elif weak:
            customer = self._visitor(weak, event)
        elif strong:
            customer = self._bearer(strong)
        else:
            return Reason.NO_IDENTITY
        if event.type == "alias" and event.previous_id:
            customer = self._alias(customer, event.previous_id, event)
        for handle in strong:
            customer = self._given(handle, customer, event)
        return customer

    # ----------------------------------------------------------------------------------- kinds of speaker
    def _known(self, handle: Handle, weak: Iterable[Handle], event: Event) -> int:
        """The customer of a user id, who owns the browsers and devices they use."""
        customer = self.holder(handle)
        if customer is None:
            customer = next((found for found in map(self._anonymous_holder, weak) if found), None) or self._create()
            self.user_ids[customer] = handle.value
            self.promoted.add(customer)
            self._attach(handle, customer)
        for used in weak:
            self._use(used, customer, event)
        return customer

    def _use(self, handle: Handle, customer: int, event: Event) -> None:
        other = self.holder(handle)
        if other is None:
            self._attach(handle, customer)
        elif other != customer and handle not in self.quarantined:
            if self.user_ids[other] is None:
                self._merge(customer, other, handle, event)
            else:
                self._move(handle, customer)

    def _visitor(self, weak: list[Handle], event: Event) -> int:
        """Whoever uses this browser or device, known by it alone."""
        customer = self.holder(weak[0])
        if customer is None:
            customer = next((found for found in map(self._anonymous_holder, weak[1:]) if found), None) or self._create()
            self._attach(weak[0], customer)
        for handle in weak[1:]:
            if self.user_ids[customer] is not None:
                self._use(handle, customer, event)
            elif self.holder(handle) is None:
                self._attach(handle, customer)
            elif self._anonymous_holder(handle) not in (None, customer):
                customer = self._merge_older(customer, self.holders[handle], handle, event)
        return customer

    def _bearer(self, strong: list[Handle]) -> int:
        """Whoever shows this card or gives this address, on the word of a trusted source."""
        usable = [handle for handle in strong if handle not in self.quarantined]
        return next((found for found in map(self.holder, usable) if found), None) or self._create()

    def _given(self, handle: Handle, customer: int, event: Event) -> int:
        """A customer gave an e-mail, phone or card. Returns whom they are now."""
        other = self.holder(handle)
        if other is None:
            self._attach(handle, customer)
        elif other == customer or handle in self.quarantined:
            return customer
        elif self.user_ids[other] is None:
            if self.user_ids[customer] is None:
                return self._merge_older(customer, other, handle, event)
            self._merge(customer, other, handle, event)
        elif self.user_ids[customer] is not None:
            self._claim(handle, customer)
        elif event.trusted:
            self._merge(other, customer, handle, event)
            return other
        return customer

    def _alias(self, customer: int, previous_id: str, event: Event) -> int:
        """`previous_id` is another name of this customer: a user id if we know one so called, else an anonymous id."""
        handle = Handle(Kind.USER_ID, previous_id)
        previous = self.holder(handle)
        if previous is None:
            self._use(Handle(Kind.ANONYMOUS_ID, previous_id), customer, event)
        elif previous != customer:
            if self.user_ids[customer] is None:
                customer, previous = previous, customer
            self._merge(customer, previous, handle, event)
        return customer

    def _joins_two_known(self, event: Event) -> bool:
        """Whether an alias would make one person of two user ids, or give a known customer another one."""
        previous = self.holders.get(Handle(Kind.USER_ID, event.previous_id or ""))
        if previous is None:
            return False
        if event.user_id is None:
            return True
        customer = self.holder(Handle(Kind.USER_ID, event.user_id))
        return customer != self.find(previous)

    # -------------------------------------------------------------------------------------------- changes
    def _anonymous_holder(self, handle: Handle) -> int | None:
        customer = self.holder(handle)
        usable = customer is not None and handle not in self.quarantined and self.user_ids[customer] is None
        return customer if usable else None

    def _create(self) -> int:
        customer = -1 - len(self.created)
        self.created.append(customer)
        self.user_ids[customer] = None
        return customer

    def _attach(self, handle: Handle, customer: int) -> None:
        self.holders[handle] = self.attached[handle] = customer

    def _move(self, handle: Handle, customer: int) -> None:
        self.holders[handle] = customer
        if handle in self.attached:
            self.attached[handle] = customer
        else:
            self.moved[handle] = customer

    def _claim(self, handle: Handle, customer: int) -> None:
        claimants = self.claims.setdefault(handle, set())
        if customer not in claimants:
            claimants.add(customer)
            self.claimed.add((handle, customer))
        if len(claimants) >= CLAIMS_OF_A_HUB:
            self.quarantined.add(handle)
            self.newly_quarantined.add(handle)

    def _merge_older(self, one: int, other: int, handle: Handle, event: Event) -> int:
        """Of two anonymous visitors the one known longer stays; stored ones come before those of this batch."""
        one, other = self.find(one), self.find(other)
        winner, loser = sorted((one, other), key=lambda customer: (customer < 0, abs(customer)))
        self._merge(winner, loser, handle, event)
        return winner

    def _merge(self, winner: int, loser: int, handle: Handle, event: Event) -> None:
        self._parents[loser] = winner
        self.merges.append(Merge(winner, loser, handle, event))
