"""JSON Web Tokens as providers want them (RFC 7515, 7519): signed with ES256 for push services, RS256 for Google."""

import base64
from collections.abc import Mapping

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils


def token(claims: Mapping[str, object], *, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    """The claims, signed; a P-256 key signs with ES256, an RSA key with RS256."""
    algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
    said = ".".join(encode(orjson.dumps(part)) for part in ({"typ": "JWT", "alg": algorithm}, dict(claims)))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = utils.decode_dss_signature(key.sign(said.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    else:
        signature = key.sign(said.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{said}.{encode(signature)}"


def encode(raw: bytes) -> str:
    """Base64 for addresses, without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> bytes:
    """The bytes of such a text; raises `ValueError`."""
    if not text.isascii():
        raise ValueError("is no base64")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
