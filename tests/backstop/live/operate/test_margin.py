"""A margin market on a chain that stays: orders from a file, a crash, and the keepers that work it off."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.order import cli
from backstop.deployment.accounts import account
from backstop.deployment.file import parameters_from_json, parameters_to_json
from backstop.deployment.signing import trader
from backstop.errors import BackstopError
from backstop.keepers.margin_view import MarginView
from backstop.live.node.signers import Signers
from backstop.live.operate.config import Settings, read_settings
from backstop.live.operate.deploying import deploy_live, load_parameters
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.keeper_setup import start
from backstop.live.operate.system import LiveSystem, market_view
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.devnet import Devnet
from tests.support.fallen import do
from tests.support.waiting import wait_for

WETH, ETH = 0, 0
"""A collateral type, and the market on its price: a lot is a hundredth of an ether."""
PAIRS = 4
LOTS = 1_000


def order(*flags: object):
    return CliRunner(mix_stderr=False).invoke(cli, [str(flag) for flag in flags])


def post(system: LiveSystem, dollars: int) -> None:
    """A price that counts at once."""
    for _ in range(2):
        system.advance(3_600)
        for i in range(3):
            do(system, "PriceFeed", "report", WETH, dollars * RAY, sender=f"reporter_{i + 1}")
        do(system, "PriceFeed", "poke", WETH, sender="borrower")


def endow(system: LiveSystem) -> None:
    """Stablecoin for everybody, and margin for traders: an eighth or a quarter of longs, half of shorts."""
    maker, coins = account("market_maker"), 10_000_000 * WAD
    do(system, "WETH", "mint", maker, 20_000 * WAD, sender="market_maker")
    do(system, "WETH", "approve", system.addresses["VaultEngine"], MAX_UINT256, sender="market_maker")
    do(
        system,
        "VaultEngine",
        "deposit_and_draw",
        WETH,
        maker,
        20_000 * WAD,
        coins,
        maker,
        sender="market_maker",
    )
    do(system, "Stablecoin", "approve", system.addresses["MarginMarket"], MAX_UINT256, sender="market_maker")
    do(system, "Stablecoin", "transfer", account("margin_liquidator"), 40_000 * WAD, sender="market_maker")
    for i in range(PAIRS):
        for side, leverage in (("long", 8 if i % 2 else 4), ("short", 2)):
            amount = LOTS * 20 * WAD // leverage
            do(system, "MarginMarket", "deposit", trader(f"{side}_{i}"), amount, sender="market_maker")


def seen(loop: KeeperLoop) -> MarginView:
    """The market as its keepers see it."""
    mirror = loop.system.mirror
    found = market_view(mirror, loop.system.timestamp).margin
    assert found is not None
    return found


def work(loop: KeeperLoop, done: Callable[[MarginView], bool]) -> None:
    """Look until that is so and nothing waits."""

    def reached() -> bool:
        loop.round()
        return loop.waiting == 0 and done(seen(loop))

    wait_for(reached)
    assert loop.tally.failed == 0 and loop.system.mirror.differences == []


def test_keepers_match_liquidate_and_deleverage(fresh: Devnet, tmp_path: Path) -> None:
    file, orders = tmp_path / "deployment.json", tmp_path / "orders.jsonl"
    signers = Signers(test_accounts=True)
    deployment = deploy_live(fresh.node, load_parameters("margin"), file, signers)
    system = LiveSystem(fresh.node, deployment, signers, impersonate=True)
    post(system, 2_000)
    endow(system)
    for i in range(PAIRS):
        for side, doing in (("long", "--buy"), ("short", "--sell")):
            who = ("--deployment", file, "--trader", f"{side}_{i}", "--market", "WETH", "--price", 2_000)
            assert order(*who, doing, LOTS, "--out", orders).exit_code == 0
    with orders.open("a") as lines:
        lines.write("an order of sorts\n")

    said: list[str] = []
    settings = Settings(
        networks=(fresh.url,),
        deployment=file,
        roles=("matcher", "margin_liquidator", "deleverager"),
        options={"matcher": {"orders": str(orders)}, "deleverager": {"call_gas": 150_000}},
        journal=tmp_path / "journal",
    )
    loop = start(settings, said.append)
    try:
        work(loop, lambda market: market.interest(ETH).open == PAIRS * LOTS)
        assert sum("the line is skipped" in line for line in said) == 1

        # Longs with 8 times their margin are weak; the liquidator takes over what it can bear.
        post(system, 1_830)
        work(loop, lambda market: any(market.holding(account("margin_liquidator")).sizes.values()))
        work(loop, lambda market: not market.weak)

        # Those with 4 times have lost more than all of it.
        post(system, 1_400)
        work(loop, lambda market: not market.insolvent and market.frozen is None)
        called = {line.split("(")[0].split(".")[1] for line in said if " done in block" in line}
        assert {"approve", "deposit", "fill", "liquidate", "begin", "submit", "execute"} <= called
        assert loop.tally.counts["deleverager", "done"] > 6  # in calls that fit
    finally:
        loop.close()
    system.check()
    market = system.mirror.model.world.contracts["MarginMarket"].tables
    cash = sum(each.cash for each in market["margin_book.accounts"].values())
    unpaid = sum(each.unpaid for each in market["margin_book.interests"].values())
    assert cash + market["fees"][()] == market["held"][()] + unpaid


def test_a_margin_market_can_be_asked_for(tmp_path: Path) -> None:
    parameters = load_parameters("margin")
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(parameters_to_json(parameters)))
    assert load_parameters(str(file)) == parameters == parameters_from_json(json.loads(file.read_text()))
    assert parameters.margin is not None and [each.symbol for each in parameters.margin.markets] == [
        "WETH",
        "WBTC",
    ]


def test_settings_of_the_roles(tmp_path: Path) -> None:
    file = tmp_path / "keeper.yaml"
    file.write_text(
        "schema_version: 1\n"
        "roles:\n"
        "  margin_liquidator: {capital: 500 stablecoin, minimum_profit: 2 stablecoin}\n"
        "  deleverager: {call_gas: 20_000_000 gas}\n"
        "  matcher: {orders: book/orders.jsonl}\n"
    )
    assert read_settings(file)["options"] == {
        "margin_liquidator": {"capital": 500 * WAD, "minimum_profit": 2 * WAD},
        "deleverager": {"call_gas": 20_000_000},
        "matcher": {"orders": str(tmp_path / "book" / "orders.jsonl")},
    }
    file.write_text("schema_version: 1\nroles:\n  deleverager: {call_gas: 31_000_000 gas}\n")
    with pytest.raises(BackstopError, match=r"keeper.yaml:3: roles.deleverager.call_gas"):
        read_settings(file)
