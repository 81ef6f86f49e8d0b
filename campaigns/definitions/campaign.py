"""Campaigns as typed values: parsing what a marketer wrote, and every fault with its place."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from campaigns import wording
from campaigns.definitions import conditions, content, entries, flow, shapes, steps
from campaigns.definitions.entries import DateEntry, Entry, EventEntry, Reentry, Schedule, SegmentEntry, Watch
from campaigns.definitions.shapes import Duration, Line, Shape, like
from campaigns.definitions.steps import Ask, Exit, Experiment, Send, SetTrait, Split, Step, Wait, WaitFor
from foundation.errors import Fault, Invalid
from shop.vocabulary import Name

DEEPEST = 6
"""How many branches within branches anyone can still read."""
MESSAGE_EVENTS = (Name.MESSAGE_SENT, Name.EMAIL_DELIVERED, Name.EMAIL_OPENED, Name.EMAIL_BOUNCED)
"""What a message brings about though nobody does anything."""
OWN_TRAITS = ("email", "phone", "id", "user_id", "card")
"""Traits that say who she is: a campaign may not write them."""


class Goal(Watch):
    """What the campaign is for; `within` is counted from the entry, by default the merchant's attribution window."""

    event: Line = "Order Completed"
    within: Duration | None = None


class Canary(Shape):
    """The first messages leave alone; the others wait this long and follow if nothing went wrong with those."""

    messages: Annotated[int, Field(ge=10, le=5_000)] = 200
    wait: Duration = "30m"


Topic = Annotated[str, like(r"[a-z0-9][a-z0-9_-]{0,40}", "must be a short word, as among the topics of the settings")]


class Campaign(Shape):
    """Who enters and when, what happens to them, and when it is over. `topic` is what it is about, for preferences."""

    title: Line
    entry: Entry
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=steps.MOST)]
    goal: Goal | None = Goal()
    exit_on: Annotated[tuple[Watch, ...], Field(max_length=10)] = ()
    reentry: Reentry = Reentry()
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    holdout_percent: Annotated[float, Field(ge=0, le=50)] = 0.0
    priority: Annotated[int, Field(ge=0, le=100)] = 50
    purpose: Literal["marketing", "transactional"] = "marketing"
    topic: Topic | None = None
    canary: Canary | None = None


def parse(value: object) -> Campaign:
    """Reads a definition as it stands in a file, a form or the database; raises `Invalid` with every fault."""
    found = shapes.read(Campaign, value)
    faults = [*_whole(found), *_entry(found), *_shape(found), *_steps(found), *_conditions(found)]
    if faults:
        raise Invalid(*faults)
    return found


def dump(campaign: Campaign) -> dict[str, Any]:
    """The definition as JSON, what goes without saying left out; `parse(dump(c)) == c`."""
    return campaign.model_dump(mode="json", exclude_defaults=True)


def fields(campaign: Campaign, step: Step) -> tuple[str, ...]:
    """The merge fields the words of this step may use: those its campaign's entry brings along."""
    about = {"cart": content.CART_FIELDS, "product": content.PRODUCT_FIELDS}.get(entries.keyed(campaign.entry), ())
    return (*content.CUSTOMER_FIELDS, *about, *(content.CODE_FIELDS if isinstance(step, Send) else ()))


def ruled(campaign: Campaign) -> Iterator[tuple[str, conditions.Condition]]:
    """Every segment rule in it, with its place."""
    if isinstance(campaign.entry, Schedule | DateEntry) and campaign.entry.audience:
        yield "/entry/audience", campaign.entry.audience
    for place, step in flow.walk(campaign.steps):
        if isinstance(step, Split):
            for number, branch in enumerate(step.branches):
                if branch.when:
                    yield f"{place}/branches/{number}/when", branch.when


def watched(campaign: Campaign) -> Iterator[tuple[str, Watch | WaitFor]]:
    """Every event that wakes or stops somebody under way, with its place."""
    yield from _watches(campaign)
    yield from ((place, step) for place, step in flow.walk(campaign.steps) if isinstance(step, WaitFor))


def _watches(campaign: Campaign) -> Iterator[tuple[str, Watch]]:
    if campaign.goal:
        yield "/goal", campaign.goal
    yield from ((f"/exit_on/{number}", watch) for number, watch in enumerate(campaign.exit_on))


# ---------------------------------------------------------------------------------------------- faults
def _whole(campaign: Campaign) -> Iterator[Fault]:
    if campaign.starts_at and campaign.ends_at and campaign.ends_at <= campaign.starts_at:
        yield Fault("/ends_at", "must follow starts_at")
    rule, days = campaign.reentry.rule, campaign.reentry.days
    if (rule == "after") != (days is not None):
        yield Fault("/reentry/days", "is needed with the rule after, and with it alone")
    if rule == "each_key" and entries.keyed(campaign.entry) == "none":
        yield Fault("/reentry/rule", "needs an entry with a key: a cart, an order, a product or each event")
    for place, watch in _watches(campaign):
        if watch.same not in ("none", entries.keyed(campaign.entry)):
            yield Fault(f"{place}/same", f"the entry is not about one {watch.same}")


def _entry(campaign: Campaign) -> Iterator[Fault]:
    entry = campaign.entry
    if isinstance(entry, EventEntry) and entry.reset and not isinstance(campaign.steps[0], Wait):
        yield Fault("/entry/reset", "needs a wait as the first step: it is what begins anew")
    if isinstance(entry, EventEntry) and campaign.reentry.rule == "each_key":
        yield from _echo(entry, {type(step) for _, step in flow.walk(campaign.steps)})


def _echo(entry: EventEntry, kinds: set[type[Step]]) -> Iterator[Fault]:
    """Who enters for each event that the campaign's own steps cause goes round for ever, and nobody did anything."""
    asked = {test.property for test in entry.where}
    if entry.event in MESSAGE_EVENTS and kinds & {Send, Ask} and not asked & {"campaign_id", "step"}:
        yield Fault("/entry/event", "is caused by its own messages, for ever: say of which campaign_id or step it is")
    if entry.event == Name.IDENTIFIED and SetTrait in kinds and not asked:
        yield Fault("/entry/event", "is caused by its own steps, for ever: say in where what it is about")


def _shape(campaign: Campaign) -> Iterator[Fault]:
    """The tree: every step named once, none behind an end, none too deep to be read."""
    places = list(flow.walk(campaign.steps))
    if len(places) > steps.MOST:
        yield Fault("/steps", f"must hold at most {steps.MOST} steps, all branches together")
    seen: set[str] = set()
    for place, step in places:
        if step.id in seen:
            yield Fault(f"{place}/id", f"is the id of another step too: {step.id}")
        seen.add(step.id)
        if place.count("/") > 2 + 3 * DEEPEST:
            yield Fault(place, "stands in too many branches within branches")
    for place, sequence in _sequences(campaign):
        for number, step in enumerate(sequence[:-1]):
            if isinstance(step, Exit):
                yield Fault(f"{place}/{number + 1}", "can never be reached: the step before it ends the journey")


def _sequences(campaign: Campaign) -> Iterator[tuple[str, tuple[Step, ...]]]:
    yield "/steps", campaign.steps
    for place, step in flow.walk(campaign.steps):
        for name, inner in steps.branches(step):
            yield f"{place}/{name}", inner


def _steps(campaign: Campaign) -> Iterator[Fault]:
    for place, step in flow.walk(campaign.steps):
        match step:
            case Send():
                yield from _send(campaign, step, place)
                yield from _coded(step, place)
            case Ask():
                yield from _ask(campaign, step, place)
            case Split():
                yield from _split(campaign, step, place)
            case Experiment():
                yield from _named([variant.name for variant in step.variants], f"{place}/variants")
            case SetTrait() if step.trait.lower() in OWN_TRAITS:
                yield Fault(f"{place}/trait", "says who she is, and cannot be written by a campaign")
            case SetTrait(value=None):
                yield Fault(f"{place}/value", "must be a text, a number, true or false")


def _send(campaign: Campaign, step: Send, place: str) -> Iterator[Fault]:
    if step.channel not in steps.SPEAKING:
        if not step.audience:
            yield Fault(f"{place}/audience", "is needed: the name of the audience")
        if step.words or step.offer or step.products:
            yield Fault(place, "an audience has no words, products or offer")
        return
    if step.audience:
        yield Fault(f"{place}/audience", "is for audience_in and audience_out only")
    yield from _template(campaign, step, place)
    if step.words is None:
        if step.channel != "whatsapp":
            yield Fault(f"{place}/words", "must hold at least one language")
        return
    yield from _words(campaign, step, place)
    if step.reviews and entries.keyed(campaign.entry) not in ("cart", "product"):
        yield Fault(f"{place}/reviews", "needs an entry about a cart or a product")


def _template(campaign: Campaign, step: Send, place: str) -> Iterator[Fault]:
    """WhatsApp carries approved templates alone, and nothing else does."""
    if (step.channel == "whatsapp") != (step.template is not None):
        yield Fault(f"{place}/template", "is needed for whatsapp, and for it alone")
    for number, value in enumerate(step.template.values if step.template else ()):
        for sentence in wording.check(value, fields=fields(campaign, step)):
            yield Fault(f"{place}/template/values/{number}", sentence)


def _coded(step: Send, place: str) -> Iterator[Fault]:
    if step.no_code and not step.offer:
        yield Fault(f"{place}/no_code", "is for messages with an offer")


def _ask(campaign: Campaign, step: Ask, place: str) -> Iterator[Fault]:
    yield from _words(campaign, step, place)
    low, high = steps.LOWEST[step.kind], steps.HIGHEST[step.kind]
    if step.alert_at_most is not None and not low <= step.alert_at_most < high:
        yield Fault(f"{place}/alert_at_most", f"must be a whole number from {low} to {high - 1}")


def _words(campaign: Campaign, step: Send | Ask, place: str) -> Iterator[Fault]:
    versions = step.words or {}
    yield from content.lacking(versions, channel=step.channel, place=f"{place}/words")
    allowed = fields(campaign, step)
    coded = isinstance(step, Send) and step.offer is not None and step.no_code != "without"
    without = () if coded else content.CODE_FIELDS
    for where, text in content.texts(versions, place=f"{place}/words"):
        sentences = wording.check(text, fields=allowed)
        if not sentences and (hole := wording.hole(text, fields=allowed, without=without)):
            sentences = [f"cannot be written without an offer: {hole}"]
        yield from (Fault(where, sentence) for sentence in sentences)


def _split(campaign: Campaign, step: Split, place: str) -> Iterator[Fault]:
    yield from _named([branch.name for branch in step.branches], f"{place}/branches")
    told = isinstance(campaign.entry, EventEntry | SegmentEntry)
    for number, branch in enumerate(step.branches):
        if branch.where and not told:
            yield Fault(f"{place}/branches/{number}/where", "can never hold: nobody enters by an event")
        if branch.when is None and not branch.where:
            yield Fault(f"{place}/branches/{number}/when", "is needed: a condition, or where for the entry's event")


def _named(names: list[str], place: str) -> Iterator[Fault]:
    for number, name in enumerate(names):
        if name in names[:number]:
            yield Fault(f"{place}/{number}/name", f"is given twice: {name}")


def _conditions(campaign: Campaign) -> Iterator[Fault]:
    for place, condition in ruled(campaign):
        for fault in conditions.too_big(condition):
            yield Fault(place + fault.pointer, fault.detail)
