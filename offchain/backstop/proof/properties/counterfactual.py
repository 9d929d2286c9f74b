"""Properties of what would happen: each plays one or more futures of the present state, and takes them back.

Model and chain play them together and are compared at every step. A property that finds nothing to try
in a state says so: it returns False.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, cast

from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD, div_up
from backstop.proof.properties.both import Both
from backstop.proof.properties.figures import arithmetic as own
from backstop.proof.properties.future import (
    VISITOR,
    YEAR,
    accrue,
    all_pools,
    announce_loss,
    apply,
    ask_to_leave,
    break_the_feed,
    claim,
    collapse,
    contract_of,
    deficit,
    give,
    given_up,
    issuer,
    must,
    open_workouts,
    payer_names,
    payers,
    pick,
    pools_can_pay,
    raise_mode,
    report,
    settle,
    token_of,
    types,
)
from backstop.proof.properties.registry import (
    COUNTERFACTUAL_PROPERTIES,
    Question,
    Violation,
    counterfactual_property,
)

if TYPE_CHECKING:
    from backstop.model.erc20 import ERC20
    from backstop.model.pool import Pool

# Tokens that do what a transfer promises.
_SOUND = ("Token", "SilentToken")


def ask(both: Both, question: Question) -> bool:
    """Ask one property about the present state; False if it has nothing to try. Raises Violation."""
    try:
        return COUNTERFACTUAL_PROPERTIES[question.number](both, Random(question.seed))
    except Violation as violation:
        # One from a step on the way has its number.
        if not violation.number:
            violation.tell(question.number)
        raise


@counterfactual_property(6)
def partition_invariance(both: Both, random: Random) -> bool:
    """Assert that a loss covered in n parts moves each payer as one covered in one part does, to n wei."""
    c = pick(random, types(both))
    if c is None or both.parameters is None or both.parameters.has_stage("scripted"):
        return False
    with both.fork_state():
        lots = collapse(both, c)
        n = len(lots) + bool(deficit(both, c))
        if n < 2:
            return False
        # The part that borrowers can bear is measured at the rate of the last accrual.
        accrue(both, c)
        paid, rest = [], 0
        for parts in ([lots], [[], *([id] for id in lots)]):
            with both.fork_state():
                before = payers(both, c)
                for part in parts:
                    for id in part:
                        must(both, "CollateralAuction", "close", id, by=VISITOR)
                    if not deficit(both, c):
                        continue
                    outcome = apply(both, "LossWaterfall", "cover", c, by=VISITOR)
                    if not outcome.ok:
                        return False  # a stage without its role
                    # The reserve has it before the next part asks the reserve.
                    rest += given_up(outcome)
                paid.append([a - b for a, b in zip(before, payers(both, c), strict=True)])
    # A wei for each stage that pays in tokens; where borrowers bear a loss, a ray for each unit of debt; and
    # what is too little for an auction of equity goes by it.
    grain = RAY * len(payer_names(both)) + contract_of(both, "VaultEngine").debts[c].normalized_debt
    if any(both.parameters.has_stage(name) for name in ("staked_equity", "minted_equity")):
        grain = RAD
    for name, once, split in zip(payer_names(both), *paid, strict=True):
        if abs(once - split) > n * grain + rest * RAY:
            raise Violation(f"type {c}: {name} pays {once} rad at once, {split} in {n} parts")
    return True


@counterfactual_property(7)
def exit_neutrality(both: Both, random: Random) -> bool:
    """Assert that leaving before losses are covered pays no more than right after, but for a wei a type.

    The same holds for leaving between the announcement of a domain's loss and its booking.
    """
    if both.parameters is None or both.parameters.has_stage("scripted"):
        return False
    contracts = both.model.world.addresses
    found = [
        (name, who)
        for name in all_pools(both)
        for who in contract_of(both, name).holders()
        if who not in contracts
    ]
    member, c = pick(random, found), pick(random, types(both))
    if member is None or c is None or not pools_can_pay(both):
        return False
    name, owner = member
    pool = contract_of(both, name)
    with both.fork_state():
        domain = announce_loss(both, c, random)
        if domain is None:
            for id in collapse(both, c):
                must(both, "CollateralAuction", "close", id, by=VISITOR)
        batch = ask_to_leave(both, name, owner)
        # What is in doubt is measured at the rate of the last accrual: fees since then are nobody's yet.
        for each in types(both):
            accrue(both, each)
        ends = []
        for known in (True, False):
            with both.fork_state():
                if known:
                    owed = pool.line[()].owed
                    settle(both, name)
                    early = _redeem(both, name, owner, batch)
                    # What is paid while a loss is in doubt takes its share of a cap along.
                    ahead = 0 if domain is None else pool.line[()].owed - owed
                if domain is not None:
                    must(both, domain.label, "realise_loss", by=VISITOR)
                losing = [c for c in types(both) if deficit(both, c)]
                for c in losing:
                    outcome = apply(both, "LossWaterfall", "cover", c, by=VISITOR)
                    if not outcome.ok or any(log.event == "StageFailed" for log in outcome.logs):
                        return False  # a stage without its role: nobody knew that it pays nothing
                settle(both, name)
                # What a run holds back for losses that are still in doubt comes later.
                waits = contract_of(both, "LossWaterfall").doubt_total(VISITOR) > 0
                late = _redeem(both, name, owner, batch)
                ends.append(early if known and not pool.cooldown else late)
    # Without a cooldown what a leaver forfeits stays; from a batch all comes that a loss does not take.
    alike = pool.cooldown and pool.KIND != "EquityPool" and not waits
    slack = len(losing) + 2 + _let_pass(both, name, ahead)
    if ends[0] > ends[1] + slack or (alike and ends[1] > ends[0] + slack):
        raise Violation(f"{owner} leaves {name} with {ends[0]} before losses are covered, {ends[1]} after")
    return bool(losing)


def _let_pass(both: Both, name: str, ahead: int) -> int:
    """Return what a pool does not cover, under a cap that is a share of it, as some was paid ahead [wad]."""
    waterfall = contract_of(both, "LossWaterfall")
    place = waterfall.ids[contract_of(both, name).address]
    cap = waterfall.stages[place - 1].cap_bps if place else 10_000
    tolerated = contract_of(both, name).totalAssets("") // 10_000
    return int(tolerated + ahead) * cap // 10_000 if cap < 10_000 else 0


@counterfactual_property(10)
def the_way_out_is_open(both: Both, random: Random) -> bool:
    """Assert that repaying in full, topping up and withdrawing all without debt succeed in any state.

    No halt, price that waits, grace or feed given up as dead stands in the way. A bridge can pay all back
    with a loss announced, and a workout can be paid in full. Nothing is taken in for a type that is
    retired, in which nobody owes anything.
    """
    engine = contract_of(both, "VaultEngine")
    if random.random() < 0.2 and not engine.in_settlement(VISITOR):
        return _a_bridge_pays_all(both, random)
    workouts = open_workouts(both)
    if workouts and not engine.in_settlement(VISITOR) and random.random() < 0.5:
        return _workout_can_be_paid(both, random.choice(workouts), random)
    found = [
        (c, owner)
        for (c, owner), vault in engine.vaults.items()
        if vault.locked_collateral and owner not in both.model.world.addresses
    ]
    vault = pick(random, found)
    if vault is None or engine.in_settlement(VISITOR):
        return False
    c, owner = vault
    token = both.model.world.addresses[engine.terms[c].token]
    with both.fork_state():
        break_the_feed(both, c, random)
        raise_mode(both, random)
        accrue(both, c)
        debt = engine.vaults[c, owner].normalized_debt * engine.debts[c].accumulated_rate
        whole = div_up(debt, RAY)
        if not give(both, owner, whole):
            return False
        if whole:
            _open(both, "repay_and_withdraw", c, owner, whole, 0, owner)
        if engine.vaults[c, owner].normalized_debt:
            raise Violation(f"vault {c, owner} still owes after repaying all of {whole} wei")
        if token.KIND not in _SOUND:
            return True
        unit = engine.terms[c].unit
        room = engine.vaults[c, owner].locked_collateral + unit < 2**103
        if room and not engine.terms[c].settling and apply(both, token.label, "mint", owner, 1, by=owner).ok:
            must(both, token.label, "approve", engine.address, 1, by=owner)
            _open(both, "deposit_and_draw", c, owner, unit, 0, owner)
        _open(both, "repay_and_withdraw", c, owner, 0, engine.vaults[c, owner].locked_collateral, owner)
    return True


@counterfactual_property(12)
def round_trips_never_pay(both: Both, random: Random) -> bool:
    """Assert that in and out again, of a vault at one instant or of a pool, never leaves more than before."""
    return (_vault_trip if random.random() < 0.5 else _pool_trip)(both, random)


@counterfactual_property(13)
def a_lower_price_never_helps(both: Both, random: Random) -> bool:
    """Assert that nothing is gained if a vault is liquidated at a lower price and its lot sold as late."""
    engine, feed = contract_of(both, "VaultEngine"), contract_of(both, "PriceFeed")
    vault = pick(random, [key for key, vault in engine.vaults.items() if vault.normalized_debt])
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
    wait = contract_of(both, "CollateralAuction").terms[c].tail * random.choice((0, 1, 2, 5)) // 20
    left = []
    for price in prices:
        with both.fork_state():
            if not report(both, c, price):
                return False
            liquidated = apply(both, "LiquidationEngine", "liquidate", c, owner, VISITOR, by=VISITOR)
            if not liquidated.ok:
                return False
            both.advance(wait)
            give(both, VISITOR, contract_of(both, "Stablecoin").supply[()])
            taken = (liquidated.value, MAX_UINT256, MAX_UINT256, VISITOR, b"")
            if not apply(both, "CollateralAuction", "take", *taken, by=VISITOR).ok:
                return False
            income, system = engine.income[c], engine.system[()]
            owed = engine.auctions[c].in_auction + engine.deficit[c]
            left.append(owed - income.buffer - system.reserve)
    if left[1] < left[0]:
        raise Violation(f"vault {vault} at the prices {prices}: the protocol ends with {left} rad to pay")
    return True


@counterfactual_property(161)
def prices_of_lots_stand_without_blocks(both: Both, random: Random) -> bool:
    """Assert that where auctions count blocks, time without one changes no lot's price, nor what is due.

    Neither does a feed that goes stale meanwhile, or is halted.
    """
    auction = contract_of(both, "CollateralAuction")
    open_lots = [id for id, lot in auction.lots.items() if lot.target]
    if not auction.block_time or not open_lots:
        return False
    id = random.choice(open_lots)
    lot, top, feed = auction.lots[id], auction.tops[id].top, contract_of(both, "PriceFeed")
    terms = auction._terms_of(lot)
    with both.fork_state():
        if random.random() < 0.5 and feed.configs[lot.collateral_type].reporters:
            must(both, "PriceFeed", "set_halted", lot.collateral_type, True, by=feed.admins[()])
        both.advance(random.choice((1, 3_600, 86_400, YEAR)), 0)
        due, price, _, _ = both.view("CollateralAuction", "status", id)
        # On a node the halt has taken a block.
        elapsed = both.model.block_number * auction.block_time - lot.started_at
    if elapsed < 0:
        raise Violation(f"auction {id}: it started {-elapsed} seconds after the block of now")
    right, off = own.fallen(terms.curve, terms.period, terms.cut, top, elapsed)
    edge = top * terms.cusp // BASIS_POINTS
    late = elapsed > terms.tail or right + off < edge
    early = elapsed <= terms.tail and right - off > edge
    if abs(price - right) > off or (late and not due) or (early and due):
        raise Violation(f"auction {id}: without a block {right} became {price}, and a reset is due: {due}")
    return True


def _a_bridge_pays_all(both: Both, random: Random) -> bool:
    engine = contract_of(both, "VaultEngine")
    domain = pick(random, [each for c in types(both) if (each := issuer(both, c)) is not None])
    if domain is None:
        return False
    vault = domain.collateral_type, domain.address
    with both.fork_state():
        both.advance(random.choice((0, 1, YEAR)))
        raise_mode(both, random)
        announce_loss(both, vault[0], random)
        accrue(both, vault[0])
        debt = engine.vaults[vault].normalized_debt * engine.debts[vault[0]].accumulated_rate
        if debt == 0 or not give(both, VISITOR, div_up(debt, RAY)):
            return False
        must(both, "Stablecoin", "approve", domain.address, MAX_UINT256, by=VISITOR)
        outcome = apply(both, domain.label, "repay", MAX_UINT256, by=VISITOR)
        if not outcome.ok or engine.vaults[vault].normalized_debt:
            raise Violation(f"{domain.label} cannot be paid back: {outcome.reason!r}")
    return True


def _workout_can_be_paid(both: Both, id: int, random: Random) -> bool:
    workout = both.view("Workouts", "workout_of", id)
    c, owner = workout.collateral_type, workout.owner
    if contract_of(both, "VaultEngine").vaults[c, owner].locked_collateral + workout.lot >= 2**104:
        return False
    with both.fork_state():
        break_the_feed(both, c, random)
        raise_mode(both, random)
        if not give(both, owner, workout.left):
            return False
        paid = apply(both, "Workouts", "pay", id, MAX_UINT256, by=owner)
        if not paid.ok:
            raise Violation(f"workout {id} cannot be paid: {paid.reason!r}")
    return True


def _vault_trip(both: Both, random: Random) -> bool:
    engine, stablecoin = contract_of(both, "VaultEngine"), contract_of(both, "Stablecoin")
    c = pick(random, [c for c in types(both) if token_of(both, c).KIND in _SOUND])
    if c is None:
        return False
    owner = pick(random, [VISITOR, *(who for at, who in engine.vaults if at == c)])
    assert owner is not None
    if owner in both.model.world.addresses:
        return False
    token, unit = token_of(both, c), engine.terms[c].unit
    with both.fork_state():
        price = contract_of(both, "PriceFeed").prices[c].current
        deposit = random.randrange(10 * WAD) + (10 * engine.terms[c].debt_floor * WAD * RAY // max(price, 1))
        raw = deposit // unit + 1
        if not apply(both, token.label, "mint", owner, raw, by=owner).ok:
            return False
        must(both, token.label, "approve", engine.address, MAX_UINT256, by=owner)
        accrue(both, c)

        def wealth() -> tuple[int, int]:
            """Return the owner's stablecoin without debt [rad] and collateral [wad]."""
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
            done += apply(both, "VaultEngine", *call, by=owner).ok
            after = wealth()
            if after[0] > before[0] or after[1] > before[1]:
                raise Violation(
                    f"{owner} gains from {before} to {after} (rad, wad) by a round trip with type {c}"
                )
    return done > 0


def _pool_trip(both: Both, random: Random) -> bool:
    name = random.choice(all_pools(both))
    pool = cast("Pool", contract_of(both, name))
    asset = cast("ERC20", pool.token)
    with both.fork_state():
        most = max(asset.balances.values(), default=0)
        assets = random.choice((1, most // 1_000, most // 2, 1 + random.randrange(most + 1)))
        if not give(both, VISITOR, assets, asset.label):
            return False
        before = asset.balances[VISITOR]
        # What leavers are paid meanwhile is rounded down, batch by batch: whoever stays has the wei.
        open_batches = pool.state[()].open
        must(both, asset.label, "approve", pool.address, MAX_UINT256, by=VISITOR)
        method, amount = random.choice((("deposit", assets), ("mint", assets * 10**6), ("mint", assets)))
        if not apply(both, name, method, amount, VISITOR, by=VISITOR).ok:
            return False
        # Income that vests meanwhile is earned.
        earned = both.view(name, "unvested")
        batch = ask_to_leave(both, name, VISITOR)
        earned -= both.view(name, "unvested")
        rest = asset.balances[VISITOR]
        settle(both, name)
        if pool.cooldown or random.random() < 0.5:
            after = rest + _redeem(both, name, VISITOR, batch)
        else:
            most = both.view(name, "maxWithdraw", VISITOR)
            if most:
                must(both, name, "withdraw", most, VISITOR, VISITOR, by=VISITOR)
            after = asset.balances[VISITOR]
    if after > before + earned + open_batches:
        raise Violation(f"{name}: {method} of {amount} and out again turns {before} wei into {after}")
    return True


# Nothing is left to pay; equity had no price yet, so nobody knows what losses it will bear.
_STAY = ("pool: no assets", "equity_auction: no price")


def _redeem(both: Both, name: str, owner: str, batch: int) -> int:
    """Return what somebody's part of a batch brings, or all shares without a cooldown; nothing changes."""
    with both.fork_state():
        if contract_of(both, name).cooldown:
            return claim(both, name, owner, batch)
        shares = both.view(name, "maxRedeem", owner)
        outcome = apply(both, name, "redeem", shares, VISITOR, owner, by=owner)
        if not outcome.ok and outcome.reason not in _STAY:
            raise Violation(f"{owner} cannot leave {name} with {shares} shares: {outcome.reason!r}")
        return int(outcome.value or 0)


def _open(both: Both, method: str, *args: Any) -> None:
    """Call the vault engine for an operation that nothing may stop."""
    outcome = apply(both, "VaultEngine", method, *args, by=args[1])
    if not outcome.ok:
        raise Violation(f"{method}{args} is shut: {outcome.reason!r}")
