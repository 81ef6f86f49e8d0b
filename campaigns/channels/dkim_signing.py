"""DKIM for one's own SMTP host (RFC 6376): the key, and the signature over the headers that matter.

Both unsubscribe headers are under it, as RFC 8058 asks. A provider that signs by itself needs none of this.
"""

import functools
from pathlib import Path

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from campaigns.channels.smtp import Sign

SMALLEST_BITS = 1024
SIGNED = (
    b"From",
    b"To",
    b"Subject",
    b"Date",
    b"Message-ID",
    b"List-Id",
    b"List-Unsubscribe",
    b"List-Unsubscribe-Post",
    b"MIME-Version",
    b"Content-Type",
)


class UnusableKey(ValueError):
    """The file holds no RSA key that receivers would accept."""


def signer(key_file: Path, *, selector: str) -> Sign:
    """What signs a message for the domain it is from: a signature for any other proves nothing of who sends.

    Raises `UnusableKey`, or `OSError` if there is no such file.
    """
    pem = key_file.read_bytes()
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise UnusableKey(f"{key_file} holds no private key in PEM: {error}") from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < SMALLEST_BITS:
        raise UnusableKey(f"{key_file} must hold an RSA key of at least {SMALLEST_BITS} bits")
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return functools.partial(_signed, pem=plain, selector=selector.encode())


def public_record(key_file: Path) -> str:
    """The public half as the TXT record of the selector must hold it, after `p=`: base64 without line ends."""
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "".join(pem.decode().splitlines()[1:-1])


def _signed(message: bytes, domain: str, *, pem: bytes, selector: bytes) -> bytes:
    present = message.partition(b"\r\n\r\n")[0].lower()
    names = [
        name for name in SIGNED if present.startswith(name.lower() + b":") or b"\n" + name.lower() + b":" in present
    ]
    header = dkim.sign(
        message,
        selector,
        domain.encode(),
        pem,
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=[name.lower() for name in names],
    )
    return bytes(header) + message
