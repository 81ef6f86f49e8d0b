"""`Config`: every setting, frozen and typed, read once from the environment; all faults reported together."""

import base64
import binascii
import json
import os
import re
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

import sqlalchemy as sa
from dotenv import dotenv_values

from foundation import ad_accounts
from foundation.errors import Fault, Invalid

LOCALES = ("en", "fr")
SMALLEST_PUBLIC_KEY = 50
MOST_PROXIES = 9
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Config:
    """What the installation is told from outside. Every field is documented in `docs/operating.md`.

    What a merchant may change while it runs (caps, quiet hours, sender) is data in PostgreSQL, not here.
    """

    var: Path
    database_url: str | None
    secret_keys: tuple[str, ...] = field(repr=False)
    pepper: str = field(repr=False)
    base_url: str
    email_url: str = field(repr=False)
    email_from: str
    locale: str
    port: int
    demo: bool
    sendgrid_webhook_key: str | None = field(default=None, repr=False)
    tracking_url: str | None = None
    dkim_key: Path | None = None
    dkim_selector: str = "relance"
    return_address: str | None = None
    return_mailbox: str | None = field(default=None, repr=False)
    vapid_private_key: str = field(default="", repr=False)
    fcm_credentials: str | None = field(default=None, repr=False)
    sms_url: str | None = field(default=None, repr=False)
    meta_ads_url: str | None = field(default=None, repr=False)
    google_ads_url: str | None = field(default=None, repr=False)
    whatsapp_url: str | None = field(default=None, repr=False)
    trusted_proxies: int = 0

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Config":
        """Reads every setting; raises `Invalid` with one fault a setting if any is wrong.

        :param environ: instead of the process's environment and, beneath it, the file `.env` beside `wsgi.py`
        """
        env = environment() if environ is None else dict(environ)
        faults: list[Fault] = []
        var = Path(env.get("RELANCE_VAR") or ROOT / "var")
        port = _port(env.get("PORT", "8000"), faults)
        config = cls(
            var=var,
            database_url=_database_url(env.get("RELANCE_DATABASE_URL"), faults),
            secret_keys=_secret_keys(env.get("RELANCE_SECRET_KEY"), var, faults),
            pepper=_pepper(env.get("RELANCE_PEPPER"), var, faults),
            base_url=_base_url(env.get("RELANCE_BASE_URL") or f"http://localhost:{port}", faults),
            email_url=_email_url(env.get("RELANCE_EMAIL_URL") or "outbox:", faults),
            email_from=_sender(env.get("RELANCE_EMAIL_FROM") or "Relance <no-reply@localhost>", faults),
            locale=_one_of("RELANCE_LOCALE", env.get("RELANCE_LOCALE") or "en", LOCALES, faults),
            port=port,
            demo=_one_of("RELANCE_DEMO", env.get("RELANCE_DEMO") or "0", ("0", "1"), faults) == "1",
            sendgrid_webhook_key=_public_key(env.get("RELANCE_SENDGRID_WEBHOOK_KEY"), faults),
            tracking_url=_tracking_url(env.get("RELANCE_TRACKING_URL"), faults),
            dkim_key=_file("RELANCE_DKIM_KEY", env.get("RELANCE_DKIM_KEY"), faults),
            dkim_selector=_selector(env.get("RELANCE_DKIM_SELECTOR") or "relance", faults),
            return_address=_return_address(env.get("RELANCE_RETURN_ADDRESS"), faults),
            return_mailbox=_return_mailbox(env.get("RELANCE_RETURN_MAILBOX"), faults),
            vapid_private_key=_vapid_key(env.get("RELANCE_VAPID_PRIVATE_KEY"), var, faults),
            fcm_credentials=_credentials(env.get("RELANCE_FCM_CREDENTIALS"), faults),
            sms_url=_gateway("RELANCE_SMS_URL", env.get("RELANCE_SMS_URL"), faults),
            meta_ads_url=_ads("meta", "RELANCE_META_ADS_URL", env.get("RELANCE_META_ADS_URL"), faults),
            google_ads_url=_ads("google", "RELANCE_GOOGLE_ADS_URL", env.get("RELANCE_GOOGLE_ADS_URL"), faults),
            whatsapp_url=_gateway("RELANCE_WHATSAPP_URL", env.get("RELANCE_WHATSAPP_URL"), faults),
            trusted_proxies=_hops(env.get("RELANCE_TRUSTED_PROXIES") or "0", faults),
        )
        if faults:
            raise Invalid(*faults)
        return config

    @classmethod
    def of_program(cls) -> "Config":
        """`from_env` where a program starts: if settings are wrong it says all of them, a line each, and ends."""
        try:
            return cls.from_env()
        except Invalid as wrong:
            sys.exit("\n".join(f"{fault.pointer} {fault.detail}" for fault in wrong.faults))


def environment(root: Path = ROOT) -> dict[str, str]:
    """The process's environment, and what the file `.env` under `root` adds to it."""
    kept = {name: value for name, value in dotenv_values(root / ".env").items() if value is not None}
    return {**kept, **os.environ}


def _port(text: str, faults: list[Fault]) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    faults.append(Fault("PORT", f"is {text!r}; give a number from 1 to 65535"))
    return 8000


def _hops(text: str, faults: list[Fault]) -> int:
    if text in map(str, range(MOST_PROXIES + 1)):
        return int(text)
    faults.append(Fault("RELANCE_TRUSTED_PROXIES", f"is {text!r}; give how many proxies stand before it, 0 to 9"))
    return 0


def _one_of(name: str, text: str, allowed: tuple[str, ...], faults: list[Fault]) -> str:
    if text not in allowed:
        faults.append(Fault(name, f"is {text!r}; give one of: {', '.join(allowed)}"))
        return allowed[0]
    return text


def _database_url(text: str | None, faults: list[Fault]) -> str | None:
    """Accepts what PostgreSQL's own tools accept and names the driver SQLAlchemy needs."""
    if not text:
        return None
    if not re.match(r"^postgres(ql)?(\+psycopg)?://", text):
        faults.append(Fault("RELANCE_DATABASE_URL", "must start with postgresql://; no other database is used"))
        return None
    url = re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql+psycopg://", text)
    try:
        sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        faults.append(Fault("RELANCE_DATABASE_URL", "cannot be read; give postgresql://user:password@host:port/name"))
    return url


def _secret_keys(text: str | None, var: Path, faults: list[Fault]) -> tuple[str, ...]:
    """The configured keys, newest first, else one made on first start and kept under `var/`."""
    if text is None:
        try:
            return (kept_secret(var / "secret-key"),)
        except OSError as error:
            faults.append(Fault("RELANCE_VAR", f"is {str(var)!r}, where nothing can be kept: {error.strerror}"))
            return ()
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    if not keys or any(len(key) < 16 for key in keys):
        faults.append(Fault("RELANCE_SECRET_KEY", "each key needs at least 16 characters"))
    return keys


def _pepper(text: str | None, var: Path, faults: list[Fault]) -> str:
    """The configured secret that hashes of addresses are made with, else one made on first start."""
    if not text:
        try:
            return kept_secret(var / "pepper")
        except OSError:
            return ""  # the folder is already at fault for the secret key
    if len(text) < 16:
        faults.append(Fault("RELANCE_PEPPER", "needs at least 16 characters"))
    return text


def _vapid_key(text: str | None, var: Path, faults: list[Fault]) -> str:
    """The configured key for web push, else one made on first start: 32 random bytes are a private key of P-256."""
    if not text:
        try:
            return kept_secret(var / "vapid-key")
        except OSError:
            return ""  # the folder is already at fault for the secret key
    try:
        if len(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)) == 32:
            return text
    except ValueError:
        pass
    faults.append(Fault("RELANCE_VAPID_PRIVATE_KEY", "is no private key: give 32 bytes in base64 for addresses"))
    return ""


def _credentials(text: str | None, faults: list[Fault]) -> str | None:
    """A service account's file as Google gives it: its path, or the JSON itself."""
    if not text:
        return None
    try:
        written = text if text.lstrip().startswith("{") else Path(text).read_text()
        if wrong := service_account_fault(written):
            raise ValueError(wrong)
        return written
    except (OSError, ValueError) as error:
        faults.append(Fault("RELANCE_FCM_CREDENTIALS", f"cannot be used: {error}"))
        return None


def service_account_fault(written: str) -> str | None:
    """What a service account's JSON lacks, if anything."""
    try:
        account = json.loads(written)
    except ValueError:
        return "it is no JSON"
    needed = ("project_id", "client_email", "private_key")
    if not isinstance(account, dict) or not all(isinstance(account.get(name), str) for name in needed):
        return f"it must name {', '.join(needed)}"
    return None


GATEWAYS = ("twilio", "ovh", "generic", "outbox")
"""Kinds of gateway for text messages."""


def _gateway(name: str, text: str | None, faults: list[Fault]) -> str | None:
    if not text:
        return None
    if wrong := gateway_fault(text):
        faults.append(Fault(name, wrong))
        return None
    return text


def gateway_fault(text: str) -> str | None:
    """What is wrong with the address of a gateway, as the end of a sentence."""
    if text == "outbox:":
        return None
    kind, _, rest = text.partition("+")
    parts = _split(rest)
    if kind not in GATEWAYS or parts is None or parts.scheme not in ("http", "https"):
        return f"give KIND+https://user:password@host/?from=SENDER where KIND is one of: {', '.join(GATEWAYS[:3])}"
    return None


def kept_secret(path: Path) -> str:
    """A random secret made once and readable by its owner alone; two processes starting at once agree on it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    if not path.exists():
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(32))
        try:
            os.link(draft, path)  # fails if the other process was first: then its secret is the one
        except FileExistsError:
            pass
        draft.unlink()
    return path.read_text().strip()


def _base_url(text: str, faults: list[Fault]) -> str:
    if not _is_web(text):
        faults.append(Fault("RELANCE_BASE_URL", f"is {text!r}; give an address such as https://relance.example.com"))
    return text.rstrip("/")


EMAIL_OPTIONS = {
    "smtp": {"connections": r"[1-9]|[1-4]\d", "starttls": "required"},
    "sendgrid": {"recipients": r"[1-9]\d{0,2}|1000", "ip_pool": r"[\w .-]{2,64}", "sandbox": "1"},
}
"""What may follow the address of an e-mail host after a question mark, and how each is written."""


def _email_url(text: str, faults: list[Fault]) -> str:
    address, _, options = text.partition("?")
    parts = _split(address)
    if parts and parts.scheme in ("smtp", "smtps"):
        return _with_options(text, options, EMAIL_OPTIONS["smtp"], faults)
    if text == "outbox:":
        return text
    key, at, host = address.removeprefix("sendgrid:").partition("@")
    if text.startswith("sendgrid:") and key and (not at or _is_web(host)):
        return _with_options(text, options, EMAIL_OPTIONS["sendgrid"], faults)
    forms = "outbox:, smtp://user:password@host:port, smtps://…, sendgrid:API_KEY or sendgrid:API_KEY@https://host"
    faults.append(Fault("RELANCE_EMAIL_URL", f"give {forms}"))
    return "outbox:"


def _with_options(text: str, options: str, known: Mapping[str, str], faults: list[Fault]) -> str:
    for name, value in parse_qsl(options, keep_blank_values=True):
        if name not in known:
            faults.append(Fault("RELANCE_EMAIL_URL", f"does not know {name}; there are: {', '.join(known)}"))
        elif not re.fullmatch(known[name], value):
            faults.append(Fault("RELANCE_EMAIL_URL", f"{name} cannot be {value!r}"))
    return text


def _tracking_url(text: str | None, faults: list[Fault]) -> str | None:
    """A shared tracking domain is blocked for what others send: this one is the merchant's own."""
    if not text:
        return None
    if not _is_web(text) or urlsplit(text).path not in ("", "/"):
        faults.append(Fault("RELANCE_TRACKING_URL", "give a sub-domain of yours, such as https://news.shop.example"))
    return text.rstrip("/")


def _file(name: str, text: str | None, faults: list[Fault]) -> Path | None:
    if not text:
        return None
    if not Path(text).is_file():
        faults.append(Fault(name, f"is {text!r}, where there is no file"))
    return Path(text)


def _selector(text: str, faults: list[Fault]) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", text):
        faults.append(Fault("RELANCE_DKIM_SELECTOR", f"is {text!r}; give a short word, as in WORD._domainkey"))
    return text


def _return_address(text: str | None, faults: list[Fault]) -> str | None:
    """Its local part leaves room for what says which message came back."""
    if not text:
        return None
    if not re.fullmatch(r"[a-z0-9._-]{1,18}@[a-z0-9.-]+\.[a-z0-9-]+", text):
        form = "bounces@mail.shop.example, at most 18 small letters before the @"
        faults.append(Fault("RELANCE_RETURN_ADDRESS", f"is {text!r}; give an address such as {form}"))
    return text


def _return_mailbox(text: str | None, faults: list[Fault]) -> str | None:
    if not text:
        return None
    parts = _split(text)
    if not text.startswith("maildir:/") and not (parts and parts.scheme in ("imap", "imaps")):
        forms = "imaps://user:password@host/FOLDER, imap://… or maildir:/path"
        faults.append(Fault("RELANCE_RETURN_MAILBOX", f"give {forms}"))
    return text


def _ads(kind: str, name: str, text: str | None, faults: list[Fault]) -> str | None:
    """Read once here so that a wrong one is told at start; whoever uses it reads it again."""
    if not text:
        return None
    try:
        ad_accounts.parse(kind, text)
    except ValueError as error:
        faults.append(Fault(name, str(error)))
    return text


def _is_web(text: str) -> bool:
    parts = _split(text)
    return parts is not None and parts.scheme in ("http", "https")


def _split(text: str) -> SplitResult | None:
    """The parts of an address that names a host; None for any other text."""
    try:
        parts = urlsplit(text)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:  # half a bracket, or a port that is no number
        return None


def _public_key(text: str | None, faults: list[Fault]) -> str | None:
    """SendGrid shows it as one line of base64, without the lines around it."""
    if not text:
        return None
    try:
        if len(binascii.a2b_base64(text, strict_mode=True)) >= SMALLEST_PUBLIC_KEY:
            return text
    except ValueError:
        pass
    faults.append(Fault("RELANCE_SENDGRID_WEBHOOK_KEY", "is no public key; copy the line SendGrid shows"))
    return None


def _sender(text: str, faults: list[Fault]) -> str:
    _, address = parseaddr(text)
    if "@" not in address or "\n" in text or "\r" in text:
        faults.append(Fault("RELANCE_EMAIL_FROM", f"is {text!r}; give a sender such as Shop <news@shop.example>"))
    return text
