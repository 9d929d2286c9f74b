"""The small crash with a margin market, for keepers: a price that reporters sign, accounts, trades."""

from __future__ import annotations

import dataclasses
from typing import Any

from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.parameter_dataclasses import (
    FacilitatorParameters,
    MarginParameters,
    PerpetualParameters,
)
from backstop.deployment.role_accounts import get_account
from backstop.keepers.cycle_view import CycleView
from backstop.keepers.keeper_role_register import Intent, Keeper, KeeperMemory
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.margin_orders import Order
from backstop.model.perpetual_market import PerpetualMarket
from tests.support.keeper_scenario import KeeperScenario
from tests.support.perpetual_test_market import check_books

ETH = 0
_TERMS = PerpetualParameters("ETH", WAD // 100, 1_000, 500, of_market=((0, 0), (0, 0)))
MARKETS = (_TERMS, dataclasses.replace(_TERMS, symbol="XAUT"))
MARGIN = MarginParameters(MARKETS, facilitator="Perpetuals")
FACILITATOR = FacilitatorParameters("Perpetuals", line=1_000)


class MarginScenario(KeeperScenario):
    """The small crash with a margin market, some of its terms otherwise, at 200 an ether: a lot is 2."""

    def __init__(self, **terms: Any) -> None:
        super().__init__({"margin": dataclasses.replace(MARGIN, **terms), "facilitators": (FACILITATOR,)})
        self.nonce = 0
        self.memory = KeeperMemory()
        for contract in ("PerpetualMarket", "MarginFund"):
            self.do("Stablecoin", "approve", self.run.at[contract], MAX_UINT256, by="market_maker")
        self.mark_markets()
        self.do("PerpetualMarket", "advance_cycle", by="saver")

    def do(self, contract: str, method: str, *args: object, by: str) -> None:
        self.run.apply_or_raise(
            contract, method, *args, sender=by if by.startswith("0x") else get_account(by)
        )

    def build_keeper(self, role: str, name: str = "me", index: int = 0, **options: Any) -> Keeper:
        found = super().build_keeper(role, name, index, **{"most": 100} | options)
        return dataclasses.replace(found, reports=self.run.signed)

    def set_reported_price(self, dollars: float, symbol: str = "ETH") -> None:
        """A price that reporters see from now on."""
        path = self.run.sources[symbol]
        path[self.run.block :] = [int(dollars * RAY)] * (len(path) - self.run.block)

    def mark_markets(self) -> None:
        """Update all markets' marks to the reporters' prices."""
        assert self.run.signed is not None
        reports = self.run.signed.get_newest_reports(self.view)
        self.do("PriceFeed", "submit_signed_reports", tuple(reports.values()), by="saver")
        for m in range(len(MARKETS)):
            self.do("PerpetualMarket", "accrue", m, by="saver")

    def deposit_margin(self, name: str, coins: int) -> None:
        self.do("PerpetualMarket", "deposit", get_trader_account(name), coins * WAD, by="market_maker")

    def sign_order_at_mark(
        self, name: str, size: int, market_id: int = ETH, price: int | None = None, **more: Any
    ) -> tuple[Order, bytes]:
        """An order at the mark, or at a price [wei a lot], and its signature."""
        self.nonce += 1
        at = self.cycle_view.get_last_mark(market_id) if price is None else price
        order = Order(
            get_trader_account(name),
            market_id,
            size,
            at,
            **{"expiry": MAX_UINT256, "nonce": self.nonce} | more,
        )
        chain_id = self.run.session.model.world.chain_id
        return order, sign_order(name, order, chain_id, self.run.at["MarginOrders"])

    def trade_at_mark(self, buyer: str, seller: str, lots: int, market_id: int = ETH) -> None:
        """At the mark."""
        both = (
            *self.sign_order_at_mark(buyer, lots, market_id),
            *self.sign_order_at_mark(seller, -lots, market_id),
        )
        self.do("MarginOrders", "fill", *both, lots, by="saver")

    def give_keeper_approved_stablecoins(self, coins: int) -> None:
        self.do("Stablecoin", "transfer", get_account("me"), coins * WAD, by="market_maker")
        self.do("Stablecoin", "approve", self.run.at["PerpetualMarket"], MAX_UINT256, by="me")

    @property
    def cycle_view(self) -> CycleView:
        found = self.view.cycles
        assert found is not None
        return found

    @property
    def market(self) -> PerpetualMarket:
        found = self.run.session.model.world.contracts["PerpetualMarket"]
        assert isinstance(found, PerpetualMarket)
        return found

    def pass_time(self, seconds: int) -> None:
        self.run.advance_clock(self.run.system.timestamp + seconds)

    def read_equity(self, name: str) -> int:
        return self.cycle_view.get_account_equity(get_trader_account(name))

    def make_loss_cycle(self, number: int) -> None:
        """Make a long fail against `rich`, which closes.

        The price comes back; then a cycle without losses.
        """
        name, crank = f"thin_{number}", self.build_keeper("margin_crank")
        self.deposit_margin(name, 60)
        self.trade_at_mark(name, "rich", 100)
        self.pass_time(60)
        self.set_reported_price(120)
        self.run_keepers_until_idle(crank)
        self.pass_time(MARGIN.window)
        self.run_keepers_until_idle(crank)
        self.mark_markets()
        self.do("PerpetualTrading", "take", ETH, 100, by=get_trader_account("rich"))
        for _ in range(2):
            self.pass_time(MARGIN.window)
            self.set_reported_price(200)
            self.run_keepers_until_idle(crank)
        # The index follows, so that new risk may be taken.
        self.set_feed_and_market_price(200)
        self.pass_time(60)
        self.mark_markets()

    def run_keepers_until_idle(self, *keepers: Keeper) -> list[Intent]:
        """Have keepers act until they want nothing; every call goes."""
        called: list[Intent] = []
        for _ in range(50):
            before = len(called)
            for keeper in keepers:
                for intent in keeper.decide_calls(self.view, KeeperMemory(), 0):
                    assert self.run.apply(intent.action).reason is None, intent
                    called.append(intent)
            if len(called) == before:
                check_books(self.market)
                return called
        raise AssertionError(f"they never end: {called[-5:]}")


def list_intent_methods(intents: list[Intent]) -> list[str]:
    return [each.action.method for each in intents]
