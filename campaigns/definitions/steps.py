"""The steps of a journey as typed values. A step that branches holds its branches; they join after it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from campaigns.definitions.blocks import Text
from campaigns.definitions.conditions import Condition
from campaigns.definitions.content import Versions
from campaigns.definitions.entries import Tests, TraitName, Weekday, Zone
from campaigns.definitions.offers import Empty
from campaigns.definitions.shapes import Clock, Duration, Line, Scalar, Shape, Word, like
from foundation.errors import Invalid
from recommender import placements

MOST = 60
"""Steps of one campaign, all branches together."""

Channel = Literal["email", "push", "sms", "whatsapp", "onsite", "audience_in", "audience_out", "best"]
SPEAKING = ("email", "push", "sms", "whatsapp", "onsite", "best")
"""Channels that say something; the others only move a customer in or out of an audience."""

Id = Word


def _known(placement: str) -> str:
    try:
        return placements.known(placements.DEFAULTS, placement).name
    except Invalid as error:
        raise ValueError(error.faults[0].detail) from None


Placement = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(placements.DEFAULTS)})]
"""The place of a slate, by the recommender's name for it."""

Steps = Annotated[tuple["Step", ...], Field(max_length=MOST)]


class Wait(Shape):
    """Nothing for a length of time."""

    type: Literal["wait"]
    id: Id
    duration: Duration


class WaitUntil(Shape):
    """Nothing until the next such hour, on one of these weekdays if any are named; both by whose clock `zone` says."""

    type: Literal["wait_until"]
    id: Id
    at: Clock = "09:00"
    weekdays: Annotated[tuple[Weekday, ...], Field(max_length=7)] = ()
    zone: Zone = "customer"


class WaitFor(Shape):
    """Waits for an event: `then` once it happens, `otherwise` when `timeout` is over without it."""

    type: Literal["wait_for"]
    id: Id
    event: Line
    where: Tests = ()
    timeout: Duration
    then: Steps = ()
    otherwise: Steps = ()


class Branch(Shape):
    """One way of a split: whoever fulfils the condition, whose entry event passes the tests, or both."""

    name: Line
    when: Condition | None = None
    where: Tests = ()
    steps: Steps = ()


class Split(Shape):
    """The first branch that fits, else `otherwise`."""

    type: Literal["split"]
    id: Id
    branches: Annotated[tuple[Branch, ...], Field(min_length=1, max_length=10)]
    otherwise: Steps = ()


class Variant(Shape):
    """One arm of an experiment; `weight` is its share among the weights of all."""

    name: Word
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    steps: Steps = ()


class Winner(Shape):
    """When the better variant is settled: on which goal, and with how much evidence at least, of each variant.

    `automatic`: newcomers then go its way. `buyers` counts people, `orders` what they ordered; `sales` and `margin` are
    a person, net of returns and discounts.
    """

    goal: Literal["buyers", "orders", "sales", "margin", "clicks"] = "margin"
    people: Annotated[int, Field(ge=100, le=1_000_000)] = 500
    conversions: Annotated[int, Field(ge=25, le=100_000)] = 25
    days: Annotated[int, Field(ge=1, le=365)] = 7
    automatic: bool = False


class Experiment(Shape):
    """Draws a variant by a stable hash: the same customer always goes the same way."""

    type: Literal["experiment"]
    id: Id
    variants: Annotated[tuple[Variant, ...], Field(min_length=2, max_length=10)]
    winner: Winner = Winner()


class Template(Shape):
    """A WhatsApp template as the gateway names it once it was approved, and what fills its places, in their order."""

    name: Line
    values: Annotated[tuple[Text, ...], Field(max_length=20)] = ()


class Send(Shape):
    """One message. `best` is the channel she agreed to and answers most; `expires` is when it is too late to send it.

    `no_code` says what becomes of it when there is no code to give, by default what the offer says. `reviews` adds what
    others say of the products it is about; `link` is where its button leads, by default back to
    the cart or the product.
    """

    type: Literal["send"]
    id: Id
    channel: Channel = "email"
    words: Versions | None = None
    products: Annotated[int, Field(ge=0, le=12)] = 0
    placement: Placement = "email"
    offer: Line | None = None
    no_code: Empty | None = None
    expires: Duration = "48h"
    reviews: bool = False
    link: Annotated[str, like(r"(https?://|/)[^\s\x00-\x1f]{0,2000}", "must be a web address")] | None = None
    audience: Line | None = None
    template: Template | None = None


class Ask(Shape):
    """A question answered by one click, with a comment if she likes; an answer up to `alert_at_most` raises an alert.

    `nps` runs from 0 to 10, `satisfaction` and `stars` from 1 to 5.
    """

    type: Literal["ask"]
    id: Id
    kind: Literal["nps", "satisfaction", "stars"]
    channel: Literal["email", "push", "sms", "onsite", "best"] = "email"
    words: Versions
    comment: bool = True
    alert_at_most: Annotated[int, Field(ge=0, le=10)] | None = None
    expires: Duration = "3d"


class SetTrait(Shape):
    """Writes a trait of the customer, as if the shop had told us."""

    type: Literal["set_trait"]
    id: Id
    trait: TraitName
    value: Scalar | None


class Webhook(Shape):
    """Tells another program, by a signed POST; `note` is passed on as it is."""

    type: Literal["webhook"]
    id: Id
    url: Annotated[str, like(r"https?://[^\s\x00-\x1f]{1,2000}", "must be a web address")]
    note: Text | None = None


class Exit(Shape):
    """The journey ends here."""

    type: Literal["exit"]
    id: Id


Step = Annotated[
    Wait | WaitUntil | WaitFor | Split | Experiment | Send | Ask | SetTrait | Webhook | Exit,
    Field(discriminator="type"),
]
Saying = Send | Ask
"""Steps that make a message."""

LOWEST = {"nps": 0, "satisfaction": 1, "stars": 1}
HIGHEST = {"nps": 10, "satisfaction": 5, "stars": 5}

for _branching in (WaitFor, Branch, Split, Variant, Experiment):
    _branching.model_rebuild()


def branches(step: Step) -> tuple[tuple[str, tuple[Step, ...]], ...]:
    """The sequences a step holds, each with its place within the step; empty for steps that do not branch."""
    match step:
        case WaitFor():
            return ("then", step.then), ("otherwise", step.otherwise)
        case Split():
            ways = tuple((f"branches/{n}/steps", branch.steps) for n, branch in enumerate(step.branches))
            return (*ways, ("otherwise", step.otherwise))
        case Experiment():
            return tuple((f"variants/{n}/steps", variant.steps) for n, variant in enumerate(step.variants))
    return ()
