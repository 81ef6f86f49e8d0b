"""What is expected of a customer, as merge fields: written for the reader where it is read, plain where it is compared.

A field without a value (a favourite before the third order, a next order not within a year) is missing, so a text
must ask for it before showing it: `{% if customer.predictions.category %}`.
"""

from datetime import date, tzinfo

from foundation import format
from recommender.predictions.expected import Expected

A_MONDAY = date(2024, 1, 1)


def merge_fields(one: Expected | None, *, locale: str, zone: tzinfo) -> dict[str, object]:
    """The fields under `customer.predictions`; none for a customer of whom nothing is expected."""
    if one is None:
        return {}
    weekday = one.favourite_weekday
    written = {
        "next_order": one.next_order_at and format.date(one.next_order_at, locale, style="weekday_long", zone=zone),
        "order_probability": one.order_probability_30d,
        "churn_risk": one.churn_risk,
        "value": format.money(one.expected_value_12m, one.currency, locale),
        "category": one.favourite_category and one.favourite_category.split(">")[-1].strip(),
        "channel": one.favourite_channel,
        "hour": one.favourite_hour,
        "weekday": weekday and format.date(A_MONDAY.replace(day=weekday), locale, style="weekday"),
    }
    return {name: value for name, value in written.items() if value is not None}
