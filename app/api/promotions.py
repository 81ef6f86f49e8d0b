"""`/v1/promo-codes`: what a till asks of a code - does it hold, use it once, give it back."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

import pydantic
import sqlalchemy as sa
from flask import Blueprint, Response, g, request
from werkzeug.exceptions import TooManyRequests

from app import code_words, parts, rate_limits, security
from app.api.endpoint import Amount, Body, Reply, Word, operation
from campaigns import redeeming, verdicts
from campaigns.definitions.offers import Offer
from campaigns.verdicts import Reason
from foundation.errors import Conflict, Fault, Invalid
from shop import money
from shop.tables import CHANNELS

Channel = Literal[CHANNELS]  # type: ignore[valid-type]
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
    """What is about to be paid, where, and the other codes that lie on it."""

    customer: Word | None = None
    currency: Annotated[str, pydantic.Field(pattern="^[A-Z]{3}$")] = money.DEFAULT_CURRENCY
    lines: Annotated[list[Line], pydantic.Field(max_length=1000)]
    channel: Channel | None = None
    store_id: Word | None = None
    codes: Annotated[list[Word], pydantic.Field(max_length=20)] = []

    def counted(self) -> verdicts.Basket:
        """The same in minor units."""
        lines = tuple(self._line(place, line) for place, line in enumerate(self.lines))
        basket = verdicts.Basket(
            self.currency, lines, self.customer, self.channel, self.store_id, tuple(dict.fromkeys(self.codes))
        )
        if basket.total > LARGEST_BASKET:
            raise Invalid(Fault("/lines", "add up to more than a basket can hold"))
        return basket

    def _line(self, place: int, line: Line) -> verdicts.Line:
        try:
            return verdicts.Line(line.product_id, line.quantity, money.minor(line.price, self.currency))
        except ValueError as error:
            raise Invalid(Fault(f"/lines/{place}/price", str(error))) from None


class Redemption(Basket):
    """The basket, and the order it becomes."""

    order_id: Word
    channel: Channel


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
    """Whether the code holds; `reason` is a stable word when it does not, `detail` a sentence in the caller's language.

    `gift` is the product_id of what is given with it.
    """

    valid: bool
    reason: str | None
    detail: str | None
    offer: OfferReply | None
    discount: Amount
    free_shipping: bool
    gift: str | None


@bp.post("/promo-codes/<code>/validate")
@operation("Says whether a code holds for a basket, and what it takes off; changes nothing.", tag="promo codes")
def validate(conn: sa.Connection, code: str, *, body: Basket, now: datetime) -> VerdictReply:
    """The verdict, whatever it is, is a 200."""
    verdict = redeeming.validate(conn, code, body.counted(), now=now)
    g.guessed = verdict.reason == Reason.UNKNOWN
    return _reply(verdict, body.currency)


@bp.post("/promo-codes/<code>/redeem")
@operation("Uses a code for an order, at most once; the same order again is answered the same.", tag="promo codes")
def redeem(conn: sa.Connection, code: str, *, body: Redemption, now: datetime) -> VerdictReply:
    """409 with the reason if it does not hold."""
    basket = body.counted()
    try:
        verdict = redeeming.redeem(conn, code, basket, order_id=body.order_id, channel=body.channel, now=now)
    except Conflict as refused:
        # Only codes that never were are guesses; a till may meet any number of used and expired ones.
        g.guessed = refused.reason == Reason.UNKNOWN
        g.refused = None if g.guessed else _Refused(code, basket, body.order_id, body.channel, refused.reason, now)
        raise Conflict(refused.reason, code_words.said(refused.reason)) from refused
    return _reply(verdict, body.currency)


@bp.post("/promo-codes/<code>/release")
@operation("Gives a code back when its order was cancelled.", tag="promo codes")
def release(conn: sa.Connection, code: str, *, body: Cancellation, now: datetime) -> None:
    """A second call changes nothing."""
    redeeming.release(conn, code, order_id=body.order_id, now=now)


def _reply(verdict: verdicts.Verdict, currency: str) -> VerdictReply:
    return VerdictReply(
        valid=verdict.valid,
        reason=verdict.reason,
        detail=code_words.said(verdict.reason) if verdict.reason else None,
        offer=_offer(verdict.offer) if verdict.offer else None,
        discount=money.decimal(verdict.discount, currency),
        free_shipping=verdict.free_shipping,
        gift=verdict.gift,
    )


def _offer(offer: Offer) -> OfferReply:
    percent = offer.kind == "percentage"
    return OfferReply(
        name=offer.name,
        kind=offer.kind,
        value=Decimal(offer.value) / 100 if percent else money.decimal(offer.value, offer.currency),
        currency=offer.currency,
        minimum=money.decimal(offer.minimum, offer.currency),
    )


# ------------------------------------------------------------------------------------------------ afterwards
@dataclass(frozen=True, slots=True)
class _Refused:
    """A redemption that was refused, to be kept once its own transaction was taken back."""

    code: str
    basket: verdicts.Basket
    order_id: str
    channel: str
    reason: str
    now: datetime


@bp.after_request
def _keep_refusal(response: Response) -> Response:
    """In a transaction of its own: a refused redemption takes back everything done in its own."""
    refused: _Refused | None = g.get("refused")
    if refused is not None:
        told = {"order_id": refused.order_id, "channel": refused.channel, "reason": refused.reason}
        with parts.current_parts().db.begin() as conn:
            redeeming.refused(conn, refused.code, refused.basket, **told, now=refused.now)
    return response


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


def _guesser() -> str:
    return f"codes:{request.remote_addr}"
