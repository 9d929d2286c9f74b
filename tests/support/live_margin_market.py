"""A margin market on a chain that stays: its traders, files of orders and reports, its keepers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from backstop.cli.order import cli
from backstop.deployment.contracts_by_parameter_name import BY_CYCLE
from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_report
from backstop.deployment.role_accounts import get_account
from backstop.keepers.cycle_view import CycleView
from backstop.keepers.report_files import AttributedReport, format_report
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.keeper_settings import KeeperSettings
from backstop.live.operate.keeper_setup import build_caught_up_keeper_loop
from backstop.live.operate.live_system import LiveSystem, market_view
from backstop.live.operate.resumable_deployment import deploy_live, load_parameters
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import Devnet
from tests.support.vault_auctions_after_price_drop import apply_successful_call

ETH = 0
PRICES = {0: 2_000, 1: 30_000}
LOTS = 1_000


class LiveMarginMarket:
    """A devnet with such a market, the files that its keepers read, and the keepers."""

    def __init__(
        self,
        devnet: Devnet,
        folder: Path,
        roles: Sequence[str] = ("margin_crank", "margin_liquidator", "matcher"),
        deposits: Mapping[str, int] | None = None,
        policy: str = BY_CYCLE,
        example: str = "margin",
    ) -> None:
        self.node, self.said = devnet.node, list[str]()
        self.file, self.orders, self.reports = (folder / name for name in ("d.json", "orders", "reports"))
        signers = Signers(test_accounts=True)
        parameters = load_parameters(example)
        assert parameters.margin is not None
        chosen = replace(parameters, margin=replace(parameters.margin, policy=policy))
        deployment = deploy_live(self.node, chosen, self.file, signers)
        self.system = LiveSystem(self.node, deployment, signers, impersonate=True)
        self.fund_traders(deposits or {"long": 4_300, "short": 10_000})
        self.sign_reports_to_file(PRICES[ETH])
        reports = (str(self.reports),)
        options: dict[str, dict[str, Any]] = {
            "margin_crank": {"reports": reports, "most": 40},
            "margin_liquidator": {"reports": reports},
            "matcher": {"reports": reports, "orders": str(self.orders)},
            "poker": {"reports": reports},
            "settler": {"most": 40},
            "deleverager": {"reports": reports, "call_gas": 150_000},
            "backstop_keeper": {"reports": reports, "most": 20},
            "pool_buyer": {"reports": reports, "premium": 100, "capital": 2_000 * WAD},
        }
        options = {role: options[role] for role in roles}
        self.loop: KeeperLoop = build_caught_up_keeper_loop(
            KeeperSettings(
                networks=(devnet.url,),
                deployment=self.file,
                roles=tuple(options),
                options=options,
                journal=folder / "journal",
            ),
            self.said.append,
        )

    def fund_traders(self, deposits: Mapping[str, int]) -> None:
        """Give all accounts stablecoin, and traders margin: a fifth of the long's, half of the short's."""
        maker, coins, at = get_account("market_maker"), 1_000_000 * WAD, self.system.addresses
        for _ in range(2):
            self.system.advance(3_600)
            for c, price in PRICES.items():
                for i in range(3):
                    apply_successful_call(
                        self.system, "PriceFeed", "report", c, price * RAY, sender=f"reporter_{i + 1}"
                    )
                apply_successful_call(self.system, "PriceFeed", "poke", c, sender="borrower")
        by = {"sender": "market_maker"}
        apply_successful_call(self.system, "WETH", "mint", maker, 2_000 * WAD, **by)
        apply_successful_call(self.system, "WETH", "approve", at["VaultEngine"], MAX_UINT256, **by)
        args = 0, maker, 2_000 * WAD, coins, maker
        apply_successful_call(self.system, "VaultEngine", "deposit_and_draw", *args, **by)
        apply_successful_call(self.system, "Stablecoin", "approve", at["PerpetualMarket"], MAX_UINT256, **by)
        apply_successful_call(
            self.system, "Stablecoin", "transfer", get_account("margin_liquidator"), 1_000 * WAD, **by
        )
        for name, amount in deposits.items():
            apply_successful_call(
                self.system, "PerpetualMarket", "deposit", get_trader_account(name), amount * WAD, **by
            )

    def sign_reports_to_file(self, ether_dollars: int) -> None:
        """Write the reporters' signed prices of ether, and of the other a second later; none is submitted."""
        self.system.advance(1)
        now, chain = self.system.timestamp, self.system.deployment.chain_id
        feed, lines = self.system.addresses["PriceFeed"], []
        for c, price in {**PRICES, ETH: ether_dollars}.items():
            for i in range(4):
                who = get_account(f"reporter_{i + 1}")
                lines.append(
                    format_report(AttributedReport(who, sign_report(who, c, price * RAY, now, chain, feed)))
                )
        self.reports.write_text("".join(line + "\n" for line in lines))

    def write_signed_order_to_file(
        self, trader_name: str, order_side: str, lots: int = LOTS, symbol: str = "WETH"
    ) -> None:
        price = dict(zip(("WETH", "WBTC"), PRICES.values(), strict=True))[symbol]
        who = ("--deployment", self.file, "--trader", trader_name, "--market", symbol, "--price", price)
        flags = [str(flag) for flag in (*who, order_side, lots, "--out", self.orders)]
        assert CliRunner().invoke(cli, flags).exit_code == 0

    @property
    def cycle_view(self) -> CycleView:
        """The market as its keepers see it."""
        found = market_view(self.loop.system.mirror, self.loop.system.timestamp).cycles
        assert found is not None
        return found

    def run_until_done(self, done: Callable[[CycleView], bool], dollars: int) -> None:
        """Look, with reports of now, until that is so and nothing waits."""

        def reached() -> bool:
            self.sign_reports_to_file(dollars)
            self.loop.run_round()
            return self.loop.pending_transaction_count == 0 and done(self.cycle_view)

        wait_until_true(reached)
        assert self.loop.tally.failed_transaction_count == 0 and self.loop.system.mirror.differences == []
