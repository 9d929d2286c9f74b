"""Revert reasons of calls in the margin market: each reason is true, none is missed.

The reasons of a call are a list in the order in which they are looked at, each with an arithmetic of its own.
A call is not judged if the stored tables do not determine its outcome, as for an account that skipped cycles.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from backstop.evm_crypto import ORDER as CURVE_ORDER
from backstop.evm_crypto import recover_signer_or_none
from backstop.lockstep.step_transition import Changes, Transition
from backstop.model import bounds
from backstop.model.arithmetic import WAD
from backstop.model.margin_orders import Order
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    BASIS_POINTS,
    CLOSING,
    FUNDING_INTERVAL,
    FUNDING_PERIOD,
    HELD,
    LATE,
    MARKET,
    MARKETS,
    MEETINGS,
    ORDERS,
    POLICY,
    POOL,
    TRADING,
    compute_final_price_progress,
    compute_initial_margin,
    compute_lot_price_and_range,
    compute_maintenance_margin,
    divide_ceil,
    get_withdrawing_account,
    has_margin_market,
)
from backstop.proof.properties.margin_market.account_ownership import (
    compute_order_digest,
    is_address_or_its_subaccount,
)
from backstop.proof.properties.margin_market.market_call_replay import MarketReplay, UnknownStateError
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    history_property,
    refusal_property,
)

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

Reasons = Iterator[tuple[str, bool]]
"""A reason and whether it stands in the way, one after the other."""
Calls = Mapping[str, Callable[[Transition], Reasons]]
"""Possible revert reasons, by "Contract.method"."""

_FIGURES = 2**116
_MOST_LOTS, _EMERGENCY, _NANOSECONDS = 2**63 - 1, 2, 10**9
_NOBODY = "0x" + "0" * 40
_MODULES = (
    *("trading", "margin_orders", "perpetuals", "cycle_book", "cycle_losses", "price_path", "margin_policy"),
    *("liquidity_vault", "margin_fund", "deleveraging"),
)
_UNSIGNED, _USED_UP = "margin_orders: not its signer", "margin_orders: not so much left"


# ------------------------------------------------------------------ the two kinds


def _judge_call_and_find_reason(step: Transition, reasons_by_call: Calls) -> tuple[bool, str | None]:
    """Return whether the call can be judged, and its first revert reason that holds, or None."""
    try:
        for reason, stands in reasons_by_call[f"{step.action.contract}.{step.action.method}"](step):
            if stands:
                return True, reason
    except UnknownStateError:
        return False, None
    return True, None


def check_refusal_has_first_reason(step: Transition, reasons_by_call: Calls) -> None:
    """Check that a refused margin market call names the first revert reason that holds.

    Raises PropertyViolationError otherwise. Other calls and reasons of other contracts are ignored.
    """
    reason = step.outcome.reason or ""
    name = f"{step.action.contract}.{step.action.method}"
    if not has_margin_market(step) or name not in reasons_by_call or reason.split(":")[0] not in _MODULES:
        return
    is_known, found = _judge_call_and_find_reason(step, reasons_by_call)
    if is_known and found != reason:
        raise PropertyViolationError(
            f"{step.action} is refused by {reason!r}, and what stands in its way is {found!r}"
        )


def check_no_reason(step: Transition, calls: Calls) -> None:
    """Check that no listed revert reason held for a successful margin market call.

    Raises PropertyViolationError with the reason otherwise.
    """
    if not has_margin_market(step) or f"{step.action.contract}.{step.action.method}" not in calls:
        return
    _, found = _judge_call_and_find_reason(step, calls)
    if found is not None:
        raise PropertyViolationError(f"{step.action} was done, and {found!r} stood in its way")


# ------------------------------------------------------------------------ orders


def _iter_fill_reasons(step: Transition) -> Reasons:
    maker, maker_signature, taker, taker_signature, lots = step.action.args
    maker, taker = Order(*maker), Order(*taker)
    yield "margin_orders: same account", maker.account == taker.account
    yield "margin_orders: other market", maker.market != taker.market
    yield "margin_orders: same side", (maker.size > 0) == (taker.size > 0)
    over = maker.price - taker.price if taker.size > 0 else taker.price - maker.price
    yield "margin_orders: taker's limit", over > 0
    trial = MarketReplay(step, [maker.account, taker.account])
    for order, signature in ((maker, maker_signature), (taker, taker_signature)):
        # Who has signed, and what is left, takes a hash: another property looks after a fill.
        if trial.reason == _UNSIGNED:
            yield _UNSIGNED, not _has_signed(trial, order, signature)
        yield "margin_orders: expired", trial.now > order.expiry
        yield "margin_orders: nonce is void", order.nonce < trial.read(ORDERS, "nonce_floor", order.account)
        size = abs(order.size)
        yield _USED_UP, lots == 0 or lots > size
        if trial.reason == _USED_UP:
            yield _USED_UP, trial.read(ORDERS, "filled", compute_order_digest(step, order)) + lots > size
    differs = maker.price != taker.price
    is_later = maker.nonce > taker.nonce or (maker.nonce == taker.nonce and differs)
    yield "margin_orders: taker was first", is_later
    yield "margin_orders: not signed yet", differs and taker.nonce >= (trial.now + 1) * _NANOSECONDS
    yield from _iter_trade_reasons(trial, maker, taker, lots)


def _has_signed(trial: MarketReplay, order: Order, signature: bytes) -> bool:
    """Return whether an order is signed by its account's key, or approved by the backstop pool.

    Raises UnknownStateError for an account of another contract.
    """
    step = trial.step
    digest = compute_order_digest(step, order)
    if len(signature) == 65:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        signer = recover_signer_or_none(digest, signature[64], r, s) if 2 * s < CURVE_ORDER else None
        if signer is not None and is_address_or_its_subaccount(step, order.account, signer):
            return True
    if order.account not in step.model.world.addresses:
        return False
    if POOL not in step.model.world.contracts or step.get_contract(POOL).address != order.account:
        raise UnknownStateError
    pool, m = step.get_contract(POOL), order.market
    words = (m, order.size, order.price, order.expiry, order.nonce)
    if not order.reduce_only or signature != b"".join((x % 2**256).to_bytes(32, "big") for x in words):
        return False
    quote, held = (
        trial.read(POOL, "quotes", m),
        trial.read_position_size(pool.address, m) if m in MARKETS else 0,
    )
    if trial.now >= quote.until or not 0 < abs(order.size) <= abs(held) - quote.down_to:
        return False
    mark, low, high = compute_lot_price_and_range(step, m)
    mark = mark and (high if held > 0 else low)
    over = order.price - mark if held > 0 else mark - order.price
    return bool(mark and order.size * held < 0 and over * BASIS_POINTS >= mark * pool.spread)


def _iter_cancel_order_reasons(step: Transition) -> Reasons:
    account = Order(*step.action.args[0]).account
    yield (
        "margin_orders: not its account",
        not is_address_or_its_subaccount(step, account, step.action.sender),
    )


def _iter_raise_nonce_floor_reasons(step: Transition) -> Reasons:
    floor, *named = step.action.args
    account = named[0] if named else step.action.sender
    read = step.read_pre_state if step.outcome.ok else step.read_post_state
    yield "margin_orders: not its owner", not is_address_or_its_subaccount(step, account, step.action.sender)
    yield "margin_orders: floor only rises", floor <= read(ORDERS, "nonce_floor", account)


# ------------------------------------------------------------------------ trades


def _iter_trade_reasons(trial: MarketReplay, maker: Order, taker: Order, lots: int) -> Reasons:
    m, price, trading = maker.market, maker.price, trial.step.get_contract(TRADING)
    yield "trading: price bounds", not 0 < price <= bounds.MAX_LOT_PRICE
    trial.update_mark_to_now(m)
    mark = trial.read_mark(m)
    yield "trading: no mark yet", mark == 0
    apart = abs(price - mark)
    yield "trading: outside the band", apart * BASIS_POINTS > trading.band * mark
    for order in (maker, taker):
        yield "trading: owes, only pays in", trial.compute_equity_after_haircuts(order.account) < 0
    yield "perpetuals: price is final", trial.has_ended(m)
    delta = lots if maker.size > 0 else -lots
    terms = trial.read(POLICY, "terms", m)
    premium = 0 if trial.is_delisted(m) else min(apart, mark * terms.max_funding // BASIS_POINTS)
    premium = divide_ceil(lots * premium * FUNDING_INTERVAL, FUNDING_PERIOD)
    is_better_for_taker = (price > mark) == (delta > 0)
    was = trial.count_larger_side_lots(m)
    sides = [
        (maker, delta, trading.maker_fee, not is_better_for_taker),
        (taker, -delta, trading.taker_fee, is_better_for_taker),
    ]
    for order, got, fee, pays in sides:
        yield (
            "cycle_book: too many lots",
            abs(trial.read_position_size(order.account, m) + got) > _MOST_LOTS,
        )
        gets = -divide_ceil(lots * price * fee, BASIS_POINTS) - premium * pays
        trial.exchange_lots(m, order.account, got, price, gets)
        yield "price_path: too much is open", trial.count_larger_side_lots(m) > _MOST_LOTS
    if trial.count_larger_side_lots(m) > was:
        base = trial.read(POLICY, "underlyings", m)
        yield "trading: open limit", trial.count_larger_side_lots(m) > base.open_limit
        yield "trading: not insured", bool(base.insured) and not trial.is_open_interest_insured()
    for order, got, _, _ in sides:
        only_reduces = order.reduce_only or trial.is_delisted(m)
        yield from _iter_side_reasons(trial, order.account, m, got, price - mark, only_reduces)


def _iter_side_reasons(
    trial: MarketReplay,
    name: str,
    market_id: int,
    delta: int,
    off: int,
    only_reduces: bool,
    guards: bool = True,
) -> Reasons:
    """Yield the revert reasons for an account that received lots in a trade, and whether each holds.

    `off` is the distance of the price from the mark.
    """
    old = trial.read_position_size(name, market_id) - delta
    if old * delta >= 0 or abs(delta) > abs(old):
        yield "trading: would not reduce", only_reduces
        yield from _iter_risk_reasons(trial, name, guards)
        return
    equity, gained, mark = trial.compute_equity_after_haircuts(name), -delta * off, trial.read_mark(market_id)
    yield "trading: insolvent", equity < 0
    if equity * BASIS_POINTS < trial.compute_initial_risk_maintenance_margins(name)[2]:
        before, left = (
            compute_maintenance_margin(trial.step, market_id, abs(size) * mark) for size in (old, old + delta)
        )
        yield "trading: margin would fall", gained * BASIS_POINTS + before - left < 0
    yield "trading: gains are not final", gained < 0 and equity < trial.compute_unfinal_gains(name)


def _iter_risk_reasons(trial: MarketReplay, name: str, guards: bool = True) -> Reasons:
    step, read = trial.step, trial.read
    has_modes = step.get_contract(TRADING).risk_policy_address in step.model.world.addresses
    yield "trading: emergency", has_modes and read("RiskPolicy", "modes").mode >= _EMERGENCY
    yield "trading: in settlement", bool(read("Settlement", "progress").begun_at)
    yield "trading: no price for risk", not trial.accrue_account_markets(name)
    # A liquidator waits for no index.
    yield (
        "trading: mark is off its index",
        guards and any(map(trial.is_mark_too_far_from_feed, trial.read_position_sizes(name))),
    )
    free = (
        trial.compute_equity_after_haircuts(name)
        - trial.compute_unfinal_gains(name)
        - trial.compute_worst_range_value_loss(name)
    )
    yield (
        "trading: initial margin",
        free * BASIS_POINTS < trial.compute_initial_risk_maintenance_margins(name)[1],
    )


def _iter_lot_takeover_call_reasons(step: Transition) -> Reasons:
    m, lots, *named = step.action.args
    owner = named[0] if named else step.action.sender
    yield "trading: not its owner", not is_address_or_its_subaccount(step, owner, step.action.sender)
    yield from iter_ownerless_lots_take_refusals(MarketReplay(step, [owner]), owner, m, lots)


def iter_ownerless_lots_take_refusals(trial: MarketReplay, taker: str, market_id: int, lots: int) -> Reasons:
    yield "trading: no price for lots", not trial.update_mark_to_now(market_id)
    yield "trading: owes, only pays in", trial.compute_equity_after_haircuts(taker) < 0
    long, short = trial.lots[market_id]
    yield "trading: not so many lots", not 0 < lots <= abs(long - short)
    delta, price = -lots if long > short else lots, trial.read_mark(market_id)
    yield "cycle_book: too many lots", abs(trial.read_position_size(taker, market_id) + delta) > _MOST_LOTS
    fee = divide_ceil(lots * price * trial.step.get_contract(TRADING).taker_fee, BASIS_POINTS)
    rewarded = trial.compute_takeover_reward(lots * price)
    trial.exchange_lots(market_id, taker, delta, price, -fee)
    trial.pay_reward(taker, rewarded)
    yield from _iter_side_reasons(trial, taker, market_id, delta, 0, trial.is_delisted(market_id))


def _iter_liquidate_call_reasons(step: Transition) -> Reasons:
    owner, m, lots, *named = step.action.args
    liquidator = named[0] if named else step.action.sender
    yield "trading: own account", owner == liquidator
    yield (
        "trading: not its liquidator",
        not is_address_or_its_subaccount(step, liquidator, step.action.sender),
    )
    yield from iter_liquidation_reasons(MarketReplay(step, [owner, liquidator]), owner, liquidator, m, lots)


def iter_liquidation_reasons(
    trial: MarketReplay, owner: str, liquidator: str, market_id: int, lots: int
) -> Reasons:
    trial.get_account(liquidator)
    size = trial.read_position_size(owner, market_id)
    whole = abs(size)
    yield "trading: not that many", not lots or not whole
    lots = min(lots, whole)
    trial.accrue_account_markets(owner)
    yield "trading: no price of now", market_id not in trial.read_lots_in_freshly_marked_markets(owner)
    equity = trial.compute_equity_after_haircuts(owner)
    yield "trading: seize first", equity < 0
    initial, _, maintenance = trial.compute_initial_risk_maintenance_margins(
        owner, trial.read_lots_in_freshly_marked_markets(owner)
    )
    yield (
        "trading: safe account",
        (equity + trial.compute_best_range_value_gain(owner)) * BASIS_POINTS >= maintenance,
    )
    made = compute_final_price_progress(trial.step, market_id)
    yield "trading: price is final", made is not None and made.is_final
    price, step = trial.read_mark(market_id), trial.step
    least = max(1, divide_ceil(trial.read(POLICY, "underlyings", market_id).dust * WAD, price))
    lacks = max(0, maintenance // BASIS_POINTS - equity)
    most = min(equity, lacks * trial.read(POLICY, "terms", market_id).discount // BASIS_POINTS)
    needed = compute_maintenance_margin(step, market_id, whole * price)

    def reward(taken: int) -> int:
        relieved = needed - compute_maintenance_margin(step, market_id, (whole - taken) * price)
        return int(most * relieved // maintenance)

    def is_short(taken: int) -> bool:
        margin = (
            initial
            - compute_initial_margin(step, market_id, whole * price)
            + compute_initial_margin(step, market_id, (whole - taken) * price)
        )
        return bool((equity - reward(taken)) * BASIS_POINTS < margin)

    # As many as are asked for, or as few as bring it back to its initial margin; no dust stays.
    lots = bisect_left(range(lots), True, key=lambda taken: not is_short(taken))
    yield "margin_policy: more than needed", lots == 0
    lots = whole if whole - lots < least else lots
    delta, paid = -lots if size > 0 else lots, reward(lots)
    fee = paid * step.get_contract(TRADING).fee_share // BASIS_POINTS
    yield (
        "cycle_book: too many lots",
        abs(trial.read_position_size(liquidator, market_id) - delta) > _MOST_LOTS,
    )
    trial.exchange_lots(market_id, owner, delta, price, -paid)
    trial.exchange_lots(market_id, liquidator, -delta, price, paid - fee)
    yield from _iter_side_reasons(trial, liquidator, market_id, -delta, 0, False, guards=False)


def _iter_check_risk_reasons(step: Transition) -> Reasons:
    owner = step.action.args[0]
    yield from _iter_risk_reasons(MarketReplay(step, [owner], wakes=False), owner)


# ------------------------------------------------------------------------ the market


def _iter_withdraw_reasons(step: Transition) -> Reasons:
    owner, (amount, receiver) = get_withdrawing_account(step.action), step.action.args[:2]
    yield "perpetuals: not its owner", not is_address_or_its_subaccount(step, owner, step.action.sender)
    trial = MarketReplay(step, [owner])
    brought = trial.get_account(owner).brought
    closing = trial.read(MARKET, CLOSING)
    yield "perpetuals: losses are open", bool(closing) and trial.clock.cycle < closing + 2
    if amount >= _FIGURES:
        raise UnknownStateError  # whether it is more than a figure can hold, or than the account has
    trial.credit_cash(owner, -amount)
    if trial.read_position_sizes(owner):
        yield from _iter_risk_reasons(trial, owner)
    else:
        yield (
            "perpetuals: more than it has",
            trial.compute_equity_after_haircuts(owner) < trial.compute_unfinal_gains(owner),
        )
    free, late = max(0, trial.read(MARKET, HELD) - trial.fees), trial.read(MARKET, LATE)
    least = step.action.args[3] if len(step.action.args) > 3 else 0
    if late and least and amount <= free + late:
        raise UnknownStateError  # what others can pay for it is not said here
    # What others pay for what is late is free, and late no more.
    yield "perpetuals: not held", amount > free + late or amount < least
    if amount > brought and receiver == _NOBODY:
        raise UnknownStateError


def _iter_seize_insolvent_reasons(step: Transition) -> Reasons:
    owner = step.action.args[0]
    trial = MarketReplay(step, [owner])
    trial.accrue_account_markets(owner)
    owes = (
        bool(trial.read_lots_in_freshly_marked_markets(owner))
        and trial.compute_equity_after_haircuts(owner) + trial.compute_best_range_value_gain(owner) < 0
    )
    yield "perpetuals: nothing to do", not owes and not trial.book_missing_pending_loss(owner)


_CALLS: Calls = {
    f"{ORDERS}.fill": _iter_fill_reasons,
    f"{ORDERS}.cancel": _iter_cancel_order_reasons,
    f"{ORDERS}.raise_nonce": _iter_raise_nonce_floor_reasons,
    f"{TRADING}.take": _iter_lot_takeover_call_reasons,
    f"{TRADING}.liquidate": _iter_liquidate_call_reasons,
    f"{TRADING}.check_risk": _iter_check_risk_reasons,
    f"{MARKET}.withdraw": _iter_withdraw_reasons,
    MEETINGS[0]: _iter_seize_insolvent_reasons,
}


@refusal_property(220, calls=_CALLS)
def trade_revert_reasons_are_true(step: Transition) -> None:
    """Check the revert reason of a refused trade, withdrawal or seizure (property 220).

    It must be the first reason that holds, in the order of the contract's checks. Raises
    PropertyViolationError otherwise.
    """
    check_refusal_has_first_reason(step, _CALLS)


@history_property(221, calls=_CALLS)
class SuccessfulTradeHadNoRevertReason:
    """Checker that no revert reason held for a successful trade, withdrawal or seizure (property 221).

    Margins, marks, orders and unfinal gains are those of the state before the call.
    """

    def __init__(self, model: ModelSystem) -> None:
        """Create the checker, which keeps no history."""

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Check a successful call against its list of revert reasons.

        Raises PropertyViolationError if one of them held before the call.
        """
        check_no_reason(step, _CALLS)
