"""Positions closed against unassigned lots, by rank or pro rata, compared with greedy engines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from backstop.contract_base import ZERO_ADDRESS
from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.model.interfaces import Gains
from backstop.model.price_path import SHORT
from backstop.model.ranked_deleveraging import RankedDeleveraging, compute_gain_to_worth_score
from backstop.studies.auto_deleveraging.crash_accounts import CLOSER, FINDER, AccountPopulation
from backstop.system import Action, Outcome

SUBMITTING, EXECUTING, SHARING = "ranks are submitted", "ranks are executed", "lots are shared"


class AdlResult(NamedTuple):
    """Short positions of a market that were closed against the lots of insolvent longs.

    A lot is the contract unit of the perpetual market. `would` has the lots of each account that would have
    been closed without any trade since the price drop.
    """

    market: int
    nobodys: int  # lots, before
    left: int  # lots, after
    did: dict[str, int]  # lots that were closed, by account
    whole: int  # lots that a greedy engine closes: whole positions in the order of rank
    whole_accounts: int
    would: dict[str, int]  # lots that would be closed of each if nobody had traded since the coins fell


def close_positions_by_policy(
    crowd: AccountPopulation,
    market_index: int,
    lots_before_closing: dict[str, int],
    run_between_steps: Callable[[], None],
    least_gas_per_account: int = 0,
) -> AdlResult:
    """Close winners' positions against unassigned lots by the deployed policy.

    Return the closed lots. Unassigned lots are those of insolvent accounts; a lot is the contract unit of the
    market. `run_between_steps` is called before and after each step. `lots_before_closing` has the lots of
    each account at the price drop. Blocks are planned with at least `least_gas_per_account`.
    """
    market, blocks = crowd.market, crowd.blocks
    gains = _read_short_gains_by_account(crowd, market_index)
    order = sorted(
        gains,
        key=lambda owner: (compute_gain_to_worth_score(gains[owner], SHORT), int(owner, 16)),
        reverse=True,
    )
    nobodys = market.lots[market_index].short - market.lots[market_index].long
    sizes = {owner: max(0, -market.positions[owner, market_index].size) for owner in order}
    whole = whole_accounts = 0
    for owner in order:
        if whole >= nobodys:
            break
        whole, whole_accounts = whole + sizes[owner], whole_accounts + (sizes[owner] != 0)
    did: Counter[str] = Counter()

    def note(outcome: Outcome) -> None:
        for log in outcome.logs:
            if log.event == "Deleveraged":
                did[log.values[0]] += abs(log.values[2])

    like = f"in {market_index}"

    def do(method: str, accounts: Sequence[str], may: bool = False) -> Outcome:
        call, count = f"{CLOSER}.{method}", len(accounts)
        return blocks.apply_call_in_block(
            *(call, market_index, SHORT, accounts),
            sender=get_trader_account(FINDER),
            account_count=count,
            may_revert=may,
            gas_kind=like,
            least_gas_per_account=least_gas_per_account,
        )

    def cut(method: str, accounts: Sequence[str]) -> Iterator[tuple[str, ...]]:
        call, by = f"{CLOSER}.{method}", get_trader_account(FINDER)
        return blocks.iter_account_batches(
            call,
            market_index,
            SHORT,
            accounts=accounts,
            sender=by,
            gas_kind=like,
            least_gas_per_account=least_gas_per_account,
        )

    if isinstance(blocks.model.world.contracts[CLOSER], RankedDeleveraging):
        would, left = {}, nobodys
        for owner in order:
            would[owner] = min(lots_before_closing.get(owner, 0), left)
            left -= would[owner]
        blocks.begin_phase(SUBMITTING, len(order))
        run_between_steps()
        calls = []
        for accounts in cut("submit", order):
            do("submit", accounts)
            calls.append(accounts)
        blocks.begin_phase(EXECUTING, sum(lots != 0 for lots in would.values()))
        run_between_steps()
        for accounts in calls:
            done = do("execute", accounts, may=True)
            note(done)
            if done.value == 0:
                break
    else:
        whole_gain = market.cycle_of(ZERO_ADDRESS, market_index, market.clocks[()].cycle - 1)[0].short
        would = {
            owner: min(lots_before_closing.get(owner, 0), nobodys * gains[owner].short // whole_gain)
            for owner in order
        }
        blocks.begin_phase(SHARING, len(order))
        run_between_steps()
        ascending = sorted(order, key=lambda owner: int(owner, 16))
        for accounts in cut("share", ascending):
            action = Action(CLOSER, "share", (market_index, SHORT, accounts), get_trader_account(FINDER))
            if blocks.model.dry_run(action).reason is None:
                note(do("share", accounts))
    run_between_steps()
    left = market.lots[market_index].short - market.lots[market_index].long
    return AdlResult(market_index, nobodys, left, dict(did), whole, whole_accounts, would)


def _read_short_gains_by_account(crowd: AccountPopulation, market_index: int) -> dict[str, Gains]:
    """Return the gains of each account with a short gain in the market's pending cycle.

    The pending cycle is the last finished cycle; its losses are not final yet.
    """
    market, found = crowd.market, {}
    with crowd.blocks.model.fork_state():
        for owner in list(market.accounts):
            gains = market.gains_of(ZERO_ADDRESS, owner, market_index)
            if gains.short:
                found[owner] = gains
    return found
