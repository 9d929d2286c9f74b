# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title CircuitBreaker
@license GNU Affero General Public License v3.0 only
@notice The mode of the protocol: NORMAL, CAUTION, EMERGENCY. Any account's call, or the guardian's, raises
        the mode at once while a verifiable trigger holds. Any account's call lowers it by one level at a
        time, after a calm period without a trigger. No role can lower it directly.
@dev Four triggers, each with a threshold for CAUTION and one for EMERGENCY; a trigger at its threshold holds,
     a threshold of 0 is off.
         LOSSES    uncovered deficits of all types, whole stablecoins
         FALL      of a type's fresh price under its time-weighted price, basis points of the latter
         SILENCE   seconds since a type had a fresh price
         AUCTIONS  a type's principal under auction, basis points of its auction limit
     FALL and SILENCE count for types with debt, performing or under auction, SILENCE for a week beyond its
     thresholds: nothing is borrowed against such a type anyway, and one that is dead for good must not keep
     all others from borrowing. The risk policy decides the effects of a mode and is told of each change; in
     settlement a mode has no effect left.
"""
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IRiskPolicy
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import listed_types
from contracts.modules import roles
from contracts.modules import units

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


event ModeChanged:
    old: uint256  # [level]
    new: uint256  # [level]
    trigger: indexed(uint256)  # [kind]
    collateral_type: indexed(uint256)  # [id]
    by: indexed(address)


event TriggerSeen:
    trigger: indexed(uint256)  # [kind]
    collateral_type: indexed(uint256)  # [id]
    level: uint256  # [level]
    by: indexed(address)


event TriggersSet:
    losses: uint256[2]  # [whole stablecoins]
    fall: uint256[2]  # [basis points]
    silence: uint256[2]  # [seconds]
    auctions: uint256[2]  # [basis points]


event CalmPeriodSet:
    calm_period: uint256  # [seconds]


struct State:
    mode: uint256  # 2 bits
    calm_from: uint256  # seconds: the last change, or trigger seen, 32 bits
    calm_period: uint256  # seconds, 32 bits


# The thresholds of CAUTION and EMERGENCY; 0 is off.
struct Triggers:
    losses: uint256[2]  # whole stablecoins, 33 bits each
    fall: uint256[2]  # basis points, 14 bits each
    silence: uint256[2]  # seconds, 32 bits each
    auctions: uint256[2]  # basis points, 14 bits each


NORMAL: constant(uint256) = 0
CAUTION: constant(uint256) = 1
EMERGENCY: constant(uint256) = 2
SETTLEMENT: constant(uint256) = 3

# Of the guardian, or of the calm: no trigger.
NO_TRIGGER: constant(uint256) = 0
LOSSES: constant(uint256) = 1
FALL: constant(uint256) = 2
SILENCE: constant(uint256) = 3
AUCTIONS: constant(uint256) = 4

# Stands for "all collateral types" in events.
ALL_TYPES: constant(uint256) = max_value(uint256)
# [seconds] How much longer than its thresholds a silence counts.
WEEK: constant(uint256) = 7 * 86_400
MASK_14: constant(uint256) = 2**14 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_33: constant(uint256) = 2**33 - 1

VAULT_ENGINE: public(immutable(IVaultEngine))
PRICE_FEED: public(immutable(IPriceFeed))

# State
state: uint256
# Triggers
triggers: uint256


@deploy
def __init__(vault_engine: address, price_feed: address, admin: address):
    """
    @notice Wire the contract to the protocol, for good. All triggers are off, and the calm period is the
            shortest.
    @param vault_engine Its deficits and auctions are watched.
    @param price_feed Its prices are watched.
    @param admin The first admin.
    """
    roles.__init__(admin)
    VAULT_ENGINE = IVaultEngine(vault_engine)
    PRICE_FEED = IPriceFeed(price_feed)
    self._store(State(mode=NORMAL, calm_from=0, calm_period=bounds.MIN_CALM_PERIOD))


# --------------------------------------------------------------------- mode


@external
def raise_mode(trigger: uint256, collateral_type: uint256):
    """
    @notice Raise the mode to the level that a trigger holds at now, or, if that is the mode's, have the calm
            period start again. Permissionless; not in settlement. Protects: new risk is refused while its
            prices or losses are uncertain, without waiting for the guardian.
    @param trigger [kind] 1 LOSSES, 2 FALL, 3 SILENCE, 4 AUCTIONS.
    @param collateral_type [id] The type to check; LOSSES are always those of all types.
    """
    state: State = self._load_live()
    level: uint256 = self._compute_level(trigger, collateral_type)
    # A lesser cause does not hold up a graver mode.
    assert level != NORMAL and level >= state.mode, "circuit_breaker: no cause"
    named: uint256 = ALL_TYPES if trigger == LOSSES else collateral_type
    if level > state.mode:
        self._change_mode(state, level, trigger, named)
    else:
        state.calm_from = block.timestamp
        self._store(state)
        log TriggerSeen(trigger=trigger, collateral_type=named, level=level, by=msg.sender)


@external
def lower_mode():
    """
    @notice Lower the mode by one level, once the calm period has passed since the last change or trigger
            seen, and no trigger holds for any type at the level of the mode. Permissionless; not in
            settlement. Protects: no mode outlives its cause by more than a calm period a level.
    """
    state: State = self._load_live()
    assert state.mode != NORMAL, "circuit_breaker: is normal"
    assert block.timestamp >= state.calm_from + state.calm_period, "circuit_breaker: too early"
    assert self._compute_worst_level() < state.mode, "circuit_breaker: not calm"
    self._change_mode(state, state.mode - 1, NO_TRIGGER, ALL_TYPES)


@external
def force_mode(mode: uint256):
    """
    @notice Raise the mode without a trigger. Guardian only; not in settlement. Protects: a danger that no
            trigger detects can be answered at once. It ends as every mode does, by calm: to hold it, the
            guardian has to raise it again, for all to see, after each calm period.
    @param mode [level] 1 CAUTION or 2 EMERGENCY, above the present one.
    """
    roles._check_role(roles.GUARDIAN)
    state: State = self._load_live()
    assert mode <= EMERGENCY, "circuit_breaker: no such mode"
    assert mode > state.mode, "circuit_breaker: only up"
    self._change_mode(state, mode, NO_TRIGGER, ALL_TYPES)


@external
def sync_policy_mode(policy: address):
    """
    @notice Tell a policy the mode, one that is to replace today's: it has to know it before it may.
            Permissionless; not in settlement.
    @param policy A risk policy that takes its mode from this contract.
    """
    extcall IRiskPolicy(policy).set_mode(self._load_live().mode)


# --------------------------------------------------------------- parameters


@external
def set_triggers(losses: uint256[2], fall: uint256[2], silence: uint256[2], auctions: uint256[2]):
    """
    @notice Set the thresholds of all triggers, for CAUTION and for EMERGENCY; 0 is off. Admin only. The mode
            stays as it is.
    @param losses [whole stablecoins] Of uncovered deficits.
    @param fall [basis points] Of the time-weighted price.
    @param silence [seconds] Without a fresh price.
    @param auctions [basis points] Of the auction limit.
    """
    roles._only_admin()
    assert self._is_valid_threshold_pair(
        losses, bounds.MAX_GLOBAL_DEBT_CEILING
    ), "circuit_breaker: loss bounds"
    assert self._is_valid_threshold_pair(fall, units.BASIS_POINTS), "circuit_breaker: fall bounds"
    assert self._is_valid_threshold_pair(silence, bounds.MAX_SILENCE), "circuit_breaker: silence bounds"
    assert self._is_valid_threshold_pair(auctions, units.BASIS_POINTS), "circuit_breaker: auction bounds"
    self.triggers = (
        losses[0]
        | (losses[1] << 33)
        | (fall[0] << 66)
        | (fall[1] << 80)
        | (silence[0] << 94)
        | (silence[1] << 126)
        | (auctions[0] << 158)
        | (auctions[1] << 172)
    )
    log TriggersSet(losses=losses, fall=fall, silence=silence, auctions=auctions)


@external
def set_calm_period(calm_period: uint256):
    """
    @notice Set how long it has to be calm before the mode falls a level. Admin only.
    @param calm_period [seconds] Since the last change or trigger seen.
    """
    roles._only_admin()
    assert calm_period >= bounds.MIN_CALM_PERIOD, "circuit_breaker: short calm"
    assert calm_period <= bounds.MAX_CALM_PERIOD, "circuit_breaker: long calm"
    state: State = self._load()
    state.calm_period = calm_period
    self._store(state)
    log CalmPeriodSet(calm_period=calm_period)


# -------------------------------------------------------------------- views


@external
@view
def mode() -> uint256:
    """
    @notice The mode of the protocol.
    @return [level] 0 NORMAL, 1 CAUTION, 2 EMERGENCY; 3 once settlement has begun.
    """
    if staticcall VAULT_ENGINE.in_settlement():
        return SETTLEMENT
    return self._load().mode


@external
@view
def state_of() -> State:
    """
    @notice The mode (as it was when settlement began), since when it has been calm, and the calm period.
    @return The record.
    """
    return self._load()


@external
@view
def triggers_of() -> Triggers:
    """
    @notice The thresholds of all triggers.
    @return Each for CAUTION and for EMERGENCY; 0 is off.
    """
    return self._load_triggers()


@external
@view
def level_of(trigger: uint256, collateral_type: uint256) -> uint256:
    """
    @notice Return the level at which a trigger holds now, as `raise_mode` would use it.
    @param trigger [kind] 1 LOSSES, 2 FALL, 3 SILENCE, 4 AUCTIONS.
    @param collateral_type [id] Which type; any for LOSSES.
    @return [level] 0 if it does not hold.
    """
    return self._compute_level(trigger, collateral_type)


@external
@view
def worst_level() -> uint256:
    """
    @notice Return the highest level at which any trigger holds now, for any type, as `lower_mode` uses it.
    @return [level] 0 if none holds.
    """
    return self._compute_worst_level()


# ------------------------------------------------------------------ helpers


@internal
def _change_mode(state: State, mode: uint256, trigger: uint256, collateral_type: uint256):
    log ModeChanged(old=state.mode, new=mode, trigger=trigger, collateral_type=collateral_type, by=msg.sender)
    self._store(State(mode=mode, calm_from=block.timestamp, calm_period=state.calm_period))
    extcall IRiskPolicy(staticcall VAULT_ENGINE.risk_policy()).set_mode(mode)


@internal
@view
def _compute_worst_level() -> uint256:
    worst: uint256 = self._compute_level(LOSSES, ALL_TYPES)
    types: DynArray[uint256, bounds.MAX_COLLATERAL_TYPES] = listed_types._ids(
        staticcall VAULT_ENGINE.listed()
    )
    for collateral_type: uint256 in types:
        for trigger: uint256 in range(FALL, AUCTIONS + 1):
            worst = max(worst, self._compute_level(trigger, collateral_type))
    return worst


@internal
@view
def _compute_level(trigger: uint256, collateral_type: uint256) -> uint256:
    """@dev A measure and a scale: a threshold is reached if measure >= threshold*scale, and there is any."""
    triggers: Triggers = self._load_triggers()
    thresholds: uint256[2] = [0, 0]
    measure: uint256 = 0
    scale: uint256 = 1
    if trigger == LOSSES:
        thresholds = triggers.losses
        scale = units.RAD
        types: DynArray[uint256, bounds.MAX_COLLATERAL_TYPES] = listed_types._ids(
            staticcall VAULT_ENGINE.listed()
        )
        for each: uint256 in types:
            measure += staticcall VAULT_ENGINE.deficit_of(each)
    else:
        assert collateral_type < staticcall VAULT_ENGINE.collateral_types(), "circuit_breaker: unknown type"
        in_auction: uint256 = staticcall VAULT_ENGINE.in_auction_of(collateral_type)
        if trigger == AUCTIONS:
            thresholds = triggers.auctions
            measure = in_auction * units.BASIS_POINTS
            scale = (staticcall VAULT_ENGINE.auction_limit_of(collateral_type)) * units.RAD
        elif trigger == FALL:
            thresholds = triggers.fall
            current: uint256 = 0
            current, scale = staticcall PRICE_FEED.current_and_average(collateral_type)
            if current != 0 and current < scale and self._has_debt(collateral_type, in_auction):
                measure = (scale - current) * units.BASIS_POINTS
        else:
            assert trigger == SILENCE, "circuit_breaker: no such trigger"
            thresholds = triggers.silence
            until: uint256 = (staticcall PRICE_FEED.prices_of(collateral_type)).fresh_until
            longest: uint256 = max(thresholds[0], thresholds[1]) + WEEK
            if block.timestamp > until and self._has_debt(collateral_type, in_auction):
                measure = block.timestamp - until
                if measure > longest:
                    measure = 0
    if measure == 0:
        return NORMAL
    if thresholds[1] != 0 and measure >= thresholds[1] * scale:
        return EMERGENCY
    if thresholds[0] != 0 and measure >= thresholds[0] * scale:
        return CAUTION
    return NORMAL


@internal
@view
def _has_debt(collateral_type: uint256, in_auction: uint256) -> bool:
    return (in_auction != 0 or (staticcall VAULT_ENGINE.debts_of(collateral_type)).normalized_debt != 0)


@internal
@pure
def _is_valid_threshold_pair(thresholds: uint256[2], highest: uint256) -> bool:
    """@dev EMERGENCY is off, or at least CAUTION."""
    return (
        thresholds[0] <= highest
        and thresholds[1] <= highest
        and (thresholds[1] == 0 or thresholds[0] <= thresholds[1])
    )


@internal
@view
def _load_live() -> State:
    assert not staticcall VAULT_ENGINE.in_settlement(), "circuit_breaker: in settlement"
    return self._load()


@internal
@view
def _load() -> State:
    word: uint256 = self.state
    return State(mode=word & 3, calm_from=(word >> 2) & MASK_32, calm_period=word >> 34)


@internal
def _store(state: State):
    self.state = state.mode | (state.calm_from << 2) | (state.calm_period << 34)


@internal
@view
def _load_triggers() -> Triggers:
    word: uint256 = self.triggers
    return Triggers(
        losses=[word & MASK_33, (word >> 33) & MASK_33],
        fall=[(word >> 66) & MASK_14, (word >> 80) & MASK_14],
        silence=[(word >> 94) & MASK_32, (word >> 126) & MASK_32],
        auctions=[(word >> 158) & MASK_14, word >> 172],
    )
