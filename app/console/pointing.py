"""One thing of the home page that needs attention."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that needs attention: what, why it matters, since when, and where to go."""

    icon: str
    tone: str
    title: str
    text: str
    when: str
    href: str
    act: str
