"""Accounts of a crash: longs that become insolvent, shorts that gain, and bystanders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import (
    FacilitatorParameters,
    MarginParameters,
    Parameters,
    PerpetualParameters,
)
from backstop.deployment.role_accounts import get_account
from backstop.hosts.host_interface import CHAIN_ID
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.margin_orders import Order
from backstop.model.perpetual_market import PerpetualMarket
from backstop.studies.auto_deleveraging.block_packing import BlockPacker
from backstop.system import Action

HOUSE, TRADING, FUND, ORDERS, CLOSER = (
    "PerpetualMarket",
    "PerpetualTrading",
    "MarginFund",
    "MarginOrders",
    "PerpetualCloser",
)
SYMBOLS = ("WETH", "WBTC")
LOTS = (WAD // 100, WAD // 1_000)
# Prices in stablecoins: at which positions are opened, a third of them at each, and to which coins fall.
ENTRIES = ((2_000, 2_040, 1_980), (60_000, 61_200, 59_400))
FALLS = ((1_600, 1_200), (48_000, 36_000))
LINE = 20_000_000
# Leverages of those who will owe, and of those who will have gained.
LONG, SHORT = (3, 5, 8), (1, 2, 4, 8)
FINDER = "finder"
"""The account that makes permissionless calls."""
# Lots of an account that will be below its maintenance margin, and how many of them are taken over at once.
THIN, TAKEN = 100, 10


def build_parameters(market_count: int, policy: str) -> Parameters:
    """Return the standard deployment with perpetual markets.

    `policy` decides how lots of insolvent accounts are closed.
    """
    terms = PerpetualParameters(SYMBOLS[0], LOTS[0], 1_000, 500, of_market=((0, 0), (0, 0)))
    listed = tuple(replace(terms, symbol=SYMBOLS[m], lot=LOTS[m]) for m in range(market_count))
    # Dodgers may trade at any mark: the worst case.
    margin = MarginParameters(listed, facilitator="Perpetuals", policy=policy, divergence=0)
    return replace(
        build_standard_parameters(), facilitators=(FacilitatorParameters("Perpetuals", LINE),), margin=margin
    )


class AccountPopulation:
    """Accounts of a perpetual market in a crash: longs that fail, shorts that gain, and bystanders."""

    def __init__(self, blocks: BlockPacker, accounts: int, insolvent: int, markets: int, seed: int) -> None:
        self.blocks, self.random, self.markets = blocks, Random(seed), range(markets)
        self.addresses = blocks.system.addresses
        self.longs = [f"long_{i}" for i in range(insolvent)]
        self.shorts = [f"short_{i}" for i in range(accounts - insolvent)]
        self.thin: list[str] = []
        # The more there are the smaller each of them: what is drawn for them has a ceiling.
        self.most_lots = max(50, 500 * 10_000 // max(accounts, 10_000))
        self.reported_at = 0
        self.dollars = [entries[0] for entries in ENTRIES]
        self._nonce = 0
        blocks.refresh = self._iter_reports

    @property
    def market(self) -> PerpetualMarket:
        """Model of the perpetual market."""
        found = self.blocks.model.world.contracts[HOUSE]
        assert isinstance(found, PerpetualMarket)
        return found

    def read_mark(self, market_index: int) -> int:
        """Return a market's mark price [wei per lot]."""
        return int(self.market.paths[market_index].price)

    # ---------------------------------------------------------------- prices

    def set_prices(self, dollar_prices: tuple[int, ...]) -> None:
        """Report new prices [stablecoins], and update the mark prices of all markets."""
        self.blocks.mine_block_and_forget_gas()
        self.dollars = list(dollar_prices)
        self.reported_at = 0
        for m in self.markets:
            self.blocks.apply_call_in_block(f"{HOUSE}.accrue", m, counts_gas=False)

    def _iter_reports(self) -> Iterator[Action]:
        """Yield the price reports that a new block needs for current mark prices."""
        if self.blocks.timestamp == self.reported_at:
            return
        self.reported_at = self.blocks.timestamp
        for m in range(len(ENTRIES)):
            for i in range(build_standard_parameters().collateral_types[m].feed.reporters):
                price = self.dollars[m] * RAY
                args = m, price, price, price, 0
                yield Action("PriceFeed", "report_range", args, get_account(f"reporter_{i + 1}"))

    # --------------------------------------------------------------- opening

    def open_positions(self, thin: int) -> None:
        """Open the positions of all accounts, and of `thin` accounts that the crash makes liquidatable."""
        self._borrow_stablecoins_and_insure()
        count = max(len(self.longs), len(self.shorts))
        self.blocks.begin_phase("accounts open", 4 * count)
        self.set_prices((self.dollars[0], self.dollars[1]))
        # The bank is long against those whom no debtor is.
        alone = max(0, count - len(self.longs)) * self.most_lots * self.read_mark(0) // 2
        self.deposit_margin("bank", 2_000_000 * WAD + alone * 3 // 5)
        self.deposit_margin("liquidator", 1_000_000 * WAD)
        # Whoever meets debtors has an account, which bonds are paid into.
        self.deposit_margin(FINDER, WAD)
        self._warm_up_market()
        for third in range(3):
            self.set_prices(tuple(entries[third] for entries in ENTRIES))
            for i in range(count * third // 3, count * (third + 1) // 3):
                self._open_pair(i)
            for i in range(thin * third // 3, thin * (third + 1) // 3):
                self._open_thin_position(f"thin_{i}")

    def _warm_up_market(self) -> None:
        """Let two accounts gain and lose once before the crash.

        In a market without a history, the first price move costs more gas.
        """
        for m in self.markets:
            for name in ("early", "other"):
                self.deposit_margin(name, 1_000 * WAD)
            self.submit_trade("early", "other", m, 1)
        for twentieths in (21, 20):
            self.set_prices(tuple(entries[0] * twentieths // 20 for entries in ENTRIES))

    def _borrow_stablecoins_and_insure(self) -> None:
        """Draw the accounts' stablecoins from a well-secured vault, and pay into the insurance fund."""
        rich, blocks = get_account("rich"), self.blocks
        blocks.begin_phase("money is drawn")
        # The core goes by its own prices, an hour and more behind.
        for _ in range(2):
            blocks.let_empty_time_pass(3_600)
            for action in self._iter_reports():
                blocks.apply_call_in_block(
                    f"{action.contract}.{action.method}", *action.args, sender=action.sender
                )
            for m in range(len(ENTRIES)):
                blocks.apply_call_in_block("PriceFeed.poke", m)
        blocks.apply_call_in_block(f"{SYMBOLS[0]}.mint", rich, 60_000 * WAD, sender=rich)
        blocks.apply_call_in_block(
            f"{SYMBOLS[0]}.approve", self.addresses["VaultEngine"], MAX_UINT256, sender=rich
        )
        drawn = 60_000 * WAD, 48_000_000 * WAD
        blocks.apply_call_in_block("VaultEngine.deposit_and_draw", 0, rich, *drawn, rich, sender=rich)
        for contract in (HOUSE, FUND):
            blocks.apply_call_in_block(
                "Stablecoin.approve", self.addresses[contract], MAX_UINT256, sender=rich
            )
        blocks.apply_call_in_block(
            f"{FUND}.insure", 2 * (len(self.longs) + len(self.shorts)) * WAD, sender=rich
        )

    def _open_pair(self, i: int) -> None:
        """Open the positions of the pair number `i`: a long against a short.

        Accounts of the smaller side have several counterparties.
        """
        long = self.longs[i] if i < len(self.longs) else "bank"
        short = self.shorts[i % len(self.shorts)]
        lots = [self.random.randint(5, self.most_lots) // len(self.markets) or 1 for _ in self.markets]
        notional = sum(lots[m] * self.read_mark(m) for m in self.markets)
        for name, leverages in ((long, LONG), (short, SHORT)):
            if name != "bank":
                self.deposit_margin(
                    name, notional // self.random.choice(leverages) + self.compute_bonds_and_fees(notional)
                )
        for m in self.markets:
            self.submit_trade(long, short, m, lots[m])

    def _open_thin_position(self, name: str) -> None:
        """Open a long in the first market that will have half of its maintenance margin after the crash."""
        at, low = self.read_mark(0), FALLS[0][-1] * LOTS[0]
        self.deposit_margin(
            name, THIN * (at - low) + THIN * low // 40 + self._compute_fee(THIN * at) + self._compute_bond()
        )
        self.submit_trade(name, "bank", 0, THIN)
        self.thin.append(name)

    def _compute_bond(self) -> int:
        return int(3 * self.market.third_bond)

    def _compute_fee(self, notional: int) -> int:
        return notional * MarginParameters(()).taker_fee // 10_000 + 1

    def compute_bonds_and_fees(self, notional: int) -> int:
        """Return the bonds and fees that an account needs on top of its margin [wad]."""
        return self._compute_bond() + 2 * self._compute_fee(notional)

    def deposit_margin(self, name: str, amount: int) -> None:
        """Deposit stablecoins [wad] into a trader's margin account."""
        self.blocks.apply_call_in_block(
            f"{HOUSE}.deposit", get_trader_account(name), amount, sender=get_account("rich"), counts_gas=False
        )

    def submit_trade(
        self, buyer: str, seller: str, market_index: int, lots: int, price: int = 0, may_fail: bool = False
    ) -> bool:
        """Submit a trade of two signed orders, and return whether it succeeded.

        The price is the mark price by default. A failed trade raises BackstopError unless it `may_fail`.
        """
        self._nonce += 1
        sides: list[Any] = []
        for name, size in ((buyer, lots), (seller, -lots)):
            order = Order(
                get_trader_account(name),
                market_index,
                size,
                price or self.read_mark(market_index),
                MAX_UINT256,
                self._nonce,
            )
            sides += [order, sign_order(name, order, CHAIN_ID, self.addresses[ORDERS])]
        return (
            self.blocks.apply_call_in_block(f"{ORDERS}.fill", *sides, lots, may_revert=may_fail).reason
            is None
        )
