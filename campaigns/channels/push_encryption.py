"""What a push service is given: words only the browser can read (RFC 8291, 8188), and who speaks (RFC 8292)."""

import os
import time
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from campaigns.channels import signing

LONGEST = 3993
"""Bytes of plain text that fit in what every push service must take, 4,096 bytes of cipher text (RFC 8030)."""
RECORD = 4096
TOKEN_SECONDS = 12 * 3600
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class BadSubscription(ValueError):
    """Keys that are none: nothing can be said to this browser."""


@dataclass(frozen=True)
class Voice:
    """Our own key pair: browsers subscribe to it, push services know us by it (VAPID).

    :param secret: 32 bytes in base64 for addresses, as the tools that make such keys write it
    :param contact: an https or mailto address push services may complain to
    """

    secret: str
    contact: str

    @cached_property
    def key(self) -> ec.EllipticCurvePrivateKey:
        """The private key."""
        number = int.from_bytes(signing.decode(self.secret), "big")
        return ec.derive_private_key(number % (_ORDER - 1) + 1 if number >= _ORDER else number, ec.SECP256R1())

    @cached_property
    def public(self) -> str:
        """What browsers call the applicationServerKey."""
        return signing.encode(_point(self.key.public_key()))

    def header(self, endpoint: str) -> str:
        """The Authorization of a call to this push service; made anew every hour, each service with its own."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(endpoint))
        made, text = self._made.get(origin, (0.0, ""))
        if time.time() - made > 3600:
            claims = {"aud": origin, "exp": int(time.time()) + TOKEN_SECONDS, "sub": self.contact}
            text = f"vapid t={signing.token(claims, key=self.key)}, k={self.public}"
            self._made[origin] = (time.time(), text)
        return text

    @cached_property
    def _made(self) -> dict[str, tuple[float, str]]:
        return {}


def encrypt(
    plain: bytes, *, p256dh: str, auth: str, key: ec.EllipticCurvePrivateKey | None = None, salt: bytes | None = None
) -> bytes:
    """The body of a push message in `aes128gcm`; raises `BadSubscription`.

    :param key: of this one message; a new one is made unless a test vector names it
    """
    their, secret = _keys(p256dh, auth)
    own = key or ec.generate_private_key(ec.SECP256R1())
    salt = salt or os.urandom(16)
    their_point, own_point = _point(their), _point(own.public_key())
    shared = own.exchange(ec.ECDH(), their)
    material = _derive(shared, salt=secret, info=b"WebPush: info\0" + their_point + own_point, length=32)
    cipher = AESGCM(_derive(material, salt=salt, info=b"Content-Encoding: aes128gcm\0", length=16))
    nonce = _derive(material, salt=salt, info=b"Content-Encoding: nonce\0", length=12)
    head = salt + RECORD.to_bytes(4, "big") + bytes([len(own_point)]) + own_point
    return head + cipher.encrypt(nonce, plain + b"\x02", None)


def check(p256dh: str, auth: str) -> None:
    """Raises `BadSubscription` unless a browser could have made these keys."""
    _keys(p256dh, auth)


def _keys(p256dh: str, auth: str) -> tuple[ec.EllipticCurvePublicKey, bytes]:
    try:
        their = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), signing.decode(p256dh))
        secret = signing.decode(auth)
    except ValueError as error:
        raise BadSubscription("the keys of the subscription are none") from error
    if len(secret) != 16:
        raise BadSubscription("the secret of the subscription has not 16 bytes")
    return their, secret


def _derive(material: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(material)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
