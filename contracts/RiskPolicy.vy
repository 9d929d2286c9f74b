# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title RiskPolicy
@license GNU Affero General Public License v3.0 only
@notice All rules that make new risk dearer or refuse it. They set more margin for large debts, a limit on the
        outflow in a time, a cap on the growth of a price, fees that follow utilisation, and the effects of
        the circuit breaker's modes. New risk is a draw, or a withdrawal from a vault that keeps debt.
        Repayments, deposits of collateral and covers are not checked here, but for the fee that follows.
@dev Three slots are read for each new risk. The curves:

       add-on   A(d) = sum of max(0, d - from)*rate over the brackets, basis points x rad, exact
       margin   value*BASIS_POINTS >= d*ratio + max(A(d), A_type(D) - A_type(D - d)), exact
       fee      base + slope_1*u/kink, and slope_2*(u - kink)/(1 - kink) more above the kink, rounded up,
                u = min(1, performing/line); adaptive: the rate at the kink itself moves with u

     A(d) is continuous and convex, so the ratio never falls as a debt grows. By the type's brackets a
     vault is measured as if it were the last to come: one debt in many vaults, drawn one after the other,
     needs as much in all, and at one total of the type no less.
"""
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IRiskPolicy
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import listed_types
from contracts.modules import roles
from contracts.modules import units

implements: IRiskPolicy

initializes: roles

exports: (
    roles.admin,
    roles.pending_admin,
    roles.transfer_admin,
    roles.accept_admin,
    roles.grant_role,
    roles.revoke_role,
    roles.has_role,
)


event BracketsSet:
    collateral_type: indexed(uint256)  # [id]
    of_vaults: Bracket[BRACKETS]
    of_type: Bracket[BRACKETS]


event FlowLimitSet:
    collateral_type: indexed(uint256)  # [id]
    cap: uint256  # [whole stablecoins]
    window: uint256  # [seconds]


event GrowthCapSet:
    collateral_type: indexed(uint256)  # [id]
    anchor: uint256  # [ray]
    growth: uint256  # [basis points a year]


event FeeCurveSet:
    collateral_type: indexed(uint256)  # [id]
    curve: Curve
    line: uint256  # [whole stablecoins]
    speed: uint256  # [times a year]


event CallTermsSet:
    collateral_type: indexed(uint256)  # [id]
    ratio: uint256  # [basis points]
    grace: uint256  # [seconds]
    valid: uint256  # [seconds]


event EffectsSet:
    caution_margin: uint256  # [basis points]
    emergency_factor: uint256  # [basis points]


event ModeSet:
    mode: uint256  # [level]


struct Bracket:
    above: uint256  # whole stablecoins: debt above it needs more, 32 bits
    rate: uint256  # basis points more, 14 bits


struct Curve:
    base: uint256  # basis points a year without debt, 14 bits
    slope_1: uint256  # basis points a year more at the kink, 14 bits
    slope_2: uint256  # basis points a year more when all of the line is used, 16 bits
    kink: uint256  # basis points of utilisation, 14 bits; 0 is no curve


struct Terms:
    of_vaults: Bracket[BRACKETS]
    of_type: Bracket[BRACKETS]
    curve: Curve
    grows: uint256  # 1 if there is a cap on the price's growth, 1 bit
    mode: uint256  # the circuit breaker's, beside what is read anyway, 2 bits


struct Flow:
    cap: uint256  # whole stablecoins that may flow out in a window, 32 bits; 0 is no limit
    window: uint256  # seconds, 24 bits
    used: uint256  # millionths of a stablecoin that have, as of `updated`, 52 bits
    updated: uint256  # seconds, 32 bits
    line: uint256  # whole stablecoins of debt that are full utilisation, 32 bits
    speed: uint256  # how many times a year the rate at the kink may move; 0 is a fixed one, 16 bits
    rate_at_kink: uint256  # ray a second, 66 bits


struct Growth:
    anchor: uint256  # ray, 112 bits
    anchored_at: uint256  # seconds, 32 bits
    growth: uint256  # basis points a year, 16 bits


BRACKETS: constant(uint256) = 2
EMERGENCY: constant(uint256) = 2
# Where `grows` and `mode` are in a type's terms; all below them are brackets and curve.
GROWS: constant(uint256) = 242
MODE: constant(uint256) = 243
YEAR: constant(uint256) = 365 * 86_400
MILLIONTH: constant(uint256) = 10**12
MASK_14: constant(uint256) = 2**14 - 1
MASK_16: constant(uint256) = 2**16 - 1
MASK_24: constant(uint256) = 2**24 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_46: constant(uint256) = 2**46 - 1
MASK_52: constant(uint256) = 2**52 - 1
MASK_92: constant(uint256) = 2**92 - 1
MASK_112: constant(uint256) = 2**112 - 1
MASK_140: constant(uint256) = 2**140 - 1
MASK_184: constant(uint256) = 2**184 - 1
# Of a type's flow: cap, window, line and speed.
KEPT: constant(uint256) = (2**56 - 1) | ((2**48 - 1) << 140)

VAULT_ENGINE: public(immutable(address))
PRICE_FEED: public(immutable(IPriceFeed))
CIRCUIT_BREAKER: public(immutable(address))

# collateral type -> Terms
terms: HashMap[uint256, uint256]
# collateral type -> Flow
flows: HashMap[uint256, uint256]
# collateral type -> Growth
growths: HashMap[uint256, uint256]
# collateral type -> ratio (16 bits) | grace (24 bits) | valid (24 bits)
calls: HashMap[uint256, uint256]
# mode (2 bits) | caution margin (basis points, 14 bits) | emergency factor (basis points, 16 bits)
modes: uint256


@deploy
def __init__(vault_engine: address, price_feed: address, circuit_breaker: address, admin: address):
    """
    @notice Wire the contract to the protocol, for good. In an emergency auction limits stay as they are until
            set otherwise.
    @param vault_engine The only one that asks about new risk.
    @param price_feed Where prices come from.
    @param circuit_breaker The only one that sets the mode.
    @param admin The first admin; sets everything else.
    """
    roles.__init__(admin)
    VAULT_ENGINE = vault_engine
    PRICE_FEED = IPriceFeed(price_feed)
    CIRCUIT_BREAKER = circuit_breaker
    self.modes = units.BASIS_POINTS << 16


# ----------------------------------------------------------------- new risk


@external
def check_new_risk(risk: IRiskPolicy.NewRisk) -> uint256:
    """
    @notice Refuse new risk, or let it pass and note the outflow. Vault engine only. Protects: no borrower
            draws against a price that is not fresh or has grown too fast, under the margin of the debt's size
            and of the type's, faster than the limit, or in an emergency.
    @param risk The draw or withdrawal, and the state of the vault and the type after it.
    @return [ray a second] The type's fee from now on, above RAY; 0 without a curve.
    """
    self._only_engine()
    terms: uint256 = self.terms[risk.collateral_type]
    price: uint256 = staticcall PRICE_FEED.risk_price(risk.collateral_type)
    ratio: uint256 = risk.initial_ratio
    if terms >> GROWS != 0:
        if (terms >> GROWS) & 1 == 1:
            price = min(price, self._compute_price_growth_cap(risk.collateral_type))
        ratio = unsafe_add(ratio, self._caution(terms))
        assert terms >> MODE != EMERGENCY, "risk_policy: emergency"
    assert price != 0, "risk_policy: no price"
    # 103 + 112 + 14 bits, against 181 + 17 bits and the add-on's 181 + 15.
    value: uint256 = unsafe_mul(unsafe_mul(risk.locked_collateral, price), units.BASIS_POINTS)
    required: uint256 = unsafe_mul(risk.debt, ratio)
    if terms & MASK_184 != 0:
        required = unsafe_add(
            required,
            max(
                self._sum_bracket_steps(terms, risk.debt),
                self._compute_last_debt_margin(terms, risk.debt, risk.type_debt),
            ),
        )
    assert value >= required, "risk_policy: unsafe"

    flow: uint256 = self.flows[risk.collateral_type]
    if flow == 0:
        return 0
    used: uint256 = self._leak_flow(flow)
    rate: uint256 = self._rate_at_kink(terms, flow, risk.performing_before)
    if flow & MASK_32 != 0:
        used = unsafe_add(used, unsafe_div(unsafe_add(risk.drawn, MILLIONTH - 1), MILLIONTH))
        if risk.withdrawn != 0:
            used = unsafe_add(used, units._div_up(unsafe_mul(risk.withdrawn, price), MILLIONTH * units.RAY))
        assert used <= unsafe_mul(flow & MASK_32, 10**6), "risk_policy: flows out too fast"
    self.flows[risk.collateral_type] = self._moved(flow, used, rate)
    return self._compute_fee(terms, flow, rate, risk.performing)


@external
def reprice(collateral_type: uint256, performing: uint256, performing_before: uint256) -> uint256:
    """
    @notice Move the fee after debt was repaid or liquidated. Vault engine only. Never reverts for a type's
            figures: nothing may stop a repayment. Protects: changes that a caller makes and reverses within a
            transaction have no time to count.
    @param collateral_type [id] The collateral type.
    @param performing [rad] The type's performing debt.
    @param performing_before [rad] The performing debt since the last change.
    @return [ray a second] The type's fee from now on, above RAY; 0 without a curve.
    """
    self._only_engine()
    terms: uint256 = self.terms[collateral_type]
    flow: uint256 = self.flows[collateral_type]
    rate: uint256 = self._rate_at_kink(terms, flow, performing_before)
    if (flow >> 172) & MASK_16 != 0:
        self.flows[collateral_type] = self._moved(flow, self._leak_flow(flow), rate)
    return self._compute_fee(terms, flow, rate, performing)


# --------------------------------------------------------------- parameters


@external
def set_mode(new: uint256):
    """
    @notice Take on the circuit breaker's mode, for all types. Circuit breaker only.
    @param new [level] 0 normal, 1 caution, 2 emergency.
    """
    assert msg.sender == CIRCUIT_BREAKER, "risk_policy: not circuit breaker"
    assert new <= EMERGENCY, "risk_policy: no such mode"
    self.modes = (self.modes & ~3) | new
    log ModeSet(mode=new)
    types: DynArray[uint256, bounds.MAX_COLLATERAL_TYPES] = listed_types._ids(
        staticcall IVaultEngine(VAULT_ENGINE).listed()
    )
    for collateral_type: uint256 in types:
        self._adopt(collateral_type, new)


@external
def sync_mode(collateral_type: uint256):
    """
    @notice Bring the present mode to a type that was listed after it was set. Permissionless.
    @param collateral_type [id] The collateral type.
    """
    self._adopt(collateral_type, self.modes & 3)


@external
def set_effects(caution_margin: uint256, emergency_factor: uint256):
    """
    @notice Set the effects of the modes. Admin only.
    @param caution_margin [basis points] Additional margin for new risk in caution.
    @param emergency_factor [basis points] Of the auction limits, in an emergency; above 0.
    """
    roles._only_admin()
    assert caution_margin <= bounds.MAX_ADD_ON, "risk_policy: margin bounds"
    assert (
        emergency_factor >= bounds.MIN_LIMITS_FACTOR and emergency_factor <= bounds.MAX_LIMITS_FACTOR
    ), "risk_policy: factor bounds"
    self.modes = (self.modes & 3) | (caution_margin << 2) | (emergency_factor << 16)
    log EffectsSet(caution_margin=caution_margin, emergency_factor=emergency_factor)


@external
def set_brackets(collateral_type: uint256, of_vaults: Bracket[BRACKETS], of_type: Bracket[BRACKETS]):
    """
    @notice Set the margin that debts need more, the larger they are. Admin only. It applies to vaults that
            there are, as a change of ratios does.
    @param collateral_type [id] The collateral type.
    @param of_vaults By a vault's own debt; also for calls and liquidation.
    @param of_type By the type's total; for new risk only.
    """
    roles._only_admin()
    word: uint256 = self._packed(of_vaults)
    word |= self._packed(of_type) << 92
    self.terms[collateral_type] = word | (self.terms[collateral_type] & ~MASK_184)
    log BracketsSet(collateral_type=collateral_type, of_vaults=of_vaults, of_type=of_type)


@external
def set_flow_limit(collateral_type: uint256, cap: uint256, window: uint256):
    """
    @notice Set how much may flow out, drawn or withdrawn, in any time: `cap` at once, and as much again in
            each window. Admin only. Past outflow counts on, at its current size.
    @param collateral_type [id] The collateral type.
    @param cap [whole stablecoins] The most that may flow out at once, and again in each window; 0 is no
            limit.
    @param window [seconds] In which the whole cap flows back.
    """
    roles._only_admin()
    assert cap <= bounds.MAX_DEBT_CEILING, "risk_policy: cap bounds"
    assert window >= bounds.MIN_FLOW_WINDOW and window <= bounds.MAX_FLOW_WINDOW, "risk_policy: window bounds"
    flow: uint256 = self.flows[collateral_type]
    used: uint256 = min(self._leak_flow(flow), cap * 10**6)
    # The clock is the curve's as well: what its rate has moved until now it keeps moving from.
    rate: uint256 = flow >> 188
    self.flows[collateral_type] = self._moved(((flow >> 56) << 56) | cap | (window << 32), used, rate)
    log FlowLimitSet(collateral_type=collateral_type, cap=cap, window=window)


@external
def set_growth_cap(collateral_type: uint256, anchor: uint256, growth: uint256):
    """
    @notice Set how fast a price may grow, for new risk only, from `anchor` now: for collateral that earns a
            yield. Admin only.
    @param collateral_type [id] The collateral type.
    @param anchor [ray] Where the growth is counted from; 0 is no cap.
    @param growth [basis points a year] Of the anchor.
    """
    roles._only_admin()
    assert anchor <= bounds.MAX_PRICE, "risk_policy: anchor bounds"
    assert growth <= bounds.MAX_GROWTH, "risk_policy: growth bounds"
    self.growths[collateral_type] = anchor | (block.timestamp << 112) | (growth << 144)
    word: uint256 = self.terms[collateral_type] & ~(1 << GROWS)
    if anchor != 0:
        word |= 1 << GROWS
    self.terms[collateral_type] = word
    log GrowthCapSet(collateral_type=collateral_type, anchor=anchor, growth=growth)


@external
def set_fee_curve(collateral_type: uint256, curve: Curve, line: uint256, speed: uint256):
    """
    @notice Set a type's fees by utilisation. Admin only. They are charged from the next change of the type's
            debt on, once the vault engine is told to ask.
    @param collateral_type [id] The collateral type.
    @param curve The rates, in all at most MAX_CURVE, so that each fits its field; a kink of 0 is no curve.
    @param line [whole stablecoins] Debt that is full utilisation, above 0.
    @param speed [times a year] How often the rate at the kink may move by its own size, 0 for a fixed one. It
                 then stays between base (above 0) and base + slope_1, starting at the lower, and the fee goes
                 from a quarter of it without debt to four times as much at full utilisation.
    """
    roles._only_admin()
    assert curve.base + curve.slope_1 + curve.slope_2 <= bounds.MAX_CURVE, "risk_policy: curve bounds"
    assert curve.kink < units.BASIS_POINTS, "risk_policy: kink bounds"
    assert line != 0 and line <= bounds.MAX_DEBT_CEILING, "risk_policy: line bounds"
    assert speed <= bounds.MAX_FEE_SPEED, "risk_policy: speed bounds"
    # It moves by shares of itself, so from nothing it would never move.
    assert speed == 0 or curve.base != 0, "risk_policy: no base to move"
    word: uint256 = self.terms[collateral_type]
    packed: uint256 = (curve.base | (curve.slope_1 << 14) | (curve.slope_2 << 28) | (curve.kink << 44))
    self.terms[collateral_type] = (word & MASK_184) | (packed << 184) | ((word >> GROWS) << GROWS)
    flow: uint256 = self.flows[collateral_type]
    rate: uint256 = self._convert_yearly_to_second_rate(curve.base * units.WAD)
    self.flows[collateral_type] = self._moved(
        (flow & MASK_140) | (line << 140) | (speed << 172), self._leak_flow(flow), rate
    )
    log FeeCurveSet(collateral_type=collateral_type, curve=curve, line=line, speed=speed)


@external
def set_call_terms(collateral_type: uint256, ratio: uint256, grace: uint256, valid: uint256):
    """
    @notice Set when vaults may be called. Admin only.
    @param collateral_type [id] The collateral type.
    @param ratio [basis points] Of debt, between the type's liquidation and initial ratios; 0 is no calls.
    @param grace [seconds] That the owner has after a call.
    @param valid [seconds] After the grace, in which liquidation may follow.
    """
    roles._only_admin()
    engine: IVaultEngine.Terms = staticcall IVaultEngine(VAULT_ENGINE).terms_of(collateral_type)
    assert ratio == 0 or (
        ratio >= engine.liquidation_ratio and ratio <= engine.initial_ratio
    ), "risk_policy: call ratio"
    assert grace >= bounds.MIN_CALL_TIME and grace <= bounds.MAX_CALL_TIME, "risk_policy: grace bounds"
    assert valid >= bounds.MIN_CALL_TIME and valid <= bounds.MAX_CALL_TIME, "risk_policy: valid bounds"
    self.calls[collateral_type] = ratio | (grace << 16) | (valid << 40)
    log CallTermsSet(collateral_type=collateral_type, ratio=ratio, grace=grace, valid=valid)


# -------------------------------------------------------------------- views


@external
@view
def add_on(collateral_type: uint256, debt: uint256) -> uint256:
    """
    @notice Return the margin that a vault needs beyond its ratio, by the brackets of vaults, exactly.
    @param collateral_type [id] The collateral type.
    @param debt [rad] The vault's, under 2**181.
    @return [basis points x rad] To be added to debt*ratio.
    """
    return self._sum_bracket_steps(self.terms[collateral_type], debt)


@external
@view
def max_marginal_add_on(collateral_type: uint256) -> uint256:
    """
    @notice How fast the add-on of a vault grows with its debt, at most: all of its brackets.
    @param collateral_type [id] The collateral type.
    @return [basis points] Of each further unit of debt.
    """
    terms: uint256 = self.terms[collateral_type]
    return unsafe_add((terms >> 32) & MASK_14, (terms >> 78) & MASK_14)


@external
@view
def required(collateral_type: uint256, debt: uint256, type_debt: uint256, ratio: uint256) -> uint256:
    """
    @notice Return the worth that collateral needs for new risk in the present mode, exactly; in an emergency
            no worth is enough.
    @param collateral_type [id] The collateral type.
    @param debt [rad] The vault's afterwards.
    @param type_debt [rad] The type's afterwards, under 2**181; the vault's excess over it counts from zero.
    @param ratio [basis points] The initial ratio.
    @return [basis points x rad] To be compared with collateral*price*BASIS_POINTS.
    """
    terms: uint256 = self.terms[collateral_type]
    margin: uint256 = ratio + self._caution(terms)
    return debt * margin + max(
        self._sum_bracket_steps(terms, debt), self._compute_last_debt_margin(terms, debt, type_debt)
    )


@external
@view
def fee_at(collateral_type: uint256, performing: uint256) -> uint256:
    """
    @notice The fee at a performing debt and the present rate at the kink.
    @param collateral_type [id] The collateral type.
    @param performing [rad] The type's performing debt.
    @return [ray a second] Above RAY, rounded up; 0 without a curve.
    """
    flow: uint256 = self.flows[collateral_type]
    return self._compute_fee(self.terms[collateral_type], flow, flow >> 188, performing)


@external
@view
def call_terms(collateral_type: uint256) -> IRiskPolicy.CallTerms:
    """
    @notice When vaults of a type may be called.
    @param collateral_type [id] The collateral type.
    @return The terms; a ratio of 0 is never.
    """
    word: uint256 = self.calls[collateral_type]
    return IRiskPolicy.CallTerms(ratio=word & MASK_16, grace=(word >> 16) & MASK_24, valid=word >> 40)


@external
@view
def auction_limit_factor() -> uint256:
    """
    @notice How much of the auction limits holds in the present mode.
    @return [basis points] Above 0; all of them but in an emergency.
    """
    state: uint256 = self.modes
    if state & 3 == EMERGENCY:
        return state >> 16
    return units.BASIS_POINTS


@external
@view
def mode() -> uint256:
    """
    @notice The mode that new risk is judged by.
    @return [level] 0 normal, 1 caution, 2 emergency.
    """
    return self.modes & 3


@external
@view
def mode_effects() -> (uint256, uint256):
    """
    @notice Return the effects of the modes.
    @return [basis points] Additional margin in caution.
    @return [basis points] Emergency's share of auction limits.
    """
    state: uint256 = self.modes
    return (state >> 2) & MASK_14, state >> 16


@external
@view
def terms_of(collateral_type: uint256) -> Terms:
    """
    @notice A type's brackets, its fee curve and its mode.
    @param collateral_type [id] The collateral type.
    @return The terms; zeros if none were set.
    """
    word: uint256 = self.terms[collateral_type]
    return Terms(
        of_vaults=self._unpacked(word),
        of_type=self._unpacked(word >> 92),
        curve=Curve(
            base=(word >> 184) & MASK_14,
            slope_1=(word >> 198) & MASK_14,
            slope_2=(word >> 212) & MASK_16,
            kink=(word >> 228) & MASK_14,
        ),
        grows=(word >> GROWS) & 1,
        mode=word >> MODE,
    )


@external
@view
def flow_of(collateral_type: uint256) -> Flow:
    """
    @notice Return the outflow, less the part that has leaked until now, and the state of the fee curve.
    @param collateral_type [id] The collateral type.
    @return The record, its `used` as of now.
    """
    flow: uint256 = self.flows[collateral_type]
    return Flow(
        cap=flow & MASK_32,
        window=(flow >> 32) & MASK_24,
        used=self._leak_flow(flow),
        updated=(flow >> 108) & MASK_32,
        line=(flow >> 140) & MASK_32,
        speed=(flow >> 172) & MASK_16,
        rate_at_kink=flow >> 188,
    )


@external
@view
def growth_of(collateral_type: uint256) -> Growth:
    """
    @notice Where a price's growth is counted from, since when, and how much a year.
    @param collateral_type [id] The collateral type.
    @return The cap; zeros if there is none.
    """
    word: uint256 = self.growths[collateral_type]
    return Growth(anchor=word & MASK_112, anchored_at=(word >> 112) & MASK_32, growth=word >> 144)


@external
@view
def risk_price(collateral_type: uint256) -> uint256:
    """
    @notice The price that new risk is measured at, under the cap on its growth.
    @param collateral_type [id] The collateral type.
    @return [ray] For 1e18 of collateral; 0 is none.
    """
    price: uint256 = staticcall PRICE_FEED.risk_price(collateral_type)
    if (self.terms[collateral_type] >> GROWS) & 1 == 1:
        price = min(price, self._compute_price_growth_cap(collateral_type))
    return price


# ------------------------------------------------------------------ helpers


@internal
@view
def _only_engine():
    assert msg.sender == VAULT_ENGINE, "risk_policy: not vault engine"


@internal
@pure
def _sum_bracket_steps(brackets: uint256, debt: uint256) -> uint256:
    """@dev Sum of max(0, debt - above)*rate over two brackets."""
    found: uint256 = 0
    above: uint256 = unsafe_mul(brackets & MASK_32, units.RAD)
    if debt > above:
        found = unsafe_mul(unsafe_sub(debt, above), (brackets >> 32) & MASK_14)
    above = unsafe_mul((brackets >> 46) & MASK_32, units.RAD)
    if debt > above:
        found = unsafe_add(found, unsafe_mul(unsafe_sub(debt, above), (brackets >> 78) & MASK_14))
    return found


@internal
@pure
def _compute_last_debt_margin(terms: uint256, debt: uint256, type_debt: uint256) -> uint256:
    """@dev The margin for the last `debt` of `type_debt`, by the type's brackets."""
    brackets: uint256 = terms >> 92
    before: uint256 = unsafe_sub(type_debt, min(debt, type_debt))
    return unsafe_sub(self._sum_bracket_steps(brackets, type_debt), self._sum_bracket_steps(brackets, before))


@internal
def _adopt(collateral_type: uint256, mode: uint256):
    word: uint256 = self.terms[collateral_type]
    self.terms[collateral_type] = (word & (2**MODE - 1)) | (mode << MODE)


@internal
@view
def _caution(terms: uint256) -> uint256:
    """@dev Basis points that new risk of a type needs more in its mode."""
    if terms >> MODE == 0:
        return 0
    return (self.modes >> 2) & MASK_14


@internal
@view
def _compute_price_growth_cap(collateral_type: uint256) -> uint256:
    """@dev The highest price after allowed growth, ray, rounded down."""
    word: uint256 = self.growths[collateral_type]
    anchor: uint256 = word & MASK_112
    elapsed: uint256 = unsafe_sub(block.timestamp, (word >> 112) & MASK_32)
    return unsafe_add(
        anchor, unsafe_mul(unsafe_mul(anchor, word >> 144), elapsed) // (units.BASIS_POINTS * YEAR)
    )


@internal
@view
def _leak_flow(flow: uint256) -> uint256:
    """@dev The outflow, as it counts now, millionths: less and less, nothing after a window."""
    used: uint256 = (flow >> 56) & MASK_52
    if used == 0:
        return 0
    elapsed: uint256 = unsafe_sub(block.timestamp, (flow >> 108) & MASK_32)
    # Whatever has flowed out has a window.
    leaked: uint256 = unsafe_div(
        unsafe_mul(unsafe_mul(flow & MASK_32, 10**6), elapsed), (flow >> 32) & MASK_24
    )
    return unsafe_sub(used, min(used, leaked))


@internal
@view
def _moved(flow: uint256, used: uint256, rate_at_kink: uint256) -> uint256:
    """@dev The record with the values that change over time, as of now."""
    return ((flow & KEPT) | (used << 56) | (block.timestamp << 108) | (rate_at_kink << 188))


@internal
@view
def _rate_at_kink(terms: uint256, flow: uint256, performing: uint256) -> uint256:
    """
    @dev The rate at the kink, moved for the time since the last change at the utilisation of that time:
         rate*speed*e*seconds/YEAR up or down, e the distance from the kink as a share of the most it can
         be; within its bounds.
    """
    rate: uint256 = flow >> 188
    speed: uint256 = (flow >> 172) & MASK_16
    kink: uint256 = unsafe_mul((terms >> 228) & MASK_14, units.WAD // units.BASIS_POINTS)
    if speed == 0 or kink == 0:
        return rate
    elapsed: uint256 = min(unsafe_sub(block.timestamp, (flow >> 108) & MASK_32), YEAR)
    used: uint256 = self._compute_utilisation(performing, flow)
    base: uint256 = (terms >> 184) & MASK_14
    # 66 + 10 + 25 bits, and 60 more.
    scale: uint256 = unsafe_mul(unsafe_mul(rate, speed), elapsed)
    if used > kink:
        up: uint256 = unsafe_mul(scale, unsafe_sub(used, kink)) // unsafe_mul(
            unsafe_sub(units.WAD, kink), YEAR
        )
        most: uint256 = self._convert_yearly_to_second_rate(
            unsafe_mul(unsafe_add(base, (terms >> 198) & MASK_14), units.WAD)
        )
        return max(rate, min(unsafe_add(rate, up), most))
    down: uint256 = unsafe_mul(scale, unsafe_sub(kink, used)) // unsafe_mul(kink, YEAR)
    least: uint256 = self._convert_yearly_to_second_rate(unsafe_mul(base, units.WAD))
    return min(rate, max(unsafe_sub(rate, min(down, rate)), least))


@internal
@pure
def _compute_fee(terms: uint256, flow: uint256, rate_at_kink: uint256, performing: uint256) -> uint256:
    """@dev Ray a second above RAY, rounded up; 0 without a curve."""
    points: uint256 = (terms >> 228) & MASK_14
    if points == 0:
        return 0
    kink: uint256 = unsafe_mul(points, units.WAD // units.BASIS_POINTS)
    used: uint256 = self._compute_utilisation(performing, flow)
    over: uint256 = 0
    if used > kink:
        over = unsafe_sub(used, kink)
        used = kink
    if (flow >> 172) & MASK_16 != 0:
        # A quarter of the rate at the kink without debt, four times as much at full utilisation.
        factor: uint256 = unsafe_add(units.WAD // 4, unsafe_mul(used, units.WAD * 3 // 4) // kink)
        factor = unsafe_add(factor, unsafe_mul(over, 3 * units.WAD) // unsafe_sub(units.WAD, kink))
        return min(units._div_up(unsafe_mul(rate_at_kink, factor), units.WAD), bounds.MAX_POLICY_FEE)
    rate: uint256 = unsafe_add(
        unsafe_mul((terms >> 184) & MASK_14, units.WAD),
        unsafe_div(unsafe_mul(unsafe_mul((terms >> 198) & MASK_14, units.WAD), used), kink),
    )
    if over != 0:
        rate = unsafe_add(
            rate,
            unsafe_mul(unsafe_mul((terms >> 212) & MASK_16, units.WAD), over) // unsafe_sub(units.WAD, kink),
        )
    return self._convert_yearly_to_second_rate(rate)


@internal
@pure
def _compute_utilisation(performing: uint256, flow: uint256) -> uint256:
    """@dev min(1, performing/line), wad, rounded down; no line is full use."""
    line: uint256 = (flow >> 140) & MASK_32
    if line == 0:
        return units.WAD
    return min(units.WAD, unsafe_div(unsafe_mul(performing, units.WAD), unsafe_mul(line, units.RAD)))


@internal
@pure
def _convert_yearly_to_second_rate(rate: uint256) -> uint256:
    """@dev Basis points x WAD a year as ray a second, rounded up."""
    return units._div_up(unsafe_mul(rate, units.RAY), units.BASIS_POINTS * units.WAD * YEAR)


@internal
@pure
def _packed(brackets: Bracket[BRACKETS]) -> uint256:
    word: uint256 = 0
    total: uint256 = 0
    for i: uint256 in range(BRACKETS):
        bracket: Bracket = brackets[i]
        assert bracket.above <= bounds.MAX_DEBT_CEILING, "risk_policy: bracket bounds"
        total += bracket.rate
        word |= (bracket.above | (bracket.rate << 32)) << (46 * i)
    assert total <= bounds.MAX_ADD_ON, "risk_policy: add-on bounds"
    return word


@internal
@pure
def _unpacked(brackets: uint256) -> Bracket[BRACKETS]:
    found: Bracket[BRACKETS] = empty(Bracket[BRACKETS])
    for i: uint256 in range(BRACKETS):
        word: uint256 = (brackets >> (46 * i)) & MASK_46
        found[i] = Bracket(above=word & MASK_32, rate=word >> 32)
    return found
