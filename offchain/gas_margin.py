"""Gas of the margin market: what traders, liquidators and whoever deleverages pay."""

from __future__ import annotations

from dataclasses import replace

from offchain.chain.anvil import AnvilHost
from offchain.chain.host import CHAIN_ID
from offchain.deleveraging.policies import in_order
from offchain.deployment import DomainParameters, MarginParameters, PerpetualParameters, account, standard
from offchain.gas_jobs import Jobs
from offchain.model.arithmetic import MAX_UINT256, WAD
from offchain.model.margin_orders import Order
from offchain.model.ranking import Standing
from offchain.order_signing import sign_order, trader

SHORTS = tuple(f"short_{i}" for i in range(20))
# How many of them the insolvent position is closed against.
CHOSEN = 5
LOT_PRICE = 20 * WAD


class Margin(Jobs):
    """The standard deployment with a margin market in ether, a hundredth of it a lot, and a domain for it."""

    def __init__(self, host: AnvilHost) -> None:
        self.nonce = 0
        margin = MarginParameters((PerpetualParameters("WETH", WAD // 100),), domain="Perpetuals")
        domain = DomainParameters("Perpetuals", line=10_000_000)
        super().__init__(host, replace(standard(), domains=(domain,), margin=margin))
        self.price(2_000)
        self.price(2_000)
        self.do(self.symbol, "mint", account("rich"), 10_000 * WAD, sender="rich")
        self.do(self.symbol, "approve", self.at("VaultEngine"), MAX_UINT256, sender="rich")
        self.draw("rich", 10_000, 5_000_000)
        self.do("Stablecoin", "approve", self.at("MarginMarket"), MAX_UINT256, sender="rich")

    def run(self) -> dict[str, int]:
        """Name of each job -> gas."""
        used: dict[str, int] = {}
        self.deposit("first", 100_000)
        self.deposit("long", 1_500)
        self.deposit("other", 100_000)
        used["margin: deposit"] = self.deposit("first", 1_000)
        used["margin: withdraw"] = self.do(
            "MarginMarket", "withdraw", WAD, trader("first"), sender=trader("first")
        )
        for i, name in enumerate(SHORTS):
            self.deposit(name, 10_000)
            used["margin: fill, new position"] = self.fill("long" if i < CHOSEN else "other", name, 100)
        used["margin: fill"] = self.fill("other", "first", 100)
        used["margin: fill"] = self.fill("other", "first", 100)
        for _ in range(2):
            self.price(1_500)
        used["margin: begin"] = self.do("MarginDeleverager", "begin", trader("long"), 0, sender="stranger")
        ranked = self._ranked(*SHORTS, "first")
        chosen = self._submit(ranked[:CHOSEN])
        five, all_others = self._submit(ranked[CHOSEN : 2 * CHOSEN]), self._submit(ranked[2 * CHOSEN :])
        used["margin: submit, each account"] = (all_others - five) // (len(ranked) - 3 * CHOSEN)
        used["margin: submit, each that closes"] = (chosen - five) // CHOSEN + used[
            "margin: submit, each account"
        ]
        used["margin: execute, each account"] = self._execute(CHOSEN - 1) // (CHOSEN - 1)
        self._execute(1)
        used["margin: liquidate"] = self._liquidate()
        return used

    def deposit(self, name: str, amount: int) -> int:
        return self.do("MarginMarket", "deposit", trader(name), amount * WAD, sender="rich")

    def fill(self, maker: str, taker: str, lots: int, price: int = LOT_PRICE) -> int:
        self.nonce += 1
        orders = []
        for name, size in ((maker, lots), (taker, -lots)):
            order = Order(trader(name), 0, size, price, MAX_UINT256, self.nonce)
            orders += [order, sign_order(name, order, CHAIN_ID, self.at("MarginOrders"))]
        return self.do("MarginOrders", "fill", *orders, lots, sender="stranger")

    def _submit(self, accounts: list[str]) -> int:
        return self.do("MarginDeleverager", "submit", tuple(accounts), sender="stranger")

    def _execute(self, count: int) -> int:
        return self.do("MarginDeleverager", "execute", count, sender="stranger")

    def _liquidate(self) -> int:
        """Of an account that is long, by one that has a position."""
        self.deposit("weak", 1_000)
        self.fill("weak", "first", 400, 15 * WAD)
        for _ in range(2):
            self.price(1_300)
        return self.do("MarginMarket", "liquidate", trader("weak"), 0, 100, sender=trader("first"))

    def _ranked(self, *names: str) -> list[str]:
        view, kind = self.chain.view, self.deployment.kinds["MarginDeleverager"]
        owners = [trader(name) for name in names]
        return in_order(kind, {o: Standing(*view("MarginDeleverager", "standing_of", o)) for o in owners})
