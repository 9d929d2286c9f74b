"""Gas of the pool that takes over positions in the margin market: its members, its keeper, its quotes."""

from __future__ import annotations

from dataclasses import replace

from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.example_parameters import build_margin_parameters
from backstop.deployment.parameter_dataclasses import BackstopParameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.anvil import AnvilHost
from backstop.hosts.host_interface import CHAIN_ID
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.margin_orders import Order
from backstop.model.perpetual_liquidity_vault import encode_offer
from benchmarks.gas.gas_jobs_base import WETH, GasJobs
from benchmarks.gas.margin_market_gas import MARKET, TRADING, WINDOW, MarginMarketJobs

POOL, KEEPER = "PerpetualLiquidityVault", "backstop_keeper"


class PerpetualVaultGasJobs(MarginMarketJobs):
    """Measured jobs of the liquidity vault, a pool that takes over positions and sells them.

    The pool has two members. It takes 200 of the 1,000 lots of a failed account.
    """

    def __init__(self, host: AnvilHost) -> None:
        parameters = build_margin_parameters(1_000, 500, 0)
        assert parameters.margin is not None
        margin = replace(parameters.margin, backstop=BackstopParameters(share=10_000), window=WINDOW)
        self.nonce = 0
        GasJobs.__init__(self, host, replace(parameters, margin=margin))
        self.report_price(2_000)
        self.report_price(2_000)
        self.send_call_and_return_gas(self.symbol, "mint", get_account("rich"), 10_000 * WAD, sender="rich")
        self.send_call_and_return_gas(
            self.symbol, "approve", self.get_address("VaultEngine"), MAX_UINT256, sender="rich"
        )
        self.deposit_and_draw("rich", 10_000, 5_000_000)
        for spender in (MARKET, POOL):
            self.send_call_and_return_gas(
                "Stablecoin", "approve", self.get_address(spender), MAX_UINT256, sender="rich"
            )

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of each job, for example "liquidity vault: take", by job name."""
        used: dict[str, int] = {}
        self._deposit_for_member("member", 20_000)
        self._deposit_for_member("other member", 20_000)
        used["liquidity vault: deposit"] = self._deposit_for_member("member", 1_000)
        self._request_redeem("member", 2)
        used["liquidity vault: request"] = self._request_redeem("other member", 2)
        batch = self.chain.timestamp // 86_400
        for name, coins in (("first", 100_000), ("long", 3_000), ("other", 100_000)):
            self.deposit_margin(name, coins)
        self.submit_signed_reports(2_000)
        self.fill_orders("long", "first", 1_000)
        self.submit_signed_reports(1_600)
        self.send_call_and_return_gas(
            MARKET, "seize_insolvent", get_trader_account("long"), sender="stranger"
        )
        self.send_call_and_return_gas(POOL, "take", WETH, 100, sender=KEEPER)
        used["liquidity vault: take"] = self.send_call_and_return_gas(POOL, "take", WETH, 100, sender=KEEPER)
        used["liquidity vault: liquidate"] = self._liquidate_long()
        used["liquidity vault: quote"] = self.send_call_and_return_gas(POOL, "quote", WETH, sender="stranger")
        self._fill_pool_quote_and_measure_gas(100)
        used["liquidity vault: fill a quote"] = self._fill_pool_quote_and_measure_gas(100)
        self._fill_pool_quote_and_measure_gas(100)
        self.chain.advance(4 * 86_400)
        for _ in range(3):
            self._roll_market()
        self.send_call_and_return_gas(MARKET, "update_account", self.get_address(POOL), sender="stranger")
        self.send_call_and_return_gas(POOL, "leave", batch, get_account("member"), sender="stranger")
        leaves = self.send_call_and_return_gas(
            POOL, "leave", batch, get_account("other member"), sender="stranger"
        )
        used["liquidity vault: leave with profit"] = leaves
        return used

    def _deposit_for_member(self, name: str, coins: int) -> int:
        """Deposit whole stablecoins into the pool for a member, and return the gas."""
        return self.send_call_and_return_gas(POOL, "deposit", coins * WAD, get_account(name), sender="rich")

    def _request_redeem(self, name: str, share_divisor: int) -> int:
        """Request to redeem the shares of 20,000 / `share_divisor` stablecoins; return the gas."""
        who = get_account(name)
        return self.send_call_and_return_gas(
            POOL, "requestRedeem", 20_000 * WAD * 10**6 // share_divisor, who, who, sender=name
        )

    def _liquidate_long(self) -> int:
        """Liquidate 100 lots of a long account by the pool, and return the gas."""
        self.deposit_margin("weak", 1_000)
        self.submit_signed_reports(1_600)
        self.fill_orders("weak", "first", 400, 16 * WAD)
        self.submit_signed_reports(1_400)
        return self.send_call_and_return_gas(
            POOL, "liquidate", get_trader_account("weak"), WETH, 100, sender=KEEPER
        )

    def _fill_pool_quote_and_measure_gas(self, lots: int) -> int:
        """Buy `lots` from the pool at the price of its quote, and return the gas of the fill."""
        self.nonce += 1
        self.submit_signed_reports(1_700)
        price = 17 * WAD * 1_002 // 1_000
        mine = Order(self.get_address(POOL), WETH, -lots, price, MAX_UINT256, self.nonce, True)
        theirs = Order(get_trader_account("other"), WETH, lots, price, MAX_UINT256, self.nonce + 1)
        signed = sign_order("other", theirs, CHAIN_ID, self.get_address("MarginOrders"))
        self.send_call_and_return_gas(TRADING, "check_risk", get_trader_account("other"), sender="stranger")
        return self.send_call_and_return_gas(
            "MarginOrders", "fill", mine, encode_offer(*mine[1:6]), theirs, signed, lots, sender="stranger"
        )
