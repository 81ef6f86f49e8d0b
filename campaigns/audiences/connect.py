"""Which ad platforms the settings connect. A file for any other needs nothing."""

from campaigns.audiences.platforms.base import Platform
from campaigns.audiences.platforms.csv import Csv
from campaigns.audiences.platforms.google import HOST as GOOGLE
from campaigns.audiences.platforms.google import SCOPE, Account, Google
from campaigns.audiences.platforms.meta import HOST as META
from campaigns.audiences.platforms.meta import Meta
from foundation import ad_accounts
from foundation.config import Config
from foundation.google_token import Tokens


def platforms(config: Config) -> dict[str, Platform]:
    """The platforms that can be spoken to, by name; the settings were checked by `Config`."""
    found: dict[str, Platform] = {"csv": Csv()}
    if config.meta_ads_url:
        held = ad_accounts.parse("meta", config.meta_ads_url)
        found["meta"] = Meta(held.secret, host=held.host or META, dataset=held.options.get("dataset"))
    if config.google_ads_url:
        held = ad_accounts.parse("google", config.google_ads_url)
        account = Account(held.options["account"], held.options.get("login"), held.options.get("conversion"))
        found["google"] = Google(Tokens(held.credentials, SCOPE), account, host=held.host or GOOGLE)
    return found
