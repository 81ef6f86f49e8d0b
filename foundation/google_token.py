"""Access tokens of Google's APIs, from a credentials file as Google hands it out: a service account or a person's.

A service account signs a JWT (RFC 7523, RS256); a person's file holds a refresh token (RFC 6749, section 6). Either is
exchanged at the file's own `token_uri`, and the access token is kept until a minute before it ends.
"""

import base64
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EARLY = 60.0
_HOUR = 3600


class Unauthorized(Exception):
    """Google gave no token, for a reason that trying again does not change: its words."""


class Tokens:
    """One kept access token; several threads may ask.

    :param credentials: the file's content, of type `service_account` or `authorized_user`
    :raises ValueError: when it is neither, or its key cannot be read
    """

    def __init__(self, credentials: Mapping[str, Any], scope: str) -> None:
        self._given = check(credentials)
        self._key = _private_key(credentials) if credentials["type"] == "service_account" else None
        self._scope = scope
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0

    def bearer(self, http: httpx2.Client) -> str:
        """A token that is good for a minute at least; raises `Unauthorized`, and `httpx2.HTTPError` for no answer."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._token, self._until = self._exchange(http)
            return self._token

    def forget(self) -> None:
        """The API refused the token: the next call asks for another."""
        with self._lock:
            self._until = 0.0

    def _exchange(self, http: httpx2.Client) -> tuple[str, float]:
        asked = time.monotonic()
        response = http.post(self._given.get("token_uri", TOKEN_URI), data=self._grant())
        try:
            found = orjson.loads(response.content)
            if response.is_success:
                return str(found["access_token"]), asked + float(found.get("expires_in", _HOUR)) - _EARLY
            words = f"{found.get('error')}: {found.get('error_description')}"
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
            words = f"{response.status_code}, and no token"
        if response.status_code >= 500 or response.is_success:
            raise httpx2.RemoteProtocolError(words)
        raise Unauthorized(words)

    def _grant(self) -> dict[str, str]:
        if self._key is not None:
            return {"grant_type": _JWT, "assertion": self._assertion(self._key)}
        names = ("client_id", "client_secret", "refresh_token")
        return {"grant_type": "refresh_token", **{name: self._given[name] for name in names}}

    def _assertion(self, key: rsa.RSAPrivateKey) -> str:
        now = int(time.time())
        claims = {
            "iss": self._given["client_email"],
            "scope": self._scope,
            "aud": self._given.get("token_uri", TOKEN_URI),
            "iat": now,
            "exp": now + _HOUR,
        }
        head = {"alg": "RS256", "typ": "JWT", "kid": self._given.get("private_key_id", "")}
        signed = b".".join(_coded(orjson.dumps(part)) for part in (head, claims))
        return (signed + b"." + _coded(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))).decode()


_NEEDED = {
    "service_account": ("client_email", "private_key"),
    "authorized_user": ("client_id", "client_secret", "refresh_token"),
}


def check(credentials: Mapping[str, Any]) -> dict[str, str]:
    """What the file says; raises `ValueError` for what it lacks."""
    kind = str(credentials.get("type"))
    if kind not in _NEEDED:
        raise ValueError(f"is of type {kind!r}; give a service_account or an authorized_user")
    missing = [name for name in _NEEDED[kind] if not isinstance(credentials.get(name), str) or not credentials[name]]
    if missing:
        raise ValueError(f"says no {', '.join(missing)}")
    return {name: value for name, value in credentials.items() if isinstance(value, str)}


def _private_key(credentials: Mapping[str, Any]) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(credentials["private_key"].encode(), password=None)
    except (ValueError, TypeError):
        raise ValueError("holds a private key that cannot be read") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("holds a private key that is not RSA")
    return key


def _coded(text: bytes) -> bytes:
    return base64.urlsafe_b64encode(text).rstrip(b"=")
