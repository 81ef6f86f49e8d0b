"""Rules asked as if customers had been given traits, by a journey that is only tried. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from campaigns.definitions import conditions
from campaigns.definitions.conditions import All, Any_, Condition, Distance, InSegment, Not, Trait
from shop import handles


@dataclass(frozen=True, slots=True)
class Supposed:
    """A rule, and the traits whoever it is asked of is supposed to have been given."""

    rule: "Condition | Supposed"
    traits: Mapping[str, Any]


def suppose(
    rule: Condition, *, written: Mapping[str, Any], settled: Mapping[str, Any], segments: Mapping[str, Condition]
) -> Condition | Supposed:
    """The rule as it is to be asked once these traits were `written`.

    A segment is as it was last brought up to date, so that it knows only of those traits that are `settled`.

    :param segments: the rules of segments, by name; those without one are lists, which no trait changes
    """
    return Supposed(_filled(rule, settled, segments), written) if written else rule


def _filled(rule: Condition, settled: Mapping[str, Any], segments: Mapping[str, Condition]) -> Condition | Supposed:
    """With segments that read a settled trait asked for their own rule, in place of whom they hold."""
    match rule:
        case All() | Any_():
            return rule.model_copy(update={"of": tuple(_filled(one, settled, segments) for one in rule.of)})
        case Not():
            return rule.model_copy(update={"rule": _filled(rule.rule, settled, segments)})
        case InSegment(name=name) if name in segments and _reads(segments[name], _names(settled), segments):
            return Supposed(_filled(segments[name], settled, segments), settled)
    return rule


def _names(traits: Mapping[str, Any]) -> frozenset[str]:
    """What these traits are kept as."""
    columns, other = handles.described(traits, {})
    return frozenset((*(name for name, value in columns.items() if value is not None), *other))


def _reads(rule: Condition, names: frozenset[str], segments: Mapping[str, Condition]) -> bool:
    return any(_reads_itself(one, names, segments) for _, one in conditions.walk(rule))


def _reads_itself(rule: Condition, names: frozenset[str], segments: Mapping[str, Condition]) -> bool:
    match rule:
        case Trait(name=name):
            return name.partition(".")[0] in names
        case Distance(latitude=latitude, longitude=longitude):
            return not names.isdisjoint((latitude.partition(".")[0], longitude.partition(".")[0]))
        case InSegment(name=name) if name in segments:
            return _reads(segments[name], names, segments)
    return False
