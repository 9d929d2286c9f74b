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
    """Check that a new depositor absorbs no more than its share of later losses (property 170).

    The trial runs on a fork of model and chain. It may first drain the pool by losses to almost nothing. A
    visitor deposits after all deficits are covered. Then new losses arise, and dust deposits follow each
    cover. The visitor's loss is at most its fraction of shares of the pool's loss, or of the loss in total
    assets if that is less. The tolerance is 64 wei, plus 1e6 wei if a loss leaves less than 1e6 wei in the
    pool.

    Returns whether the pool absorbed a loss in the trial. Raises PropertyViolationError if the visitor lost
    more.
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
    """Check that strangers cannot delay a withdrawal from a pool (property 171).

    A request is paid after the collecting time of its batch, the cooldown and the observation time. The trial
    lets strangers request dust, and close and settle batches at random times. Possible losses may hold back
    1.5 times the request's share of the losses. If it is more, they may hold back that share plus 1/256 of
    the share price. The tolerance is 64 wei.

    Returns False if the trial is not possible, or if losses may take all but 1/256 of this or an earlier
    request. Raises PropertyViolationError if less is paid.
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
    """Check that a depositor earns no income from before its entry or from leavers (property 172).

    A depositor gets at most its fraction of the income that had not vested at its entry. The fraction is its
    shares over all shares at that time. The tolerance is 64 wei. Only stablecoin pools are tried, because
    equity pools leave the forfeited income to the remaining members.

    Returns False if the trial is not possible, for instance in a pool without a cooldown while losses may
    reach it. Raises PropertyViolationError if the depositor gets more.
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
    """Return whether losses can be simulated in this deployment.

    That needs a listed collateral type, no scripted test stage and no settlement.
    """
    if (
        lockstep.parameters is None
        or lockstep.parameters.has_stage("scripted")
        or not list_collateral_types(lockstep)
    ):
        return False
    return not get_contract(lockstep, "VaultEngine").in_settlement(VISITOR)


def _has_uncertain_unsettled_batch(lockstep: LockstepLike, pool_name: str, end_batch_id: int) -> bool:
    """Return whether possible losses could take nearly all of an unsettled exit batch.

    Only batches before `end_batch_id` count. Nearly all means that less than 1/256 of the share price is
    certain to remain.
    """
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
    """Return the possible loss of one pool share, and 1/256 of the share price [wei].

    Returns None while the pool's payments are paused after falling prices.
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
    """Return a function that reads one storage value of a contract from the model's current state."""

    def read(contract: str, path: str, key: Any = ()) -> Any:
        return get_contract(lockstep, contract).tables[path][key]

    return read


# ------------------------------------------------------------------ what happens


def _cover_deficit_and_check_depositor(
    lockstep: LockstepLike, pool_name: str, collateral_type: int, random: Random
) -> bool:
    """Cover a type's deficit, deposit dust, and check the visitor's loss.

    Returns whether the pool absorbed a part of the deficit. Raises PropertyViolationError if the visitor lost
    more than its share plus the tolerance.
    """
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
    """Open a vault with a multiple of the debt floor as debt, collateralised three times at `price`."""
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
    """Open a vault, let the price collapse, and close its auctions so that a deficit remains."""
    _open_vault_at_floor_multiple(lockstep, collateral_type, price)
    for auction_id in crash_and_list_closable_auctions(lockstep, collateral_type):
        apply_or_raise(lockstep, "CollateralAuction", "close", auction_id, by=VISITOR)


def _reduce_pool_to_dust(
    lockstep: LockstepLike, name: str, collateral_type: int, price: int, random: Random
) -> None:
    """Cause a loss that leaves only dust in a pool.

    A donor first deposits slightly more than the pool is missing, so that the loss does not empty the pool.
    """
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
    """Cover the deficits of all types from the loss waterfall; return whether no call reverted."""
    found = [
        attempt_call_and_get_outcome(lockstep, "LossWaterfall", "cover", c, by=VISITOR)
        for c in list_collateral_types(lockstep)
        if read_deficit(lockstep, c)
    ]
    return all(each.ok for each in found)


def _liquidate_vault_without_buyers(lockstep: LockstepLike, random: Random) -> bool:
    """Liquidate a new vault at a tenth of the price, and wait a day without bids.

    Returns False if the price could not be reported.
    """
    c = _pick_small_type(lockstep, random)
    price = get_contract(lockstep, "PriceFeed").prices[c].current
    _open_vault_at_floor_multiple(lockstep, c, price, random.choice((1, 3, 9)))
    if not price or not report_price(lockstep, c, -(-price // 10)):
        return False
    attempt_call_and_get_outcome(lockstep, "LiquidationEngine", "liquidate", c, _DONOR, VISITOR, by=VISITOR)
    lockstep.advance(batch_figures.DAY + 1)
    return True


def _pick_small_type(lockstep: LockstepLike, random: Random) -> int:
    """Return one of the two collateral types with the least debt.

    A donor can then fund a pool beyond the type's total loss.
    """
    debts = get_contract(lockstep, "VaultEngine").debts
    return int(
        pick_item(
            random, sorted(list_collateral_types(lockstep), key=lambda c: int(debts[c].normalized_debt))[:2]
        )
    )


def _try_fund_and_deposit(lockstep: LockstepLike, pool_name: str, depositor: str, amount: int) -> bool:
    """Collect stablecoin for a depositor and deposit it in a pool; return whether that succeeded."""
    if amount <= 0 or not collect_tokens_from_holders(lockstep, depositor, amount):
        return False
    apply_or_raise(
        lockstep, "Stablecoin", "approve", get_contract(lockstep, pool_name).address, _EVER, by=depositor
    )
    return attempt_call_and_get_outcome(lockstep, pool_name, "deposit", amount, depositor, by=depositor).ok


def _try_add_donor_income(lockstep: LockstepLike, pool_name: str, random: Random) -> bool:
    """Donate a random amount of income to a pool; return whether that succeeded."""
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
    """Request a withdrawal of one share by a stranger, wait, and close the collecting batch.

    With a probability of one half, due batches are settled afterwards.
    """
    attempt_call_and_get_outcome(lockstep, pool_name, "requestRedeem", 1, _STRANGER, _STRANGER, by=_STRANGER)
    lockstep.advance(waiting_seconds)
    attempt_call_and_get_outcome(lockstep, pool_name, "cut", by=_STRANGER)
    if random.random() < 0.5:
        settle_batches(lockstep, pool_name)


def _make_members_leave_pools(
    lockstep: LockstepLike, *pool_names: str, members: list[str] | None = None
) -> None:
    """Let members withdraw everything that they can from the named pools.

    The default for `members` is all members of each pool.
    """
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
    """Return the accounts that hold shares of a pool, without contracts."""
    return [
        who
        for who in get_contract(lockstep, name).list_holders()
        if who not in lockstep.model.world.addresses
    ]
