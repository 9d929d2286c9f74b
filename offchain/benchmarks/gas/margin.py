"""Gas of the margin market: what traders, liquidators and whoever deleverages pay."""

from __future__ import annotations

from dataclasses import replace

from backstop.deployment.accounts import account
from backstop.deployment.examples import margined
from backstop.deployment.signing import sign_order, trader
from backstop.hosts.anvil import AnvilHost
from backstop.hosts.host import CHAIN_ID
from backstop.keepers.deleveraging import in_order
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.margin_orders import Order
from backstop.model.ranking import Standing
from benchmarks.gas.jobs import Jobs

SHORTS = tuple(f"short_{i}" for i in range(20))
# Number of them against which the insolvent position is closed.
CHOSEN = 5
LOT_PRICE = 20 * WAD
ETHER, BITCOIN = 0, 1


class Margin(Jobs):
    """Jobs of markets in ether, with lots of a hundredth, and bitcoin, with lots of a thousandth."""

    POLICY = "ranked"

    def __init__(self, host: AnvilHost) -> None:
        self.nonce = 0
        terms = margined()
        assert terms.margin is not None
        super().__init__(host, replace(terms, margin=replace(terms.margin, policy=self.POLICY)))
        self.price(2_000)
        self.price(2_000)
        self.do(self.symbol, "mint", account("rich"), 10_000 * WAD, sender="rich")
        self.do(self.symbol, "approve", self.at("VaultEngine"), MAX_UINT256, sender="rich")
        self.draw("rich", 10_000, 5_000_000)
        self.do("Stablecoin", "approve", self.at("MarginMarket"), MAX_UINT256, sender="rich")

    def run(self) -> dict[str, int]:
        """Return the gas of each job by name."""
        used = self._freeze()
        ranked = self._ranked(*SHORTS, "first")
        chosen = self._submit(ranked[:CHOSEN])
        five, all_others = self._submit(ranked[CHOSEN : 2 * CHOSEN]), self._submit(ranked[2 * CHOSEN :])
        used["margin: submit, each account"] = (all_others - five) // (len(ranked) - 3 * CHOSEN)
        used["margin: submit"] = five - CHOSEN * used["margin: submit, each account"]
        used["margin: submit, each that closes"] = (chosen - five) // CHOSEN + used[
            "margin: submit, each account"
        ]
        used["margin: execute, each account"] = self._execute(CHOSEN - 1) // (CHOSEN - 1)
        self._execute(1)
        used["margin: liquidate"] = self._liquidate()
        used["margin: sweep"] = self.do("MarginMarket", "sweep", sender="stranger")
        used["margin: post shortfall"] = self._post_shortfall()
        return used

    def _freeze(self) -> dict[str, int]:
        """Open positions, let prices fall, freeze one, and return the gas of each job by name."""
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
        return used

    def deposit(self, name: str, amount: int) -> int:
        """Deposit margin in whole stablecoins and return the gas."""
        return self.do("MarginMarket", "deposit", trader(name), amount * WAD, sender="rich")

    def fill(self, maker: str, taker: str, lots: int, price: int = LOT_PRICE, market: int = ETHER) -> int:
        """Fill two signed orders with each other and return the gas."""
        self.nonce += 1
        orders = []
        for name, size in ((maker, lots), (taker, -lots)):
            order = Order(trader(name), market, size, price, MAX_UINT256, self.nonce)
            orders += [order, sign_order(name, order, CHAIN_ID, self.at("MarginOrders"))]
        return self.do("MarginOrders", "fill", *orders, lots, sender="stranger")

    def _submit(self, accounts: list[str]) -> int:
        return self.do("MarginDeleverager", "submit", tuple(accounts), sender="stranger")

    def _execute(self, count: int) -> int:
        return self.do("MarginDeleverager", "execute", count, sender="stranger")

    def _liquidate(self) -> int:
        """Have an account with a position liquidate one that is long, and return the gas."""
        self.deposit("weak", 1_000)
        self.fill("weak", "first", 400, 15 * WAD)
        for _ in range(2):
            self.price(1_300)
        return self.do("MarginMarket", "liquidate", trader("weak"), 0, 100, sender=trader("first"))

    def _post_shortfall(self) -> int:
        """Post the shortfall of a position against which nobody gains, and return the gas.

        The account that gained has sold to another.
        """
        for _ in range(2):
            self.price(30_000, BITCOIN)
        self.deposit("wide", 400)
        for name in ("narrow", "late"):
            self.deposit(name, 10_000)
        self.fill("wide", "narrow", 100, 30 * WAD, BITCOIN)
        for _ in range(2):
            self.price(20_000, BITCOIN)
        self.fill("narrow", "late", 100, 20 * WAD, BITCOIN)
        self.do("MarginDeleverager", "begin", trader("wide"), BITCOIN, sender="stranger")
        self._submit([trader("late")])
        self._execute(1)
        return self.do("MarginMarket", "post_shortfall", BITCOIN, sender="stranger")

    def _ranked(self, *names: str) -> list[str]:
        view, kind = self.chain.view, self.deployment.kinds["MarginDeleverager"]
        owners = [trader(name) for name in names]
        return in_order(kind, {o: Standing(*view("MarginDeleverager", "standing_of", o)) for o in owners})


class SharedMargin(Margin):
    """Jobs of the same market where gains share a loss: all winners are charged, the first close."""

    POLICY = "shared"

    def run(self) -> dict[str, int]:
        """Return the gas of one account in each call, from calls with more and with fewer of them."""
        self._freeze()
        ranked, some = self._ranked(*SHORTS, "first"), CHOSEN + 1
        self._submit(ranked[:1])
        few, many = self._submit(ranked[1:some]), self._submit(ranked[some:])
        more = len(ranked) - some - CHOSEN
        closing, paying = self._execute(CHOSEN), self._execute(len(ranked))
        return {
            "margin: share, submit each account": (many - few) // more,
            "margin: share, execute each that closes": closing // CHOSEN,
            "margin: share, execute each other account": paying // (len(ranked) - CHOSEN),
        }
