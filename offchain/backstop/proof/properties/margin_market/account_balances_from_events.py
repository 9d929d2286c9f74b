"""The property of accounts in the margin market: all their balances follow from events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import WAD
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    ACCOUNTS,
    BASIS_POINTS,
    CLOCK,
    CLOSER,
    CLOSINGS,
    EDGES,
    FEES,
    FUNDINGS,
    GAINED,
    HELD,
    LATE,
    LATE_OF,
    LEVELS,
    LOSSES,
    LOST,
    LOTS,
    MARKET,
    MARKETS,
    MOVES,
    ORDERS,
    OVERDUE,
    PAID_IN,
    PATHS,
    PENDINGS,
    POLICY,
    POOL,
    POSITIONS,
    REWARDS,
    SINCE,
    TOTALS,
    TRADING,
    VALUES,
    WORTHS,
    build_cycle_key,
    build_trade_from_events,
    compute_best_range_value_gain,
    compute_funding_index,
    compute_lot_price_from_reports,
    compute_maintenance_margin,
    compute_most_booking_reward,
    compute_off_mark_funding_and_payer,
    get_market_changes,
    get_market_fund_name,
    has_ended,
    has_margin_market,
    list_event_values,
    list_met_accounts,
    read_position_sizes,
)
from backstop.proof.properties.margin_market.eager_settlement_model import BOOKED as BOOKED_HALF
from backstop.proof.properties.margin_market.eager_settlement_model import (
    SEIZED,
    TAKEN,
    EagerAccount,
    EagerMarket,
    EagerPosition,
    EagerSettlementModel,
    Levels,
    MarketTarget,
)
from backstop.proof.properties.property_registry import PropertyViolationError, history_property

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_BY_OWNER = (ACCOUNTS, WORTHS, LATE_OF, PAID_IN)
_BY_POSITION = (POSITIONS, SINCE, PENDINGS)
_BY_CYCLE = (GAINED, LOST)
_OF_MARKETS = (CLOCK, PATHS, FUNDINGS, VALUES, MOVES, TOTALS, LOSSES, LATE, OVERDUE, FEES, REWARDS, HELD)
_WRITES = (*_BY_OWNER, *_BY_POSITION, *_BY_CYCLE, *_OF_MARKETS)


@history_property(
    96,
    writes=_WRITES,
    calls=[f"{MARKET}.*", f"{TRADING}.*", f"{CLOSER}.*", f"{POOL}.*", f"{ORDERS}.fill"],
    events=[f"{MARKET}.*"],
)
class AccountBalancesFollowFromEvents:
    """Checker that all margin account balances follow from marks, trades and cycle ends (property 96).

    It keeps a shadow model that updates all accounts at every price move. Positions, cash, deposits, gains,
    losses, haircuts, bonds and fees must match to the wei. This holds for any order and time of updates. Late
    losses are paid from profits that have not vested, then from insurance up to its cap, then by the
    protocol. Insolvent accounts lose their lots where marks are current, and no other account does.
    """

    def __init__(self, model: ModelSystem) -> None:
        self._shadow: EagerSettlementModel | None = None
        if MARKET in model.world.contracts:
            market: Any = model.world.contracts[MARKET]
            self._shadow = _load_settlement_shadow(market.tables, market.third_bond)

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Replay a step in the shadow model, and compare all accounts that the step changed.

        Raises PropertyViolationError if a balance differs.
        """
        if not has_margin_market(step):
            return
        mine = any(get_market_changes(changes, path) for path in _WRITES)
        if (
            not mine
            and step.action.contract not in (MARKET, TRADING, ORDERS, CLOSER, POOL)
            and not list_event_values(step, "Rolled")
        ):
            return
        if self._shadow is None:
            market = step.get_contract(MARKET)
            self._shadow = _load_settlement_shadow(market.tables, market.third_bond)
            return
        shadow = self._shadow
        trade = build_trade_from_events(step) if step.action.contract in (TRADING, ORDERS, POOL) else None
        self._move_marked_markets(step, changes, shadow)
        shadow.absorbed, shadow.due, fund = (
            [],
            _compute_late_claim_on_profits(step, shadow),
            get_market_fund_name(step),
        )
        for number, log in enumerate(step.outcome.logs):
            if log.contract == MARKET:
                _EVENTS.get(log.event, _ignore_event)(step, shadow, log.values, number)
            elif log.contract == fund and log.event in _OF_FUND:
                _OF_FUND[log.event](step, shadow, log.values, number)
        if shadow.absorbed:
            _check_fund_pays_within_cap(step, shadow.absorbed)
        if trade is not None:
            fee, payer = compute_off_mark_funding_and_payer(step, trade)
            gets = {trade.one: trade.one_gets, trade.other: trade.other_gets}
            gets[payer] -= fee
            shadow.fees -= sum(gets.values())
            for name, amount in gets.items():
                owner = shadow.get_account(name)
                if owner is not None:
                    owner.cash += amount
        _check_last_account_loss_is_booked(step, shadow)
        if shadow.due is not None:
            raise PropertyViolationError(
                f"{shadow.late} are late, and the fund was not asked by {step.action.method}"
            )
        if step.is_call(MARKET, "end_market") and step.read_post_state("Settlement", "progress").begun_at:
            # What nobody has got for lots of debtors by then is insurance.
            shadow.fees, shadow.rewards = shadow.fees + shadow.rewards, 0
        swept = min(shadow.fees, step.read_pre_state(MARKET, HELD))
        if step.is_call(MARKET, "collect_fees"):
            shadow.fees -= swept
        touched = {name for path in _BY_OWNER for name in get_market_changes(changes, path)}
        touched |= {
            key[0] for path in (*_BY_POSITION, *_BY_CYCLE) for key in get_market_changes(changes, path)
        }
        _compare_with_chain(step, shadow, touched)

    def _move_marked_markets(self, step: Transition, changes: Changes, shadow: EagerSettlementModel) -> None:
        """Move each market that the step marked or charged for time to its new price in the shadow model."""
        if step.is_call(MARKET, "advance_cycle"):
            return
        trade = build_trade_from_events(step) if step.action.contract in (TRADING, ORDERS, POOL) else None
        marked = {*get_market_changes(changes, PATHS), *get_market_changes(changes, FUNDINGS)}
        if step.is_call(MARKET, "accrue") and not has_ended(step, step.read_post_state, step.action.args[0]):
            marked.add(step.action.args[0])
        if step.is_call(MARKET, "end_market"):
            marked.add(step.action.args[0])
        if trade is not None:
            marked.add(trade.market)
        if f"{step.action.contract}.{step.action.method}" in CLOSINGS:
            marked.add(step.action.args[0])
        for m in marked:
            _move_market(step, shadow, m, step.is_call(MARKET, "end_market"))


def _move_market(step: Transition, shadow: EagerSettlementModel, market_id: int, final: bool = False) -> None:
    """Move one market of the shadow model to the price and funding that the step left."""
    to = MarketTarget(
        step.read_post_state(MARKET, PATHS, market_id).price,
        compute_funding_index(step, market_id),
        step.model.timestamp,
    )
    shadow.move_market(
        market_id,
        to,
        _compute_price_reversal_threshold(step, market_id, to.price),
        step.read_pre_state(MARKET, LOTS, market_id),
        final,
    )


def _compute_price_reversal_threshold(step: Transition, market_id: int, price: int) -> int:
    """Return the price reversal that starts a new move: a quarter of a lot's maintenance margin [wei]."""
    return compute_maintenance_margin(step, market_id, price) // (4 * BASIS_POINTS)


def _compute_lot_values(step: Transition, shadow: EagerSettlementModel) -> Levels:
    indices = {m: compute_funding_index(step, m) for m in shadow.markets}
    return shadow.compute_lot_values_by_market(
        indices, {m: step.read_post_state(MARKET, LOTS, m) for m in shadow.markets}
    )


# ---------------------------------------------------------------------- events


def _ignore_event(
    step: Transition, shadow: EagerSettlementModel, values: tuple[Any, ...], number: int
) -> None:
    pass


def _credit_deposit_to_shadow(
    step: Transition, shadow: EagerSettlementModel, event_values: tuple[Any, ...], number: int
) -> None:
    shadow.credit_deposit(event_values[0], event_values[2])


def _apply_position_change(
    step: Transition, shadow: EagerSettlementModel, values: tuple[Any, ...], number: int
) -> None:
    name, m, size, cash = values
    trade = build_trade_from_events(step) if step.action.contract in (TRADING, ORDERS, POOL) else None
    # Lots in a market that has ended are closed at its mark, whatever touches their account.
    off = trade.price - shadow.get_market(m).price if trade and trade.market == m else 0
    shadow.set_position(name, m, size, off)
    owner = shadow.get_account(name)
    if owner is not None and owner.cash != cash:
        raise PropertyViolationError(
            f"{name} has {owner.cash} once it has {size} lots of market {m}, and is told {cash}"
        )


def _check_settled_account(
    step: Transition, shadow: EagerSettlementModel, values: tuple[Any, ...], number: int
) -> None:
    owner = shadow.get_account(values[0])
    shadow.fees += values[3] - values[4]
    if owner is None:
        return
    if owner.untold:
        expected = owner.untold.pop(0)
    else:
        expected, owner.slept = (shadow.cycle - 2, owner.slept, 0, 0), 0
    if expected != values[1:]:
        raise PropertyViolationError(f"{values[0]} settled {values[1:]}, not {expected}")


def _check_finder_pay(
    step: Transition, shadow: EagerSettlementModel, values: tuple[Any, ...], number: int
) -> None:
    name, finder, amount = values
    # Whose lots are taken is paid for first, and said to be seized after that.
    later = [log.values[0] for log in step.outcome.logs[number + 1 :] if log.event == "Seized"]
    third = SEIZED if name in later else BOOKED_HALF
    owner, more = shadow.get_account(name), 0 if name in later else shadow.pay
    if owner is not None:
        if amount != more + shadow.third_bond * bool(owner.bond & third):
            raise PropertyViolationError(
                f"{amount} is paid for {name}, {more} for booking and a third of its bond, once"
            )
        owner.bond &= ~third
    shadow.credit_deposit(finder, amount)


def _credit_reward_to_shadow(
    step: Transition, shadow: EagerSettlementModel, event_values: tuple[Any, ...], number: int
) -> None:
    shadow.rewards -= event_values[1]
    shadow.credit_deposit(*event_values)


def _apply_seizure(
    step: Transition, shadow: EagerSettlementModel, values: tuple[Any, ...], number: int
) -> None:
    owner = shadow.get_account(values[0])
    # Lots of a market that had no price are seized later, when the bond has been paid.
    is_paid = number > 0 and step.outcome.logs[number - 1].event == "FinderPaid"
    shadow.rewards += shadow.third_bond * is_paid
    if owner is not None:
        # Of bonds of nothing no payment is told.
        if shadow.third_bond and is_paid != bool(owner.bond & TAKEN):
            raise PropertyViolationError(
                f"{values[0]} was seized, and has no bond for whoever has its lots taken over"
            )
        owner.bond &= ~(SEIZED | TAKEN)
        own, haircut = (
            owner.compute_own_value(_compute_lot_values(step, shadow)),
            sum(shadow.compute_haircut_amounts_by_market(owner).values()),
        )
        # Who is met by himself has the third of his bond by now.
        paid = [log.values for log in step.outcome.logs[:number] if log.event == "FinderPaid"]
        own -= sum(amount for name, finder, amount in paid[-1:] if name == finder == values[0])
        before = read_position_sizes(step.read_pre_state, values[0])
        own += sum(
            compute_best_range_value_gain(step, m, size)
            for m, size in before.items()
            if not owner.lots[m].size
        )
        silent = [
            m for m, lots in owner.lots.items() if lots.size and not compute_lot_price_from_reports(step, m)
        ]
        if own >= haircut or any(lots.size for m, lots in owner.lots.items() if m not in silent):
            raise PropertyViolationError(f"{values[0]} has {own}, bears {haircut}, and was seized")


def _apply_booking(
    step: Transition, shadow: EagerSettlementModel, values: tuple[Any, ...], number: int
) -> None:
    name, cycle, amount, late = values
    owner = shadow.get_account(name)
    if owner is None:
        raise PropertyViolationError(f"{name} was booked asleep")
    before = owner.late
    changed, lacks = shadow.book_missing_pending_loss(
        name, _compute_lot_values(step, shadow), compute_most_booking_reward(step)
    )
    if not shadow.third_bond:
        owner.bond &= ~BOOKED_HALF
    if owner.late != before:
        shadow.due = owner.late - before
    expected = shadow.cycle - 1, lacks, owner.late
    if not changed or (cycle, amount, late) != expected:
        raise PropertyViolationError(f"of {name} {cycle, amount, late} was booked, not {expected}")


def _debit_withdrawal_from_shadow(
    step: Transition, shadow: EagerSettlementModel, event_values: tuple[Any, ...], number: int
) -> None:
    name, _, amount, own, profit = event_values
    if shadow.due is not None:
        raise PropertyViolationError(
            f"{name} withdrew while {shadow.late} are late, and the fund was not asked"
        )
    shadow.late -= amount - own - profit
    owner = shadow.get_account(name)
    if owner is not None:
        owner.cash -= amount
        owner.worth -= amount
        owner.since_roll -= amount
        owner.brought -= own


def _apply_fund_loss_payment(
    step: Transition, shadow: EagerSettlementModel, event_values: tuple[Any, ...], number: int
) -> None:
    """Record a payment by the market's fund in the shadow model.

    The payment is for late losses (booked, but not paid by gains of their cycle) if there are any. Otherwise
    it is for losses of the ending cycle.
    """
    loss, clawed, insured = event_values
    if shadow.due is not None:
        if loss != shadow.late:
            raise PropertyViolationError(f"the fund was asked for {loss}, and {shadow.late} are late")
        shadow.absorbed.append(shadow.due)
        shadow.late, shadow.due = shadow.late - clawed - insured, None
    else:
        shadow.absorbed.append(None)
        shadow.insured = insured


def _compute_late_claim_on_profits(step: Transition, shadow: EagerSettlementModel) -> int | None:
    """Return the amount of late losses that the call claims at once on vesting profits [wei].

    Late losses are booked losses that no gains of their cycle pay. Returns None if the call makes no claim.
    """
    if not shadow.late:
        return None
    if step.is_call(MARKET, "advance_cycle"):
        return shadow.late
    asks = step.is_call(MARKET, "post_shortfall") or bool(list_event_values(step, "Withdrawn"))
    return 0 if asks else None


def _reduce_late_by_posted_shortfall(
    step: Transition, shadow: EagerSettlementModel, event_values: tuple[Any, ...], log_index: int
) -> None:
    shadow.late -= event_values[0]


def _apply_roll(step: Transition, shadow: EagerSettlementModel, values: tuple[Any, ...], number: int) -> None:
    """Apply the fund's payment and later gains to the losses, and end the cycle in the shadow model."""
    shadow.fees -= min(shadow.fees, step.read_pre_state(MARKET, HELD))
    insured = later = 0
    covers = shadow.booked and any(sum(market.losses) for market in shadow.markets.values())
    if covers != (None in shadow.absorbed):
        raise PropertyViolationError(
            f"a cycle with losses of {shadow.booked}, and the fund paid {shadow.absorbed}"
        )
    if covers:
        insured = shadow.insured
        shadow.reduce_losses_by_insurance(insured)
    if shadow.late:
        shares = {m: step.read_post_state(POLICY, "terms", m).haircut for m in shadow.markets}
        later = shadow.charge_late_losses_to_gains(shares)
    if values != (shadow.cycle, insured, later):
        raise PropertyViolationError(
            f"cycle {shadow.cycle} ends with {values}, {insured} insured, {later} paid later"
        )
    for m in range(step.read_post_state(POLICY, "markets")):
        _move_market(step, shadow, m)
    shadow.roll_cycle(_compute_lot_values(step, shadow))


def _check_fund_pays_within_cap(step: Transition, asked_amounts: Sequence[int | None]) -> None:
    """Check that insurance pays within its cap, and only what vesting profits do not pay.

    Raises PropertyViolationError otherwise.
    """
    fund = step.get_contract(get_market_fund_name(step))
    now, was = step.model.timestamp // fund.length, step.read_pre_state(fund.label, "insurance")
    profits = sum(
        step.read_pre_state(fund.label, "buckets", now - i).assets for i in range(fund.bucket_count)
    )
    amount, spent = was.amount, was.spent if was.bucket == now else 0
    left = list(asked_amounts)
    for log in step.outcome.logs:
        if log.contract == fund.label and log.event == "InsuranceAdded":
            amount += log.values[1]
        elif log.contract == fund.label and log.event == "LossAbsorbed":
            loss, *found = log.values
            clawed = min(loss, profits, left.pop(0) or 0)
            profits -= clawed
            room = max(0, step.read_pre_state(fund.label, "cap") * WAD - spent)
            insured = min(loss - clawed, amount, room)
            if found != [clawed, insured]:
                raise PropertyViolationError(
                    f"of {loss} profits and insurance pay {found}, not {clawed} and {insured}"
                )
            amount, spent = amount - insured, spent + insured


_EVENTS = {
    "Deposited": _credit_deposit_to_shadow,
    "PositionChanged": _apply_position_change,
    "Settled": _check_settled_account,
    "FinderPaid": _check_finder_pay,
    "Rewarded": _credit_reward_to_shadow,
    "Seized": _apply_seizure,
    "Booked": _apply_booking,
    "Withdrawn": _debit_withdrawal_from_shadow,
    "Rolled": _apply_roll,
}


_OF_FUND = {"LossAbsorbed": _apply_fund_loss_payment, "ShortfallPosted": _reduce_late_by_posted_shortfall}


def _check_last_account_loss_is_booked(step: Transition, shadow: EagerSettlementModel) -> None:
    """Check that the last account seized by this call has no loss left to book.

    Raises PropertyViolationError otherwise.
    """
    if not list_met_accounts(step):
        return
    name = list_met_accounts(step)[-1]
    owner = shadow.get_account(name)
    if owner is None:
        return
    levels = _compute_lot_values(step, shadow)
    booked = {values[0] for values in list_event_values(step, "Booked")}
    if name not in booked and shadow.book_missing_pending_loss(name, levels, 0)[0]:
        raise PropertyViolationError(f"{name} was met, and what it lacks was not booked")
    held = {
        m: lots.size
        for m, lots in owner.lots.items()
        if lots.size and compute_lot_price_from_reports(step, m)
    }
    better = sum(compute_best_range_value_gain(step, m, size) for m, size in held.items())
    if held and owner.compute_own_value(levels) + better < sum(
        shadow.compute_haircut_amounts_by_market(owner).values()
    ):
        raise PropertyViolationError(f"{name} owes, was met at marks of now, and keeps its lots")


# -------------------------------------------------------------------- comparing


def _compare_with_chain(step: Transition, shadow: EagerSettlementModel, touched: set[str]) -> None:
    for m, market in shadow.markets.items():
        found: tuple[Any, ...] = (
            tuple(step.read_post_state(MARKET, PATHS, m)),
            tuple(step.read_post_state(MARKET, VALUES, m)),
            *(tuple(step.read_post_state(MARKET, MOVES, (m, side))) for side in (0, 1)),
            tuple(step.read_post_state(MARKET, TOTALS, (m, shadow.cycle))),
            tuple(step.read_post_state(MARKET, TOTALS, (m, shadow.cycle - 1))),
            tuple(step.read_post_state(MARKET, LOSSES, (m, shadow.cycle - 1))),
        )
        sides = (market.totals, market.pending_totals, market.losses)
        path = market.price, market.extreme, market.falling
        expected = path, tuple(market.values), *map(tuple, market.moves), *map(tuple, sides)
        if found != expected:
            raise PropertyViolationError(
                f"path, values, moves, gains, pending gains, losses of {m}: {found}, not {expected}"
            )
    figures = tuple(step.read_post_state(MARKET, path) for path in (LATE, FEES, OVERDUE, REWARDS))
    expected_figures = shadow.late, shadow.fees, shadow.overdue, shadow.rewards
    if figures != expected_figures:
        raise PropertyViolationError(f"late, fees, overdue, rewards are {figures}, not {expected_figures}")
    read = step.model.world.contracts[MARKET].tables
    for name in touched:
        if read[ACCOUNTS][name].cycle != shadow.cycle:
            continue
        if name in shadow.strangers:
            shadow.strangers.remove(name)
            shadow.owners[name] = load_eager_account(read, name)
            continue
        mine, there_now = shadow.owners.setdefault(name, EagerAccount()), load_eager_account(read, name)
        if mine.untold or mine.slept:
            raise PropertyViolationError(
                f"{name} was not told of {mine.untold}, nor of {mine.slept} of later cycles"
            )
        mine.touched, mine.borne = shadow.cycle, {}
        a, b = _build_nonzero_shadow_account_figures(mine), _build_nonzero_shadow_account_figures(there_now)
        if a != b:
            wrong = {what: (b.get(what), a.get(what)) for what in {*a, *b} if a.get(what) != b.get(what)}
            raise PropertyViolationError(f"{name} has other than follows from what happened: {wrong}")


def _build_nonzero_shadow_account_figures(account: EagerAccount) -> dict[Any, Any]:
    """Return all nonzero figures of a shadow account, by name and market.

    The net change is included only where a pending loss may arise from it.
    """
    found: dict[Any, Any] = {
        "cash": account.cash,
        "brought": account.brought,
        "worth": account.worth,
        "since": account.since_roll,
    }
    found |= {"late": account.late, "bond": account.bond, "paid": account.paid}
    for m, lots in account.lots.items():
        net = lots.net if any(lots.pending_lost) else 0
        sides = lots.gained, lots.lost, lots.pending_gained, lots.pending_lost
        record = (
            lots.size,
            lots.base if lots.size or any(map(any, sides[:2])) else 0,
            net,
            lots.booked,
            *map(tuple, sides),
        )
        if any(record[:4]) or any(map(any, sides)):
            found[m] = record
    return found


def _load_settlement_shadow(tables: Any, third_bond: int) -> EagerSettlementModel:
    """Return a shadow model of the margin market, built from its storage tables.

    Accounts that are not up to date are added at their next update.
    """
    clock = tables[CLOCK][()]
    shadow = EagerSettlementModel(third_bond, clock.cycle)
    shadow.late, shadow.fees, shadow.overdue = (tables[path][()] for path in (LATE, FEES, OVERDUE))
    shadow.rewards = tables[REWARDS][()]
    shadow.booked = bool(clock.booked_at)
    for m in MARKETS:
        if tables[PATHS][m].price:
            shadow.markets[m] = load_eager_market(tables, m, clock.cycle)
    for name, account in tables[ACCOUNTS].items():
        if account.cycle == clock.cycle:
            shadow.owners[name] = load_eager_account(tables, name)
        elif account.cycle:
            shadow.strangers.add(name)
    return shadow


def load_eager_market(contract_tables: Any, market_id: int, cycle: int) -> EagerMarket:
    """Return a market of the shadow model from storage, as of its last update in an open cycle."""
    path, funding = contract_tables[PATHS][market_id], contract_tables[FUNDINGS][market_id]
    market = EagerMarket(path.price, funding.level, funding.updated)
    market.extreme, market.falling = path.extreme, path.falling
    market.values = list(contract_tables[VALUES][market_id])
    market.moves = [list(contract_tables[MOVES][market_id, side]) for side in (0, 1)]
    market.totals = list(contract_tables[TOTALS][market_id, cycle])
    market.pending_totals = list(contract_tables[TOTALS][market_id, cycle - 1])
    market.losses = list(contract_tables[LOSSES][market_id, cycle - 1])
    market.begun, market.ended = (
        (
            (
                contract_tables[EDGES][market_id, each, 0].gained,
                contract_tables[EDGES][market_id, each, 1].gained,
            ),
            tuple(contract_tables[LEVELS][market_id, each]),
        )
        for each in (cycle - 1, cycle)
    )
    return market


def load_eager_account(contract_tables: Any, owner_address: str) -> EagerAccount:
    """Return an account of the shadow model from storage; the account must be up to date."""
    account = contract_tables[ACCOUNTS][owner_address]
    owner = EagerAccount(
        account.cash, contract_tables[PAID_IN][owner_address], contract_tables[WORTHS][owner_address].value
    )
    owner.since_roll, owner.late = (
        contract_tables[WORTHS][owner_address].brought,
        contract_tables[LATE_OF][owner_address],
    )
    owner.bond, owner.touched, owner.paid = account.bond, account.cycle, account.paid * 2**34
    for m in MARKETS:
        key = owner_address, m
        if not account.markets >> m & 1:
            continue
        size, base = contract_tables[POSITIONS][key]
        opened, ended = (
            build_cycle_key(owner_address, m, account.cycle),
            build_cycle_key(owner_address, m, account.cycle - 1),
        )
        lots = owner.lots[m] = EagerPosition(
            size, base, list(contract_tables[GAINED][opened]), list(contract_tables[LOST][opened])
        )
        if size:
            mine = int(size < 0)
            now, then = contract_tables[MOVES][m, mine], contract_tables[SINCE][key]
            lots.gained[mine] += abs(size) * (now.gained - then.gained)
            lots.lost[mine] += abs(size) * (now.lost - then.lost)
        lots.pending_gained, lots.pending_lost = (
            list(contract_tables[GAINED][ended]),
            list(contract_tables[LOST][ended]),
        )
        lots.net, lots.booked = contract_tables[PENDINGS][key]
    return owner
