"""What the list before launching says, and what was done to a draft, in the reader's language."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time

from app import filters, i18n
from app.console import editor_words, finding_words, journey_words
from app.i18n import N_
from campaigns import launching
from campaigns.definitions import content
from campaigns.drafts import Draft
from campaigns.launching import Check
from foundation import format

ICON = {"ok": "circle-check", "todo": "circle-dashed", "warn": "triangle-alert", "bad": "circle-alert"}

SAID = {
    "based": N_("This draft began from version %(old)s; version %(new)s was published since"),
    "words_lacking": N_("A message is not written in %(locale)s"),
    "messages": N_("The messages: links, fields and wording as they should be"),
    "basket_host": N_("Baskets are shown at %(host)s, where links may not lead: the button opens a product instead"),
    "basket_nowhere": N_("Latest baskets whose button leads nowhere: %(n)s"),
    "messages_out": N_("The mails come out well: weight, contrast, pictures, a way to unsubscribe"),
    "sender": N_("From %(sender)s"),
    "not_connected": N_("Nothing carries %(channel)s yet: these messages will not leave"),
    "text": N_("Parts a text message takes: %(parts)s, for %(price)s"),
    "text_dear": N_("Parts a text message takes: %(parts)s, for %(price)s; %(letters)s make it dearer"),
    "offer_over": N_("The offer %(offer)s is over"),
    "codes": N_("About %(n)s codes of %(offer)s over %(days)s days"),
    "codes_pool": N_("Needs about %(n)s codes of %(offer)s, the pool has %(has)s"),
    "codes_pool_least": N_("Needs more than %(n)s codes of %(offer)s, the pool has %(has)s"),
    "codes_unknown": N_("How many codes of %(offer)s it needs: a dry run says"),
    "consent": N_("Only those who agreed are written to, asked again as each message leaves"),
    "service": N_("A service message: it needs no consent, and may promote nothing"),
    "holdout": N_("%(percent)s %% are left alone, to compare with"),
    "holdout_none": N_("Nobody is left alone, so what it causes cannot be said"),
    "quiet": N_("Quiet hours from %(start)s to %(end)s, where the customer lives"),
    "canary": N_("The first %(n)s messages leave alone; the others wait %(expires)s"),
    "quiet_none": N_("No quiet hours are kept"),
    "late": N_("Too late after %(expires)s, which quiet hours alone may outlast"),
    "dry_run": N_("Dry run: %(entered)s come in over %(days)s days, %(a_day)s messages a day"),
    "dry_run_least": N_("Dry run: more than %(entered)s come in over %(days)s days; every figure is a least"),
    "dry_run_none": N_("No dry run of what is written now"),
    "dry_run_pending": N_("The dry run is being made"),
    "tested": N_("Test sent to %(to)s, %(at)s"),
    "tested_none": N_("No test sent to yourself"),
    "red": N_("%(subject)s: to be mended before %(n)s messages leave in a day (%(above)s at most until then)"),
    "red_unsized": N_("%(subject)s: to be mended above %(above)s messages in a day; a dry run says how many leave"),
    "red_small": N_("%(subject)s: to be mended before the shop sends more than %(above)s messages in a day"),
    "size_unknown": N_("More than %(above)s messages in a day need a second yes: make a dry run first, to know"),
    "approval": N_("%(n)s messages in a day: a second person must approve, as for every campaign above %(above)s"),
    "approval_asked": N_("A second person was asked to approve: %(n)s messages in a day"),
    "approved": N_("Approved by %(by)s: %(n)s messages in a day"),
}

DID = {
    "inserted": N_("%(who)s put in the step %(step)s"),
    "moved": N_("%(who)s moved the step %(step)s"),
    "copied": N_("%(who)s copied the step %(step)s"),
    "removed": N_("%(who)s took out the step %(step)s"),
    "changed": N_("%(who)s changed the step %(step)s"),
    "settings": N_("%(who)s changed the settings"),
    "file": N_("%(who)s wrote it as a file"),
    "began": N_("%(who)s went back to the beginning"),
}


def check(of: Check) -> str:
    """A line of the list."""
    if of.word == "faults":
        n = of.values["n"]
        return i18n.ngettext("%(n)s fault to correct", "%(n)s faults to correct", n) if n else i18n.gettext("No fault")
    if of.word == "words":
        return i18n.ngettext(
            "%(n)s message, in French and English", "%(n)s messages, in French and English", of.values["n"]
        )
    if of.word == launching.MESSAGE:
        return _message(of)
    return i18n.gettext(SAID[of.word], **{name: _shown(name, value) for name, value in of.values.items()})


def _message(of: Check) -> str:
    """What is wrong with one message, and in which language if not in all."""
    said, locales = editor_words.check(of.values["check"]), of.values["locales"]
    if len(locales) == len(content.LOCALES):
        return said
    return i18n.gettext("%(said)s (in %(locale)s)", said=said, locale=_language(locales[0]))


def _shown(name: str, value: object) -> str:
    if isinstance(value, time):
        return format.time(datetime(2000, 1, 1, value.hour, value.minute, tzinfo=UTC), i18n.locale(), zone=UTC)
    if isinstance(value, datetime):
        return filters.moment(value)
    if name in _NAMED:
        return str(_NAMED[name](str(value)))
    if name == "price":
        return filters.money(round(float(str(value)) * 100), "EUR")
    if name == "subject":
        return finding_words.said(str(value), good=False)
    if name == "percent":
        return f"{value:g}"
    return filters.number(value) if isinstance(value, int | float) else str(value)


def _language(code: str) -> str:
    return str({"fr": i18n.gettext("French"), "en": i18n.gettext("English")}.get(code, code))


_NAMED: Mapping[str, Callable[[str], str]] = {
    "expires": journey_words.lasting,
    "channel": journey_words.channel,
    "locale": _language,
    "subject": lambda subject: finding_words.said(subject, good=False),
}


def edit_said(draft: Draft) -> str:
    """The last thing that was done to a draft, and by whom."""
    who = draft.edited_by or i18n.gettext("Somebody")
    return i18n.gettext(DID.get(draft.what, DID["changed"]), who=who, step=draft.step)
