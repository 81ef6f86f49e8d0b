"""C5: the web server is killed while a provider posts signed reports, and posts each again until it is answered."""

import base64
import http.client
import os
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import orjson
import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from campaigns import tables
from foundation.database import Database
from tests.campaigns.test_sendgrid import in_doubt
from tests.prove import senders

NAME = "X-Twilio-Email-Event-Webhook-"
AT_ONCE = 5
"""Reports a post."""


@dataclass(frozen=True, slots=True)
class Told:
    """`posts` were made for all to be answered; `twice` are reports kept more than once."""

    messages: int
    posts: int
    kills: int
    delivered: int
    kept: int
    twice: int


def killed_server(db: Database, folder: Path, *, messages: int, kills: int, seed: int = 1) -> Told:
    """All these messages are in doubt, and each is reported once by a post that is repeated until it is answered."""
    now, key, chance = datetime.now(UTC), ec.generate_private_key(ec.SECP256R1()), random.Random(seed)
    waiting = [in_doubt(db, f"u{number}", at=now - timedelta(minutes=5)) for number in range(messages)]
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    os.environ["RELANCE_SENDGRID_WEBHOOK_KEY"] = base64.b64encode(public).decode()
    port, posts, answered = senders.free_port(), [0], [0]
    over = threading.Thread(target=_post_all, args=(port, key, waiting, posts, answered))
    try:
        over.start()
        for number in range(kills):
            with senders.server(db, folder, port) as running:
                enough = (number + 1) * messages // (kills + 1)
                while answered[0] < enough:
                    time.sleep(0.005)
                time.sleep(chance.uniform(0, 0.05))
            running.wait()
        with senders.server(db, folder, port) as running:
            over.join()
        running.wait()
    finally:
        del os.environ["RELANCE_SENDGRID_WEBHOOK_KEY"]
    return _judged(db, messages, posts[0], kills)


def _post_all(
    port: int, key: ec.EllipticCurvePrivateKey, waiting: list[UUID], posts: list[int], answered: list[int]
) -> None:
    for first in range(0, len(waiting), AT_ONCE):
        some = waiting[first : first + AT_ONCE]
        while not _post(port, key, some):
            posts[0] += 1
            time.sleep(0.02)
        posts[0] += 1
        answered[0] += len(some)


def _post(port: int, key: ec.EllipticCurvePrivateKey, some: list[UUID]) -> bool:
    at = int(time.time())
    told = [
        {"sg_event_id": f"e{one}", "event": "delivered", "mid": str(one), "attempt": "1", "timestamp": at}
        for one in some
    ]
    body = orjson.dumps(told)
    signature = key.sign(str(at).encode() + body, ec.ECDSA(hashes.SHA256()))
    headers = {f"{NAME}Signature": base64.b64encode(signature).decode(), f"{NAME}Timestamp": str(at)}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/hooks/sendgrid", body, headers | {"Content-Type": "application/json"})
        return connection.getresponse().status == 204
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _judged(db: Database, messages: int, posts: int, kills: int) -> Told:
    kept = tables.provider_events
    with db.begin() as conn:
        found = list(conn.scalars(sa.select(kept.c.message_id).where(kept.c.message_id.is_not(None))))
        delivered = sa.select(sa.func.count()).where(tables.messages.c.state == "delivered")
        return Told(messages, posts, kills, conn.scalar(delivered) or 0, len(found), len(found) - len(set(found)))
