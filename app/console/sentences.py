"""What the engine says in English (a fault, a finding, a provider's answer), said in the reader's language.

The engine's words stay its own: they are known here by their shape, and those of no known shape are shown as they are.
"""

import re

from markupsafe import Markup

from app import i18n
from app.i18n import N_

_SHAPES = (
    # faults: half-sentences about a value
    N_("must be a whole number from %(low)s to %(high)s"),
    N_("must be a number from %(low)s to %(high)s"),
    N_("must be a whole number"),
    N_("must be a number"),
    N_("must be true or false"),
    N_("must be at least %(least)s"),
    N_("must be at most %(most)s"),
    N_("must hold at least %(least)s"),
    N_("must hold at most %(most)s"),
    N_("must be from %(low)s to %(high)s"),
    N_("must be a length of time such as 30m, 20h, 3d or 2w"),
    N_("must be an hour such as 09:30"),
    N_("must be small letters, digits and dashes, at most %(most)s"),
    N_("must be a text on one line, at most %(most)s characters"),
    N_("must be a day of the calendar such as %(day)s"),
    N_("must be customer, shop, or a time zone such as %(zone)s"),
    N_("must be a web address"),
    N_("must be an https address without a password"),
    N_("must use port %(one)s or %(other)s"),
    N_("leads into a private network"),
    N_("must follow starts_at"),
    N_("has passed already"),
    N_("is needed"),
    N_("is needed with the rule after, and with it alone"),
    N_("is needed: the name of the audience"),
    N_("is needed: a condition, or where for the entry's event"),
    N_("is given twice: %(name)s"),
    N_("is the id of another step too: %(name)s"),
    N_("is not the name of a segment: %(name)s"),
    N_("is nested too deep"),
    N_("is no JSON: %(why)s"),
    N_("stands in too many branches within branches"),
    N_("can never be reached: the step before it ends the journey"),
    N_("needs a wait as the first step: it is what begins anew"),
    N_("needs an entry with a key: a cart, an order, a product or each event"),
    N_("needs an entry about a cart or a product"),
    N_("the entry is not about one %(what)s"),
    N_("says who she is, and cannot be written by a campaign"),
    N_("cannot be written without an offer: %(why)s"),
    N_("an audience has no words, products or offer"),
    N_("is for audience_in and audience_out only"),
    N_("an offer of this name promises something else; give it another name"),
    N_("must be a text of at most %(most)s characters"),
    N_("must be a text"),
    N_("must be text"),
    N_("must be an object"),
    N_("must be true or false"),
    N_("must be a number above %(low)s, at most %(high)s"),
    N_("must be a number from %(low)s to below %(high)s"),
    N_("must be a list of at most %(most)s texts"),
    N_("must be after the start"),
    N_("must not be below the lowest price"),
    N_("or a highest price is needed"),
    N_("must name a product"),
    N_("means nothing for %(action)s"),
    N_("must be a list"),
    N_("must be one of: %(words)s"),
    N_("must hold at least one language"),
    N_("must stand on one line"),
    N_("must be an amount such as 19.99"),
    N_("must be a three-letter code such as EUR"),
    N_("must be an ISO 8601 time"),
    N_("is too large an amount"),
    N_("is before the year 2000 or more than a day ahead"),
    N_("is not known"),
    N_("is not the name of an offer: %(name)s"),
    N_("is not the name of a campaign: %(name)s"),
    N_("is not the name of a store: %(name)s"),
    N_("goes in a circle: %(way)s"),
    N_("needs at least one rule"),
    N_("must be a whole number of days, at most %(most)s"),
    N_("must be a number, or a day such as %(day)s"),
    N_("must be a day such as %(day)s"),
    N_("must be a list of texts"),
    N_("must be empty: nothing is compared"),
    N_("must be a text, a number, true or false"),
    N_("must be a text of 1 to %(most)s characters"),
    N_("must be of the same kind as value"),
    N_("must not be less than value"),
    N_("needs to: the upper end"),
    N_("is for between only"),
    N_("needs a day as value for %(what)s"),
    N_("needs a number as value for %(what)s"),
    N_("cannot be %(op)s for %(what)s: op must be one of %(ops)s"),
    N_("needs a property for sum and distinct, and for these alone"),
    N_("cannot have within together with since or until"),
    N_("cannot end (until) before it begins (since)"),
    N_("can never hold: within must be longer than by"),
    N_("can never hold: touched_within must be longer than quiet_for"),
    N_("can never hold: value_at_most is less than value_at_least"),
    N_("needs within for expiring, and has none for usable"),
    N_("holds more than %(most)s rules; make part of it a segment of its own and name that"),
    N_("is nested more than %(most)s deep; make it a segment of its own and name that"),
    N_("names no customer; it needs a column %(columns)s"),
    N_("%(name)s is used by %(names)s"),
    N_("is longer than %(most)s characters"),
    N_("is %(size)s bytes; the limit is %(limit)s"),
    N_("is nested more than %(most)s deep"),
    N_("is needed: what happened"),
    N_("is needed: who it was before"),
    N_("is needed, or anonymousId: whose event it is"),
    N_("has %(size)s characters; the limit is %(limit)s"),
    N_("has a recursive loop"),
    N_("has loops within loops within loops; two levels are the most"),
    N_("hold no e-mail, phone or card that tells who this is"),
    N_("holds a character that cannot be shown"),
    N_("holds a control character"),
    N_("holds a NUL character"),
    N_("holds half a character, a number beyond 64 bits, or is nested too deep"),
    N_("names a known customer; only a secret key may join two of them"),
    N_("cannot be read: %(why)s"),
    N_("asks for a field by a computed name"),
    N_("asks for %(name)s, which is not a field"),
    N_("uses %(name)s, which is not a field; there are: %(names)s"),
    N_("uses %(name)s, which is not available in messages"),
    N_("uses the %(kind)s %(name)s; there are: %(names)s"),
    # findings: what the doctor found
    N_("public address %(address)s"),
    N_("is off: the sender refuses to start; turn it on"),
    N_("has never run: start it with %(command)s"),
    N_("silent for %(seconds)s s: start %(command)s"),
    N_("alive"),
    N_("on"),
    N_("none: make one with %(command)s"),
    N_("kept in the console's mailbox; set RELANCE_EMAIL_URL to send it"),
    N_("%(kind)s by %(host)s, from %(sender)s"),
    N_("%(domain)s is no public name: set RELANCE_EMAIL_FROM"),
    # answers: an attempt's own words
    N_("kept in the mailbox"),
    # a job's account of what it did
    N_("%(n)s accepted"),
    N_("%(n)s refused_retry"),
    N_("%(n)s refused_final"),
    N_("%(n)s ambiguous"),
    N_("%(n)s unsent"),
    N_("%(n)s misconfigured"),
    N_("%(n)s skipped"),
    N_("%(n)s waiting again"),
    N_("%(n)s in doubt"),
    N_("%(n)s unconfirmed"),
    N_("%(n)s too late"),
    N_("%(n)s into %(name)s"),
    N_("%(n)s advanced"),
    N_("%(n)s filled"),
    N_("%(n)s entered"),
    N_("%(n)s left"),
    N_("%(n)s told"),
    N_("%(n)s checked"),
    N_("no drift"),
    N_("drift: %(names)s"),
    N_("%(n)s credited"),
    N_("%(n)s codes used"),
    N_("%(n)s codes given back"),
    N_("%(n)s clicks"),
    N_("%(n)s orders"),
    N_("%(n)s old rows forgotten"),
    # decisions that came too late
    N_("%(name)s was cancelled and cannot be changed"),
    N_("%(name)s was cancelled and cannot be launched again"),
)


def said(text: str) -> str:
    """The sentence in the reader's language; one of no known shape stays as it came."""
    for shape, pattern in _PATTERNS:
        if found := pattern.fullmatch(text):
            return i18n.gettext(shape, **found.groupdict())
    return text


def account(text: str) -> str:
    """What a job says it did, part by part."""
    return Markup(", ").join(said(part) for part in text.split(", "))


def _pattern(shape: str) -> re.Pattern[str]:
    pieces = re.split(r"%\((\w+)\)s", shape)
    open_, fixed = pieces[1::2], [re.escape(piece) for piece in pieces[::2]]
    return re.compile(fixed[0] + "".join(f"(?P<{name}>.+?){rest}" for name, rest in zip(open_, fixed[1:], strict=True)))


_PATTERNS = tuple((shape, _pattern(shape)) for shape in _SHAPES)
