"""The range of prices that a reporter saw in the last seconds, and the report that it makes of that range."""

from __future__ import annotations

from backstop.keepers.keeper_role_register import KeeperMemory
from backstop.keepers.recent_price_ranges import PriceRanges
from backstop.model.signed_reports import Span
from tests.support.margin_scenario import MARGIN, MarginScenario


def test_who_begins_to_watch_knows_one_second() -> None:
    assert PriceRanges().record_price_and_get_range(0, 7, 100, 12) == Span(7, 7, 100)


def test_a_price_holds_until_the_next_is_seen() -> None:
    """It was 20 when the twelve seconds began, though it was seen before them."""
    ranges = PriceRanges()
    for at, price in ((100, 20), (115, 25), (120, 22)):
        ranges.record_price_and_get_range(0, price, at, 12)
    assert ranges.record_price_and_get_range(0, 23, 126, 12) == Span(20, 25, 114)
    assert ranges.record_price_and_get_range(0, 23, 127, 12) == Span(22, 25, 115)
    assert ranges.record_price_and_get_range(0, 23, 132, 12) == Span(22, 23, 120)


def test_markets_are_apart() -> None:
    ranges = PriceRanges()
    ranges.record_price_and_get_range(0, 1, 100, 12)
    ranges.record_price_and_get_range(1, 9, 100, 12)
    assert ranges.record_price_and_get_range(0, 2, 112, 12) == Span(1, 2, 100)
    assert ranges.record_price_and_get_range(1, 8, 112, 12) == Span(8, 9, 100)


def test_a_second_look_at_one_block_replaces_the_first() -> None:
    ranges = PriceRanges()
    ranges.record_price_and_get_range(0, 1, 100, 12)
    assert ranges.record_price_and_get_range(0, 2, 100, 12) == Span(2, 2, 100)


def test_a_reporter_beside_a_margin_market_says_what_it_saw() -> None:
    """Of the first look there is no second before; a minute later its range reaches as far as a mark asks."""
    world, memory = MarginScenario(), KeeperMemory()
    reporter = world.build_keeper("reporter", "reporter_1", deviation=0, heartbeat=0)
    first = world.wants(reporter, memory)[0]
    assert first[0] == "report_range" and first[5] == world.run.system.timestamp
    world.set_reported_price(190)
    world.pass_time(60)
    _, _, price, low, high, since = world.wants(reporter, memory)[0]
    assert low == price < high and since == world.run.system.timestamp - MARGIN.mark_age
    world.close()
