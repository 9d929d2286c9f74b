"""The keeper that has positions closed against lots of debtors, where a deployment does that.

By rank it proves an order first, which anybody may execute; by shares each account's part is closed alone.
Both go by what accounts gained in the pending cycle, which nothing changes until the next roll.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from backstop.keepers.costs import measured
from backstop.keepers.cycle_view import CLOSER, CycleView, Rehearsal
from backstop.keepers.cycles import Accounts, bring, calls, gas_of_call, signed_for
from backstop.keepers.keeper import Decisions, Intent, Keeper, Memory, role
from backstop.keepers.view import View
from backstop.model.bounds import MAX_CLOSED, MIN_RANKED
from backstop.model.perpetual_market import PerpetualMarket
from backstop.model.perpetual_ranking import PerpetualRanking, digest, gain_on, score_of
from backstop.model.price_path import LONG, SHORT
from backstop.model.state import ZERO_ADDRESS


@role("deleverager")
def deleverager(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Have positions closed against lots that are nobody's, in the order or by the parts of the deployment.

    Bonds of those whose lots they were pay for it.
    """
    cycles = view.cycles
    if cycles is None or cycles.is_closing or CLOSER not in view.addresses:
        return
    signed = signed_for(me, view, cycles)
    ahead = cycles.rehearse(signed)
    wanted: list[Intent] = []
    with ahead.imagine():
        for m in cycles.feeds:
            left = ahead.left_lots(m)
            if left and ahead.fresh[m] and me.mine(m):
                # Lots of debtors that were long face those who are short.
                wanted += _close(me, cycles, ahead, memory, m, SHORT if left > 0 else LONG)
    if any(intent.action.method in ("execute", "share") for intent in wanted):
        yield from bring(me, signed)
    yield from wanted


def _close(
    me: Keeper, cycles: CycleView, ahead: Rehearsal, memory: Memory, m: int, side: int
) -> Iterator[Intent]:
    gained = ranking_of(ahead, m, side)
    closer = ahead.closer
    if isinstance(closer, PerpetualRanking):
        if gained and closer.cases[m, side].cycle != ahead.pending:
            yield from _submit(me, cycles, ahead, m, side, gained)
        yield from _execute(me, ahead, memory, m, side, gained)
    else:
        for accounts in calls(me, cycles, "cycles: share", sorted(gained, key=_number)):
            if ahead.tries(CLOSER, "share", m, side, accounts, sender=me.address):
                gas = gas_of_call(cycles, "cycles: share", accounts)
                yield me.intent(CLOSER, "share", m, side, accounts, about=("share", m, accounts[0]), gas=gas)


def _submit(
    me: Keeper, cycles: CycleView, ahead: Rehearsal, m: int, side: int, gained: list[str]
) -> Iterator[Intent]:
    """Go on with its own ranking, to its end."""
    closer = ahead.closer
    assert isinstance(closer, PerpetualRanking)
    run, last = closer.runs[m, side, me.address], closer.lasts[m, side, me.address]
    rest = gained[gained.index(last.last) + 1 :] if run.cycle == ahead.pending else gained
    for accounts in calls(me, cycles, "cycles: submit", rest, MIN_RANKED):
        if not ahead.tries(CLOSER, "submit", m, side, accounts, sender=me.address):
            return
        gas = gas_of_call(cycles, "cycles: submit", accounts)
        yield me.intent(CLOSER, "submit", m, side, accounts, about=("submit", m, accounts[0]), gas=gas)


def _execute(
    me: Keeper, ahead: Rehearsal, memory: Memory, m: int, side: int, gained: list[str]
) -> Iterator[Intent]:
    """Execute what is proven, whoever proved it, until no lots are left."""
    closer = ahead.closer
    assert isinstance(closer, PerpetualRanking)
    case = closer.cases[m, side]
    if case.cycle == ahead.pending:
        memory.rankings[m, side] = case.cycle, gained
    # One that was proven in the window before counts, too, as long as there is no newer one.
    cycle, ranking = memory.rankings.get((m, side), (0, []))
    if case.cycle != cycle or case.cycle < ahead.pending - 1:
        return
    for accounts in submitted(closer, m, side, ranking)[case.executed :]:
        if not ahead.tries(CLOSER, "execute", m, side, accounts, sender=me.address):
            return
        gas = measured("cycles: execute") + len(accounts) * measured("cycles: execute, each account")
        yield me.intent(CLOSER, "execute", m, side, accounts, about=("execute", m, accounts[0]), gas=gas)
        if not ahead.left_lots(m):
            return


def ranking_of(ahead: Rehearsal, m: int, side: int) -> list[str]:
    """Return who gained on a side of a market in the pending cycle, in the order of rank."""
    return [each.owner for each in ranks_of(ahead.market, m, side, ahead.owners) if each.gain]


def submitted(closer: PerpetualRanking, m: int, side: int, ranking: Sequence[str]) -> list[Accounts]:
    """Cut a proven ranking into the calls in which it was submitted, whose digests are all that is kept."""
    found: list[Accounts] = []
    start, case = 0, closer.cases[m, side]
    for number in range(case.batches):
        kept = closer.digests[m, side, case.prover, case.cycle << 32 | number]
        sizes = range(1, min(MAX_CLOSED, len(ranking) - start) + 1)
        cuts = (tuple(ranking[start : start + size]) for size in sizes)
        cut = next((each for each in cuts if digest(each) == kept), None)
        if cut is None:
            return found
        found.append(cut)
        start += len(cut)
    return found


def _number(owner: str) -> int:
    return int(owner, 16)


class Rank(NamedTuple):
    """Rank of an account on a side of a market: equal scores go by address, accounts without a gain last."""

    score: int
    number: int  # the address
    owner: str
    gain: int  # [wei]
    worth: int  # [wei] at the end of the cycle


def ranks_of(market: PerpetualMarket, m: int, side: int, owners: Iterable[str]) -> list[Rank]:
    """Return the ranks of accounts on a side in the pending cycle, of whom is closed first, first.

    Brings the accounts up to date.
    """
    ranks = []
    for owner in owners:
        gains = market.gains_of(ZERO_ADDRESS, owner, m)
        gain = gain_on(gains, side)
        ranks.append(Rank(score_of(gains, side), _number(owner), owner, gain, gains.worth))
    return sorted(ranks, reverse=True)
