"""The keeper that has positions closed against lots of debtors, where a deployment does that.

For the ranked rule the keeper first proves an order, which any account may execute; for the pro-rata rule
each account's part is closed alone. Both rules use the gains of accounts in the pending cycle, which nothing
changes until the next roll.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from backstop.contract_base import ZERO_ADDRESS
from backstop.keepers.call_costs import get_job_gas
from backstop.keepers.cycle_view import CLOSER, CycleView, MarketSimulation
from backstop.keepers.keeper_role_register import Decisions, Intent, Keeper, KeeperMemory, register_role
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.margin_keepers import (
    Accounts,
    estimate_call_gas,
    get_submittable_reports,
    split_calls,
    submit_reports,
)
from backstop.model.bounds import MAX_CLOSED, MIN_RANKED
from backstop.model.perpetual_market import PerpetualMarket
from backstop.model.price_path import LONG, SHORT
from backstop.model.ranked_deleveraging import (
    RankedDeleveraging,
    compute_gain_to_worth_score,
    get_side_gain,
    hash_account_addresses,
)


@register_role("deleverager")
def plan_deleverager_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield the calls that close winning positions against lots seized from insolvent accounts.

    The deployment's rule decides: ranked deleveraging first submits a ranking and then executes it, pro rata
    deleveraging closes a share of each account. The bonds of the seized accounts pay for the calls. Nothing
    is yielded without a margin market, without a closer contract, or after every market has ended.
    """
    cycles = view.cycles
    if cycles is None or cycles.has_every_market_ended or CLOSER not in view.addresses:
        return
    signed = get_submittable_reports(keeper, view, cycles)
    ahead = cycles.simulate_reports(signed)
    wanted: list[Intent] = []
    with ahead.revert_changes_on_exit():
        for m in cycles.feeds:
            left = ahead.get_unassigned_lots(m)
            if left and ahead.fresh[m] and keeper.is_assigned(m):
                # Lots of debtors that were long face those who are short.
                wanted += _iter_side_deleveraging_intents(
                    keeper, cycles, ahead, memory, m, SHORT if left > 0 else LONG
                )
    if any(intent.action.method in ("execute", "share") for intent in wanted):
        yield from submit_reports(keeper, signed)
    yield from wanted


def _iter_side_deleveraging_intents(
    keeper: Keeper,
    cycles: CycleView,
    simulation: MarketSimulation,
    memory: KeeperMemory,
    market_id: int,
    side: int,
) -> Iterator[Intent]:
    gained = rank_gainers(simulation, market_id, side)
    closer = simulation.closer
    if isinstance(closer, RankedDeleveraging):
        if gained and closer.cases[market_id, side].cycle != simulation.pending_cycle:
            yield from _iter_ranking_submission_intents(keeper, cycles, simulation, market_id, side, gained)
        yield from _iter_ranking_execution_intents(keeper, simulation, memory, market_id, side, gained)
    else:
        for accounts in split_calls(
            keeper, cycles, "cycles: share", sorted(gained, key=_convert_address_to_integer)
        ):
            if simulation.apply_call_and_report_success(
                CLOSER, "share", market_id, side, accounts, sender=keeper.address
            ):
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


def _iter_ranking_submission_intents(
    keeper: Keeper,
    cycles: CycleView,
    simulation: MarketSimulation,
    market_id: int,
    side: int,
    ranked_gainers: list[str],
) -> Iterator[Intent]:
    """Yield the calls that submit the rest of the keeper's own ranking of a market's gainers.

    The calls continue after the last account that the keeper submitted in the pending cycle (the last ended
    cycle, in which gains still bear losses).
    """
    closer = simulation.closer
    assert isinstance(closer, RankedDeleveraging)
    run, last = closer.runs[market_id, side, keeper.address], closer.lasts[market_id, side, keeper.address]
    rest = (
        ranked_gainers[ranked_gainers.index(last.last) + 1 :]
        if run.cycle == simulation.pending_cycle
        else ranked_gainers
    )
    for accounts in split_calls(keeper, cycles, "cycles: submit", rest, MIN_RANKED):
        if not simulation.apply_call_and_report_success(
            CLOSER, "submit", market_id, side, accounts, sender=keeper.address
        ):
            return
        gas = estimate_call_gas(cycles, "cycles: submit", accounts)
        yield keeper.build_intent(
            CLOSER, "submit", market_id, side, accounts, about=("submit", market_id, accounts[0]), gas=gas
        )


def _iter_ranking_execution_intents(
    keeper: Keeper,
    simulation: MarketSimulation,
    memory: KeeperMemory,
    market_id: int,
    side: int,
    ranked_gainers: list[str],
) -> Iterator[Intent]:
    """Yield calls that execute proven rankings of any account until no unassigned lots are left."""
    closer = simulation.closer
    assert isinstance(closer, RankedDeleveraging)
    case = closer.cases[market_id, side]
    if case.cycle == simulation.pending_cycle:
        memory.rankings[market_id, side] = case.cycle, ranked_gainers
    # One that was proven in the window before counts, too, as long as there is no newer one.
    cycle, ranking = memory.rankings.get((market_id, side), (0, []))
    if case.cycle != cycle or case.cycle < simulation.pending_cycle - 1:
        return
    for accounts in find_submitted_batches_of_ranking(closer, market_id, side, ranking)[case.executed :]:
        if not simulation.apply_call_and_report_success(
            CLOSER, "execute", market_id, side, accounts, sender=keeper.address
        ):
            return
        gas = get_job_gas("cycles: execute") + len(accounts) * get_job_gas("cycles: execute, each account")
        yield keeper.build_intent(
            CLOSER, "execute", market_id, side, accounts, about=("execute", market_id, accounts[0]), gas=gas
        )
        if not simulation.get_unassigned_lots(market_id):
            return


def rank_gainers(ahead: MarketSimulation, market_id: int, side: int) -> list[str]:
    """Return the accounts that gained on a side of a market in the pending cycle, first in rank first.

    The pending cycle is the last ended one, in which gains still bear losses.
    """
    return [
        each.owner
        for each in compute_ranks(ahead.market, market_id, side, ahead.account_addresses)
        if each.gain
    ]


def find_submitted_batches_of_ranking(
    closer: RankedDeleveraging, market_id: int, side: int, ranking: Sequence[str]
) -> list[Accounts]:
    """Split a proven ranking into the batches of accounts in which it was submitted.

    The contract stores only the digest of each batch, so the function searches for the batch size that
    matches. It stops at the first batch without a match.
    """
    found: list[Accounts] = []
    start, case = 0, closer.cases[market_id, side]
    for number in range(case.batches):
        kept = closer.digests[market_id, side, case.prover, case.cycle << 32 | number]
        sizes = range(1, min(MAX_CLOSED, len(ranking) - start) + 1)
        cuts = (tuple(ranking[start : start + size]) for size in sizes)
        cut = next((each for each in cuts if hash_account_addresses(each) == kept), None)
        if cut is None:
            return found
        found.append(cut)
        start += len(cut)
    return found


def _convert_address_to_integer(address: str) -> int:
    return int(address, 16)


class Rank(NamedTuple):
    """Rank of an account on one side of a market, for deleveraging.

    A higher score of gain to worth is closed first. Equal scores are ordered by address, and accounts without
    a gain come last.
    """

    score: int
    number: int  # the address
    owner: str
    gain: int  # [wei]
    worth: int  # [wei] at the end of the cycle


def compute_ranks(market: PerpetualMarket, market_id: int, side: int, owners: Iterable[str]) -> list[Rank]:
    """Return the deleveraging ranks of accounts on one side of a market, first to be closed first.

    Gains count over the pending cycle, which is the last ended one. The call also updates each account in
    `market` to the current cycle.
    """
    ranks = []
    for owner in owners:
        gains = market.gains_of(ZERO_ADDRESS, owner, market_id)
        gain = get_side_gain(gains, side)
        ranks.append(
            Rank(
                compute_gain_to_worth_score(gains, side),
                _convert_address_to_integer(owner),
                owner,
                gain,
                gains.worth,
            )
        )
    return sorted(ranks, reverse=True)
