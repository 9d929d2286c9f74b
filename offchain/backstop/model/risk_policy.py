"""Limits on new risk and its price: margin by size, an outflow limit, fees by utilisation.

Collateral and stablecoin in wad, debt in rad, prices in ray, fees in ray a second, margins in basis points x
rad. A bracket (above, rate) asks `rate` more for the debt above `above`:

    A(d) = sum of max(0, d - above)*rate

which is continuous, exact, and never asks less of a debt because it is larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from backstop.contract_base import (
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD, add_uint256, div_up, mul_uint256
from backstop.model.interfaces import (
    EMERGENCY,
    NORMAL,
    Bracket,
    CallTerms,
    IPriceFeed,
    IVaultEngine,
    NewRisk,
)
from backstop.model.listed_types import decode_listed_types
from backstop.model.roles import Administered

YEAR = 365 * 86_400


MILLIONTH = 10**12
"""Wad of a stablecoin: the unit in which outflow is counted."""


class Curve(NamedTuple):
    """Basis points a year: without debt, more at the kink, more at full utilisation; where the kink is."""

    base: int
    slope_1: int
    slope_2: int
    kink: int


class TermsOf(NamedTuple):
    """Brackets and fee curve of a type, whether there is a cap on its price's growth, and its mode."""

    of_vaults: tuple[Bracket, Bracket]
    of_type: tuple[Bracket, Bracket]
    curve: Curve
    grows: int
    mode: int


@declare_record_slot_bit_widths(32, 14, 32, 14, 32, 14, 32, 14, 14, 14, 16, 14, 1, 2)
class Terms(NamedTuple):
    """Brackets and fee curve of a type, as stored."""

    vault_above_1: int = 0
    vault_rate_1: int = 0
    vault_above_2: int = 0
    vault_rate_2: int = 0
    type_above_1: int = 0
    type_rate_1: int = 0
    type_above_2: int = 0
    type_rate_2: int = 0
    base: int = 0
    slope_1: int = 0
    slope_2: int = 0
    kink: int = 0
    grows: int = 0
    mode: int = NORMAL

    @property
    def of_vaults(self) -> tuple[Bracket, Bracket]:
        """By a vault's own debt."""
        return Bracket(*self[0:2]), Bracket(*self[2:4])

    @property
    def of_type(self) -> tuple[Bracket, Bracket]:
        """By the type's total."""
        return Bracket(*self[4:6]), Bracket(*self[6:8])

    def add_on(self, debt: int) -> int:
        """Return what a vault's own brackets ask beyond its ratio [basis points x rad]."""
        return _sum_bracket_steps(self.of_vaults, debt)


@declare_record_slot_bit_widths(32, 24, 52, 32, 32, 16, 66)
class Flow(NamedTuple):
    """Outflow limit of a window, and its use (in millionths); the line of the curve, and its own movement."""

    cap: int = 0
    window: int = 0
    used: int = 0
    updated: int = 0
    line: int = 0
    speed: int = 0
    rate_at_kink: int = 0


@declare_record_slot_bit_widths(112, 32, 16)
class Growth(NamedTuple):
    """A price, since when it may have grown, and by how many basis points of itself a year."""

    anchor: int = 0
    anchored_at: int = 0
    growth: int = 0


@declare_record_slot_bit_widths(2, 14, 16)
class Modes(NamedTuple):
    """The mode, and the effects of modes, in basis points."""

    mode: int = NORMAL
    caution_margin: int = 0
    emergency_factor: int = 0


class RiskPolicy(Administered):
    """See contracts/RiskPolicy.vy."""

    KIND = "RiskPolicy"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    price_feed_address = immutable("PRICE_FEED", str)
    circuit_breaker = immutable("CIRCUIT_BREAKER", str)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        price_feed: str,
        circuit_breaker: str,
        admin: str,
    ) -> None:
        super().__init__(world, name, address, admin)
        self.vault_engine_address = vault_engine
        self.price_feed_address = price_feed
        self.circuit_breaker = circuit_breaker
        self.terms = self.table("terms", Terms())
        self.flows = self.table("flows", Flow())
        self.growths = self.table("growths", Growth())
        self.calls = self.table("calls", CallTerms())
        self.modes = self.table("modes", Modes())
        self.modes[()] = Modes(emergency_factor=BASIS_POINTS)

    # ---------------------------------------------------------------- new risk

    @external
    def check_new_risk(self, sender: str, risk: NewRisk) -> int:
        """Refuse new risk, or note what flows out; the fee from now on."""
        require(sender == self.vault_engine_address, "risk_policy: not vault engine")
        risk = NewRisk(*risk)
        c = risk.collateral_type
        terms: Terms = self.terms[c]
        require(terms.mode != EMERGENCY, "risk_policy: emergency")
        price = self.risk_price(self.address, c)
        require(price != 0, "risk_policy: no price")
        value = risk.locked_collateral * price * BASIS_POINTS
        required = self._compute_requirement(c, risk.debt, risk.type_debt, risk.initial_ratio)
        require(value >= required, "risk_policy: unsafe")

        flow: Flow = self.flows[c]
        if flow == Flow():
            return 0
        flow = self._leak_flow(flow)
        if flow.cap != 0:
            out = div_up(risk.drawn, MILLIONTH) + div_up(risk.withdrawn * price, MILLIONTH * RAY)
            require(flow.used + out <= flow.cap * 10**6, "risk_policy: flows out too fast")
            flow = flow._replace(used=flow.used + out)
        flow = self._adapt_rate_at_kink(terms, flow, risk.performing_before)
        self._store_flow_with_timestamp(c, flow)
        return _compute_fee(terms, flow, risk.performing)

    @external
    def reprice(self, sender: str, collateral_type: int, performing: int, performing_before: int) -> int:
        """Return the fee after debt was repaid or liquidated [ray a second above RAY]."""
        require(sender == self.vault_engine_address, "risk_policy: not vault engine")
        terms, flow = self.terms[collateral_type], self._leak_flow(self.flows[collateral_type])
        if flow.speed != 0:
            flow = self._adapt_rate_at_kink(terms, flow, performing_before)
            self._store_flow_with_timestamp(collateral_type, flow)
        return _compute_fee(terms, flow, performing)

    # -------------------------------------------------------------- parameters

    @external
    def set_mode(self, sender: str, new: int) -> None:
        """Take on the circuit breaker's mode."""
        require(sender == self.circuit_breaker, "risk_policy: not circuit breaker")
        require(new <= EMERGENCY, "risk_policy: no such mode")
        self.modes[()] = self.modes[()]._replace(mode=new)
        self.emit("ModeSet", new)
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        for c in decode_listed_types(engine.listed(self.address)):
            self.terms[c] = self.terms[c]._replace(mode=new)

    @external
    def sync_mode(self, sender: str, collateral_type: int) -> None:
        """Bring the present mode to a type that was listed after it was set."""
        mode = self.modes[()].mode
        self.terms[collateral_type] = self.terms[collateral_type]._replace(mode=mode)

    @external
    def set_effects(self, sender: str, caution_margin: int, emergency_factor: int) -> None:
        """Set what caution adds to margins, and emergency's share of auction limits [basis points]."""
        self._only_admin(sender)
        require(caution_margin <= bounds.MAX_ADD_ON, "risk_policy: margin bounds")
        factor_fits = bounds.MIN_LIMITS_FACTOR <= emergency_factor <= bounds.MAX_LIMITS_FACTOR
        require(factor_fits, "risk_policy: factor bounds")
        self.modes[()] = Modes(self.modes[()].mode, caution_margin, emergency_factor)
        self.emit("EffectsSet", caution_margin, emergency_factor)

    @external
    def set_brackets(
        self,
        sender: str,
        collateral_type: int,
        of_vaults: Sequence[Sequence[int]],
        of_type: Sequence[Sequence[int]],
    ) -> None:
        """Set the margin that larger debts need beyond the ratio: by vault and by the type's total."""
        self._only_admin(sender)
        vaults, types = _read_brackets_within_bounds(of_vaults), _read_brackets_within_bounds(of_type)
        terms: Terms = self.terms[collateral_type]
        self.terms[collateral_type] = Terms(*vaults[0], *vaults[1], *types[0], *types[1], *terms[8:])
        self.emit("BracketsSet", collateral_type, vaults, types)

    @external
    def set_flow_limit(self, sender: str, collateral_type: int, cap: int, window: int) -> None:
        """Set what may flow out at once [whole stablecoins], and again in each window [seconds]."""
        self._only_admin(sender)
        require(cap <= bounds.MAX_DEBT_CEILING, "risk_policy: cap bounds")
        require(bounds.MIN_FLOW_WINDOW <= window <= bounds.MAX_FLOW_WINDOW, "risk_policy: window bounds")
        flow = self._leak_flow(self.flows[collateral_type])
        used = min(flow.used, cap * 10**6)
        self._store_flow_with_timestamp(collateral_type, flow._replace(cap=cap, window=window, used=used))
        self.emit("FlowLimitSet", collateral_type, cap, window)

    @external
    def set_growth_cap(self, sender: str, collateral_type: int, anchor: int, growth: int) -> None:
        """Set how fast a price may grow for new risk, from an anchor now [ray]; 0 is no cap."""
        self._only_admin(sender)
        require(anchor <= bounds.MAX_PRICE, "risk_policy: anchor bounds")
        require(growth <= bounds.MAX_GROWTH, "risk_policy: growth bounds")
        self.growths[collateral_type] = Growth(anchor, self.world.timestamp, growth)
        self.terms[collateral_type] = self.terms[collateral_type]._replace(grows=int(anchor != 0))
        self.emit("GrowthCapSet", collateral_type, anchor, growth)

    @external
    def set_fee_curve(
        self, sender: str, collateral_type: int, curve: Sequence[int], line: int, speed: int
    ) -> None:
        """Fees by utilisation of a line (whole stablecoins); with a speed the rate at the kink moves."""
        self._only_admin(sender)
        curve = Curve(*curve)
        total = add_uint256(add_uint256(curve.base, curve.slope_1), curve.slope_2)
        require(total <= bounds.MAX_CURVE, "risk_policy: curve bounds")
        require(curve.kink < BASIS_POINTS, "risk_policy: kink bounds")
        require(0 < line <= bounds.MAX_DEBT_CEILING, "risk_policy: line bounds")
        require(speed <= bounds.MAX_FEE_SPEED, "risk_policy: speed bounds")
        require(speed == 0 or curve.base != 0, "risk_policy: no base to move")
        terms: Terms = self.terms[collateral_type]
        self.terms[collateral_type] = Terms(*terms[:8], *curve, *terms[12:])
        flow = self._leak_flow(self.flows[collateral_type])
        start = _convert_yearly_to_second_rate(curve.base * WAD)
        self._store_flow_with_timestamp(
            collateral_type, flow._replace(line=line, speed=speed, rate_at_kink=start)
        )
        self.emit("FeeCurveSet", collateral_type, tuple(curve), line, speed)

    @external
    def set_call_terms(self, sender: str, collateral_type: int, ratio: int, grace: int, valid: int) -> None:
        """Under which ratio (basis points, 0 is never) vaults may be called, and the times of a call."""
        self._only_admin(sender)
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        terms = engine.terms_of(self.address, collateral_type)
        between = terms.liquidation_ratio <= ratio <= terms.initial_ratio
        require(ratio == 0 or between, "risk_policy: call ratio")
        require(bounds.MIN_CALL_TIME <= grace <= bounds.MAX_CALL_TIME, "risk_policy: grace bounds")
        require(bounds.MIN_CALL_TIME <= valid <= bounds.MAX_CALL_TIME, "risk_policy: valid bounds")
        self.calls[collateral_type] = CallTerms(ratio, grace, valid)
        self.emit("CallTermsSet", collateral_type, ratio, grace, valid)

    # ------------------------------------------------------------------- views

    @view
    def add_on(self, sender: str, collateral_type: int, debt: int) -> int:
        """Return what a vault's own brackets ask beyond its ratio [basis points x rad]."""
        terms: Terms = self.terms[collateral_type]
        return terms.add_on(debt)

    @view
    def max_marginal_add_on(self, sender: str, collateral_type: int) -> int:
        """Return how fast a vault's add-on grows with its debt, at most [basis points]."""
        first, second = self.terms[collateral_type].of_vaults
        return int(first.rate + second.rate)

    @view
    def required(self, sender: str, collateral_type: int, debt: int, type_debt: int, ratio: int) -> int:
        """Return what collateral must be worth for new risk in the present mode, rounded up."""
        return self._compute_requirement(collateral_type, debt, type_debt, ratio)

    @view
    def fee_at(self, sender: str, collateral_type: int, performing: int) -> int:
        """Return the fee at a performing debt and the present rate at the kink [ray a second above RAY]."""
        return _compute_fee(self.terms[collateral_type], self.flows[collateral_type], performing)

    @view
    def call_terms(self, sender: str, collateral_type: int) -> CallTerms:
        """Return when a type's vaults may be called."""
        terms: CallTerms = self.calls[collateral_type]
        return terms

    @view
    def auction_limit_factor(self, sender: str) -> int:
        """Return the part of the auction limits that holds in the present mode [basis points]."""
        modes: Modes = self.modes[()]
        return modes.emergency_factor if modes.mode == EMERGENCY else BASIS_POINTS

    @view
    def mode(self, sender: str) -> int:
        """Return 0 normal, 1 caution or 2 emergency."""
        return int(self.modes[()].mode)

    @view
    def mode_effects(self, sender: str) -> tuple[int, int]:
        """Return what caution adds to margins, and emergency's share of auction limits [basis points]."""
        return self.modes[()].caution_margin, self.modes[()].emergency_factor

    @view
    def terms_of(self, sender: str, collateral_type: int) -> TermsOf:
        """Return a type's brackets and its fee curve."""
        terms: Terms = self.terms[collateral_type]
        return TermsOf(terms.of_vaults, terms.of_type, Curve(*terms[8:12]), *terms[12:])

    @view
    def flow_of(self, sender: str, collateral_type: int) -> Flow:
        """Return what has flowed out, less what has leaked until now, and the state of the fee curve."""
        return self._leak_flow(self.flows[collateral_type])

    @view
    def growth_of(self, sender: str, collateral_type: int) -> Growth:
        """Return where a price's growth is counted from, since when, and how much a year."""
        growth: Growth = self.growths[collateral_type]
        return growth

    @view
    def risk_price(self, sender: str, collateral_type: int) -> int:
        """Return the price for new risk, under the cap on its growth [ray]; 0 is none."""
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        price = feed.risk_price(self.address, collateral_type)
        return (
            min(price, self._compute_price_growth_cap(collateral_type))
            if self.terms[collateral_type].grows
            else price
        )

    # ----------------------------------------------------------------- helpers

    def _compute_requirement(self, collateral_type: int, debt: int, type_debt: int, ratio: int) -> int:
        terms: Terms = self.terms[collateral_type]
        if terms.mode != NORMAL:
            ratio = add_uint256(ratio, self.modes[()].caution_margin)
        own = _sum_bracket_steps(terms.of_vaults, debt)
        return add_uint256(
            mul_uint256(debt, ratio), max(own, _compute_last_debt_margin(terms.of_type, debt, type_debt))
        )

    def _compute_price_growth_cap(self, collateral_type: int) -> int:
        """Return what a price may have grown to [ray], rounded down."""
        anchor, anchored_at, growth = self.growths[collateral_type]
        elapsed = self.world.timestamp - anchored_at
        return int(anchor + anchor * growth * elapsed // (BASIS_POINTS * YEAR))

    def _leak_flow(self, flow: Flow) -> Flow:
        """Return the current record: past outflow counts less, down to nothing within a window."""
        if flow.used == 0:
            return flow
        elapsed = self.world.timestamp - flow.updated
        return flow._replace(used=max(0, flow.used - flow.cap * 10**6 * elapsed // flow.window))

    def _adapt_rate_at_kink(self, terms: Terms, flow: Flow, performing: int) -> Flow:
        """Move the rate at the kink for the time since the last change, at the utilisation of that time."""
        if flow.speed == 0 or terms.kink == 0:
            return flow
        elapsed = min(self.world.timestamp - flow.updated, YEAR)
        kink, used = terms.kink * WAD // BASIS_POINTS, _compute_utilisation(performing, flow.line)
        scale = flow.rate_at_kink * flow.speed * elapsed
        if used > kink:
            up = scale * (used - kink) // ((WAD - kink) * YEAR)
            most = _convert_yearly_to_second_rate((terms.base + terms.slope_1) * WAD)
            return flow._replace(rate_at_kink=max(flow.rate_at_kink, min(flow.rate_at_kink + up, most)))
        down = scale * (kink - used) // (kink * YEAR)
        least = _convert_yearly_to_second_rate(terms.base * WAD)
        lower = max(flow.rate_at_kink - min(down, flow.rate_at_kink), least)
        return flow._replace(rate_at_kink=min(flow.rate_at_kink, lower))

    def _store_flow_with_timestamp(self, collateral_type: int, flow: Flow) -> None:
        self.flows[collateral_type] = flow._replace(updated=self.world.timestamp)


def _sum_bracket_steps(brackets: Sequence[Bracket], debt: int) -> int:
    """Sum of max(0, debt - above)*rate."""
    return sum(max(0, debt - above * RAD) * rate for above, rate in brackets)


def _compute_last_debt_margin(brackets: Sequence[Bracket], debt: int, type_debt: int) -> int:
    """Return what the type's brackets ask of the last `debt` of `type_debt`."""
    return _sum_bracket_steps(brackets, type_debt) - _sum_bracket_steps(brackets, max(0, type_debt - debt))


def _compute_utilisation(performing: int, line: int) -> int:
    """Return min(1, performing/line) [wad], rounded down; no line is full use."""
    return min(WAD, performing * WAD // (line * RAD)) if line else WAD


def _compute_fee(terms: Terms, flow: Flow, performing: int) -> int:
    """Return the fee [ray a second above RAY], rounded up; 0 without a curve."""
    if terms.kink == 0:
        return 0
    kink, used = terms.kink * WAD // BASIS_POINTS, _compute_utilisation(performing, flow.line)
    under, over = min(used, kink), max(used, kink) - kink
    if flow.speed != 0:
        factor = WAD // 4 + under * (WAD * 3 // 4) // kink + over * 3 * WAD // (WAD - kink)
        return min(div_up(flow.rate_at_kink * factor, WAD), bounds.MAX_POLICY_FEE)
    rate = terms.base * WAD + terms.slope_1 * WAD * under // kink
    return _convert_yearly_to_second_rate(rate + terms.slope_2 * WAD * over // (WAD - kink))


def _convert_yearly_to_second_rate(rate: int) -> int:
    """Convert basis points x WAD a year to ray a second, rounded up."""
    return div_up(rate * RAY, BASIS_POINTS * WAD * YEAR)


def _read_brackets_within_bounds(raw_brackets: Sequence[Sequence[int]]) -> tuple[Bracket, Bracket]:
    first, second = (Bracket(*bracket) for bracket in raw_brackets)
    total = 0
    for bracket in (first, second):
        require(bracket.above <= bounds.MAX_DEBT_CEILING, "risk_policy: bracket bounds")
        total = add_uint256(total, bracket.rate)
    require(total <= bounds.MAX_ADD_ON, "risk_policy: add-on bounds")
    return first, second
