"""The search for a plan that takes: random ones first, then what mutation and crossing make of the best.

The dice learn which moves come to anything for a coalition; of what pays they are told nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from random import Random
from typing import NamedTuple

from backstop.hosts.model_system import ModelSystem
from backstop.model.arithmetic import WAD
from backstop.studies.hunt.alarm import Taken, taken
from backstop.studies.hunt.coalition import PHASES, Act, Luck, Plan
from backstop.studies.hunt.history import AFTER, CONDUCTS, Doings, Wealth, follow, mean_wealth, only_own
from backstop.studies.hunt.script import BRANCHES, TICKS, Script, draw_script
from backstop.studies.hunt.setting import KEEPER, Setting, draw_setting

FIRST, LATER = 40, 100
"""Plans of a case: drawn at random, then bred."""
NOTHING = Taken(0, {})
BYSTANDERS = frozenset((KEEPER,))
"""Nobody owns an opportunity: what they miss is no loss."""
LESSONS = 5
"""Cases, and plans of each, that teach which moves come to anything."""
Continuations = tuple[tuple[int, int], ...]
GLANCE: Continuations = AFTER[:2]
"""Continuations that are looked at first."""
KEPT, PARENTS = 30, 12
"""The best plans of a case that are kept, and those that have children."""
CHANGES = (
    *("more",) * 3,
    *("without",) * 2,
    *("other time",) * 2,
    "other dice",
    "other branch",
    "crossed",
)
LONGEST = 14
LEAST = 100 * WAD
"""What counts as taken: less may be rounding, fees, or a step of an auction."""
# What a smaller plan may take less.
_AS_GOOD = 9, 10


class Case(NamedTuple):
    """A setting and a script: what a plan is made for."""

    seed: int
    setting: Setting
    script: Script


class Found(NamedTuple):
    """What a coalition does in a case, by branch, and what it takes by that."""

    case: Case
    did: tuple[Doings, ...]
    taken: Taken


def draw_case(seed: int) -> Case:
    """Draw a case."""
    random = Random(f"case {seed}")
    setting = draw_setting(random)
    return Case(seed, setting, draw_script(setting, random))


@cache
def _learned() -> Luck:
    """Return what a few cases of their own teach about the moves: the same for every search."""
    luck = Luck()
    for seed in range(LESSONS):
        case, random = draw_case(-1 - seed), Random(f"lesson {seed}")
        system = case.setting.new()
        for _ in range(LESSONS):
            plan = _random_plan(case, luck, random)
            follow(case.setting, system, case.script, plan, luck)
    return luck


def _random_plan(case: Case, luck: Luck, random: Random) -> Plan:
    return tuple(sorted({_act(case, luck, random) for _ in range(random.randint(1, LONGEST))}))


def _act(case: Case, luck: Luck, random: Random) -> Act:
    tick = random.randrange(TICKS)
    # Much of what is worth doing is so when something happens.
    if random.random() < 0.3:
        tick = min(case.script.event + random.randrange(3), TICKS - 1)
    phase, branch = random.randrange(PHASES), random.choice(BRANCHES)
    return Act(tick, phase, branch, luck.draw(random), random.randrange(2**32))


class Hunter:
    """A search in one case. Equal seeds find alike, whatever was searched before."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.luck = _learned().copy()
        self.random = Random(f"hunt {case.seed}")
        self.system: ModelSystem = case.setting.new()
        self.best: list[tuple[tuple[int, int], Plan, Taken]] = []
        self._known: dict[tuple[tuple[Doings, ...], str, Continuations], Wealth] = {}

    def run(self, first: int = FIRST, later: int = LATER) -> Iterator[Taken]:
        """Try so many plans; yield what each takes."""
        for index in range(first + later):
            if index < first or not self.best:
                plan = _random_plan(self.case, self.luck, self.random)
            else:
                plan = self._child()
            found = self.try_plan(plan)
            self._keep(plan, found)
            yield found

    def try_plan(self, plan: Plan) -> Taken:
        """Return what a plan takes."""
        return self.weigh(self._follow(plan))

    def weigh(self, did: Sequence[Doings]) -> Taken:
        """Return what is taken by what was done.

        It is measured against coalitions that do the same with their own, and leave the rest to keepers.
        """
        own = tuple(only_own(did))
        if own == tuple(did):
            return NOTHING
        # Most plans take nothing: half of the continuations tell.
        this = taken([self._honest(own, CONDUCTS[0], GLANCE)], self._mean(did, after=GLANCE), BYSTANDERS)
        if this.amount <= 0:
            return this
        found, honest = self._mean(did), []
        for conduct in CONDUCTS:
            honest.append(self._honest(own, conduct, AFTER))
            this = taken(honest, found, BYSTANDERS)
            if this.amount <= 0:
                break  # beside more conducts it is less
        return this

    def _honest(self, own: tuple[Doings, ...], conduct: str, after: Continuations) -> Wealth:
        """Return what honest conduct comes to; plans that differ only in what is done to others share it."""
        key = own, conduct, after
        if key not in self._known:
            self._known[key] = self._mean(own, conduct, after)
        return self._known[key]

    def _mean(self, did: Sequence[Doings], conduct: str = "idle", after: Continuations = AFTER) -> Wealth:
        return mean_wealth(self.case.setting, self.system, self.case.script, did, conduct, after)

    def smallest(self) -> Found:
        """Leave out of the best plan's doings what they do not need, the last first."""
        _, plan, best = self.best[0]
        did = self._follow(plan)
        least = best.amount * _AS_GOOD[0] // _AS_GOOD[1]
        if best.amount >= LEAST:
            for doing in sorted({*chain(*did)}, key=lambda each: each[:2], reverse=True):
                # Before the event both branches have it.
                for branches in (BRANCHES,) if doing.tick < self.case.script.event else ((0,), (1,)):
                    fewer = tuple(
                        tuple(each for each in doings if each != doing or branch not in branches)
                        for branch, doings in enumerate(did)
                    )
                    if fewer != did and (found := self.weigh(fewer)).amount >= least:
                        did, best = fewer, found
        return Found(self.case, did, best)

    def _follow(self, plan: Plan) -> tuple[Doings, ...]:
        return follow(self.case.setting, self.system, self.case.script, plan, self.luck)

    def _keep(self, plan: Plan, found: Taken) -> None:
        if all(plan != other for _, other, _ in self.best):
            self.best.append(((found.amount, found.gain), plan, found))
            self.best.sort(key=lambda each: each[0], reverse=True)
            del self.best[KEPT:]

    def _child(self) -> Plan:
        random = self.random
        acts = list(random.choice(self.best[:PARENTS])[1])
        for _ in range(random.choice((1, 1, 2, 3))):
            change = random.choice(CHANGES)
            if not acts or change == "more":
                acts.append(_act(self.case, self.luck, self.random))
            elif change == "crossed":
                mate = random.choice(self.best)[1]
                acts += [act for act in mate if random.random() < 0.5]
            else:
                index = random.randrange(len(acts))
                acts[index : index + 1] = _changed(acts[index], change, random)
        return tuple(sorted({*acts}))[:LONGEST]


def _changed(act: Act, change: str, random: Random) -> list[Act]:
    if change == "without":
        return []
    if change == "other time":
        tick = act.tick + random.choice((-6, -2, -1, 1, 2, 6))
        return [act._replace(tick=max(0, min(TICKS - 1, tick)), phase=random.randrange(PHASES))]
    if change == "other dice":
        return [act._replace(dice=random.randrange(2**32))]
    return [act._replace(branch=1 - act.branch)]


def hunt(seed: int, first: int = FIRST, later: int = LATER) -> Found:
    """Search one case; return its best plan, made small."""
    hunter = Hunter(draw_case(seed))
    for _ in hunter.run(first, later):
        pass
    return hunter.smallest()
