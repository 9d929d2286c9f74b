"""Whether two who were alike end alike: the alarm *unequal*."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.proof.fuzz.moves import MOVES
from backstop.studies.hunt.coalition import LIE, PHASES, Act, Doing
from backstop.studies.hunt.deeds import ONE, OTHER, Deed, knows
from backstop.studies.hunt.finding import Finding
from backstop.studies.hunt.history import Wealth, endings, follow_one, moments
from backstop.studies.hunt.honest import WRITING_OFF, Town
from backstop.studies.hunt.pairs import Pair, draw_pair
from backstop.studies.hunt.script import COMES, TICKS
from backstop.studies.hunt.setting import KEEPER, Setting, Step, draw_edge
from backstop.studies.hunt.story import act_text, moves, name_of
from backstop.studies.hunt.wealth import wealth
from backstop.system import Action

TRIALS = 40
LEAST = WAD
"""What makes a story; unequal is what is more than a wei for each step."""
AFTER = ((0, 0), (10_000, 10_000))
"""Continuations: what is known comes, or it does not. Nothing new may."""
FORBIDDEN = frozenset(("add_income", "distribute", LIE))
"""What strangers do not do: it is not for both who were alike at a moment."""


MEANS = frozenset(("mint", "approve", "transfer"))
"""What only hands out means, and is not told."""


class Difference(NamedTuple):
    """Who ends with how much, and with how much where only what must not matter was otherwise [wad]."""

    who: str
    one: int
    other: int
    fact: str

    @property
    def amount(self) -> int:
        return abs(self.one - self.other)


class Played(NamedTuple):
    """A history with its deeds: what was done by twins and strangers, and what was known at the payment."""

    town: Town
    told: list[Doing]
    fact: str


class Twins:
    """The trials of one case."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.setting = setting_of(seed)
        self.system = self.setting.new()

    def hunt(self, trials: int = TRIALS) -> list[Finding]:
        """Try so many pairs; return the largest difference of each kind, made small."""
        best: dict[str, tuple[int, int, Pair, tuple[Doing, ...]]] = {}
        for trial in range(trials):
            pair = self.pair(trial)
            strangers = self.strangers(pair, trial)
            found = self.weigh(pair, strangers)
            kind = f"{pair.kind}{found.fact}" if found else ""
            if found and found.amount >= LEAST and (kind not in best or best[kind][0] < found.amount):
                best[kind] = found.amount, trial, pair, strangers
        return [self._finding(kind, *each[1:]) for kind, each in best.items()]

    def pair(self, trial: int) -> Pair:
        """Draw a pair."""
        return draw_pair(self.setting, Random(f"pair {self.seed} {trial}"))

    def strangers(self, pair: Pair, trial: int) -> tuple[Doing, ...]:
        """Draw what strangers do besides."""
        random = Random(f"strangers {self.seed} {trial}")
        plan = tuple(
            sorted(
                Act(
                    random.randrange(TICKS),
                    random.randrange(PHASES),
                    COMES,
                    random.choice(tuple(MOVES)),
                    random.randrange(2**32),
                )
                for _ in range(random.choice((0, 0, 2, 6)))
            )
        )
        doings = follow_one(self.setting, self.system, pair.script, plan, COMES)
        return tuple(
            doing
            for doing in doings
            if doing.tick < pair.until and doing.action.method not in FORBIDDEN | pair.left
        )

    # ------------------------------------------------------------------ weighing

    def weigh(self, pair: Pair, strangers: Sequence[Doing] = ()) -> Difference | None:
        """Return the largest difference that the rules say must not be; None if both end alike."""
        worlds: list[list[Wealth]] = []
        fact, steps = "", 0
        for deeds in pair.deeds:
            with self.system.fork_state():
                played = self.play(pair, deeds, strangers)
                fact = fact or played.fact
                town, last = played.town, pair.script.prices[COMES][-1]
                if pair.leaves and not played.fact:
                    return None
                if pair.calm and _unsafe(town, pair.script.prices[COMES]):
                    return None
                steps += len(town.done)
                town.left &= {WRITING_OFF}
                if pair.at_once:
                    worlds.append([wealth(town, last, face=False)])
                else:
                    worlds.append(list(endings(town, last, AFTER)))
        found = [each for each in self._differences(pair, worlds, fact) if each.amount > pair.allowed + steps]
        return max(found, key=lambda each: each.amount, default=None)

    def _differences(self, pair: Pair, worlds: list[list[Wealth]], fact: str) -> Iterator[Difference]:
        for index, one in enumerate(worlds[0]):
            if len(worlds) == 1:
                yield Difference(ONE, one[ONE], one[OTHER], fact)
            elif pair.buyer:
                had, has = (world[index][KEEPER] for world in worlds)
                if has > had:
                    yield Difference(KEEPER, had, has, fact)
            elif pair.others:
                nobody = ONE, KEEPER, "coalition"
                had, has = (
                    sum(amount for who, amount in world[index].items() if who not in nobody)
                    for world in worlds
                )
                if has < had:
                    yield Difference("everybody else", had, has, fact)
            else:
                other = worlds[1][index]
                for who in one:
                    if who not in ("coalition", KEEPER) and (who != ONE or not pair.allowed):
                        yield Difference(who, one[who], other[who], fact)

    def play(self, pair: Pair, deeds: Sequence[Deed], strangers: Sequence[Doing]) -> Played:
        """Play one history; it stays until whoever imagines it takes it back."""
        town = Town(self.setting, self.system)
        told: list[Doing] = []
        town.left = pair.left
        exit = _Exit(town, pair)
        for tick, phase in moments(town, pair.script, COMES, told):
            exit.look(tick, phase)
            for doing in strangers:
                if doing[:2] == (tick, phase) and town.act(doing.action).ok:
                    told.append(doing)
                    exit.look(tick, phase)
            for deed in deeds:
                if deed[:2] == (tick, phase):
                    before = len(town.done)
                    deed.do(town)
                    exit.look(tick, phase)
                    acts = (each for each in town.done[before:] if isinstance(each, Action))
                    told += (Doing(tick, phase, action) for action in acts)
        return Played(town, told, exit.fact)

    # ------------------------------------------------------------------- telling

    def _finding(self, kind: str, trial: int, pair: Pair, strangers: tuple[Doing, ...]) -> Finding:
        found = self.weigh(pair, strangers)
        assert found is not None
        intents = tuple(range(len(pair.script.intents)))
        least = found.amount * 9 // 10
        for doing in sorted(strangers, reverse=True, key=lambda each: each[:2]):
            fewer = tuple(each for each in strangers if each != doing)
            if self._as_good(kind, smaller(pair, intents), fewer, least):
                strangers = fewer
        for index in intents:
            less = tuple(each for each in intents if each != index)
            if self._as_good(kind, smaller(pair, less), strangers, least):
                intents = less
        pair = smaller(pair, intents)
        found = self.weigh(pair, strangers)
        assert found is not None
        says = f"{name_of(found.who)} ends with {found.one / WAD:,.2f} or {found.other / WAD:,.2f}"
        lines = tuple(self._lines(pair, strangers))
        return Finding("unequal", kind, self.seed, trial, strangers, intents, found.amount, says, lines)

    def _as_good(self, kind: str, pair: Pair, strangers: tuple[Doing, ...], least: int) -> bool:
        found = self.weigh(pair, strangers)
        return found is not None and found.amount >= least and f"{pair.kind}{found.fact}" == kind

    def _lines(self, pair: Pair, strangers: tuple[Doing, ...]) -> Iterator[str]:
        script = pair.script
        yield f"prices {moves(script.prices[COMES])}"
        for index, deeds in enumerate(pair.deeds):
            with self.system.fork_state():
                told = self.play(pair, deeds, strangers).told
            world = ("", "one way: ", "the other way: ")[0 if len(pair.deeds) == 1 else 1 + index]
            last: dict[Action, int] = {}
            for tick, _, action in told:
                # What is done again and again is told once.
                if action.method not in MEANS and tick - last.get(action, -9) > 3:
                    yield f"{world}tick {tick:2}  {act_text(action)}"
                last[action] = tick


def setting_of(seed: int) -> Setting:
    """Draw the setting of a case."""
    random = Random(f"twins {seed}")
    return draw_edge(random)


def smaller(pair: Pair, intents: Sequence[int]) -> Pair:
    """Return a pair beside which honest people want only this, by index."""
    kept = tuple(pair.script.intents[index] for index in intents)
    return pair._replace(script=pair.script._replace(intents=kept))


def histories(finding: Finding) -> Iterator[tuple[Setting, Sequence[Step]]]:
    """Play each history of a story again, on a new system."""
    twins = Twins(finding.seed)
    pair = smaller(twins.pair(finding.trial), finding.intents)
    for deeds in pair.deeds:
        twins.system = twins.setting.new()
        yield twins.setting, twins.play(pair, deeds, finding.strangers).town.done


class _Exit:
    """The exit of the first twin: what was known right before anybody first had its batch paid."""

    def __init__(self, town: Town, pair: Pair) -> None:
        self.fact = ""
        """Empty, too, if it was paid before the fall, or before the feed knew of it."""
        self._town, self._event = town, pair.script.event
        self._known = ""
        self._batch: tuple[str, int] | None = None
        self._is_over = not pair.leaves

    def look(self, tick: int, phase: int) -> None:
        """Look before anything may pay, and after it."""
        if self._is_over:
            return
        town = self._town
        if self._batch is not None:
            name, batch = self._batch
            if batch < town.pools[name].line[()].unsettled:
                self.fact, self._is_over = self._known, True
                return
        else:
            asked = (
                (name, id)
                for name, pool in town.pools.items()
                for (id, who), request in pool.requests.items()
                if who == ONE and request.shares
            )
            self._batch = next(asked, None)
        self._known = _fact(town) if (tick, phase) > (self._event, 0) and knows(town) else ""


def _fact(town: Town) -> str:
    """Say what is known of losses, the most certain first."""
    prices = [town.feed.prices[c] for c in town.types]
    if any(town.engine.deficit[c] for c in town.types):
        return ": a loss waits for its cover"
    if any(lot.target for lot in town.auction.lots.values()):
        return ": lots are under auction"
    unsafe = _unsafe(town, [[each.current for each in prices]])
    flagged = any(town.liquidations.type_flags[c] for c in town.types)
    if flagged:
        return ": vaults are flagged" if unsafe else ": safe vaults are flagged"
    if any(each.next and each.next < each.current for each in prices):
        return ": a fall is only the next price"
    return ": vaults are unsafe, none is flagged" if unsafe else ": no loss is in sight"


def _unsafe(town: Town, rows: Sequence[Sequence[int]]) -> bool:
    """Return True if some vault may be liquidated at some of these prices."""
    for (c, _), vault in town.engine.vaults.items():
        debt = town.debt(c, vault)
        lowest = min(row[c] for row in rows)
        if debt * town.engine.terms[c].liquidation_ratio > vault.locked_collateral * lowest * BASIS_POINTS:
            return True
    return False
