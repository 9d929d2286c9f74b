"""Signed reports: strangers' lines cost little to read, and only useful reports are submitted."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstop.deployment.devnet_trader_signatures import sign_report
from backstop.errors import BackstopError
from backstop.keepers.keeper_role_register import Keeper, KeeperMemory
from backstop.keepers.report_files import (
    MOST_BYTES,
    AttributedReport,
    ReportSources,
    SignedReportFile,
    format_report,
    parse_report,
)
from backstop.model.arithmetic import RAY
from backstop.model.price_feed import compute_renewal_window_seconds
from backstop.model.signed_reports import SignedReport
from tests.support.keeper_scenario import KeeperScenario

STEP = 600


@pytest.fixture
def world() -> Iterator[KeeperScenario]:
    made = KeeperScenario()
    made.set_feed_and_market_price(200)
    made.run.advance_clock(made.run.system.timestamp + STEP)
    yield made
    made.close()


class Source:
    """A source of report lines, as any party may offer one."""

    def __init__(self, world: KeeperScenario) -> None:
        self.world = world
        self.text = b""
        self.said: list[str] = []
        model = world.run.session.model.world
        self.place = model.chain_id, model.contracts["PriceFeed"].address
        self.reports = ReportSources({"source": lambda: self.text}, *self.place, self.said.append)

    def sign(self, index: int, dollars: int, market: int = 0, age: int = 0) -> SignedReport:
        """Sign as a reporter, counted from 1, and offer it."""
        who = self.world.run.register_account(f"reporter_{index}")
        at = self.world.run.system.timestamp - age
        report = sign_report(who, market, dollars * RAY, at, *self.place)
        self.offer(AttributedReport(who, report))
        return report

    def offer(self, said: AttributedReport) -> None:
        self.text += format_report(said).encode() + b"\n"

    def poker(self, **options) -> Keeper:
        return dataclasses.replace(self.world.build_keeper("poker", **options), reports=self.reports)

    def brought(self, memory: KeeperMemory | None = None, **options) -> list[tuple]:
        """Return the calls that a poker wants for the first market."""
        wanted = self.world.wants(self.poker(**options), memory)
        return [
            (call[0], set(call[1])) if call[0] == "submit_signed_reports" else call
            for call in wanted
            if call[0] == "submit_signed_reports" or call[1] == 0
        ]


@pytest.fixture
def source(world: KeeperScenario) -> Source:
    return Source(world)


def test_reports_that_move_the_median_are_brought_first_then_the_feed_is_stepped(world, source) -> None:
    reports = {source.sign(i, 180) for i in (1, 2, 3)}
    poker = source.poker()
    (bring, *_) = poker.decide_calls(world.view, KeeperMemory(), 0)
    assert source.brought() == [("submit_signed_reports", reports)]
    assert world.run.apply(bring.action).value == 3
    assert source.brought() == [("poke", 0)]
    # Another poker has brought them.
    assert source.said == []


def test_a_minority_has_nothing_brought_by_moving_its_own_reports(world, source) -> None:
    source.sign(1, 20_000)
    assert source.brought() == [("poke", 0)]


def test_a_step_that_somebody_else_made_is_renewed(world, source) -> None:
    """A stranger's step is renewed early, where signed reports move the next price by the deviation."""
    world.run.apply_or_raise("PriceFeed", "poke", 0, sender=world.run.register_account("stranger"))
    for i in (1, 2, 3):
        source.sign(i, 199)
    assert source.brought() == []
    world.run.advance_clock(world.run.system.timestamp + 12)
    reports = {source.sign(i, 180) for i in (1, 2, 3)}
    (bring, *_) = source.poker().decide_calls(world.view, KeeperMemory(), 0)
    assert source.brought() == [("submit_signed_reports", reports)]
    world.run.apply(bring.action)
    assert source.brought() == [("poke", 0)]
    world.run.apply_or_raise("PriceFeed", "poke", 0, sender=world.run.register_account("stranger"))
    assert source.brought() == []


def test_later_only_a_market_whose_step_is_due_is_brought_anything(world, source) -> None:
    world.run.apply_or_raise("PriceFeed", "poke", 0, sender=world.run.register_account("stranger"))
    world.run.advance_clock(world.run.system.timestamp + compute_renewal_window_seconds(STEP) + 1)
    for i in (1, 2, 3):
        source.sign(i, 180)
    assert source.brought() == []


def test_a_quorum_and_a_heartbeat_are_reasons_too(world, source) -> None:
    for i in (1, 2, 3):
        source.sign(i, 200)
    assert source.brought() == [("poke", 0)]
    assert source.brought(heartbeat=STEP)[0][0] == "submit_signed_reports"
    world.run.advance_clock(world.run.system.timestamp + 7 * 3_600)
    for i in (1, 2):
        source.sign(i, 200)
    assert source.brought() == []
    source.sign(3, 200)
    assert [call[0] for call in source.brought()] == ["submit_signed_reports"]


def test_what_was_refused_does_not_keep_the_feed_from_its_step(world, source) -> None:
    for i in (1, 2, 3):
        source.sign(i, 180)
    memory = KeeperMemory()
    memory.record_outcome(("submit_signed_reports", "reports"), False, world.run.system.timestamp)
    assert source.brought(memory) == [("poke", 0)]


def test_the_newest_that_is_not_late_nor_known_counts(world, source) -> None:
    late = [source.sign(i, 170, age=61) for i in (1, 2, 3)]
    assert source.brought() == [("poke", 0)] and late
    for i in (1, 2, 3):
        source.sign(i, 180, age=60)
    newest = {source.sign(i, 185, age=5) for i in (1, 2, 3)}
    for i in (1, 2, 3):
        source.sign(i, 190, age=50)
    assert source.brought() == [("submit_signed_reports", newest)]
    assert source.reports.get_newest_reports(world.view).keys() == {
        (0, world.run.register_account(f"reporter_{i}")) for i in (1, 2, 3)
    }


def test_a_false_line_costs_one_look_a_minute(world, source) -> None:
    true = [source.sign(i, 180) for i in (1, 2, 3)]
    good = source.text
    source.offer(AttributedReport(world.run.register_account("reporter_1"), true[1]))
    assert source.brought() == [("poke", 0)]
    (line,) = source.said
    assert line.startswith("source: line 4: 0x") and "has not signed it for" in line
    source.text = good
    assert source.brought() == [("poke", 0)]  # it rests
    world.run.advance_clock(world.run.system.timestamp + 60)
    assert source.brought() == [("submit_signed_reports", set(true))]


def said_by(who: str, market: int, price: int, at: int) -> AttributedReport:
    """Return a report of a constant price, without a valid signature."""
    return AttributedReport(who, SignedReport(market, price, price, price, 0, at, bytes(65)))


def test_lines_of_strangers_are_passed_over_unchecked(world, source) -> None:
    source.offer(said_by(world.run.register_account("stranger"), 0, RAY, 1))
    source.offer(said_by(world.run.register_account("reporter_1"), 31, RAY, 1))
    assert source.brought() == [("poke", 0)] and source.said == []


def test_what_is_too_large_is_not_read(world, source) -> None:
    source.text = b"\n" * (MOST_BYTES + 1)
    assert source.brought() == [("poke", 0)]
    assert source.said == ["source: it has more than 64000 bytes; it is left alone for 60 s, again and again"]


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("{", "[", "it is not a JSON object"),
        ('"schema_version": 2', '"schema_version": 1', "this program reads schema_version 2"),
        ('"market": 0', '"market": -1', "'market' is the number of a market"),
        ('"price": "', '"price": "-', "'price' is a whole number in quotes"),
        ('"price": "7', '"price": "0', "'price' is zero or beyond its bound"),
        ('"price": "7', f'"price": "{2**112}', "'price' is zero or beyond its bound"),
        ('"price": "7', '"price": "' + "9" * 40, "'price' is too large"),
        ('"low": "5', '"low": "8', "'price' is between 'low' and 'high'"),
        ('"high": "9', '"high": "6', "'price' is between 'low' and 'high'"),
        ('"high": "9', '"high": "113', "'price' is between 'low' and 'high', and that at most 16 times"),
        ('"low": "5', '"lowest": "5', "see 'low'"),
        ('"since": "90', '"since": "100', "'since' is not later than 'signed_at'"),
        ('"signature": "0x00', '"signature": "0x', "'signature' is 65 bytes in hex"),
        ('"signed_at"', '"when"', "see 'signed_at'"),
    ],
)
def test_what_is_no_report_is_told(was: str, becomes: str, problem: str) -> None:
    report = SignedReport(0, 7, 5, 9, 90, 99, bytes(65))
    line = format_report(AttributedReport("0x" + "11" * 20, report))
    assert parse_report(line.encode()).report == report
    with pytest.raises(BackstopError, match=problem):
        parse_report(line.replace(was, becomes, 1).encode())


def test_a_file_keeps_the_newest_of_each_reporter_and_market(tmp_path: Path) -> None:
    path, one, two = tmp_path / "reports.jsonl", "0x" + "11" * 20, "0x" + "22" * 20
    file = SignedReportFile(path)
    for who, market, price, at in ((one, 0, 5, 1), (one, 1, 6, 1), (two, 0, 7, 2), (one, 0, 8, 3)):
        file.write_report(said_by(who, market, price, at))
    kept = [*map(parse_report, path.read_bytes().splitlines())]
    assert kept == [said_by(one, 0, 8, 3), said_by(one, 1, 6, 1), said_by(two, 0, 7, 2)]
    # The next process goes on from it.
    assert SignedReportFile(path).get_last_report(one, 0) == (8, 10**6, 10**6, 0, 3)
    path.write_text("rubbish\n")
    with pytest.raises(BackstopError, match=r"reports\.jsonl:1: it is not a JSON object: name another file"):
        SignedReportFile(path)
