"""Gas of sales at a fixed discount: a part, up to the target, without capital, with bad debt."""

from __future__ import annotations

from dataclasses import replace

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import DiscountParameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.anvil import AnvilHost
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from benchmarks.gas.gas_jobs_base import WETH
from benchmarks.gas.vault_gas import VaultJobs


class DiscountJobs(VaultJobs):
    """Measured jobs of liquidations that sell ether at a fixed discount, with the terms of Aave v4.

    Stability fees accrue, and each buyer already holds ether and stablecoins.
    """

    def __init__(self, host: AnvilHost) -> None:
        parameters = build_standard_parameters()
        ether, *others = parameters.collateral_types
        terms = DiscountParameters(
            base_bonus=499, max_bonus=555, full_bonus_health=9_000, target_health=12_400
        )
        super().__init__(
            host, replace(parameters, collateral_types=(replace(ether, discount=terms), *others))
        )

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of each job, for example "discount: to the target", by job name."""
        used: dict[str, int] = {}
        for who in ("saver", "stranger", "taker"):
            self.send_call_and_return_gas(self.symbol, "mint", get_account(who), 10_000 * WAD, sender=who)
            engine = self.get_address("VaultEngine")
            self.send_call_and_return_gas(self.symbol, "approve", engine, MAX_UINT256, sender=who)
        for _ in range(3):
            self.report_price(2_000)
        self.deposit_and_draw("saver", 1_000, 500_000)
        for i in range(8):
            owner = f"owner_{i}"
            self.send_call_and_return_gas(
                self.symbol, "mint", get_account(owner), 10 * WAD, sender="stranger"
            )
            self.send_call_and_return_gas(self.symbol, "approve", engine, MAX_UINT256, sender=owner)
            self.report_price(2_000)
            self.deposit_and_draw(owner, 10, 12_000)
        self.send_call_and_return_gas(
            "Stablecoin", "transfer", get_account("taker"), 200_000 * WAD, sender="saver"
        )
        self.report_price(1_700)
        self.report_price(1_700)
        self.buy_collateral(0, 1_000 * WAD)
        self.chain.advance(12)
        used["discount: part"] = self.buy_collateral(1, 3_000 * WAD)
        self.chain.advance(12)
        used["discount: to the target"] = self.buy_collateral(2, MAX_UINT256)
        market = self.fund_constant_product_market(1_700)
        for i in (3, 4):
            args = (WETH, get_account(f"owner_{i}"), WAD, MAX_UINT256, MAX_UINT256, market, 0)
            self.chain.advance(12)
            used["discount: part, without capital"] = self.send_call_and_return_gas(
                "FlashTaker", "liquidate_and_sell", *args, sender="taker"
            )
        # Worth more than the debt and the bonus by little: all of the debt goes, and some collateral stays.
        self.report_price(1_280)
        self.report_price(1_280)
        self.buy_collateral(5, MAX_UINT256)
        self.report_price(1_100)
        self.report_price(1_100)
        self.buy_collateral(6, MAX_UINT256)
        self.chain.advance(12)
        used["discount: with bad debt"] = self.buy_collateral(7, MAX_UINT256)
        return used

    def buy_collateral(self, owner: int, max_repay: int) -> int:
        """Liquidate the vault of `owner_{owner}` by a purchase, and return the gas.

        `max_repay` is the most stablecoins that the buyer repays [wad].
        """
        amounts = MAX_UINT256, max_repay, 2_000 * RAY
        args = (WETH, get_account(f"owner_{owner}"), *amounts, get_account("taker"), b"")
        return self.send_call_and_return_gas("LiquidationEngine", "liquidate_and_buy", *args, sender="taker")
