"""Futures of one depositor: the losses and the income that follow an entry, and the wait for a withdrawal."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any

from backstop.contract_base import RevertError
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import WAD
from backstop.proof.properties.independent_arithmetic import batch_figures
from backstop.proof.properties.independent_arithmetic.property_arithmetic import RAY
from backstop.proof.properties.lockstep_interface import LockstepLike
from backstop.proof.properties.property_registry import PropertyViolationError, counterfactual_property
from backstop.proof.properties.what_if_steps_and_state_readings import (
    VISITOR,
    apply_or_raise,
    attempt_call_and_get_outcome,
    claim_batch,
    collect_tokens_from_holders,
    crash_and_list_closable_auctions,
    get_contract,
    get_token,
    is_every_pool_granted_stage_role,
    list_collateral_types,
    list_stablecoin_pool_names,
    pick_item,
    read_deficit,
    report_price,
    request_and_mature_exit_batch,
    settle_batches,
)

_STRANGER, _DONOR = get_account("visitor_2"), get_account("visitor_3")
_EVER = 2**256 - 1
_SLACK = 64
"""Wei: one or two for every batch or run that may be open, by which payments are rounded."""
_LEAST = 10**6
"""Wei of vested assets: a loss that leaves less voids all shares."""
_CERTAIN = 256
"""A payment begins once more than one part in so many is certain, and holds back at least that much."""


@counterfactual_property(170)
def depositor_bears_no_excess_loss(lockstep: LockstepLike, random: Random) -> bool:
    """Assert that a depositor that enters after all losses are covered absorbs no more than live shares do.

    Its bound is its part of each later loss, share for share, or of the loss of live shares if that is less.
    This also holds after a deposit of dust. Losses that leave next to nothing may come before the entry. The
    tolerance is 64 wei, or 1e6 where a loss leaves less than that in the pool.
    """
    name = pick_item(random, list_stablecoin_pool_names(lockstep))
    if name is None or not _is_live_without_scripted_stages(lockstep):
        return False
    c = _pick_small_type(lockstep, random)
    price = get_contract(lockstep, "PriceFeed").prices[c].current
    with lockstep.fork_state():
        if random.random() < 0.7:
            _make_members_leave_pools(lockstep, *list_stablecoin_pool_names(lockstep))
        for _ in range(random.choice((0, 1, 3))):
            _reduce_pool_to_dust(lockstep, name, c, price, random)
        if not _call_waterfall_for_all_deficits(lockstep) or any(
            read_deficit(lockstep, each) for each in list_collateral_types(lockstep)
        ):
            return False
        most = max(get_contract(lockstep, "Stablecoin").balances.values(), default=0)
        if not _try_fund_and_deposit(lockstep, name, VISITOR, most // random.choice((2, 10, 10**6))):
            return False
        _cause_type_loss(lockstep, c, price)
        return (
            sum(
                [
                    _cover_deficit_and_check_depositor(lockstep, name, c, random)
                    for c in list_collateral_types(lockstep)
                    if read_deficit(lockstep, c)
                ]
            )
            > 0
        )


@counterfactual_property(171)
def strangers_delay_no_withdrawal(lockstep: LockstepLike, random: Random) -> bool:
    """Assert that a request is paid after the collecting time of a batch, the cooldown and the look.

    This holds for any dust requests of strangers, and for any time at which they cut and settle. Possible
    losses hold back one and a half times the part that the request would absorb. If that is more, they hold
    back that part and one in 256 of a share's price. The tolerance is 64 wei. The property is silent where
    less than one in 256 of an earlier request, or of this one, is certain.
    """
    name = pick_item(
        random,
        [name for name in list_stablecoin_pool_names(lockstep) if get_contract(lockstep, name).cooldown],
    )
    if name is None or not _is_live_without_scripted_stages(lockstep):
        return False
    cooldown = int(get_contract(lockstep, name).cooldown)
    # A day, an hour with a cooldown of an hour, and an eighth of a cooldown of more than eight days.
    collecting = max(min(cooldown, batch_figures.DAY), cooldown // 8)
    with lockstep.fork_state():
        if random.random() < 0.5:
            _make_members_leave_pools(lockstep, *list_stablecoin_pool_names(lockstep))
        if not _call_waterfall_for_all_deficits(lockstep) or (
            random.random() < 0.7 and not _liquidate_vault_without_buyers(lockstep, random)
        ):
            return False
        most = max(get_contract(lockstep, "Stablecoin").balances.values(), default=0)
        amount = most // random.choice((2, 10))
        if not _try_fund_and_deposit(lockstep, name, _STRANGER, 10**9) or not _try_fund_and_deposit(
            lockstep, name, VISITOR, amount
        ):
            return False
        for _ in range(random.choice((0, 3, 18))):
            _request_dust_and_cut_batch(lockstep, name, min(cooldown, batch_figures.DAY), random)
        shares, due = lockstep.view(name, "balanceOf", VISITOR), lockstep.timestamp + collecting
        if shares == 0:
            return False
        batch = int(apply_or_raise(lockstep, name, "requestRedeem", shares, VISITOR, VISITOR, by=VISITOR))
        _request_dust_and_cut_batch(lockstep, name, random.randrange(collecting), random)
        lockstep.advance(due - lockstep.timestamp)
        settle_batches(lockstep, name)
        outcome = attempt_call_and_get_outcome(lockstep, name, "cut", by=VISITOR)
        if lockstep.view(name, "queue")[2] <= batch:
            if _has_uncertain_unsettled_batch(lockstep, name, batch):
                return False
            raise PropertyViolationError(
                f"{name}: a request is not cut within {collecting} s: {outcome.reason!r}"
            )
        units, _, _, held, _ = lockstep.view(name, "batch_of", batch)
        _request_dust_and_cut_batch(lockstep, name, random.randrange(cooldown), random)
        lockstep.advance(due + cooldown + batch_figures.LOOK - lockstep.timestamp)
        found = _estimate_share_loss_and_threshold(lockstep, name)
        if found is None or _has_uncertain_unsettled_batch(lockstep, name, batch + 1):
            return False
        borne, least = found
        settle_batches(lockstep, name)
        paid = lockstep.view(name, "maxWithdraw", VISITOR)
        claimed = held * shares // units
        back = (borne + max(borne / 2, least)) * shares if borne else 0
        if paid < claimed - back - _SLACK:
            raise PropertyViolationError(
                f"{name}: {paid} of {claimed} wei is paid {collecting + cooldown + batch_figures.LOOK} s "
                "after the "
                f"request, of which {float(borne * shares):.0f} may be lost"
            )
    return True


@counterfactual_property(172)
def depositor_earns_only_income_vested_on_its_shares(lockstep: LockstepLike, random: Random) -> bool:
    """Assert that no depositor gets pool income that vested before its entry, or that leavers forfeit.

    A depositor gets at most its part of the income that had not vested at the entry: its shares by all shares
    of that time. The tolerance is 64 wei. Pools of equity are exempt: leavers' income stays with the
    remaining members. So is a pool without a cooldown while debt is flagged: leavers leave their part of the
    flagged debt as well.
    """
    name = pick_item(random, list_stablecoin_pool_names(lockstep))
    if (
        name is None
        or not _is_live_without_scripted_stages(lockstep)
        or not is_every_pool_granted_stage_role(lockstep)
    ):
        return False
    pool = get_contract(lockstep, name)
    if not pool.cooldown and lockstep.view("LossWaterfall", "losses_reaching", pool.address):
        return False
    with lockstep.fork_state():
        if not _try_add_donor_income(lockstep, name, random):
            return False
        lockstep.advance(random.choice((0, 3_600, pool.vesting // 7)))
        most = max(get_contract(lockstep, "Stablecoin").balances.values(), default=0)
        brought = random.choice((10**15, 1 + most // 1_000, most // 2))
        if not _try_fund_and_deposit(lockstep, name, VISITOR, brought):
            return False
        kept = get_contract(lockstep, "Stablecoin").balances[VISITOR]
        shares, supply = lockstep.view(name, "balanceOf", VISITOR), lockstep.view(name, "totalSupply")
        fair = brought + Fraction(
            lockstep.view(name, "unvested") * shares, supply + batch_figures.VIRTUAL_SHARES
        )
        leavers = [who for who in _list_members(lockstep, name) if who != VISITOR]
        for _ in range(2):
            some = random.sample(leavers, random.randrange(len(leavers) + 1))
            _make_members_leave_pools(lockstep, name, members=some)
            lockstep.advance(random.choice((0, 86_400)))
        lockstep.advance(pool.vesting)
        _make_members_leave_pools(lockstep, name, members=[VISITOR])
        got = get_contract(lockstep, "Stablecoin").balances[VISITOR] - kept
        if got > fair + _SLACK:
            raise PropertyViolationError(
                f"{name}: who brought {brought} wei leaves with {got}, due are {float(fair):.0f}"
            )
    return True


# ------------------------------------------------------------------- conditions


def _is_live_without_scripted_stages(lockstep: LockstepLike) -> bool:
    """Return whether losses can be played: there are types, real stages, and no settlement."""
    if (
        lockstep.parameters is None
        or lockstep.parameters.has_stage("scripted")
        or not list_collateral_types(lockstep)
    ):
        return False
    return not get_contract(lockstep, "VaultEngine").in_settlement(VISITOR)


def _has_uncertain_unsettled_batch(lockstep: LockstepLike, pool_name: str, end_batch_id: int) -> bool:
    """Return whether an unsettled batch before `end` has less than one part in 256 that is certain."""
    found = _estimate_share_loss_and_threshold(lockstep, pool_name)
    if found is None:
        return True
    borne, least = found
    for batch_id in range(lockstep.view(pool_name, "queue")[1], end_batch_id):
        units, _, _, held, _ = lockstep.view(pool_name, "batch_of", batch_id)
        if units and borne and held < (borne + least) * units + _SLACK:
            return True
    return False


def _estimate_share_loss_and_threshold(
    lockstep: LockstepLike, pool_name: str
) -> tuple[Fraction, Fraction] | None:
    """Return what a share would bear of all losses in doubt, and one in 256 of its price [wei].

    None while payments wait for a look at falling prices.
    """
    pool = get_contract(lockstep, pool_name).address
    try:
        lockstep.view("LossWaterfall", "losses_at_payment", pool)
    except RevertError:
        return None
    losses = lockstep.view("LossWaterfall", "losses_reaching", pool)
    held = lockstep.view(pool_name, "capacity", list_collateral_types(lockstep)[0]) // RAY
    supply = lockstep.view(pool_name, "totalSupply") + batch_figures.VIRTUAL_SHARES
    price = Fraction(lockstep.view(pool_name, "totalAssets") + batch_figures.VIRTUAL_ASSETS, supply)
    return batch_figures.compute_loss_per_share(
        _build_table_reader(lockstep), pool_name, min(held, -(-losses // RAY))
    ), price / _CERTAIN


def _build_table_reader(lockstep: LockstepLike) -> Callable[..., Any]:
    """Return how figures read a table of now."""

    def read(contract: str, path: str, key: Any = ()) -> Any:
        return get_contract(lockstep, contract).tables[path][key]

    return read


# ------------------------------------------------------------------ what happens


def _cover_deficit_and_check_depositor(
    lockstep: LockstepLike, pool_name: str, collateral_type: int, random: Random
) -> bool:
    """Have a type's deficit covered and dust deposited; return whether the pool bore a part of it."""
    address = VISITOR
    shares, supply = lockstep.view(pool_name, "balanceOf", address), lockstep.view(pool_name, "totalSupply")
    before, live = (
        lockstep.view(pool_name, "convertToAssets", shares),
        lockstep.view(pool_name, "totalAssets"),
    )
    vested = lockstep.view(pool_name, "capacity", collateral_type) // RAY
    outcome = attempt_call_and_get_outcome(lockstep, "LossWaterfall", "cover", collateral_type, by=VISITOR)
    logs = [each for each in outcome.logs if (each.contract, each.event) == (pool_name, "LossAbsorbed")]
    lost = sum(each.values[1] for each in logs)
    if not outcome.ok or not lost:
        return False
    fallen = min(live - lockstep.view(pool_name, "totalAssets"), lost)
    _try_fund_and_deposit(lockstep, pool_name, _STRANGER, random.choice((1, 10**6, 10**18)))
    after = lockstep.view(pool_name, "convertToAssets", lockstep.view(pool_name, "balanceOf", address))
    part = Fraction(max(0, fallen) * shares, supply + batch_figures.VIRTUAL_SHARES)
    slack = _SLACK + (_LEAST if vested - lost < _LEAST else 0)
    if after < before - part - slack:
        raise PropertyViolationError(
            f"{pool_name}: of {before} wei that were deposited {after} are left after a loss of "
            f"{lost}, of which "
            f"{float(part):.0f} were the depositor's part"
        )
    return True


def _open_vault_at_floor_multiple(
    lockstep: LockstepLike, collateral_type: int, price: int, floor_multiple: int = 1
) -> None:
    """Open a vault with a debt of so many debt floors, three times secured at a price."""
    engine = get_contract(lockstep, "VaultEngine")
    token, debt = (
        get_token(lockstep, collateral_type),
        floor_multiple * engine.terms[collateral_type].debt_floor * WAD,
    )
    if not price or not debt or not report_price(lockstep, collateral_type, price):
        return
    raw = 3 * debt * RAY // price // engine.terms[collateral_type].unit + 1
    if attempt_call_and_get_outcome(lockstep, token.label, "mint", _DONOR, raw, by=_DONOR).ok:
        apply_or_raise(lockstep, token.label, "approve", engine.address, _EVER, by=_DONOR)
        locked = raw * engine.terms[collateral_type].unit
        attempt_call_and_get_outcome(
            lockstep,
            "VaultEngine",
            "deposit_and_draw",
            collateral_type,
            _DONOR,
            locked,
            debt,
            _DONOR,
            by=_DONOR,
        )


def _cause_type_loss(lockstep: LockstepLike, collateral_type: int, price: int) -> None:
    """Open a vault of a type, and close all auctions of the type after a price collapse."""
    _open_vault_at_floor_multiple(lockstep, collateral_type, price)
    for auction_id in crash_and_list_closable_auctions(lockstep, collateral_type):
        apply_or_raise(lockstep, "CollateralAuction", "close", auction_id, by=VISITOR)


def _reduce_pool_to_dust(
    lockstep: LockstepLike, name: str, collateral_type: int, price: int, random: Random
) -> None:
    """Cause a loss that takes all of a pool but dust, after a deposit of a little more than the loss."""
    _cause_type_loss(lockstep, collateral_type, price)
    pool = get_contract(lockstep, name)
    due = -(-lockstep.view("LossWaterfall", "losses_reaching", pool.address) // RAY)
    missing = due - lockstep.view(name, "capacity", collateral_type) // RAY
    # The last but one is what a rule that voids above 1e15 shares for a wei just lets pass.
    dust = random.choice((_LEAST + 1, max(_LEAST, due // (10**9 - 1)) + 2, 10**15))
    if due and missing > -dust:
        _try_fund_and_deposit(lockstep, name, _DONOR, missing + dust)
    _call_waterfall_for_all_deficits(lockstep)


def _call_waterfall_for_all_deficits(lockstep: LockstepLike) -> bool:
    """Have the deficits of all types covered; return whether each call succeeded."""
    found = [
        attempt_call_and_get_outcome(lockstep, "LossWaterfall", "cover", c, by=VISITOR)
        for c in list_collateral_types(lockstep)
        if read_deficit(lockstep, c)
    ]
    return all(each.ok for each in found)


def _liquidate_vault_without_buyers(lockstep: LockstepLike, random: Random) -> bool:
    """Open a vault, liquidate it at a tenth of the price, and wait a day without buyers for the lot."""
    c = _pick_small_type(lockstep, random)
    price = get_contract(lockstep, "PriceFeed").prices[c].current
    _open_vault_at_floor_multiple(lockstep, c, price, random.choice((1, 3, 9)))
    if not price or not report_price(lockstep, c, -(-price // 10)):
        return False
    attempt_call_and_get_outcome(lockstep, "LiquidationEngine", "liquidate", c, _DONOR, VISITOR, by=VISITOR)
    lockstep.advance(batch_figures.DAY + 1)
    return True


def _pick_small_type(lockstep: LockstepLike, random: Random) -> int:
    """Return a type of little debt, so that a donor can fund a pool beyond the type's total loss."""
    debts = get_contract(lockstep, "VaultEngine").debts
    return int(
        pick_item(
            random, sorted(list_collateral_types(lockstep), key=lambda c: int(debts[c].normalized_debt))[:2]
        )
    )


def _try_fund_and_deposit(lockstep: LockstepLike, pool_name: str, depositor: str, amount: int) -> bool:
    """Collect an amount for a depositor and deposit it; return whether that succeeded."""
    if amount <= 0 or not collect_tokens_from_holders(lockstep, depositor, amount):
        return False
    apply_or_raise(
        lockstep, "Stablecoin", "approve", get_contract(lockstep, pool_name).address, _EVER, by=depositor
    )
    return attempt_call_and_get_outcome(lockstep, pool_name, "deposit", amount, depositor, by=depositor).ok


def _try_add_donor_income(lockstep: LockstepLike, pool_name: str, random: Random) -> bool:
    """Give a pool an income; return whether that was possible."""
    amount = random.choice(
        (10**18, max(get_contract(lockstep, "Stablecoin").balances.values(), default=0) // 9)
    )
    if not amount or not collect_tokens_from_holders(lockstep, _DONOR, amount):
        return False
    apply_or_raise(
        lockstep, "Stablecoin", "approve", get_contract(lockstep, pool_name).address, _EVER, by=_DONOR
    )
    return attempt_call_and_get_outcome(lockstep, pool_name, "add_income", amount, by=_DONOR).ok


def _request_dust_and_cut_batch(
    lockstep: LockstepLike, pool_name: str, waiting_seconds: int, random: Random
) -> None:
    """Commit one share of a stranger's; some time later have batches cut, and settled or not."""
    attempt_call_and_get_outcome(lockstep, pool_name, "requestRedeem", 1, _STRANGER, _STRANGER, by=_STRANGER)
    lockstep.advance(waiting_seconds)
    attempt_call_and_get_outcome(lockstep, pool_name, "cut", by=_STRANGER)
    if random.random() < 0.5:
        settle_batches(lockstep, pool_name)


def _make_members_leave_pools(
    lockstep: LockstepLike, *pool_names: str, members: list[str] | None = None
) -> None:
    """Have members, or all of them, leave some pools with all that may."""
    for name in pool_names:
        some = _list_members(lockstep, name) if members is None else members
        batch = request_and_mature_exit_batch(lockstep, name, *some)
        settle_batches(lockstep, name)
        for who in some:
            if batch:
                claim_batch(lockstep, name, who, batch)
            else:
                attempt_call_and_get_outcome(
                    lockstep, name, "redeem", lockstep.view(name, "maxRedeem", who), who, who, by=who
                )


def _list_members(lockstep: LockstepLike, name: str) -> list[str]:
    """Return the accounts with shares of a pool, without contracts."""
    return [
        who
        for who in get_contract(lockstep, name).list_holders()
        if who not in lockstep.model.world.addresses
    ]
