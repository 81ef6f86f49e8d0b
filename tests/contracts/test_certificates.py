"""A provider whose certificate has ended is not spoken to: nothing was sent, the message waits, nobody's fault."""

from pathlib import Path

import pytest

from campaigns.channels import sms
from campaigns.channels.base import Outcome
from campaigns.channels.sendgrid import SendgridChannel
from foundation.database import Database
from tests.campaigns.test_webhooks import receiver
from tests.contracts.test_channels import a_mail
from tests.contracts.test_messengers import a_note


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "made by itself"])
def test_nothing_is_said_to_who_cannot_prove_who_it_is(db: Database, tmp_path: Path, ended: bool) -> None:
    with receiver(tmp_path, ended=ended) as (port, _, got):
        mail = SendgridChannel("SG.key", host=f"https://localhost:{port}")
        account = sms.account(
            f"generic+https://user:pass@localhost:{port}/send?from=Aubier", callback="https://r.example/"
        )
        text = sms.SmsGateway(account, sms.Generic())
        receipts = [
            *mail.deliver([a_mail(db)]),
            *text.deliver([a_note(None, addresses=("+33612345678",), channel="sms")]),
        ]
        mail.close()
        text.close()
    assert [receipt.outcome for receipt in receipts] == [Outcome.UNSENT, Outcome.UNSENT] and got == []
    assert all("certificate" in (receipt.detail or "").lower() for receipt in receipts)
