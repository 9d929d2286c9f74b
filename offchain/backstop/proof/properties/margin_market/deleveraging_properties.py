"""Properties of auto-deleveraging: the closed positions, their order and size, and the rewards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    ACCOUNTS,
    CASES,
    CLOCK,
    CLOSER,
    CLOSINGS,
    GAINED,
    LOTS,
    MARKET,
    MARKETS,
    PATHS,
    POSITIONS,
    REWARDS,
    TOTALS,
    TRADING,
    WORTHS,
    build_cycle_key,
    compute_lot_price_from_reports,
    has_ended,
    has_margin_market,
    list_deleveraged_positions,
    list_event_values,
    sum_bond_rewards_by_receiver,
)
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    history_property,
    transition_property,
)

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_SCALE, _MOST_SCORE = 10**9, 2**96 - 1


@transition_property(110, calls=[f"{CLOSER}.*", f"{TRADING}.*"], events=[f"{TRADING}.Deleveraged"])
def adl_offsets_only_debtor_lots(step: Transition, changes: Changes) -> None:
    """Check that auto-deleveraging closes only positions that face unassigned lots (property 110).

    Unassigned lots are positions of seized insolvent accounts. They are closed at the mark, without payment,
    and no more of them than exist. No account changes sides. The caller, or a taker of such lots, gets their
    share by value of the remaining bonds. Under a ranking, the caller and the prover of the ranking get half
    of it each. Raises PropertyViolationError otherwise.
    """
    forced = list_deleveraged_positions(step) if has_margin_market(step) else []
    if not has_margin_market(step) or not (forced or step.action.contract in (CLOSER, TRADING)):
        return
    if forced and f"{step.action.contract}.{step.action.method}" not in CLOSINGS:
        raise PropertyViolationError(f"{step.action.contract}.{step.action.method} closed {forced}")
    over = 0
    for owner, m, delta, price in forced:
        old, new = (
            read(MARKET, POSITIONS, (owner, m)).size for read in (step.read_pre_state, step.read_post_state)
        )
        long, short = step.read_pre_state(MARKET, LOTS, m)
        if new - old != delta or old * delta >= 0 or new * old < 0 or (long - short) * old <= 0:
            raise PropertyViolationError(
                f"{owner} had {old} lots, of {long} and {short}, and has {new}: {delta} were closed"
            )
        if price != step.read_post_state(MARKET, PATHS, m).price or price != compute_lot_price_from_reports(
            step, m
        ):
            raise PropertyViolationError(
                f"{owner} was closed at {price}, and the mark is "
                f"{step.read_post_state(MARKET, PATHS, m).price}"
            )
        over += abs(delta) * price
    taken = list_event_values(step, "Taken", contract=TRADING)
    over += sum(abs(delta) * price for _, _, delta, price in taken)
    marked = {each[1] for each in (*forced, *taken)}
    pot, everything = step.read_pre_state(MARKET, REWARDS), 0
    for m in MARKETS:
        left = step.read_post_state(MARKET, LOTS, m)
        # In a market that has ended whoever is woken is closed before lots are counted.
        long, short = (
            left if has_ended(step, step.read_pre_state, m) else step.read_pre_state(MARKET, LOTS, m)
        )
        # Other markets are marked later in the step, if at all.
        read = step.read_post_state if m in marked else step.read_pre_state
        everything += abs(long - short) * read(MARKET, PATHS, m).price
        if forced and abs(left[0] - left[1]) > abs(long - short):
            raise PropertyViolationError(
                f"{abs(left[0] - left[1])} lots are nobody's, and there were {abs(long - short)}"
            )
    due = pot * over // everything if over else 0
    found = sum_bond_rewards_by_receiver(step)
    finder = taken[0][0] if taken else step.action.sender
    parts = {finder: due}
    if step.is_call(CLOSER, "execute"):
        prover = step.read_pre_state(CLOSER, CASES, step.action.args[:2]).prover
        parts = {finder: due - due // 2}
        parts[prover] = parts.get(prover, 0) + due // 2
    if found != {who: amount for who, amount in parts.items() if amount}:
        raise PropertyViolationError(
            f"{found} was paid for {over} of {everything}, out of {pot}, and not {parts}"
        )


@history_property(111, writes=[POSITIONS], calls=[f"{CLOSER}.*"])
class DeleveragingFollowsProvenRanking:
    """Checker that auto-deleveraging follows a correct ranking of accounts (property 111).

    The ranking holds all accounts that gained on a side in the last ended cycle. They are ordered by gain
    over account value at its end. It is executed in that window or the next. An account is closed only after
    all accounts ranked before it. Pro-rata deleveraging closes no account beyond its share.
    """

    def __init__(self, model: ModelSystem) -> None:
        self._runs: dict[tuple[int, int, str, int], list[str]] = {}
        self._proven: dict[tuple[int, int], tuple[int, list[str]]] = {}
        self._done: dict[tuple[int, int], set[str]] = {}
        self._parts: dict[tuple[int, int, int, str], int] = {}

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record submitted rankings and deleveraged accounts, and check completeness and order.

        Raises PropertyViolationError otherwise.
        """
        if not has_margin_market(step) or step.action.contract != CLOSER:
            return
        m, side, accounts = step.action.args
        cycle = step.read_post_state(MARKET, CLOCK).cycle - 1
        if step.action.method == "submit":
            run = self._runs.setdefault((m, side, step.action.sender, cycle), [])
            run += accounts
            for market, _, _, of in list_event_values(step, "Proven", contract=CLOSER):
                if market != m or of != cycle:
                    raise PropertyViolationError(
                        f"a ranking of market {market} and cycle {of} is proven in {m}, {cycle}"
                    )
                self._proven[m, side] = (cycle, list(run))
                self._done[m, side] = set()
                self._check_ranking(step, m, side, run)
        elif step.action.method == "execute":
            self._check_order(step, m, side, cycle)
        elif step.action.method == "share":
            self._check_closed_parts_pro_rata(step, m, side, cycle)

    def _check_ranking(self, step: Transition, market_id: int, side: int, run: list[str]) -> None:
        tables = step.model.world.contracts[MARKET].tables
        cycle, ranks = tables[CLOCK][()].cycle, []
        for owner, account in tables[ACCOUNTS].items():
            gained = tables[GAINED][build_cycle_key(owner, market_id, cycle - 1)][side]
            if account.cycle == cycle and gained:
                worth, brought = tables[WORTHS][owner]
                score = min(gained * _SCALE // max(worth - brought, 1), _MOST_SCORE)
                ranks.append((score, int(owner, 16), owner, gained))
        everybody = [owner for _, _, owner, _ in sorted(ranks, reverse=True)]
        if everybody != run or sum(each[3] for each in ranks) != tables[TOTALS][market_id, cycle - 1][side]:
            raise PropertyViolationError(f"{run} is proven, and {everybody} gained in market {market_id}")

    def _check_order(self, step: Transition, market_id: int, side: int, cycle: int) -> None:
        when, ranking = self._proven.get((market_id, side), (0, []))
        if when not in (cycle, cycle - 1):
            raise PropertyViolationError(
                f"market {market_id} was closed by the ranking of cycle {when} in that of {cycle}"
            )
        for place, (owner, *_) in enumerate(list_deleveraged_positions(step)):
            if owner not in ranking:
                raise PropertyViolationError(
                    f"{owner} was closed as {place}, and is not in the ranking {ranking}"
                )
            before = ranking[: ranking.index(owner)]
            open_lots = [
                each
                for each in before
                if _count_side_lots(step.read_post_state(MARKET, POSITIONS, (each, market_id)).size, side)
            ]
            if left := [each for each in open_lots if each not in self._done[market_id, side]]:
                raise PropertyViolationError(
                    f"{owner} was closed as {place}, and {left} rank before it and have lots"
                )
        if any(left for *_, left in list_event_values(step, "Executed", contract=CLOSER)):
            self._done[market_id, side].update(step.action.args[2])

    def _check_closed_parts_pro_rata(self, step: Transition, market_id: int, side: int, cycle: int) -> None:
        total = step.read_post_state(MARKET, TOTALS, (market_id, cycle))[side]
        lots = step.read_pre_state(MARKET, LOTS, market_id)
        done = sum(n for (a, b, c, _), n in self._parts.items() if (a, b, c) == (market_id, side, cycle))
        whole = done + max(0, lots[side] - lots[1 - side])
        for owner, _, delta, _ in list_deleveraged_positions(step):
            key = market_id, side, cycle, owner
            self._parts[key] = self._parts.get(key, 0) + abs(delta)
            gained = step.read_post_state(MARKET, GAINED, build_cycle_key(owner, market_id, cycle))[side]
            part = whole * gained // total if total else 0
            if self._parts[key] > part:
                raise PropertyViolationError(
                    f"{self._parts[key]} lots of {owner} are closed, and its part is {part}"
                )


def _count_side_lots(size: int, side: int) -> int:
    """Return the size of a position [lots] if it is on the given side (0 long, 1 short), else 0."""
    return abs(size) if size and int(size < 0) == side else 0
