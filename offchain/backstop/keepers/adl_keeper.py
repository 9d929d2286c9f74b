"""The keeper that has positions closed against lots of debtors, where a deployment does that.

By rank it proves an order first, which anybody may execute; by shares each account's part is closed alone.
Both go by what accounts gained in the pending cycle, which nothing changes until the next roll.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from backstop.keepers.call_costs import get_job_gas
from backstop.keepers.cycle_view import CLOSER, CycleView, MarketSimulation
from backstop.keepers.keeper_decisions import Decisions, Intent, Keeper, KeeperMemory, register_role
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.margin_keepers import (
    Accounts,
    estimate_call_gas,
    get_submittable_reports,
    split_calls,
    submit_reports,
)
from backstop.model.bounds import MAX_CLOSED, MIN_RANKED
from backstop.model.contract_base import ZERO_ADDRESS
from backstop.model.perpetual_market import PerpetualMarket
from backstop.model.price_path import LONG, SHORT
from backstop.model.ranked_deleveraging import RankedDeleveraging, compute_score, get_side_gain, hash_accounts


@register_role("deleverager")
def plan_deleverager_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Close winners' positions against unassigned lots, by the ranking or the shares of the deployment.

    The bonds of the debtors whose lots were seized pay for the calls.
    """
    cycles = view.cycles
    if cycles is None or cycles.is_closing or CLOSER not in view.addresses:
        return
    signed = get_submittable_reports(keeper, view, cycles)
    ahead = cycles.simulate_reports(signed)
    wanted: list[Intent] = []
    with ahead.fork_state():
        for m in cycles.feeds:
            left = ahead.get_unassigned_lots(m)
            if left and ahead.fresh[m] and keeper.is_assigned(m):
                # Lots of debtors that were long face those who are short.
                wanted += _plan_market_closing(keeper, cycles, ahead, memory, m, SHORT if left > 0 else LONG)
    if any(intent.action.method in ("execute", "share") for intent in wanted):
        yield from submit_reports(keeper, signed)
    yield from wanted


def _plan_market_closing(
    keeper: Keeper,
    cycles: CycleView,
    ahead: MarketSimulation,
    memory: KeeperMemory,
    market_id: int,
    side: int,
) -> Iterator[Intent]:
    gained = rank_gainers(ahead, market_id, side)
    closer = ahead.closer
    if isinstance(closer, RankedDeleveraging):
        if gained and closer.cases[market_id, side].cycle != ahead.pending:
            yield from _plan_ranking_submission(keeper, cycles, ahead, market_id, side, gained)
        yield from _plan_ranking_execution(keeper, ahead, memory, market_id, side, gained)
    else:
        for accounts in split_calls(keeper, cycles, "cycles: share", sorted(gained, key=_parse_address)):
            if ahead.try_call(CLOSER, "share", market_id, side, accounts, sender=keeper.address):
                gas = estimate_call_gas(cycles, "cycles: share", accounts)
                yield keeper.build_intent(
                    CLOSER,
                    "share",
                    market_id,
                    side,
                    accounts,
                    about=("share", market_id, accounts[0]),
                    gas=gas,
                )


def _plan_ranking_submission(
    keeper: Keeper, cycles: CycleView, ahead: MarketSimulation, market_id: int, side: int, gained: list[str]
) -> Iterator[Intent]:
    """Go on with its own ranking, to its end."""
    closer = ahead.closer
    assert isinstance(closer, RankedDeleveraging)
    run, last = closer.runs[market_id, side, keeper.address], closer.lasts[market_id, side, keeper.address]
    rest = gained[gained.index(last.last) + 1 :] if run.cycle == ahead.pending else gained
    for accounts in split_calls(keeper, cycles, "cycles: submit", rest, MIN_RANKED):
        if not ahead.try_call(CLOSER, "submit", market_id, side, accounts, sender=keeper.address):
            return
        gas = estimate_call_gas(cycles, "cycles: submit", accounts)
        yield keeper.build_intent(
            CLOSER, "submit", market_id, side, accounts, about=("submit", market_id, accounts[0]), gas=gas
        )


def _plan_ranking_execution(
    keeper: Keeper,
    ahead: MarketSimulation,
    memory: KeeperMemory,
    market_id: int,
    side: int,
    gained: list[str],
) -> Iterator[Intent]:
    """Execute proven rankings of any account until no unassigned lots are left."""
    closer = ahead.closer
    assert isinstance(closer, RankedDeleveraging)
    case = closer.cases[market_id, side]
    if case.cycle == ahead.pending:
        memory.rankings[market_id, side] = case.cycle, gained
    # One that was proven in the window before counts, too, as long as there is no newer one.
    cycle, ranking = memory.rankings.get((market_id, side), (0, []))
    if case.cycle != cycle or case.cycle < ahead.pending - 1:
        return
    for accounts in split_submitted_ranking(closer, market_id, side, ranking)[case.executed :]:
        if not ahead.try_call(CLOSER, "execute", market_id, side, accounts, sender=keeper.address):
            return
        gas = get_job_gas("cycles: execute") + len(accounts) * get_job_gas("cycles: execute, each account")
        yield keeper.build_intent(
            CLOSER, "execute", market_id, side, accounts, about=("execute", market_id, accounts[0]), gas=gas
        )
        if not ahead.get_unassigned_lots(market_id):
            return


def rank_gainers(ahead: MarketSimulation, market_id: int, side: int) -> list[str]:
    """Return who gained on a side of a market in the pending cycle, in the order of rank."""
    return [each.owner for each in compute_ranks(ahead.market, market_id, side, ahead.owners) if each.gain]


def split_submitted_ranking(
    closer: RankedDeleveraging, market_id: int, side: int, ranking: Sequence[str]
) -> list[Accounts]:
    """Cut a proven ranking into the calls in which it was submitted, whose digests are all that is kept."""
    found: list[Accounts] = []
    start, case = 0, closer.cases[market_id, side]
    for number in range(case.batches):
        kept = closer.digests[market_id, side, case.prover, case.cycle << 32 | number]
        sizes = range(1, min(MAX_CLOSED, len(ranking) - start) + 1)
        cuts = (tuple(ranking[start : start + size]) for size in sizes)
        cut = next((each for each in cuts if hash_accounts(each) == kept), None)
        if cut is None:
            return found
        found.append(cut)
        start += len(cut)
    return found


def _parse_address(owner: str) -> int:
    return int(owner, 16)


class Rank(NamedTuple):
    """Rank of an account on a side of a market: equal scores go by address, accounts without a gain last."""

    score: int
    number: int  # the address
    owner: str
    gain: int  # [wei]
    worth: int  # [wei] at the end of the cycle


def compute_ranks(market: PerpetualMarket, market_id: int, side: int, owners: Iterable[str]) -> list[Rank]:
    """Return the ranks of accounts on a side in the pending cycle, of whom is closed first, first.

    Brings the accounts up to date.
    """
    ranks = []
    for owner in owners:
        gains = market.gains_of(ZERO_ADDRESS, owner, market_id)
        gain = get_side_gain(gains, side)
        ranks.append(Rank(compute_score(gains, side), _parse_address(owner), owner, gain, gains.worth))
    return sorted(ranks, reverse=True)
