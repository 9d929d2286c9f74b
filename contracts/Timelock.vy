# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Timelock
@license GNU Affero General Public License v3.0 only
@notice Administers the other contracts, with notice. A proposal of the governor waits; then any account
        executes it, within a window, after which it has expired. Every call waits for the longest delay, but
        for functions listed with a shorter one: an unlisted call can hurt most. A guardian may cancel, and
        forbid new risk. Nothing else happens at once.
@dev It administers itself: delays, governor and guardian change by a proposal, after the longest delay, and
     that never changes. A proposal is one slot: ready_at (40 bits) | whether only the governor cancels it
     (1 bit).
"""
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds


interface Administered:
    def accept_admin(): nonpayable


event Proposed:
    id: indexed(bytes32)
    calls: DynArray[Call, MAX_CALLS]
    salt: bytes32
    ready_at: uint256  # [seconds]
    expires_at: uint256  # [seconds]


event Executed:
    id: indexed(bytes32)
    by: indexed(address)


event Cancelled:
    id: indexed(bytes32)
    by: indexed(address)


event DelaySet:
    target: indexed(address)
    selector: indexed(bytes4)
    delay: uint256  # [seconds]


event GovernorSet:
    governor: indexed(address)


event GuardianSet:
    guardian: indexed(address)


event RiskForbidden:
    by: indexed(address)
    collateral_type: indexed(uint256)  # [id] `ALL_TYPES` is the ceiling of all types
    ceiling: uint256  # [whole stablecoins]


struct Call:
    target: address
    data: Bytes[MAX_DATA]  # the selector and the arguments


struct Rule:
    target: address
    selector: bytes4
    delay: uint256  # [seconds]


struct Proposal:
    ready_at: uint256  # [seconds]
    expires_at: uint256  # [seconds] the last at which it can be executed
    governors: bool  # whether only the governor cancels it


MAX_CALLS: constant(uint256) = 16
MAX_DATA: constant(uint256) = 4_096
# Proposals that are open at once: few enough for everybody to read them all.
MAX_OPEN: constant(uint256) = 16
MAX_RULES: constant(uint256) = 32
MASK_40: constant(uint256) = 2**40 - 1
# Stands for "all collateral types", as in the vault engine's events.
ALL_TYPES: constant(uint256) = max_value(uint256)

VAULT_ENGINE: public(immutable(IVaultEngine))
# [seconds] For all that is not listed.
LONGEST: public(immutable(uint256))
# [seconds] For which a proposal can be executed.
WINDOW: public(immutable(uint256))

# Proposes and cancels; the zero address: nothing changes any more.
governor: public(address)
# Cancels, and forbids new risk; the zero address is none.
guardian: public(address)
# target -> selector, as a number -> [seconds] its own delay; 0 is the longest
delays: HashMap[address, HashMap[uint256, uint256]]
# proposal -> Proposal
proposals: HashMap[bytes32, uint256]
# place, from 0 -> a proposal; one that is not open leaves it to the next
places: HashMap[uint256, bytes32]


@deploy
def __init__(
    vault_engine: address,
    governor: address,
    guardian: address,
    longest: uint256,
    window: uint256,
    rules: DynArray[Rule, MAX_RULES],
):
    """
    @notice Set the governor, and the delays of its proposals. It administers a contract once that has offered
            it the admin role, and a call of `accept_admin` has accepted it.
    @param vault_engine The vault engine, with ceilings that can be lowered at once.
    @param governor Proposes and cancels.
    @param guardian Cancels, and forbids new risk.
    @param longest [seconds] The delay of all that is not listed, for good. Longer than the longest wait of a
                   user that leaves.
    @param window [seconds] For which a proposal can be executed once it is ready, for good.
    @param rules Shorter delays, by target and function.
    """
    assert longest >= bounds.MIN_LONGEST_DELAY, "timelock: short delay"
    assert longest <= bounds.MAX_LONGEST_DELAY, "timelock: long delay"
    assert window >= bounds.MIN_EXECUTION_WINDOW, "timelock: short window"
    assert window <= bounds.MAX_EXECUTION_WINDOW, "timelock: long window"
    VAULT_ENGINE = IVaultEngine(vault_engine)
    LONGEST = longest
    WINDOW = window
    self._set_governor(governor)
    self._set_guardian(guardian)
    for rule: Rule in rules:
        self._set_delay(rule.target, rule.selector, rule.delay)


# ---------------------------------------------------------------- proposals


@external
def propose(calls: DynArray[Call, MAX_CALLS], salt: bytes32) -> bytes32:
    """
    @notice Announce calls that this contract is to make, in their order, all or none. Governor only. They can
            be executed after the longest of their delays. Protects: users have time to leave before an
            announced call, and at most 16 proposals are open, so no proposal hides among many.
    @param calls Targets and data of the calls.
    @param salt Tells proposals of the same calls apart.
    @return The proposal.
    """
    assert msg.sender == self.governor, "timelock: not governor"
    assert len(calls) != 0, "timelock: no calls"
    id: bytes32 = self._hash_proposal(calls, salt)
    assert not self._is_open(id), "timelock: is open"
    delay: uint256 = 0
    for call: Call in calls:
        assert len(call.data) >= 4, "timelock: no selector"
        delay = max(delay, self._get_delay(call.target, self._selector_of(call)))
    self._take_place(id)
    ready_at: uint256 = block.timestamp + delay
    # A guardian may be replaced though it cancels everything else.
    governors: bool = (
        len(calls) == 1
        and calls[0].target == self
        and self._selector_of(calls[0]) == method_id("set_guardian(address)", output_type=bytes4)
    )
    self.proposals[id] = ready_at | (convert(governors, uint256) << 40)
    log Proposed(id=id, calls=calls, salt=salt, ready_at=ready_at, expires_at=ready_at + WINDOW)
    return id


@external
def execute(calls: DynArray[Call, MAX_CALLS], salt: bytes32):
    """
    @notice Make the calls of a proposal. Permissionless, once it is ready and until it expires; once. If one
            of them reverts, all do. Protects: no account alone chooses the moment, and a proposal that was
            not executed in time has to be announced again.
    @param calls As they were proposed.
    @param salt As it was proposed.
    """
    id: bytes32 = self._hash_proposal(calls, salt)
    proposal: Proposal = self._load_proposal(id)
    assert block.timestamp >= proposal.ready_at, "timelock: too early"
    assert block.timestamp <= proposal.expires_at, "timelock: expired"
    self.proposals[id] = empty(uint256)
    log Executed(id=id, by=msg.sender)
    for call: Call in calls:
        # A call to an account without code succeeds, and does nothing.
        assert call.target.is_contract, "timelock: no code"
        raw_call(call.target, call.data)


@external
def cancel(id: bytes32):
    """
    @notice Withdraw a proposal. The governor and the guardian; a proposal of nothing but another guardian is
            the governor's alone to cancel. Protects: users from a stolen key of the governor, and the
            governor from a guardian that cancels everything.
    @param id The proposal.
    """
    self._only_governor_or_guardian()
    proposal: Proposal = self._load_proposal(id)
    assert msg.sender == self.governor or not proposal.governors, "timelock: of the guardian"
    self.proposals[id] = empty(uint256)
    log Cancelled(id=id, by=msg.sender)


# ------------------------------------------------------------------ at once


@external
def lower_ceiling(collateral_type: uint256, ceiling: uint256):
    """
    @notice Lower a type's debt ceiling at once. The governor and the guardian. It binds draws only. Where an
            automatic ceiling is set, that raises it again. Protects: new risk is refused without a vote, and
            open positions are left alone.
    @param collateral_type [id] The collateral type.
    @param ceiling [whole stablecoins] Under the present one.
    """
    self._only_governor_or_guardian()
    present: uint256 = (staticcall VAULT_ENGINE.terms_of(collateral_type)).debt_ceiling
    assert ceiling < present, "timelock: only lower"
    log RiskForbidden(by=msg.sender, collateral_type=collateral_type, ceiling=ceiling)
    extcall VAULT_ENGINE.set_debt_ceiling(collateral_type, ceiling)


@external
def halt_draws():
    """
    @notice Lower the debt ceiling of all types to zero at once. The governor and the guardian. Protects: as
            lower_ceiling does, against a danger that no type's ceiling stops. A proposal raises it again.
    """
    self._only_governor_or_guardian()
    log RiskForbidden(by=msg.sender, collateral_type=ALL_TYPES, ceiling=0)
    extcall VAULT_ENGINE.set_global_debt_ceiling(0)


@external
def accept_admin(target: address):
    """
    @notice Have this contract accept the admin role that another one offers it. Permissionless: the contract
            that offers the role wants that, and nothing else is called. Protects: from then on the other has
            notice.
    @param target The contract that offers it.
    """
    extcall Administered(target).accept_admin()


# ------------------------------------------------------------------- itself


@external
def set_delay(target: address, selector: bytes4, delay: uint256):
    """
    @notice Set the delay for calls of a function. Only this contract, so by a proposal, after the longest
            delay. Open proposals keep their time. Protects: no delay of this contract's own functions is ever
            shorter.
    @param target The contract that is called.
    @param selector Of the function.
    @param delay [seconds] At most the longest; 0 is the longest.
    """
    self._only_itself()
    self._set_delay(target, selector, delay)


@external
def set_governor(governor: address):
    """
    @notice Set the governor, which proposes. Only this contract, so by a proposal, after the longest delay.
    @param governor The new one; with the zero address nothing ever changes any more.
    """
    self._only_itself()
    self._set_governor(governor)


@external
def set_guardian(guardian: address):
    """
    @notice Set the guardian, which cancels and forbids new risk. Only this contract, so by a proposal, after
            the longest delay. Protects: until then the old one cancels other proposals.
    @param guardian The new one; the zero address is none.
    """
    self._only_itself()
    self._set_guardian(guardian)


# -------------------------------------------------------------------- views


@external
@view
def id_of(calls: DynArray[Call, MAX_CALLS], salt: bytes32) -> bytes32:
    """
    @notice Return the id of a proposal.
    @param calls Targets and data of the calls.
    @param salt Tells proposals of the same calls apart.
    @return The proposal.
    """
    return self._hash_proposal(calls, salt)


@external
@view
def delay_of(target: address, selector: bytes4) -> uint256:
    """
    @notice How long a call of a function waits.
    @param target The contract that is called.
    @param selector Of the function.
    @return [seconds] The delay.
    """
    return self._get_delay(target, selector)


@external
@view
def proposal_of(id: bytes32) -> Proposal:
    """
    @notice From when until when a proposal can be executed.
    @param id The proposal.
    @return The record; zeros if it was not proposed, or is executed or cancelled.
    """
    return self._load(id)


@external
@view
def open_proposals() -> DynArray[bytes32, MAX_OPEN]:
    """
    @notice Return the proposals that may still be executed: those that wait or are ready, and have not
            expired.
    @return The proposals, in no order.
    """
    found: DynArray[bytes32, MAX_OPEN] = []
    for place: uint256 in range(MAX_OPEN):
        if self._is_open(self.places[place]):
            found.append(self.places[place])
    return found


# ------------------------------------------------------------------ helpers


@internal
@view
def _only_governor_or_guardian():
    assert msg.sender == self.governor or msg.sender == self.guardian, "timelock: not guardian"


@internal
@view
def _only_itself():
    assert msg.sender == self, "timelock: by proposal only"


@internal
def _set_delay(target: address, selector: bytes4, delay: uint256):
    assert target != self, "timelock: own delays"
    assert delay == 0 or (delay >= bounds.MIN_DELAY and delay <= LONGEST), "timelock: delay bounds"
    self.delays[target][convert(selector, uint256)] = delay
    log DelaySet(target=target, selector=selector, delay=delay)


@internal
def _set_governor(governor: address):
    self.governor = governor
    log GovernorSet(governor=governor)


@internal
def _set_guardian(guardian: address):
    self.guardian = guardian
    log GuardianSet(guardian=guardian)


@internal
@view
def _get_delay(target: address, selector: bytes4) -> uint256:
    delay: uint256 = self.delays[target][convert(selector, uint256)]
    return LONGEST if delay == 0 else delay


@internal
@pure
def _selector_of(call: Call) -> bytes4:
    return convert(slice(call.data, 0, 4), bytes4)


@internal
@pure
def _hash_proposal(calls: DynArray[Call, MAX_CALLS], salt: bytes32) -> bytes32:
    """@dev A hash of hashes. With their number first, no end of a list is a list of its own."""
    id: bytes32 = keccak256(concat(salt, convert(len(calls), bytes32)))
    for call: Call in calls:
        id = keccak256(concat(id, convert(call.target, bytes32), keccak256(call.data)))
    return id


@internal
@view
def _load(id: bytes32) -> Proposal:
    word: uint256 = self.proposals[id]
    ready_at: uint256 = word & MASK_40
    return Proposal(
        ready_at=ready_at,
        expires_at=ready_at + WINDOW if ready_at != 0 else 0,
        governors=word >> 40 != 0,
    )


@internal
@view
def _load_proposal(id: bytes32) -> Proposal:
    proposal: Proposal = self._load(id)
    assert proposal.ready_at != 0, "timelock: not proposed"
    return proposal


@internal
@view
def _is_open(id: bytes32) -> bool:
    ready_at: uint256 = self.proposals[id] & MASK_40
    return ready_at != 0 and block.timestamp <= ready_at + WINDOW


@internal
def _take_place(id: bytes32):
    """
    @dev The place that the proposal had before, else one that is free; an expired proposal there is gone.
    """
    free: uint256 = MAX_OPEN
    for place: uint256 in range(MAX_OPEN):
        there: bytes32 = self.places[place]
        if there == id:
            return
        if free == MAX_OPEN and not self._is_open(there):
            free = place
    assert free != MAX_OPEN, "timelock: too many"
    self.proposals[self.places[free]] = empty(uint256)
    self.places[free] = id
