"""What a rule means, said a second time in plain Python over plain lists, and rules drawn by lot."""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from hypothesis import strategies as st

from campaigns.definitions import conditions as c
from campaigns.definitions import shapes
from tests.campaigns import segment_world as made
from tests.campaigns.segment_world import World


def holds(rule: Any, world: World, customer: int) -> bool:
    """Whether a rule holds for a customer."""
    if customer == made.MERGED:
        return False
    if isinstance(rule, c.All):
        return all(holds(one, world, customer) for one in rule.of)
    if isinstance(rule, c.Any_):
        return any(holds(one, world, customer) for one in rule.of)
    if isinstance(rule, c.Not):
        return not holds(rule.rule, world, customer)
    return _LEAVES[type(rule)](rule, world, customer)


# ------------------------------------------------------------------------------------------------- values
def _number(value: Any) -> float | None:
    if value is None or isinstance(value, bool) or not re.fullmatch(r"-?\d+(\.\d+)?", str(value)):
        return None
    return float(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _against(rule: Any, value: float | None) -> bool:
    if value is None:
        return False
    tests: dict[str, Callable[[], bool]] = {
        "is": lambda: value == rule.value,
        "above": lambda: value > rule.value,
        "at_least": lambda: value >= rule.value,
        "below": lambda: value < rule.value,
        "at_most": lambda: value <= rule.value,
        "between": lambda: rule.value <= value <= rule.to,
    }
    return tests[rule.op]()


def _worded(rule: Any, value: Any) -> bool:
    if value is None:
        return False
    found = [_text(one) for one in value] if isinstance(value, list) else [_text(value)]
    wanted = [one.lower() for one in (rule.value if isinstance(rule.value, tuple) else (rule.value,))]
    tests: dict[str, Callable[[str], bool]] = {
        "is": lambda text: text in wanted,
        "one_of": lambda text: text in wanted,
        "contains": lambda text: wanted[0] in text,
        "starts": lambda text: text.startswith(wanted[0]),
    }
    return any(tests[rule.op](text.lower()) for text in found if text is not None)


def _midnight(day: str | date) -> datetime:
    return datetime.combine(date.fromisoformat(str(day)), time(), UTC)


def _moment(rule: Any, at: datetime | None, now: datetime) -> bool:
    if at is None:
        return False
    tests: dict[str, Callable[[], bool]] = {
        "before": lambda: at < _midnight(rule.value),
        "after": lambda: at >= _midnight(rule.value) + made.DAY,
        "between": lambda: _midnight(rule.value) <= at < _midnight(rule.to) + made.DAY,
        "in_last_days": lambda: at > now - timedelta(days=rule.value),
        "over_days_ago": lambda: at <= now - timedelta(days=rule.value),
    }
    return tests[rule.op]()


def _day(rule: Any, written: str | None, now: datetime) -> bool:
    if written is None or not re.match(r"\d{4}-\d{2}-\d{2}", written):
        return False
    day, today = written[:10], now.date()
    if rule.op == "anniversary_in_days":
        return any(_falls_on(day, today + n * made.DAY) for n in range(rule.value + 1))
    tests: dict[str, Callable[[], bool]] = {
        "before": lambda: day < rule.value,
        "after": lambda: day > rule.value,
        "between": lambda: rule.value <= day <= rule.to,
        "in_last_days": lambda: str(today - rule.value * made.DAY) <= day <= str(today),
        "in_next_days": lambda: str(today) <= day <= str(today + rule.value * made.DAY),
        "over_days_ago": lambda: day < str(today - rule.value * made.DAY),
    }
    return tests[rule.op]()


def _falls_on(day: str, on: date) -> bool:
    leap = (on + made.DAY).day == 29 or on.day == 29
    return day[5:] == str(on)[5:] or (day[5:] == "02-29" and (on.month, on.day) == (2, 28) and not leap)


def _inside(window: Any, at: datetime, now: datetime) -> bool:
    if window.within and not at > now - shapes.length(window.within):
        return False
    if window.since and at < _midnight(window.since):
        return False
    return not (window.until and at >= _midnight(window.until) + made.DAY)


# ------------------------------------------------------------------------------------------------- leaves
def _trait(rule: c.Trait, world: World, customer: int) -> bool:
    row = world.rows["customers"][customer - 1]
    value = row.get(rule.name) if rule.name in ("email", "birth_year") else row["traits"].get(rule.name)
    if rule.name == "created_at":
        value = str(row["created_at"].date())
    if rule.op == "exists":
        return value is not None
    if rule.of_days:
        return _day(rule, _text(value), world.now)
    if isinstance(rule.value, bool):
        return _text(value) == _text(rule.value)
    if isinstance(rule.value, int | float):
        return _against(rule, _number(value))
    return _worded(rule, value)


def _event(rule: c.Happened, world: World, customer: int) -> bool:
    found = [
        one
        for one in world.of("events", customer)
        if _named(rule, one) and _inside(rule, one["occurred_at"], world.now)
    ]
    times = [one["occurred_at"] for one in found]
    if rule.measure == "first":
        return _moment(rule, min(times, default=None), world.now)
    if rule.measure == "last":
        return _moment(rule, max(times, default=None), world.now)
    if rule.measure == "count":
        return _against(rule, len(found))
    values = [_property(one, str(rule.property)) for one in found]
    if rule.measure == "distinct":
        return _against(rule, len({_json(value) for value in values if value is not None}))
    return _against(rule, sum(_number(value) or 0 for value in values))


def _json(value: Any) -> str:
    return _text(value) if not isinstance(value, list | dict) else repr(value)  # type: ignore[return-value]


def _property(event: dict[str, Any], name: str) -> Any:
    return event[name] if name == "product_id" else event["properties"].get(name)


def _named(step: Any, event: dict[str, Any]) -> bool:
    told = {**event["properties"], "product_id": event["product_id"]}
    return event["name"] == step.name and all(shapes.holds(test, told) for test in step.where)


def _sequence(rule: c.Sequence, world: World, customer: int) -> bool:
    events, by = world.of("events", customer), shapes.length(rule.by)
    for one in events:
        at = one["occurred_at"]
        if not (_named(rule.first, one) and _inside(rule, at, world.now)):
            continue
        followed = any(_named(rule.then, other) and at < other["occurred_at"] <= at + by for other in events)
        if followed if rule.happened else not followed and at + by <= world.now:
            return True
    return False


def _goods(rule: Any, product: str) -> bool:
    category, brand = made.PRODUCTS.get(product) or (None, None)
    return (
        product in rule.products
        or any(
            category is not None and (category == one or category.startswith(f"{one} > ")) for one in rule.categories
        )
        or brand in rule.brands
    )


def _orders(rule: c.Orders, world: World, customer: int) -> bool:
    found = [
        one
        for one in world.of("orders", customer)
        if one["state"] != "cancelled"
        and _inside(rule, one["ordered_at"], world.now)
        and (not rule.channels or one["channel"] in rule.channels)
        and (not rule.stores or one["store_id"] in rule.stores)
        and (rule.any_product or any(_goods(rule, product) for product, _, _ in one["lines"]))
        and (rule.measure not in ("returns", "refunded") or one["refunded"] > 0)
    ]
    times = [one["ordered_at"] for one in found]
    worth = sum(_worth(rule, one) for one in found)
    if rule.measure in ("first", "last"):
        return _moment(rule, (min if rule.measure == "first" else max)(times, default=None), world.now)
    if rule.measure == "average":
        return bool(found) and _against(rule, worth / len(found))
    values = {"count": len(found), "returns": len(found), "value": worth, "refunded": sum(o["refunded"] for o in found)}
    return _against(rule, values[rule.measure])


def _worth(rule: c.Orders, order: dict[str, Any]) -> int:
    if rule.any_product:
        return int(order["total"] - order["refunded"])
    return sum(quantity * (price or 0) for product, quantity, price in order["lines"] if _goods(rule, product))


def _rfm(rule: c.Rfm, world: World, customer: int) -> bool:
    column = {"recency": "last_order_at", "frequency": "orders", "value": "spent"}[rule.measure]
    profiles = {one: made.profile(world, one) for one in range(1, made.PEOPLE)}
    ranked = sorted(kept[column] for kept in profiles.values() if kept and kept["orders"])
    mine = profiles[customer]
    if not mine or not mine["orders"]:
        return False
    bounds = [ranked[max(math.ceil(share * len(ranked)) - 1, 0)] for share in (0.2, 0.4, 0.6, 0.8)]
    return 1 + sum(mine[column] > bound for bound in bounds) in rule.quintiles


def _cart(rule: c.OpenCart, world: World, customer: int) -> bool:
    return any(
        one["state"] == "open"
        and (rule.value_at_least is None or one["value"] >= rule.value_at_least)
        and (rule.value_at_most is None or one["value"] <= rule.value_at_most)
        and (not rule.quiet_for or one["touched_at"] <= world.now - shapes.length(rule.quiet_for))
        and (not rule.touched_within or one["touched_at"] > world.now - shapes.length(rule.touched_within))
        and (rule.any_product or any(_goods(rule, line["product_id"]) for line in one["lines"]))
        for one in world.of("carts", customer)
    )


def _code(rule: c.Code, world: World, customer: int) -> bool:
    offer = {"TEN": 1, "FIVE": 2}.get(str(rule.offer))
    return any(_code_fits(rule, one, world.now) for one in world.of("promo_codes", customer)
               if rule.offer is None or one["offer_id"] == offer)  # fmt: skip


def _code_fits(rule: c.Code, code: dict[str, Any], now: datetime) -> bool:
    within = shapes.length(rule.within) if rule.within else None
    if rule.state in ("issued", "redeemed"):
        at = code[f"{rule.state}_at"]
        return at is not None and (within is None or at > now - within)
    usable = code["state"] == "issued" and code["expires_at"] > now
    return bool(usable and (within is None or code["expires_at"] <= now + within))


def _message(rule: c.Message, world: World, customer: int) -> bool:
    column = "accepted_at" if rule.did == "sent" else "last_clicked_at"
    campaign = {"relaunch": 1, "welcome": 2}.get(str(rule.campaign))
    found = [
        one
        for one in world.of("messages", customer)
        if one[column] is not None
        and _inside(rule, one[column], world.now)
        and (rule.channel is None or one["channel"] == rule.channel)
        and (rule.campaign is None or one["campaign_id"] == campaign)
    ]
    return _against(rule, len(found))


def _consent(rule: c.Consent, world: World, customer: int) -> bool:
    said = [
        one["state"]
        for one in world.of("consents", customer)
        if one["channel"] in (rule.channel, "any") and one["purpose"] in (rule.purpose, "any")
    ]
    return rule.state == ("unknown" if not said else "denied" if "denied" in said else "granted")


def _identity(rule: c.Identity, world: World, customer: int) -> bool:
    return any(one["kind"] == rule.kind and not one["quarantined_at"] for one in world.of("identities", customer))


def _used(rule: c.Used, world: World, customer: int) -> bool:
    at = (made.profile(world, customer) or {}).get(f"{rule.channel}_last_at")
    return at is not None and (
        rule.in_last_days is None or at >= _midnight(world.now.date()) - rule.in_last_days * made.DAY
    )


def _prediction(rule: c.Prediction, world: World, customer: int) -> bool:
    for row in world.of("customer_predictions", customer):
        value = row[rule.name]
        if rule.op == "exists":
            return value is not None
        if isinstance(value, datetime):
            return _day(rule, str(value.date()), world.now)
        return _worded(rule, value) if isinstance(rule.value, str | tuple) else _against(rule, value)
    return False


def _distance(rule: c.Distance, world: World, customer: int) -> bool:
    traits = world.rows["customers"][customer - 1]["traits"]
    latitude, longitude = _number(traits.get(rule.latitude)), _number(traits.get(rule.longitude))
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return False
    asked = [made.STORES[rule.store]] if rule.store else made.STORES.values()
    return any(_apart(latitude, longitude, *place) <= rule.km for place in asked)


def _apart(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """The angle between two places, by the other formula."""
    a, b, turn = math.radians(lat1), math.radians(lat2), math.radians(lon2 - lon1)
    return 6371.0088 * math.acos(min(1.0, math.sin(a) * math.sin(b) + math.cos(a) * math.cos(b) * math.cos(turn)))


def _in_segment(rule: c.InSegment, world: World, customer: int) -> bool:
    return rule.name == "good" and bool(world.of("segment_members", customer))


_LEAVES: dict[type, Callable[[Any, World, int], bool]] = {
    c.Trait: _trait, c.Happened: _event, c.Sequence: _sequence, c.Orders: _orders, c.Rfm: _rfm, c.OpenCart: _cart,
    c.Code: _code, c.Message: _message, c.Consent: _consent, c.Identity: _identity, c.Used: _used,
    c.Prediction: _prediction, c.Distance: _distance, c.InSegment: _in_segment,
}  # fmt: skip


# ------------------------------------------------------------------------------------------- rules by lot
def rules(now: datetime) -> st.SearchStrategy[dict[str, Any]]:
    """Rules as files write them: leaves of every kind, in groups up to three deep."""
    return st.recursive(
        leaves(now),
        lambda inner: st.one_of(
            st.builds(lambda of: {"type": "all", "of": of}, st.lists(inner, min_size=1, max_size=3)),
            st.builds(lambda of: {"type": "any", "of": of}, st.lists(inner, min_size=1, max_size=3)),
            st.builds(lambda rule: {"type": "not", "rule": rule}, inner),
        ),
        max_leaves=5,
    )


def leaves(now: datetime) -> st.SearchStrategy[dict[str, Any]]:
    """A rule of any kind that stands for itself."""
    days = [str(now.date() + n * made.DAY) for n in (-8, -2, -1, 0, 1, 2)]
    kinds = (
        _fixed(
            "trait",
            name=_of("city", "points", "email", "birth_year"),
            also=_numbers(-1, 0, 2.5, 3, 10, 1990) | _words(),
        ),
        _fixed("trait", name=_of("birthday", "created_at"), also=_calendar(days)),
        _fixed("trait", name=_of("city", "points", "nothing", "email"), op=_of("exists")),
        _fixed("trait", name=_of("city", "points"), value=st.booleans()),
        _fixed("identity", kind=_of("email", "card", "device")),
        _fixed("consent", channel=_of("email", "sms"), state=_of("granted", "denied", "unknown")),
        _fixed("channel", channel=_of("web", "app", "store")),
        _fixed("channel", channel=_of("web", "app"), in_last_days=_of(0, 1, 7)),
        _fixed("event", name=_of(*made.NAMES), also=_window(days) & _numbers(0, 1, 2) & _where()),
        _fixed(
            "event",
            name=_of(*made.NAMES),
            measure=_of("sum"),
            property=_of("price"),
            also=_window(days) & _numbers(0, 3, 12.5),
        ),
        _fixed(
            "event", name=_of(*made.NAMES), measure=_of("distinct"), property=_of("product_id"), also=_numbers(0, 1, 2)
        ),
        _fixed("event", name=_of(*made.NAMES), measure=_of("first", "last"), also=_moments(days)),
        _fixed(
            "sequence", first=_step(), then=_step(), by=_of("1h", "1d", "2d"), happened=st.booleans(), also=_long(days)
        ),
        _fixed(
            "orders",
            measure=_of("count", "value", "average", "returns", "refunded"),
            also=_window(days) & _numbers(0, 1, 50, 100) & _goods_by_lot(),
        ),
        _fixed("orders", measure=_of("first", "last"), also=_moments(days) & _goods_by_lot()),
        _fixed("orders", channels=_of(["web"], ["web", "store"]), stores=_of([], ["lyon"])),
        _fixed(
            "rfm",
            measure=_of("recency", "frequency", "value"),
            quintiles=st.lists(st.integers(1, 5), min_size=1, max_size=3),
        ),
        _fixed("cart", also=_goods_by_lot() & _cart_bounds()),
        _fixed("code", state=_of("issued", "redeemed"), also=_offer() & _maybe("within", "1d", "7d")),
        _fixed("code", state=_of("usable"), also=_offer()),
        _fixed("code", state=_of("expiring"), within=_of("1h", "1d", "7d"), also=_offer()),
        _fixed(
            "message",
            did=_of("sent", "clicked"),
            also=_window(days) & _numbers(0, 1, 2) & _maybe("campaign", "relaunch") & _maybe("channel", "email", "sms"),
        ),
        _fixed("prediction", name=_of("churn_risk"), also=_numbers(0.1, 0.5)),
        _fixed("prediction", name=_of("favourite_category"), op=_of("is"), value=_of("kitchen", "x")),
        _fixed("prediction", name=_of("next_order_at"), op=_of("in_next_days"), value=_of(0, 1, 9)),
        _fixed("distance", km=_of(6, 15, 500), also=_maybe("store", "lyon", "nantes")),
        _fixed("segment", name=_of("good", "other")),
    )
    return st.one_of(kinds)


class _Parts:
    """Fields by lot; `&` has those of both, `|` of one."""

    def __init__(self, drawn: st.SearchStrategy[dict[str, Any]]) -> None:
        self.drawn = drawn

    def __and__(self, other: "_Parts") -> "_Parts":
        return _Parts(st.builds(lambda mine, theirs: mine | theirs, self.drawn, other.drawn))

    def __or__(self, other: "_Parts") -> "_Parts":
        return _Parts(st.one_of(self.drawn, other.drawn))


def _fixed(
    kind_: str, /, *, also: _Parts | None = None, **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    drawn = _Parts(st.fixed_dictionaries({"type": st.just(kind_), **fields}))
    return (drawn & also).drawn if also else drawn.drawn


def _of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def _maybe(name: str, *values: Any) -> _Parts:
    return _Parts(st.one_of(st.just({}), _of(*values).map(lambda value: {name: value})))


def _numbers(*values: float) -> _Parts:
    one = st.fixed_dictionaries({"op": _of("is", "above", "at_least", "below", "at_most"), "value": _of(*values)})
    two = st.builds(lambda a, b: {"op": "between", "value": min(a, b), "to": max(a, b)}, _of(*values), _of(*values))
    return _Parts(st.one_of(one, two))


def _words() -> _Parts:
    one = st.fixed_dictionaries(
        {"op": _of("is", "contains", "starts"), "value": _of("lyon", "LY", "3", "2.5", "vip", "%")}
    )
    some = st.fixed_dictionaries(
        {"op": st.just("one_of"), "value": st.lists(_of("Lyon", "Nantes", "3"), min_size=1, max_size=2)}
    )
    return _Parts(st.one_of(one, some))


def _between(days: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda a, b: {"op": "between", "value": min(a, b), "to": max(a, b)}, _of(*days), _of(*days))


def _calendar(days: list[str]) -> _Parts:
    ahead = ("in_last_days", "in_next_days", "over_days_ago", "anniversary_in_days")
    return _Parts(
        st.one_of(
            st.fixed_dictionaries({"op": _of("before", "after"), "value": _of(*days)}),
            _between(days),
            st.fixed_dictionaries({"op": _of(*ahead), "value": _of(0, 1, 2, 7, 400)}),
        )
    )


def _moments(days: list[str]) -> _Parts:
    return _Parts(
        st.one_of(
            st.fixed_dictionaries({"op": _of("before", "after"), "value": _of(*days)}),
            _between(days),
            st.fixed_dictionaries({"op": _of("in_last_days", "over_days_ago"), "value": _of(0, 1, 2, 7)}),
        )
    )


def _window(days: list[str]) -> _Parts:
    return _maybe("within", "1h", "1d", "7d") | _long(days)


def _long(days: list[str]) -> _Parts:
    dates = st.builds(lambda a, b: {"since": min(a, b), "until": max(a, b)}, _of(*days), _of(*days))
    return _Parts(st.one_of(st.just({}), _of({"within": "7d"}), _of(*days).map(lambda day: {"since": day}), dates))


def _tests() -> st.SearchStrategy[dict[str, Any]]:
    plain = st.fixed_dictionaries({"property": _of("price", "product_id"), "test": _of("exists", "missing")})
    valued = st.fixed_dictionaries(
        {
            "property": _of("price", "product_id"),
            "test": _of("is", "is_not", "contains", "at_least", "at_most"),
            "value": _of(3, 12.5, "12.5", "much", "pot", "a", True),
        }
    )
    listed = st.fixed_dictionaries(
        {"property": _of("price"), "test": st.just("one_of"), "value": _of([3, "much"], ["a"])}
    )
    return st.one_of(plain, valued, listed)


def _where() -> _Parts:
    return _Parts(st.lists(_tests(), max_size=2).map(lambda where: {"where": where} if where else {}))


def _step() -> st.SearchStrategy[dict[str, Any]]:
    return (_Parts(st.fixed_dictionaries({"name": _of(*made.NAMES)})) & _where()).drawn


def _goods_by_lot() -> _Parts:
    return (
        _maybe("products", ["pot"], ["gone", "sofa"])
        & _maybe("categories", ["Kitchen"], ["Kitchen > Pots"])
        & _maybe("brands", ["Aubier"])
    )


def _cart_bounds() -> _Parts:
    times = _maybe("quiet_for", "1h", "1d") & _maybe("touched_within", "2d", "7d")
    return times & _maybe("value_at_least", 80, 90) & _maybe("value_at_most", 90, 100)


def _offer() -> _Parts:
    return _maybe("offer", "TEN")
