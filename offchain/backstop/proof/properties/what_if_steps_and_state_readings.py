"""Steps of a future, played on both sides, and readings of the present state for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, cast

from backstop.deployment.contracts_by_parameter_name import STABLECOIN_POOLS
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD, div_up
from backstop.model.bounds import MAX_DEBT_CEILING, MAX_GLOBAL_DEBT_CEILING, MIN_FLOW_WINDOW
from backstop.model.interfaces import CAUTION, EMERGENCY
from backstop.model.listed_types import decode_listed_types
from backstop.model.roles import GUARDIAN, STAGE
from backstop.proof.properties.lockstep_interface import LockstepLike
from backstop.proof.properties.property_registry import PropertyViolationError
from backstop.system import Action, Outcome

if TYPE_CHECKING:
    from backstop.model.bridge_facilitator import BridgeFacilitator
    from backstop.model.circuit_breaker import CircuitBreaker
    from backstop.model.risk_policy import RiskPolicy
    from backstop.model.workouts import Workouts


VISITOR = get_account("visitor")
YEAR = 365 * 86_400


def disturb_feed(lockstep: LockstepLike, collateral_type: int, random: Random) -> None:
    """Advance a random time, then at random change the price or halt the market.

    Each happens with a probability of one half. A changed price stays about the same or falls to 1/2 or
    1/100, under random feed guards. Only the time passes in a market without reporters.
    """
    feed = get_contract(lockstep, "PriceFeed")
    admin, config = feed.admins[()], feed.configs[collateral_type]
    lockstep.advance(random.choice((0, 1, 86_400, YEAR)))
    if config.reporters == 0:
        return
    if random.random() < 0.5:
        guards = random.choice((1, 10_000)), 3, random.choice((1, 604_800)), random.choice((0, 1, 86_400))
        outcome = attempt_call_and_get_outcome(
            lockstep, "PriceFeed", "set_guards", collateral_type, *guards, by=admin
        )
        # Guards stay as they are while a final price is made, which property 148 bounds.
        if not outcome.ok and outcome.reason != "price_feed: is closing":
            raise PropertyViolationError(
                f"PriceFeed.set_guards{(collateral_type, *guards)} fails: {outcome.reason!r}"
            )
        report_price(
            lockstep, collateral_type, 1 + feed.prices[collateral_type].current // random.choice((1, 2, 100))
        )
    if random.random() < 0.5:
        apply_or_raise(lockstep, "PriceFeed", "set_halted", collateral_type, True, by=admin)


def accrue_fee(lockstep: LockstepLike, collateral_type: int) -> None:
    """Charge a collateral type's stability fee up to the current time."""
    apply_or_raise(lockstep, "VaultEngine", "accrue", collateral_type, by=VISITOR)


def force_random_guardian_mode(lockstep: LockstepLike, random: Random) -> None:
    """Raise the risk mode to a random level by a guardian, if a circuit breaker and a guardian exist.

    Nothing happens if the mode is already at that level or above it.
    """
    breaker = cast("CircuitBreaker | None", lockstep.model.world.contracts.get("CircuitBreaker"))
    if breaker is None:
        return
    mode, now = random.choice((CAUTION, EMERGENCY)), breaker.states[()].mode
    guardians = [who for (role, who), held in breaker.roles.items() if role == GUARDIAN and held]
    if guardians and mode > now:
        apply_or_raise(lockstep, "CircuitBreaker", "force_mode", mode, by=guardians[0])


def reset_mode(lockstep: LockstepLike) -> None:
    """Lower the risk mode to normal, after the admin turns off all triggers.

    Nothing happens without a circuit breaker or in normal mode.
    """
    breaker = cast("CircuitBreaker | None", lockstep.model.world.contracts.get("CircuitBreaker"))
    if breaker is None or not 0 < lockstep.view("CircuitBreaker", "mode") <= EMERGENCY:
        return
    apply_or_raise(lockstep, "CircuitBreaker", "set_triggers", *([(0, 0)] * 4), by=breaker.admins[()])
    for _ in range(breaker.states[()].mode):
        lockstep.advance(breaker.states[()].calm_period)
        apply_or_raise(lockstep, "CircuitBreaker", "lower_mode", by=VISITOR)


def announce_facilitator_loss(
    lockstep: LockstepLike, collateral_type: int, random: Random
) -> BridgeFacilitator | None:
    """Announce a random loss of a type's bridge, wait for its delay, and return the facilitator.

    Returns None if the type is no bridge's or its debt is under one stablecoin.
    """
    facilitator = find_facilitator(lockstep, collateral_type)
    if facilitator is None:
        return None
    engine = get_contract(lockstep, "VaultEngine")
    debt = (
        engine.vaults[collateral_type, facilitator.address].normalized_debt
        * engine.debts[collateral_type].accumulated_rate
    )
    if debt < RAD:
        return None
    loss = random.choice((1, random.randint(1, debt // RAY), div_up(debt, RAY), debt))
    apply_or_raise(
        lockstep, facilitator.label, "announce_loss", min(loss, 2**128 - 1), by=facilitator.admins[()]
    )
    lockstep.advance(facilitator.delay)
    return facilitator


def crash_and_list_closable_auctions(lockstep: LockstepLike, collateral_type: int) -> list[int]:
    """Let a type's price collapse and liquidate its vaults; return the auctions that can be closed.

    The price falls to 1 ray, and workouts are foreclosed as well. The list is empty if the price cannot be
    reported.
    """
    engine, auction = get_contract(lockstep, "VaultEngine"), get_contract(lockstep, "CollateralAuction")
    if not report_price(lockstep, collateral_type, 1):
        return []
    for at, owner in [key for key, vault in engine.vaults.items() if vault.normalized_debt]:
        if at == collateral_type:
            attempt_call_and_get_outcome(
                lockstep, "LiquidationEngine", "liquidate", collateral_type, owner, VISITOR, by=VISITOR
            )
    for workout_id in list_open_workouts(lockstep):
        attempt_call_and_get_outcome(lockstep, "Workouts", "foreclose", workout_id, VISITOR, by=VISITOR)
    lockstep.advance(auction.terms[collateral_type].tail + auction.block_time + 1)
    # A close needs a fresh price, and the time-weighted one has to follow.
    for _ in range(3):
        lockstep.advance(get_contract(lockstep, "PriceFeed").configs[collateral_type].window)
        if not report_price(lockstep, collateral_type, 1):
            return []
    lots = [
        auction_id
        for auction_id, lot in auction.lots.items()
        if lot.target and lot.collateral_type == collateral_type
    ]
    return [
        auction_id
        for auction_id in lots
        if lockstep.model.dry_run(Action("CollateralAuction", "close", (auction_id,), VISITOR)).ok
    ]


def borrow_stablecoin(lockstep: LockstepLike, collateral_type: int, amount: int) -> bool:
    """Draw stablecoin [wad] for the visitor at four times its margin; return whether that succeeded.

    The admin first lifts risk mode, ceilings and limits, and reporters repeat the current price. The result
    is False if the market is halted or the token is unsuitable.
    """
    engine, contracts = get_contract(lockstep, "VaultEngine"), lockstep.model.world.contracts
    admin, terms, price = (
        engine.admins[()],
        engine.terms[collateral_type],
        get_contract(lockstep, "PriceFeed").prices[collateral_type].current,
    )
    if get_token(lockstep, collateral_type).KIND not in ("Token", "NoReturnToken") or terms.settling:
        return False
    reset_mode(lockstep)
    if not price or not report_price(lockstep, collateral_type, price):
        return False
    for setter, most in (("debt_ceiling", MAX_DEBT_CEILING), ("auction_limit", MAX_DEBT_CEILING)):
        apply_or_raise(lockstep, "VaultEngine", f"set_{setter}", collateral_type, most, by=admin)
    for setter in ("global_debt_ceiling", "global_auction_limit"):
        apply_or_raise(lockstep, "VaultEngine", f"set_{setter}", MAX_GLOBAL_DEBT_CEILING, by=admin)
    asked = terms.initial_ratio
    if policy := cast("RiskPolicy | None", contracts.get("RiskPolicy")):
        guard = policy.admins[()]
        apply_or_raise(
            lockstep,
            "RiskPolicy",
            "set_flow_limit",
            collateral_type,
            MAX_DEBT_CEILING,
            MIN_FLOW_WINDOW,
            by=guard,
        )
        apply_or_raise(lockstep, "RiskPolicy", "set_growth_cap", collateral_type, 0, 0, by=guard)
        asked += policy.modes[()].caution_margin + sum(policy.terms[collateral_type][1:8:2])
    drawn = max(amount, terms.debt_floor * WAD + 1)
    raw = -(-4 * drawn * RAY * asked // (price * BASIS_POINTS * terms.unit))
    if raw * terms.unit >= 2**100:
        return False
    token = get_token(lockstep, collateral_type).label
    apply_or_raise(lockstep, token, "mint", VISITOR, raw, by=VISITOR)
    apply_or_raise(lockstep, token, "approve", engine.address, raw, by=VISITOR)
    call = "deposit_and_draw", collateral_type, VISITOR, raw * terms.unit, drawn, VISITOR
    return attempt_call_and_get_outcome(lockstep, "VaultEngine", *call, by=VISITOR).ok


def create_deficit_and_get_type(
    lockstep: LockstepLike, random: Random, amount: int, before_price_fall: Callable[[], None] = lambda: None
) -> int | None:
    """Create a deficit by a draw of `amount` [wad] and a price collapse; return its collateral type.

    `before_price_fall` is called between the draw and the collapse. Returns None if no type can be used.
    """
    for c in random.sample(list_collateral_types(lockstep), len(list_collateral_types(lockstep))):
        if not borrow_stablecoin(lockstep, c, amount):
            continue
        before_price_fall()
        auction = get_contract(lockstep, "CollateralAuction")
        if auction.terms[c].stop:
            apply_or_raise(lockstep, "CollateralAuction", "set_stop", c, 0, by=auction.admins[()])
        for auction_id in crash_and_list_closable_auctions(lockstep, c):
            attempt_call_and_get_outcome(lockstep, "CollateralAuction", "close", auction_id, by=VISITOR)
        if read_deficit(lockstep, c):
            return c
    return None


def collect_tokens_from_holders(
    lockstep: LockstepLike, receiver: str, amount: int, token: str = "Stablecoin"
) -> bool:
    """Transfer tokens from their holders until `receiver` has `amount`; return whether that succeeded.

    The tokens of contracts are not touched.
    """
    balances = get_contract(lockstep, token).balances
    for holder, held in sorted(balances.items()):
        missing = amount - balances[receiver]
        if missing <= 0:
            break
        if holder != receiver and held and holder not in lockstep.model.world.addresses:
            apply_or_raise(lockstep, token, "transfer", receiver, min(held, missing), by=holder)
    return bool(balances[receiver] >= amount)


def report_price(lockstep: LockstepLike, collateral_type: int, price: int) -> bool:
    """Report a price [ray] until it is current and next; return whether that succeeded.

    All reporters report it, except adapters of aggregators.
    """
    feed = get_contract(lockstep, "PriceFeed")
    config = feed.configs[collateral_type]
    for _ in range(2 + (config.confirmations if config.deviation else 0)):
        lockstep.advance(max(0, feed.averages[collateral_type].stepped_at + config.step - lockstep.timestamp))
        for reporter in feed.reporters_of(VISITOR, collateral_type):
            if reporter in lockstep.model.world.addresses:
                continue  # an adapter: the others are enough
            if not attempt_call_and_get_outcome(
                lockstep, "PriceFeed", "report", collateral_type, price, by=reporter
            ).ok:
                return False
        if not attempt_call_and_get_outcome(lockstep, "PriceFeed", "poke", collateral_type, by=VISITOR).ok:
            return False
    return bool(feed.prices[collateral_type].current == price)


# ------------------------------------------------------------ the present state


def get_contract(lockstep: LockstepLike, name: str) -> Any:
    return lockstep.model.world.contracts[name]


def list_collateral_types(lockstep: LockstepLike) -> list[int]:
    return decode_listed_types(get_contract(lockstep, "VaultEngine").listing[()])


def find_facilitator(lockstep: LockstepLike, collateral_type: int) -> BridgeFacilitator | None:
    """Return the facilitator that issues this collateral type, or None if no bridge issues it."""
    found = lockstep.model.world.addresses.get(get_contract(lockstep, "PriceFeed").issuers[collateral_type])
    return (
        cast("BridgeFacilitator", found) if found is not None and found.KIND == "BridgeFacilitator" else None
    )


def get_token(lockstep: LockstepLike, collateral_type: int) -> Any:
    return lockstep.model.world.addresses[get_contract(lockstep, "VaultEngine").terms[collateral_type].token]


def read_deficit(lockstep: LockstepLike, collateral_type: int) -> int:
    return int(get_contract(lockstep, "VaultEngine").deficit[collateral_type])


def list_payer_names(lockstep: LockstepLike) -> list[str]:
    """Return the names of payers that cover losses at once: buffer, reserve, pools, borrowers."""
    return ["buffer", "reserve", *list_stablecoin_pool_names(lockstep), "borrowers"]


def list_payer_balances(lockstep: LockstepLike, collateral_type: int) -> list[int]:
    """Return the balance of each payer in the order of list_payer_names [rad].

    The borrowers' balance is their performing debt as a negative number.
    """
    engine = get_contract(lockstep, "VaultEngine")
    return [
        engine.income[collateral_type].buffer,
        engine.system[()].reserve,
        *(
            get_contract(lockstep, name).assets[()].booked * RAY
            for name in list_stablecoin_pool_names(lockstep)
        ),
        -engine.debts[collateral_type].performing,
    ]


def list_stablecoin_pool_names(lockstep: LockstepLike) -> list[str]:
    """Return the names of the deployment's pools of stablecoin."""
    return [name for name in STABLECOIN_POOLS if name in lockstep.model.world.contracts]


def list_pool_names(lockstep: LockstepLike) -> list[str]:
    staked = ["StakedEquity"] if "StakedEquity" in lockstep.model.world.contracts else []
    return [*list_stablecoin_pool_names(lockstep), *staked]


def is_every_pool_granted_stage_role(lockstep: LockstepLike) -> bool:
    """Return whether each stablecoin pool has the STAGE role, without which it cannot pay."""
    pools = [get_contract(lockstep, name).address for name in list_stablecoin_pool_names(lockstep)]
    return all(lockstep.view("VaultEngine", "has_role", STAGE, pool) for pool in pools)


def sum_assets_of_wiped_pools(outcome: Outcome) -> int:
    """Return the assets that fully drained pools gave up in a call, mostly to the reserve [wei]."""
    return sum(log.values[2] for log in outcome.logs if log.event == "NewGeneration")


def list_open_workouts(lockstep: LockstepLike) -> list[int]:
    """Return the ids of workouts with an unpaid amount."""
    workouts = cast("Workouts | None", lockstep.model.world.contracts.get("Workouts"))
    return (
        []
        if workouts is None
        else [workout_id for workout_id, each in workouts.balances.items() if each.left]
    )


def pick_item(random: Random, choices: Sequence[Any] | Iterator[Any]) -> Any:
    """Return a random item of `choices`, or None if there are none."""
    found = list(choices)
    return random.choice(found) if found else None


def attempt_call_and_get_outcome(
    lockstep: LockstepLike, contract: str, method: str, *args: Any, by: str
) -> Outcome:
    return lockstep.apply(Action(contract, method, args, by))


def apply_or_raise(lockstep: LockstepLike, contract: str, method: str, *args: Any, by: str) -> Any:
    """Execute a call that must succeed, and return its value.

    Raises PropertyViolationError if the call reverts.
    """
    outcome = attempt_call_and_get_outcome(lockstep, contract, method, *args, by=by)
    if not outcome.ok:
        raise PropertyViolationError(f"{contract}.{method}{args} from {by} fails: {outcome.reason!r}")
    return outcome.value


def request_and_mature_exit_batch(lockstep: LockstepLike, pool_name: str, *members: str) -> int:
    """Let members request withdrawal of all shares, close their batch and wait until it matures.

    Returns the batch's id, or 0 for a pool without a cooldown.
    """
    pool = get_contract(lockstep, pool_name)
    if not pool.cooldown:
        return 0
    for who in members:
        if pool.held(who):
            apply_or_raise(lockstep, pool_name, "requestRedeem", pool.held(who), who, who, by=who)
    settle_batches(lockstep, pool_name)
    batch = int(pool.line[()].collecting)
    if not pool.batches[batch].units:
        return batch
    lockstep.advance(max(0, pool.get_earliest_cut_time() - lockstep.timestamp))
    if attempt_call_and_get_outcome(lockstep, pool_name, "cut", by=VISITOR).ok:
        lockstep.advance(pool.get_maturity(batch) - lockstep.timestamp)
    return batch


def claim_batch(lockstep: LockstepLike, name: str, who: str, batch: int) -> int:
    """Redeem a member's claimable shares up to `batch`, and return the payment for that batch [wei].

    Older batches are redeemed first.
    """
    got = 0
    for batch_id in [
        batch_id for batch_id in get_contract(lockstep, name).list_request_batches(who) if batch_id <= batch
    ]:
        shares = lockstep.view(name, "claimableRedeemRequest", batch_id, who)
        assets = apply_or_raise(lockstep, name, "redeem", shares, who, who, by=who)
        got = int(assets) if batch_id == batch else 0
    return got


def settle_batches(lockstep: LockstepLike, name: str) -> None:
    """Pay a pool's exit batches as far as they are due."""
    attempt_call_and_get_outcome(lockstep, name, "settle", by=VISITOR)
