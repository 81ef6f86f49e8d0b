"""Offers as typed values: what is promised, as files and forms say it."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from campaigns.definitions.shapes import Line, Shape

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class Offer(Shape):
    """What is promised. `value` is hundredths of a percent, or minor units; `minimum` the smallest basket."""

    name: Annotated[Line, Field(max_length=60)]
    kind: Literal["percentage", "amount", "free_shipping"]
    value: Annotated[int, Field(ge=0, le=10**12)] = 0
    currency: Currency = "EUR"
    minimum: Annotated[int, Field(ge=0, le=10**12)] = 0
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{0,12}$")] = ""
    valid_days: Annotated[int, Field(ge=1, le=730)] = 7
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
