"""Positions closed against lots that are nobody's, by rank or by shares; greedy engines counted beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from backstop.deployment.devnet_signing import get_trader_account
from backstop.model.contract_base import ZERO_ADDRESS
from backstop.model.interfaces import Gains
from backstop.model.price_path import SHORT
from backstop.model.ranked_deleveraging import RankedDeleveraging, compute_score
from backstop.studies.auto_deleveraging.crash_accounts import CLOSER, FINDER, AccountPopulation
from backstop.system import Action, Outcome

SUBMITTING, EXECUTING, SHARING = "ranks are submitted", "ranks are executed", "lots are shared"


class AdlResult(NamedTuple):
    """What was closed of the short positions of a market, whose long debtors' lots were nobody's."""

    market: int
    nobodys: int  # lots, before
    left: int  # lots, after
    did: dict[str, int]  # lots that were closed, by account
    whole: int  # lots that a greedy engine closes: whole positions in the order of rank
    whole_accounts: int
    would: dict[str, int]  # lots that would be closed of each if nobody had traded since the coins fell


def close_positions(
    crowd: AccountPopulation,
    market_index: int,
    held: dict[str, int],
    between: Callable[[], None],
    at_least: int = 0,
) -> AdlResult:
    """Have lots closed by the policy that is deployed; do something else before and after each part of it.

    `held` are the lots of each account when the coins fell. Blocks are planned with at least so much gas for
    each.
    """
    market, blocks = crowd.market, crowd.blocks
    gains = _read_gains(crowd, market_index)
    order = sorted(
        gains, key=lambda owner: (compute_score(gains[owner], SHORT), int(owner, 16)), reverse=True
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
        return blocks.apply_call(
            *(call, market_index, SHORT, accounts),
            by=get_trader_account(FINDER),
            accounts=count,
            may=may,
            like=like,
            at_least=at_least,
        )

    def cut(method: str, accounts: Sequence[str]) -> Iterator[tuple[str, ...]]:
        call, by = f"{CLOSER}.{method}", get_trader_account(FINDER)
        return blocks.batch_accounts(
            call, market_index, SHORT, accounts=accounts, by=by, like=like, at_least=at_least
        )

    if isinstance(blocks.model.world.contracts[CLOSER], RankedDeleveraging):
        would, left = {}, nobodys
        for owner in order:
            would[owner] = min(held.get(owner, 0), left)
            left -= would[owner]
        blocks.begin_phase(SUBMITTING, len(order))
        between()
        calls = []
        for accounts in cut("submit", order):
            do("submit", accounts)
            calls.append(accounts)
        blocks.begin_phase(EXECUTING, sum(lots != 0 for lots in would.values()))
        between()
        for accounts in calls:
            done = do("execute", accounts, may=True)
            note(done)
            if done.value == 0:
                break
    else:
        whole_gain = market.cycle_of(ZERO_ADDRESS, market_index, market.clocks[()].cycle - 1)[0].short
        would = {
            owner: min(held.get(owner, 0), nobodys * gains[owner].short // whole_gain) for owner in order
        }
        blocks.begin_phase(SHARING, len(order))
        between()
        ascending = sorted(order, key=lambda owner: int(owner, 16))
        for accounts in cut("share", ascending):
            action = Action(CLOSER, "share", (market_index, SHORT, accounts), get_trader_account(FINDER))
            if blocks.model.dry_run(action).reason is None:
                note(do("share", accounts))
    between()
    left = market.lots[market_index].short - market.lots[market_index].long
    return AdlResult(market_index, nobodys, left, dict(did), whole, whole_accounts, would)


def _read_gains(crowd: AccountPopulation, market_index: int) -> dict[str, Gains]:
    """Return what each account gained short in the pending cycle, if it did."""
    market, found = crowd.market, {}
    with crowd.blocks.model.fork_state():
        for owner in list(market.accounts):
            gains = market.gains_of(ZERO_ADDRESS, owner, market_index)
            if gains.short:
                found[owner] = gains
    return found
