"""Properties of equal accounts: equal actions end equal, for any split, repetition or order."""

from __future__ import annotations

from random import Random
from typing import Any

from backstop.deployment.role_accounts import get_account
from backstop.proof.properties.independent_arithmetic.property_arithmetic import RAY
from backstop.proof.properties.lockstep_interface import LockstepLike
from backstop.proof.properties.property_registry import PropertyViolationError, counterfactual_property
from backstop.proof.properties.what_if_steps_and_state_readings import (
    VISITOR,
    accrue_fee,
    apply_or_raise,
    attempt_call_and_get_outcome,
    claim_batch,
    collect_tokens_from_holders,
    crash_and_list_closable_auctions,
    get_contract,
    is_every_pool_granted_stage_role,
    list_collateral_types,
    list_stablecoin_pool_names,
    pick_item,
    read_deficit,
    request_and_mature_exit_batch,
    settle_batches,
    sum_assets_of_wiped_pools,
)

_OTHER, _SELF = get_account("visitor_2"), get_account("visitor_3")
_EVER = 2**256 - 1
_GIFTS = 1, 10**6, 10**18


@counterfactual_property(45)
def equal_depositors_end_equal(lockstep: LockstepLike, random: Random) -> bool:
    """Check that two depositors of equal amounts leave a pool with equal payouts (property 45).

    On a fork of model and chain, one of them makes extra calls. Meanwhile losses, income and time pass.
    Assets, recovery claims and cash are compared. The tolerance is a few wei for each update of their
    balances. Returns False if the state does not allow the trial. Raises PropertyViolationError if they
    differ.
    """
    if lockstep.parameters is None or lockstep.parameters.has_stage("scripted"):
        return False
    name = pick_item(random, list_stablecoin_pool_names(lockstep))
    if name is None:
        return False
    pool = get_contract(lockstep, name)
    with lockstep.fork_state():
        amount = max(get_contract(lockstep, "Stablecoin").balances.values(), default=0) // random.choice(
            (10, 1_000)
        )
        for who in (VISITOR, _OTHER):
            if not amount or not collect_tokens_from_holders(lockstep, who, amount):
                return False
            apply_or_raise(lockstep, "Stablecoin", "approve", pool.address, _EVER, by=who)
            if not attempt_call_and_get_outcome(lockstep, name, "deposit", amount, who, by=who).ok:
                return False
        fidgets = 0
        for _ in range(random.randrange(1, 5)):
            random.choice((_cause_loss_in_random_type, _add_random_pool_income, _wait_second_hour_or_day))(
                lockstep, name, random
            )
            fidgets += _do_neutral_pool_action(lockstep, name, random)
        ends = [_measure_exit(lockstep, name, who) for who in (VISITOR, _OTHER)]
    slack = 4 * (fidgets + 4)
    for what, one, other in zip(("assets", "claims", "cash"), *ends, strict=True):
        if abs(one - other) > slack:
            raise PropertyViolationError(
                f"{name}: of two equal members one ends with {one} of {what}, one with {other}"
            )
    return True


@counterfactual_property(46)
def exit_order_changes_no_payout(lockstep: LockstepLike, random: Random) -> bool:
    """Check that two members receive the same in either order of their withdrawals (property 46).

    The trial runs on a fork of model and chain. The tolerance is 2 wei plus the income that the first member
    forfeits to the reserve. That income may cover losses before the pool. Returns False if no pool has two
    members. Raises PropertyViolationError if a payout differs.
    """
    name = pick_item(random, list_stablecoin_pool_names(lockstep))
    if name is None or (lockstep.parameters and lockstep.parameters.has_stage("scripted")):
        return False
    pool = get_contract(lockstep, name)
    members = [who for who in pool.list_holders() if who not in lockstep.model.world.addresses]
    if len(members) < 2:
        return False
    pair = random.sample(members, 2)
    with lockstep.fork_state():
        batch = request_and_mature_exit_batch(lockstep, name, *pair)
        settle_batches(lockstep, name)
        first, last, forfeited = dict[str, int](), dict[str, int](), dict[str, int]()
        for one, other in (pair, pair[::-1]):
            with lockstep.fork_state():
                before = _read_model_reserve(lockstep)
                first[one] = _exit_and_measure_payout(lockstep, name, one, batch)
                forfeited[one] = -(-(_read_model_reserve(lockstep) - before) // RAY)
                last[other] = _exit_and_measure_payout(lockstep, name, other, batch)
    for who, other in (pair, pair[::-1]):
        if abs(last[who] - first[who]) > 2 + forfeited[other]:
            raise PropertyViolationError(
                f"{name}: {who} gets {first[who]} or {last[who]} as he is first or last"
            )
    return True


def _read_model_reserve(lockstep: LockstepLike) -> int:
    """Return the protocol's reserve [rad], as the model has it."""
    return int(get_contract(lockstep, "VaultEngine").system[()].reserve)


@counterfactual_property(47)
def donation_harms_no_account(lockstep: LockstepLike, random: Random) -> bool:
    """Check that a stranger's donation blocks no account's call and lowers no payout (property 47).

    The trial plays one withdrawal with and without a donation before it, on forks of model and chain. Returns
    whether the call succeeds without the donation. Raises PropertyViolationError if the donation blocks the
    call or lowers its payout by more than 1 wei.
    """
    found = list(_list_vault_and_pool_exit_calls(lockstep))
    if not found:
        return False
    contract, method, args, who = pick_item(random, found)
    coins = get_contract(lockstep, "Stablecoin").balances
    with lockstep.fork_state():
        if not collect_tokens_from_holders(lockstep, VISITOR, _GIFTS[-1]):
            return False
        if method == "repay_and_withdraw":
            accrue_fee(lockstep, args[0])
            debt = get_contract(lockstep, "VaultEngine").vaults[args[:2]].normalized_debt
            owed = debt * get_contract(lockstep, "VaultEngine").debts[args[0]].accumulated_rate
            if not collect_tokens_from_holders(lockstep, who, -(-owed // RAY)):
                return False
        elif method == "requestRedeem":
            request_and_mature_exit_batch(lockstep, contract, who)
        ends = []
        for given in (False, True):
            with lockstep.fork_state():
                if given and not _donate_by_random_method(lockstep, contract, who, random):
                    return False
                call, what = method, args
                if method == "requestRedeem":
                    settle_batches(lockstep, contract)
                    call, what = "redeem", (lockstep.view(contract, "maxRedeem", who), who, who)
                outcome = attempt_call_and_get_outcome(lockstep, contract, call, *what, by=who)
                ends.append((outcome.ok, coins[who], outcome.reason))
    (ok, before, _), (still, after, reason) = ends
    if ok and (not still or after < before - 1):
        raise PropertyViolationError(
            f"{who}'s {contract}.{method}: {before} before a gift, {after} after it, {reason!r}"
        )
    return ok


@counterfactual_property(48)
def fees_do_not_depend_on_update_count(lockstep: LockstepLike, random: Random) -> bool:
    """Check that fees and pool income do not depend on the number of updates (property 48).

    The trial advances the same time in one part and in several parts, with an update after each. Returns
    False if no suitable collateral type exists. Raises PropertyViolationError if rate or income differ by
    more than rounding.
    """
    c = pick_item(random, list_collateral_types(lockstep))
    engine = get_contract(lockstep, "VaultEngine")
    if c is None or engine.terms[c].dynamic:
        return False
    span = random.choice((3_600, 86_400, 200 * 86_400))
    ends = []
    with lockstep.fork_state():
        accrue_fee(lockstep, c)
        for parts in (1, random.choice((2, 3))):
            with lockstep.fork_state():
                for i in range(parts):
                    lockstep.advance(span // parts if i else span - (parts - 1) * (span // parts))
                    apply_or_raise(lockstep, "VaultEngine", "accrue", c, by=VISITOR)
                    for name in list_stablecoin_pool_names(lockstep):
                        attempt_call_and_get_outcome(lockstep, name, "collect_claims", VISITOR, by=VISITOR)
                pools = [lockstep.view(name, "totalAssets") for name in list_stablecoin_pool_names(lockstep)]
                ends.append((engine.debts[c].accumulated_rate, pools))
    (once, whole), (often, parts_of_it) = ends
    if abs(once - often) > once * span // RAY + 4 or whole != parts_of_it:
        raise PropertyViolationError(f"type {c}: {ends} after {span} s in one part and in some")
    return True


@counterfactual_property(49)
def split_calls_pay_no_more(lockstep: LockstepLike, random: Random) -> bool:
    """Check that splitting a call into two parts gains nothing (property 49).

    The trial plays a deposit, exit, draw, repayment or purchase once in whole and once in two parts. Without
    a cooldown the second part of an exit may gain the income that the first part forfeits. Returns False if
    no such call succeeds. Raises PropertyViolationError if the parts are better.
    """
    found = list(_list_splittable_calls(lockstep))
    if not found:
        return False
    contract, method, place, args, who = pick_item(random, found)
    half = args[place] // random.choice((2, 3, 1_000))
    parts = [half, args[place] - half]
    ends, forfeited = [], 0
    with lockstep.fork_state():
        if method == "deposit":
            apply_or_raise(
                lockstep, "Stablecoin", "approve", get_contract(lockstep, contract).address, _EVER, by=who
            )
        before = _read_model_reserve(lockstep)
        for amounts in ([args[place]], parts):
            with lockstep.fork_state():
                for amount in amounts:
                    call = (*args[:place], amount, *args[place + 1 :])
                    if not attempt_call_and_get_outcome(lockstep, contract, method, *call, by=who).ok:
                        return False
                ends.append(_measure_holdings(lockstep, who))
                if method == "redeem":
                    forfeited = -(-(_read_model_reserve(lockstep) - before) // RAY)
    for what, one in ends[0].items():
        unit = {"debt": 2, "Stablecoin": 1 + forfeited}.get(what, 1)
        if ends[1][what] > one + unit and all(ends[1][other] >= ends[0][other] for other in ends[0]):
            raise PropertyViolationError(f"{who}'s {contract}.{method}{args} in parts {parts}: {ends}")
    return True


# ------------------------------------------------------------------ what happens


def _cause_loss_in_random_type(lockstep: LockstepLike, pool_name: str, random: Random) -> None:
    """Let a random type's price collapse, close its auctions, and cover the loss.

    Nothing happens if no type is listed.
    """
    c = pick_item(random, list_collateral_types(lockstep))
    if c is None:
        return
    for auction_id in crash_and_list_closable_auctions(lockstep, c):
        apply_or_raise(lockstep, "CollateralAuction", "close", auction_id, by=VISITOR)
    if read_deficit(lockstep, c):
        attempt_call_and_get_outcome(lockstep, "LossWaterfall", "cover", c, by=_SELF)


def _add_random_pool_income(lockstep: LockstepLike, pool_name: str, random: Random) -> None:
    """Add a random income of up to one stablecoin to the pool."""
    if collect_tokens_from_holders(lockstep, _SELF, 10**18):
        apply_or_raise(
            lockstep, "Stablecoin", "approve", get_contract(lockstep, pool_name).address, _EVER, by=_SELF
        )
        attempt_call_and_get_outcome(lockstep, pool_name, "add_income", random.randint(1, 10**18), by=_SELF)


def _wait_second_hour_or_day(lockstep: LockstepLike, pool_name: str, random: Random) -> None:
    lockstep.advance(random.choice((1, 3_600, 86_400)))


def _do_neutral_pool_action(lockstep: LockstepLike, pool_name: str, random: Random) -> int:
    """Submit a random call of the visitor that should not change its outcome; return 1 if so, else 0.

    The calls collect claims, move shares away and back, or settle batches.
    """
    pool = get_contract(lockstep, pool_name)
    shares = pool.held(VISITOR)
    if not shares:
        return 0
    what = random.choice(("nothing", "collect", "move", "settle"))
    if what == "collect":
        attempt_call_and_get_outcome(lockstep, pool_name, "collect_claims", VISITOR, by=VISITOR)
    elif what == "move":
        part = random.randint(1, shares)
        apply_or_raise(lockstep, pool_name, "transfer", _SELF, part, by=VISITOR)
        apply_or_raise(lockstep, pool_name, "transfer", VISITOR, part, by=_SELF)
    elif what == "settle":
        settle_batches(lockstep, pool_name)
    return int(what != "nothing")


def _measure_exit(lockstep: LockstepLike, name: str, who: str) -> tuple[int, int, int]:
    """Return the assets, claim tokens and cash that a member gets if it leaves the pool now.

    The withdrawal is played on a fork of model and chain.
    """
    claims = lockstep.model.world.contracts.get(f"{name}.Claims")
    with lockstep.fork_state():
        attempt_call_and_get_outcome(lockstep, name, "collect_claims", who, by=who)
        tokens = cash = 0
        if claims is not None:
            tokens = lockstep.view(claims.label, "balanceOf", who)
            generation = get_contract(lockstep, claims.label).state[()].generation
            cash = lockstep.view(claims.label, "cash_of", who, generation)
        batch = request_and_mature_exit_batch(lockstep, name, who)
        settle_batches(lockstep, name)
        return _exit_and_measure_payout(lockstep, name, who, batch), tokens, cash


def _exit_and_measure_payout(lockstep: LockstepLike, pool_name: str, member: str, batch: int) -> int:
    """Redeem all that a member may withdraw, and return the payment [wei].

    The payment is 0 if the call reverts.
    """
    if batch:
        return claim_batch(lockstep, pool_name, member, batch)
    shares = lockstep.view(pool_name, "maxRedeem", member)
    outcome = attempt_call_and_get_outcome(lockstep, pool_name, "redeem", shares, member, member, by=member)
    return int(outcome.value) if outcome.ok else 0


# --------------------------------------------------------------- what one may do

_Call = tuple[str, str, tuple[Any, ...], str]


def _list_vault_and_pool_exit_calls(lockstep: LockstepLike) -> list[_Call]:
    """Return calls by which vault owners and pool members withdraw all their own assets."""
    engine, found = get_contract(lockstep, "VaultEngine"), list[_Call]()
    strangers = lockstep.model.world.addresses
    if not engine.in_settlement(VISITOR):
        for (c, owner), vault in engine.vaults.items():
            if vault.locked_collateral and owner not in strangers:
                everything = c, owner, _EVER, vault.locked_collateral, owner
                found.append(("VaultEngine", "repay_and_withdraw", everything, owner))
    for name in list_stablecoin_pool_names(lockstep):
        pool = get_contract(lockstep, name)
        for who in pool.list_holders():
            if who in strangers:
                continue
            if pool.cooldown:
                found.append((name, "requestRedeem", (pool.held(who), who, who), who))
            else:
                found.append((name, "redeem", (pool.held(who), who, who), who))
    return found


def _donate_by_random_method(lockstep: LockstepLike, contract: str, receiver: str, random: Random) -> bool:
    """Donate a small amount by transfer, income or deposit; return False if the call reverts."""
    amount = random.choice(_GIFTS)
    target = get_contract(lockstep, contract).address
    if contract == "VaultEngine" or random.random() < 0.3:
        return attempt_call_and_get_outcome(lockstep, "Stablecoin", "transfer", target, amount, by=VISITOR).ok
    apply_or_raise(lockstep, "Stablecoin", "approve", target, _EVER, by=VISITOR)
    if random.random() < 0.5:
        return attempt_call_and_get_outcome(lockstep, contract, "add_income", amount, by=VISITOR).ok
    return attempt_call_and_get_outcome(lockstep, contract, "deposit", amount, receiver, by=VISITOR).ok


def _list_splittable_calls(lockstep: LockstepLike) -> list[tuple[str, str, int, tuple[Any, ...], str]]:
    """Return calls that can be made in parts.

    Each has its contract, method, index of the amount among the arguments, arguments and sender.
    """
    found = list[tuple[str, str, int, tuple[Any, ...], str]]()
    coins, strangers = get_contract(lockstep, "Stablecoin").balances, lockstep.model.world.addresses
    rich = [who for who, held in coins.items() if held > 10**18 and who not in strangers]
    engine = get_contract(lockstep, "VaultEngine")
    for who in rich[:4]:
        for name in list_stablecoin_pool_names(lockstep):
            found.append((name, "deposit", 0, (coins[who] // 2, who), who))
        for auction_id, lot in get_contract(lockstep, "CollateralAuction").lots.items():
            if lot.target:
                found.append(
                    ("CollateralAuction", "take", 1, (auction_id, lot.lot // 3, _EVER, who, b""), who)
                )
        for (c, owner), vault in engine.vaults.items():
            if owner == who and vault.normalized_debt:
                found.append(("VaultEngine", "repay_and_withdraw", 2, (c, who, coins[who] // 2, 0, who), who))
                found.append(("VaultEngine", "deposit_and_draw", 3, (c, who, 0, coins[who], who), who))
    for name in list_stablecoin_pool_names(lockstep):
        pool = get_contract(lockstep, name)
        if not pool.cooldown:
            for who in pool.list_holders():
                if who not in strangers:
                    found.append((name, "redeem", 0, (pool.held(who), who, who), who))
    return found


def _measure_holdings(lockstep: LockstepLike, who: str) -> dict[str, int]:
    """Return an account's balances by kind [wei], with debt as a negative normalized amount."""
    contracts = lockstep.model.world.contracts
    found = {
        name: int(get_contract(lockstep, name).balances[who])
        for name, contract in contracts.items()
        if not {"erc20.balanceOf", "balanceOf"}.isdisjoint(contract.tables)
    }
    for name in list_stablecoin_pool_names(lockstep):
        pool = get_contract(lockstep, name)
        found[name] = pool.held(who)
    vaults = get_contract(lockstep, "VaultEngine").vaults
    mine = [vaults[c, who] for c in list_collateral_types(lockstep)]
    found["locked"] = sum(vault.locked_collateral for vault in mine)
    found["debt"] = -sum(vault.normalized_debt for vault in mine)
    return found


@counterfactual_property(101)
def loss_forecast_matches_cover(lockstep: LockstepLike, random: Random) -> bool:
    """Check that a waterfall stage's loss forecast is right when a loss is covered (property 101).

    The forecast before the cover must equal the stage's loss in it plus the forecast after it. The trial
    covers a deficit on a fork of model and chain. It concerns stages with one account for all types. Payments
    by stages that the forecast cannot rely on are tolerated, such as later stages and accounts of single
    types. So are rounding and the remainder of void pools.

    Returns False if a stage fails or owes, a pool lacks its role, or nothing is covered. Raises
    PropertyViolationError if forecast and loss differ.
    """
    waterfall, engine = get_contract(lockstep, "LossWaterfall"), get_contract(lockstep, "VaultEngine")
    if lockstep.parameters is None or waterfall.KIND != "LossWaterfall" or engine.in_settlement(VISITOR):
        return False
    c = pick_item(
        random,
        [each for each in list_collateral_types(lockstep) if read_deficit(lockstep, each)]
        or list_collateral_types(lockstep),
    )
    if c is None or not is_every_pool_granted_stage_role(lockstep):
        return False
    with lockstep.fork_state():
        if not read_deficit(lockstep, c):
            for auction_id in crash_and_list_closable_auctions(lockstep, c):
                apply_or_raise(lockstep, "CollateralAuction", "close", auction_id, by=VISITOR)
        # Debts count at the rate of their last accrual.
        for each in list_collateral_types(lockstep):
            accrue_fee(lockstep, each)
        slots = [waterfall.stages[k] for k in waterfall.lineup[()].ids]
        stages = [slot.stage for slot in slots]
        debts = engine.debts[c].normalized_debt
        reach = [[lockstep.view("LossWaterfall", "losses_reaching", stage) for stage in stages]]
        if any(waterfall.owed[k] for k in waterfall.lineup[()].ids):
            return False
        outcome = attempt_call_and_get_outcome(lockstep, "LossWaterfall", "cover", c, by=VISITOR)
        if not outcome.ok or any(log.event == "StageFailed" for log in outcome.logs):
            return False
        reach.append([lockstep.view("LossWaterfall", "losses_reaching", stage) for stage in stages])
        paid, kept = [0] * len(stages), [0] * len(stages)
        for log in outcome.logs:
            if log.event in ("LossCovered", "LossReserved"):
                place = waterfall.lineup[()].ids.index(log.values[2])
                (paid if log.event == "LossCovered" else kept)[place] += log.values[3]
        slack = (len(stages) + 1) * (RAY + debts) + sum_assets_of_wiped_pools(outcome) * RAY
        for place, (before, after) in enumerate(zip(*reach, strict=True)):
            if not slots[place].pooled:
                continue
            least = after + paid[place] + kept[place]
            others = (k for k, slot in enumerate(slots) if k > place or not slot.pooled)
            most = least + sum(paid[k] for k in others)
            if not least - slack <= before <= most + slack:
                raise PropertyViolationError(
                    f"{before} rad were to reach stage {place}; when type {c} is covered it bears "
                    f"{least - after}, others {most - least}, and {after} reach it yet"
                )
    return bool(sum(paid) + sum(kept))
