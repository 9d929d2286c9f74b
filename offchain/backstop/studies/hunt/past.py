"""The past of a setting: losses that left pools with next to nothing before a history begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from backstop.deployment.contract_names import STABLECOIN_POOLS
from backstop.deployment.deployment_plan import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.hosts.model_system import ModelSystem
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, WAD, div_up
from backstop.system import Action, Outcome

CRASH = 10**6
"""By how much the price of the lost collateral falls, for a while."""
FUNDS = 20_000
"""The first draw of an account without coins [whole coins]."""
HIGH_FEE = 10**19
"""Of a type for a while [ray a second]: a third in a year."""
ROUNDS = 24
"""For so many rounds of two steps of the feed a lot is for sale at most, before it is given up."""
LEFT = (1, 10**3), (1, 10**6), (1, 10**9), (1, 10**12)
"""Of what a pool had this part may be what it has left."""


class Past:
    """A deployment in which something happens before anybody looks; what was done is kept in `done`."""

    def __init__(self, system: ModelSystem, deployment: Deployment, prices: Mapping[int, int]) -> None:
        self.system = system
        self.deployment = deployment
        self.done: list[Action | int] = []
        self._contracts: dict[str, Any] = dict(system.world.contracts)
        # By market of the feed [ray].
        self._prices = dict(prices)
        self._pools = [name for name in STABLECOIN_POOLS if name in deployment.addresses]

    def lose(self, c: int, loser: str, members: Sequence[str], random: Random) -> bool:
        """Let a debt fail that takes nearly all of a pool and all stages before it; False if none can."""
        self.enter(members, random)
        amount = self.reaching(c, random, LEFT)
        if not amount:
            return False
        self.draw(c, loser, amount)
        if random.random() < 0.5:
            self._cut(random)
        return self.fail(c, loser).ok

    def fail(self, c: int, loser: str) -> Outcome:
        """Let a debt lose its collateral's worth, and cover its loss, while prices fall and come back."""
        price, lots = self._prices[c], self._contracts["CollateralAuction"].lots
        self._price(c, max(1, price // CRASH))
        self._do(loser, "LiquidationEngine", "liquidate", c, loser, loser)
        for _ in range(ROUNDS):
            self._price(c, self._prices[c])
            sold = [id for id, lot in lots.items() if lot.target]
            if all([self._do(loser, "CollateralAuction", "close", id).ok for id in sold]):
                break
        covered = self._do(loser, "LossWaterfall", "cover", c)
        self._price(c, price)
        return covered

    def fund(self, c: int, people: Sequence[str]) -> None:
        """Let members draw the coins that they may bring to pools."""
        for who in people:
            self.draw(c, who, FUNDS * WAD)

    def earn(self, c: int, days: int) -> None:
        """Charge borrowers of a type high fees for some days; the reserve receives its share."""
        admin, fee = self.deployment.get_account("admin"), self.deployment.parameters.collateral_types[c]
        self._do(admin, "VaultEngine", "set_stability_fee", c, HIGH_FEE)
        self._wait(days * 86_400)
        self._do(admin, "VaultEngine", "set_stability_fee", c, fee.stability_fee)
        self._price(c, self._prices[c])

    def _do(self, by: str, contract: str, method: str, *args: object) -> Outcome:
        action = Action(contract, method, args, by)
        outcome = self.system.apply(action)
        if outcome.ok:
            self.done.append(action)
        return outcome

    def _wait(self, seconds: int) -> None:
        self.system.advance(seconds)
        self.done.append(seconds)

    def enter(self, members: Sequence[str], random: Random) -> None:
        """Let a member enter each pool; at times the pool also receives income, which has not vested."""
        for name in self._pools:
            who = random.choice(members)
            self._do(who, name, "deposit", random.choice((1_000, 3_000)) * WAD, who)
            if random.random() < 0.3:
                self._do(who, name, "add_income", random.choice((10, 500)) * WAD)

    def reaching(self, c: int, random: Random, parts: Sequence[tuple[int, int]]) -> int:
        """Draw a pool; return the debt whose loss leaves it a part of what it has [wad]; 0 if none can."""
        waterfall, total = self._contracts["LossWaterfall"], 0
        found: list[tuple[int, int]] = []
        names = {at: name for name, at in self.deployment.addresses.items()}
        for k in waterfall.lineup[()].ids:
            stage = waterfall.stages[k]
            if stage.asynchronous:
                break
            held = waterfall._capacity(k, c)[1] // RAY
            total += held
            if names.get(stage.stage) in self._pools:
                found.append((total, held))
        if not found:
            return 0
        (lost, held), (part, whole) = random.choice(found), random.choice(parts)
        amount = int(lost - held * part // whole)
        return amount if amount >= self._contracts["VaultEngine"].terms[c].debt_floor * WAD else 0

    def draw(self, c: int, loser: str, amount: int) -> None:
        """Let an account borrow so much [wad]."""
        terms = self.deployment.parameters.collateral_types[c]
        unit = 10 ** (18 - terms.decimals)
        ratio = 2 * terms.initial_ratio
        locked = div_up(div_up(amount * RAY * ratio, self._prices[c] * BASIS_POINTS), unit) * unit
        self._do(loser, terms.symbol, "mint", loser, locked // unit)
        self._do(loser, terms.symbol, "approve", self.deployment.addresses["VaultEngine"], MAX_UINT256)
        self._do(loser, "VaultEngine", "deposit_and_draw", c, loser, locked, amount, loser)

    def _cut(self, random: Random) -> None:
        """Leave a cut batch waiting in each pool."""
        for name in self._pools:
            pool = self._contracts[name]
            for who in [each for each in pool.holders() if each != pool.address and pool.held(each)]:
                if random.random() < 0.5:
                    self._do(who, name, "requestRedeem", div_up(pool.held(who), 2), who, who)
        until = [self._contracts[name].cut_from() for name in self._pools]
        self._wait(max(1, min(max(until) - self.system.timestamp, 86_400)))
        for name in self._pools:
            self._do(get_account("poker"), name, "cut")

    def _price(self, c: int, price: int) -> None:
        """Report a price of a type by all reporters, and the known prices of others, until it is current."""
        self._prices[c] = price
        feed = self._contracts["PriceFeed"]
        for _ in range(2):
            self._wait(max(feed.configs[at].step for at in self._prices))
            for at, known in self._prices.items():
                for index in range(1, 1 + feed.configs[at].reporters):
                    reporter = feed.reporters[at, index]
                    if reporter not in self.system.addresses.values():
                        self._do(reporter, "PriceFeed", "report", at, known)
                self._do(get_account("poker"), "PriceFeed", "poke", at)
