"""Who is who in a demo: the shop that writes, and the one person who signs in to the console."""

from pathlib import Path

from foundation.config import kept_secret

USER = "demo@maison-aubier.example"
SHOP = "Maison Aubier <bonjour@maison-aubier.example>"
"""The sender of the demo's mail, unless the settings name one."""


def password(var: Path) -> str:
    """The demo user's password, made once and kept under `var/`."""
    return kept_secret(var / "demo-password")
