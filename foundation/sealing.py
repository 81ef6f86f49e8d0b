"""What must be read again but never lie open: sealed with AES-256-GCM under the installation's secret keys.

The first key seals, every key opens, as with signed links: a key that is added in front takes over, the old one may go
once everything was sealed again. What a seal is for is part of it, so that one secret cannot stand in for another.
"""

import hashlib
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE = 12


class Unsealed(ValueError):
    """None of the keys opens it: it was sealed elsewhere, for something else, or altered."""


def seal(text: str, *, purpose: str, keys: Sequence[str]) -> bytes:
    """The text as bytes to be kept in the database; the same text twice looks different."""
    nonce = secrets.token_bytes(NONCE)
    return nonce + AESGCM(_key(keys[0])).encrypt(nonce, text.encode(), purpose.encode())


def unseal(sealed: bytes, *, purpose: str, keys: Sequence[str]) -> str:
    """What was sealed for this purpose; raises `Unsealed`."""
    for key in keys:
        try:
            return AESGCM(_key(key)).decrypt(sealed[:NONCE], sealed[NONCE:], purpose.encode()).decode()
        except (InvalidTag, ValueError):
            continue
    raise Unsealed("sealed with a key this installation no longer has")


def _key(secret: str) -> bytes:
    return hashlib.blake2b(secret.encode(), digest_size=32, person=b"relance.sealing").digest()
