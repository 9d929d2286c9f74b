# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title RiskPolicy
@license GNU Affero General Public License v3.0 only
@notice Everything that makes new risk dearer or refuses it: more margin for large debts, a limit on what
        flows out in a time, a cap on the growth of a price, fees that follow utilisation, and what the
        circuit breaker's modes mean. New risk is a draw, or a withdrawal from a vault that keeps debt;
        nothing here is asked when somebody repays, tops up or covers, but for the fee that follows.
@dev Three slots are read for each new risk. The curves:

       add-on   A(d) = sum of max(0, d - from)*rate over the brackets, basis points x rad, exact
       margin   value*BASIS_POINTS >= d*ratio + max(A(d), ceil(d*A_type(D)/D)), D rounded up to a coin
       fee      base + slope_1*u/kink, and slope_2*(u - kink)/(1 - kink) more above the kink, rounded up,
                u = min(1, performing/line); adaptive: the rate at the kink itself moves with u

     A(d) is continuous and convex, so the ratio never falls as a debt grows, and by the type's own
     brackets a debt that is split into many vaults needs as much in all.
"""
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IRiskPolicy
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
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
    collateral_type: indexed(uint256)
    of_vaults: Bracket[BRACKETS]
    of_type: Bracket[BRACKETS]


event FlowLimitSet:
    collateral_type: indexed(uint256)
    cap: uint256
    window: uint256


event GrowthCapSet:
    collateral_type: indexed(uint256)
    anchor: uint256
    growth: uint256


event FeeCurveSet:
    collateral_type: indexed(uint256)
    curve: Curve
    line: uint256
    speed: uint256


event CallTermsSet:
    collateral_type: indexed(uint256)
    ratio: uint256
    grace: uint256
    valid: uint256


event EffectsSet:
    caution_margin: uint256
    emergency_factor: uint256


event ModeSet:
    mode: uint256


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
# Where `grows` is in a type's terms; all below it are brackets and curve.
GROWS: constant(uint256) = 242
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
MASK_184: constant(uint256) = 2**184 - 1

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
state: uint256


@deploy
def __init__(vault_engine: address, price_feed: address, circuit_breaker: address, admin: address):
    """
    @notice The wiring is final. In an emergency auction limits stay as they are until set otherwise.
    """
    roles.__init__(admin)
    VAULT_ENGINE = vault_engine
    PRICE_FEED = IPriceFeed(price_feed)
    CIRCUIT_BREAKER = circuit_breaker
    self.state = units.BASIS_POINTS << 16


# ----------------------------------------------------------------- new risk


@external
def check_new_risk(risk: IRiskPolicy.NewRisk) -> uint256:
    """
    @notice Refuse new risk, or let it pass and note what flows out. Vault engine only. Protects: nobody
            borrows against a price that is not fresh or has grown too fast, under the margin of the
            debt's size and of the type's, faster than the limit, or in an emergency.
    @return The type's fee from now on, ray a second above RAY; 0 without a curve.
    """
    assert msg.sender == VAULT_ENGINE, "risk_policy: not vault engine"
    state: uint256 = self.state
    assert state & 3 != EMERGENCY, "risk_policy: emergency"
    terms: uint256 = self.terms[risk.collateral_type]
    price: uint256 = staticcall PRICE_FEED.risk_price(risk.collateral_type)
    if terms >> GROWS != 0:
        price = min(price, self._most(risk.collateral_type))
    assert price != 0, "risk_policy: no price"

    ratio: uint256 = risk.initial_ratio
    if state & 3 != 0:
        ratio = unsafe_add(ratio, (state >> 2) & MASK_14)
    # 103 + 112 + 14 bits, against 181 + 17 bits and the add-on's 181 + 15.
    value: uint256 = unsafe_mul(unsafe_mul(risk.locked_collateral, price), units.BASIS_POINTS)
    required: uint256 = unsafe_mul(risk.debt, ratio)
    if terms & MASK_184 != 0:
        required = unsafe_add(
            required,
            max(self._steps(terms, risk.debt, units.RAD), self._share(terms, risk.debt, risk.type_debt)),
        )
    assert value >= required, "risk_policy: unsafe"

    word: uint256 = self.flows[risk.collateral_type]
    if word == 0:
        return 0
    flow: Flow = self._leak(word)
    if flow.cap != 0:
        out: uint256 = units._div_up(risk.drawn, MILLIONTH)
        if risk.withdrawn != 0:
            out = unsafe_add(out, units._div_up(unsafe_mul(risk.withdrawn, price), MILLIONTH * units.RAY))
        flow.used = unsafe_add(flow.used, out)
        assert flow.used <= unsafe_mul(flow.cap, 10**6), "risk_policy: flows out too fast"
    flow = self._adapt(terms, flow, risk.performing_before)
    self._store_flow(risk.collateral_type, flow)
    return self._fee(terms, flow, risk.performing)


@external
def reprice(collateral_type: uint256, performing: uint256, performing_before: uint256) -> uint256:
    """
    @notice The fee after debt was repaid or liquidated. Vault engine only. Never reverts for a type's
            figures: nothing may stop a repayment. Protects: what a caller moves within a transaction
            has no time to count.
    @param performing The type's performing debt, rad.
    @param performing_before What it was since the last change, rad.
    @return Ray a second above RAY; 0 without a curve.
    """
    assert msg.sender == VAULT_ENGINE, "risk_policy: only engine"
    word: uint256 = self.flows[collateral_type]
    terms: uint256 = self.terms[collateral_type]
    flow: Flow = self._leak(word)
    if flow.speed != 0:
        flow = self._adapt(terms, flow, performing_before)
        self._store_flow(collateral_type, flow)
    return self._fee(terms, flow, performing)


# --------------------------------------------------------------- parameters


@external
def set_mode(new: uint256):
    """
    @notice Take on the circuit breaker's mode. Circuit breaker only.
    @param new 0 normal, 1 caution, 2 emergency.
    """
    assert msg.sender == CIRCUIT_BREAKER, "risk_policy: not circuit breaker"
    assert new <= EMERGENCY, "risk_policy: no such mode"
    self.state = (self.state & ~3) | new
    log ModeSet(mode=new)


@external
def set_effects(caution_margin: uint256, emergency_factor: uint256):
    """
    @notice Set what modes do. Admin only.
    @param caution_margin Basis points that new risk needs more in caution.
    @param emergency_factor Basis points of the auction limits in an emergency, above 0.
    """
    roles._only_admin()
    assert caution_margin <= bounds.MAX_ADD_ON, "risk_policy: margin bounds"
    assert (
        emergency_factor >= bounds.MIN_LIMITS_FACTOR and emergency_factor <= bounds.MAX_LIMITS_FACTOR
    ), "risk_policy: factor bounds"
    self.state = (self.state & 3) | (caution_margin << 2) | (emergency_factor << 16)
    log EffectsSet(caution_margin=caution_margin, emergency_factor=emergency_factor)


@external
def set_brackets(collateral_type: uint256, of_vaults: Bracket[BRACKETS], of_type: Bracket[BRACKETS]):
    """
    @notice Set the margin that debts need more, the larger they are. Admin only. It applies to vaults
            that there are, as a change of ratios does.
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
    @notice Set how much may flow out, drawn or withdrawn, in any time: `cap` at once, and as much again
            in each window. Admin only. What has flowed out counts on, as of now.
    @param cap Whole stablecoins; 0 is no limit.
    @param window Seconds.
    """
    roles._only_admin()
    assert cap <= bounds.MAX_DEBT_CEILING, "risk_policy: cap bounds"
    assert window >= bounds.MIN_FLOW_WINDOW and window <= bounds.MAX_FLOW_WINDOW, "risk_policy: window bounds"
    flow: Flow = self._leak(self.flows[collateral_type])
    flow.cap = cap
    flow.window = window
    flow.used = min(flow.used, cap * 10**6)
    self._store_flow(collateral_type, flow)
    log FlowLimitSet(collateral_type=collateral_type, cap=cap, window=window)


@external
def set_growth_cap(collateral_type: uint256, anchor: uint256, growth: uint256):
    """
    @notice Set how fast a price may grow, for new risk only, from `anchor` now: for collateral that
            earns a yield. Admin only.
    @param anchor Ray; 0 is no cap.
    @param growth Basis points of the anchor a year.
    """
    roles._only_admin()
    assert anchor <= bounds.MAX_PRICE, "risk_policy: anchor bounds"
    assert growth <= bounds.MAX_GROWTH, "risk_policy: growth bounds"
    self.growths[collateral_type] = anchor | (block.timestamp << 112) | (growth << 144)
    word: uint256 = self.terms[collateral_type] & (2**GROWS - 1)
    if anchor != 0:
        word |= 1 << GROWS
    self.terms[collateral_type] = word
    log GrowthCapSet(collateral_type=collateral_type, anchor=anchor, growth=growth)


@external
def set_fee_curve(collateral_type: uint256, curve: Curve, line: uint256, speed: uint256):
    """
    @notice Set a type's fees by utilisation. Admin only. They are charged from the next change of the
            type's debt on, once the vault engine is told to ask.
    @param curve Rates in basis points a year, in all at most MAX_CURVE; a kink of 0 is no curve.
    @param line Whole stablecoins of debt that are full utilisation, above 0.
    @param speed How many times a year the rate at the kink may move, 0 for a fixed one. It then stays
                 between base and base + slope_1, starting at the lower, and the fee goes from a quarter
                 of it without debt to four times as much at full utilisation.
    """
    roles._only_admin()
    assert curve.base + curve.slope_1 + curve.slope_2 <= bounds.MAX_CURVE, "risk_policy: curve bounds"
    assert max(curve.base, curve.slope_1) <= MASK_14, "risk_policy: slope bounds"
    assert curve.kink < units.BASIS_POINTS, "risk_policy: kink bounds"
    assert line != 0 and line <= bounds.MAX_DEBT_CEILING, "risk_policy: line bounds"
    assert speed <= bounds.MAX_FEE_SPEED, "risk_policy: speed bounds"
    word: uint256 = self.terms[collateral_type]
    packed: uint256 = (
        curve.base | (curve.slope_1 << 14) | (curve.slope_2 << 28) | (curve.kink << 44)
    )
    self.terms[collateral_type] = (word & MASK_184) | (packed << 184) | ((word >> GROWS) << GROWS)
    flow: Flow = self._leak(self.flows[collateral_type])
    flow.line = line
    flow.speed = speed
    flow.rate_at_kink = self._a_second(curve.base * units.WAD)
    self._store_flow(collateral_type, flow)
    log FeeCurveSet(collateral_type=collateral_type, curve=curve, line=line, speed=speed)


@external
def set_call_terms(collateral_type: uint256, ratio: uint256, grace: uint256, valid: uint256):
    """
    @notice Set when vaults may be called. Admin only.
    @param ratio Basis points of debt, between the type's liquidation and initial ratios; 0 is no calls.
    @param grace Seconds that the owner has.
    @param valid Seconds in which liquidation may follow.
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
    @notice What a vault needs beyond its ratio, in basis points x rad, exactly: its own brackets.
    @param debt In rad, under 2**181.
    """
    return self._steps(self.terms[collateral_type], debt, units.RAD)


@external
@view
def required(collateral_type: uint256, debt: uint256, type_debt: uint256, ratio: uint256) -> uint256:
    """
    @notice What collateral has to be worth for new risk in the present mode, basis points x rad, rounded
            up; in an emergency there is none, whatever it is worth.
    @param debt The vault's afterwards, rad.
    @param type_debt The type's afterwards, rad.
    @param ratio The initial ratio, basis points.
    """
    terms: uint256 = self.terms[collateral_type]
    state: uint256 = self.state
    margin: uint256 = ratio
    if state & 3 != 0:
        margin += (state >> 2) & MASK_14
    return debt * margin + max(
        self._steps(terms, debt, units.RAD), self._share(terms, debt, type_debt)
    )


@external
@view
def fee_at(collateral_type: uint256, performing: uint256) -> uint256:
    """
    @notice The fee at a performing debt (rad) and the present rate at the kink, ray a second above RAY.
    """
    return self._fee(
        self.terms[collateral_type], self._load_flow(self.flows[collateral_type]), performing
    )


@external
@view
def call_terms(collateral_type: uint256) -> IRiskPolicy.CallTerms:
    """
    @notice When vaults may be called; a ratio of 0 is never.
    """
    word: uint256 = self.calls[collateral_type]
    return IRiskPolicy.CallTerms(
        ratio=word & MASK_16, grace=(word >> 16) & MASK_24, valid=word >> 40
    )


@external
@view
def limits_factor() -> uint256:
    """
    @notice Basis points of the auction limits that hold in the present mode, above 0.
    """
    state: uint256 = self.state
    if state & 3 == EMERGENCY:
        return state >> 16
    return units.BASIS_POINTS


@external
@view
def mode() -> uint256:
    """
    @notice 0 normal, 1 caution, 2 emergency.
    """
    return self.state & 3


@external
@view
def effects() -> (uint256, uint256):
    """
    @notice What caution adds to margins, and emergency's share of auction limits, both basis points.
    """
    state: uint256 = self.state
    return (state >> 2) & MASK_14, state >> 16


@external
@view
def terms_of(collateral_type: uint256) -> Terms:
    """
    @notice A type's brackets and its fee curve.
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
        grows=word >> GROWS,
    )


@external
@view
def flow_of(collateral_type: uint256) -> Flow:
    """
    @notice What has flowed out, less what has leaked until now, and the state of the fee curve.
    """
    return self._leak(self.flows[collateral_type])


@external
@view
def growth_of(collateral_type: uint256) -> Growth:
    """
    @notice Where a price's growth is counted from, since when, and how much a year.
    """
    word: uint256 = self.growths[collateral_type]
    return Growth(anchor=word & MASK_112, anchored_at=(word >> 112) & MASK_32, growth=word >> 144)


@external
@view
def risk_price(collateral_type: uint256) -> uint256:
    """
    @notice The price that new risk is measured at, under the cap on its growth, ray; 0 is none.
    """
    price: uint256 = staticcall PRICE_FEED.risk_price(collateral_type)
    if self.terms[collateral_type] >> GROWS != 0:
        price = min(price, self._most(collateral_type))
    return price


# ------------------------------------------------------------------ helpers


@internal
@pure
def _steps(brackets: uint256, debt: uint256, coin: uint256) -> uint256:
    """@dev Sum of max(0, debt - above)*rate over two brackets; `coin` is a whole stablecoin of `debt`."""
    found: uint256 = 0
    rest: uint256 = brackets & MASK_92
    for _: uint256 in range(BRACKETS):
        above: uint256 = unsafe_mul(rest & MASK_32, coin)
        if debt > above:
            found = unsafe_add(found, unsafe_mul(unsafe_sub(debt, above), (rest >> 32) & MASK_14))
        rest >>= 46
    return found


@internal
@pure
def _share(terms: uint256, debt: uint256, type_debt: uint256) -> uint256:
    """
    @dev ceil(debt*A_type(D)/D) at D rounded up to a whole stablecoin: the average of a convex curve
         grows with D, so this is not under what is exact.
    """
    if type_debt == 0:
        return 0
    coins: uint256 = unsafe_add(unsafe_div(unsafe_sub(type_debt, 1), units.RAD), 1)
    # 33 + 15 + 60 bits; the average is under 2**15 x WAD.
    average: uint256 = units._div_up(unsafe_mul(self._steps(terms >> 92, coins, 1), units.WAD), coins)
    # 181 + 75 bits would be too many.
    return units._div_up(unsafe_mul(units._div_up(debt, units.RAY), average), units.WAD) * units.RAY


@internal
@view
def _most(collateral_type: uint256) -> uint256:
    """@dev What a price may have grown to, ray, rounded down."""
    word: uint256 = self.growths[collateral_type]
    anchor: uint256 = word & MASK_112
    elapsed: uint256 = unsafe_sub(block.timestamp, (word >> 112) & MASK_32)
    return unsafe_add(
        anchor, unsafe_mul(unsafe_mul(anchor, word >> 144), elapsed) // (units.BASIS_POINTS * YEAR)
    )


@internal
@view
def _leak(word: uint256) -> Flow:
    """@dev The record as of now: what flowed out counts less and less, to nothing within a window."""
    flow: Flow = self._load_flow(word)
    if flow.used != 0:
        elapsed: uint256 = unsafe_sub(block.timestamp, flow.updated)
        leaked: uint256 = unsafe_mul(unsafe_mul(flow.cap, 10**6), elapsed) // flow.window
        flow.used = unsafe_sub(flow.used, min(flow.used, leaked))
    return flow


@internal
@view
def _adapt(terms: uint256, before: Flow, performing: uint256) -> Flow:
    """
    @dev Move the rate at the kink for the time since the last change, at the utilisation of that time:
         rate*speed*e*seconds/YEAR up or down, e the distance from the kink as a share of the most it can
         be; within its bounds.
    """
    flow: Flow = before
    elapsed: uint256 = min(unsafe_sub(block.timestamp, flow.updated), YEAR)
    flow.updated = block.timestamp
    kink: uint256 = unsafe_mul((terms >> 228) & MASK_14, units.WAD // units.BASIS_POINTS)
    if flow.speed == 0 or elapsed == 0 or kink == 0:
        return flow
    used: uint256 = self._utilisation(performing, flow.line)
    base: uint256 = (terms >> 184) & MASK_14
    # 66 + 10 + 60 + 25 bits.
    scale: uint256 = unsafe_mul(unsafe_mul(flow.rate_at_kink, flow.speed), elapsed)
    if used > kink:
        up: uint256 = unsafe_mul(scale, unsafe_sub(used, kink)) // unsafe_mul(
            unsafe_sub(units.WAD, kink), YEAR
        )
        most: uint256 = self._a_second(unsafe_mul(base + ((terms >> 198) & MASK_14), units.WAD))
        flow.rate_at_kink = min(unsafe_add(flow.rate_at_kink, up), most)
    else:
        down: uint256 = unsafe_mul(scale, unsafe_sub(kink, used)) // unsafe_mul(kink, YEAR)
        least: uint256 = self._a_second(unsafe_mul(base, units.WAD))
        flow.rate_at_kink = max(unsafe_sub(flow.rate_at_kink, min(down, flow.rate_at_kink)), least)
    return flow


@internal
@pure
def _fee(terms: uint256, flow: Flow, performing: uint256) -> uint256:
    """@dev Ray a second above RAY, rounded up; 0 without a curve."""
    points: uint256 = (terms >> 228) & MASK_14
    if points == 0:
        return 0
    kink: uint256 = unsafe_mul(points, units.WAD // units.BASIS_POINTS)
    used: uint256 = self._utilisation(performing, flow.line)
    over: uint256 = unsafe_sub(max(used, kink), kink)
    if flow.speed != 0:
        # A quarter of the rate at the kink without debt, four times as much at full utilisation.
        factor: uint256 = unsafe_add(
            units.WAD // 4, unsafe_mul(min(used, kink), units.WAD * 3 // 4) // kink
        )
        factor = unsafe_add(factor, unsafe_mul(over, 3 * units.WAD) // unsafe_sub(units.WAD, kink))
        return min(
            units._div_up(unsafe_mul(flow.rate_at_kink, factor), units.WAD), bounds.MAX_STABILITY_FEE
        )
    rate: uint256 = unsafe_mul((terms >> 184) & MASK_14, units.WAD)
    rate = unsafe_add(
        rate, unsafe_mul(unsafe_mul((terms >> 198) & MASK_14, units.WAD), min(used, kink)) // kink
    )
    rate = unsafe_add(
        rate,
        unsafe_mul(unsafe_mul((terms >> 212) & MASK_16, units.WAD), over) // unsafe_sub(units.WAD, kink),
    )
    return self._a_second(rate)


@internal
@pure
def _utilisation(performing: uint256, line: uint256) -> uint256:
    """@dev min(1, performing/line), wad, rounded down; no line is full use."""
    if line == 0:
        return units.WAD
    return min(units.WAD, unsafe_mul(performing, units.WAD) // unsafe_mul(line, units.RAD))


@internal
@pure
def _a_second(rate: uint256) -> uint256:
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


@internal
@pure
def _load_flow(word: uint256) -> Flow:
    return Flow(
        cap=word & MASK_32,
        window=(word >> 32) & MASK_24,
        used=(word >> 56) & MASK_52,
        updated=(word >> 108) & MASK_32,
        line=(word >> 140) & MASK_32,
        speed=(word >> 172) & MASK_16,
        rate_at_kink=word >> 188,
    )


@internal
def _store_flow(collateral_type: uint256, flow: Flow):
    self.flows[collateral_type] = (
        flow.cap
        | (flow.window << 32)
        | (flow.used << 56)
        | (block.timestamp << 108)
        | (flow.line << 140)
        | (flow.speed << 172)
        | (flow.rate_at_kink << 188)
    )
