"""`/v1/promo-codes`: what a till asks of a code - does it hold, use it once, give it back."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

import pydantic
import sqlalchemy as sa
from flask import Blueprint, Response, g, request
from werkzeug.exceptions import TooManyRequests

from app import parts, rate_limits, security
from app.api.endpoint import Amount, Body, Reply, Word, operation
from campaigns import promotions
from foundation.errors import Conflict, Fault, Invalid
from shop import money
from shop.tables import CHANNELS

GUESSES_A_MINUTE = 10
LARGEST_BASKET = 10**15

bp = Blueprint("api_promotions", __name__, url_prefix="/v1")
bp.before_request(security.require_key(security.Kind.SECRET))


class Line(Body):
    """One line of a basket; the price is of one piece."""

    product_id: Word
    quantity: Annotated[int, pydantic.Field(ge=1, le=100_000)]
    price: Annotated[Decimal, pydantic.Field(ge=0, le=10**12)]


class Basket(Body):
    """What is about to be paid."""

    customer: Word | None = None
    currency: Annotated[str, pydantic.Field(pattern="^[A-Z]{3}$")] = money.DEFAULT_CURRENCY
    lines: Annotated[list[Line], pydantic.Field(max_length=1000)]

    def counted(self) -> promotions.Basket:
        """The same in minor units."""
        lines = tuple(self._line(place, line) for place, line in enumerate(self.lines))
        basket = promotions.Basket(self.currency, lines, self.customer)
        if basket.total > LARGEST_BASKET:
            raise Invalid(Fault("/lines", "add up to more than a basket can hold"))
        return basket

    def _line(self, place: int, line: Line) -> promotions.Line:
        try:
            return promotions.Line(line.product_id, line.quantity, money.minor(line.price, self.currency))
        except ValueError as error:
            raise Invalid(Fault(f"/lines/{place}/price", str(error))) from None


class Redemption(Basket):
    """The basket, and the order it becomes."""

    order_id: Word
    channel: Literal[CHANNELS]  # type: ignore[valid-type]


class Cancellation(Body):
    """The order that was cancelled."""

    order_id: Word


class OfferReply(Reply):
    """What the code promises: percent, or an amount of its currency."""

    name: str
    kind: str
    value: Amount
    currency: str
    minimum: Amount


class VerdictReply(Reply):
    """Whether the code holds; `reason` is a stable word when it does not."""

    valid: bool
    reason: str | None
    offer: OfferReply | None
    discount: Amount
    free_shipping: bool


@bp.post("/promo-codes/<code>/validate")
@operation("Says whether a code holds for a basket, and what it takes off; changes nothing.", tag="promo codes")
def validate(conn: sa.Connection, code: str, *, body: Basket, now: datetime) -> VerdictReply:
    """The verdict, whatever it is, is a 200."""
    verdict = promotions.validate(conn, code, body.counted(), now=now)
    _note(verdict.reason)
    return _reply(verdict, body.currency)


@bp.post("/promo-codes/<code>/redeem")
@operation("Uses a code for an order, at most once; the same order again is answered the same.", tag="promo codes")
def redeem(conn: sa.Connection, code: str, *, body: Redemption, now: datetime) -> VerdictReply:
    """409 with the reason if it does not hold."""
    try:
        verdict = promotions.redeem(conn, code, body.counted(), order_id=body.order_id, channel=body.channel, now=now)
    except Conflict as refused:
        _note(refused.reason)
        raise
    return _reply(verdict, body.currency)


@bp.post("/promo-codes/<code>/release")
@operation("Gives a code back when its order was cancelled.", tag="promo codes")
def release(conn: sa.Connection, code: str, *, body: Cancellation) -> None:
    """A second call changes nothing."""
    promotions.release(conn, code, order_id=body.order_id)


def _reply(verdict: promotions.Verdict, currency: str) -> VerdictReply:
    return VerdictReply(
        valid=verdict.valid,
        reason=verdict.reason,
        offer=_offer(verdict.offer) if verdict.offer else None,
        discount=money.decimal(verdict.discount, currency),
        free_shipping=verdict.free_shipping,
    )


def _offer(offer: promotions.Offer) -> OfferReply:
    percent = offer.kind == "percentage"
    return OfferReply(
        name=offer.name,
        kind=offer.kind,
        value=Decimal(offer.value) / 100 if percent else money.decimal(offer.value, offer.currency),
        currency=offer.currency,
        minimum=money.decimal(offer.minimum, offer.currency),
    )


# ------------------------------------------------------------------------------------------------- guessing
@bp.before_request
def _refuse_guessers() -> None:
    with parts.current_parts().db.begin() as conn:
        guesses = rate_limits.counted(conn, _guesser(), seconds=60, now=datetime.now(UTC))
    if guesses >= GUESSES_A_MINUTE:
        raise TooManyRequests("Too many unknown codes; come back in a minute.", retry_after=60)


@bp.after_request
def _count_guess(response: Response) -> Response:
    """In a transaction of its own: a refused redemption takes back everything done in its own."""
    if g.get("guessed"):
        with parts.current_parts().db.begin() as conn:
            rate_limits.count(conn, _guesser(), seconds=60, now=datetime.now(UTC))
    return response


def _note(reason: str | None) -> None:
    """Only codes that never were are guesses; a till may meet any number of used and expired ones."""
    g.guessed = reason == "unknown"


def _guesser() -> str:
    return f"codes:{request.remote_addr}"
