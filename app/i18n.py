"""Which language and which clock a person reads, and text in that language with its typography."""

from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import flask_babel
from flask import Flask, request
from markupsafe import Markup

from app import parts, security
from foundation import format
from foundation.config import LOCALES

ZONES = frozenset(available_timezones())


def N_(text: str) -> str:
    """Marks a text for translation where it stands; it is translated when it is shown. The name is gettext's own."""
    return text


def ngettext_later(one: str, many: str) -> tuple[str, str]:
    """Marks a text and its plural for translation where they stand."""
    return one, many


def register(app: Flask) -> None:
    """Readies the translations, and gives templates `_`, `gettext` and `ngettext` that set their text well."""
    flask_babel.Babel(
        app,
        locale_selector=_chosen,
    )
    app.jinja_env.install_gettext_callables(gettext, ngettext, newstyle=False)  # type: ignore[attr-defined]


def locale() -> str:
    """`fr` or `en`: the language of the page being answered."""
    return str(flask_babel.get_locale() or parts.current_parts().config.locale)


def zone() -> tzinfo:
    """The reader's own time zone, as the browser named it in a cookie; UTC until it has."""
    name = request.cookies.get("zone", "")
    return ZoneInfo(name if name in ZONES else "UTC")


def gettext(message: str, **values: Any) -> str:
    """The message in the reader's language, typeset. Markup in the message stays markup, values are escaped."""
    return _set(flask_babel.get_translations().ugettext(message), values)


def ngettext(one: str, many: str, n: int, **values: Any) -> str:
    """The message for `n` things; `%(n)s` is written as a number of that language."""
    chosen = flask_babel.get_translations().ungettext(one, many, n)
    return _set(chosen, {"n": format.number(n, locale()), **values})


def _set(text: str, values: dict[str, Any]) -> str:
    # Typeset last: before its values are in, ` %(n)s` looks like a space before a percent sign.
    filled = Markup(text) % values if values else text  # noqa: S704 - messages are ours, values are escaped
    return Markup(format.typeset(filled, locale()))  # noqa: S704


def _chosen() -> str:
    """What the person chose, signed in or not; then the browser's wish; then the installation's."""
    user = security.current_user()
    chosen = (user.locale if user else None) or request.cookies.get("locale")
    if chosen in LOCALES:
        return str(chosen)
    config = parts.current_parts().config
    return request.accept_languages.best_match(LOCALES, config.locale) or config.locale
