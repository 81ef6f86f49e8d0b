"""Settings are read once, and every fault is reported by name."""

from pathlib import Path

import pytest

from foundation import config
from foundation.config import Config
from foundation.errors import Invalid


def test_an_empty_environment_gives_a_working_installation(tmp_path: Path) -> None:
    made = Config.from_env({"RELANCE_VAR": str(tmp_path)})
    assert made.base_url == "http://localhost:8000"
    assert made.email_url == "outbox:"
    assert len(made.secret_keys[0]) >= 32


def test_all_faults_are_reported_at_once_and_by_name(tmp_path: Path) -> None:
    wrong = {
        "RELANCE_VAR": str(tmp_path),
        "PORT": "http",
        "RELANCE_TRUSTED_PROXIES": "-1",
        "RELANCE_DATABASE_URL": "mysql://x",
        "RELANCE_SECRET_KEY": "short",
        "RELANCE_BASE_URL": "relance",
        "RELANCE_EMAIL_URL": "smtp://",
        "RELANCE_EMAIL_FROM": "nobody",
        "RELANCE_LOCALE": "de",
    }
    with pytest.raises(Invalid) as refused:
        Config.from_env(wrong)
    assert {fault.pointer for fault in refused.value.faults} == set(wrong) - {"RELANCE_VAR"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RELANCE_BASE_URL", "https://shop.example:port"),
        ("RELANCE_BASE_URL", "http://[half"),
        ("RELANCE_EMAIL_URL", "smtp://user@[half"),
        ("RELANCE_EMAIL_URL", "sendgrid:"),
        ("RELANCE_EMAIL_URL", "sendgrid:KEY@host-without-scheme"),
        ("RELANCE_DATABASE_URL", "postgresql://host:port/name"),
        ("RELANCE_SENDGRID_WEBHOOK_KEY", "no key"),
        ("RELANCE_VAR", "/proc/no-place"),
    ],
)
def test_an_address_or_key_nobody_could_use_is_a_fault(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(Invalid) as refused:
        Config.from_env({"RELANCE_VAR": str(tmp_path), name: value})
    assert [fault.pointer for fault in refused.value.faults] == [name]


@pytest.mark.parametrize("value", ["sendgrid:KEY", "sendgrid:KEY@http://127.0.0.1:9", "smtps://u:p@h", "outbox:"])
def test_every_way_to_send_is_accepted(tmp_path: Path, value: str) -> None:
    assert Config.from_env({"RELANCE_VAR": str(tmp_path), "RELANCE_EMAIL_URL": value}).email_url == value


def test_a_program_with_wrong_settings_names_them_all_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELANCE_LOCALE", "de")
    monkeypatch.setenv("RELANCE_EMAIL_FROM", "nobody")
    with pytest.raises(SystemExit, match=r"(?s)RELANCE_EMAIL_FROM .*\nRELANCE_LOCALE "):
        Config.of_program()


def test_a_kept_secret_is_made_once_and_private(tmp_path: Path) -> None:
    first = config.kept_secret(tmp_path / "secret-key")
    assert config.kept_secret(tmp_path / "secret-key") == first
    assert (tmp_path / "secret-key").stat().st_mode & 0o077 == 0


def test_no_secret_shows_in_a_printed_config(tmp_path: Path) -> None:
    made = Config.from_env({"RELANCE_VAR": str(tmp_path), "RELANCE_EMAIL_URL": "smtp://u:pencil@h:25"})
    assert "pencil" not in repr(made) and made.secret_keys[0] not in repr(made)


def test_a_file_beside_the_program_sets_what_the_environment_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("RELANCE_LOCALE=fr\nRELANCE_BASE_URL=https://file.example\n")
    monkeypatch.setenv("RELANCE_BASE_URL", "https://environment.example")
    made = Config.from_env(config.environment(tmp_path))
    assert (made.locale, made.base_url) == ("fr", "https://environment.example")
