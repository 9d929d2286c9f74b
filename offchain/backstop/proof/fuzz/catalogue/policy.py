"""New risk and what limits it: margin calls, brackets, limits on flows, fees that follow utilisation."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY
from backstop.proof.fuzz.catalogue.prices import settle_price
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action


def _between(s: Scene, c: int) -> list[str]:
    """Return owners under the call ratio at the current price, whom nobody may liquidate yet."""
    if s.policy is None or not s.policy.calls[c].ratio:
        return []
    found = []
    for owner in s.people:
        vault, debt = s.vault(c, owner), s.debt(c, owner)
        worth = vault.locked_collateral * s.feed.prices[c].current * BASIS_POINTS
        add_on = s.policy.add_on("", c, debt)
        terms = s.terms(c)
        if debt * terms.liquidation_ratio <= worth - add_on < debt * s.policy.calls[c].ratio:
            found.append(owner)
    return found


@move(weight=1.5)
def call_for_margin(s: Scene) -> Iterator[Action | Wait]:
    """Call a vault between both ratios; then it is met, or it is liquidated, in time or not."""
    if s.policy is None:
        return
    c = s.type()
    found = _between(s, c)
    if not found:
        owing = [owner for owner in s.people if s.debt(c, owner) and s.vault(c, owner).locked_collateral]
        ratio = s.policy.calls[c].ratio
        if not owing or not ratio or s.chance(0.5):
            if s.chance(0.1):
                yield s.call("LiquidationEngine", "call", c, s.somebody(), by=s.somebody())
            return
        owner = s.some(owing)
        # A price at which this vault is just under its call ratio.
        need = s.debt(c, owner) * ratio + s.policy.add_on("", c, s.debt(c, owner))
        price = need // (s.vault(c, owner).locked_collateral * BASIS_POINTS)
        if not 0 < price <= bounds.MAX_PRICE:
            return
        for _ in range(2):
            yield from settle_price(s, c, price)
        found = [owner]
    owner = s.some(found)
    yield s.call("LiquidationEngine", "call", c, owner, by=s.somebody())
    yield from _after_a_call(s, c, owner)


def _after_a_call(s: Scene, c: int, owner: str) -> Iterator[Action | Wait]:
    assert s.policy is not None
    terms = s.policy.calls[c]
    kind = s.random.randrange(5)
    if kind == 0:
        yield s.call("VaultEngine", "deposit_and_draw", c, owner, 0, s.part(10**21), owner, by=owner)
        yield s.call("VaultEngine", "repay_and_withdraw", c, owner, 0, s.terms(c).unit, owner, by=owner)
    elif kind == 1:
        repaid = s.near(s.debt(c, owner) // RAY // 2)
        yield s.call("VaultEngine", "repay_and_withdraw", c, owner, repaid, 0, owner, by=owner)
    elif kind == 2:
        deposit = s.near(s.vault(c, owner).locked_collateral)
        yield s.call("VaultEngine", "deposit_and_draw", c, owner, deposit, 0, owner, by=s.somebody())
    else:
        yield Wait(terms.grace + s.some((-1, 0, 1, terms.valid, terms.valid + 1)))
        if s.chance(0.8):
            yield from settle_price(s, c, s.feed.prices[c].current)
        yield s.call("LiquidationEngine", "liquidate", c, owner, owner, by=s.somebody())
        if s.chance(0.3):
            yield s.call("LiquidationEngine", "call", c, owner, by=s.somebody())


@move(weight=2.2)
def set_policy(s: Scene) -> Iterator[Action | Wait]:
    """Set brackets, limits, growth caps, curves, calls and effects of modes, within and beyond bounds."""
    if s.policy is None:
        return
    by = s.admin if s.chance(0.93) else s.somebody()
    c, kind = s.type(), s.random.randrange(8)
    above = (0, 1, 10**4, 10**7, bounds.MAX_DEBT_CEILING, bounds.MAX_DEBT_CEILING + 1)
    rates = (0, 1, 500, 3_000, bounds.MAX_ADD_ON)
    if kind == 0:
        four = [(s.some(above), s.some(rates)) for _ in range(4)]
        yield s.call("RiskPolicy", "set_brackets", c, tuple(four[:2]), tuple(four[2:]), by=by)
    elif kind == 1:
        cap, window = s.some((*above, 10**5)), s.some((59, 60, 3_600, 86_400, bounds.MAX_FLOW_WINDOW))
        yield s.call("RiskPolicy", "set_flow_limit", c, cap, window, by=by)
    elif kind == 2:
        anchor = s.near(s.price(c), 0, bounds.MAX_PRICE)
        growth = s.some((0, 500, bounds.MAX_GROWTH, bounds.MAX_GROWTH + 1))
        yield s.call("RiskPolicy", "set_growth_cap", c, anchor, growth, by=by)
    elif kind == 3:
        points = (0, 1, 400, 9_000, 10_000, 16_384, MAX_UINT256)
        curve = tuple(s.some(points[:5] if s.chance(0.9) else points) for _ in range(4))
        line = s.near(s.debts(c).performing // RAD, 10**6)
        speed = s.some((0, 0, 1, 50, bounds.MAX_FEE_SPEED, bounds.MAX_FEE_SPEED + 1))
        yield s.call("RiskPolicy", "set_fee_curve", c, curve, line, speed, by=by)
    elif kind == 4:
        terms = s.terms(c)
        ratio = s.near(terms.liquidation_ratio, terms.initial_ratio, 0)
        times = (59, 60, 3_600, 86_400, bounds.MAX_CALL_TIME + 1)
        yield s.call("RiskPolicy", "set_call_terms", c, ratio, s.some(times), s.some(times), by=by)
    elif kind == 5:
        factor = s.some((0, 99, 100, 10_000, bounds.MAX_LIMITS_FACTOR, bounds.MAX_LIMITS_FACTOR + 1))
        yield s.call("RiskPolicy", "set_effects", s.some((*rates, 10_001)), factor, by=by)
    elif kind == 6:
        yield s.call("VaultEngine", "set_fee_dynamic", c, s.chance(0.7), by=by)
    else:
        # Itself answers for every type; nobody else does.
        policy = s.policy.address if s.chance(0.7) else s.somebody()
        yield s.call("VaultEngine", "set_risk_policy", policy, by=by)
    if s.chance(0.1):
        yield s.call("RiskPolicy", "adopt_mode", s.random.randrange(s.listed + 1), by=s.somebody())


@move(weight=1)
def flow_out(s: Scene) -> Iterator[Action | Wait]:
    """Draw, and draw again, up to what the limit on flows leaves, to the wei and over it."""
    if s.policy is None:
        return
    c, owner = s.type(), s.some(s.people)
    flow = s.policy.flow_of("", c)
    if not flow.cap:
        return
    left = (flow.cap * 10**6 - flow.used) * 10**12
    for _ in range(2):
        drawn = min(max(s.near(left), 0), max(s.drawable(c, owner), 0))
        yield s.call("VaultEngine", "deposit_and_draw", c, owner, 0, drawn, owner, by=owner)
        yield Wait(s.some((0, 1, flow.window // 2)))
