"""Turns amounts as shops write them into integer minor units and back; knows how many decimals a currency has. Pure."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

DEFAULT_CURRENCY = "EUR"
LARGEST = 10**15
"""In minor units: no shop sells for ten million million, and a sum of many still fits a bigint."""

_EXPONENTS = dict.fromkeys(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
) | dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
"""ISO 4217: every currency not named here has two decimals."""


def minor(value: object, currency: str | None) -> int:
    """`19.99` euros are 1999. Takes a number or decimal text; raises `ValueError` for anything else."""
    if type(value) is int:
        amount = value * int(10 ** exponent(currency))
    elif type(value) is float or isinstance(value, str | Decimal):
        amount = _rounded(value, exponent(currency))
    else:
        raise ValueError("must be an amount such as 19.99")
    if not -LARGEST <= amount <= LARGEST:
        raise ValueError("is too large an amount")
    return amount


def _rounded(value: float | str | Decimal, places: int) -> int:
    """By way of text, so that 1.005 means what was written and not its nearest binary fraction."""
    try:
        amount = Decimal(str(value).strip())
        if not amount.is_finite() or abs(amount) > LARGEST:
            raise ValueError("is too large an amount")
        return int(amount.scaleb(places).to_integral_value(ROUND_HALF_UP))
    except InvalidOperation:
        raise ValueError("must be an amount such as 19.99") from None


def decimal(amount: int, currency: str | None) -> Decimal:
    """1999 cents are `19.99` euros."""
    return Decimal(amount).scaleb(-exponent(currency))


def exponent(currency: str | None) -> int:
    """How many decimals a currency has."""
    return _EXPONENTS.get((currency or DEFAULT_CURRENCY).upper(), 2)


def exponents() -> dict[str, int]:
    """The currencies that do not have two decimals, with how many they have."""
    return dict(_EXPONENTS)
