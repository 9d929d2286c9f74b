"""Conditions under which calls to vaults, liquidations, collateral auctions and workouts revert."""

from __future__ import annotations

from typing import Any

from backstop.proof.properties.collateral_auction_properties import (
    _compute_time_by_blocks_or_timestamp,
    _compute_unraised_principal,
    _is_indebted_lot_nearly_worthless,
    _read_lot_terms,
)
from backstop.proof.properties.incremental_table_sums import compute_unraised_principal
from backstop.proof.properties.independent_arithmetic import policy_margin_and_margin_call_terms
from backstop.proof.properties.independent_arithmetic import property_arithmetic as own
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.revert_conditions.call_context import (
    ENGINE,
    FEED,
    POLICY,
    RAD,
    WAD,
    CallContext,
    find_common_value,
    is_zero_address,
    register_conditions,
)
from backstop.proof.properties.risk_margins import compute_growth_capped_risk_price, has_initial_policy
from backstop.proof.properties.stability_pool_calls import KINDS as STABILITY_POOLS

_MOST_LOCKED, _MOST_LOT = 2**103 - 1, 2**104 - 1


# ------------------------------------------------------------------------- vaults


def _read_terms(call: CallContext, collateral_type: int) -> Any:
    return call.read_engine_slot("terms.of_types", collateral_type)


def _compute_wad_per_token_unit(call: CallContext, collateral_type: int) -> int:
    return int(10 ** (18 - _read_terms(call, collateral_type).decimals))


def _compute_debt(call: CallContext, collateral_type: int, owner: str, draw: int, rate: int) -> int:
    """Return a vault's debt after a draw, at the given accumulated rate [rad]."""
    more = -(-draw * RAY // (rate - call.compute_redistributed_rate_increase(collateral_type)))
    return int((call.read_engine_slot("vaults", (collateral_type, owner)).normalized_debt + more) * rate)


def _is_above_type_ceiling(
    call: CallContext, collateral_type: int, owner: str, deposit: int, draw: int, to: str
) -> bool | None:
    if not draw:
        return False
    debts, ceiling = (
        call.read_engine_slot("ledger.debts", collateral_type).normalized_debt,
        _read_terms(call, collateral_type).debt_ceiling,
    )
    found = []
    for rate in call.compute_accumulated_rate_bounds(collateral_type):
        more = -(-draw * RAY // (rate - call.compute_redistributed_rate_increase(collateral_type)))
        whole = (debts + more) * rate + call.compute_auctioned_and_uncovered_debt(collateral_type)
        found += [
            whole + slack > ceiling * RAD for slack in call.compute_debt_rounding_slacks(collateral_type)
        ]
    return find_common_value(found)


def _is_above_global_ceiling(
    call: CallContext, collateral_type: int, owner: str, deposit: int, draw: int, to: str
) -> bool | None:
    """Return False if a draw certainly keeps all debt under the global ceiling, else None."""
    system, supply = call.read_engine_slot("ledger.system"), call.read("Stablecoin", "erc20.totalSupply")
    debts, (_, most) = (
        call.read_engine_slot("ledger.debts", collateral_type),
        call.compute_accumulated_rate_bounds(collateral_type),
    )
    fees = debts.normalized_debt * (most - debts.accumulated_rate)
    dust = (
        _compute_debt(call, collateral_type, owner, draw, most)
        - call.read_engine_slot("vaults", (collateral_type, owner)).normalized_debt * most
    )
    whole = supply * RAY + max(dust, draw * RAY) + system.reserve + system.buffers * RAD + fees + RAD
    return None if draw and whole > system.global_debt_ceiling * RAD else False


def _is_below_floor(
    call: CallContext, collateral_type: int, owner: str, deposit: int, draw: int, to: str
) -> bool | None:
    floor = _read_terms(call, collateral_type).debt_floor * RAD
    owed = [
        _compute_debt(call, collateral_type, owner, draw, rate)
        for rate in call.compute_accumulated_rate_bounds(collateral_type)
    ]
    return find_common_value(
        draw > 0 and each + slack < floor
        for each in owed
        for slack in call.compute_debt_rounding_slacks(collateral_type)
    )


def _has_new_risk(
    call: CallContext, collateral_type: int, owner: str, paid_amount: int, taken_amount: int, receiver: str
) -> bool | None:
    """Return whether the call draws, or withdraws collateral and leaves a debt.

    Returns None if uncharged fees decide it.
    """
    vault = call.read_engine_slot("vaults", (collateral_type, owner))
    if not taken_amount or call.method == "deposit_and_draw":
        return bool(taken_amount)
    return find_common_value(
        not _is_repaid(vault.normalized_debt, paid_amount, rate)
        for rate in call.compute_accumulated_rate_bounds(collateral_type)
    )


def _is_repaid(normalized: int, paid: int, rate: int) -> bool:
    return not normalized or paid >= -(-normalized * rate // RAY)


def _has_no_price(call: CallContext, *args: Any) -> bool | None:
    if call.read_risk_price(args[0]):
        return False
    return _has_new_risk(call, *args)


def _has_new_risk_while_margin_called(call: CallContext, *args: Any) -> bool | None:
    if not call.read_engine_slot("vaults", args[:2]).called_at or not call.has_contract(POLICY):
        return False
    return _has_new_risk(call, *args)


def _has_new_risk_in_emergency(call: CallContext, *args: Any) -> bool | None:
    if not has_initial_policy(call.step):
        return None
    if call.read(POLICY, "terms", args[0]).mode != 2:
        return False
    return _has_new_risk(call, *args)


def _is_type_flow_cap_exceeded(call: CallContext, *args: Any) -> bool | None:
    """Return whether the call's outflow exceeds the type's flow limit, which refills over its window.

    Returns None if the deployment's risk policy was replaced.
    """
    if not has_initial_policy(call.step):
        return None
    c, _, _, second, _ = args
    flow = call.read(POLICY, "flows", c)
    draws, unit = call.method == "deposit_and_draw", _compute_wad_per_token_unit(call, c)
    if not flow.cap or not second:
        return False
    out = -(-second // 10**12) if draws else 0
    if not draws:
        out = -(-(second // unit * unit) * compute_growth_capped_risk_price(call.step, c) // (10**12 * RAY))
    used = max(0, flow.used - flow.cap * 10**6 * (call.now - flow.updated) // flow.window)
    return bool(used + out > flow.cap * 10**6) and _has_new_risk(call, *args)


def _is_debt_reduction_zero(
    call: CallContext, collateral_type: int, owner: str, repay: int, withdraw: int, to: str
) -> bool | None:
    normalized, floor = (
        call.read_engine_slot("vaults", (collateral_type, owner)).normalized_debt,
        _read_terms(call, collateral_type).debt_floor * RAD,
    )
    found = []
    for rate in call.compute_accumulated_rate_bounds(collateral_type):
        is_part = repay * RAY < normalized * rate and 0 < repay < -(-normalized * rate // RAY)
        gone = repay * RAY // rate
        if normalized * rate >= floor:
            gone = min(gone, normalized - -(-floor // rate))
        found.append(is_part and gone <= 0)
    return find_common_value(found)


def _has_debt_in_settlement(call: CallContext, collateral_type: int, owner: str, *args: Any) -> bool:
    return bool(
        call.read_engine_slot("vaults", (collateral_type, owner)).normalized_debt
        and _read_terms(call, collateral_type).settling
    )


register_conditions(
    ENGINE,
    "deposit_and_draw",
    "vault_engine: ",
    vault_is_full=lambda x, c, owner, deposit, *_: (
        x.read_engine_slot("vaults", (c, owner)).locked_collateral
        + deposit // _compute_wad_per_token_unit(x, c) * _compute_wad_per_token_unit(x, c)
        > _MOST_LOCKED
        and deposit > 0
    ),
    not_approved=lambda x, c, owner, deposit, draw, to: draw > 0 and not x.can_act_as_owner(owner),
    draw_too_large=lambda x, c, owner, deposit, draw, to: draw >= 2**128,
    debt_ceiling=_is_above_type_ceiling,
    debt_floor=_is_below_floor,
)
register_conditions(
    ENGINE,
    "deposit_and_draw",
    "ledger: ",
    in_settlement=lambda x, c, *_: bool(_read_terms(x, c).settling),
    over_the_ceiling=_is_above_global_ceiling,
)
register_conditions(
    ENGINE,
    "repay_and_withdraw",
    "vault_engine: ",
    repays_nothing=_is_debt_reduction_zero,
    not_approved=lambda x, c, owner, repay, withdraw, to: withdraw > 0 and not x.can_act_as_owner(owner),
    not_enough_locked=lambda x, c, owner, repay, withdraw, to: (
        withdraw // _compute_wad_per_token_unit(x, c) * _compute_wad_per_token_unit(x, c)
        > x.read_engine_slot("vaults", (c, owner)).locked_collateral
    ),
)
register_conditions(ENGINE, "repay_and_withdraw", "ledger: ", in_settlement=_has_debt_in_settlement)
_RISKY = "deposit_and_draw repay_and_withdraw"
register_conditions(
    ENGINE, _RISKY, "vault_engine: ", no_price=_has_no_price, margin_call=_has_new_risk_while_margin_called
)
register_conditions(
    ENGINE, _RISKY, "risk_policy: ", no_price=_has_no_price, emergency=_has_new_risk_in_emergency
)
register_conditions(ENGINE, _RISKY, "risk_policy: ", flows_out_too_fast=_is_type_flow_cap_exceeded)
register_conditions(
    ENGINE,
    f"{_RISKY} accrue retire_collateral_type set_debt_ceiling set_debt_floor set_ratios set_stability_fee",
    "terms: ",
    unknown_type=lambda x, c, *_: is_zero_address(_read_terms(x, c).token),
)


def _is_in_use(call: CallContext, collateral_type: int) -> bool:
    sale = call.read(
        "CollateralAuction", "lots", call.read("CollateralAuction", "salvage_sales", collateral_type)
    )
    owes = call.read_engine_slot("ledger.debts", collateral_type).normalized_debt
    return bool(
        owes
        or call.compute_auctioned_and_uncovered_debt(collateral_type)
        or call.read_engine_slot("ledger.salvage", collateral_type)
        or sale.lot
    )


register_conditions(ENGINE, "retire_collateral_type", "ledger: ", type_in_use=_is_in_use)
register_conditions(
    ENGINE,
    "retire_collateral_type set_fee_dynamic",
    "ledger: ",
    in_settlement=lambda x, c, *_: bool(_read_terms(x, c).settling),
)
register_conditions(
    ENGINE,
    "set_global_debt_ceiling set_stability_fee add_collateral_type set_risk_policy",
    "ledger: ",
    in_settlement=lambda x, *_: x.is_in_settlement,
)
register_conditions(
    ENGINE,
    "cover_from_buffer",
    "ledger: ",
    buffer_too_small=lambda x, c, amount: amount > x.read_engine_slot("ledger.income", c).buffer,
    cover_above_deficit=lambda x, c, amount: amount > x.read_engine_slot("ledger.deficit", c),
)
register_conditions(
    ENGINE,
    "cover_from_reserve",
    "ledger: ",
    reserve_too_small=lambda x, c, amount: amount > x.read_engine_slot("ledger.system").reserve,
    cover_above_deficit=lambda x, c, amount: amount > x.read_engine_slot("ledger.deficit", c),
)


# ------------------------------------------------------------------- liquidations


def _compute_liquidatable_and_whole_debt(
    call: CallContext, collateral_type: int, owner: str, rate: int
) -> tuple[int, int]:
    """Return the normalized debt that auction limits allow to liquidate, and all of it [wad]."""
    vault, room = (
        call.read_engine_slot("vaults", (collateral_type, owner)),
        call.compute_auction_room(collateral_type),
    )
    most = vault.normalized_debt if room is None else min(vault.normalized_debt, room // rate)
    return most, vault.normalized_debt


def _is_liquidatable_part_too_small(
    call: CallContext, collateral_type: int, owner: str, to: str
) -> bool | None:
    if call.compute_auction_room(collateral_type) is None:
        return None
    floor, found = _read_terms(call, collateral_type).debt_floor * RAD, []
    for rate in call.compute_accumulated_rate_bounds(collateral_type):
        part, whole = _compute_liquidatable_and_whole_debt(call, collateral_type, owner, rate)
        for slack in call.compute_debt_rounding_slacks(collateral_type):
            found += [(whole - part) * rate + slack >= floor and part * rate - slack < floor]
    return find_common_value(found)


def _has_no_liquidatable_part(call: CallContext, collateral_type: int, owner: str, to: str) -> bool | None:
    if not call.read_engine_slot("vaults", (collateral_type, owner)).locked_collateral:
        return True
    if call.compute_auction_room(collateral_type) is None:
        return None
    return find_common_value(
        not _compute_liquidatable_and_whole_debt(call, collateral_type, owner, rate)[0]
        for rate in call.compute_accumulated_rate_bounds(collateral_type)
    )


def _has_no_auction_room(call: CallContext, collateral_type: int, *args: Any) -> bool | None:
    room = call.compute_auction_room(collateral_type)
    return None if room is None else room == 0


def _has_mechanism(call: CallContext, collateral_type: int, *args: Any) -> bool:
    return not is_zero_address(call.read(_LIQUIDATIONS, "mechanism_of", collateral_type))


def _has_no_auctions(call: CallContext, collateral_type: int, owner: str, *args: Any) -> bool | None:
    """Return whether a liquidation mechanism, and not an auction, sells this vault.

    Returns None if it depends on the stability pool's coins.
    """
    address = call.read(_LIQUIDATIONS, "mechanism_of", collateral_type)
    if is_zero_address(address):
        return False
    mechanism: Any = call.step.model.world.addresses[address]
    if mechanism.KIND not in STABILITY_POOLS:
        return True
    # At the last price of a feed that is dead a pool buys nothing.
    if call.now > call.read(FEED, "prices", collateral_type).fresh_until:
        return False
    if mechanism.has_write_off:
        return True
    coins = call.read(mechanism.label, "product_sum.state").coins
    if coins <= WAD:
        return False
    vault = call.read_engine_slot("vaults", (collateral_type, owner))
    # More than all of the debt, at the highest rate that may be charged.
    debt = vault.normalized_debt * call.compute_accumulated_rate_bounds(collateral_type)[1]
    return True if (coins - WAD) * RAY > debt + RAY else None


def _is_margin_call_running(call: CallContext, collateral_type: int, owner: str) -> bool:
    called_at, terms = (
        call.read_engine_slot("vaults", (collateral_type, owner)).called_at,
        policy_margin_and_margin_call_terms.read_call_terms(call.step, collateral_type),
    )
    return bool(called_at and call.now <= called_at + terms.grace + terms.valid)


_LIQUIDATIONS = "LiquidationEngine"
register_conditions(
    _LIQUIDATIONS,
    "liquidate",
    "liquidation_engine: ",
    no_price=lambda x, c, *_: x.read_liquidation_price(c) == 0,
    no_room=_has_no_auction_room,
    nothing_in=_has_no_liquidatable_part,
    part_too_low=_is_liquidatable_part_too_small,
    no_auctions=_has_no_auctions,
)
register_conditions(
    _LIQUIDATIONS,
    "liquidate_and_buy",
    "liquidation_engine: ",
    no_mechanism=lambda x, c, *_: not _has_mechanism(x, c),
    stale_price=lambda x, c, *_: (
        x.read_liquidation_price(c) == 0 or x.now > x.read(FEED, "prices", c).fresh_until
    ),
    no_sales=lambda x, c, *_: not x.read_engine_slot("ledger.auctions", c).limit,
)
register_conditions(
    _LIQUIDATIONS,
    "set_mechanism",
    "liquidation_engine: ",
    not_admin=lambda x, c, new: x.read_engine_slot("roles.admin") != x.sender,
    is_set=_has_mechanism,
    settling=lambda x, c, new: bool(_read_terms(x, c).settling),
    has_debt=lambda x, c, new: any(
        (
            x.read_engine_slot("ledger.debts", c).normalized_debt,
            x.read_engine_slot("ledger.debts", c).distressed,
        )
    ),
    no_reporters=lambda x, c, new: not x.read(FEED, "configs", c).reporters,
)
register_conditions(
    _LIQUIDATIONS,
    "call",
    "liquidation_engine: ",
    no_calls=lambda x, c, owner: not x.has_contract(POLICY),
    no_price_now=lambda x, c, owner: x.read_liquidation_price(c) == 0,
    call_runs=_is_margin_call_running,
)
register_conditions(_LIQUIDATIONS, "call", "ledger: ", in_settlement=lambda x, c, owner: x.is_in_settlement)


def _find_lowest_price(call: CallContext, collateral_type: int) -> int:
    coming = call.read(FEED, "prices", collateral_type).next or call.read(FEED, "withheld", collateral_type)
    price = call.read_last_price(collateral_type)
    return min(price, coming) if coming else price


register_conditions(
    _LIQUIDATIONS,
    "flag",
    "vault_flags: ",
    no_price=lambda x, c, owner: (
        _find_lowest_price(x, c) == 0 and x.read_engine_slot("vaults", (c, owner)).normalized_debt > 0
    ),
)


# ----------------------------------------------------------------------- auctions


def _is_auction_missing(call: CallContext, auction_id: int, *args: Any) -> bool:
    return not any(call.read_own_slot("lots", auction_id))


def _read_lot_terms_elapsed_price_bounds(call: CallContext, auction_id: int) -> tuple[Any, int, int, int]:
    """Return an auction's terms, seconds since its start, and lower and upper price bound [ray]."""
    lot = call.read_own_slot("lots", auction_id)
    terms, elapsed = (
        _read_lot_terms(call.step, lot),
        max(0, _compute_time_by_blocks_or_timestamp(call.step) - lot.started_at),
    )
    price, off = own.compute_auction_price_with_tolerance(
        terms.curve, terms.period, terms.cut, call.read_own_slot("tops", auction_id).top, elapsed
    )
    return terms, elapsed, max(0, price - off), price + off


def _is_reset_due(call: CallContext, auction_id: int, *args: Any) -> bool | None:
    if _is_auction_missing(call, auction_id):
        return None
    terms, elapsed, low, high = _read_lot_terms_elapsed_price_bounds(call, auction_id)
    top = call.read_own_slot("tops", auction_id).top
    return elapsed > terms.tail or find_common_value(
        price * BASIS_POINTS < top * terms.cusp for price in (low, high)
    )


def _is_reset_not_due(call: CallContext, auction_id: int, to: str) -> bool | None:
    due = _is_reset_due(call, auction_id)
    return None if due is None else not due


def _find_take_refusal(call: CallContext, price: int) -> str:
    """Return the reason for which a purchase at `price` [ray] is refused, or "" if none."""
    auction_id, most, most_price, _, _ = call.args
    lot, top = call.read_own_slot("lots", auction_id), call.read_own_slot("tops", auction_id).top
    terms = _read_lot_terms(call.step, lot)
    unit, least = 10 ** (18 - terms.decimals), terms.minimum * WAD
    amount = lot.lot if most >= lot.lot else most // unit * unit
    paid = -(-amount * price // RAY)
    if paid > lot.target:
        paid, amount = lot.target, lot.target * RAY // price // unit * unit
    rest = lot.target - paid
    if rest and amount != lot.lot:
        if rest < least:
            if lot.target <= least:
                return "dutch_auction: target too small"
            paid = lot.target - least
            amount = paid * RAY // price // unit * unit
        if (lot.lot - amount) * (top * BASIS_POINTS // terms.buf) < least * RAY:
            return "dutch_auction: lot too small"
    if not amount:
        return "dutch_auction: nothing taken"
    # The payment less a wei for the amount and a wei more, rounded down.
    is_dear = price > most_price or (paid - 1) * RAY // (amount + 1) >= most_price
    return "dutch_auction: price too high" if is_dear else ""


def _build_take_condition(reason: str) -> Any:
    def condition(call: CallContext, auction_id: int, *args: Any) -> bool | None:
        if _is_auction_missing(call, auction_id):
            return None
        _, _, low, high = _read_lot_terms_elapsed_price_bounds(call, auction_id)
        if low == 0 and low != high:
            return None
        # Inside a callback of another take nothing is known of the lot of now.
        return find_common_value(_find_take_refusal(call, price) == reason for price in (low, high))

    return condition


def _is_forbidden_receiver(
    call: CallContext, auction_id: int, most: int, price: int, receiver: str, data: bytes
) -> bool:
    names = ("CollateralAuction", ENGINE, FEED, _LIQUIDATIONS, "Stablecoin")
    return is_zero_address(receiver) or receiver in [call.step.get_contract(name).address for name in names]


def _is_worthless(call: CallContext, auction_id: int, *args: Any) -> bool:
    return _is_indebted_lot_nearly_worthless(
        call.step, call.read_own_slot("lots", auction_id), call.read_own_slot("tops", auction_id)
    )


def _compute_lot_principal(call: CallContext, auction_id: int) -> int:
    return _compute_unraised_principal(
        call.read_own_slot("lots", auction_id), call.read_own_slot("tops", auction_id)
    )


_SALES = "CollateralAuction"
register_conditions(_SALES, "take reset close unwind", "collateral_auction: ", no_auction=_is_auction_missing)
register_conditions(
    _SALES, "take", "collateral_auction: ", bad_receiver=_is_forbidden_receiver, needs_reset=_is_reset_due
)
for _reason in ("nothing taken", "target too small", "lot too small", "price too high"):
    register_conditions(
        _SALES, "take", "dutch_auction: ", **{_reason: _build_take_condition(f"dutch_auction: {_reason}")}
    )
register_conditions(
    _SALES,
    "reset",
    "collateral_auction: ",
    no_resets=lambda x, auction_id, to: (
        x.read_own_slot("terms", x.read_own_slot("lots", auction_id).collateral_type).stop >= 2
    ),
    empty_lot=lambda x, auction_id, to: x.read_own_slot("lots", auction_id).lot == 0,
    not_due=_is_reset_not_due,
    no_price=lambda x, auction_id, to: (
        not x.has_known_price(x.read_own_slot("lots", auction_id).collateral_type)
    ),
    worthless=lambda x, auction_id, to: (
        _is_worthless(x, auction_id)
        if x.has_known_price(x.read_own_slot("lots", auction_id).collateral_type)
        else None
    ),
)
register_conditions(
    _SALES,
    "close",
    "collateral_auction: ",
    repaid=lambda x, auction_id: (
        x.read_own_slot("lots", auction_id).lot > 0 and _compute_lot_principal(x, auction_id) == 0
    ),
    still_open=lambda x, auction_id: (
        x.read_own_slot("lots", auction_id).lot > 0
        and _compute_time_by_blocks_or_timestamp(x.step)
        <= x.read_own_slot("lots", auction_id).started_at
        + _read_lot_terms(x.step, x.read_own_slot("lots", auction_id)).tail
    ),
    no_price=lambda x, auction_id: (
        x.read_own_slot("lots", auction_id).lot > 0
        and not x.has_known_price(x.read_own_slot("lots", auction_id).collateral_type)
    ),
    has_value=lambda x, auction_id: (
        None
        if not x.has_known_price(x.read_own_slot("lots", auction_id).collateral_type)
        else x.read_own_slot("lots", auction_id).lot > 0 and not _is_worthless(x, auction_id)
    ),
)
register_conditions(
    _SALES,
    "unwind",
    "collateral_auction: ",
    not_settling=lambda x, auction_id: (
        not x.is_in_settlement
        and not _read_terms(x, x.read_own_slot("lots", auction_id).collateral_type).settling
    ),
)
register_conditions(
    _SALES,
    "sell_salvage",
    "collateral_auction: ",
    no_starts=lambda x, c: x.read_own_slot("terms", c).stop >= 1,
    on_sale=lambda x, c: x.read_own_slot("lots", x.read_own_slot("salvage_sales", c)).lot > 0,
    no_salvage=lambda x, c: x.read_engine_slot("ledger.salvage", c) == 0,
    no_price=lambda x, c: not x.has_known_price(c),
)
register_conditions(_SALES, "sell_salvage", "ledger: ", in_settlement=lambda x, c: x.is_in_settlement)


# ----------------------------------------------------------------------- workouts

_WORKOUTS = "Workouts"


def _compute_principal_remainder(call: CallContext, workout_id: int, payment: int = 0) -> int:
    """Return the unpaid principal of a workout after a payment [rad]."""
    balance, sums = call.read_own_slot("balances", workout_id), call.read_own_slot("sums", workout_id)
    return compute_unraised_principal(balance.left - min(payment, balance.left), sums.premium, sums.excess)


def _read_workout_owner(call: CallContext, workout_id: int) -> str:
    return str(call.read_own_slot("schedules", workout_id).owner)


def _is_instalment_late(call: CallContext, workout_id: int) -> bool:
    schedule = call.read_own_slot("schedules", workout_id)
    return bool(
        call.now
        > schedule.entered_at + (call.read_own_slot("balances", workout_id).met + 1) * schedule.interval
    )


def _is_workout_current_and_collateralised(call: CallContext, workout_id: int, to: str) -> bool:
    balance, schedule = (
        call.read_own_slot("balances", workout_id),
        call.read_own_slot("schedules", workout_id),
    )
    worth = balance.lot * call.read_liquidation_price(balance.collateral_type) * BASIS_POINTS
    return (
        not _is_instalment_late(call, workout_id)
        and worth >= _compute_principal_remainder(call, workout_id) * schedule.ratio
    )


def _is_collateral_below_vault_debt(
    call: CallContext, collateral_type: int, owner: str, instalments: int
) -> bool | None:
    vault, terms = (
        call.read_engine_slot("vaults", (collateral_type, owner)),
        call.read_own_slot("terms", collateral_type),
    )
    value = (
        vault.locked_collateral
        * call.read_risk_price(collateral_type)
        * (BASIS_POINTS - terms.discount)
        // BASIS_POINTS
    )
    return find_common_value(
        value < vault.normalized_debt * rate for rate in call.compute_accumulated_rate_bounds(collateral_type)
    )


def _is_auction_limit_room_below_debt(
    call: CallContext, collateral_type: int, owner: str, instalments: int
) -> bool | None:
    room, normalized = (
        call.compute_auction_room(collateral_type),
        call.read_engine_slot("vaults", (collateral_type, owner)).normalized_debt,
    )
    return (
        None
        if room is None
        else find_common_value(
            normalized * rate > room for rate in call.compute_accumulated_rate_bounds(collateral_type)
        )
    )


def _is_above_workout_cap(
    call: CallContext, collateral_type: int, owner: str, instalments: int
) -> bool | None:
    normalized = call.read_engine_slot("vaults", (collateral_type, owner)).normalized_debt
    cap, taken = (
        call.read_own_slot("terms", collateral_type).cap * RAD,
        call.read_own_slot("in_workouts", collateral_type),
    )
    return find_common_value(
        taken + normalized * rate > cap for rate in call.compute_accumulated_rate_bounds(collateral_type)
    )


def _is_workout_dust_debt_left(call: CallContext, workout_id: int, payment: int) -> bool:
    floor = _read_terms(call, call.read_own_slot("balances", workout_id).collateral_type).debt_floor * RAD
    after = _compute_principal_remainder(call, workout_id, payment)
    return bool(payment and 0 < after < floor <= _compute_principal_remainder(call, workout_id))


register_conditions(
    _WORKOUTS,
    "enter",
    "workouts: ",
    none_offered=lambda x, c, *_: x.read_own_slot("terms", c).cap == 0,
    not_approved=lambda x, c, owner, n: not x.can_act_as_owner(owner),
    no_caution=lambda x, *_: x.read(POLICY, "modes").mode < 1 if has_initial_policy(x.step) else None,
    bad_instalments=lambda x, c, owner, n: not 1 <= n <= x.read_own_slot("terms", c).instalments,
    too_soon=lambda x, c, owner, n: (
        x.now < x.read_own_slot("last_entries", (c, owner)) + x.read_own_slot("terms", c).period
    ),
    not_called=lambda x, c, owner, n: x.read_engine_slot("vaults", (c, owner)).called_at == 0,
    no_price=lambda x, c, *_: x.read_risk_price(c) == 0,
    worth_too_little=_is_collateral_below_vault_debt,
    no_room=_is_auction_limit_room_below_debt,
    over_the_cap=_is_above_workout_cap,
)
register_conditions(
    _WORKOUTS, "pay top_up foreclose", "workouts: ", in_settlement=lambda x, *_: x.is_in_settlement
)
register_conditions(
    _WORKOUTS,
    "pay top_up foreclose flag unwind",
    "workouts: ",
    no_workout=lambda x, auction_id, *_: not any(x.read_own_slot("balances", auction_id)),
)
register_conditions(_WORKOUTS, "pay", "workouts: ", rest_under_floor=_is_workout_dust_debt_left)
register_conditions(
    _WORKOUTS, "unwind", "workouts: ", not_settling=lambda x, auction_id: not x.is_in_settlement
)


def _read_workout_vault(call: CallContext, workout_id: int) -> Any:
    return call.read_engine_slot(
        "vaults",
        (call.read_own_slot("balances", workout_id).collateral_type, _read_workout_owner(call, workout_id)),
    )


register_conditions(
    _WORKOUTS,
    "top_up",
    "workouts: ",
    not_approved=lambda x, workout_id, amount: not x.can_act_as_owner(_read_workout_owner(x, workout_id)),
    vault_has_debt=lambda x, workout_id, amount: _read_workout_vault(x, workout_id).normalized_debt > 0,
    not_enough_locked=lambda x, workout_id, amount: (
        amount
        - amount % _compute_wad_per_token_unit(x, x.read_own_slot("balances", workout_id).collateral_type)
        > _read_workout_vault(x, workout_id).locked_collateral
    ),
    lot_is_full=lambda x, auction_id, amount: (
        x.read_own_slot("balances", auction_id).lot
        + amount
        - amount % _compute_wad_per_token_unit(x, x.read_own_slot("balances", auction_id).collateral_type)
        > _MOST_LOT
    ),
)
register_conditions(
    _WORKOUTS,
    "flag",
    "workouts: ",
    no_price_to_flag_at=lambda x, workout_id: (
        _compute_principal_remainder(x, workout_id) > 0
        and not _is_instalment_late(x, workout_id)
        and _find_lowest_price(x, x.read_own_slot("balances", workout_id).collateral_type) == 0
    ),
)
register_conditions(
    _WORKOUTS,
    "foreclose",
    "workouts: ",
    repaid=lambda x, auction_id, to: _compute_principal_remainder(x, auction_id) == 0,
    stale_price=lambda x, auction_id, to: (
        x.read_liquidation_price(x.read_own_slot("balances", auction_id).collateral_type) == 0
    ),
    in_good_standing=_is_workout_current_and_collateralised,
)
