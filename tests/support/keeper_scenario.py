"""A scenario on the model: block by block, or with one keeper of a role at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from backstop.keepers.keeper_group_settings import GasPolicy, KeeperGroup
from backstop.keepers.keeper_role_register import Keeper, KeeperMemory
from backstop.keepers.keeper_view import KeeperView
from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.scenario_records import Vault
from backstop.simulation.simulator import Simulation
from tests.support.checkout_paths import DATA

SMALL = DATA / "runs" / "small.yaml"


GWEI = 10**9


def iter_simulation_after_each_block(scenario_name: str) -> Iterator[Simulation]:
    """A scenario on the model with its book opened, handed out after each of its blocks."""
    scenario = load_scenario(scenario_name)
    with open_deployment_session(scenario, "model", 1) as session:
        run = Simulation(scenario, session, 1)
        run.open_book(lambda *_: None, lambda: False)
        for block in range(scenario.blocks + 1):
            run.block, run.now = block, block * scenario.block_time
            run.run_block()
            yield run


class KeeperScenario:
    """The small crash with three vaults of our own, stopped whenever a test wants to look."""

    def __init__(self, parameters: dict | None = None, **changes) -> None:
        base = load_scenario(SMALL)
        vaults = (
            Vault("safe", "ETH", 1_000 * WAD, 60_000 * WAD),
            Vault("edge", "ETH", 1_000 * WAD, 125_000 * WAD),
            Vault("brink", "ETH", 2_000 * WAD, 240_000 * WAD),
            Vault("bank", "XAUT", 3_000 * WAD, 3_000_000 * WAD),
        )
        markets = {
            symbol: dataclasses.replace(each, depth=500_000 * WAD) for symbol, each in base.markets.items()
        }
        scenario = dataclasses.replace(
            base,
            vaults=vaults,
            generated={},
            markets=markets,
            parameters=dataclasses.replace(base.parameters, **parameters or {}),
            **{"members": {}, "keepers": ()} | changes,
        )
        self._context = open_deployment_session(scenario, "model", 1)
        self.run = Simulation(scenario, self._context.__enter__(), 1)
        self.run.open_book(lambda *_: None, lambda: False)
        self.run.rebalance_local_markets(0)

    def close(self) -> None:
        self._context.__exit__(None, None, None)

    @property
    def view(self) -> KeeperView:
        return self.run.build_keeper_view()

    def set_feed_and_market_price(self, price: int) -> None:
        """The price of ETH as the feed has it, and outside from now on."""
        for _ in range(2):
            self.report_next_ether_price(price)
        path = self.run.paths["ETH"]
        path[self.run.block :] = [price * RAY] * (len(path) - self.run.block)
        depth = 500_000 * WAD
        maker = self.run.register_account("market_maker")
        self.run.apply_or_raise("Market.ETH", "set_liquidity", depth // price, depth, sender=maker)

    def report_next_ether_price(self, price: int) -> None:
        """Report a price of ETH, after a step: the feed's next one."""
        self.run.advance_clock(self.run.system.timestamp + 600)
        now_all = dict(enumerate((price * RAY, *self.run.market_prices()[1:])))
        if self.run.scenario.parameters.equity is not None:
            now_all[EQUITY_MARKET] = self.run.equity_price
        for c, now in now_all.items():
            for i in range(4):
                reporter = self.run.register_account(f"reporter_{i + 1}")
                self.run.apply_or_raise("PriceFeed", "report", c, now, sender=reporter)
            self.run.apply_or_raise("PriceFeed", "poke", c, sender=reporter)

    def liquidate(self, owner: str) -> int:
        sender = self.run.register_account("liquidator")
        owner = self.run.register_account(owner)
        self.run.apply_or_raise("LiquidationEngine", "liquidate", 0, owner, sender, sender=sender)
        return int(self.run.session.model.view("CollateralAuction", "last_id"))

    def build_keeper(self, role: str, name: str = "me", index: int = 0, **options) -> Keeper:
        group = KeeperGroup(name, role, options.pop("count", 1), GasPolicy(fixed=GWEI), **options)
        return Keeper(name, self.run.register_account(name), group, index)

    def wants(self, keeper: Keeper, memory: KeeperMemory | None = None, gas_price: int = GWEI) -> list[tuple]:
        intents = keeper.decide_calls(self.view, memory or KeeperMemory(), gas_price)
        return [(each.action.method, *each.action.args) for each in intents]
