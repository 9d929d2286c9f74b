"""The admin turns every knob, within its bounds and just outside; others try as well."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.deployment_parameters import EXPONENTIAL, LINEAR
from backstop.model import bounds
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY
from backstop.model.roles import CEILINGS, GUARDIAN, MINTER, STAGE
from backstop.model.state import ZERO_ADDRESS
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.opening import ADAPTED, ADAPTER, beside_the_adapter
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action

ADMINISTERED = ("VaultEngine", "PriceFeed", "CollateralAuction", "LossWaterfall", "Settlement")


def _administered(s: Scene) -> str:
    names = (*ADMINISTERED, "Equity", "Treasury", "AutoCeiling", "CircuitBreaker", *s.domains)
    return s.some([name for name in names if name in s.deployment.addresses])


def _by(s: Scene) -> str:
    return s.admin if s.chance(0.93) else s.somebody()


def _value(s: Scene, usual: tuple[int, ...], highest: int, lowest: int = 0) -> int:
    """Draw an ordinary value; one in six is at a bound or just outside."""
    if s.chance(0.83):
        return s.some(usual)
    return s.some((lowest, highest, highest + 1, max(lowest - 1, 0), MAX_UINT256))


@move(weight=1)
def set_engine_parameter(s: Scene) -> Iterator[Action | Wait]:
    """Set a ceiling, floor, fee, limit or share of a type."""
    c = s.type()
    parameters = s.deployment.parameters.collateral_types[c]
    method, usual, highest = s.some(
        (
            (
                "set_debt_ceiling",
                (parameters.debt_ceiling, s.terms(c).debt_ceiling + 1, 10**7),
                bounds.MAX_DEBT_CEILING,
            ),
            ("set_debt_floor", (parameters.debt_floor, 0, 1, 2_000), bounds.MAX_DEBT_FLOOR),
            ("set_stability_fee", (parameters.stability_fee, 0, 10**18), bounds.MAX_STABILITY_FEE),
            ("set_auction_limit", (parameters.auction_limit, 10**7, 1), bounds.MAX_DEBT_CEILING),
            ("set_buffer_share", (0, 5_000, 10_000), bounds.MAX_BUFFER_SHARE),
            ("set_redistribution_cap", (parameters.redistribution_cap, 0, 500), 10_000),
        )
    )
    yield s.call("VaultEngine", method, c, _value(s, usual, highest), by=_by(s))


@move(weight=0.7)
def set_ratios(s: Scene) -> Iterator[Action | Wait]:
    """Set the liquidation and initial ratio of a type; its own again soon after."""
    c = s.type()
    parameters = s.deployment.parameters.collateral_types[c]
    low = _value(s, (parameters.liquidation_ratio, 11_000, 14_500), bounds.MAX_RATIO, bounds.MIN_RATIO)
    high = s.some((low, low + 500, max(low - 1, 0), bounds.MAX_RATIO, bounds.MAX_RATIO + 1))
    yield s.call("VaultEngine", "set_ratios", c, low, min(high, MAX_UINT256), by=_by(s))
    if s.chance(0.7):
        own = (parameters.liquidation_ratio, parameters.initial_ratio)
        yield s.call("VaultEngine", "set_ratios", c, *own, by=s.admin)


@move(weight=0.7)
def set_global_limits(s: Scene) -> Iterator[Action | Wait]:
    """Set the ceiling and the auction limit of all types together."""
    own = s.deployment.parameters
    if s.chance(0.5):
        value = _value(s, (own.global_debt_ceiling, 0, 10**6), bounds.MAX_GLOBAL_DEBT_CEILING)
        yield s.call("VaultEngine", "set_global_debt_ceiling", value, by=_by(s))
        if s.chance(0.7):
            yield s.call("VaultEngine", "set_global_debt_ceiling", own.global_debt_ceiling, by=s.admin)
    else:
        value = _value(s, (own.global_auction_limit, 0, 10**5), bounds.MAX_GLOBAL_DEBT_CEILING)
        yield s.call("VaultEngine", "set_global_auction_limit", value, by=_by(s))
        if s.chance(0.7):
            yield s.call("VaultEngine", "set_global_auction_limit", own.global_auction_limit, by=s.admin)


@move(weight=0.8)
def set_curve(s: Scene) -> Iterator[Action | Wait]:
    """Set how the price of auctions under way falls."""
    c = s.type() if s.chance(0.9) else s.listed
    own = s.deployment.parameters.collateral_types[min(c, s.listed - 1)].auction
    curve = (
        s.some((own.curve, own.curve, LINEAR, EXPONENTIAL, EXPONENTIAL + 1)) if s.chance(0.5) else own.curve
    )
    period = _value(s, (own.period, 90, 14_400), bounds.MAX_PERIOD, bounds.MIN_PERIOD)
    cut = _value(s, (own.cut, 99 * RAY // 100, RAY - 1), bounds.MAX_CUT, bounds.MIN_CUT)
    tail = _value(s, (own.tail, 3_600), bounds.MAX_TAIL, bounds.MIN_TAIL)
    cusp = _value(s, (own.cusp, 4_000), bounds.MAX_CUSP, bounds.MIN_CUSP)
    yield s.call("CollateralAuction", "set_curve", c, curve, period, cut, tail, cusp, by=_by(s))


@move(weight=0.8)
def set_auction_terms(s: Scene) -> Iterator[Action | Wait]:
    """Set a type's starting price, penalty and rewards."""
    c = s.type()
    own = s.deployment.parameters.collateral_types[c].auction
    kind = s.random.randrange(4)
    by = _by(s)
    if kind == 0:
        value = _value(s, (own.buf, 12_000, 10_000), bounds.MAX_BUF, bounds.MIN_BUF)
        yield s.call("CollateralAuction", "set_buf", c, value, by=by)
    elif kind == 1:
        value = _value(s, (own.penalty, 11_300, 10_000), bounds.MAX_PENALTY, bounds.MIN_PENALTY)
        yield s.call("CollateralAuction", "set_penalty", c, value, by=by)
    elif kind == 2:
        tip = _value(s, (own.tip, 0, 50), bounds.MAX_TIP)
        chip = _value(s, (own.chip, 0, 10), bounds.MAX_CHIP)
        yield s.call("CollateralAuction", "set_rewards", c, tip, chip, by=by)
    else:  # it has terms already
        values = (own.curve, own.period, own.cut, own.tail, own.cusp, own.buf, own.penalty, own.tip, own.chip)
        yield s.call("CollateralAuction", "add_terms", c, *values, by=by)


@move(weight=0.7)
def stop_auctions(s: Scene) -> Iterator[Action | Wait]:
    """Have the admin stop starts or resets, and let them go on, most of the time soon; others are refused."""
    c = s.type()
    by = s.some((s.guardian, s.admin, s.admin, s.somebody()))
    yield s.call("CollateralAuction", "set_stop", c, s.some((1, 1, 2, 2, 0, 3)), by=by)
    if s.chance(0.5):
        due = [id for id in s.open_auctions() if s.auction.lots[id].collateral_type == c]
        if due:
            yield s.call("CollateralAuction", "reset", s.some(due), s.somebody(), by=s.somebody())
        found = s.unsafe(c)
        if found:
            yield s.call("LiquidationEngine", "liquidate", c, found[0], s.somebody(), by=s.somebody())
    if s.chance(0.85):
        yield s.call("CollateralAuction", "set_stop", c, 0, by=s.admin)


@move(weight=0.8)
def set_market(s: Scene) -> Iterator[Action | Wait]:
    """Set reporters and times of a feed: the same again, one more, or what is refused."""
    c = s.type()
    own = s.deployment.parameters.collateral_types[c].feed
    reporters = [s.deployment.get_account(f"reporter_{i + 1}") for i in range(own.reporters)]
    if c == ADAPTED and s.chance(0.6):
        reporters = [*beside_the_adapter(reporters), s.world.contracts[ADAPTER].address]
    if s.chance(0.15):
        reporters.append(s.some((reporters[0], ZERO_ADDRESS, s.somebody())))
    if s.chance(0.02):
        reporters = [s.somebody()] * (bounds.MAX_REPORTERS + 1)
    quorum = s.some((bounds.MIN_QUORUM - 1, len(reporters) + 1)) if s.chance(0.1) else own.quorum
    step = _value(s, (own.step,), bounds.MAX_STEP, bounds.MIN_STEP)
    age = _value(s, (own.max_age,), bounds.MAX_REPORT_AGE, 1)
    stale = (
        s.some((max(step, 1) - 1, bounds.MAX_STALE_AFTER + 1))
        if s.chance(0.1)
        else max(own.stale_after, step)
    )
    window = _value(s, (own.window,), bounds.MAX_WINDOW, bounds.MIN_WINDOW)
    args = (c, tuple(reporters), quorum, step, age, min(stale, MAX_UINT256), window)
    yield s.call("PriceFeed", "set_market", *args, by=_by(s))


@move(weight=0.8)
def set_guards(s: Scene) -> Iterator[Action | Wait]:
    """Set the guards of a market, and most of the time its own again."""
    c = s.market()
    equity, types = s.deployment.parameters.equity, s.deployment.parameters.collateral_types
    own = types[c].feed if equity is None or c < s.listed else equity.feed
    deviation = _value(s, (own.deviation, 0, 1, 1_000, 5_000), bounds.MAX_DEVIATION)
    confirmations = _value(s, (1, 2, 3), bounds.MAX_CONFIRMATIONS, bounds.MIN_CONFIRMATIONS)
    grace = _value(s, (own.grace, 0, 600), bounds.MAX_GRACE)
    dead_after = _value(s, (own.dead_after, 0, 1, 3_600), bounds.MAX_DEAD_AFTER)
    yield s.call("PriceFeed", "set_guards", c, deviation, confirmations, grace, dead_after, by=_by(s))
    if s.chance(0.7):
        values = own.deviation, own.confirmations, own.grace, own.dead_after
        yield s.call("PriceFeed", "set_guards", c, *values, by=s.admin)


@move(weight=0.8)
def halt_market(s: Scene) -> Iterator[Action | Wait]:
    """Have the guardian halt a market; somebody tries it, the admin ends the halt, most of the time soon."""
    c = s.market() if s.chance(0.95) else s.listed
    by = s.some((s.guardian, s.guardian, s.admin, s.somebody()))
    yield s.call("PriceFeed", "set_halted", c, s.some((True, True, True, False)), by=by)
    if s.chance(0.5):
        yield s.call("PriceFeed", "poke", c, by=s.somebody())
    for owner in s.unsafe(c)[:1] if c < s.listed else ():
        yield s.call("LiquidationEngine", "liquidate", c, owner, s.somebody(), by=s.somebody())
    if s.chance(0.85):
        yield s.call("PriceFeed", "set_halted", c, False, by=s.admin)


@move(weight=0.8)
def change_roles(s: Scene) -> Iterator[Action | Wait]:
    """Give and take roles. A stage's role may reach a person, who then covers as stages do."""
    contract, who = _administered(s), s.somebody()
    role = s.some((STAGE, GUARDIAN, MINTER, CEILINGS, bytes(32)))
    method = s.some(("grant_role", "revoke_role"))
    yield s.call(contract, method, role, who, by=_by(s))


@move(weight=0.6)
def hand_over(s: Scene) -> Iterator[Action | Wait]:
    """Offer the admin's role and take it back, or have somebody accept it and return it."""
    contract, who = _administered(s), s.somebody()
    if s.chance(0.3):
        yield s.call(contract, "accept_admin", by=who)
        return
    yield s.call(contract, "transfer_admin", who, by=_by(s))
    if s.chance(0.5):
        yield s.call(contract, "accept_admin", by=who)
        yield s.call(contract, "transfer_admin", s.admin, by=who)
        yield s.call(contract, "accept_admin", by=s.admin)


@move(weight=0.5)
def retire_type(s: Scene) -> Iterator[Action | Wait]:
    """Take a type that was listed later off the list, or, refused, one that is in use."""
    later = range(s.listed, int(s.engine.type_count[()]))
    if later and s.chance(0.8):
        c = s.some(later)
    else:
        c = s.type()
        if not s.engine.debts[c].normalized_debt and s.chance(0.95):
            return
    yield s.call("VaultEngine", "retire_collateral_type", c, by=_by(s))
    who = s.somebody()
    if s.chance(0.5):
        yield s.call("VaultEngine", "deposit_and_draw", c, who, 10**18, 0, who, by=who)
    yield s.call(
        "VaultEngine", "repay_and_withdraw", c, who, 0, MAX_UINT256 if s.chance(0.1) else 0, who, by=who
    )


@move(weight=0.6)
def list_token(s: Scene) -> Iterator[Action | Wait]:
    """List a further type, which is used without a price or terms, or refused."""
    by = _by(s)
    choices = ("Plain", "Plain", "Fine", "Odd", "Stablecoin")
    token = s.world.contracts[s.some(choices)].address
    low = _value(s, (14_500,), bounds.MAX_RATIO, bounds.MIN_RATIO)
    yield s.call("VaultEngine", "add_collateral_type", token, low, s.some((low, low, 20_000)), by=by)
    c = int(s.engine.type_count[()]) - 1
    if c >= s.listed:
        who = s.somebody()
        kind = s.random.randrange(4)
        if kind == 0:
            yield s.call("CollateralAuction", "set_buf", c, 12_000, by=s.admin)
        elif kind == 1:
            yield s.call("PriceFeed", "poke", c, by=who)
        elif kind == 2:
            yield s.call("LiquidationEngine", "liquidate", c, who, who, by=who)
        else:
            yield s.call("VaultEngine", "deposit_and_draw", c, who, 10**18, 1, who, by=who)


@move(weight=0.8)
def set_stages(s: Scene) -> Iterator[Action | Wait]:
    """Set the order of losses: fixed already, and on a waterfall that nobody uses, every mistake first."""
    if s.chance(0.3):
        yield s.call(
            "LossWaterfall", "set_stages", ((s.savings.address, True, False, False, False, 0, 0),), by=_by(s)
        )
        return
    first = (s.world.contracts["SpareStage"].address, True, False, False, False, MAX_UINT256, 10_000)
    other = s.some((s.somebody(), s.somebody(), ZERO_ADDRESS))
    terms = s.some(
        (
            (),
            (first, first),
            (first, (other, False, True, True, False, 10**45, s.some((0, 10_001)))),
            ((other, False, False, False, False, 0, 10_001),),
            ((ZERO_ADDRESS, False, False, False, False, 0, 0),),
        )
    )
    if s.chance(0.1):
        terms = (first,)
    yield s.call("SpareWaterfall", "set_stages", terms, by=_by(s))


@move(weight=0.5)
def change_caps(s: Scene) -> Iterator[Action | Wait]:
    """Propose new caps, at times for another order; somebody waits and applies them, or others."""
    terms = [tuple(s.waterfall.stage_terms("", k)) for k in s.waterfall.stage_ids("")]
    k = s.random.randrange(len(terms))
    caps = s.some((MAX_UINT256, MAX_UINT256, 0, 1_000 * RAD)), _value(s, (10_000, 5_000, 1), 10_000)
    terms[k] = (*terms[k][:5], *caps)
    wrong = list(terms)
    if s.chance(0.25):
        kind = list(terms[k][:5])
        place = s.random.randrange(5)
        kind[place] = s.somebody() if place == 0 else not kind[place]
        wrong[k] = (*kind, *caps)
        if s.chance(0.2) and len(wrong) > 1:
            wrong.pop()
    yield s.call("LossWaterfall", "propose_stages", tuple(wrong), by=_by(s))
    if s.chance(0.7):
        yield Wait(s.waterfall.cap_delay - s.some((0, 0, 0, 1)))
        if s.chance(0.1):
            wrong[0] = (*wrong[0][:6], 7)
        yield s.call("LossWaterfall", "apply_stages", tuple(wrong), by=s.somebody())


@move(weight=0.6)
def change_stages(s: Scene) -> Iterator[Action | Wait]:
    """Add a stage in between, or leave one out, at times one that fails or has something; in time or not."""
    waterfall = s.waterfall
    terms = [tuple(waterfall.stage_terms("", k)) for k in waterfall.stage_ids("")]
    new = s.world.contracts[s.some(("SpareStage", "SpareStage", "OddPool"))].address
    place = s.random.randrange(len(terms) + 1)
    kind = s.random.randrange(4)
    if kind < 2:
        slow = s.chance(0.5)
        terms.insert(place, (new, s.chance(0.5), slow, False, s.chance(0.3), MAX_UINT256, 10_000))
    if kind >= 1 and len(terms) > 1:
        terms.pop(s.random.randrange(len(terms)))
    if kind == 3 and len(terms) > 1 and s.chance(0.3):
        terms.reverse()
    leaves = [waterfall.stages[k].stage for k in waterfall.stage_ids("")]
    leaves = [stage for stage in leaves if stage not in [each[0] for each in terms]]
    breaks = bool(leaves) and s.chance(0.3)
    if breaks:
        yield s.call("VaultEngine", "revoke_role", STAGE, leaves[0], by=s.admin)
    yield s.call("LossWaterfall", "propose_stages", tuple(terms), by=_by(s))
    if s.chance(0.8):
        yield Wait(waterfall.cap_delay - s.some((0, 0, 0, 0, 1)))
        yield s.call("LossWaterfall", "apply_stages", tuple(terms), by=s.somebody())
    if breaks and s.chance(0.8):
        yield s.call("VaultEngine", "grant_role", STAGE, leaves[0], by=s.admin)
