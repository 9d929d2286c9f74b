"""Whether a call that must succeed does not: the alarm *stuck*."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import NamedTuple

from backstop.deployment.contract_names import STAGES
from backstop.deployment.deployment_parameters import (
    BreakerParameters,
    EquityParameters,
    GuardsParameters,
    Parameters,
    StageParameters,
)
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import WAD
from backstop.model.roles import GUARDIAN, STAGE
from backstop.studies.hunt.calls import CHECKS, ONE, OTHER, Outside, Refusal
from backstop.studies.hunt.coalition import Doing
from backstop.studies.hunt.deeds import LOSSES, STAKE, Deed, ask, borrow, coins, draw_fall, enter, pool_of
from backstop.studies.hunt.finding import Finding
from backstop.studies.hunt.history import moments
from backstop.studies.hunt.honest import Town
from backstop.studies.hunt.script import COMES, TICK, TICKS, Script
from backstop.studies.hunt.setting import HOUR, Setting, Step, draw_edge_parameters, opened
from backstop.studies.hunt.story import act_text, moves, name_of
from backstop.system import Action

TRIALS = 40
STRANGER = get_account("attacker")


class Trouble(NamedTuple):
    """A course of the world, what is broken in it or done to it, and the call that must succeed after it."""

    call: str
    # One part that is broken, silent or disturbed, in words; "" if none is.
    what: str
    script: Script
    dead: frozenset[int]
    deeds: tuple[Deed, ...]
    # The same while all parts work.
    whole: Trouble | None = None


class Stuck:
    """The trials of one case."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.setting = setting_of(seed)
        self.system = self.setting.new()

    def hunt(self, trials: int = TRIALS) -> list[Finding]:
        """Try so many troubles; return one story of each kind, the shortest."""
        found: dict[str, Finding] = {}
        for trial in range(trials):
            trouble, refusal = self.least(self.trouble(trial))
            if refusal is not None and refusal.stake >= WAD:
                each = self._finding(trial, trouble, refusal)
                if each.kind not in found or len(each.lines) < len(found[each.kind].lines):
                    found[each.kind] = each
        return list(found.values())

    def trouble(self, trial: int) -> Trouble:
        """Draw a trouble."""
        return draw_trouble(self.setting, Random(f"trouble {self.seed} {trial}"))

    def least(self, trouble: Trouble) -> tuple[Trouble, Refusal | None]:
        """Return the trouble that is enough for a refusal: with no part broken if that does not matter."""
        refusal = self.meet(trouble)
        if refusal is not None and trouble.whole is not None:
            without = self.meet(trouble.whole)
            if without is not None and without.reason == refusal.reason:
                return trouble.whole, without
        return trouble, refusal

    def meet(self, trouble: Trouble) -> Refusal | None:
        """Return what does not succeed, the largest stake first; None if all does."""
        with self.system.fork_state():
            town, _ = self.play(trouble)
            outside = Outside(trouble.script.prices[COMES][-1], trouble.script.absent, trouble.dead)
            return max(CHECKS[trouble.call](town, outside), key=lambda each: each.stake, default=None)

    def play(self, trouble: Trouble) -> tuple[Town, list[Doing]]:
        """Play the course; what was broken and done, too."""
        town, told = Town(self.setting, self.system), list[Doing]()
        for tick, phase in moments(town, trouble.script, COMES, ()):
            for deed in trouble.deeds:
                if deed[:2] == (tick, phase):
                    before = len(town.done)
                    deed.do(town)
                    told += (
                        Doing(tick, phase, action)
                        for action in town.done[before:]
                        if isinstance(action, Action) and _is_told(trouble.call, action)
                    )
        return town, told

    def _finding(self, trial: int, trouble: Trouble, refusal: Refusal) -> Finding:
        with self.system.fork_state():
            _, told = self.play(trouble)
        lines = [f"tick {each.tick:2}  {act_text(each.action)}" for each in told]
        lines.insert(0, f"prices {moves(trouble.script.prices[COMES])}")
        if trouble.what:
            lines.insert(0, trouble.what)
        kind = f"{refusal.call} reverts ({refusal.reason}); {_sort(trouble.what)}"
        says = f"{name_of(refusal.who)} cannot {refusal.call}: {refusal.stake / WAD:,.0f} are at stake"
        return Finding("stuck", kind, self.seed, trial, (), (), refusal.stake, says, tuple(lines))


def histories(finding: Finding) -> Iterator[tuple[Setting, Sequence[Step]]]:
    """Play a story again, with the days after it."""
    stuck = Stuck(finding.seed)
    trouble, _ = stuck.least(stuck.trouble(finding.trial))
    town, _ = stuck.play(trouble)
    outside = Outside(trouble.script.prices[COMES][-1], trouble.script.absent, trouble.dead)
    for _ in CHECKS[trouble.call](town, outside):
        pass
    yield stuck.setting, town.done


def setting_of(seed: int) -> Setting:
    """Draw the setting of a case: with guards or with auctions of equity, at times."""
    random = Random(f"stuck {seed}")
    parameters, prices = draw_edge_parameters(random)
    if random.random() < 0.25:
        parameters = replace(parameters, guards=GuardsParameters(breaker=BreakerParameters()))
    elif random.random() < 0.3:
        parameters = _with_equity(parameters, random)
    return opened(parameters, random, prices, income=False)


def _with_equity(parameters: Parameters, random: Random) -> Parameters:
    """Have equity bear losses before savings do, by auctions of a day or two."""
    last = "staked_equity", "minted_equity", "savings", "redistribution"
    names = [each.name for each in parameters.stages if each.name not in last]
    order = (*names, *random.choice((("minted_equity",), ("staked_equity", "minted_equity"))), "savings")
    return replace(
        parameters,
        stages=tuple(StageParameters(name) for name in order),
        equity=EquityParameters(duration=random.choice((12, 24, 48)) * HOUR),
        epoch_length=random.choice((12, 24, 96)) * HOUR,
    )


def draw_trouble(setting: Setting, random: Random) -> Trouble:
    """Draw a call, the course before it, and at most one part that is broken, silent or disturbed."""
    parameters = setting.parameters
    call = random.choice(tuple(CHECKS))
    event = random.randrange(2, 12)
    script = draw_fall(setting, random, event, LOSSES)
    script = script._replace(awake=frozenset(range(TICKS)), intents=())
    pool, c = pool_of(setting, random), random.randrange(len(parameters.collateral_types))
    floor = parameters.collateral_types[c].debt_floor * WAD
    deeds = [*enter(ONE, pool, STAKE)]
    wait = -(-parameters.savings.cooldown // TICK)
    deeds.append(ask(TICKS - 1 - wait, 0, ONE, pool))
    if floor:
        ratio = parameters.collateral_types[c].initial_ratio + 30_000
        deeds += [borrow(0, 1, OTHER, c, 2 * floor, ratio)]
        deeds.append(Deed(0, 2, coins(OTHER, floor)))
    deeds.sort(key=lambda deed: deed[:2])
    whole = Trouble(call, "", script, frozenset(), tuple(deeds))
    what, dead = "", frozenset[int]()
    kind = random.choice(("nothing", "stage", "reporter", "guardian", "crumb", "type"))
    at = random.randrange(1, TICKS // 2)
    if kind == "stage":
        names = {STAGES[each.name].contract for each in parameters.stages}
        name = random.choice(sorted(names - {"StakeAuction", "MintAuction"}))
        what = f"a part is broken: {name} has lost its role"
        deeds.append(_by_admin(at, "VaultEngine", "revoke_role", STAGE, setting.deployment.addresses[name]))
    elif kind == "reporter":
        reporters = parameters.collateral_types[c].feed.reporters
        silent = f"reporter_{random.randrange(reporters) + 1}"
        script = script._replace(absent=frozenset({get_account(silent)}))
        what = f"a part is silent for good: {silent} of {reporters}"
    elif kind == "type":
        dead = frozenset({c})
        never = tuple(frozenset(range(TICKS if t == c else 0)) for t in range(len(setting.prices)))
        script = script._replace(silent=never)
        what = f"a part is silent for good: all reporters of type {c}"
    elif kind == "guardian" and call not in ("borrow", "liquidate"):
        # New risk is a guardian's to forbid; what starts with a price waits for a halt's end, which is later.
        guardian = setting.deployment.get_account("guardian")
        deeds.append(_by_admin(0, "PriceFeed", "grant_role", GUARDIAN, guardian))
        deeds.append(Deed(at, 0, lambda town: town.do(guardian, "PriceFeed", "set_halted", c, True)))
        what = "a guardian acts once"
    elif kind == "crumb":
        amount = random.choice((1, 10**9, WAD))
        args = c, OTHER, amount, 0, STRANGER
        deeds.append(Deed(at, 0, lambda town: town.do(STRANGER, "VaultEngine", "repay_and_withdraw", *args)))
        what = "a stranger repays a crumb"
    deeds.sort(key=lambda deed: deed[:2])
    return Trouble(call, what, script, dead, tuple(deeds), whole if what else None)


def _by_admin(tick: int, contract: str, method: str, *args: object) -> Deed:
    return Deed(
        tick,
        0,
        lambda town: town.do(town.setting.deployment.get_account("admin"), contract, method, *args),
    )


def _is_told(call: str, action: Action) -> bool:
    """Return True unless an act only hands out means, or concerns somebody whose call is another."""
    who = {ONE: "leave a pool", OTHER: "repay"}.get(action.sender, call)
    means = ("mint", "approve", "transfer", "report", "poke", "grant_role", "deposit")
    entering = action.sender == ONE and action.method == "deposit"
    return who == call and (entering or action.method not in means)


def _sort(what: str) -> str:
    """Say of what sort a trouble is, without its names."""
    return what.split(":")[0] if what else "all parts work"
