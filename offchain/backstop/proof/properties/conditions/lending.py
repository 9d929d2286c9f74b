"""Conditions under which calls to vaults, liquidations, collateral auctions and workouts revert."""

from __future__ import annotations

from typing import Any

from backstop.proof.properties.conditions.call import (
    ENGINE,
    FEED,
    POLICY,
    RAD,
    WAD,
    Call,
    either,
    is_nobody,
    refuses,
)
from backstop.proof.properties.figures import arithmetic as own
from backstop.proof.properties.figures import policies
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.risk_margins import has_first_policy, price_of_risk
from backstop.proof.properties.sales import _can_be_given_up, _clock, _principal, _terms_of
from backstop.proof.properties.sums import principal_left

_MOST_LOCKED, _MOST_LOT = 2**103 - 1, 2**104 - 1


# ------------------------------------------------------------------------- vaults


def _terms(call: Call, c: int) -> Any:
    return call.engine("terms.of_types", c)


def _unit(call: Call, c: int) -> int:
    return int(10 ** (18 - _terms(call, c).decimals))


def _owed(call: Call, c: int, owner: str, draw: int, rate: int) -> int:
    """Return what a vault owes after a draw [rad]."""
    more = -(-draw * RAY // (rate - call.shared_losses(c)))
    return int((call.engine("vaults", (c, owner)).normalized_debt + more) * rate)


def _is_over_its_ceiling(call: Call, c: int, owner: str, deposit: int, draw: int, to: str) -> bool | None:
    if not draw:
        return False
    debts, ceiling = call.engine("ledger.debts", c).normalized_debt, _terms(call, c).debt_ceiling
    found = []
    for rate in call.rates(c):
        more = -(-draw * RAY // (rate - call.shared_losses(c)))
        whole = (debts + more) * rate + call.lost(c)
        found += [whole + slack > ceiling * RAD for slack in call.slacks(c)]
    return either(found)


def _is_over_all_ceilings(call: Call, c: int, owner: str, deposit: int, draw: int, to: str) -> bool | None:
    """Return False if all that the protocol owes is surely under the global ceiling after a draw."""
    system, supply = call.engine("ledger.system"), call.read("Stablecoin", "erc20.totalSupply")
    debts, (_, most) = call.engine("ledger.debts", c), call.rates(c)
    fees = debts.normalized_debt * (most - debts.accumulated_rate)
    dust = _owed(call, c, owner, draw, most) - call.engine("vaults", (c, owner)).normalized_debt * most
    whole = supply * RAY + max(dust, draw * RAY) + system.reserve + system.buffers * RAD + fees + RAD
    return None if draw and whole > system.global_debt_ceiling * RAD else False


def _is_under_the_floor(call: Call, c: int, owner: str, deposit: int, draw: int, to: str) -> bool | None:
    floor = _terms(call, c).debt_floor * RAD
    owed = [_owed(call, c, owner, draw, rate) for rate in call.rates(c)]
    return either(draw > 0 and each + slack < floor for each in owed for slack in call.slacks(c))


def _takes_risk(call: Call, c: int, owner: str, first: int, second: int, to: str) -> bool | None:
    """Return whether a call draws, or withdraws and leaves a debt."""
    vault = call.engine("vaults", (c, owner))
    if not second or call.method == "deposit_and_draw":
        return bool(second)
    return either(not _is_repaid(vault.normalized_debt, first, rate) for rate in call.rates(c))


def _is_repaid(normalized: int, paid: int, rate: int) -> bool:
    return not normalized or paid >= -(-normalized * rate // RAY)


def _has_no_price(call: Call, *args: Any) -> bool | None:
    if call.risk_price(args[0]):
        return False
    return _takes_risk(call, *args)


def _is_called(call: Call, *args: Any) -> bool | None:
    if not call.engine("vaults", args[:2]).called_at or not call.has(POLICY):
        return False
    return _takes_risk(call, *args)


def _is_emergency(call: Call, *args: Any) -> bool | None:
    if not has_first_policy(call.step):
        return None
    if call.read(POLICY, "terms", args[0]).mode != 2:
        return False
    return _takes_risk(call, *args)


def _flows_out(call: Call, *args: Any) -> bool | None:
    """Return whether what flows out passes the limit of the flow, which lets it out evenly in its window."""
    if not has_first_policy(call.step):
        return None
    c, _, _, second, _ = args
    flow = call.read(POLICY, "flows", c)
    draws, unit = call.method == "deposit_and_draw", _unit(call, c)
    if not flow.cap or not second:
        return False
    out = -(-second // 10**12) if draws else 0
    if not draws:
        out = -(-(second // unit * unit) * price_of_risk(call.step, c) // (10**12 * RAY))
    used = max(0, flow.used - flow.cap * 10**6 * (call.now - flow.updated) // flow.window)
    return bool(used + out > flow.cap * 10**6) and _takes_risk(call, *args)


def _repays_nothing(call: Call, c: int, owner: str, repay: int, withdraw: int, to: str) -> bool | None:
    normalized, floor = call.engine("vaults", (c, owner)).normalized_debt, _terms(call, c).debt_floor * RAD
    found = []
    for rate in call.rates(c):
        is_part = repay * RAY < normalized * rate and 0 < repay < -(-normalized * rate // RAY)
        gone = repay * RAY // rate
        if normalized * rate >= floor:
            gone = min(gone, normalized - -(-floor // rate))
        found.append(is_part and gone <= 0)
    return either(found)


def _settles_with_debt(call: Call, c: int, owner: str, *args: Any) -> bool:
    return bool(call.engine("vaults", (c, owner)).normalized_debt and _terms(call, c).settling)


refuses(
    ENGINE,
    "deposit_and_draw",
    "vault_engine: ",
    vault_is_full=lambda x, c, owner, deposit, *_: (
        x.engine("vaults", (c, owner)).locked_collateral + deposit // _unit(x, c) * _unit(x, c) > _MOST_LOCKED
        and deposit > 0
    ),
    not_approved=lambda x, c, owner, deposit, draw, to: draw > 0 and not x.may_act(owner),
    draw_too_large=lambda x, c, owner, deposit, draw, to: draw >= 2**128,
    debt_ceiling=_is_over_its_ceiling,
    debt_floor=_is_under_the_floor,
)
refuses(
    ENGINE,
    "deposit_and_draw",
    "ledger: ",
    in_settlement=lambda x, c, *_: bool(_terms(x, c).settling),
    over_the_ceiling=_is_over_all_ceilings,
)
refuses(
    ENGINE,
    "repay_and_withdraw",
    "vault_engine: ",
    repays_nothing=_repays_nothing,
    not_approved=lambda x, c, owner, repay, withdraw, to: withdraw > 0 and not x.may_act(owner),
    not_enough_locked=lambda x, c, owner, repay, withdraw, to: (
        withdraw // _unit(x, c) * _unit(x, c) > x.engine("vaults", (c, owner)).locked_collateral
    ),
)
refuses(ENGINE, "repay_and_withdraw", "ledger: ", in_settlement=_settles_with_debt)
_RISKY = "deposit_and_draw repay_and_withdraw"
refuses(ENGINE, _RISKY, "vault_engine: ", no_price=_has_no_price, margin_call=_is_called)
refuses(ENGINE, _RISKY, "risk_policy: ", no_price=_has_no_price, emergency=_is_emergency)
refuses(ENGINE, _RISKY, "risk_policy: ", flows_out_too_fast=_flows_out)
refuses(
    ENGINE,
    f"{_RISKY} accrue retire_collateral_type set_debt_ceiling set_debt_floor set_ratios set_stability_fee",
    "terms: ",
    unknown_type=lambda x, c, *_: is_nobody(_terms(x, c).token),
)


def _is_in_use(call: Call, c: int) -> bool:
    sale = call.read("CollateralAuction", "lots", call.read("CollateralAuction", "salvage_sales", c))
    owes = call.engine("ledger.debts", c).normalized_debt
    return bool(owes or call.lost(c) or call.engine("ledger.salvage", c) or sale.lot)


refuses(ENGINE, "retire_collateral_type", "ledger: ", type_in_use=_is_in_use)
refuses(
    ENGINE,
    "retire_collateral_type set_fee_dynamic",
    "ledger: ",
    in_settlement=lambda x, c, *_: bool(_terms(x, c).settling),
)
refuses(
    ENGINE,
    "set_global_debt_ceiling set_stability_fee add_collateral_type set_risk_policy",
    "ledger: ",
    in_settlement=lambda x, *_: x.settles,
)
refuses(
    ENGINE,
    "cover_from_buffer",
    "ledger: ",
    buffer_too_small=lambda x, c, amount: amount > x.engine("ledger.income", c).buffer,
    cover_above_deficit=lambda x, c, amount: amount > x.engine("ledger.deficit", c),
)
refuses(
    ENGINE,
    "cover_from_reserve",
    "ledger: ",
    reserve_too_small=lambda x, c, amount: amount > x.engine("ledger.system").reserve,
    cover_above_deficit=lambda x, c, amount: amount > x.engine("ledger.deficit", c),
)


# ------------------------------------------------------------------- liquidations


def _part(call: Call, c: int, owner: str, rate: int) -> tuple[int, int]:
    """Return what of a debt there is room for under the limits, and all of it [wad, normalized]."""
    vault, room = call.engine("vaults", (c, owner)), call.room(c)
    most = vault.normalized_debt if room is None else min(vault.normalized_debt, room // rate)
    return most, vault.normalized_debt


def _is_too_low(call: Call, c: int, owner: str, to: str) -> bool | None:
    if call.room(c) is None:
        return None
    floor, found = _terms(call, c).debt_floor * RAD, []
    for rate in call.rates(c):
        part, whole = _part(call, c, owner, rate)
        for slack in call.slacks(c):
            found += [(whole - part) * rate + slack >= floor and part * rate - slack < floor]
    return either(found)


def _has_nothing(call: Call, c: int, owner: str, to: str) -> bool | None:
    if not call.engine("vaults", (c, owner)).locked_collateral:
        return True
    if call.room(c) is None:
        return None
    return either(not _part(call, c, owner, rate)[0] for rate in call.rates(c))


def _has_no_room(call: Call, c: int, *args: Any) -> bool | None:
    room = call.room(c)
    return None if room is None else room == 0


def _runs(call: Call, c: int, owner: str) -> bool:
    called_at, terms = call.engine("vaults", (c, owner)).called_at, policies.call_terms(call.step, c)
    return bool(called_at and call.now <= called_at + terms.grace + terms.valid)


_LIQUIDATIONS = "LiquidationEngine"
refuses(
    _LIQUIDATIONS,
    "liquidate",
    "liquidation_engine: ",
    no_price=lambda x, c, *_: x.liquidation_price(c) == 0,
    no_room=_has_no_room,
    nothing_in=_has_nothing,
    part_too_low=_is_too_low,
)
refuses(
    _LIQUIDATIONS,
    "call",
    "liquidation_engine: ",
    no_calls=lambda x, c, owner: not x.has(POLICY),
    no_price_now=lambda x, c, owner: x.liquidation_price(c) == 0,
    call_runs=_runs,
)
refuses(_LIQUIDATIONS, "call", "ledger: ", in_settlement=lambda x, c, owner: x.settles)


def _lowest_price(call: Call, c: int) -> int:
    coming = call.read(FEED, "prices", c).next or call.read(FEED, "withheld", c)
    price = call.last_price(c)
    return min(price, coming) if coming else price


refuses(
    _LIQUIDATIONS,
    "flag",
    "doubt: ",
    no_price=lambda x, c, owner: (
        _lowest_price(x, c) == 0 and x.engine("vaults", (c, owner)).normalized_debt > 0
    ),
)


# ----------------------------------------------------------------------- auctions


def _is_missing(call: Call, id: int, *args: Any) -> bool:
    return not any(call.own("lots", id))


def _price_of(call: Call, id: int) -> tuple[Any, int, int, int]:
    """Return the terms of a lot, the seconds since its top, and the bounds of its price now [ray]."""
    lot = call.own("lots", id)
    terms, elapsed = _terms_of(call.step, lot), max(0, _clock(call.step) - lot.started_at)
    price, off = own.fallen(terms.curve, terms.period, terms.cut, call.own("tops", id).top, elapsed)
    return terms, elapsed, max(0, price - off), price + off


def _is_due(call: Call, id: int, *args: Any) -> bool | None:
    if _is_missing(call, id):
        return None
    terms, elapsed, low, high = _price_of(call, id)
    top = call.own("tops", id).top
    return elapsed > terms.tail or either(price * BASIS_POINTS < top * terms.cusp for price in (low, high))


def _is_not_due(call: Call, id: int, to: str) -> bool | None:
    due = _is_due(call, id)
    return None if due is None else not due


def _fault(call: Call, price: int) -> str:
    """Return the reason for which a take at a price is refused; "" if it is not."""
    id, most, most_price, _, _ = call.args
    lot, top = call.own("lots", id), call.own("tops", id).top
    terms = _terms_of(call.step, lot)
    unit, least = 10 ** (18 - terms.decimals), terms.minimum * WAD
    amount = lot.lot if most >= lot.lot else most // unit * unit
    paid = -(-amount * price // RAY)
    if paid > lot.target:
        paid, amount = lot.target, lot.target * RAY // price // unit * unit
    rest = lot.target - paid
    if rest and amount != lot.lot:
        if rest < least:
            if lot.target <= least:
                return "dutch: rest of target too small"
            paid = lot.target - least
            amount = paid * RAY // price // unit * unit
        if (lot.lot - amount) * (top * BASIS_POINTS // terms.buf) < least * RAY:
            return "dutch: rest of lot too small"
    if not amount:
        return "dutch: nothing taken"
    # The payment less a wei for the amount and a wei more, rounded down.
    is_dear = price > most_price or (paid - 1) * RAY // (amount + 1) >= most_price
    return "dutch: price too high" if is_dear else ""


def _is_fault(reason: str) -> Any:
    def condition(call: Call, id: int, *args: Any) -> bool | None:
        if _is_missing(call, id):
            return None
        _, _, low, high = _price_of(call, id)
        if low == 0 and low != high:
            return None
        # Inside a callback of another take nothing is known of the lot of now.
        return either(_fault(call, price) == reason for price in (low, high))

    return condition


def _is_no_receiver(call: Call, id: int, most: int, price: int, receiver: str, data: bytes) -> bool:
    names = ("CollateralAuction", ENGINE, FEED, _LIQUIDATIONS, "Stablecoin")
    return is_nobody(receiver) or receiver in [call.step.contract(name).address for name in names]


def _is_worthless(call: Call, id: int, *args: Any) -> bool:
    return _can_be_given_up(call.step, call.own("lots", id), call.own("tops", id))


def _owes(call: Call, id: int) -> int:
    return _principal(call.own("lots", id), call.own("tops", id))


_SALES = "CollateralAuction"
refuses(_SALES, "take reset close unwind", "collateral_auction: ", no_auction=_is_missing)
refuses(_SALES, "take", "collateral_auction: ", bad_receiver=_is_no_receiver, needs_reset=_is_due)
for _reason in ("nothing taken", "rest of target too small", "rest of lot too small", "price too high"):
    refuses(_SALES, "take", "dutch: ", **{_reason: _is_fault(f"dutch: {_reason}")})
refuses(
    _SALES,
    "reset",
    "collateral_auction: ",
    no_resets=lambda x, id, to: x.own("terms", x.own("lots", id).collateral_type).stop >= 2,
    empty_lot=lambda x, id, to: x.own("lots", id).lot == 0,
    not_due=_is_not_due,
    no_price=lambda x, id, to: not x.has_known_price(x.own("lots", id).collateral_type),
    worthless=lambda x, id, to: (
        _is_worthless(x, id) if x.has_known_price(x.own("lots", id).collateral_type) else None
    ),
)
refuses(
    _SALES,
    "close",
    "collateral_auction: ",
    repaid=lambda x, id: x.own("lots", id).lot > 0 and _owes(x, id) == 0,
    still_open=lambda x, id: (
        x.own("lots", id).lot > 0
        and _clock(x.step) <= x.own("lots", id).started_at + _terms_of(x.step, x.own("lots", id)).tail
    ),
    no_price=lambda x, id: (
        x.own("lots", id).lot > 0 and not x.has_known_price(x.own("lots", id).collateral_type)
    ),
    has_value=lambda x, id: (
        None
        if not x.has_known_price(x.own("lots", id).collateral_type)
        else x.own("lots", id).lot > 0 and not _is_worthless(x, id)
    ),
)
refuses(
    _SALES,
    "unwind",
    "collateral_auction: ",
    not_settling=lambda x, id: not x.settles and not _terms(x, x.own("lots", id).collateral_type).settling,
)
refuses(
    _SALES,
    "sell_salvage",
    "collateral_auction: ",
    no_starts=lambda x, c: x.own("terms", c).stop >= 1,
    on_sale=lambda x, c: x.own("lots", x.own("salvage_sales", c)).lot > 0,
    no_salvage=lambda x, c: x.engine("ledger.salvage", c) == 0,
    no_price=lambda x, c: not x.has_known_price(c),
)
refuses(_SALES, "sell_salvage", "ledger: ", in_settlement=lambda x, c: x.settles)


# ----------------------------------------------------------------------- workouts

_WORKOUTS = "Workouts"


def _left(call: Call, id: int, less: int = 0) -> int:
    """Return the principal that a workout owes after a payment [rad]."""
    balance, sums = call.own("balances", id), call.own("sums", id)
    return principal_left(balance.left - min(less, balance.left), sums.premium, sums.excess)


def _owner(call: Call, id: int) -> str:
    return str(call.own("schedules", id).owner)


def _is_late(call: Call, id: int) -> bool:
    schedule = call.own("schedules", id)
    return bool(call.now > schedule.entered_at + (call.own("balances", id).met + 1) * schedule.interval)


def _is_sound(call: Call, id: int, to: str) -> bool:
    balance, schedule = call.own("balances", id), call.own("schedules", id)
    worth = balance.lot * call.liquidation_price(balance.collateral_type) * BASIS_POINTS
    return not _is_late(call, id) and worth >= _left(call, id) * schedule.ratio


def _is_worth_too_little(call: Call, c: int, owner: str, instalments: int) -> bool | None:
    vault, terms = call.engine("vaults", (c, owner)), call.own("terms", c)
    value = vault.locked_collateral * call.risk_price(c) * (BASIS_POINTS - terms.discount) // BASIS_POINTS
    return either(value < vault.normalized_debt * rate for rate in call.rates(c))


def _has_no_room_to_enter(call: Call, c: int, owner: str, instalments: int) -> bool | None:
    room, normalized = call.room(c), call.engine("vaults", (c, owner)).normalized_debt
    return None if room is None else either(normalized * rate > room for rate in call.rates(c))


def _is_over_the_cap(call: Call, c: int, owner: str, instalments: int) -> bool | None:
    normalized = call.engine("vaults", (c, owner)).normalized_debt
    cap, taken = call.own("terms", c).cap * RAD, call.own("in_workouts", c)
    return either(taken + normalized * rate > cap for rate in call.rates(c))


def _leaves_crumbs(call: Call, id: int, amount: int) -> bool:
    floor = _terms(call, call.own("balances", id).collateral_type).debt_floor * RAD
    after = _left(call, id, amount)
    return bool(amount and 0 < after < floor <= _left(call, id))


refuses(
    _WORKOUTS,
    "enter",
    "workouts: ",
    none_offered=lambda x, c, *_: x.own("terms", c).cap == 0,
    not_approved=lambda x, c, owner, n: not x.may_act(owner),
    no_caution=lambda x, *_: x.read(POLICY, "modes").mode < 1 if has_first_policy(x.step) else None,
    bad_instalments=lambda x, c, owner, n: not 1 <= n <= x.own("terms", c).instalments,
    too_soon=lambda x, c, owner, n: x.now < x.own("last_entries", (c, owner)) + x.own("terms", c).period,
    not_called=lambda x, c, owner, n: x.engine("vaults", (c, owner)).called_at == 0,
    no_price=lambda x, c, *_: x.risk_price(c) == 0,
    worth_too_little=_is_worth_too_little,
    no_room=_has_no_room_to_enter,
    over_the_cap=_is_over_the_cap,
)
refuses(_WORKOUTS, "pay top_up foreclose", "workouts: ", in_settlement=lambda x, *_: x.settles)
refuses(
    _WORKOUTS,
    "pay top_up foreclose flag unwind",
    "workouts: ",
    no_workout=lambda x, id, *_: not any(x.own("balances", id)),
)
refuses(_WORKOUTS, "pay", "workouts: ", rest_under_floor=_leaves_crumbs)
refuses(_WORKOUTS, "unwind", "workouts: ", not_settling=lambda x, id: not x.settles)


def _vault_of(call: Call, id: int) -> Any:
    return call.engine("vaults", (call.own("balances", id).collateral_type, _owner(call, id)))


refuses(
    _WORKOUTS,
    "top_up",
    "workouts: ",
    not_approved=lambda x, id, amount: not x.may_act(_owner(x, id)),
    vault_has_debt=lambda x, id, amount: _vault_of(x, id).normalized_debt > 0,
    not_enough_locked=lambda x, id, amount: (
        amount - amount % _unit(x, x.own("balances", id).collateral_type) > _vault_of(x, id).locked_collateral
    ),
    lot_is_full=lambda x, id, amount: (
        x.own("balances", id).lot + amount - amount % _unit(x, x.own("balances", id).collateral_type)
        > _MOST_LOT
    ),
)
refuses(
    _WORKOUTS,
    "flag",
    "workouts: ",
    no_price_to_flag_at=lambda x, id: (
        _left(x, id) > 0
        and not _is_late(x, id)
        and _lowest_price(x, x.own("balances", id).collateral_type) == 0
    ),
)
refuses(
    _WORKOUTS,
    "foreclose",
    "workouts: ",
    repaid=lambda x, id, to: _left(x, id) == 0,
    stale_price=lambda x, id, to: x.liquidation_price(x.own("balances", id).collateral_type) == 0,
    in_good_standing=_is_sound,
)
