"""Who neither reads nor does anything any more: addresses that get no marketing mail, so that hosts go on taking what
others want.

Nothing else may read the day of somebody's last open: no segment, trigger, winner or report. Whoever cannot be known
to be silent is not taken for it: without a picture in her mails nothing is known of her reading.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import policy
from campaigns.rules import Policy

FEWEST = 3
"""Mails she was sent since the last sign of her; fewer prove nothing."""


def silent(conn: sa.Connection, ids: Collection[int], *, rules: Policy, now: datetime) -> set[int]:
    """Which of these gave no sign for so long as the rules say while mails came: no open, no click, no visit, order or
    new yes. Nobody before the rule has stood for so long, nor once what it rests on was changed."""
    if not rules.silence_days or rules.opens == "off":
        return set()
    since, before = policy.silence_since(conn), now - timedelta(days=rules.silence_days)
    if since is None or since > before:
        return set()
    return set(conn.scalars(_SILENT, {"ids": sorted(ids), "since": since, "before": before, "fewest": FEWEST}))


_SILENT = sa.text("""
SELECT asked.person FROM unnest(:ids) AS asked (person)
CROSS JOIN LATERAL (
    SELECT ARRAY(SELECT id FROM customers WHERE id = asked.person OR merged_into = asked.person) AS ids
) AS known
CROSS JOIN LATERAL (
    SELECT greatest(
        :since,
        (SELECT max(day) + 1 FROM last_opens WHERE customer_id = ANY(known.ids)),
        (SELECT max(at) FROM consents WHERE customer_id = asked.person AND state = 'granted'
            AND channel IN ('email', 'any')),
        (SELECT greatest(web_last_at, app_last_at, store_last_at, marketplace_last_at, call_center_last_at)
            FROM profiles WHERE customer_id = asked.person),
        (SELECT max(greatest(opened_at, last_clicked_at)) FROM messages WHERE customer_id = ANY(known.ids)),
        (SELECT max(visits.at) FROM messages JOIN visits ON visits.message_id = messages.id
            WHERE customer_id = ANY(known.ids) AND visits.kind = 'open')
    ) AS at
) AS sign
CROSS JOIN LATERAL (
    SELECT count(*) AS mails, min(accepted_at) AS first FROM messages
    WHERE customer_id = ANY(known.ids) AND channel = 'email' AND accepted_at > sign.at
) AS since
WHERE since.mails >= :fewest AND since.first <= :before
""").bindparams(sa.bindparam("ids", type_=postgresql.ARRAY(sa.BigInteger)))
"""A picture that only a machine fetched is a sign too: behind it her reading cannot be seen."""


def prune(conn: sa.Connection, rules: Policy) -> int:
    """Removes days nothing may rest on any more: all in another mode, else those of who said no since."""
    return conn.execute(_PRUNE, {"kept": rules.opens == "hygiene"}).rowcount


_PRUNE = sa.text("""
DELETE FROM last_opens WHERE NOT :kept OR EXISTS (SELECT FROM consents
    WHERE consents.customer_id = last_opens.customer_id AND state = 'denied' AND channel IN ('email', 'any')
        AND purpose IN ('analytics', 'any'))
""")
