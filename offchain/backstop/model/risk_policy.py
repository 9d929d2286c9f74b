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
    """Fee curve by utilisation: base rate, two slopes and kink; rates in basis points a year."""

    base: int
    slope_1: int
    slope_2: int
    kink: int


class TermsOf(NamedTuple):
    """Risk terms of a collateral type: margin brackets, fee curve, growth cap flag and mode."""

    of_vaults: tuple[Bracket, Bracket]
    of_type: tuple[Bracket, Bracket]
    curve: Curve
    grows: int
    mode: int


@declare_record_slot_bit_widths(32, 14, 32, 14, 32, 14, 32, 14, 14, 14, 16, 14, 1, 2)
class Terms(NamedTuple):
    """Risk terms of a collateral type as packed in one storage slot."""

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
        """Brackets of extra margin by the debt of one vault."""
        return Bracket(*self[0:2]), Bracket(*self[2:4])

    @property
    def of_type(self) -> tuple[Bracket, Bracket]:
        """Brackets of extra margin by the total debt of the collateral type."""
        return Bracket(*self[4:6]), Bracket(*self[6:8])

    def add_on(self, debt: int) -> int:
        """Return the extra margin for a vault's debt by the vault brackets [basis points x rad]."""
        return _sum_bracket_steps(self.of_vaults, debt)


@declare_record_slot_bit_widths(32, 24, 52, 32, 32, 16, 66)
class Flow(NamedTuple):
    """Outflow limit of a collateral type and its present use [millionths], and state of its fee curve."""

    cap: int = 0
    window: int = 0
    used: int = 0
    updated: int = 0
    line: int = 0
    speed: int = 0
    rate_at_kink: int = 0


@declare_record_slot_bit_widths(112, 32, 16)
class Growth(NamedTuple):
    """Cap on price growth: starting price [ray], its time, and growth in basis points a year."""

    anchor: int = 0
    anchored_at: int = 0
    growth: int = 0


@declare_record_slot_bit_widths(2, 14, 16)
class Modes(NamedTuple):
    """Present mode (normal, caution, emergency), and the effects of the modes [basis points]."""

    mode: int = NORMAL
    caution_margin: int = 0
    emergency_factor: int = 0


class RiskPolicy(Administered):
    """Limits on new debt: margin by size, outflow limit, fees by utilisation (model of RiskPolicy.vy)."""

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
        """Check a draw or withdrawal against all limits and return the new stability fee [ray a second].

        The outflow is added to the use of the outflow limit. Raises RevertError if the vault would be unsafe,
        the limit would be exceeded, there is no price, or the mode is emergency. Only the vault engine may
        call.
        """
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
        """Return the stability fee after a repayment or liquidation [ray a second above RAY].

        `performing` and `performing_before` are the type's debt after and before it [rad].
        """
        require(sender == self.vault_engine_address, "risk_policy: not vault engine")
        terms, flow = self.terms[collateral_type], self._leak_flow(self.flows[collateral_type])
        if flow.speed != 0:
            flow = self._adapt_rate_at_kink(terms, flow, performing_before)
            self._store_flow_with_timestamp(collateral_type, flow)
        return _compute_fee(terms, flow, performing)

    # -------------------------------------------------------------- parameters

    @external
    def set_mode(self, sender: str, new: int) -> None:
        """Set the mode for all listed collateral types (0 normal, 1 caution, 2 emergency).

        Only the circuit breaker may call.
        """
        require(sender == self.circuit_breaker, "risk_policy: not circuit breaker")
        require(new <= EMERGENCY, "risk_policy: no such mode")
        self.modes[()] = self.modes[()]._replace(mode=new)
        self.emit("ModeSet", new)
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        for c in decode_listed_types(engine.listed(self.address)):
            self.terms[c] = self.terms[c]._replace(mode=new)

    @external
    def sync_mode(self, sender: str, collateral_type: int) -> None:
        """Copy the present mode to a collateral type that was listed after the mode was set."""
        mode = self.modes[()].mode
        self.terms[collateral_type] = self.terms[collateral_type]._replace(mode=mode)

    @external
    def set_effects(self, sender: str, caution_margin: int, emergency_factor: int) -> None:
        """Set the extra margin in caution mode and the share of auction limits in emergency [basis points].

        Only the admin may call.
        """
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
        """Set the brackets of extra margin, by the vault's debt and by the type's total debt.

        Each bracket is a pair: debt threshold [whole stablecoins] and rate [basis points]. Only the admin may
        call.
        """
        self._only_admin(sender)
        vaults, types = _read_brackets_within_bounds(of_vaults), _read_brackets_within_bounds(of_type)
        terms: Terms = self.terms[collateral_type]
        self.terms[collateral_type] = Terms(*vaults[0], *vaults[1], *types[0], *types[1], *terms[8:])
        self.emit("BracketsSet", collateral_type, vaults, types)

    @external
    def set_flow_limit(self, sender: str, collateral_type: int, cap: int, window: int) -> None:
        """Set the maximum outflow of a collateral type [whole stablecoins] per window [seconds].

        The used amount decays to zero within a window. Only the admin may call.
        """
        self._only_admin(sender)
        require(cap <= bounds.MAX_DEBT_CEILING, "risk_policy: cap bounds")
        require(bounds.MIN_FLOW_WINDOW <= window <= bounds.MAX_FLOW_WINDOW, "risk_policy: window bounds")
        flow = self._leak_flow(self.flows[collateral_type])
        used = min(flow.used, cap * 10**6)
        self._store_flow_with_timestamp(collateral_type, flow._replace(cap=cap, window=window, used=used))
        self.emit("FlowLimitSet", collateral_type, cap, window)

    @external
    def set_growth_cap(self, sender: str, collateral_type: int, anchor: int, growth: int) -> None:
        """Cap the price used for new risk: it may grow from `anchor` [ray] by `growth` basis points a year.

        An anchor of 0 removes the cap. Only the admin may call.
        """
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
        """Set the curve of stability fees by utilisation of a credit line [whole stablecoins].

        With a non-zero `speed` the rate at the kink adapts over time. Only the admin may call.
        """
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
        """Set the ratio below which vaults may be called [basis points] and the periods of a call [seconds].

        A ratio of 0 disables margin calls. Only the admin may call.
        """
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
        """Return the extra margin for a vault's debt by the vault brackets [basis points x rad]."""
        terms: Terms = self.terms[collateral_type]
        return terms.add_on(debt)

    @view
    def max_marginal_add_on(self, sender: str, collateral_type: int) -> int:
        """Return the maximum extra margin per unit of additional debt of a vault [basis points]."""
        first, second = self.terms[collateral_type].of_vaults
        return int(first.rate + second.rate)

    @view
    def required(self, sender: str, collateral_type: int, debt: int, type_debt: int, ratio: int) -> int:
        """Return the collateral value required for new risk in the present mode [basis points x rad]."""
        return self._compute_requirement(collateral_type, debt, type_debt, ratio)

    @view
    def fee_at(self, sender: str, collateral_type: int, performing: int) -> int:
        """Return the stability fee at a performing debt [ray a second above RAY].

        `performing` is in rad. The present rate at the kink is used.
        """
        return _compute_fee(self.terms[collateral_type], self.flows[collateral_type], performing)

    @view
    def call_terms(self, sender: str, collateral_type: int) -> CallTerms:
        """Return the terms of margin calls for a collateral type."""
        terms: CallTerms = self.calls[collateral_type]
        return terms

    @view
    def auction_limit_factor(self, sender: str) -> int:
        """Return the share of the auction limits that applies in the present mode [basis points]."""
        modes: Modes = self.modes[()]
        return modes.emergency_factor if modes.mode == EMERGENCY else BASIS_POINTS

    @view
    def mode(self, sender: str) -> int:
        """Return the present mode: 0 normal, 1 caution, 2 emergency."""
        return int(self.modes[()].mode)

    @view
    def mode_effects(self, sender: str) -> tuple[int, int]:
        """Return the extra margin in caution and the share of auction limits in emergency [basis points]."""
        return self.modes[()].caution_margin, self.modes[()].emergency_factor

    @view
    def terms_of(self, sender: str, collateral_type: int) -> TermsOf:
        """Return a collateral type's margin brackets, fee curve, growth cap flag and mode."""
        terms: Terms = self.terms[collateral_type]
        return TermsOf(terms.of_vaults, terms.of_type, Curve(*terms[8:12]), *terms[12:])

    @view
    def flow_of(self, sender: str, collateral_type: int) -> Flow:
        """Return a type's outflow limit, its use after decay until now, and the state of its fee curve."""
        return self._leak_flow(self.flows[collateral_type])

    @view
    def growth_of(self, sender: str, collateral_type: int) -> Growth:
        """Return a type's cap on price growth: start price [ray], start time, basis points a year."""
        growth: Growth = self.growths[collateral_type]
        return growth

    @view
    def risk_price(self, sender: str, collateral_type: int) -> int:
        """Return the price for new risk, limited by the growth cap [ray]; 0 if there is no price."""
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
        """Return the maximum price under the growth cap at this time [ray], rounded down."""
        anchor, anchored_at, growth = self.growths[collateral_type]
        elapsed = self.world.timestamp - anchored_at
        return int(anchor + anchor * growth * elapsed // (BASIS_POINTS * YEAR))

    def _leak_flow(self, flow: Flow) -> Flow:
        """Return an outflow record with its use reduced for the time since its last update.

        The use decays linearly, to zero within one window.
        """
        if flow.used == 0:
            return flow
        elapsed = self.world.timestamp - flow.updated
        return flow._replace(used=max(0, flow.used - flow.cap * 10**6 * elapsed // flow.window))

    def _adapt_rate_at_kink(self, terms: Terms, flow: Flow, performing: int) -> Flow:
        """Return the record with the rate at the kink moved for the time since its last update.

        The rate rises while utilisation is above the kink, and falls while it is below.
        """
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
    """Return the extra margin for a debt: the sum of max(0, debt - above)*rate [basis points x rad]."""
    return sum(max(0, debt - above * RAD) * rate for above, rate in brackets)


def _compute_last_debt_margin(brackets: Sequence[Bracket], debt: int, type_debt: int) -> int:
    """Return the extra margin that the type brackets require for the last `debt` of `type_debt`.

    The result is in basis points x rad.
    """
    return _sum_bracket_steps(brackets, type_debt) - _sum_bracket_steps(brackets, max(0, type_debt - debt))


def _compute_utilisation(performing: int, line: int) -> int:
    """Return min(1, performing/line) [wad], rounded down; 1 if the line is 0."""
    return min(WAD, performing * WAD // (line * RAD)) if line else WAD


def _compute_fee(terms: Terms, flow: Flow, performing: int) -> int:
    """Return the stability fee [ray a second above RAY], rounded up; 0 without a curve."""
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
    """Return a rate in basis points x WAD a year as ray a second, rounded up."""
    return div_up(rate * RAY, BASIS_POINTS * WAD * YEAR)


def _read_brackets_within_bounds(raw_brackets: Sequence[Sequence[int]]) -> tuple[Bracket, Bracket]:
    first, second = (Bracket(*bracket) for bracket in raw_brackets)
    total = 0
    for bracket in (first, second):
        require(bracket.above <= bounds.MAX_DEBT_CEILING, "risk_policy: bracket bounds")
        total = add_uint256(total, bracket.rate)
    require(total <= bounds.MAX_ADD_ON, "risk_policy: add-on bounds")
    return first, second
