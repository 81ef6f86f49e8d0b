"""Who should be in an audience, as SQL: in its segment or asked for by a journey, of age, and agreed to ads.

Ads shown to known people need both of her consents on the channel `ads`: `marketing` (her data may be used) and
`personalization` (what she sees may depend on it). A no that covers either outweighs every yes. Nobody known to be
younger than 18 is ever in: of a birth year alone, whoever might still be 17 counts as younger.
"""

from datetime import datetime

from campaigns.audiences.kept import Audience

AGE = 18

_AGREED = """
    SELECT bool_and(consents.state = 'granted') AND bool_or(purpose IN ('marketing', 'any'))
        AND bool_or(purpose IN ('personalization', 'any'))
    FROM consents WHERE consents.customer_id = person.id AND consents.channel IN ('ads', 'any')
        AND purpose IN ('marketing', 'personalization', 'any')
"""
_CANDIDATES = """
    SELECT customer_id, since FROM segment_members WHERE segment_id = :segment
    UNION ALL
    SELECT coalesce(held.merged_into, held.id), asked_at FROM audience_members JOIN customers held
        ON held.id = audience_members.customer_id WHERE audience_id = :audience AND asked
"""
CONTACT = "hashtextextended(concat_ws(' ', person.email, person.phone), 0)"
"""Changes when what is hashed changes."""

WANTED = f"""
CREATE TEMPORARY TABLE wanted AS
SELECT DISTINCT person.id, {CONTACT} AS contact
FROM ({_CANDIDATES}) AS candidate JOIN customers AS person ON person.id = candidate.customer_id
WHERE NOT :ending AND person.merged_into IS NULL AND (person.email IS NOT NULL OR person.phone IS NOT NULL)
    AND (person.birth_year IS NULL OR person.birth_year < :adult) AND ({_AGREED})
    AND NOT (:until_purchase AND EXISTS (SELECT FROM orders WHERE orders.customer_id = person.id
        AND orders.state <> 'cancelled' AND orders.ordered_at > candidate.since))
    AND NOT EXISTS (SELECT FROM audience_members AS kept_out JOIN customers AS held
        ON held.id = kept_out.customer_id WHERE kept_out.audience_id = :audience AND kept_out.asked = false
        AND coalesce(held.merged_into, held.id) = person.id)
"""
"""Everybody who should be in, put aside for as long as the connection lasts."""

GOING = f"""
WITH going AS (
    SELECT member.id, wanted.id IS NOT NULL AS changed
    FROM audience_members AS member LEFT JOIN wanted ON wanted.id = member.customer_id
    WHERE member.audience_id = :audience AND member.state IN ('adding', 'in', 'refused')
        AND wanted.contact IS DISTINCT FROM member.contact
)
UPDATE audience_members AS member SET state = CASE member.state WHEN 'refused' THEN 'out' ELSE 'removing' END,
    reason = CASE WHEN member.customer_id IS NULL THEN 'erased' WHEN :ending THEN 'ended' WHEN going.changed
        THEN 'changed' WHEN EXISTS (SELECT FROM orders WHERE orders.customer_id = member.customer_id
            AND orders.state <> 'cancelled' AND orders.ordered_at > member.since) THEN 'bought'
        WHEN member.asked = false THEN 'asked'
        WHEN ({_AGREED.replace("person.id", "member.customer_id")}) IS NOT TRUE THEN 'consent'
        WHEN EXISTS (SELECT FROM customers AS person WHERE person.id = member.customer_id
            AND person.birth_year >= :adult) THEN 'minor' ELSE 'left' END
FROM going WHERE member.audience_id = :audience AND member.id = going.id
"""
"""Everybody who is in, or on her way, and should not be, with why."""

FORGOTTEN = "DELETE FROM audience_members WHERE audience_id = :audience AND state = 'out' AND customer_id IS NULL"

COMING = f"""
DECLARE coming CURSOR WITH HOLD FOR
SELECT person.id, person.email, person.phone, {CONTACT} AS contact
FROM wanted JOIN customers AS person ON person.id = wanted.id AND person.merged_into IS NULL
WHERE NOT EXISTS (SELECT FROM audience_members AS member
    WHERE member.audience_id = :audience AND member.customer_id = wanted.id AND member.state <> 'out')
ORDER BY person.id
"""
"""Everybody who should be in and is not, read once and given out in parts, without a transaction that stays open."""


def given(audience: Audience, *, now: datetime) -> dict[str, object]:
    """The values the statements ask for."""
    return {
        "audience": audience.id,
        "segment": audience.segment_id,
        "until_purchase": audience.until_purchase,
        "ending": audience.state == "ending",
        "adult": now.year - AGE,
    }
