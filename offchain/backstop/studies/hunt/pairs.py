"""Pairs: what two who were alike do, or what strangers do and leave, where the rules say it must not matter.

Each kind is a role and a range of moments, and no story. All else that happens is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from backstop.deployment.contract_names import STABLECOIN_POOLS, STAGES
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import LOOK
from backstop.studies.hunt.coalition import LIE
from backstop.studies.hunt.deeds import (
    LOSSES,
    ONE,
    OTHER,
    STAKE,
    YEAR,
    Deed,
    ask,
    borrow,
    coins,
    draw_fall,
    each,
    enter,
    enter_at,
    leave,
    pool_of,
    repay_all,
)
from backstop.studies.hunt.honest import WRITING_OFF, Town
from backstop.studies.hunt.script import TICK, TICKS, Script
from backstop.studies.hunt.setting import BANK, KEEPER, TWINS, Setting
from backstop.system import Action

BARGAIN = 15_000 * WAD
"""The tolerance for a buyer's gain on all lots: it looks at them at other moments."""
FEES = 40 * WAD
"""What fees of hours, and crumbs that are sold late, may make; less than a reward."""


class Pair(NamedTuple):
    """Two who must end alike: the twins of one history, or the same people in two."""

    kind: str
    script: Script
    # In one history, or in each of two.
    deeds: tuple[tuple[Deed, ...], ...]
    # What the keeper leaves to the strangers.
    left: frozenset[str] = frozenset()
    # What may differ, beyond a wei for each step [wad].
    allowed: int = 0
    # Whether it is looked at right away: later keepers would put it right.
    at_once: bool = False
    # Whether nothing may have been unsafe.
    calm: bool = False
    # Strangers do nothing else from this tick on.
    until: int = TICKS
    # Whether what counts is that all others together have less in the second history.
    others: bool = False
    # Whether what counts is that who buys has more in the second history.
    buyer: bool = False
    # Whether the first twin has to leave: if it does not, it is no pair.
    leaves: bool = False


def draw_pair(setting: Setting, random: Random) -> Pair:
    """Draw a pair of any kind."""
    return random.choice(KINDS)(setting, random)


def _leave_or_stay(setting: Setting, random: Random) -> Pair:
    """Draw two members alike: one leaves once it knows, the other asked then or earlier, and stays longer."""
    terms = setting.parameters.savings
    # A batch collects as long as it waits, a look included.
    first, window = -(-(2 * terms.cooldown + LOOK) // TICK), 6
    event = random.randrange(first + 2, TICKS - 8)
    out = min(TICKS - 1, event + random.randrange(8))
    asked = max(1, out - first - random.randrange(window + 1))
    pool, phase = pool_of(setting, random), random.randrange(1, 3)
    stake = random.choice((STAKE, 10 * STAKE))
    deeds = [*enter(ONE, pool, stake), *enter(OTHER, pool, stake)]
    deeds += [ask(asked, 0, ONE, pool), leave(out, phase, ONE, pool, random.choice((1, 1, 2)))]
    kind = random.choice(("stays", "stays", "leaves later", "asks when it knows"))
    if kind != "stays":
        deeds.append(ask(out if kind == "asks when it knows" else asked, phase, OTHER, pool))
    if kind == "leaves later":
        deeds.append(leave(min(TICKS - 1, out + random.randrange(window + 1)), 2, OTHER, pool))
    script = draw_fall(setting, random, event, LOSSES)
    # The keeper sees it at once.
    script = script._replace(awake=script.awake | frozenset(range(event, TICKS)))
    return Pair("of two members one leaves first", script, (tuple(deeds),), leaves=True)


def _crumb(setting: Setting, random: Random) -> Pair:
    """Draw a newcomer who brings a little, and a twin who keeps it: it may be doubled, no more."""
    pool, at = _paying_back(setting, random), random.randrange(1, TICKS)
    amount = random.choice((WAD // 1_000, WAD, 100 * WAD))
    script = draw_fall(setting, random, random.randrange(1, TICKS // 2), LOSSES)
    income, out = random.choice((100, 2_000)) * WAD, random.randrange(TICKS)
    given = Deed(random.randrange(at), 0, lambda town: _give(town, pool, income))
    deeds = [given, *enter_at(at, ONE, pool, amount), Deed(at, 0, coins(OTHER, amount))]
    if random.random() < 0.5:
        deeds.append(Deed(out, 0, lambda town: _leave_all(town, pool)))
    kind = "a newcomer to a pool ends with more than twice what it brought"
    return Pair(kind, script, (tuple(sorted(deeds, key=lambda deed: deed[:2])),), allowed=amount)


def _paying_back(setting: Setting, random: Random) -> str:
    """Draw a pool that gives income of leavers back: a stage, if there is one."""
    names = [STAGES[each.name].contract for each in setting.parameters.stages]
    found = [name for name in STABLECOIN_POOLS if name in names]
    return random.choice(found) if found else pool_of(setting, random)


def _give(town: Town, pool: str, amount: int) -> None:
    """Give members income by the bank, unless next to nothing is left: the next entrant would receive it."""
    if town.pools[pool].totalAssets("") > STAKE // 10:
        town.do(BANK, pool, "add_income", amount)


def _leave_all(town: Town, pool: str) -> None:
    """Request the withdrawal of all shares of each member but the twins."""
    for who in list(town.pools[pool].holders()):
        if who not in (*TWINS, town.pools[pool].address):
            town.do(who, pool, "requestRedeem", town.pools[pool].held(who) or 1, who, who)


def _same_second(setting: Setting, random: Random) -> Pair:
    """Draw two borrowers who do the same in the same second; strangers call in between."""
    c = random.randrange(len(setting.parameters.collateral_types))
    ratio = setting.parameters.collateral_types[c].initial_ratio + 20_000
    debt, tick = random.choice((5_000, 100_000)) * WAD, random.randrange(20, TICKS)
    before = random.random() < 0.5
    times = random.choice((1, 2, 3))
    deeds: list[Deed] = []
    for who in TWINS:
        if before:
            deeds += [borrow(1, 2, who, c, debt, ratio), repay_all(tick, 2, who, c, debt)]
        else:
            deeds.append(borrow(tick, 2, who, c, debt, ratio))
    call = Deed(tick, 2, lambda town: [each("accrue")(town) for _ in range(times)])
    middle = len(deeds) - 1
    deeds[middle:middle] = [call]
    deeds.sort(key=lambda deed: deed[:2])
    script = draw_fall(setting, random, tick, (0, 500))
    pause = random.randrange(2, 10), random.choice((0, YEAR // 2, 2 * YEAR, 3 * YEAR))
    what = "repay" if before else "draw"
    kind = f"two borrowers {what} the same in one second, a stranger accrues in between"
    return Pair(kind, script._replace(pause=pause), (tuple(deeds),))


def _again(setting: Setting, random: Random) -> Pair:
    """Draw a stranger who has losses covered once, or again within less than an epoch."""
    event = random.randrange(1, 12)
    script = draw_fall(setting, random, event, LOSSES)
    epoch = setting.parameters.epoch_length // TICK
    first = random.randrange(event + 6, TICKS - 1)
    second = min(TICKS - 1, first + random.randrange(1, max(2, epoch)))
    pool = pool_of(setting, random)
    once = [*enter(ONE, pool, 5 * STAKE), Deed(first, 2, each("cover"))]
    twice = [*once, Deed(second, 2, each("cover"))]
    prices = tuple(script.prices[0][min(tick, second)] for tick in range(TICKS))
    script = script._replace(prices=(prices, script.prices[1]), intents=(), awake=frozenset(range(first)))
    # What is lost after the first call is another loss.
    deeds = tuple(once), tuple(twice)
    kind = "losses are covered once, or again within an epoch's length"
    return Pair(kind, script, deeds, frozenset({"cover"}), FEES, at_once=True, until=first)


def _given_up(setting: Setting, random: Random) -> Pair:
    """Draw a stranger who closes what it can, or leaves it to be sold at the market's price."""
    script = draw_fall(setting, random, random.randrange(1, 12), (500, 1_500, 2_000, 3_000, 5_000))
    c = random.randrange(len(setting.parameters.collateral_types))
    terms = setting.parameters.collateral_types[c]
    debt = max(terms.debt_floor, 100) * random.choice((1, 1, 2)) * WAD
    deeds = [borrow(1, 2, ONE, c, debt, terms.initial_ratio + 1)]
    calls = [Deed(tick, 0, each("close")) for tick in range(2, TICKS)]
    kind = "lots are sold, or closed by a stranger"
    worlds = tuple(deeds), (*deeds, *calls)
    return Pair(kind, script, worlds, frozenset({WRITING_OFF, "take"}), max(FEES, debt // 20))


def _restarts(setting: Setting, random: Random) -> Pair:
    """Draw a stranger who restarts what is due, or nobody does; then the collateral is worth nothing."""
    script = draw_fall(setting, random, random.randrange(1, 6), (500, 1_500, 2_000, 3_000))
    gone = random.randrange(TICKS - 12, TICKS)
    prices = tuple(
        tuple(price // 10_000 for price in row) if tick >= gone else row
        for tick, row in enumerate(script.prices[0])
    )
    # Nobody buys, but keepers begin and end.
    script = script._replace(prices=(prices, script.prices[1]))
    calls = tuple(Deed(tick, 2, each("reset")) for tick in range(1, gone))
    left = frozenset({"take", "reset"})
    return Pair("due auctions are restarted by a stranger, or not", script, (calls, ()), left, FEES)


def _final_price(setting: Setting, random: Random) -> Pair:
    """Draw a stranger who fixes settlement's prices at once, or later."""
    script = draw_fall(setting, random, random.randrange(4, 30), LOSSES)
    announced = random.randrange(TICKS // 2)
    first = min(TICKS - 2, announced + 6 + random.randrange(6))
    later = min(TICKS - 1, first + random.randrange(1, 12))
    calls = [tuple(Deed(tick, 0, each("fix_price")) for tick in range(at, TICKS)) for at in (first, later)]
    silent = tuple(frozenset(range(at := random.randrange(TICKS), at + 12)) for _ in setting.prices)
    script = script._replace(announced=announced, silent=silent, awake=frozenset(range(TICKS)), intents=())
    kind = "settlement's prices are fixed at once, or later"
    return Pair(kind, script, tuple(calls), frozenset({"fix_price"}))


def _flags(setting: Setting, random: Random) -> Pair:
    """Draw a stranger who has every vault looked at while all of them are safe, or none."""
    script = draw_fall(setting, random, random.randrange(1, 20), (0, 50, 150, 300, 500))
    pool, at = pool_of(setting, random), random.randrange(1, 20)
    deeds = [*enter(ONE, pool, STAKE), ask(at, 0, ONE, pool)]
    calls = [Deed(tick, 2, each("flag")) for tick in range(at, TICKS)]
    out = [leave(tick, 2, ONE, pool) for tick in range(at + 1, TICKS)]
    kind = "safe vaults are flagged by a stranger, or not"
    worlds = (*deeds, *calls, *out), (*deeds, *out)
    return Pair(kind, script, worlds, frozenset({"flag"}), calm=True)


def _lies(setting: Setting, random: Random) -> Pair:
    """Draw a minority of reporters who lie, or say what is true; some of the honest never say anything."""
    script = draw_fall(setting, random, random.randrange(1, 20), (0, 0, 500))
    absent, lies = set(), []
    start, factor = random.randrange(2, 20), random.choice((1, 50, 90, 110, 300))
    for c, bought in enumerate(setting.bought):
        reporters = setting.parameters.collateral_types[c].feed.reporters
        honest = [get_account(f"reporter_{i + 1}") for i in range(len(bought), reporters)]
        absent |= set(random.sample(honest, random.choice((0, 1, 1, 2))))
        lies += [(c, who) for who in bought]

    def lie(town: Town) -> None:
        for c, who in lies:
            price = max(1, setting.prices[c] * factor // 100)
            town.act(Action("PriceFeed", LIE, (c, price), who))

    deeds = tuple(Deed(tick, 1, lie) for tick in range(start, TICKS, 3))
    script = script._replace(absent=frozenset(absent))
    return Pair("a minority of reporters lies, or does not", script, (deeds, ()))


def _sold(setting: Setting, random: Random) -> Pair:
    """Draw a vault that becomes unsafe, but is worth its debt: its owner repays, or it is sold."""
    event = random.randrange(2, 20)
    script = draw_fall(setting, random, event, (100, 300, 500, 1_000, 1_500, 2_000))
    c = random.choice((0, 1, 1, 1))
    terms = setting.parameters.collateral_types[c]
    debt = random.randint(5_000, 500_000) * WAD
    opened = borrow(1, 0, ONE, c, debt, terms.initial_ratio + 1)
    repaid = Deed(event, 1, lambda town: _repay_if_sound(town, c, debt))
    script = script._replace(awake=frozenset(range(TICKS)), intents=())
    kind = "an unsafe vault is repaid, or sold at the market's price"
    return Pair(kind, script, ((opened, repaid), (opened,)), allowed=debt // 20, others=True)


def _repay_if_sound(town: Town, c: int, debt: int) -> None:
    """Repay what is worth a tenth more than its debt; what is not may make a loss."""
    vault, price = town.engine.vaults[c, ONE], town.feed.reports[c, 1].price
    if vault.locked_collateral * price * 10 > debt * RAY * 11:
        repay_all(0, 0, ONE, c, debt).do(town)


def _outage(setting: Setting, random: Random) -> Pair:
    """Draw vaults that are sold while blocks are produced all the time, or with a stretch without any."""
    if not setting.parameters.block_time:
        return _sold(setting, random)
    event = random.randrange(2, 20)
    script = draw_fall(setting, random, event, (300, 500, 1_000, 1_500, 2_000))
    # What falls stays there.
    rows = (*script.prices[0][:event], *(script.prices[0][event],) * (TICKS - event))
    at, seconds = event + random.randrange(1, 12), random.choice((600, 3_600, 2 * 3_600))
    c = random.randrange(len(setting.parameters.collateral_types))
    terms = setting.parameters.collateral_types[c]
    debt = random.randint(20_000, 500_000) * WAD
    opened = (borrow(1, 0, OTHER, c, debt, terms.initial_ratio + 1),)
    script = script._replace(prices=(rows, rows), awake=frozenset(range(TICKS)), intents=())

    def stop(town: Town) -> None:
        town.stop(seconds)
        for id in [id for id, lot in town.auction.lots.items() if lot.target]:
            town.tend_lot(KEEPER, id, script.prices[0][at])

    kind = "what is under auction is sold as ever, or after an outage"
    worlds = opened, (*opened, Deed(at, 0, stop))
    return Pair(kind, script, worlds, allowed=BARGAIN, buyer=True)


KINDS: tuple[Callable[[Setting, Random], Pair], ...] = (
    _leave_or_stay,
    _leave_or_stay,
    _leave_or_stay,
    _crumb,
    _same_second,
    _again,
    _given_up,
    _restarts,
    _final_price,
    _flags,
    _lies,
    _sold,
    _outage,
)
