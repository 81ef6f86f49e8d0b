"""Who signs in to the console of a demo: one person, with a password made for this installation."""

from pathlib import Path

from foundation.config import kept_secret

USER = "demo@maison-aubier.example"


def password(var: Path) -> str:
    """The demo user's password, made once and kept under `var/`."""
    return kept_secret(var / "demo-password")
