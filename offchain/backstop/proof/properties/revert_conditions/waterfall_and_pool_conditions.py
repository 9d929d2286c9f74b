"""Conditions under which calls to the waterfall, pools, equity, claims, treasury and settlement revert."""

from __future__ import annotations

from typing import Any

from backstop.model.bounds import (
    EQUITY_MARKET,
    FINAL_DEADLINE,
    LOOK,
    MAX_LOOK,
    MAX_RESERVATION,
)
from backstop.proof.properties import stage_payment_order
from backstop.proof.properties.independent_arithmetic import batch_figures
from backstop.proof.properties.independent_arithmetic.claimable_figures import compute_claimable_amounts
from backstop.proof.properties.independent_arithmetic.debt_at_risk_figures import compute_debt_at_risk
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.mode_triggers_and_auto_ceilings import (
    _compute_trigger_level,
    _iter_trigger_levels,
)
from backstop.proof.properties.revert_conditions.call_context import (
    CLOSED,
    FEED,
    RAD,
    WAD,
    WATERFALL,
    CallContext,
    is_zero_address,
    register_conditions,
)

_MOST_ASSETS = 2**96 - 1


# ---------------------------------------------------------------------- waterfall


def _read_waterfall_books(call: CallContext) -> Any:
    return call.read(WATERFALL, "books")


def _has_price_fallen_recently(call: CallContext) -> bool:
    """Return whether a price dropped within ten minutes, in a series of drops shorter than a day."""
    falls = call.read(FEED, "price_drops.times")
    return bool(call.now < min(falls.last + LOOK, falls.began + MAX_LOOK))


def _is_payment_paused_by_fall(call: CallContext, *args: Any) -> bool:
    """Return whether payments are paused by a recent price drop; never in settlement."""
    return not _read_waterfall_books(call).settlement and _has_price_fallen_recently(call)


def _read_reservation(call: CallContext, collateral_type: int, stage: int) -> Any:
    return call.read_own_slot("reservations", (collateral_type, call.read_own_slot("stages", stage).stage))


def _has_reservation_by_any_stage(call: CallContext, collateral_type: int) -> bool:
    known = call.read_own_slot("lineup").known
    return any(_read_reservation(call, collateral_type, k).amount for k in range(known))


def _build_changed_stage_condition(stage_field: str) -> Any:
    """Return a revert condition that holds if a new list changes this field of a known stage."""

    def condition(call: CallContext, terms: Any) -> bool:
        for stage, pooled, asynchronous, lifted, owes, _, _ in terms:
            stage_id, said = (
                call.read_own_slot("ids", stage),
                dict(pooled=pooled, asynchronous=asynchronous, lifted=lifted, owes=owes),
            )
            if stage_id and bool(getattr(call.read_own_slot("stages", stage_id - 1), stage_field)) != bool(
                said[stage_field]
            ):
                return True
        return False

    return condition


def _is_any_debt_at_risk(call: CallContext, unused_terms: Any) -> bool:
    return any(compute_debt_at_risk(call.step, call.read, c) for c in call.collateral_types)


def _is_stage_order_changed(call: CallContext, stage_list: Any) -> bool | None:
    """Return whether a new list changes the order of present stages or lists a removed one again.

    Returns None if a new stage is listed twice.
    """
    place = {k: at for at, k in enumerate(call.read_own_slot("lineup").ids)}
    known = [
        call.read_own_slot("ids", each[0]) - 1 for each in stage_list if call.read_own_slot("ids", each[0])
    ]
    if any(k not in place for k in known):
        return True
    new = [each[0] for each in stage_list if not call.read_own_slot("ids", each[0])]
    if len(set(new)) != len(new):
        return None
    places = [place[k] for k in known]
    return places != sorted(set(places))


register_conditions(
    WATERFALL,
    "set_stages",
    "loss_waterfall: ",
    stages_are_set=lambda x, terms: any(x.read_own_slot("order_hash")),
)
register_conditions(
    WATERFALL,
    "propose_stages",
    "loss_waterfall: ",
    none_are_set=lambda x, terms: not any(x.read_own_slot("order_hash")),
)
register_conditions(
    WATERFALL,
    "apply_stages",
    "loss_waterfall: ",
    too_early=lambda x, terms: x.now < x.read_own_slot("stages_ready_at"),
    losses_open=lambda x, terms: bool(x.read_own_slot("books").open or x.read_own_slot("books").settlement),
    not_proposed=lambda x, terms: None if any(x.read_own_slot("proposed_hash")) else True,
    debt_at_risk=lambda x, terms: _is_any_debt_at_risk(x, terms) and None,
)
register_conditions(
    WATERFALL,
    "set_stages propose_stages apply_stages",
    "loss_waterfall: ",
    no_stages=lambda x, terms: not terms,
    zero_stage=lambda x, terms: any(is_zero_address(each[0]) for each in terms),
    other_kind=_build_changed_stage_condition("pooled"),
    other_pace=_build_changed_stage_condition("asynchronous"),
    other_end=_build_changed_stage_condition("lifted"),
    other_debt=_build_changed_stage_condition("owes"),
    other_order=_is_stage_order_changed,
)
register_conditions(
    WATERFALL,
    "set_stages apply_stages",
    "loss_waterfall: ",
    cap_bounds=lambda x, terms: any(each[6] > 10_000 for each in terms),
    owes_and_waits=lambda x, terms: any(each[4] and each[2] for each in terms),
)
register_conditions(
    WATERFALL,
    "cover",
    "loss_waterfall: ",
    no_deficit=lambda x, c: (
        x.read_engine_slot("ledger.deficit", c) == 0 and not x.read_own_slot("books").open >> c & 1
    ),
)
register_conditions(
    WATERFALL,
    "repay_missed_share",
    "loss_waterfall: ",
    nothing_missed=lambda x, c, stage: x.read_own_slot("missed", (stage, c)) == 0,
    cover_first=lambda x, c, stage: bool(
        x.read_own_slot("books").open or x.read_own_slot("books").settlement
    ),
)
register_conditions(
    WATERFALL,
    "force_release",
    "loss_waterfall: ",
    nothing_reserved=lambda x, c, stage: _read_reservation(x, c, stage).amount == 0,
    not_overdue=lambda x, c, stage: (
        not x.read_own_slot("books").settlement
        and x.now <= _read_reservation(x, c, stage).since + MAX_RESERVATION
    ),
)


# -------------------------------------------------------------------------- pools


def _can_act_as_owner(call: CallContext, owner: str) -> bool:
    return owner == call.sender or bool(call.read_own_slot("line.isOperator", (owner, call.sender)))


def _compute_shares_after_divisions(call: CallContext, owner: str) -> int:
    """Return an account's shares, after all divisions of shares up to now."""
    balance = call.read_own_slot("token.balances", owner)
    return batch_figures.convert_shares(
        balance.shares, balance.generation, call.read_own_slot("token.state").generation
    )


def _is_allowance_exceeded(call: CallContext, owner: str, amount: int) -> bool:
    allowed = call.read_own_slot("token.permits.allowance", (owner, call.sender))
    return bool(amount > allowed)


def _has_too_few_shares(call: CallContext, *args: Any) -> bool | None:
    if call.contract.cooldown and call.method in ("redeem", "withdraw"):
        return False
    if call.method == "redeem":
        return bool(args[0] > _compute_shares_after_divisions(call, args[2]))
    if call.method == "withdraw":
        return None  # what it costs is not looked at here
    owner = {"transfer": call.sender, "transferFrom": args[0], "requestRedeem": args[-1]}[call.method]
    amount = args[0] if call.method == "requestRedeem" else args[-1]
    return bool(amount > _compute_shares_after_divisions(call, owner))


def _is_forbidden_receiver(call: CallContext, receiver: str) -> bool:
    return is_zero_address(receiver) or receiver == call.contract.address


def _is_batch_cut_too_early(call: CallContext) -> bool:
    cooldown = call.contract.cooldown
    since = call.read_own_slot("line.batches", call.read_own_slot("line.queue").collecting).since
    return bool(call.now < since + max(min(cooldown, batch_figures.DAY), cooldown // 8))


def _is_collecting_batch_empty(call: CallContext) -> bool:
    batch = call.read_own_slot("line.batches", call.read_own_slot("line.queue").collecting)
    return not batch_figures.convert_shares(
        batch.units, batch.generation, call.read_own_slot("token.state").generation
    )


def _is_batch_due(call: CallContext, batch_id: int) -> bool:
    batch = call.read_own_slot("line.batches", batch_id)
    return bool(call.now >= batch.since + call.contract.cooldown + LOOK)


def _is_pool_batch_queue_full(call: CallContext) -> bool | None:
    queue = call.read_own_slot("line.queue")
    waiting = queue.collecting - queue.unsettled
    if call.contract.KIND == "EquityPool":
        # Those whose time is over make room first.
        while waiting and _is_batch_due(call, queue.collecting - waiting):
            waiting -= 1
    return bool(waiting >= 12)


def _is_pool_payment_paused(call: CallContext) -> bool | None:
    return _is_payment_paused_by_fall(call) if _is_waterfall_stage(call) else None


def _can_pool_pay_capped_cover(call: CallContext) -> bool | None:
    """Return whether the pool could cover a part of a loss under its relative cap.

    Returns None if earlier stages may cover the whole loss, and for equity pools.
    """
    address = call.contract.address
    if call.contract.KIND == "EquityPool":
        return None
    k, order = call.read(WATERFALL, "ids", address) - 1, call.read(WATERFALL, "lineup").ids
    if k not in order or not _is_waterfall_stage(call) or _read_waterfall_books(call).settlement:
        return False
    terms, found = call.read(WATERFALL, "stages", k), False
    if terms.cap_bps == BASIS_POINTS:
        return False
    for c in call.collateral_types:
        deficit = call.read_engine_slot("ledger.deficit", c)
        if deficit and not _has_reservation_in_types(call, c):
            held = stage_payment_order.compute_capacity(call.step, k, c)
            free = min(held, max(0, stage_payment_order.compute_cap_room(call.step, k, c, held)) // RAY * RAY)
            if free > held * terms.cap_bps // BASIS_POINTS // BASIS_POINTS:
                found = True
                if deficit > sum(
                    stage_payment_order.compute_capacity(call.step, j, c) for j in order[: order.index(k)]
                ):
                    return True
    # Where earlier stages may cover all, nothing has to reach this one.
    return None if found else False


def _is_waterfall_stage(call: CallContext) -> bool:
    return bool(call.contract.loss_waterfall_address == call.step.get_contract(WATERFALL).address)


def _has_no_batch_to_settle(call: CallContext) -> bool | None:
    """Return True if no exit batch is due or open, else None."""
    queue = call.read_own_slot("line.queue")
    found = [_is_batch_due(call, batch_id) for batch_id in range(queue.unsettled, queue.collecting)]
    runs = call.read_own_slot("token.state").open - len(found)
    return None if runs or any(found) else True


def _has_no_due_batch_shares(call: CallContext) -> bool:
    queue, generation = call.read_own_slot("line.queue"), call.read_own_slot("token.state").generation
    due = call.read_own_slot("due")
    total = batch_figures.convert_shares(due.shares, due.generation, generation)
    for batch_id in range(queue.unsettled, queue.collecting):
        if not _is_batch_due(call, batch_id):
            break
        batch = call.read_own_slot("line.batches", batch_id)
        total += batch_figures.convert_shares(batch.units, batch.generation, generation)
    return total == 0


def _has_pool_equity_at_auction(call: CallContext) -> bool | None:
    """Return whether an equity pool's stake is for sale, or None if that depends on earlier stages."""
    stage = call.step.model.world.addresses[call.contract.stage_address]
    if stage.KIND != "EquityAuction" or not _is_waterfall_stage(call):
        return None
    if any(call.read(stage.label, "sales", c).target for c in call.collateral_types):
        return True
    books = _read_waterfall_books(call)
    if books.settlement:
        return bool(books.settlement != CLOSED)
    may_lose = books.open or call.read(WATERFALL, "lineup").owing or _is_any_debt_at_risk(call, ())
    return None if may_lose else False


def _is_more_than_claimable(call: CallContext, amount: int, to: str, controller: str) -> bool | None:
    if not call.contract.cooldown:
        return False
    most = (amount, 2**256 - 1) if call.method == "redeem" else (2**256 - 1, amount)
    found = compute_claimable_amounts(call.read, call.name, call.contract.KIND, controller, *most)
    if found is None or (call.method == "redeem" and not amount):
        return None
    return not found[2]


_BOTH = "Pool EquityPool"
register_conditions(
    _BOTH,
    "deposit mint",
    "shares: ",
    bad_receiver=lambda x, amount, to: _is_forbidden_receiver(x, to),
)
register_conditions(
    _BOTH,
    "deposit",
    "pool: ",
    too_many_assets=lambda x, assets, to: assets > _MOST_ASSETS - x.read_own_slot("funds.assets").booked,
)
register_conditions(_BOTH, "mint", "pool: ", no_shares=lambda x, shares, to: shares == 0)
register_conditions(
    _BOTH,
    "requestRedeem",
    "pool: ",
    no_request_needed=lambda x, *_: x.contract.cooldown == 0,
    empty_request=lambda x, shares, controller, owner: shares == 0,
    not_for_this_controller=lambda x, shares, controller, owner: (
        controller != owner and not _can_act_as_owner(x, controller)
    ),
)
register_conditions(
    _BOTH,
    "requestRedeem",
    "shares: ",
    bad_receiver=lambda x, shares, controller, owner: _is_forbidden_receiver(x, controller),
    allowance_too_small=lambda x, shares, controller, owner: (
        not _can_act_as_owner(x, owner) and _is_allowance_exceeded(x, owner, shares)
    ),
    balance_too_small=_has_too_few_shares,
)
register_conditions(
    _BOTH,
    "cut",
    "pool: ",
    no_requests=_is_collecting_batch_empty,
    batch_collects=_is_batch_cut_too_early,
    too_many_batches=_is_pool_batch_queue_full,
)
register_conditions(
    _BOTH,
    "settle",
    "loss_waterfall: ",
    price_has_fallen=_is_pool_payment_paused,
    not_covered_yet=_can_pool_pay_capped_cover,
)
register_conditions("Pool", "settle", "pool: ", nothing_to_settle=_has_no_batch_to_settle)
register_conditions(
    "EquityPool",
    "settle",
    "pool: ",
    nothing_to_settle=_has_no_due_batch_shares,
    losses_are_open=_has_pool_equity_at_auction,
)
register_conditions(
    _BOTH,
    "redeem withdraw",
    "pool: ",
    not_controller=lambda x, amount, to, owner: x.contract.cooldown > 0 and not _can_act_as_owner(x, owner),
)
register_conditions(_BOTH, "redeem withdraw", "pool: ", more_than_max=_is_more_than_claimable)
register_conditions(_BOTH, "redeem", "shares: ", balance_too_small=_has_too_few_shares)
register_conditions(
    _BOTH,
    "redeem",
    "shares: ",
    allowance_too_small=lambda x, shares, to, owner: (
        x.contract.cooldown == 0 and x.sender != owner and _is_allowance_exceeded(x, owner, shares)
    ),
)
register_conditions(
    _BOTH,
    "add_income",
    "pool: ",
    no_income=lambda x, assets: assets == 0,
    too_many_assets=lambda x, assets: assets > _MOST_ASSETS - x.read_own_slot("funds.assets").booked,
)
register_conditions(
    "Pool", "collect_claims", "pool: ", no_member=lambda x, owner: owner == x.contract.address
)
register_conditions(
    _BOTH,
    "transfer",
    "shares: ",
    bad_receiver=lambda x, to, amount: _is_forbidden_receiver(x, to),
    balance_too_small=_has_too_few_shares,
)
register_conditions(
    _BOTH,
    "transferFrom",
    "shares: ",
    bad_receiver=lambda x, owner, to, amount: _is_forbidden_receiver(x, to),
    allowance_too_small=lambda x, owner, to, amount: _is_allowance_exceeded(x, owner, amount),
    balance_too_small=_has_too_few_shares,
)


# ------------------------------------------------------------- equity and surplus


def _read_sale(call: CallContext, collateral_type: int) -> Any:
    return call.read_own_slot("sales", collateral_type)


def _compute_linear_price(call: CallContext, top: int, floor: int, started_at: int) -> int:
    """Return the price of a linearly falling auction at the current time [ray, rounded up]."""
    elapsed, whole = call.now - started_at, call.contract.duration
    return -((floor * elapsed + top * (whole - elapsed)) // -whole)


def _compute_equity_price(call: CallContext, collateral_type: int) -> int:
    sale = _read_sale(call, collateral_type)
    return _compute_linear_price(call, sale.top_units * 10**14, sale.floor_units * 10**14, sale.started_at)


def _is_dust_target_left(
    call: CallContext, collateral_type: int, most: int, most_price: int, to: str, data: bytes
) -> bool:
    sale, price = _read_sale(call, collateral_type), _compute_equity_price(call, collateral_type)
    lot = -(-sale.target * RAY // (sale.floor_units * 10**14)) if sale.target else 0
    paid = min(sale.target, -(-min(lot, most) * price // RAY))
    return 0 < sale.target - paid < WAD


_AUCTIONS, _SURPLUS = "EquityAuction", "SurplusAuction"
register_conditions(
    _AUCTIONS,
    "take end",
    "equity_auction: ",
    no_auction=lambda x, c, *_: _read_sale(x, c).target == 0,
)
register_conditions(
    _AUCTIONS,
    "take",
    "equity_auction: ",
    over=lambda x, c, *_: x.now > _read_sale(x, c).started_at + x.contract.duration,
    price_too_high=lambda x, c, most, most_price, *_: _compute_equity_price(x, c) > most_price,
    nothing_taken=lambda x, c, most, *_: most == 0,
    rest_too_small=_is_dust_target_left,
)
register_conditions(
    _AUCTIONS,
    "end",
    "equity_auction: ",
    still_open=lambda x, c: (
        x.now <= _read_sale(x, c).started_at + x.contract.duration and not x.is_in_settlement
    ),
)


def _compute_surplus_price(call: CallContext) -> int:
    prices, lot = call.read_own_slot("prices"), call.read_own_slot("lot")
    return _compute_linear_price(call, prices.top, prices.floor, lot.started_at)


def _compute_offered_surplus(call: CallContext) -> int:
    """Return the offered surplus that the reserve holds above target and possible losses [wad]."""
    plan, reserve = call.read("Treasury", "plan"), call.read_engine_slot("ledger.system").reserve // RAY
    lost = (
        0
        if _read_waterfall_books(call).settlement == CLOSED
        else sum(call.read_engine_slot("ledger.deficit", c) for c in call.collateral_types)
    )
    doubt = -(
        -(lost + sum(compute_debt_at_risk(call.step, call.read, c) for c in call.collateral_types)) // RAY
    )
    return int(min(plan.offered, max(0, reserve - doubt - plan.target * WAD)))


register_conditions(
    _SURPLUS,
    "start",
    "surplus_auction: ",
    under_way=lambda x: (
        x.read_own_slot("lot").lot > 0 and x.now <= x.read_own_slot("lot").started_at + x.contract.duration
    ),
    no_price=lambda x: x.read_risk_price(EQUITY_MARKET) == 0,
    too_little=lambda x: _compute_offered_surplus(x) < x.contract.whole_lot * WAD,
)
register_conditions(
    _SURPLUS,
    "take",
    "surplus_auction: ",
    no_auction=lambda x, *_: x.read_own_slot("lot").lot == 0,
    over=lambda x, *_: x.now > x.read_own_slot("lot").started_at + x.contract.duration,
    price_too_high=lambda x, most, most_price, *_: _compute_surplus_price(x) > most_price,
    nothing_taken=lambda x, most, *_: most == 0,
)
register_conditions(
    _SURPLUS,
    "take",
    "treasury: ",
    not_for_sale=lambda x, most, *_: min(most, x.read_own_slot("lot").lot) > _compute_offered_surplus(x),
)


def _has_any_open_loss(call: CallContext, *args: Any) -> bool:
    books = _read_waterfall_books(call)
    return bool((books.open or books.settlement) and books.settlement != CLOSED)


def _is_sale_paused_by_fall(call: CallContext, *args: Any) -> bool:
    books = _read_waterfall_books(call)
    return not books.open and not books.settlement and _has_price_fallen_recently(call)


for _kind, _method in (("Treasury", "distribute"), (_SURPLUS, "take")):
    register_conditions(
        _kind,
        _method,
        "loss_waterfall: ",
        losses_pending=_has_any_open_loss,
        price_has_fallen=_is_sale_paused_by_fall,
    )


# ------------------------------------------------------------------------- claims


def _compute_collectable_cash(call: CallContext, owner: str, generation: int) -> int:
    """Return the cash that an account can collect for its claim tokens [wei], credited or not."""
    balance, paid = (
        call.read_own_slot("token.balances", (generation, owner)),
        call.read_own_slot("paid_per_token", generation),
    )
    return int(call.read_own_slot("cash", owner) + balance.shares * (paid - balance.mark) // RAY)


_CLAIMS = "RecoveryClaims"
register_conditions(
    _CLAIMS, "collect", "recovery_claims: ", no_cash=lambda x, *args: _compute_collectable_cash(x, *args) == 0
)
register_conditions(
    _CLAIMS,
    "convert",
    "recovery_claims: ",
    no_conversion=lambda x, *_: x.contract.set_price == 0,
    no_price=lambda x, *_: not x.has_known_price(EQUITY_MARKET),
)
register_conditions(
    _CLAIMS,
    "convert",
    "shares: ",
    balance_too_small=lambda x, tokens, to: (
        tokens
        > x.read_own_slot("token.balances", (x.read_own_slot("token.state").generation, x.sender)).shares
    ),
)


# --------------------------------------------------------------------- settlement


def _is_settlement_early(call: CallContext) -> bool:
    """Return whether settlement may not begin yet.

    It may begin after an announcement's delay, or once losses above the bound have lasted for all epochs.
    """
    progress, length = call.read_own_slot("progress"), call.step.get_contract(WATERFALL).epoch_length
    if progress.announced_for and call.now >= progress.announced_for:
        return False
    lost = sum(call.read_engine_slot("ledger.deficit", c) for c in call.collateral_types)
    stood = progress.above_since and call.now // length <= progress.noted_epoch + 1
    stands = lost > call.contract.bound * RAD and stood
    return not (stands and call.now >= progress.above_since + call.contract.epochs * length)


def _is_price_not_final(call: CallContext, collateral_type: int) -> bool | None:
    begun_at = call.read_own_slot("progress").begun_at
    if call.now >= begun_at + FINAL_DEADLINE:
        return False
    return False if call.read(FEED, "settlement_price.final_prices", collateral_type).is_final else None


def _has_any_vault_or_auction_debt(call: CallContext) -> bool:
    debts = [call.read_engine_slot("ledger.debts", c) for c in call.collateral_types]
    sold = [call.read_engine_slot("ledger.auctions", c).in_auction for c in call.collateral_types]
    return any(each.normalized_debt for each in debts) or any(sold)


def _is_settlement_cover_unfinished(call: CallContext) -> bool:
    found = [
        (call.read_engine_slot("ledger.deficit", c), call.read_own_slot("left_of", c))
        for c in call.collateral_types
    ]
    return any(deficit not in (0, left) for deficit, left in found)


def _has_any_salvage_sale(call: CallContext) -> bool:
    auction = "CollateralAuction"
    ids = [call.read(auction, "salvage_sales", c) for c in call.collateral_types]
    return any(call.read(auction, "lots", auction_id).lot for auction_id in ids)


def _has_reservation_in_types(call: CallContext, *types: int) -> bool:
    stages = range(call.read(WATERFALL, "lineup").known)
    holders = [call.read(WATERFALL, "stages", k).stage for k in stages]
    return any(call.read(WATERFALL, "reservations", (c, each)).amount for c in types for each in holders)


_SETTLEMENT = "Settlement"
register_conditions(
    _SETTLEMENT,
    "announce cancel_announcement record_deficit_breach begin",
    "settlement: ",
    has_begun=lambda x: x.read_own_slot("progress").begun_at > 0,
)
register_conditions(_SETTLEMENT, "begin", "settlement: ", too_early=_is_settlement_early)
register_conditions(
    _SETTLEMENT,
    "fix_price cover_last fix_redemption_rates",
    "settlement: ",
    not_begun=lambda x, *_: x.read_own_slot("progress").begun_at == 0,
)
register_conditions(
    _SETTLEMENT,
    "cover_last fix_redemption_rates",
    "settlement: ",
    is_fixed=lambda x, *_: x.read_own_slot("progress").fixed_at > 0,
)
register_conditions(
    _SETTLEMENT,
    "fix_price",
    "settlement: ",
    price_is_final=lambda x, c: bool(x.read_own_slot("final_prices", c).is_final),
    unknown_type=lambda x, c: c >= x.read_engine_slot("terms.collateral_types"),
    price_is_not_final=_is_price_not_final,
)
register_conditions(
    _SETTLEMENT,
    "skim",
    "settlement: ",
    no_final_price=lambda x, c, owner: not x.read_own_slot("final_prices", c).is_final,
    no_debt=lambda x, c, owner: x.read_engine_slot("vaults", (c, owner)).normalized_debt == 0,
)
register_conditions(
    _SETTLEMENT,
    "skim",
    "vault_engine: ",
    lots_are_open=lambda x, c, owner: x.read_engine_slot("vaults", (c, owner)).open_lots > 0,
)
register_conditions(_SETTLEMENT, "cover_last", "settlement: ", stages_are_busy=_has_reservation_in_types)
register_conditions(
    _SETTLEMENT,
    "cover_last",
    "loss_waterfall: ",
    no_deficit=lambda x, c: (
        x.read_engine_slot("ledger.deficit", c) == 0 and not _read_waterfall_books(x).open >> c & 1
    ),
)
register_conditions(
    _SETTLEMENT,
    "fix_redemption_rates",
    "settlement: ",
    salvage_on_sale=_has_any_salvage_sale,
    stages_are_busy=lambda x: _has_reservation_in_types(x, *x.collateral_types),
    cover_a_last_time=_is_settlement_cover_unfinished,
    debts_are_left=_has_any_vault_or_auction_debt,
)
register_conditions(
    _SETTLEMENT,
    "redeem",
    "settlement: ",
    not_fixed=lambda x, amount: x.read_own_slot("progress").fixed_at == 0,
)
register_conditions(
    _SETTLEMENT,
    "cash",
    "settlement: ",
    not_in_the_bag=lambda x, c, amount: (
        x.read_own_slot("cashed_of", (c, x.sender)) + amount > x.read_own_slot("bag_of", x.sender)
    ),
)


# ------------------------------------------------------------ facilitators and the mode


def _read_facilitator_collateral_type(call: CallContext) -> int:
    return int(call.contract.collateral_type)


def _is_above_facilitator_line(call: CallContext, amount: int, to: str) -> bool | None:
    c, found = _read_facilitator_collateral_type(call), []
    line = call.read_engine_slot("terms.of_types", c).debt_ceiling * WAD
    for rate in call.compute_accumulated_rate_bounds(c):
        normalized = call.read_engine_slot("vaults", (c, call.contract.address)).normalized_debt
        debt = -(-(normalized + -(-amount * RAY // rate)) * rate // RAY)
        found += [
            debt + call.read_own_slot("lost") + slack // RAY > line
            for slack in call.compute_debt_rounding_slacks(c)
        ]
    return found[0] if len(set(found)) == 1 else None


register_conditions(
    "BridgeFacilitator",
    "draw",
    "facilitator: ",
    loss_announced=lambda x, *_: x.read_own_slot("announced").amount > 0,
    over_its_line=_is_above_facilitator_line,
)
register_conditions(
    "BridgeFacilitator",
    "announce_loss",
    "facilitator: ",
    only_raise=lambda x, amount: not x.is_admin and amount <= x.read_own_slot("announced").amount,
    loss_bounds=lambda x, amount: not 1 <= amount < 2**128,
)
register_conditions(
    "BridgeFacilitator",
    "realise_loss",
    "facilitator: ",
    no_loss=lambda x: x.read_own_slot("announced").amount == 0,
    too_early=lambda x: x.now < x.read_own_slot("announced").ready_at,
)
register_conditions(
    "BridgeFacilitator",
    "recover",
    "facilitator: ",
    in_settlement=lambda x, amount: x.is_in_settlement,
    stages_are_busy=lambda x, amount: _has_reservation_in_types(x, _read_facilitator_collateral_type(x)),
)
register_conditions(
    "BridgeFacilitator", "redeem", "facilitator: ", not_settling=lambda x, notes: not x.is_in_settlement
)

_NOT_PROTOCOL = {"not_protocol": lambda x, amount: x.sender != x.contract.protocol}
register_conditions("CoinAdapter", "report_deficit", "coin_adapter: ", **_NOT_PROTOCOL)
register_conditions(
    "CoinAdapter",
    "waive_deficit",
    "coin_adapter: ",
    **_NOT_PROTOCOL,
    over_the_deficit=lambda x, amount: (
        amount * RAY >= x.read_engine_slot("ledger.deficit", x.contract.collateral_type) + RAY
    ),
)


def _has_no_trigger(call: CallContext, trigger: int, collateral_type: int) -> bool | None:
    if not 1 <= trigger <= 4:
        return None
    level = _compute_trigger_level(call.step, trigger, collateral_type)
    return level == 0 or level < call.read_own_slot("state").mode


_BREAKER = "CircuitBreaker"
register_conditions(
    _BREAKER,
    "raise_mode lower_mode force_mode sync_policy_mode",
    "circuit_breaker: ",
    in_settlement=lambda x, *_: x.is_in_settlement,
)
register_conditions(
    _BREAKER,
    "raise_mode",
    "circuit_breaker: ",
    no_cause=_has_no_trigger,
    no_such_trigger=lambda x, trigger, c: not 1 <= trigger <= 4,
    unknown_type=lambda x, trigger, c: trigger != 1 and c >= x.read_engine_slot("terms.collateral_types"),
)
register_conditions(
    _BREAKER,
    "lower_mode",
    "circuit_breaker: ",
    is_normal=lambda x: x.read_own_slot("state").mode == 0,
    too_early=lambda x: x.now < x.read_own_slot("state").calm_from + x.read_own_slot("state").calm_period,
    not_calm=lambda x: max(_iter_trigger_levels(x.step)) >= x.read_own_slot("state").mode,
)
register_conditions(
    _BREAKER,
    "force_mode",
    "circuit_breaker: ",
    no_such_mode=lambda x, mode: mode > 2,
    only_up=lambda x, mode: mode <= x.read_own_slot("state").mode,
)
register_conditions(
    "AutoCeiling",
    "adjust",
    "auto_ceiling: ",
    no_terms=lambda x, c: x.read_own_slot("terms", c).max_line == 0,
    in_settlement=lambda x, c: x.is_in_settlement,
)
