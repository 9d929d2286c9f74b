"""What a coalition does: a plan of acts, each the beginning of a move of the fuzzer's catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from backstop.deployment.contract_names import STABLECOIN_POOLS
from backstop.deployment.deployment_plan import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.model.state import Revert, World
from backstop.proof.fuzz import catalogue  # noqa: F401 (it registers the moves)
from backstop.proof.fuzz.moves import MOVES
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.studies.hunt.honest import Town
from backstop.studies.hunt.script import TICK
from backstop.studies.hunt.setting import COALITION, CROWD, HONEST
from backstop.system import Action

PHASES = 3
"""A tick's: before the feed has the new price, after it, after the keeper."""
LIE = "report"
"""An act that is no move: a bought reporter says what it likes."""
SWARM = "swarm"
"""Another one: many accounts bring, ask for and cut dust."""
DUST = 10**15
"""The deposit of each account of the crowd [wad]."""
# What a coalition may call: the protocol, not the tokens of a test that anybody may mint.
PROTOCOL = (
    "VaultEngine",
    "LiquidationEngine",
    "CollateralAuction",
    "LossWaterfall",
    *STABLECOIN_POOLS,
    *(f"{pool}.Claims" for pool in STABLECOIN_POOLS),
    "Stablecoin",
    "Settlement",
    "Treasury",
    "Equity",
    "StakedEquity",
    "StakeAuction",
    "MintAuction",
    "SurplusAuction",
)
# What moves only what is one's own: everything else is done to others, or for them.
OWN = frozenset(
    (
        "deposit_and_draw",
        "repay_and_withdraw",
        "approve_operator",
        "deposit",
        "mint",
        "requestRedeem",
        "setOperator",
        "withdraw",
        "redeem",
        "cash",
        "take",
        "add_income",
        "transfer",
        "transferFrom",
        "approve",
        "permit",
        "collect",
        "convert",
    )
)
# Dice that are tried until a move begins with the coalition.
_TRIES = 8


class Act(NamedTuple):
    """One act of a plan: what is begun when, and the dice that draw the rest.

    From the event on the branch counts: what is planned for one is not done in the other.
    """

    tick: int
    phase: int
    branch: int
    move: str
    dice: int


Plan = tuple[Act, ...]
NAMES = (*MOVES, LIE, SWARM)


class CoalitionScene(Scene):
    """A scene in which it is mostly the coalition that acts."""

    def __init__(self, deployment: Deployment, world: World) -> None:
        super().__init__(deployment, world, Random(0))
        self.coalition: tuple[str, ...] = tuple(map(get_account, COALITION))
        self.people = (*self.coalition, *map(get_account, HONEST))
        self.late = True

    def somebody(self) -> str:
        return self.some(self.coalition if self.chance(0.7) else self.people)

    def richest(self) -> str:
        return max(self.coalition, key=self.stablecoin.balances.__getitem__)


class Luck:
    """Which moves came to anything, from one case to the next."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.done: Counter[str] = Counter()

    def draw(self, random: Random) -> str:
        """Draw a move, by how often it was of use."""
        weights = [(self.done[name] + 1) / (self.tried[name] + 2) for name in NAMES]
        return random.choices(NAMES, weights)[0]

    def copy(self) -> Luck:
        """Return a copy that learns on its own."""
        luck = Luck()
        luck.tried.update(self.tried)
        luck.done.update(self.done)
        return luck


class Doing(NamedTuple):
    """An action of the coalition, and the moment of it."""

    tick: int
    phase: int
    action: Action


class Coalition:
    """The coalition at work on one plan; moves that wait go on when their time has come."""

    def __init__(self, town: Town, plan: Plan, event: int, branch: int, luck: Luck | None = None) -> None:
        self.town = town
        self.luck = luck or Luck()
        self.plan = [act for act in plan if act.tick < event or act.branch == branch]
        self.scene = CoalitionScene(town.setting.deployment, town.system.world)
        self.doings: list[Doing] = []
        self._moment = (0, 0)
        self._waiting: list[tuple[int, Iterator[Action | Wait]]] = []

    def act(self, tick: int, phase: int, prices: tuple[int, ...]) -> None:
        """Do what the plan has for this moment, and what was put off until now."""
        self._moment = tick, phase
        due = [each for each in self._waiting if each[0] <= self.town.now]
        self._waiting = [each for each in self._waiting if each[0] > self.town.now]
        for _, moves in due:
            self._go_on(moves, Random(0))
        for act in self.plan:
            if act[:2] == (tick, phase):
                self.luck.tried[act.move] += 1
                if act.move == LIE:
                    self._lie(Random(act.dice), prices)
                    self.luck.done[act.move] += 1
                elif act.move == SWARM:
                    self._swarm(Random(act.dice))
                    self.luck.done[act.move] += 1
                else:
                    self.luck.done[act.move] += self._begin(act)

    def _begin(self, act: Act) -> bool:
        for attempt in range(_TRIES):
            random = Random(act.dice * _TRIES + attempt)
            self.scene.random = random
            if self._go_on(MOVES[act.move].play(self.scene), random):
                return True
        return False

    def _go_on(self, moves: Iterator[Action | Wait], random: Random) -> bool:
        """Play a move as far as it goes now; False if nothing came of it."""
        self.scene.random = random
        done = False
        try:
            for what in moves:
                if isinstance(what, Wait):
                    if what.seconds > 0:
                        self._waiting.append((self.town.now + min(what.seconds, 40 * TICK), moves))
                        return done
                elif what.sender in self.scene.coalition and what.contract in PROTOCOL:
                    done |= self._do(what)
        except Revert:
            pass  # what a move asks the model may revert: then it gives up
        return done

    def _do(self, action: Action) -> bool:
        if not self.town.act(action).ok:
            return False
        self.doings.append(Doing(*self._moment, action))
        return True

    def _swarm(self, random: Random) -> None:
        """Deposit dust from many accounts into a pool, or request half of it; then cut the batch."""
        name, pool = random.choice(list(self.town.pools.items()))
        crowd = random.sample(CROWD, random.choice((3, 12, len(CROWD))))
        leaves = random.random() < 0.7
        for who in crowd:
            if not pool.held(who):
                self._do(Action("Stablecoin", "transfer", (who, DUST), self.scene.richest()))
                self._do(Action("Stablecoin", "approve", (pool.address, DUST), who))
                self._do(Action(name, "deposit", (DUST, who), who))
            if leaves and pool.held(who):
                self._do(Action(name, "requestRedeem", (-(-pool.held(who) // 2), who, who), who))
        self._do(Action(name, "cut", (), crowd[0]))
        self.scene.coalition = (*self.scene.coalition[: len(COALITION)], crowd[0])

    def _lie(self, random: Random, prices: tuple[int, ...]) -> None:
        c = random.choice(self.town.types)
        price = max(1, prices[c] * random.choice((1, 50, 90, 98, 102, 110, 200)) // 100)
        for reporter in self.town.setting.bought[c]:
            self._do(Action("PriceFeed", LIE, (c, price), reporter))
