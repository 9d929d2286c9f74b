"""Whether what is due comes late while strangers spend gas and dust: the alarm *late*.

A history is played twice, once with strangers who call all that costs next to nothing. What an honest account
is due may not come later by that than a bound that is stated here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import NamedTuple

from backstop.deployment.contract_names import STAGES
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.bounds import LOOK
from backstop.model.redeem_queue import collecting_time
from backstop.studies.hunt.calls import OTHER
from backstop.studies.hunt.coalition import Doing
from backstop.studies.hunt.deeds import LOSSES, STAKE, borrow, coins, draw_fall, each, enter
from backstop.studies.hunt.finding import Finding
from backstop.studies.hunt.honest import Town
from backstop.studies.hunt.setting import (
    BANK,
    CROWD,
    HOUR,
    KEEPER,
    Setting,
    Step,
    draw_edge_parameters,
    opened,
)
from backstop.studies.hunt.story import act_text
from backstop.system import Action

BEATS = 40
"""Looks of honest people at a history; a minute or days may lie between two."""
DUST = 10**12
"""The dust that a stranger spends in one call [wad]."""
NEAR = 100
"""A hundredth of what is paid may be rounding, or the strangers' own."""
STRANGER = get_account("attacker")


class Course(NamedTuple):
    """The events of both histories, and the spam of the second."""

    # Seconds between two beats.
    beat: int
    # By beat, by market [ray].
    prices: tuple[tuple[int, ...], ...]
    # When somebody asks to leave each pool, by beat.
    asked: int
    # The stage that is to go, and settlement's announcement, if any.
    removed: str
    announced: int | None
    # What the keeper leaves to others.
    left: frozenset[str]
    spam: tuple[str, ...]
    seed: int


class Seen(NamedTuple):
    """The payments of a history: their times [seconds since its beginning] and the sum paid by then [wad]."""

    first: dict[str, int]
    paid: dict[str, list[tuple[int, int]]]


class Delay(NamedTuple):
    """An event that came too late: the delay [seconds] and the amount at stake [wad]."""

    what: str
    seconds: int
    bound: int
    stake: int


# ------------------------------------------------------------------------ what strangers do


def _ask(town: Town, random: Random) -> None:
    """Request a withdrawal of dust from each pool, by one more account."""
    for name in town.pools:
        who = random.choice(CROWD)
        _fund(town, who, name)
        town.do(who, name, "deposit", DUST, who)
        held = town.pools[name].held(who)
        if held:
            town.do(who, name, "requestRedeem", max(1, held // 2), who, who)


def _deposit(town: Town, random: Random) -> None:
    for name in town.pools:
        who = random.choice(CROWD)
        _fund(town, who, name)
        town.do(who, name, "deposit", random.choice((1, DUST)), who)


def _fund(town: Town, who: str, pool: str) -> None:
    town.do(STRANGER, "Stablecoin", "transfer", who, 2 * DUST)
    town.do(who, "Stablecoin", "approve", town.pools[pool].address, MAX_UINT256)


def _settle(town: Town, random: Random) -> None:
    for name in town.pools:
        town.do(STRANGER, name, "cut")
        town.do(STRANGER, name, "settle")


def _repay(town: Town, random: Random) -> None:
    """Repay crumbs of each debt."""
    for (c, owner), vault in list(town.engine.vaults.items()):
        if vault.normalized_debt:
            town.do(STRANGER, "VaultEngine", "repay_and_withdraw", c, owner, 1, 0, STRANGER)


def _take(town: Town, random: Random) -> None:
    """Buy crumbs of each lot."""
    for id, lot in list(town.auction.lots.items()):
        if lot.target:
            town.do(STRANGER, "CollateralAuction", "take", id, 1, MAX_UINT256, STRANGER, b"")


def _on_all(method: str) -> Callable[[Town, Random], object]:
    """Return the kind of spam that tries a call with each argument that fits."""
    do = each(method)
    return lambda town, random: do(town)


KINDS: dict[str, Callable[[Town, Random], object]] = {
    "requests": _ask,
    "deposits": _deposit,
    "cuts and settles": _settle,
    "crumbs of debts": _repay,
    "crumbs of lots": _take,
    **{method: _on_all(method) for method in ("poke", "reset", "close", "accrue", "flag")},
}
"""The kinds of spam, by name: each call costs next to nothing."""

# ------------------------------------------------------------------------ histories


class Late:
    """The trials of one case."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.setting = setting_of(seed)
        self.system = self.setting.new()

    def hunt(self, trials: int) -> list[Finding]:
        """Try so many courses; return one story of each kind, with as little spam as is enough."""
        found: dict[str, Finding] = {}
        for trial in range(trials):
            course = self.course(trial)
            late = self.weigh(course)
            if late is not None and f"{late.what} comes late by spam" not in found:
                each = self._finding(trial, self.least(course, late))
                found[each.kind] = each
        return list(found.values())

    def course(self, trial: int) -> Course:
        """Draw a course."""
        return draw_course(self.setting, Random(f"spam {self.seed} {trial}"))

    def weigh(self, course: Course) -> Delay | None:
        """Return what comes too late by spam, the largest stake first; None if nothing does."""
        quiet, spammed = self._seen(course._replace(spam=())), self._seen(course)
        return max(_late(self.setting, course, quiet, spammed), key=lambda each: each.stake, default=None)

    def least(self, course: Course, late: Delay) -> Course:
        """Leave spam out that a delay does not need."""
        for kind in course.spam:
            fewer = course._replace(spam=tuple(each for each in course.spam if each != kind))
            found = self.weigh(fewer)
            if found is not None and found.what == late.what:
                course = fewer
        return course

    def _seen(self, course: Course) -> Seen:
        with self.system.fork_state():
            return play(Town(self.setting, self.system), course)[0]

    def _finding(self, trial: int, course: Course) -> Finding:
        late = self.weigh(course)
        assert late is not None
        with self.system.fork_state():
            told = play(Town(self.setting, self.system), course)[1]
        kind = f"{late.what} comes late by spam"
        beside = ", ".join(course.spam)
        says = f"{late.what} comes {late.seconds:,} s later beside {beside}: {late.bound:,} may be"
        lines = (f"{course.beat:,} s between two looks", *(_line(doing) for doing in told))
        return Finding("late", kind, self.seed, trial, (), (), late.stake, says, lines)


def histories(finding: Finding) -> Iterator[tuple[Setting, Sequence[Step]]]:
    """Play both histories of a story again, each on a new system."""
    late = Late(finding.seed)
    course = late.course(finding.trial)
    delay = late.weigh(course)
    assert delay is not None
    for either in (course._replace(spam=()), late.least(course, delay)):
        town = Town(late.setting, late.setting.new())
        play(town, either)
        yield late.setting, town.done


def _line(doing: Doing) -> str:
    return f"look {doing.tick:2}  {act_text(doing.action)}"


def play(town: Town, course: Course) -> tuple[Seen, list[Doing]]:
    """Play a course; return what came when, and the first calls of each kind of spam."""
    random, start = Random(course.seed), town.now
    seen, told = Seen({}, {name: [] for name in town.pools}), list[Doing]()
    town.left = course.left
    heard = tuple(False for _ in town.markets)
    _begin(town, course)

    def spam(beat: int) -> None:
        for kind in course.spam:
            before = len(town.done)
            KINDS[kind](town, random)
            if beat == course.asked:
                acts = (each for each in town.done[before:] if isinstance(each, Action))
                told.extend(Doing(beat, 0, action) for action in acts)

    for beat in range(BEATS):
        town.advance(course.beat)
        spam(beat)
        town.report(course.prices[beat], heard, frozenset())
        spam(beat)
        if beat == course.asked:
            for name in town.pools:
                who = _member(name)
                town.do(who, name, "requestRedeem", town.pools[name].held(who) or 1, who, who)
        if beat == course.announced:
            town.do(_admin(town), "Settlement", "announce")
        before = len(town.done)
        town.leave(tuple(map(_member, town.pools)))
        town.tend(KEEPER, course.prices[beat])
        _look(town, course, seen, town.now - start, town.done[before:])
    return seen, told


def _begin(town: Town, course: Course) -> None:
    """Let one member enter each pool and one owner borrow, and announce the removal of a stage."""
    for name in town.pools:
        for deed in enter(_member(name), name, STAKE):
            deed.do(town)
    for c, terms in enumerate(town.setting.parameters.collateral_types):
        debt = 2 * max(terms.debt_floor, 100) * WAD
        borrow(0, 0, OTHER, c, debt, terms.initial_ratio + 30_000).do(town)
    coins(OTHER, STAKE)(town)
    town.do(BANK, "Stablecoin", "transfer", STRANGER, WAD)
    if course.removed:
        town.do(_admin(town), "LossWaterfall", "propose_stages", _stages_without(town, course.removed))


def _stages_without(town: Town, name: str) -> tuple[object, ...]:
    """Return the list of stages without one, or with it barred, as long as it bears."""
    waterfall = town.waterfall
    terms = {k: waterfall.stage_terms("", k) for k in waterfall.lineup[()].ids}
    at = town.setting.deployment.addresses[STAGES[name].contract]
    barred = [each for each in terms.values() if each.stage == at and each.cap_bps == 0]
    if barred:
        return tuple(each for each in terms.values() if each.stage != at)
    return tuple(each._replace(cap_bps=0) if each.stage == at else each for each in terms.values())


def _is_gone(town: Town, name: str) -> bool:
    """Return True once a stage is left out."""
    at, waterfall = town.setting.deployment.addresses[STAGES[name].contract], town.waterfall
    return all(waterfall.stages[k].stage != at for k in waterfall.lineup[()].ids)


def _look(town: Town, course: Course, seen: Seen, now: int, done: Sequence[Step]) -> None:
    """Write down what came."""
    for name in town.pools:
        seen.paid[name].append((now, int(town.balances("Stablecoin")[_member(name)])))
    if any(isinstance(each, Action) and each.method == "liquidate" for each in done):
        seen.first.setdefault("the first liquidation", now)
    settling = town.settlement.progress[()]
    if settling.fixed_at:
        seen.first.setdefault("settlement's end", now)
    for c in town.types:
        floor = town.setting.parameters.collateral_types[c].debt_floor
        args = c, OTHER, max(floor, 100) * WAD // 2, 0, OTHER
        if settling.begun_at or not town.engine.vaults[c, OTHER].normalized_debt:
            continue
        if town.foresee(OTHER, "VaultEngine", "repay_and_withdraw", *args).ok:
            seen.first.setdefault(f"a repayment at {now}, type {c}", now)
    if course.removed and not _is_gone(town, course.removed):
        terms = _stages_without(town, course.removed)
        if town.do(_admin(town), "LossWaterfall", "apply_stages", terms).ok:
            seen.first.setdefault(f"the removal of a stage ({len(seen.first)})", now)
            town.do(_admin(town), "LossWaterfall", "propose_stages", _stages_without(town, course.removed))


def _member(pool: str) -> str:
    return get_account(f"member_of_{pool}")


def _admin(town: Town) -> str:
    return town.setting.deployment.get_account("admin")


def _late(setting: Setting, course: Course, quiet: Seen, spammed: Seen) -> Iterator[Delay]:
    """Yield what came later than it may."""
    end = (BEATS + 1) * course.beat
    for what, at in quiet.first.items():
        bound = 0
        if what == "the first liquidation":
            step = max(each.feed.step for each in setting.parameters.collateral_types)
            bound = max(step // 6, 600)
        late = spammed.first.get(what, end) - at
        if late > bound:
            yield Delay(what.partition(" (")[0].partition(" at ")[0], late, bound, STAKE)
    bound = collecting_time(setting.parameters.savings.cooldown)
    for name, rows in quiet.paid.items():
        for (now, paid), (_, before) in zip(rows[1:], rows, strict=False):
            if paid <= before or now + bound > rows[-1][0]:
                continue
            least = paid - paid // NEAR
            came = next((at for at, has in spammed.paid[name] if has >= least), end)
            if came - now > bound:
                yield Delay("a withdrawal", came - now, bound, paid)


def setting_of(seed: int) -> Setting:
    """Draw the setting of a case: members wait an hour, or weeks."""
    random = Random(f"spam {seed}")
    parameters, prices = draw_edge_parameters(random)
    cooldown = random.choice((HOUR, 2 * HOUR, 24 * HOUR, 20 * 24 * HOUR))
    pool = replace(parameters.savings, cooldown=cooldown)
    parameters = replace(
        parameters,
        junior=pool,
        senior=pool,
        savings=pool,
        staked_equity=pool,
        cap_delay=cooldown + collecting_time(cooldown) + LOOK + HOUR,
    )
    return opened(parameters, random, prices, income=False)


def draw_course(setting: Setting, random: Random) -> Course:
    """Draw prices that fall or stay, a time between two looks, and what strangers do."""
    collecting = collecting_time(setting.parameters.savings.cooldown)
    beat = random.choice((600, 600, max(600, collecting // 2), max(600, collecting)))
    event = random.randrange(2, 12)
    fall = draw_fall(setting, random, event, LOSSES).prices[0]
    prices = tuple(fall[min(beat_, len(fall) - 1)] for beat_ in range(BEATS))
    stages = [each.name for each in setting.parameters.stages if each.name in ("junior", "senior", "savings")]
    return Course(
        beat=beat,
        prices=prices,
        asked=random.randrange(BEATS // 2),
        removed=random.choice(stages) if random.random() < 0.3 else "",
        announced=random.randrange(8) if random.random() < 0.2 else None,
        left=frozenset({"take", "close"}) if random.random() < 0.3 else frozenset(),
        spam=tuple(kind for kind in KINDS if random.random() < random.choice((0.5, 1.0))),
        seed=random.randrange(2**32),
    )
