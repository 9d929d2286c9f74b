"""A margin market by cycles on a chain that stays: orders and signed reports in files, a crash, keepers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from backstop.cli.order import cli
from backstop.deployment.accounts import account
from backstop.deployment.signing import sign_report, trader
from backstop.keepers.cycle_view import CycleView
from backstop.keepers.reports import Said, report_line
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

ETH = 0
PRICES = {0: 2_000, 1: 30_000}
LOTS = 1_000


class Street:
    """A devnet with such a market, the files that its keepers read, and the keepers."""

    def __init__(self, devnet: Devnet, folder: Path) -> None:
        self.node, self.said = devnet.node, list[str]()
        self.file, self.orders, self.reports = (folder / name for name in ("d.json", "orders", "reports"))
        signers = Signers(test_accounts=True)
        deployment = deploy_live(self.node, load_parameters("by-cycle"), self.file, signers)
        self.system = LiveSystem(self.node, deployment, signers, impersonate=True)
        self.endow()
        self.sign(PRICES[ETH])
        reports = (str(self.reports),)
        options: dict[str, dict[str, Any]] = {
            "margin_crank": {"reports": reports, "most": 40},
            "margin_liquidator": {"reports": reports},
            "matcher": {"reports": reports, "orders": str(self.orders)},
        }
        self.loop: KeeperLoop = start(
            Settings(
                networks=(devnet.url,),
                deployment=self.file,
                roles=tuple(options),
                options=options,
                journal=folder / "journal",
            ),
            self.said.append,
        )

    def endow(self) -> None:
        """Stablecoin for everybody, and margin for traders: a fifth of the long's, half of the short's."""
        maker, coins, at = account("market_maker"), 1_000_000 * WAD, self.system.addresses
        for _ in range(2):
            self.system.advance(3_600)
            for c, price in PRICES.items():
                for i in range(3):
                    do(self.system, "PriceFeed", "report", c, price * RAY, sender=f"reporter_{i + 1}")
                do(self.system, "PriceFeed", "poke", c, sender="borrower")
        by = {"sender": "market_maker"}
        do(self.system, "WETH", "mint", maker, 2_000 * WAD, **by)
        do(self.system, "WETH", "approve", at["VaultEngine"], MAX_UINT256, **by)
        args = 0, maker, 2_000 * WAD, coins, maker
        do(self.system, "VaultEngine", "deposit_and_draw", *args, **by)
        do(self.system, "Stablecoin", "approve", at["PerpetualMarket"], MAX_UINT256, **by)
        do(self.system, "Stablecoin", "transfer", account("margin_liquidator"), 1_000 * WAD, **by)
        for name, amount in (("long", 4_300), ("short", 10_000)):
            do(self.system, "PerpetualMarket", "deposit", trader(name), amount * WAD, **by)

    def sign(self, dollars: int) -> None:
        """All reporters sign the price of ether, and the other, a second later; nobody sends anything."""
        self.system.advance(1)
        now, chain = self.system.timestamp, self.system.deployment.chain_id
        feed, lines = self.system.addresses["PriceFeed"], []
        for c, price in {**PRICES, ETH: dollars}.items():
            for i in range(4):
                who = account(f"reporter_{i + 1}")
                lines.append(report_line(Said(who, sign_report(who, c, price * RAY, now, chain, feed))))
        self.reports.write_text("".join(line + "\n" for line in lines))

    def order(self, name: str, doing: str) -> None:
        who = ("--deployment", self.file, "--trader", name, "--market", "WETH", "--price", PRICES[ETH])
        flags = [str(flag) for flag in (*who, doing, LOTS, "--out", self.orders)]
        assert CliRunner().invoke(cli, flags).exit_code == 0

    @property
    def seen(self) -> CycleView:
        """The market as its keepers see it."""
        found = market_view(self.loop.system.mirror, self.loop.system.timestamp).cycles
        assert found is not None
        return found

    def work(self, done: Callable[[CycleView], bool], dollars: int) -> None:
        """Look, with reports of now, until that is so and nothing waits."""

        def reached() -> bool:
            self.sign(dollars)
            self.loop.round()
            return self.loop.waiting == 0 and done(self.seen)

        wait_for(reached)
        assert self.loop.tally.failed == 0 and self.loop.system.mirror.differences == []


def test_keepers_bring_marks_match_liquidate_meet_and_roll(fresh: Devnet, tmp_path: Path) -> None:
    street = Street(fresh, tmp_path)
    long, liquidator = trader("long"), account("margin_liquidator")
    try:
        street.order("long", "--buy")
        street.order("short", "--sell")
        street.work(lambda market: market.position(long, ETH).size == LOTS, 2_000)
        # Under its maintenance margin; the liquidator bears a part of it.
        street.work(lambda market: market.position(liquidator, ETH).size > 0, 1_740)
        # What is left of it owes now.
        street.work(lambda market: market.position(long, ETH).size == 0, 1_400)
        opened = street.seen.clock.cycle
        street.system.advance(1_801)
        street.work(lambda market: market.clock.cycle > opened, 1_400)
        # What it lacked is booked in the pending cycle.
        street.work(lambda market: market.clock.booked_at > 0, 1_400)
        called = {line.split("(")[0].split(".")[1] for line in street.said if " done in block" in line}
        assert {"approve", "deposit", "bring", "accrue", "fill", "liquidate", "meet", "roll"} <= called
    finally:
        street.loop.close()
    street.system.check()


def test_what_needs_a_mark_goes_with_the_reports_that_make_it(fresh: Devnet, tmp_path: Path) -> None:
    """Where blocks take their time both are sent at one look, and are mined in their order."""
    street = Street(fresh, tmp_path)
    try:
        street.work(lambda market: market.mark(ETH) == 20 * WAD, 2_000)
        street.order("long", "--buy")
        street.order("short", "--sell")
        street.system.advance(61)
        street.sign(2_000)
        street.node.request("evm_setAutomine", False)
        before = len(street.said)
        street.loop.round()
        sent = [
            line.split(" sent")[0]
            for line in street.said[before:]
            if line.startswith("matcher:") and " sent" in line
        ]
        assert [line.split("(")[0] for line in sent] == [
            "matcher: PriceFeed.bring",
            "matcher: MarginOrders.fill",
        ]
        street.node.request("evm_mine")
        street.node.request("evm_setAutomine", True)
        street.work(lambda market: market.position(trader("long"), ETH).size == LOTS, 2_000)
    finally:
        street.loop.close()


def test_settings_of_the_roles(tmp_path: Path) -> None:
    file = tmp_path / "keeper.yaml"
    file.write_text(
        "schema_version: 1\n"
        "roles:\n"
        "  margin_crank: {reports: 'https://x.org/r', deviation: 0.5%, most: 40}\n"
        "  margin_liquidator: {reports: r.jsonl, relieves: 50%}\n"
    )
    assert read_settings(file)["options"] == {
        "margin_crank": {"reports": ("https://x.org/r",), "deviation": 50, "most": 40},
        "margin_liquidator": {"reports": (str(tmp_path / "r.jsonl"),), "relieves": 5_000},
    }
