"""What comes back to our own mailbox, over IMAP or in a directory: bounces, complaints, goodbyes, and nothing else."""

import socketserver
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from campaigns import returns, tables
from campaigns.bounces import Fault
from campaigns.channels import mailboxes, returned
from campaigns.channels.returned import Kind
from campaigns.links import RETURNED, UNSUBSCRIBING
from foundation.database import Database
from shop import consent
from tests.campaigns import world
from tests.campaigns.test_sendgrid import in_doubt, state_of

ABOUT = UUID(int=42)
DAY = timedelta(days=1)


def to(purpose: str, message_id: UUID = ABOUT) -> str:
    return world.LINKS.mailbox(purpose, message_id, address="bounces@m.aubier.example")


def report(status: str, words: str, *, action: str = "failed", message_id: UUID = ABOUT) -> bytes:
    return f"""Return-Path: <>
From: MAILER-DAEMON@mx.example
To: <{to(RETURNED, message_id)}>
Subject: Undelivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; camille@example.org
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {words}

--b--
""".encode()


def complaint(quoted: str, *, addressed: str = "abuse@m.aubier.example") -> bytes:
    return f"""From: feedback@provider.example
To: {addressed}
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

An abuse report.
--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Provider/1.0
Version: 1

--b
Content-Type: message/rfc822

From: bonjour@aubier.example
List-Unsubscribe: <https://relance.example/u/x>,
 <mailto:{quoted}>
Subject: x

Hello
--b--
""".encode()


@pytest.mark.parametrize(
    ("raw", "kind", "fault"),
    [
        (report("5.1.1", "550 5.1.1 no such user"), Kind.BOUNCED, Fault.INVALID),
        (report("5.2.2", "552 mailbox full"), Kind.BOUNCED, Fault.FULL),
        (report("5.7.1", "554 blocked using spamhaus"), Kind.BOUNCED, Fault.REPUTATION),
        (report("4.4.1", "connection timed out", action="delayed"), Kind.DELAYED, Fault.TECHNICAL),
        (complaint(to(UNSUBSCRIBING)), Kind.COMPLAINED, None),
        (complaint("x@y.example", addressed=to(RETURNED)), Kind.COMPLAINED, None),
        (f"From: a@b.example\nTo: {to(UNSUBSCRIBING)}\nSubject: unsubscribe\n\n".encode(), Kind.UNSUBSCRIBED, None),
        (
            f"From: Postmaster <postmaster@x.example>\nTo: {to(RETURNED)}\n\n550 No such user here".encode(),
            Kind.BOUNCED,
            Fault.INVALID,
        ),
    ],
)
def test_each_thing_that_comes_back_is_read_for_what_it_is(raw: bytes, kind: Kind, fault: Fault | None) -> None:
    for lines in (raw, raw.replace(b"\n", b"\r\n")):
        found = returned.read(lines, world.LINKS)
        assert found is not None
        assert (found.kind, found.message_id, found.fault) == (kind, ABOUT, fault)
        assert "@" not in (found.detail or "")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        report("5.1.1", "x", action="delivered"),
        report("5.1.1", "x", action="relayed"),
        report("5.1.1", "x").replace(to(RETURNED).encode(), b"bounces+bAAAA@m.aubier.example"),
        report("5.1.1", "x").replace(b"+b", b"+u"),
        complaint("bounces+u" + "a" * 44 + "@m.aubier.example"),
        f"From: camille@example.org\nAuto-Submitted: auto-replied\nTo: {to(RETURNED)}\n\nI am away".encode(),
        f"From: camille@example.org\nTo: {to(RETURNED)}\n\nno such user, she said".encode(),
        f"From: MAILER-DAEMON@x.example\nTo: {to(RETURNED)}\n\nHm.".encode(),
    ],
    ids=range(10),
)
def test_what_says_nothing_of_a_message_of_ours_is_passed_over(raw: bytes) -> None:
    assert returned.read(raw, world.LINKS) is None


def test_a_token_of_another_purpose_or_of_another_secret_is_nothing() -> None:
    token = to(RETURNED).partition("+b")[2].partition("@")[0]
    assert world.LINKS.read_mailbox(RETURNED, token) == ABOUT
    assert world.LINKS.read_mailbox(UNSUBSCRIBING, token) is None
    for wrong in ("", "a", token[:-1], token + "a", "1" * 44, ("b" if token[0] == "a" else "a") + token[1:]):
        assert world.LINKS.read_mailbox(RETURNED, wrong) is None


# ------------------------------------------------------------------------------------------- mailboxes
@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_a_hard_bounce_ends_the_address_and_reading_it_again_changes_nothing(
    db: Database, maildir: Path, now: datetime
) -> None:
    message_id = in_doubt(db, "camille", at=now, state="accepted")
    for name in ("one", "two"):  # the same mail, twice in the box
        (maildir / "new" / name).write_bytes(report("5.1.1", "550 no such user", message_id=message_id))
    (maildir / "new" / "three").write_bytes(b"From: someone\n\nhello")
    assert returns.collect(db, mailboxes.mailbox(f"maildir:{maildir}"), world.LINKS, now=now) == "1 reports in 3 mails"
    assert state_of(db, message_id) == ("bounced", "mailbox")
    assert suppressed(db, "camille@example.org")
    assert not list((maildir / "new").iterdir()) and len(list((maildir / "cur").iterdir())) == 3
    assert returns.collect(db, mailboxes.mailbox(f"maildir:{maildir}"), world.LINKS, now=now) is None


def test_a_mail_with_what_no_text_may_hold_keeps_no_other_from_being_read(
    db: Database, maildir: Path, now: datetime
) -> None:
    message_id = in_doubt(db, "camille", at=now, state="accepted")
    odd = report("5.1.1", "550 no such user X", message_id=message_id).replace(b"user X", b"user \x00")
    (maildir / "new" / "odd").write_bytes(odd)
    assert returns.collect(db, mailboxes.mailbox(f"maildir:{maildir}"), world.LINKS, now=now) == "1 reports in 1 mails"
    assert state_of(db, message_id) == ("bounced", "mailbox")


def test_a_full_mailbox_is_left_alone_after_three_days_of_it_and_our_own_faults_never_count(
    db: Database, maildir: Path, now: datetime
) -> None:
    for day, words in enumerate(
        ["552 mailbox full", "552 mailbox full", "554 blocked using spamhaus", "552 full mailbox full"]
    ):
        message_id = in_doubt(db, f"c{day}", at=now, state="accepted")
        with db.begin() as conn:
            same = sa.update(tables.message_contents).where(tables.message_contents.c.message_id == message_id)
            conn.execute(same.values(address="camille@example.org"))
        (maildir / "new" / str(day)).write_bytes(report("5.0.0", words, message_id=message_id))
        returns.collect(db, mailboxes.mailbox(f"maildir:{maildir}"), world.LINKS, now=now + day * DAY)
        assert suppressed(db, "camille@example.org") == (day == 3)


def suppressed(db: Database, address: str) -> bool:
    with db.begin() as conn:
        return bool(consent.suppressed(conn, "email", [consent.address_hash(conn, "email", address)]))


def test_writing_to_the_unsubscribe_address_unsubscribes(db: Database, maildir: Path, now: datetime) -> None:
    message_id = in_doubt(db, "camille", at=now, state="delivered")
    goodbye = f"From: anyone@else.example\nTo: {to(UNSUBSCRIBING, message_id)}\n\n"
    (maildir / "new" / "1").write_bytes(goodbye.encode())
    returns.collect(db, mailboxes.mailbox(f"maildir:{maildir}"), world.LINKS, now=now)
    assert suppressed(db, "camille@example.org")


def test_a_mailbox_that_is_not_there_is_told_and_none_is_fine(db: Database, now: datetime) -> None:
    assert returns.collect(db, None, world.LINKS, now=now) is None
    for url in ("maildir:/no/such/place", "imap://a:b@127.0.0.1:1/INBOX"):
        with pytest.raises(mailboxes.Unreachable):
            returns.collect(db, mailboxes.mailbox(url), world.LINKS, now=now)


class Imap(socketserver.ThreadingTCPServer):
    """As much of IMAP4rev1 as a reader of one folder needs."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, mails: list[bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _ImapTalk)
        self.mails, self.seen = mails, set[int]()
        self.password, self.refusal, self.logins = "s p", "LOGIN done", list[str]()


class _ImapTalk(socketserver.StreamRequestHandler):
    server: Imap

    def handle(self) -> None:
        self.wfile.write(b"* OK IMAP4rev1 here\r\n")
        while line := self.rfile.readline():
            tag, command, *rest = line.decode().split(maxsplit=2)
            arguments = rest[0].strip() if rest else ""
            said, good = self._answer(command.upper(), arguments)
            ended = f"OK {command} done" if good else f"NO {self.server.refusal}"
            self.wfile.write(said + f"{tag} {ended}\r\n".encode())

    def _answer(self, command: str, arguments: str) -> tuple[bytes, bool]:
        if command == "CAPABILITY":
            return b"* CAPABILITY IMAP4rev1\r\n", True
        if command == "LOGIN":
            self.server.logins.append(said := arguments.replace('"', ""))
            return b"", said == f"relance {self.server.password}"
        if command == "SELECT":
            return f"* {len(self.server.mails)} EXISTS\r\n".encode(), arguments == '"Returns"'
        if command == "UID" and arguments.startswith("SEARCH"):
            unseen = [str(n) for n in range(1, len(self.server.mails) + 1) if n not in self.server.seen]
            return f"* SEARCH {' '.join(unseen)}\r\n".encode(), True
        if command == "UID" and arguments.startswith("FETCH"):
            number = int(arguments.split()[1])
            raw = self.server.mails[number - 1]
            head = f"* {number} FETCH (UID {number} BODY[] {{{len(raw)}}}\r\n".encode()
            return head + raw + b")\r\n", True
        if command == "UID" and arguments.startswith("STORE"):
            self.server.seen |= {int(number) for number in arguments.split()[1].split(",")}
        return b"", True


@pytest.fixture
def imap() -> Iterator[Imap]:
    server = Imap([])
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    yield server
    server.shutdown()
    serving.join()
    server.server_close()


def test_a_folder_is_read_over_imap_once(db: Database, imap: Imap, now: datetime) -> None:
    message_id = in_doubt(db, "camille", at=now, state="accepted")
    imap.mails += [report("5.1.1", "550 no such user", message_id=message_id).replace(b"\n", b"\r\n"), b"x\r\n"]
    url = f"imap://relance:s%20p@127.0.0.1:{imap.server_address[1]}/Returns"
    box = mailboxes.mailbox(url)
    assert returns.collect(db, box, world.LINKS, now=now) == "1 reports in 2 mails"
    assert state_of(db, message_id)[0] == "bounced" and imap.seen == {1, 2}
    assert returns.collect(db, box, world.LINKS, now=now) is None
    with pytest.raises(mailboxes.Unreachable, match="there is no folder Nowhere"):
        returns.collect(db, mailboxes.mailbox(url.replace("Returns", "Nowhere")), world.LINKS, now=now)


def test_a_password_a_mailbox_refuses_is_not_said_again_at_once(db: Database, imap: Imap, now: datetime) -> None:
    """It is read every minute, and hosts lock an account after a few wrong passwords."""
    box = mailboxes.mailbox(f"imap://relance:old@127.0.0.1:{imap.server_address[1]}/Returns")
    for _ in range(5):
        with pytest.raises(mailboxes.Unreachable, match=r"refuses our login \(LOGIN done\).* every 15 minutes"):
            returns.collect(db, box, world.LINKS, now=now)
    assert imap.logins == ["relance old"]


def test_a_password_is_said_again_after_a_rest_and_whenever_the_host_could_not_tell(imap: Imap) -> None:
    box = mailboxes.Imap("127.0.0.1", imap.server_address[1], "relance", "old", "Returns", tls=False, rest=0.0)
    for _ in range(2):
        with pytest.raises(mailboxes.Unreachable, match="refuses"):
            box.read(lambda mails: None, limit=10)
    imap.refusal = "[UNAVAILABLE] later"
    box = mailboxes.Imap("127.0.0.1", imap.server_address[1], "relance", "new", "Returns", tls=False)
    for _ in range(2):
        with pytest.raises(mailboxes.Unreachable, match="later"):
            box.read(lambda mails: None, limit=10)
    imap.password = "new"
    assert box.read(lambda mails: None, limit=10) == 0
    assert imap.logins == ["relance old"] * 2 + ["relance new"] * 3
