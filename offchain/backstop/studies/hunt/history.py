"""One history: the script and what a coalition does in it, then each of the continuations to its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from backstop.deployment.role_accounts import get_account
from backstop.hosts.model_system import ModelSystem
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.recovery_claims import RecoveryClaims
from backstop.studies.hunt.coalition import LIE, OWN, Coalition, Doing, Luck, Plan
from backstop.studies.hunt.honest import ROUND, Town
from backstop.studies.hunt.script import BRANCHES, TICK, TICKS, Script
from backstop.studies.hunt.setting import COALITION, HONEST, KEEPER, TWINS, Setting
from backstop.studies.hunt.wealth import wealth

AFTER = ((0, 0), (2_500, 2_500), (-2_000, -2_000), (-3_000, 0))
"""Continuations: how far prices are from the last one, first and then, in basis points."""
CONDUCTS = ("idle", "quick", "slow")
"""What honest coalitions do for others: nothing, or all that is due, at once or within the hour."""
PEOPLE = (*map(get_account, (*COALITION, *HONEST)), *TWINS)
ROUNDS = 8
"""A continuation has at least so many rounds of half an hour, and goes on until all is quiet."""

Wealth = dict[str, int]
Doings = tuple[Doing, ...]


def follow(
    setting: Setting, system: ModelSystem, script: Script, plan: Plan, luck: Luck | None = None
) -> tuple[Doings, ...]:
    """Have a coalition follow a plan; return what it does, by branch. Nothing changes."""
    return tuple(follow_one(setting, system, script, plan, branch, luck) for branch in BRANCHES)


def follow_one(
    setting: Setting, system: ModelSystem, script: Script, plan: Plan, branch: int, luck: Luck | None = None
) -> Doings:
    """Do so in one branch."""
    with system.fork_state():
        town = Town(setting, system)
        coalition = Coalition(town, plan, script.event, branch, luck)
        for tick, phase in moments(town, script, branch, coalition.doings):
            coalition.act(tick, phase, script.prices[branch][tick])
    return tuple(coalition.doings)


def play(
    setting: Setting,
    system: ModelSystem,
    script: Script,
    branch: int,
    doings: Sequence[Doing],
    conduct: str = "idle",
) -> Town:
    """Play one branch in which a coalition does just this, and honest keepers what they do anyway.

    The conduct says whether they are quicker than the script has them: as if the coalition helped.
    """
    town = Town(setting, system)
    at: dict[tuple[int, int], list[Doing]] = {}
    for doing in doings:
        at.setdefault(doing[:2], []).append(doing)
    so_far: list[Doing] = []
    for tick, phase in moments(town, script, branch, so_far):
        now = at.get((tick, phase), ())
        if conduct == "quick" and now:
            # What is asked for next is in another batch then.
            town.settle(KEEPER)
        for doing in now:
            town.act(doing.action)
            so_far.append(doing)
        if conduct == "quick" or (conduct == "slow" and tick % 6 == 5 and phase == 2):
            town.tend(KEEPER, script.prices[branch][tick])
    return town


def moments(town: Town, script: Script, branch: int, doings: Sequence[Doing]) -> Iterator[tuple[int, int]]:
    """Let the world outside go on; yield each moment at which the coalition may act."""
    for tick in range(TICKS):
        town.advance(TICK + (script.pause[1] if tick == script.pause[0] else 0))
        if tick == script.outage[0] and script.outage[1]:
            town.stop(script.outage[1])
        prices = script.prices[branch][tick]
        yield tick, 0
        # Who has lied once is silent from then on, as far as this is honest.
        liars = frozenset(doing.action.sender for doing in doings if doing.action.method == LIE)
        town.report(prices, tuple(tick in ticks for ticks in script.silent), liars | script.absent)
        yield tick, 1
        _others(town, script, tick, prices)
        yield tick, 2


def _others(town: Town, script: Script, tick: int, prices: tuple[int, ...]) -> None:
    if tick == script.announced:
        town.do(town.setting.deployment.get_account("admin"), "Settlement", "announce")
    for intent in script.intents:
        if intent.tick == tick:
            town.wish(intent)
    town.leave(PEOPLE[len(COALITION) : -len(TWINS)])
    if tick in script.awake:
        town.tend(KEEPER, prices)


def endings(town: Town, last: tuple[int, ...], after: Sequence[tuple[int, int]] = AFTER) -> Iterator[Wealth]:
    """Yield everybody's wealth after each continuation, with claims unpaid and paid; all are taken back."""
    for first, then in after:
        with town.imagine():
            prices = _after(town, last, first, then)
            for face in (False, True):
                yield wealth(town, prices, face)


def _after(town: Town, last: tuple[int, ...], first: int, then: int) -> tuple[int, ...]:
    """Go on with prices moved, everybody honest and quick, until nothing is left to be done."""
    heard, contracts = tuple(False for _ in town.markets), town.system.world.contracts
    prices = last
    for turn in range(4 * ROUNDS):
        move = first if turn < ROUNDS // 2 else then
        prices = tuple(price * (BASIS_POINTS + move) // BASIS_POINTS for price in last)
        town.advance(ROUND)
        town.report(prices, heard, frozenset())
        town.leave((*PEOPLE, *sorted(town.crowd)))
        town.tend(KEEPER, prices)
        if turn >= ROUNDS and town.quiet:
            break
    claims = [name for name in town.pools if f"{name}.Claims" in contracts]
    if "Treasury" in contracts:
        town.do(KEEPER, "Treasury", "distribute")
    for name in claims:
        for who in (*PEOPLE, *sorted(town.crowd)):
            town.do(who, name, "collect_claims", who)
            for generation in range(
                cast(RecoveryClaims, contracts[f"{name}.Claims"]).state[()].generation + 1
            ):
                town.do(who, f"{name}.Claims", "collect", who, generation)
    town.advance(max(pool.vesting for pool in town.pools.values()))
    for c in town.types:
        town.do(KEEPER, "VaultEngine", "accrue", c)
    return prices


def only_own(did: Sequence[Doings]) -> list[Doings]:
    """Return what of it concerns the coalition's own things only."""
    return [tuple(doing for doing in doings if doing.action.method in OWN) for doings in did]


def mean_wealth(
    setting: Setting,
    system: ModelSystem,
    script: Script,
    did: Sequence[Doings],
    conduct: str = "idle",
    after: Sequence[tuple[int, int]] = AFTER,
) -> Wealth:
    """Return everybody's wealth after what a coalition did, by branch [wad].

    It is the mean over branches, continuations, and claims paid or not.
    """
    found: list[Wealth] = []
    for branch in BRANCHES:
        with system.fork_state():
            town = play(setting, system, script, branch, did[branch], conduct)
            found += endings(town, script.prices[branch][-1], after)
    return {who: sum(each[who] for each in found) // len(found) for who in found[0]}
