"""The small crash with a backstop pool in its margin market, for keepers that work with it."""

from __future__ import annotations

import dataclasses
from typing import Any

from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.parameter_dataclasses import (
    BackstopParameters,
    FacilitatorParameters,
    MarginParameters,
    PerpetualParameters,
)
from backstop.deployment.role_accounts import get_account
from backstop.keepers.keeper_role_register import Intent, Keeper, KeeperMemory
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.margin_orders import Order
from backstop.model.perpetual_liquidity_vault import PerpetualLiquidityVault
from backstop.model.perpetual_market import PerpetualMarket
from tests.support.keeper_scenario import KeeperScenario

ETH, POOL, HOUSE, DAY = 0, "PerpetualLiquidityVault", "PerpetualMarket", 86_400
MARGIN = MarginParameters(
    (PerpetualParameters("ETH", WAD // 100, 1_000, 500),), backstop=BackstopParameters(limit=1_500)
)


class PoolScenario(KeeperScenario):
    """The small crash with a margin market and 2,000 of the saver's in a pool; a lot is 2 at first."""

    def __init__(self) -> None:
        super().__init__(
            {"margin": MARGIN, "facilitators": (FacilitatorParameters("Perpetuals", line=1_000),)}
        )
        self.nonce = 0
        for contract in (HOUSE, POOL):
            self.do("Stablecoin", "approve", self.run.at[contract], MAX_UINT256, by="market_maker")
        self.mark_ether_market()
        self.do(HOUSE, "advance_cycle", by="saver")
        self.do(POOL, "deposit", 2_000 * WAD, get_account("saver"), by="market_maker")

    def do(self, contract: str, method: str, *args: object, by: str) -> Any:
        return self.run.apply_or_raise(contract, method, *args, sender=get_account(by))

    def build_keeper(
        self, role: str = "backstop_keeper", name: str = "", index: int = 0, **options: Any
    ) -> Keeper:
        found = super().build_keeper(role, name or role, index, **{"most": 100} | options)
        return dataclasses.replace(found, reports=self.run.signed)

    def set_price_seen_by_reporters(self, dollars: float) -> None:
        """A price that reporters see from now on."""
        path = self.run.sources["ETH"]
        path[self.run.block :] = [int(dollars * RAY)] * (len(path) - self.run.block)

    def mark_ether_market(self) -> None:
        assert self.run.signed is not None
        self.do(
            "PriceFeed",
            "submit_signed_reports",
            tuple(self.run.signed.get_newest_reports(self.view).values()),
            by="saver",
        )
        self.do(HOUSE, "accrue", ETH, by="saver")

    def deposit_margin(self, name: str, coins: int) -> None:
        self.do(HOUSE, "deposit", get_trader_account(name), coins * WAD, by="market_maker")

    def trade_at_mark(self, buyer: str, seller: str, lots: int) -> None:
        """At the mark."""
        orders: list[Any] = []
        assert self.view.cycles is not None
        price, chain_id = self.view.cycles.get_last_mark(ETH), self.run.session.model.world.chain_id
        for name, size in ((buyer, lots), (seller, -lots)):
            self.nonce += 1
            order = Order(get_trader_account(name), ETH, size, price, MAX_UINT256, self.nonce)
            orders += [order, sign_order(name, order, chain_id, self.run.at["MarginOrders"])]
        self.do("MarginOrders", "fill", *orders, lots, by="saver")

    @property
    def pool(self) -> PerpetualLiquidityVault:
        found = self.run.session.model.world.contracts[POOL]
        assert isinstance(found, PerpetualLiquidityVault)
        return found

    @property
    def size(self) -> int:
        return self.pool._get_size(ETH)

    def read_trader_position_size(self, name: str) -> int:
        """Lots of a trader."""
        house = self.run.session.model.world.contracts[HOUSE]
        assert isinstance(house, PerpetualMarket)
        return int(house.positions[get_trader_account(name), ETH].size)

    def advance_clock(self, seconds: int) -> None:
        self.run.advance_clock(self.run.system.timestamp + seconds)

    def request_redeem(self, shares: int | None = None) -> int:
        amount = self.pool.held(get_account("saver")) if shares is None else shares
        self.do(POOL, "requestRedeem", amount, get_account("saver"), get_account("saver"), by="saver")
        return self.run.system.timestamp // DAY

    def run_keeper(self, keeper: Keeper) -> list[str]:
        """Have a keeper act until it wants nothing; every call goes. Their methods."""
        called: list[Intent] = []
        for _ in range(20):
            before = len(called)
            for intent in keeper.decide_calls(self.view, KeeperMemory(), 0):
                assert self.run.apply(intent.action).reason is None, intent
                called.append(intent)
            if len(called) == before:
                return [each.action.method for each in called]
        raise AssertionError(f"it never ends: {called[-5:]}")
