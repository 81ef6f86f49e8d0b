"""Google: Customer Match and conversions by the Data Manager API, over one kept connection.

Sources: "audienceMembers.ingest", "audienceMembers.remove", "events.ingest", "ErrorReason" and "Limits and quotas" of
developers.google.com/data-manager, v1. A call whose rows hold one fault fails as a whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2

from campaigns.audiences import normalising
from campaigns.audiences.platforms import base
from campaigns.audiences.platforms.base import Answer, Person, Reply, Sale
from foundation.google_token import Tokens, Unauthorized

HOST = "https://datamanager.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/datamanager"

_GRANTED, _DENIED = "CONSENT_GRANTED", "CONSENT_DENIED"
_OF_AUDIENCE = frozenset(
    (
        "INVALID_DESTINATION",
        "INVALID_USER_LIST_ID",
        "INVALID_USER_LIST_TYPE",
        "TERMS_AND_CONDITIONS_NOT_SIGNED",
        "INVALID_CONVERSION_ACTION_ID",
        "INVALID_CONVERSION_ACTION_TYPE",
        "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
        "NOT_FOUND",
    )
)
_SOURCES = {"web": "WEB", "app": "APP", "store": "IN_STORE", "call_center": "PHONE"}


@dataclass(frozen=True, slots=True)
class Account:
    """Whose ads: the account's id, the manager's that signs in for it if there is one, and the conversion action."""

    number: str
    login: str | None = None
    conversion: str | None = None


class Google:
    """People and orders for one Google Ads account. Without a conversion action, orders are not told."""

    name = "google"
    rules = normalising.GOOGLE
    batch = 10_000
    sales_days = 63

    def __init__(self, tokens: Tokens, account: Account, *, host: str = HOST) -> None:
        self._http = base.client(host)
        self._tokens = tokens
        self._account = account
        self.sales_batch = 2000 if account.conversion else 0

    def add(self, audience: str, people: Sequence[Person]) -> Reply:
        """Both consents are said of everybody: who did not give both is never handed over."""
        body = {
            "audienceMembers": [{"userData": _identified(person)} for person in people],
            "consent": {"adUserData": _GRANTED, "adPersonalization": _GRANTED},
            "termsOfService": {"customerMatchTermsOfServiceStatus": "ACCEPTED"},
        }
        return self._ask("audienceMembers:ingest", audience, body)

    def remove(self, audience: str, people: Sequence[Person]) -> Reply:
        body = {"audienceMembers": [{"userData": _identified(person)} for person in people]}
        return self._ask("audienceMembers:remove", audience, body)

    def tell(self, sales: Sequence[Sale], *, now: datetime) -> Reply:
        return self._ask("events:ingest", self._account.conversion or "", {"events": [_event(sale) for sale in sales]})

    def close(self) -> None:
        self._http.close()

    def _ask(self, verb: str, destination: str, body: Mapping[str, Any]) -> Reply:
        try:
            bearer = self._tokens.bearer(self._http)
        except Unauthorized as refused:
            return Reply(Answer.KEY, str(refused)[: base.LONGEST])
        except httpx2.HTTPError as error:
            return Reply(Answer.DOWN, f"{type(error).__name__}: {error}"[: base.LONGEST])
        whole = {"destinations": [self._destination(destination)], "encoding": "HEX", **body}
        found = base.call(self._http, "POST", f"/v1/{verb}", whole, Authorization=f"Bearer {bearer}")
        if isinstance(found, Reply):
            return found
        if found.status_code == httpx2.codes.UNAUTHORIZED:
            self._tokens.forget()
        return _reply(found)

    def _destination(self, product: str) -> dict[str, Any]:
        login = {"loginAccount": _account(self._account.login)} if self._account.login else {}
        return {"operatingAccount": _account(self._account.number), **login, "productDestinationId": product}


def _account(number: str) -> dict[str, str]:
    return {"accountType": "GOOGLE_ADS", "accountId": number}


def _identified(person: Person) -> dict[str, Any]:
    found = []
    if person.email_hash:
        found.append({"emailAddress": person.email_hash.hex()})
    if person.phone_hash:
        found.append({"phoneNumber": person.phone_hash.hex()})
    return {"userIdentifiers": found}


def _event(sale: Sale) -> dict[str, Any]:
    """`transactionId` is the order's own id: the tag, which sends the same, and a repeat count once."""
    return {
        "transactionId": sale.order_id,
        "eventTimestamp": sale.ordered_at.isoformat(),
        "eventSource": _SOURCES.get(sale.channel, "OTHER"),
        "conversionValue": sale.total,
        "currency": sale.currency,
        "userData": _identified(sale.person),
        "consent": {"adUserData": _GRANTED, "adPersonalization": _GRANTED if sale.personal else _DENIED},
    }


def _reply(response: httpx2.Response) -> Reply:
    found = base.said(response)
    if response.is_success and "requestId" in found:
        return Reply(Answer.TAKEN)
    error = found.get("error")
    if not isinstance(error, dict):
        return Reply(Answer.DOWN, f"{response.status_code}, and no answer of Google's: {response.text[:100]!r}")
    reasons = _reasons(error)
    words = ", ".join((str(error.get("message")), *sorted(reasons)))
    detail = f"{error.get('status')}: {words}"[: base.LONGEST]
    status = response.status_code
    if status in (401, 403):
        return Reply(Answer.KEY, detail)
    if status == 429:
        return Reply(Answer.BUSY, detail, retry_after=base.seconds(response.headers))
    if status == 404 or reasons & _OF_AUDIENCE:
        return Reply(Answer.AUDIENCE, detail)
    return Reply(Answer.ROWS if 400 <= status < 500 else Answer.DOWN, detail)


def _reasons(error: Mapping[str, Any]) -> set[str]:
    """The stable words among an error's details: of the whole, and of each field."""
    parts = [part for part in error.get("details") or [] if isinstance(part, dict)]
    fields = [field for part in parts for field in part.get("fieldViolations") or [] if isinstance(field, dict)]
    return {str(one["reason"]) for one in (*parts, *fields) if "reason" in one}
