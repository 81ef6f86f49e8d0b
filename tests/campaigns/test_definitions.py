from typing import Any

import pytest

from campaigns import plans, rules
from campaigns.definitions import campaign as definitions
from foundation.errors import Invalid

SOUND: dict[str, Any] = {"delay_minutes": 60, "expires_hours": 48, "offer": "X", "words": plans.DEMO_WORDS}


def test_a_definition_survives_being_written_and_read() -> None:
    parsed = definitions.parse(SOUND)
    assert definitions.parse(definitions.dump(parsed)) == parsed
    assert parsed.words_for("fr-FR")[0] == "fr" and parsed.words_for("de")[0] == "en"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"delay_minutes": 0}, "/delay_minutes"),
        ({"delay_minutes": "60"}, "/delay_minutes"),
        ({"delay_minutes": True}, "/delay_minutes"),
        ({"expires_hours": 10**9}, "/expires_hours"),
        ({"holdout_percent": 80}, "/holdout_percent"),
        ({"holdout_percent": float("nan")}, "/holdout_percent"),
        ({"offer": 7}, "/offer"),
        ({"offer": "a\0b"}, "/offer"),
        ({"products": 99}, "/products"),
        ({"surprise": 1}, "/surprise"),
        ({"kind": "spam"}, "/kind"),
        ({"words": {}}, "/words"),
        ({"words": {"xx/y": {}}}, "/words/xx~1y"),
        ({"words": {"fr": {"subject": "a\nb", "heading": "h", "intro": "i"}}}, "/words/fr/subject"),
        ({"words": {"fr": {"subject": "\ud800", "heading": "h", "intro": "i"}}}, "/words/fr/subject"),
        ({"words": {"fr": {"subject": "{{ a.b }}", "heading": "h", "intro": "i"}}}, "/words/fr/subject"),
        ({"words": {"fr": "text"}}, "/words/fr/subject"),
    ],
)
def test_every_fault_has_its_place(change: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        definitions.parse(SOUND | change)
    assert pointer in [fault.pointer for fault in refused.value.faults]


def test_a_policy_survives_being_written_and_read() -> None:
    policy = rules.Policy(link_hosts=("shop.example",), quiet_from=None, quiet_until=None)
    assert rules.parse(rules.dump(policy)) == policy


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"cap_messages": -1}, "/cap_messages"),
        ({"quiet_from": "25:00"}, "/quiet_from"),
        ({"quiet_until": None}, "/quiet_until"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"timezone": "../../etc/passwd"}, "/timezone"),
        ({"sender": "nobody"}, "/sender"),
        ({"shop_name": "a\r\nBcc: x"}, "/shop_name"),
        ({"link_hosts": ["https://x/"]}, "/link_hosts"),
        ({"other": 1}, "/other"),
    ],
)
def test_a_policy_is_refused_with_the_place(values: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.parse(values)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]
