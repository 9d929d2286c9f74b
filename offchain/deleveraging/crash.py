"""A crash of a margin market with many accounts, and what deleveraging takes in it, against greedy engines.

Half of the accounts are long and half short, each pair with its own leverage and at its own price. The coin
loses two thirds in minutes, as smaller ones did on 10 October 2025, and no liquidator acts in them. The
market runs in lockstep: what is told of it is what the contracts did.

A greedy engine has the same order, the same price and the same accounts, but closes the whole position of
each it chooses. What it takes beyond the loss is what this market does not take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple, cast

from offchain.chain.host import CHAIN_ID, Host
from offchain.deleveraging.policies import in_order, standings
from offchain.deployment import (
    DomainParameters,
    MarginParameters,
    PerpetualParameters,
    account,
    standard,
)
from offchain.errors import BackstopError
from offchain.lockstep import Lockstep, lockstep
from offchain.model.arithmetic import MAX_UINT256, RAY, WAD, div_up
from offchain.model.margin_deleverager import MarginDeleverager
from offchain.model.margin_market import MarginMarket
from offchain.model.margin_orders import Order
from offchain.model.margin_policy import LIQUIDATION
from offchain.order_signing import sign_order, trader
from offchain.system import Action

SYMBOL, MARKET = "WETH", 0
# Stablecoins a coin: where pairs come in, and how it falls.
ENTRIES = (2_000, 2_040, 1_980)
FALL = (1_700, 1_300, 900, 680)
LINE = 20_000_000
# Accounts in one call.
BATCH = 1_000


class Freeze(NamedTuple):
    """One insolvent position: what it owed beyond insurance, and what who paid; wad."""

    lots: int
    loss: int
    taken: int
    greedy: int  # what a greedy engine would have taken
    closed: int  # accounts that closed or paid
    scanned: int


class Result(NamedTuple):
    """Of all freezes; wad."""

    accounts: int
    freezes: list[Freeze]
    insured: int
    posted: int
    steps: int
    fields: int  # compared between model and chain


class Crash:
    """A deployment with a margin market, its accounts, and the fall."""

    def __init__(self, host: Host, accounts: int, seed: int, say: Callable[[str], None]) -> None:
        if accounts < 2:
            raise BackstopError("a market needs two accounts")
        self.random, self.pairs, self.say, self.nonce = Random(seed), accounts // 2, say, 0
        margin = MarginParameters((PerpetualParameters(SYMBOL, WAD // 100),), domain="Perpetuals")
        domain = DomainParameters("Perpetuals", LINE)
        parameters = replace(standard(), domains=(domain,), margin=margin)
        self.both: Lockstep = lockstep(host, parameters, seed=seed, check_every=0, traces=None)
        contracts = self.both.model.world.contracts
        self.market = cast(MarginMarket, contracts["MarginMarket"])
        self.deleverager = cast(MarginDeleverager, contracts["MarginDeleverager"])

    def play(self) -> Result:
        """Open the book, let the coin fall, deleverage at each price; compare all state at the end."""
        self._open()
        freezes: list[Freeze] = []
        insured = 0
        for dollars in FALL:
            self._price(dollars)
            for owner in self._insolvent():
                before = self.market.holdings[()]
                found = self._deleverage(owner)
                insured += self.market.holdings[()] - before
                freezes += [found] if found else []
            self.say(f"{dollars}: {len(freezes)} positions deleveraged")
        unpaid = self.market.interests[MARKET].unpaid
        posted = self._do("MarginMarket", "post_shortfall", MARKET) if unpaid else 0
        self.both.check()
        return Result(2 * self.pairs, freezes, insured, posted, self.both.steps, self.both.fields_compared)

    def _open(self) -> None:
        self._price(ENTRIES[0])
        rich = account("rich")
        self._do(SYMBOL, "mint", rich, 50_000 * WAD, by=rich)
        self._do(SYMBOL, "approve", self.both.addresses["VaultEngine"], MAX_UINT256, by=rich)
        self._do("VaultEngine", "deposit_and_draw", 0, rich, 50_000 * WAD, 40_000_000 * WAD, rich, by=rich)
        for contract in ("MarginMarket", "MarginFund"):
            self._do("Stablecoin", "approve", self.both.addresses[contract], MAX_UINT256, by=rich)
        self._do("MarginFund", "insure", 2 * self.pairs * WAD, by=rich)
        for i in range(self.pairs):
            if i % (self.pairs // len(ENTRIES) + 1) == 0:
                self._price(ENTRIES[i // (self.pairs // len(ENTRIES) + 1)])
            price = self.market._price(MARKET, LIQUIDATION)
            lots = self.random.randint(10, 1_000)
            for side in ("long", "short"):
                leverage = self.random.choice((2, 3, 5, 8) if side == "long" else (1, 2, 4, 8))
                margin = lots * price // leverage
                self._do("MarginMarket", "deposit", trader(f"{side}_{i}"), margin, by=rich)
            self._fill(f"long_{i}", f"short_{i}", lots, price)

    def _fill(self, buyer: str, seller: str, lots: int, price: int) -> None:
        self.nonce += 1
        sides: list[Any] = []
        for name, size in ((buyer, lots), (seller, -lots)):
            order = Order(trader(name), MARKET, size, price, MAX_UINT256, self.nonce)
            sides += [order, sign_order(name, order, CHAIN_ID, self.both.addresses["MarginOrders"])]
        self._do("MarginOrders", "fill", *sides, lots)

    def _insolvent(self) -> list[str]:
        """The deepest in debt first."""
        worths = {
            owner: self.market._worth(owner, book, LIQUIDATION).equity
            for owner, book in self.market.accounts.items()
            if book.markets
        }
        return sorted((owner for owner, equity in worths.items() if equity < 0), key=lambda o: worths[o])

    def _deleverage(self, owner: str) -> Freeze | None:
        if self._do("MarginDeleverager", "begin", owner, MARKET) == 0:
            return None
        lots, loss = self.deleverager.left[()]
        found = standings(self.deleverager, self.market)
        ranked = in_order(self.deleverager.KIND, found)
        for i in range(0, len(ranked), BATCH):
            self._do("MarginDeleverager", "submit", tuple(ranked[i : i + BATCH]))
        chosen = self.deleverager.runs[account("stranger")].chosen
        greedy, left = 0, lots
        for each in ranked[:chosen]:
            if left > 0:
                # The whole position, at the price that the insolvent one is closed at.
                greedy += min(found[each].gain, div_up(loss * found[each].lots, lots))
                left -= found[each].lots
        unpaid = self.market.interests[MARKET].unpaid
        while self.deleverager.cases[()].until:
            self._do("MarginDeleverager", "execute", BATCH)
        taken = loss - (self.market.interests[MARKET].unpaid - unpaid)
        return Freeze(lots, loss, taken, max(greedy, taken), chosen, len(ranked))

    def _price(self, dollars: int) -> None:
        """Now and next."""
        feed = standard().collateral_types[0].feed
        for _ in range(2):
            self.both.advance(feed.step)
            for i in range(feed.reporters):
                self._do("PriceFeed", "report", 0, dollars * RAY, by=account(f"reporter_{i + 1}"))
            self._do("PriceFeed", "poke", 0)

    def _do(self, contract: str, method: str, *args: Any, by: str = "") -> Any:
        outcome = self.both.apply(Action(contract, method, args, by or account("stranger")))
        if outcome.reason is not None:
            raise BackstopError(f"{contract}.{method} reverted with {outcome.reason!r}")
        return outcome.value
