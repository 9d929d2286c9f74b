"""Accounts of a crash: who is long and will owe, who is short and will have gained, and who stands by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from backstop.deployment.accounts import account
from backstop.deployment.examples import standard
from backstop.deployment.parameters import DomainParameters, MarginParameters, Parameters, PerpetualParameters
from backstop.deployment.signing import sign_order, trader
from backstop.hosts.host import CHAIN_ID
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.margin_orders import Order
from backstop.model.perpetual_market import PerpetualMarket
from backstop.studies.deleveraging.blocks import Blocks
from backstop.system import Action

HOUSE, DESK, FUND, ORDERS, CLOSER = (
    "PerpetualMarket",
    "PerpetualDesk",
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
"""Whoever calls what anybody may."""
# Lots of an account that will be below its maintenance margin, and how many of them are taken over at once.
THIN, TAKEN = 100, 10


def parameters(markets: int, policy: str) -> Parameters:
    """Return the standard deployment with perpetual markets, whose lots of debtors go by a policy."""
    terms = PerpetualParameters(SYMBOLS[0], LOTS[0], 1_000, 500, of_market=((0, 0), (0, 0)))
    listed = tuple(replace(terms, symbol=SYMBOLS[m], lot=LOTS[m]) for m in range(markets))
    # Dodgers may trade at any mark: the worst case.
    margin = MarginParameters(listed, domain="Perpetuals", policy=policy, divergence=0)
    return replace(standard(), domains=(DomainParameters("Perpetuals", LINE),), margin=margin)


class Crowd:
    """A market, those in it, and its prices."""

    def __init__(self, blocks: Blocks, accounts: int, insolvent: int, markets: int, seed: int) -> None:
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
        blocks.refresh = self._reports

    @property
    def market(self) -> PerpetualMarket:
        """The model's."""
        found = self.blocks.model.world.contracts[HOUSE]
        assert isinstance(found, PerpetualMarket)
        return found

    def price(self, m: int) -> int:
        """Return a market's mark [wei a lot]."""
        return int(self.market.paths[m].price)

    # ---------------------------------------------------------------- prices

    def go_to(self, dollars: tuple[int, ...]) -> None:
        """Have all markets marked at prices of now."""
        self.blocks.forget()
        self.dollars = list(dollars)
        self.reported_at = 0
        for m in self.markets:
            self.blocks.do(f"{HOUSE}.accrue", m, counted=False)

    def _reports(self) -> Iterator[Action]:
        """Yield the reports that a block needs, so that there are marks of now."""
        if self.blocks.timestamp == self.reported_at:
            return
        self.reported_at = self.blocks.timestamp
        for m in range(len(ENTRIES)):
            for i in range(standard().collateral_types[m].feed.reporters):
                price = self.dollars[m] * RAY
                args = m, price, price, price, 0
                yield Action("PriceFeed", "report_range", args, account(f"reporter_{i + 1}"))

    # --------------------------------------------------------------- opening

    def open(self, thin: int) -> None:
        """Open all positions, of so many accounts besides that will be below their maintenance margins."""
        self._draw()
        count = max(len(self.longs), len(self.shorts))
        self.blocks.begin("accounts open", 4 * count)
        self.go_to((self.dollars[0], self.dollars[1]))
        # The bank is long against those whom no debtor is.
        alone = max(0, count - len(self.longs)) * self.most_lots * self.price(0) // 2
        self.deposit("bank", 2_000_000 * WAD + alone * 3 // 5)
        self.deposit("liquidator", 1_000_000 * WAD)
        # Whoever meets debtors has an account, which bonds are paid into.
        self.deposit(FINDER, WAD)
        self._trade_before()
        for third in range(3):
            self.go_to(tuple(entries[third] for entries in ENTRIES))
            for i in range(count * third // 3, count * (third + 1) // 3):
                self._open(i)
            for i in range(thin * third // 3, thin * (third + 1) // 3):
                self._open_thin(f"thin_{i}")

    def _trade_before(self) -> None:
        """Have somebody gain and lose before: in a market without a history the first move costs more."""
        for m in self.markets:
            for name in ("early", "other"):
                self.deposit(name, 1_000 * WAD)
            self.trade("early", "other", m, 1)
        for twentieths in (21, 20):
            self.go_to(tuple(entries[0] * twentieths // 20 for entries in ENTRIES))

    def _draw(self) -> None:
        """Have a well-secured vault draw what accounts bring, and insure the market."""
        rich, blocks = account("rich"), self.blocks
        blocks.begin("money is drawn")
        # The core goes by its own prices, an hour and more behind.
        for _ in range(2):
            blocks.wait(3_600)
            for action in self._reports():
                blocks.do(f"{action.contract}.{action.method}", *action.args, by=action.sender)
            for m in range(len(ENTRIES)):
                blocks.do("PriceFeed.poke", m)
        blocks.do(f"{SYMBOLS[0]}.mint", rich, 60_000 * WAD, by=rich)
        blocks.do(f"{SYMBOLS[0]}.approve", self.addresses["VaultEngine"], MAX_UINT256, by=rich)
        drawn = 60_000 * WAD, 48_000_000 * WAD
        blocks.do("VaultEngine.deposit_and_draw", 0, rich, *drawn, rich, by=rich)
        for contract in (HOUSE, FUND):
            blocks.do("Stablecoin.approve", self.addresses[contract], MAX_UINT256, by=rich)
        blocks.do(f"{FUND}.insure", 2 * (len(self.longs) + len(self.shorts)) * WAD, by=rich)

    def _open(self, i: int) -> None:
        """Open the positions of one pair: those of whom there are fewer have more than one counterparty."""
        long = self.longs[i] if i < len(self.longs) else "bank"
        short = self.shorts[i % len(self.shorts)]
        lots = [self.random.randint(5, self.most_lots) // len(self.markets) or 1 for _ in self.markets]
        notional = sum(lots[m] * self.price(m) for m in self.markets)
        for name, leverages in ((long, LONG), (short, SHORT)):
            if name != "bank":
                self.deposit(name, notional // self.random.choice(leverages) + self.beside(notional))
        for m in self.markets:
            self.trade(long, short, m, lots[m])

    def _open_thin(self, name: str) -> None:
        """Open a position of the first market that will have half of its maintenance margin."""
        at, low = self.price(0), FALLS[0][-1] * LOTS[0]
        self.deposit(name, THIN * (at - low) + THIN * low // 40 + self._fee(THIN * at) + self._bond())
        self.trade(name, "bank", 0, THIN)
        self.thin.append(name)

    def _bond(self) -> int:
        return int(3 * self.market.third_bond)

    def _fee(self, notional: int) -> int:
        return notional * MarginParameters(()).taker_fee // 10_000 + 1

    def beside(self, notional: int) -> int:
        """Return what is needed beside a margin: bonds, and fees."""
        return self._bond() + 2 * self._fee(notional)

    def deposit(self, name: str, amount: int) -> None:
        """Pay into an account."""
        self.blocks.do(f"{HOUSE}.deposit", trader(name), amount, by=account("rich"), counted=False)

    def trade(self, buyer: str, seller: str, m: int, lots: int, price: int = 0, may: bool = False) -> bool:
        """Have a trade of two signed orders, at the mark unless a price is given; return whether it went."""
        self._nonce += 1
        sides: list[Any] = []
        for name, size in ((buyer, lots), (seller, -lots)):
            order = Order(trader(name), m, size, price or self.price(m), MAX_UINT256, self._nonce)
            sides += [order, sign_order(name, order, CHAIN_ID, self.addresses[ORDERS])]
        return self.blocks.do(f"{ORDERS}.fill", *sides, lots, may=may).reason is None
