"""A promo code as text: made at random, written for people, read back however a till types it. Pure."""

import re
import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no I, L, O or U, so nothing is mistaken for something else."""
BODY = 10
"""Ten of 32 letters are 50 bits: a million guesses at a million live codes hit one in a thousand times."""
LONGEST = 40
"""Letters of a code of the shop's own: as many as a till's scanner reads off a screen."""

_LOOK_ALIKES = str.maketrans("OIL", "011")


def new(prefix: str) -> str:
    """A code nobody can guess, as it is stored: the offer's first letters, then ten at random."""
    return normalise(prefix) + "".join(secrets.choice(ALPHABET) for _ in range(BODY))


def normalise(text: str) -> str:
    """However it was typed: capitals, no dashes or spaces, look-alikes made one."""
    return re.sub(r"[^0-9A-Z]", "", text[:64].upper()).translate(_LOOK_ALIKES)


def shown(code: str, prefix: str) -> str:
    """`AUBIER-7K2M-QXRT-9F`."""
    body = code[-BODY:]
    groups = (body[:4], body[4:8], body[8:])
    return "-".join((prefix.upper(), *groups) if prefix else groups)


def dummy(prefix: str) -> str:
    """What previews and tests show; no till knows it."""
    return normalise(prefix) + "0" * BODY
