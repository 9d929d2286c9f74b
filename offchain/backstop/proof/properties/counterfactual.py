"""Properties of what would happen: each plays one or more futures of the present state, and takes them back.

Model and chain play them together and are compared at every step. A property that finds nothing to try
in a state says so: it returns False.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, cast

from backstop.deployment import account
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD, div_up
from backstop.model.interfaces import CAUTION, EMERGENCY
from backstop.model.roles import GUARDIAN
from backstop.proof.properties.registry import (
    COUNTERFACTUAL_PROPERTIES,
    Question,
    Violation,
    counterfactual_property,
)
from backstop.system import Action, Outcome

if TYPE_CHECKING:
    from backstop.model.circuit_breaker import CircuitBreaker
    from backstop.model.domain import Domain
    from backstop.model.erc20 import ERC20
    from backstop.model.pool import Pool
    from backstop.model.workouts import Workouts
    from backstop.proof.lockstep import Lockstep

VISITOR = account("visitor")
YEAR = 365 * 86_400
# Tokens that do what a transfer promises.
_SOUND = ("Token", "SilentToken")


def ask(both: Lockstep, question: Question) -> bool:
    """Ask one property about the present state; False if it has nothing to try. Raises Violation."""
    try:
        return COUNTERFACTUAL_PROPERTIES[question.number](both, Random(question.seed))
    except Violation as violation:
        # One from a step on the way has its number.
        if not violation.number:
            violation.tell(question.number)
        raise


@counterfactual_property(6)
def partition_invariance(both: Lockstep, random: Random) -> bool:
    """A loss that is booked and covered in n parts moves each payer as one in one part does, to n wei."""
    c = _pick(random, _types(both))
    if both.parameters is None or both.parameters.has_stage("scripted"):
        return False
    with both.imagine():
        lots = _collapse(both, c)
        n = len(lots) + bool(_deficit(both, c))
        if n < 2:
            return False
        # What borrowers can bear is measured at the rate of the last accrual.
        _accrue(both, c)
        paid = []
        for parts in ([lots], [[], *([id] for id in lots)]):
            with both.imagine():
                before = _payers(both, c)
                for part in parts:
                    for id in part:
                        _must(both, "CollateralAuction", "close", id, by=VISITOR)
                    if _deficit(both, c) and not _apply(both, "LossWaterfall", "cover", c, by=VISITOR).ok:
                        return False  # a stage without its role
                paid.append([a - b for a, b in zip(before, _payers(both, c), strict=True)])
    # A wei for each stage that pays in tokens; where borrowers bear a loss, a ray for each unit of debt; and
    # what is too little for an auction of equity goes by it.
    grain = RAY * len(_payer_names(both)) + _contract(both, "VaultEngine").debts[c].normalized_debt
    if any(both.parameters.has_stage(name) for name in ("staked_equity", "minted_equity")):
        grain = RAD
    for name, once, split in zip(_payer_names(both), *paid, strict=True):
        if abs(once - split) > n * grain:
            raise Violation(f"type {c}: {name} pays {once} rad at once, {split} in {n} parts")
    return True


@counterfactual_property(7)
def exit_neutrality(both: Lockstep, random: Random) -> bool:
    """Who leaves before losses are covered gets no more than who leaves right after, but for a wei a type.

    Nor who leaves between the announcement of a domain's loss and its booking.
    """
    if both.parameters is None or both.parameters.has_stage("scripted"):
        return False
    contracts = both.model.world.addresses
    found = [
        (name, who)
        for name in _all_pools(both)
        for who in _contract(both, name).holders()
        if who not in contracts
    ]
    member = _pick(random, found)
    if member is None:
        return False
    name, owner = member
    pool = _contract(both, name)
    with both.imagine():
        c = _pick(random, _types(both))
        domain = _announce_loss(both, c, random)
        if domain is None:
            for id in _collapse(both, c):
                _must(both, "CollateralAuction", "close", id, by=VISITOR)
        if pool.cooldown:
            _must(both, name, "request_redeem", pool.held(owner), by=owner)
            both.advance(pool.cooldown)
        early = _redeem(both, name, owner)
        with both.imagine():
            if domain is not None:
                _must(both, domain.label, "realise_loss", by=VISITOR)
            losing = [c for c in _types(both) if _deficit(both, c)]
            for c in losing:
                if not _apply(both, "LossWaterfall", "cover", c, by=VISITOR).ok:
                    return False  # a stage without its role
            late = _redeem(both, name, owner)
    if early > late + len(losing):
        raise Violation(f"{owner} leaves {name} with {early} before losses are covered, with {late} after")
    return bool(losing)


@counterfactual_property(10)
def the_way_out_is_open(both: Lockstep, random: Random) -> bool:
    """Repaying in full, topping up and withdrawing all without debt succeed, with any feed, in any mode.

    A halt, a price that waits, a grace, a feed given up as dead: nothing of it stands in the way. Nor does
    an announced loss in that of a bridge, nor anything in that of paying a workout in full.
    """
    engine = _contract(both, "VaultEngine")
    if random.random() < 0.2 and not engine.in_settlement(VISITOR):
        return _a_bridge_pays_all(both, random)
    workouts = _open_workouts(both)
    if workouts and not engine.in_settlement(VISITOR) and random.random() < 0.5:
        return _workout_can_be_paid(both, random.choice(workouts), random)
    found = [
        (c, owner)
        for (c, owner), vault in engine.vaults.items()
        if vault.locked_collateral and owner not in both.model.world.addresses
    ]
    vault = _pick(random, found)
    if vault is None or engine.in_settlement(VISITOR):
        return False
    c, owner = vault
    token = both.model.world.addresses[engine.terms[c].token]
    with both.imagine():
        _break_the_feed(both, c, random)
        _raise_mode(both, random)
        _accrue(both, c)
        debt = engine.vaults[c, owner].normalized_debt * engine.debts[c].accumulated_rate
        whole = div_up(debt, RAY)
        if not _give(both, owner, whole):
            return False
        if whole:
            _open(both, "repay_and_withdraw", c, owner, whole, 0, owner)
        if engine.vaults[c, owner].normalized_debt:
            raise Violation(f"vault {c, owner} still owes after repaying all of {whole} wei")
        if token.KIND not in _SOUND:
            return True
        unit = engine.terms[c].unit
        room = engine.vaults[c, owner].locked_collateral + unit < 2**103
        if room and _apply(both, token.label, "mint", owner, 1, by=owner).ok:
            _must(both, token.label, "approve", engine.address, 1, by=owner)
            _open(both, "deposit_and_draw", c, owner, unit, 0, owner)
        _open(both, "repay_and_withdraw", c, owner, 0, engine.vaults[c, owner].locked_collateral, owner)
    return True


@counterfactual_property(12)
def round_trips_never_pay(both: Lockstep, random: Random) -> bool:
    """In and out again, of a vault at one instant or of the pool, never leaves more than there was."""
    return (_vault_trip if random.random() < 0.5 else _pool_trip)(both, random)


@counterfactual_property(13)
def a_lower_price_never_helps(both: Lockstep, random: Random) -> bool:
    """With a vault liquidated at a lower price and its lot sold as late, nothing is gained."""
    engine, feed = _contract(both, "VaultEngine"), _contract(both, "PriceFeed")
    vault = _pick(random, [key for key, vault in engine.vaults.items() if vault.normalized_debt])
    if vault is None:
        return False
    c, owner = vault
    terms, held = engine.terms[c], engine.vaults[vault].locked_collateral
    if not held or not feed.configs[c].reporters:
        return False
    debt = engine.vaults[vault].normalized_debt * engine.debts[c].accumulated_rate
    # Where it becomes unsafe.
    edge = debt * terms.liquidation_ratio // (held * BASIS_POINTS)
    prices = sorted((1 + int(edge * random.random()) for _ in range(2)), reverse=True)
    wait = _contract(both, "CollateralAuction").terms[c].tail * random.choice((0, 1, 2, 5)) // 20
    left = []
    for price in prices:
        with both.imagine():
            if not _report(both, c, price):
                return False
            liquidated = _apply(both, "LiquidationEngine", "liquidate", c, owner, VISITOR, by=VISITOR)
            if not liquidated.ok:
                return False
            both.advance(wait)
            _give(both, VISITOR, _contract(both, "Stablecoin").supply[()])
            taken = (liquidated.value, MAX_UINT256, MAX_UINT256, VISITOR, b"")
            if not _apply(both, "CollateralAuction", "take", *taken, by=VISITOR).ok:
                return False
            income, system = engine.income[c], engine.system[()]
            owed = engine.auctions[c].in_auction + engine.deficit[c]
            left.append(owed - income.buffer - system.reserve)
    if left[1] < left[0]:
        raise Violation(f"vault {vault} at the prices {prices}: the protocol ends with {left} rad to pay")
    return True


@counterfactual_property(25)
def workouts_cost_creditors_nothing(both: Lockstep, random: Random) -> bool:
    """A vault that may enter a workout, sold at the price of entry less the discount, repays its principal.

    So no creditor loses more if it enters and is foreclosed after the first missed payment, or pays in full,
    than if it is liquidated now: all three are played, with the lot sold at that price or just above.
    """
    if "Workouts" not in both.model.world.contracts:
        return False
    engine = _contract(both, "VaultEngine")
    found = [key for key, vault in engine.vaults.items() if vault.normalized_debt]
    vault = _pick(random, [key for key in found if key[1] not in both.model.world.addresses])
    if vault is None or engine.in_settlement(VISITOR):
        return False
    c, owner = vault
    with both.imagine():
        price = _distress(both, c, owner, random)
        if not price:
            return False
        lowest = -(-price * (BASIS_POINTS - _contract(both, "Workouts").terms[c].discount) // BASIS_POINTS)
        losses = []
        futures: tuple[Callable[..., bool], ...] = (_is_liquidated, _misses_a_payment, _pays_in_full)
        for future in futures:
            with both.imagine():
                before = _creditors(both, c)
                if not future(both, c, owner, price, lowest):
                    return False
                after = _creditors(both, c)
                losses.append([max(0, before[name] - after[name]) for name in before])
    for name, now, *later in zip(_creditors(both, c), *losses, strict=True):
        if max(later) > now:
            raise Violation(f"vault {vault}: {name} loses {later} rad by a workout at {price}, {now} without")
    return True


# ---------------------------------------------------------------------- futures


def _a_bridge_pays_all(both: Lockstep, random: Random) -> bool:
    engine = _contract(both, "VaultEngine")
    domain = _pick(random, [each for c in _types(both) if (each := _issuer(both, c)) is not None])
    if domain is None:
        return False
    vault = domain.collateral_type, domain.address
    with both.imagine():
        both.advance(random.choice((0, 1, YEAR)))
        _raise_mode(both, random)
        _announce_loss(both, vault[0], random)
        _accrue(both, vault[0])
        debt = engine.vaults[vault].normalized_debt * engine.debts[vault[0]].accumulated_rate
        if debt == 0 or not _give(both, VISITOR, div_up(debt, RAY)):
            return False
        _must(both, "Stablecoin", "approve", domain.address, MAX_UINT256, by=VISITOR)
        outcome = _apply(both, domain.label, "repay", MAX_UINT256, by=VISITOR)
        if not outcome.ok or engine.vaults[vault].normalized_debt:
            raise Violation(f"{domain.label} cannot be paid back: {outcome.reason!r}")
    return True


def _distress(both: Lockstep, c: int, owner: str, random: Random) -> int:
    """An unsafe vault is called in caution or worse, at a price; 0 if it may not enter a workout at it."""
    engine, workouts, policy = (_contract(both, name) for name in ("VaultEngine", "Workouts", "RiskPolicy"))
    terms = engine.terms[c]
    calls = terms.initial_ratio, 3_600, 86_400
    _must(both, "RiskPolicy", "set_call_terms", c, *calls, by=policy.admins[()])
    # There is room, and the debt stays what it is.
    for setter, new in (("set_auction_limit", 10**9), ("set_stability_fee", 0)):
        _must(both, "VaultEngine", setter, c, new, by=engine.admins[()])
    offer = random.choice((0, 500, 2_000)), 10_000, random.choice((0, 500)), 4, 3_600, 0, 10**9
    _must(both, "Workouts", "set_terms", c, *offer, by=workouts.admins[()])
    _accrue(both, c)
    vault = engine.vaults[c, owner]
    debt = vault.normalized_debt * engine.debts[c].accumulated_rate
    if not vault.locked_collateral or not _contract(both, "PriceFeed").configs[c].reporters:
        return 0
    least = -(-debt * BASIS_POINTS // (vault.locked_collateral * (BASIS_POINTS - offer[0]))) + 1
    most = (debt * terms.liquidation_ratio - 1) // (vault.locked_collateral * BASIS_POINTS)
    price = random.choice((least * 9 // 10, least, most, random.randint(min(least, most), most)))
    if price <= 0 or price > bounds.MAX_PRICE or not _report(both, c, price):
        return 0
    _raise_mode(both, random)
    if not _apply(both, "LiquidationEngine", "call", c, owner, by=VISITOR).ok:
        return 0
    can_enter = both.model.foresee(Action("Workouts", "enter", (c, owner, 4), owner)).ok
    return price if can_enter else 0


def _is_liquidated(both: Lockstep, c: int, owner: str, price: int, lowest: int) -> bool:
    liquidated = _apply(both, "LiquidationEngine", "liquidate", c, owner, VISITOR, by=VISITOR)
    return liquidated.ok and _sell_above(both, liquidated.value, lowest)


def _misses_a_payment(both: Lockstep, c: int, owner: str, price: int, lowest: int) -> bool:
    id = int(_apply(both, "Workouts", "enter", c, owner, 4, by=owner).value)
    both.advance(_contract(both, "Workouts").terms[c].interval + 1)
    if not _report(both, c, price):
        return False
    _must(both, "Workouts", "foreclose", id, VISITOR, by=VISITOR)
    return _sell_above(both, id, lowest)


def _pays_in_full(both: Lockstep, c: int, owner: str, price: int, lowest: int) -> bool:
    id = int(_apply(both, "Workouts", "enter", c, owner, 4, by=owner).value)
    owed = both.view("Workouts", "workout_of", id).owed
    if not _give(both, owner, owed):
        return False
    for k in range(1, 5):
        left = both.view("Workouts", "workout_of", id).left
        _apply(both, "Workouts", "pay", id, left - owed * (4 - k) // 4, by=owner)
    return True


def _sell_above(both: Lockstep, id: int, lowest: int) -> bool:
    """Sell all of a lot at a price or just above it: then nothing of the principal may be left."""
    auction = _contract(both, "CollateralAuction")
    lot, top = auction.lots[id], auction.tops[id].top
    terms = auction.terms[lot.collateral_type]
    # The price falls: the last second at which it is high enough.
    first, after = 0, terms.tail + 1
    while after - first > 1:
        middle = (first + after) // 2
        price, due = terms.price(top, middle)
        first, after = (middle, after) if price >= lowest and not due else (first, middle)
    both.advance(first)
    _give(both, VISITOR, _contract(both, "Stablecoin").supply[()])
    taken = _apply(both, "CollateralAuction", "take", id, MAX_UINT256, MAX_UINT256, VISITOR, b"", by=VISITOR)
    if not taken.ok:
        return False
    left = both.view("CollateralAuction", "position_of", id)[3]
    if left:
        raise Violation(f"auction {id}, sold at {lowest} or above, leaves {left} rad of principal")
    return True


def _open_workouts(both: Lockstep) -> list[int]:
    """The ids of workouts that have something left to pay."""
    workouts = cast("Workouts | None", both.model.world.contracts.get("Workouts"))
    return [] if workouts is None else [id for id, each in workouts.balances.items() if each.left]


def _workout_can_be_paid(both: Lockstep, id: int, random: Random) -> bool:
    workout = both.view("Workouts", "workout_of", id)
    c, owner = workout.collateral_type, workout.owner
    if _contract(both, "VaultEngine").vaults[c, owner].locked_collateral + workout.lot >= 2**104:
        return False
    with both.imagine():
        _break_the_feed(both, c, random)
        _raise_mode(both, random)
        if not _give(both, owner, workout.left):
            return False
        paid = _apply(both, "Workouts", "pay", id, MAX_UINT256, by=owner)
        if not paid.ok:
            raise Violation(f"workout {id} cannot be paid: {paid.reason!r}")
    return True


def _vault_trip(both: Lockstep, random: Random) -> bool:
    engine, stablecoin = _contract(both, "VaultEngine"), _contract(both, "Stablecoin")
    c = _pick(random, [c for c in _types(both) if _token(both, c).KIND in _SOUND])
    if c is None:
        return False
    owner = _pick(random, [VISITOR, *(who for at, who in engine.vaults if at == c)])
    assert owner is not None
    if owner in both.model.world.addresses:
        return False
    token, unit = _token(both, c), engine.terms[c].unit
    with both.imagine():
        price = _contract(both, "PriceFeed").prices[c].current
        deposit = random.randrange(10 * WAD) + (10 * engine.terms[c].debt_floor * WAD * RAY // max(price, 1))
        raw = deposit // unit + 1
        if not _apply(both, token.label, "mint", owner, raw, by=owner).ok:
            return False
        _must(both, token.label, "approve", engine.address, MAX_UINT256, by=owner)
        _accrue(both, c)

        def wealth() -> tuple[int, int]:
            """Stablecoin without debt (rad), collateral (wad)."""
            vault = engine.vaults[c, owner]
            debt = vault.normalized_debt * engine.debts[c].accumulated_rate
            locked = vault.locked_collateral
            return stablecoin.balances[owner] * RAY - debt, token.balances[owner] * unit + locked

        before, done = wealth(), 0
        for _ in range(4):
            vault, floor = engine.vaults[c, owner], engine.terms[c].debt_floor * WAD
            held = stablecoin.balances[owner]
            if random.random() < 0.5:
                draw = random.choice((0, floor, random.randint(1, floor + 1)))
                call = ("deposit_and_draw", c, owner, random.choice((0, deposit)), draw, owner)
            else:
                repay = random.choice((0, 1, held // 2, held, MAX_UINT256))
                out = random.choice((0, unit, vault.locked_collateral))
                call = ("repay_and_withdraw", c, owner, repay, out, owner)
            done += _apply(both, "VaultEngine", *call, by=owner).ok
            after = wealth()
            if after[0] > before[0] or after[1] > before[1]:
                raise Violation(
                    f"{owner} gains from {before} to {after} (rad, wad) by a round trip with type {c}"
                )
    return done > 0


def _pool_trip(both: Lockstep, random: Random) -> bool:
    name = random.choice(_all_pools(both))
    pool = cast("Pool", _contract(both, name))
    asset = cast("ERC20", pool.token)
    with both.imagine():
        most = max(asset.balances.values(), default=0)
        assets = random.choice((1, most // 1_000, most // 2, 1 + random.randrange(most + 1)))
        if not _give(both, VISITOR, assets, asset.label):
            return False
        before = asset.balances[VISITOR]
        _must(both, asset.label, "approve", pool.address, MAX_UINT256, by=VISITOR)
        method, amount = random.choice((("deposit", assets), ("mint", assets * 10**6), ("mint", assets)))
        if not _apply(both, name, method, amount, VISITOR, by=VISITOR).ok:
            return False
        # Income that vests meanwhile is earned.
        earned = both.view(name, "unvested")
        if pool.cooldown:
            _must(both, name, "request_redeem", pool.held(VISITOR), by=VISITOR)
            both.advance(pool.cooldown)
        earned -= both.view(name, "unvested")
        rest = asset.balances[VISITOR]
        if random.random() < 0.5:
            after = rest + _redeem(both, name, VISITOR)
        else:
            most = both.view(name, "maxWithdraw", VISITOR)
            if most:
                _must(both, name, "withdraw", most, VISITOR, VISITOR, by=VISITOR)
            after = asset.balances[VISITOR]
    if after > before + earned:
        raise Violation(f"{name}: {method} of {amount} and out again turns {before} wei into {after}")
    return True


# Nothing is left to pay; equity had no price yet, so nobody knows what losses it will bear.
_STAY = ("pool: no assets", "equity_auction: no price")


def _redeem(both: Lockstep, name: str, owner: str) -> int:
    """What all matured shares of somebody bring; nothing changes."""
    with both.imagine():
        shares = both.view(name, "maxRedeem", owner)
        outcome = _apply(both, name, "redeem", shares, VISITOR, owner, by=owner)
        if not outcome.ok and outcome.reason not in _STAY:
            raise Violation(f"{owner} cannot leave {name} with {shares} matured shares: {outcome.reason!r}")
        return int(outcome.value or 0)


def _break_the_feed(both: Lockstep, c: int, random: Random) -> None:
    """Some time passes; some of the time the price leaps, or comes back, or the market is halted."""
    feed = _contract(both, "PriceFeed")
    admin, config = feed.admins[()], feed.configs[c]
    both.advance(random.choice((0, 1, 86_400, YEAR)))
    if config.reporters == 0:
        return
    if random.random() < 0.5:
        guards = random.choice((1, 10_000)), 3, random.choice((1, 604_800)), random.choice((0, 1, 86_400))
        _must(both, "PriceFeed", "set_guards", c, *guards, by=admin)
        _report(both, c, 1 + feed.prices[c].current // random.choice((1, 2, 100)))
    if random.random() < 0.5:
        _must(both, "PriceFeed", "set_halted", c, True, by=admin)


def _accrue(both: Lockstep, c: int) -> None:
    """Charge all of a type's fee: one call charges a year at most."""
    while True:
        _must(both, "VaultEngine", "accrue", c, by=VISITOR)
        if _contract(both, "VaultEngine").debts[c].accrued_at == both.timestamp:
            return


def _open(both: Lockstep, method: str, *args: Any) -> None:
    """A vault operation that nothing may stop."""
    outcome = _apply(both, "VaultEngine", method, *args, by=args[1])
    if not outcome.ok:
        raise Violation(f"{method}{args} is shut: {outcome.reason!r}")


def _raise_mode(both: Lockstep, random: Random) -> None:
    """To a mode that a guardian may name, where there are modes and guardians."""
    breaker = cast("CircuitBreaker | None", both.model.world.contracts.get("CircuitBreaker"))
    if breaker is None:
        return
    mode, now = random.choice((CAUTION, EMERGENCY)), breaker.states[()].mode
    guardians = [who for (role, who), held in breaker.roles.items() if role == GUARDIAN and held]
    if guardians and mode > now:
        _must(both, "CircuitBreaker", "raise_to", mode, by=guardians[0])


def _announce_loss(both: Lockstep, c: int, random: Random) -> Domain | None:
    """A type's domain announces a loss, and its delay passes; None where there is no domain, or no debt."""
    domain = _issuer(both, c)
    if domain is None:
        return None
    engine = _contract(both, "VaultEngine")
    debt = engine.vaults[c, domain.address].normalized_debt * engine.debts[c].accumulated_rate
    if debt < RAD:
        return None
    loss = random.choice((1, random.randint(1, debt // RAY), div_up(debt, RAY), debt))
    _must(both, domain.label, "announce_loss", min(loss, 2**128 - 1), by=domain.admins[()])
    both.advance(domain.delay)
    return domain


def _collapse(both: Lockstep, c: int) -> list[int]:
    """A type's price falls to nothing and its vaults are liquidated; the auctions that can be closed then."""
    engine, auction = _contract(both, "VaultEngine"), _contract(both, "CollateralAuction")
    if not _report(both, c, 1):
        return []
    for at, owner in [key for key, vault in engine.vaults.items() if vault.normalized_debt]:
        if at == c:
            _apply(both, "LiquidationEngine", "liquidate", c, owner, VISITOR, by=VISITOR)
    for id in _open_workouts(both):
        _apply(both, "Workouts", "foreclose", id, VISITOR, by=VISITOR)
    both.advance(auction.terms[c].tail + 1)
    # A close needs a fresh price, and the time-weighted one has to follow.
    for _ in range(3):
        both.advance(_contract(both, "PriceFeed").configs[c].window)
        if not _report(both, c, 1):
            return []
    lots = [id for id, lot in auction.lots.items() if lot.target and lot.collateral_type == c]
    return [id for id in lots if both.model.foresee(Action("CollateralAuction", "close", (id,), VISITOR)).ok]


def _give(both: Lockstep, who: str, amount: int, token: str = "Stablecoin") -> bool:
    """Collect a token from people until somebody has so much; False if they have not enough."""
    balances = _contract(both, token).balances
    for holder, held in sorted(balances.items()):
        missing = amount - balances[who]
        if missing <= 0:
            break
        if holder != who and held and holder not in both.model.world.addresses:
            _must(both, token, "transfer", who, min(held, missing), by=holder)
    return bool(balances[who] >= amount)


def _report(both: Lockstep, c: int, price: int) -> bool:
    """Have all reporters make a price the current and the next one."""
    feed = _contract(both, "PriceFeed")
    config = feed.configs[c]
    for _ in range(2 + (config.confirmations if config.deviation else 0)):
        both.advance(max(0, feed.averages[c].stepped_at + config.step - both.timestamp))
        for reporter in feed.reporters_of(VISITOR, c):
            if reporter in both.model.world.addresses:
                continue  # an adapter: the others are enough
            if not _apply(both, "PriceFeed", "report", c, price, by=reporter).ok:
                return False
        if not _apply(both, "PriceFeed", "poke", c, by=VISITOR).ok:
            return False
    return bool(feed.prices[c].current == price)


# --------------------------------------------------------------------- the state


def _contract(both: Lockstep, name: str) -> Any:
    return both.model.world.contracts[name]


def _types(both: Lockstep) -> range:
    return range(_contract(both, "VaultEngine").type_count[()])


def _issuer(both: Lockstep, c: int) -> Domain | None:
    """The domain that a type is, if it is one."""
    found = both.model.world.addresses.get(_contract(both, "PriceFeed").issuers[c])
    return cast("Domain", found) if found is not None and found.KIND == "Domain" else None


def _token(both: Lockstep, c: int) -> Any:
    return both.model.world.addresses[_contract(both, "VaultEngine").terms[c].token]


def _deficit(both: Lockstep, c: int) -> int:
    return int(_contract(both, "VaultEngine").deficit[c])


def _payer_names(both: Lockstep) -> list[str]:
    """Who pays at once: the buffer, the reserve, the pools with their unvested income, borrowers."""
    return ["buffer", "reserve", *_pools(both), "borrowers"]


def _payers(both: Lockstep, c: int) -> list[int]:
    """What each of them has, rad; borrowers lose what their debt grows by."""
    engine = _contract(both, "VaultEngine")
    return [
        engine.income[c].buffer,
        engine.system[()].reserve,
        *(_contract(both, name).assets[()].booked * RAY for name in _pools(both)),
        -engine.debts[c].performing,
    ]


def _creditors(both: Lockstep, c: int) -> dict[str, int]:
    """What those have who may lose by a type's workouts, rad, and what nobody has paid yet."""
    found = dict(zip(_payer_names(both), _payers(both, c), strict=True))
    del found["borrowers"]
    return found | {"whoever pays next": -_deficit(both, c)}


def _pools(both: Lockstep) -> list[str]:
    """The pools of stablecoin."""
    return [name for name in ("Junior", "Senior", "Savings") if name in both.model.world.contracts]


def _all_pools(both: Lockstep) -> list[str]:
    return [*_pools(both), *(["StakedEquity"] if "StakedEquity" in both.model.world.contracts else [])]


def _pick(random: Random, choices: Sequence[Any] | Iterator[Any]) -> Any:
    """One of them; None of none."""
    found = list(choices)
    return random.choice(found) if found else None


def _apply(both: Lockstep, contract: str, method: str, *args: Any, by: str) -> Outcome:
    return both.apply(Action(contract, method, args, by))


def _must(both: Lockstep, contract: str, method: str, *args: Any, by: str) -> None:
    """A step on the way that cannot fail."""
    outcome = _apply(both, contract, method, *args, by=by)
    if not outcome.ok:
        raise Violation(f"{contract}.{method}{args} from {by} fails: {outcome.reason!r}")
