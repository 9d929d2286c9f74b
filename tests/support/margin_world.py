"""The small crash with a margin market, for keepers: a price that reporters sign, accounts, trades."""

from __future__ import annotations

import dataclasses
from typing import Any

from backstop.deployment.accounts import account
from backstop.deployment.parameters import DomainParameters, MarginParameters, PerpetualParameters
from backstop.deployment.signing import sign_order, trader
from backstop.keepers.cycle_view import CycleView
from backstop.keepers.keeper import Intent, Keeper, Memory
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.margin_orders import Order
from backstop.model.perpetual_market import PerpetualMarket
from tests.support.perpetuals import check_books
from tests.support.world import World

ETH = 0
_TERMS = PerpetualParameters("ETH", WAD // 100, 1_000, 500, of_market=((0, 0), (0, 0)))
MARKETS = (_TERMS, dataclasses.replace(_TERMS, symbol="XAUT"))
MARGIN = MarginParameters(MARKETS, domain="Perpetuals")
DOMAIN = DomainParameters("Perpetuals", line=1_000)


class Cycles(World):
    """The small crash with a margin market, some of its terms otherwise, at 200 an ether: a lot is 2."""

    def __init__(self, **terms: Any) -> None:
        super().__init__({"margin": dataclasses.replace(MARGIN, **terms), "domains": (DOMAIN,)})
        self.nonce = 0
        self.memory = Memory()
        for contract in ("PerpetualMarket", "MarginFund"):
            self.do("Stablecoin", "approve", self.run.at[contract], MAX_UINT256, by="market_maker")
        self.mark()
        self.do("PerpetualMarket", "roll", by="saver")

    def do(self, contract: str, method: str, *args: object, by: str) -> None:
        self.run.must(contract, method, *args, sender=by if by.startswith("0x") else account(by))

    def keeper(self, role: str, name: str = "me", index: int = 0, **options: Any) -> Keeper:
        found = super().keeper(role, name, index, **{"most": 100} | options)
        return dataclasses.replace(found, reports=self.run.signed)

    def see(self, dollars: float, symbol: str = "ETH") -> None:
        """A price that reporters see from now on."""
        path = self.run.sources[symbol]
        path[self.run.block :] = [int(dollars * RAY)] * (len(path) - self.run.block)

    def mark(self) -> None:
        """Have all markets marked at what reporters see."""
        assert self.run.signed is not None
        reports = self.run.signed.newest(self.view)
        self.do("PriceFeed", "bring", tuple(reports.values()), by="saver")
        for m in range(len(MARKETS)):
            self.do("PerpetualMarket", "accrue", m, by="saver")

    def deposit(self, name: str, coins: int) -> None:
        self.do("PerpetualMarket", "deposit", trader(name), coins * WAD, by="market_maker")

    def signed(
        self, name: str, size: int, m: int = ETH, price: int | None = None, **more: Any
    ) -> tuple[Order, bytes]:
        """An order at the mark, or at a price [wei a lot], and its signature."""
        self.nonce += 1
        at = self.cycles.mark(m) if price is None else price
        order = Order(trader(name), m, size, at, **{"expiry": MAX_UINT256, "nonce": self.nonce} | more)
        chain_id = self.run.session.model.world.chain_id
        return order, sign_order(name, order, chain_id, self.run.at["MarginOrders"])

    def trade(self, buyer: str, seller: str, lots: int, m: int = ETH) -> None:
        """At the mark."""
        both = *self.signed(buyer, lots, m), *self.signed(seller, -lots, m)
        self.do("MarginOrders", "fill", *both, lots, by="saver")

    def fund(self, coins: int) -> None:
        self.do("Stablecoin", "transfer", account("me"), coins * WAD, by="market_maker")
        self.do("Stablecoin", "approve", self.run.at["PerpetualMarket"], MAX_UINT256, by="me")

    @property
    def cycles(self) -> CycleView:
        found = self.view.cycles
        assert found is not None
        return found

    @property
    def market(self) -> PerpetualMarket:
        found = self.run.session.model.world.contracts["PerpetualMarket"]
        assert isinstance(found, PerpetualMarket)
        return found

    def wait(self, seconds: int) -> None:
        self.run.go_to(self.run.system.timestamp + seconds)

    def equity(self, name: str) -> int:
        return self.cycles.equity(trader(name))

    def lose(self, number: int) -> None:
        """A long fails against `rich`, who closes; the price comes back; then a cycle without losses."""
        name, crank = f"thin_{number}", self.keeper("margin_crank")
        self.deposit(name, 60)
        self.trade(name, "rich", 100)
        self.wait(60)
        self.see(120)
        self.work(crank)
        self.wait(MARGIN.window)
        self.work(crank)
        self.mark()
        self.do("PerpetualDesk", "take", ETH, 100, by=trader("rich"))
        for _ in range(2):
            self.wait(MARGIN.window)
            self.see(200)
            self.work(crank)
        # The index follows, so that new risk may be taken.
        self.feed(200)
        self.wait(60)
        self.mark()

    def work(self, *keepers: Keeper) -> list[Intent]:
        """Have keepers act until they want nothing; every call goes."""
        called: list[Intent] = []
        for _ in range(50):
            before = len(called)
            for keeper in keepers:
                for intent in keeper.decide(self.view, Memory(), 0):
                    assert self.run.apply(intent.action).reason is None, intent
                    called.append(intent)
            if len(called) == before:
                check_books(self.market)
                return called
        raise AssertionError(f"they never end: {called[-5:]}")


def methods(called: list[Intent]) -> list[str]:
    return [each.action.method for each in called]
