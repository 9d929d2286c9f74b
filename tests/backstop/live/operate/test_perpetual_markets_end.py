"""A perpetual market is delisted, and all are settled, by keepers on a node: equal payouts, to the wei."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.deployment.role_accounts import get_account
from backstop.keepers.cycle_view import CycleView
from backstop.model.arithmetic import WAD
from backstop.model.bounds import MIN_NOTICE
from backstop.model.margin_fund import MarginFund
from backstop.system import Action
from tests.support.devnet_process import Devnet
from tests.support.live_margin_market import ETH, LOTS, LiveMarginMarket
from tests.support.vault_auctions_after_price_drop import apply_successful_call

BTC = 1
HOUR = 3_600
ROLES = ("margin_crank", "matcher", "poker", "settler")
DEPOSITS = {"long": 4_300, "first": 10_000, "other": 5_000, "left": 9_000, "right": 9_000, "second": 10_000}
CLAIMS = 10
"""Days until profits have vested, and more."""


@pytest.fixture
def street(fresh: Devnet, tmp_path: Path):
    """A long of 1,000 lots against two shorts of 500; one account with cash alone, two with bitcoin lots."""
    made = LiveMarginMarket(fresh, tmp_path, ROLES, DEPOSITS)
    made.write_signed_order_to_file("long", "--buy")
    for name in ("first", "second"):
        made.write_signed_order_to_file(name, "--sell", LOTS // 2)
    made.write_signed_order_to_file("left", "--buy", 100, "WBTC")
    made.write_signed_order_to_file("right", "--sell", 100, "WBTC")

    def opened(market: CycleView) -> bool:
        return all(
            market.get_position(get_trader_account(name), m).size
            for name, m in (("second", ETH), ("right", BTC))
        )

    made.run_until_done(opened, 2_000)
    yield made
    made.loop.close()
    made.system.compare_state()


def go_on(street: LiveMarginMarket, dollars: list[int]) -> None:
    """Run keepers through hours at these prices of ether."""
    for price in dollars:
        street.system.advance(HOUR)
        street.run_until_done(lambda _: True, price)


def roll(street: LiveMarginMarket, price: int, times: int = 3) -> None:
    """Run keepers until past losses are final."""
    for _ in range(times):
        cycle = street.cycle_view.clock.cycle
        street.system.advance(7_201)

        def is_over(market: CycleView, last: int = cycle) -> bool:
            return market.clock.cycle > last

        street.run_until_done(is_over, price)


def apply(street: LiveMarginMarket, contract: str, method: str, *args: object, by: str) -> int:
    outcome = street.system.apply(Action(contract, method, args, by))
    assert outcome.ok, outcome.reason
    return int(outcome.value or 0)


def leave(street: LiveMarginMarket, name: str) -> int:
    """Withdraw all funds of an account, including its bond [wad]."""
    who = get_trader_account(name)
    apply(street, "PerpetualMarket", "update_account", who, by=get_account("market_maker"))
    street.node.request("anvil_impersonateAccount", who)
    street.node.request("anvil_setBalance", who, hex(10 * WAD))
    own, haircut, _ = street.system.view("PerpetualMarket", "standing_of", who)
    return apply(street, "PerpetualMarket", "withdraw", own - haircut, who, by=who)


def coins(street: LiveMarginMarket, *names: str) -> list[int]:
    """Return the balances of accounts once their profits have vested [wad]."""
    fund = street.system.mirror.model.world.contracts["MarginFund"]
    assert isinstance(fund, MarginFund)
    for owner, bucket in list(fund.holdings):
        apply(street, "MarginFund", "claim", owner, bucket, by=get_account("market_maker"))
    return [street.system.view("Stablecoin", "balanceOf", get_trader_account(name)) for name in names]


def check_alike(street: LiveMarginMarket, order: tuple[str, ...]) -> dict[str, int]:
    """Check that all accounts withdraw, in an order; both shorts get equal amounts [wei], and only dust
    remains.
    """
    got = {name: leave(street, name) for name in order}
    assert got["first"] == got["second"]
    street.system.advance(CLAIMS * 86_400)
    first, second, other = coins(street, "first", "second", "other")
    assert (first, second, other) == (got["first"], got["second"], DEPOSITS["other"] * WAD)
    return got


def called(street: LiveMarginMarket) -> set[str]:
    """The methods that keepers have called."""
    return {line.split("(")[0].split(".")[1] for line in street.said if " done in block" in line}


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_margin.py::test_keepers_bring_marks_match_liquidate_meet_and_roll"
)
def test_a_market_is_delisted_by_keepers(street: LiveMarginMarket) -> None:
    """The long is insolvent by the end; both shorts absorb it equally, and bitcoin's market continues."""
    at = street.system.timestamp + MIN_NOTICE
    apply_successful_call(street.system, "MarginPolicy", "delist", ETH, at, sender="admin")
    street.system.advance(at - street.system.timestamp - HOUR)
    go_on(street, [1_700] + [1_500] * 7)
    street.run_until_done(
        lambda market: market.has_market_ended(ETH) and not market.list_accounts_in_ended_markets(), 1_500
    )
    assert (
        street.cycle_view.running_market_ids == [BTC]
        and street.cycle_view.get_position(get_trader_account("left"), BTC).size == 100
    )
    roll(street, 1_500)
    assert {"accrue", "poke", "end_market", "update_account", "advance_cycle"} <= called(street)
    got = check_alike(street, ("second", "other", "first"))
    assert got["first"] > DEPOSITS["first"] * WAD and street.cycle_view.running_market_ids == [BTC]
    # Bitcoin is traded as ever, also by who was in the other market.
    street.write_signed_order_to_file("right", "--buy", 100, "WBTC")
    street.write_signed_order_to_file("left", "--sell", 100, "WBTC")
    street.run_until_done(
        lambda market: market.get_position(get_trader_account("left"), BTC).size == 0, 1_500
    )


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_margin.py::test_keepers_bring_marks_match_liquidate_meet_and_roll"
)
def test_all_are_settled_by_keepers(street: LiveMarginMarket) -> None:
    """Keepers begin settlement, end both markets, and see all losses final; then all accounts withdraw."""
    apply_successful_call(street.system, "Settlement", "announce", sender="admin")
    street.system.advance(street.system.deployment.parameters.settlement.delay)
    go_on(street, [1_700] + [1_500] * 8)
    street.run_until_done(lambda market: market.has_every_market_ended and not market.has_positions, 1_500)
    roll(street, 1_500)
    assert {"begin", "end_market", "update_account", "advance_cycle"} <= called(street)
    got = check_alike(street, ("first", "left", "other", "right", "second"))
    assert got["left"] == got["right"] > 0
    # What is left are the bonds that the keeper has got, and dust.
    bonds, _, _ = street.system.view("PerpetualMarket", "standing_of", get_account("margin_crank"))
    left = street.system.view("PerpetualMarket", "held") - street.system.view("PerpetualMarket", "fees")
    assert bonds > 0 and 0 <= left - bonds < 1_000
