"""Meta: Custom Audiences of the Marketing API, and the Conversions API, over one kept connection.

Sources: "Custom Audience Users" and "Server Event Parameters" of developers.facebook.com, Graph API v25.0.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx2
import orjson

from campaigns.audiences import normalising
from campaigns.audiences.platforms import base
from campaigns.audiences.platforms.base import Answer, Person, Reply, Sale

HOST = "https://graph.facebook.com"
VERSION = "v25.0"

_KEY = (3, 10, 102, 190)
"""Error codes of a token that is none, has ended, or may not do this; 200 to 299 mean the same."""
_BUSY = (4, 17, 32, 341, 613, 80003)
_DOWN = (1, 2)
_MISSING, _BLOCKED = 33, 1713230
"""Subcodes of code 100: no such audience; an audience whose uploads are blocked."""
_SOURCES = {"store": "physical_store", "call_center": "phone_call"}


class Meta:
    """People and orders for one ad account. Without a data set, orders are not told.

    :param token: of a system user that may manage the account's audiences
    :param dataset: the id of the data set (the former pixel) that conversions are sent to
    """

    name = "meta"
    rules = normalising.META
    batch = 10_000
    sales_days = 7

    def __init__(self, token: str, *, host: str = HOST, dataset: str | None = None) -> None:
        self._http = base.client(host)
        self._authorization = f"Bearer {token}"
        self._dataset = dataset
        self.sales_batch = 1000 if dataset else 0

    def add(self, audience: str, people: Sequence[Person]) -> Reply:
        """`customer_consent`: only people who agreed to both uses of their data are ever handed over."""
        return self._ask("POST", f"{audience}/users", {"customer_consent": True, **_users(people)})

    def remove(self, audience: str, people: Sequence[Person]) -> Reply:
        return self._ask("DELETE", f"{audience}/users", _users(people))

    def tell(self, sales: Sequence[Sale], *, now: datetime) -> Reply:
        return self._ask("POST", f"{self._dataset}/events", {"data": [_purchase(sale) for sale in sales]})

    def close(self) -> None:
        self._http.close()

    def _ask(self, method: str, path: str, body: object) -> Reply:
        found = base.call(self._http, method, f"/{VERSION}/{path}", body, Authorization=self._authorization)
        return found if isinstance(found, Reply) else _reply(found)


def _users(people: Sequence[Person]) -> dict[str, Any]:
    """Each batch is a session of its own: it stands by itself, whatever became of the one before."""
    return {
        "session": {"session_id": secrets.randbits(62) + 1, "batch_seq": 1, "last_batch_flag": True},
        "payload": {
            "schema": ["EMAIL", "PHONE"],
            "data": [[_hex(person.email_hash), _hex(person.phone_hash)] for person in people],
        },
    }


def _hex(digest: bytes | None) -> str:
    return digest.hex() if digest else ""


def _purchase(sale: Sale) -> dict[str, Any]:
    """`event_id` is the order's own id: the shop's pixel, which sends the same, and a repeat count once."""
    on_site = sale.channel == "web" and sale.url and sale.user_agent
    user = {"em": [_hex(sale.person.email_hash)], "ph": [_hex(sale.person.phone_hash)]}
    site = {"event_source_url": sale.url} if on_site else {}
    return {
        "event_name": "Purchase",
        "event_time": int(sale.ordered_at.timestamp()),
        "event_id": sale.order_id,
        "action_source": "website" if on_site else _SOURCES.get(sale.channel, "other"),
        **site,
        "opt_out": not sale.personal,
        "user_data": {name: value for name, value in user.items() if value != [""]}
        | ({"client_user_agent": sale.user_agent} if on_site else {}),
        "custom_data": {
            "currency": sale.currency,
            "value": sale.total,
            "order_id": sale.order_id,
            "content_type": "product",
            "content_ids": list(sale.product_ids),
        },
    }


def _reply(response: httpx2.Response) -> Reply:
    found = base.said(response)
    error = found.get("error")
    if isinstance(error, dict):
        return _refusal(error, response)
    if response.is_success and ("num_received" in found or "events_received" in found):
        invalid = found.get("num_invalid_entries")
        return Reply(Answer.TAKEN, invalid=invalid if isinstance(invalid, int) else 0)
    return Reply(Answer.DOWN, f"{response.status_code}, and no answer of Meta's: {response.text[:100]!r}")


def _refusal(error: Mapping[str, Any], response: httpx2.Response) -> Reply:
    code, subcode = error.get("code"), error.get("error_subcode")
    detail = f"{code}: {error.get('error_user_msg') or error.get('message')}"[: base.LONGEST]
    if not isinstance(code, int):
        return Reply(Answer.DOWN, detail)
    if code in _KEY or 200 <= code < 300:
        return Reply(Answer.KEY, detail)
    if code in _BUSY or response.status_code == 429:
        return Reply(Answer.BUSY, detail, retry_after=base.seconds(response.headers) or _regained(response))
    if code in _DOWN or response.status_code >= 500:
        return Reply(Answer.DOWN, detail)
    return Reply(Answer.AUDIENCE if subcode in (_MISSING, _BLOCKED) else Answer.ROWS, detail)


def _regained(response: httpx2.Response) -> float | None:
    """Meta says in minutes when calls are welcome again, within a header of JSON."""
    try:
        told = orjson.loads(response.headers.get("X-Business-Use-Case-Usage", ""))
        minutes = [use["estimated_time_to_regain_access"] for uses in told.values() for use in uses]
        return 60.0 * max(minutes) or None
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        return None
