from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from campaigns import code_pool, offer_figures, offers, pool_imports, tables
from campaigns.code_pool import Report
from campaigns.definitions import offers as definitions
from foundation.database import Database
from foundation.errors import Conflict, Invalid, NotFound

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
SUN = {"name": "SUN", "kind": "percentage", "value": 1000, "codes": "pool"}


@pytest.fixture(name="pool")
def _pool(db: Database) -> Database:
    with db.begin() as conn:
        offers.create(conn, definitions.parse(SUN), now=NOW)
        offers.create(conn, definitions.parse({**SUN, "name": "MOON"}), now=NOW)
        offers.create(conn, definitions.parse({**SUN, "name": "MADE", "codes": "made"}), now=NOW)
    return db


def fill(db: Database, path: Path, text: str, *, offer: str = "SUN") -> Report:
    path.write_text(text, encoding="utf-8")
    return code_pool.fill(db, offer, path=path, now=NOW, progress=lambda done, of: None)


def test_a_file_of_codes_becomes_the_pool_as_the_shop_wrote_them(pool: Database, tmp_path: Path) -> None:
    report = fill(pool, tmp_path / "codes.csv", "code\nsoleil-10\n SOLEIL-11 \nSoleil 12\n")
    assert (report.accepted, report.repeated, report.refused, report.refused_file) == (3, 0, 0, None)
    with pool.begin() as conn:
        kept = conn.execute(sa.select(tables.promo_codes.c["code", "shown", "state", "origin"])).all()
    assert sorted(kept) == [
        ("S01E1110", "soleil-10", "free", "imported"),
        ("S01E1111", "SOLEIL-11", "free", "imported"),
        ("S01E1112", "Soleil 12", "free", "imported"),
    ]


def test_the_same_file_again_adds_nothing(pool: Database, tmp_path: Path) -> None:
    fill(pool, tmp_path / "codes.csv", "code\nAAAA\nBBBB\n")
    again = fill(pool, tmp_path / "codes.csv", "code\nAAAA\nBBBB\nCCCC\nCCCC\n")
    assert (again.accepted, again.repeated, again.refused) == (1, 3, 0)


def test_each_refused_line_says_why(pool: Database, tmp_path: Path) -> None:
    fill(pool, tmp_path / "moon.csv", "code\nMOONLIGHT\n", offer="MOON")
    fill(pool, tmp_path / "first.csv", "code\nOILS\n")
    late, past = (NOW + timedelta(days=9)).isoformat(), (NOW - timedelta(days=9)).isoformat()
    lines = ["GOOD", "go-od", "AB", "", "été-2026", "x" * 41, "moonlight", "0i1s", "=CMD()"]
    text = "code,expires_at\n" + "".join(f"{line},{late}\n" for line in lines)
    report = fill(pool, tmp_path / "codes.csv", text + f"GONE,{past}\nWHEN,soon\n")
    assert (report.accepted, report.refused) == (1, 10)
    assert {row.line: row.reason for row in report.some} == {
        3: "code: reads the same as line 2",
        4: "code: must have at least 4 letters and digits",
        5: "code: must have at least 4 letters and digits",
        6: "code: must hold letters, digits and dashes that a scanner reads",
        7: "code: must have at most 40 characters",
        8: "code: is a code of another offer",
        9: "code: reads the same as OILS",
        10: "code: must have at least 4 letters and digits",
        11: "expires_at: has passed already",
        12: "expires_at: is not an ISO 8601 time",
    }
    assert report.refused_file is not None
    assert "10,code: must have at least 4 letters and digits,'=CMD()" in report.refused_file.read_text()
    with pool.begin() as conn:
        assert conn.scalar(sa.select(tables.promo_codes.c.not_after).where(tables.promo_codes.c.code == "G00D"))


def test_what_is_no_file_of_codes_is_refused_whole(pool: Database, tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        fill(pool, tmp_path / "codes.csv", "coupon\nAAAA\n")
    with pytest.raises(Invalid):
        fill(pool, tmp_path / "codes.txt", "code\nAAAA\n")
    with pytest.raises(Conflict):
        fill(pool, tmp_path / "codes.csv", "code\nAAAA\n", offer="MADE")
    with pytest.raises(NotFound):
        fill(pool, tmp_path / "codes.csv", "code\nAAAA\n", offer="NONE")


def test_a_file_handed_in_keeps_its_report(pool: Database, tmp_path: Path) -> None:
    path = tmp_path / "codes.csv"
    path.write_text("code\nAAAA\nBB\n")
    with pool.begin() as conn:
        offer = offers.get(conn, "SUN")
        good = pool_imports.begin(conn, "SUN", file="codes.csv", by="ines", now=NOW)
        bad = pool_imports.begin(conn, "SUN", file="none.csv", by="ines", now=NOW)
    pool_imports.run(pool, good, "SUN", path=path, now=NOW)
    pool_imports.run(pool, bad, "SUN", path=tmp_path / "none.csv", now=NOW)
    with pool.begin() as conn:
        failed, done = pool_imports.latest(conn, offer.id)
        assert offer_figures.of(conn, offer.id)[0].free == 1
    assert (done.state, done.accepted, done.refused, done.share) == ("done", 1, 1, 1.0)
    assert done.faults == [{"line": 3, "reason": "code: must have at least 4 letters and digits", "code": "BB"}]
    assert (failed.state, "cannot be read" in (failed.detail or "")) == ("failed", True)
    with pool.begin() as conn:
        pool_imports.begin(conn, "SUN", file="codes.csv", by="ines", now=NOW)
        assert pool_imports.latest(conn, offer.id)[0].stopped(NOW + timedelta(minutes=2))


def test_a_hundred_thousand_codes_are_in_the_pool_within_seconds(pool: Database, tmp_path: Path) -> None:
    report = fill(pool, tmp_path / "codes.csv", "code\n" + "\n".join(f"SUN-{n:07}" for n in range(100_000)))
    assert report.accepted == 100_000
