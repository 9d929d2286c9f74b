"""A random game of all moves, with everybody's accounts kept beside it: the alarm *books*.

It goes wherever the fuzzer's moves go. Of each call it asks who has more by it, who has less, and whether
that is the call's affair; at times also what else might have been done at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple

from backstop.deployment.contract_names import STABLECOIN_POOLS
from backstop.deployment.deployment_parameters import Parameters, StageParameters, TreasuryParameters
from backstop.deployment.deployment_plan import Deployment, plan_deployment
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.owned import same_address
from backstop.model.state import Revert
from backstop.proof.fuzz import catalogue  # noqa: F401 (it registers the moves)
from backstop.proof.fuzz.deployments import draw_parameters
from backstop.proof.fuzz.moves import MOVES, Move
from backstop.proof.fuzz.opening import opening
from backstop.proof.fuzz.scene import PEOPLE, Scene, Wait
from backstop.studies.hunt.books import OUTSIDE, Books, Prices, Sheet
from backstop.studies.hunt.borne import Borne
from backstop.studies.hunt.fair import Fair
from backstop.studies.hunt.finding import Finding
from backstop.studies.hunt.levels import Levels
from backstop.studies.hunt.limits import Limits
from backstop.studies.hunt.past import Past
from backstop.studies.hunt.powers import CALLER, CLAIMS, DOMAIN, INCOME, IT, MAY, NAMED, OTHER, OWNER, POOL
from backstop.studies.hunt.questions import Questions, Told
from backstop.studies.hunt.setting import Setting, Step, without_crumbs
from backstop.studies.hunt.story import act_text, name_of
from backstop.system import Action, Log

FOCUSES = ("margin", "equity", "domains", "workouts", "savings", "losses", "auctions", "winding_up")
"""Rooms of the catalogue that a run is mostly about; it has what it takes."""
LEAST = 100 * WAD
"""What makes a story, beyond what a unit of each token is worth."""
STEPS = 6
"""Of each run, for each trial."""
# The admin decides; what it decides is no attack.
_NOT_PLAYED = ("administration", "reserved", "tokens", "corners")
_ROOMS = {
    "losses": ("losses", "auctions", "savings"),
    "savings": ("savings", "losses"),
    "margin": ("margin", "cycles", "prices"),
}
_PRICED = ("PriceFeed", "MarginPolicy")
_REPRICES = ("fix_price", "fix")
_WORN = ("losses", "savings")
_WEIGHT = 6


class Run(NamedTuple):
    """One run of a case: what is drawn for it."""

    seed: int
    focus: str


class Game:
    """One run, step by step."""

    def __init__(self, run: Run) -> None:
        self.run = run
        random = Random(f"game {run.seed} {run.focus}")
        self.parameters = _parameters(random, run.focus)
        deployment = plan_deployment(self.parameters)
        self.setting = Setting(self.parameters, tuple(opening(deployment, random)), ())
        self.system = self.setting.new()
        if run.focus in (*_WORN, "equity"):
            self._begin_later(deployment, random)
        self.books = Books(deployment, self.system.world)
        self.random = random
        self.scene = Scene(deployment, self.system.world, random)
        self.done: list[Action | int] = []
        self.contracts: dict[str, Any] = dict(self.system.world.contracts)
        self.questions = Questions(self.system, self.books, self.kind_of)
        self.levels = Levels(self.system, self.books, self.parameters)
        self.limits = Limits(self.system, self.books, self.parameters)
        self.borne = Borne(self.system, self.books, self.parameters, deployment.get_account("admin"))
        self.fair = Fair(self.system, self.books, deployment, self.questions.count)
        self._admin = deployment.get_account("admin")
        self._known: Sheet | None = None

    def _begin_later(self, deployment: Deployment, random: Random) -> None:
        """Let pools lose nearly all assets before the game, or the reserve receive a month's fees."""
        feed = self.system.world.contracts["PriceFeed"].tables["prices"]
        past = Past(self.system, deployment, {market: each.current for market, each in feed.items()})
        people = tuple(map(get_account, PEOPLE))
        past.fund(min(1, len(self.parameters.collateral_types) - 1) if self.run.focus in _WORN else 0, people)
        if self.run.focus in _WORN:
            past.lose(0, get_account("borrower_2"), people, random)
            past.enter(people, random)
        else:
            past.earn(0, 30)
        self.setting = self.setting._replace(opening=(*self.setting.opening, *past.done))

    def play(self, steps: int) -> Iterator[Told]:
        """Play so many steps; yield what is not as it should be."""
        moves = [each for each in MOVES.values() if _is_played(each)]
        rooms = _ROOMS.get(self.run.focus, (self.run.focus,))
        weights = [each.weight * (_WEIGHT if _room(each) in rooms else 1) for each in moves]
        count = tried = 0
        while count < steps and tried < 8 * steps:
            self.scene.late = count > steps * 0.85
            move = self.random.choices(moves, weights)[0]
            try:
                for what in move.play(self.scene):
                    if isinstance(what, Wait):
                        yield from self._wait(max(0, what.seconds))
                    elif not self._is_the_admins(what):
                        had = len(self.done)
                        yield from self._step(what)
                        count += len(self.done) > had and what.contract != "PriceFeed"
                        tried += 1
            except Revert:
                pass  # what a move asks the model may revert: then it gives up

    def _wait(self, seconds: int) -> Iterator[Told]:
        """Let time pass: fees are paid and income vests, nothing else."""
        prices = Prices(self.system.world, len(self.books.symbols))
        before, rates = self._known or self.questions.count(prices), self.levels.rates()
        self.system.advance(seconds)
        self.done.append(seconds)
        after = self._known = self.questions.count(prices)
        nobody = Action("nobody", "time", (), "")
        yield from self._judge(nobody, (), set(), before, after, self.least(prices))
        yield from self.levels.waited(seconds, rates)

    def _is_the_admins(self, action: Action) -> bool:
        sets = action.method.startswith(("set_", "transfer_admin", "add_", "propose"))
        return sets and action.sender == self._admin and action.contract != "MarginPolicy"

    def _step(self, action: Action) -> Iterator[Told]:
        world = self.system.world
        if action.contract in _PRICED or action.method in _REPRICES or self._is_outside(action.contract):
            if self._do(action):
                yield from self.levels.priced(action)
            self._known = None
            return
        if not self.system.dry_run(action).ok:
            return
        prices = Prices(world, len(self.books.symbols))
        least = self.least(prices)
        before = self._known or self.questions.count(prices)
        asked = Random(f"{self.run.seed} {len(self.done)}")
        yield from self.borne.before(action)
        yield from self.questions.before(action, prices, least, asked)
        yield from self.fair.before(action, prices, least)
        owner = self._owner(action)
        permitted = set(self._permitting(action))
        self.levels.before(action)
        self.limits.before(action)
        logs = self._do(action)
        after = self._known = self.questions.count(prices)
        yield from self._judge(action, owner, permitted, before, after, least)
        yield from self.levels.after(action, logs, prices, before, after, least)
        yield from self.limits.after(action)
        yield from self.borne.after(action)
        yield from self.questions.after(action, prices, after, least, asked)
        yield from self.fair.after(action, logs, asked)

    def _do(self, action: Action) -> tuple[Log, ...]:
        outcome = self.system.apply(action)
        if outcome.ok:
            self.done.append(action)
        return outcome.logs

    def _permitting(self, action: Action) -> Iterator[str]:
        """Yield who lets the caller act for him."""
        contract = self.contracts[action.contract]
        for who in {each for each in action.args if isinstance(each, str)}:
            for table in ("approvals", "operators", "allowances"):
                if table in vars(contract) and vars(contract)[table][who, action.sender]:
                    yield who

    def least(self, prices: Prices) -> int:
        """Return what makes a story now [rad]: more than rounding to a unit of each token."""
        terms = self.contracts["VaultEngine"].terms
        return LEAST * RAY + 2 * sum(each.unit * prices.types[c] for c, each in terms.items())

    def _is_outside(self, name: str) -> bool:
        contract = self.contracts.get(name)
        symbols = [each.symbol for each in self.parameters.collateral_types]
        return contract is None or name in symbols or contract.address in self.books.outside

    def _owner(self, action: Action) -> tuple[str, ...]:
        """Return whose thing is sold, or worked out, by its id; or who signed."""
        contracts, first = self.contracts, action.args[0] if action.args else None
        if action.contract == "MarginOrders" and action.method == "fill":
            return action.args[0].account, action.args[2].account
        if not isinstance(first, int):
            return ()
        if action.contract == "CollateralAuction":
            return (str(contracts["CollateralAuction"].owners[first].owner),)
        if action.contract == "Workouts":
            return (str(contracts["Workouts"].schedules[first].owner),)
        return ()

    def _judge(
        self,
        action: Action,
        owner: tuple[str, ...],
        permitted: set[str],
        before: Sheet,
        after: Sheet,
        least: int,
    ) -> Iterator[Told]:
        """Say who has more, or less, though it is not the call's affair."""
        kind = self.kind_of(action)
        allowed = MAY.get(kind, MAY.get(f"Pool.{action.method}", ()) if kind.startswith("Staked") else ())
        for who in {*before, *after}:
            change = after.get(who, 0) - before.get(who, 0)
            if abs(change) <= least or who == OUTSIDE:
                continue
            sign = "+" if change > 0 else "-"
            roles = list(self._roles(action, owner, who))
            if change < 0 and who in permitted:
                continue
            if not any(f"{role} {sign}" in allowed for role in roles):
                verb = "gains" if change > 0 else "loses"
                says = f"{name_of(who)} {verb} {abs(change) / RAD:,.2f}"
                yield Told(f"{kind}: {roles[0]} {verb}", abs(change) // RAY, says)
            if change < 0 and not who.startswith("0x") and after[who] < -least and _must_cover(who):
                says = f"{who} lacks {-after[who] / RAD:,.2f}"
                yield Told(f"{kind}: {roles[0]} owes more than it has", -after[who] // RAY, says)

    def _roles(self, action: Action, owner: tuple[str, ...], who: str) -> Iterator[str]:
        if same_address(who, action.sender):
            # With all of its accounts.
            yield CALLER
        if who in owner:
            yield OWNER
        at = self.contracts[who].address if who in self.contracts else who
        if at in action.args:
            yield NAMED
        if who == action.contract:
            yield IT
        if who.startswith("0x"):
            yield OTHER
        elif who in (*STABLECOIN_POOLS, "StakedEquity"):
            yield POOL
        elif who.endswith(".Claims"):
            yield CLAIMS
        elif who.endswith(" income"):
            yield INCOME
        elif who in self.books.domains:
            yield DOMAIN
        else:
            yield who

    def kind_of(self, action: Action) -> str:
        """Name a call by its kind of contract."""
        name = action.contract
        if name in STABLECOIN_POOLS:
            name = "Pool"
        elif name.endswith(".Claims"):
            name = "Claims"
        elif name in self.books.domains:
            name = "Domain"
        return f"{name}.{action.method}"


def _must_cover(part: str) -> bool:
    """Tell of a part whether it has to have all that it owes: the ledger's deficits are another matter."""
    return part not in (
        "the ledger",
        "auctions",
        "workouts",
        "PerpetualMarket",
    ) and not part.startswith("Domain")


def _room(move: Move) -> str:
    return move.play.__module__.rpartition(".")[2]


def _is_played(move: Move) -> bool:
    return _room(move) not in _NOT_PLAYED and not move.name.startswith("set_")


def _parameters(random: Random, focus: str) -> Parameters:
    """Draw a deployment that has what a run is about, with tokens that do as they say."""
    while True:
        drawn = draw_parameters(random)
        has = {
            "margin": drawn.margin,
            "equity": drawn.equity,
            "domains": drawn.domains,
            "workouts": drawn.guards and drawn.guards.workouts and drawn.guards.breaker,
        }.get(focus, True)
        if has and len(drawn.collateral_types) < 5:
            break
    if focus == "equity" and drawn.equity is not None:
        # There is surplus to sell.
        equity = replace(drawn.equity, surplus_lot=1_000)
        rich = (replace(each, buffer_share=0) for each in drawn.collateral_types)
        treasury = TreasuryParameters(random.choice((0, 1)))
        drawn = replace(drawn, collateral_types=tuple(rich), treasury=treasury, equity=equity)
    if focus in _WORN:
        # Who bears what is left once the first stages are dry.
        caps = (2_500, 5_000, 10_000) if focus == "losses" else (10_000,)
        stages = tuple(
            replace(each, cap_bps=random.choice(caps), cap_absolute=None)
            for each in drawn.stages
            if each.name not in ("scripted", "minted_equity", "staked_equity")
        )
        first, *others = drawn.collateral_types
        types = without_crumbs(first), *others
        drawn = replace(
            drawn, collateral_types=types, stages=stages or (StageParameters("savings"),), guards=None
        )
    types = tuple(
        replace(each, decimals=max(6, each.decimals), token="Token") for each in drawn.collateral_types
    )
    return replace(drawn, collateral_types=types)


def hunt(seed: int, trials: int, focuses: Sequence[str] = FOCUSES) -> list[Finding]:
    """Play a case's runs; return the largest story of each kind."""
    best: dict[str, Finding] = {}
    for index, focus in enumerate(focuses):
        game = Game(Run(seed, focus))
        for told in game.play(STEPS * trials):
            size = min(told.size, 10**40)
            if told.kind not in best or best[told.kind].size < size:
                lines = _lines(game)
                best[told.kind] = Finding(
                    "books", told.kind, seed, index, (), (), size, told.says, (*lines, *told.lines)
                )
    return list(best.values())


def _lines(game: Game) -> tuple[str, ...]:
    last = [each for each in game.done if isinstance(each, Action)][-1:]
    return (f"run {game.run.focus}, step {len(game.done)}", *map(act_text, last))


def histories(finding: Finding) -> Iterator[tuple[Setting, Sequence[Step]]]:
    """Play a run again, up to its story."""
    focus = FOCUSES[finding.trial]
    game = Game(Run(finding.seed, focus))
    for told in game.play(10**5):
        if told.kind == finding.kind and min(told.size, 10**40) == finding.size:
            break
    yield game.setting, game.done
