"""Gas of the margin market: costs of traders, liquidators, and callers that seize accounts or roll."""

from __future__ import annotations

from dataclasses import astuple, replace

from backstop.deployment.contracts_by_parameter_name import BY_CYCLE
from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.example_parameters import build_margin_parameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.anvil import AnvilHost
from backstop.hosts.host_interface import CHAIN_ID
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.bounds import MAX_DIVERGENCE, MAX_MARGIN_MARKETS, MIN_RANKED
from backstop.model.margin_orders import Order
from backstop.model.price_path import SHORT
from benchmarks.gas.gas_jobs_base import WETH, GasJobs

WBTC = 1
WINNERS = 20
RANKED = 3 * MIN_RANKED
LOT_PRICE = 20 * WAD
WINDOW = 1_800
MARKET, TRADING, CLOSER = "PerpetualMarket", "PerpetualTrading", "PerpetualCloser"


class MarginMarketJobs(GasJobs):
    """Measured jobs of a margin market in which one long fails against 20 shorts of 100 lots each.

    A second market is not traded. A call that needs the mark reads the price feed itself; the price was
    submitted in an earlier call.
    """

    POLICY = BY_CYCLE
    # The guard is asked, and lets all of it pass.
    DIVERGENCE = MAX_DIVERGENCE

    def __init__(self, host: AnvilHost) -> None:
        self.nonce = 0
        # Little margin, so that a small fall is enough, and a short window, so that the feed's current price
        # stays fresh; what is asked for makes no difference in gas.
        terms = build_margin_parameters(1_000, 500, 0)
        assert terms.margin is not None
        super().__init__(
            host,
            replace(
                terms,
                margin=replace(terms.margin, policy=self.POLICY, window=WINDOW, divergence=self.DIVERGENCE),
            ),
        )
        self.report_price(2_000)
        self.report_price(2_000)
        self.send_call_and_return_gas(self.symbol, "mint", get_account("rich"), 10_000 * WAD, sender="rich")
        self.send_call_and_return_gas(
            self.symbol, "approve", self.get_address("VaultEngine"), MAX_UINT256, sender="rich"
        )
        self.deposit_and_draw("rich", 10_000, 5_000_000)
        self.send_call_and_return_gas(
            "Stablecoin", "approve", self.get_address(MARKET), MAX_UINT256, sender="rich"
        )

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of each job, for example "cycles: deposit", by job name."""
        used: dict[str, int] = {}
        self.deposit_margin("first", 100_000)
        self.deposit_margin("long", 3_000)
        self.deposit_margin("other", 100_000)
        used["cycles: deposit"] = self.deposit_margin("first", 1_000)
        self.submit_signed_reports(2_000)
        used["cycles: withdraw"] = self.send_call_and_return_gas(
            MARKET, "withdraw", WAD, get_trader_account("first"), sender=get_trader_account("first")
        )
        self.deposit_margin("first#1", 1_000)
        self.submit_signed_reports(2_000)
        args = WAD, get_trader_account("first"), get_trader_account("first#1")
        used["cycles: withdraw of a sub-account"] = self.send_call_and_return_gas(
            MARKET, "withdraw", *args, sender=get_trader_account("first")
        )
        for i in range(WINNERS):
            self.deposit_margin(f"short_{i}", 10_000)
            self.submit_signed_reports(2_000)
            used["cycles: fill, new position"] = self.fill_orders(
                "long" if i < 10 else "other", f"short_{i}", 100
            )
        self.submit_signed_reports(2_000)
        self.fill_orders("other", "first", 100)
        used["cycles: fill"] = self.fill_orders("other", "first", 100)
        self.submit_signed_reports(1_600)
        used["cycles: mark"] = self.send_call_and_return_gas(MARKET, "accrue", WETH, sender="stranger")
        used["cycles: advance"] = self._roll_market()
        used["cycles: update account"] = self.send_call_and_return_gas(
            MARKET, "update_account", get_trader_account("short_0"), sender="stranger"
        )
        self.submit_signed_reports(1_600)
        used["cycles: seize insolvent"] = self.send_call_and_return_gas(
            MARKET, "seize_insolvent", get_trader_account("long"), sender="stranger"
        )
        self.submit_signed_reports(1_600)
        used["cycles: take"] = self.send_call_and_return_gas(
            TRADING, "take", WETH, 100, sender=get_trader_account("short_1")
        )
        used["cycles: liquidate"] = self._liquidate_long()
        used["cycles: advance with losses"] = self._roll_market()
        used["cycles: collect fees"] = self._measure_fee_collection_gas()
        used["cycles: post shortfall"] = self._post_shortfall()
        return used

    def _roll_market(self) -> int:
        """Advance the market to its next cycle after a window has passed, and return the gas."""
        self.chain.advance(WINDOW)
        return self.send_call_and_return_gas(MARKET, "advance_cycle", sender="stranger")

    def _liquidate_long(self) -> int:
        """Liquidate 100 lots of a long account by an account with a position; return the gas."""
        self.deposit_margin("weak", 1_000)
        self.submit_signed_reports(1_600)
        self.fill_orders("weak", "first", 400, 16 * WAD)
        self.submit_signed_reports(1_400)
        return self.send_call_and_return_gas(
            TRADING, "liquidate", get_trader_account("weak"), WETH, 100, sender=get_trader_account("first")
        )

    def _measure_fee_collection_gas(self) -> int:
        """Make a trade, collect the market's fees for the protocol, and return the collection's gas."""
        self.submit_signed_reports(1_400)
        self.fill_orders("other", "first", 100, 14 * WAD)
        return self.send_call_and_return_gas(MARKET, "collect_fees", sender="stranger")

    def _post_shortfall(self) -> int:
        """Return the gas of paying a shortfall, a loss found after its cycle, from the protocol.

        The protocol's debt ceiling for the market is zero when the loss occurs, and raised before the
        payment.
        """
        self.deposit_margin("late", 400)
        self.submit_signed_reports(1_400)
        self.fill_orders("late", "first", 200, 14 * WAD)
        self.submit_signed_reports(1_000)
        self.send_call_and_return_gas(MARKET, "accrue", WETH, sender="stranger")
        for _ in range(2):
            self._roll_market()
        self.submit_signed_reports(1_000)
        self._set_debt_line(0)
        self.send_call_and_return_gas(
            MARKET, "seize_insolvent", get_trader_account("late"), sender="stranger"
        )
        self._set_debt_line(10_000_000)
        return self.send_call_and_return_gas(MARKET, "post_shortfall", sender="stranger")

    def _set_debt_line(self, amount: int) -> None:
        """Set the debt ceiling of the protocol for the market's losses [whole stablecoins]."""
        collateral_type = self.chain.view("Perpetuals", "COLLATERAL_TYPE")
        self.send_call_and_return_gas(
            "VaultEngine", "set_debt_ceiling", collateral_type, amount, sender="admin"
        )

    def deposit_margin(self, name: str, amount: int) -> int:
        """Deposit margin [whole stablecoins] for the trader with a name, and return the gas."""
        return self.send_call_and_return_gas(
            MARKET, "deposit", get_trader_account(name), amount * WAD, sender="rich"
        )

    def fill_orders(self, maker: str, taker: str, lots: int, price: int = LOT_PRICE) -> int:
        """Match signed orders of a buyer (`maker`) and a seller (`taker`), and return the gas.

        `price` is in stablecoins a lot [wad].
        """
        self.nonce += 1
        orders = []
        for name, size in ((maker, lots), (taker, -lots)):
            order = Order(get_trader_account(name), WETH, size, price, MAX_UINT256, self.nonce)
            orders += [order, sign_order(name, order, CHAIN_ID, self.get_address("MarginOrders"))]
        return self.send_call_and_return_gas("MarginOrders", "fill", *orders, lots, sender="stranger")


class RankedDeleveragingJobs(MarginMarketJobs):
    """Measured jobs of ranked deleveraging: winners are closed against a failed long by rank.

    All 72 winners have gained the same amount.
    """

    POLICY = "ranked"

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the fixed gas of submitting and of executing a ranking, and the gas of each account."""
        winners = self._bankrupt_long_and_list_winners()
        submit, execute = (
            self._measure_base_and_account_gas("submit", winners),
            self._measure_base_and_account_gas("execute", winners),
        )
        return {
            "cycles: submit": submit[0],
            "cycles: submit, each account": submit[1],
            "cycles: execute": execute[0],
            "cycles: execute, each account": execute[1],
        }

    def _bankrupt_long_and_list_winners(self) -> list[str]:
        """Make a long fail against all shorts, and return the winners' addresses in ranking order.

        The cycle of the failure has ended, and its losses are not shared yet.
        """
        self.deposit_margin("long", 300 * RANKED)
        for i in range(RANKED):
            self.deposit_margin(f"short_{i}", 10_000)
            self.submit_signed_reports(2_000)
            self.fill_orders("long", f"short_{i}", 100)
        self.submit_signed_reports(1_600)
        self.send_call_and_return_gas(
            MARKET, "seize_insolvent", get_trader_account("long"), sender="stranger"
        )
        self._roll_market()
        self.submit_signed_reports(1_600)
        # Whoever rolls or meets has marked it.
        self.send_call_and_return_gas(MARKET, "accrue", WETH, sender="stranger")
        winners = [get_trader_account(f"short_{i}") for i in range(RANKED)]
        return sorted(winners, key=lambda each: int(each, 16), reverse=self.POLICY == "ranked")

    def _measure_base_and_account_gas(self, method: str, winners: list[str]) -> tuple[int, int]:
        """Return the fixed gas of a deleveraging call, and the gas of each account in the call.

        Both follow from two calls, which hold 24 and the other 48 winners.
        """
        few = MIN_RANKED
        used = [self._measure_deleveraging_call_gas(method, each) for each in (winners[:few], winners[few:])]
        each = (used[1] - used[0]) // (RANKED - 2 * few)
        return max(0, used[0] - few * each), each

    def _measure_deleveraging_call_gas(self, method: str, accounts: list[str]) -> int:
        return self.send_call_and_return_gas(CLOSER, method, WETH, SHORT, tuple(accounts), sender="stranger")


class ManyDebtorsJobs(MarginMarketJobs):
    """Measured jobs of a margin market in which 20 longs of 100 lots fail at once."""

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the fixed gas of `update_and_seize`, and the gas of each account in the call."""
        self.deposit_margin("first", 100_000)
        debtors = [f"debtor_{i}" for i in range(WINNERS)]
        for name in debtors:
            self.deposit_margin(name, 300)
            self.submit_signed_reports(2_000)
            self.fill_orders(name, "first", 100)
        self.submit_signed_reports(1_600)
        self.send_call_and_return_gas(MARKET, "accrue", WETH, sender="stranger")
        few, accounts = WINNERS // 4, tuple(map(get_trader_account, debtors))
        calls = accounts[:few], accounts[few:]
        used = [
            self.send_call_and_return_gas(MARKET, "update_and_seize", some, sender="stranger")
            for some in calls
        ]
        each = (used[1] - used[0]) // (WINNERS - 2 * few)
        return {
            "cycles: update and seize": max(0, used[0] - few * each),
            "cycles: update and seize, each account": each,
        }


class DormantAccountJobs(MarginMarketJobs):
    """Measured job of updating an account without any call for 12 cycles with losses."""

    CYCLES = 12
    # Nobody steps the feed meanwhile.
    DIVERGENCE = 0

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of updating the dormant account, which has one position, by job name."""
        self.deposit_margin("first", 1_000_000)
        self.deposit_margin("sleeper", 100_000)
        self.submit_signed_reports(2_000)
        self.fill_orders("first", "sleeper", 100)
        for cycle in range(self.CYCLES):
            self._run_cycle_with_insolvent_account(f"thin_{cycle}")
        for _ in range(2):
            self._roll_market()
        return {
            "cycles: update account, long after": self.send_call_and_return_gas(
                MARKET, "update_account", get_trader_account("sleeper"), sender="stranger"
            )
        }

    def _run_cycle_with_insolvent_account(self, name: str) -> None:
        """Run one cycle in which an account loses more than its margin and its lots are taken over."""
        self.deposit_margin(name, 250)
        self.submit_signed_reports(2_000)
        self.fill_orders(name, "first", 100)
        self.submit_signed_reports(1_600)
        self.send_call_and_return_gas(MARKET, "seize_insolvent", get_trader_account(name), sender="stranger")
        self._roll_market()
        self.submit_signed_reports(1_600)
        self.send_call_and_return_gas(MARKET, "seize_insolvent", get_trader_account(name), sender="stranger")
        self.send_call_and_return_gas(TRADING, "take", WETH, 100, sender=get_trader_account("first"))
        self.submit_signed_reports(2_000)
        self.send_call_and_return_gas(MARKET, "accrue", WETH, sender="stranger")


class ProRataDeleveragingJobs(RankedDeleveragingJobs):
    """Measured jobs of pro-rata deleveraging: all winners are closed in equal proportion."""

    POLICY = "shared"

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the fixed gas of a `share` call, and the gas of each account in the call."""
        call, each = self._measure_base_and_account_gas("share", self._bankrupt_long_and_list_winners())
        return {"cycles: share": call, "cycles: share, each account": each}


class InsuredMarketJobs(MarginMarketJobs):
    """Measured jobs of markets that require an insurance fund for new positions.

    The fund is required by one market first, then by all eight.
    """

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of a fill with one insured market, and with eight, by job name."""
        self.send_call_and_return_gas(
            "Stablecoin", "approve", self.get_address("MarginFund"), MAX_UINT256, sender="rich"
        )
        self.send_call_and_return_gas("MarginFund", "insure", 1_000_000 * WAD, sender="rich")
        margin = self.deployment.parameters.margin
        assert margin is not None
        lot, *terms = astuple(replace(margin.markets[0], insured=1_000))[1:]
        self.send_call_and_return_gas("MarginPolicy", "set_terms", WETH, tuple(terms), sender="admin")
        for name in ("other", "first"):
            self.deposit_margin(name, 100_000)
        used = {"cycles: fill, insured": self._add_to_positions()}
        self.send_call_and_return_gas("MarginPolicy", "set_terms", WBTC, tuple(terms), sender="admin")
        while (number := self.chain.view("MarginPolicy", "markets")) < MAX_MARGIN_MARKETS:
            self.send_call_and_return_gas(
                "MarginPolicy", "add_market", WETH, lot, tuple(terms), sender="admin"
            )
            self.send_call_and_return_gas(MARKET, "accrue", number, sender="stranger")
        used["cycles: fill, eight insured"] = self._add_to_positions()
        return used

    def _add_to_positions(self) -> int:
        """Increase two positions twice, and return the gas of the second fill."""
        self.submit_signed_reports(2_000)
        self.fill_orders("other", "first", 100)
        return self.fill_orders("other", "first", 100)


class MarketSettlementJobs(MarginMarketJobs):
    """Measured jobs of a margin market when the protocol is in settlement, its final shutdown."""

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of ending a market, and of closing out an account, by job name."""
        for name in ("long", "short"):
            self.deposit_margin(name, 10_000)
        self.submit_signed_reports(2_000)
        self.fill_orders("long", "short", 100)
        settlement = self.deployment.parameters.settlement
        self.send_call_and_return_gas("Settlement", "announce", sender="admin")
        self.chain.advance(settlement.delay)
        self.send_call_and_return_gas("Settlement", "begin", sender="stranger")
        for _ in range(4):
            self.report_price(2_000)
            self.report_price(30_000, WBTC)
        return {
            "cycles: end market": self.send_call_and_return_gas(
                MARKET, "end_market", WETH, sender="stranger"
            ),
            "cycles: close out": self.send_call_and_return_gas(
                MARKET, "update_account", get_trader_account("long"), sender="stranger"
            ),
        }
