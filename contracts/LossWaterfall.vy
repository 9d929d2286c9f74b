# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title LossWaterfall
@license GNU Affero General Public License v3.0 only
@notice Who bears a loss, in which order. The ledger recognises deficits here; anyone may then have
        them covered by the stages, first to last. All losses of a collateral type in one epoch are
        one event, and for each event, exactly and in rad:
        created + carried_in == recovered + covered by the stages + carried_out + outstanding.
@dev Stages implement `IStage`. The list and its caps are set once. Caps bind on the event's total,
     so a loss split into parts, or covered in parts, widens none of them.
"""
from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IStage
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import roles
from contracts.modules import units

implements: ILossWaterfall

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


event StagesSet:
    order_hash: bytes32


event LossRecognised:
    collateral_type: indexed(uint256)
    epoch: indexed(uint256)
    amount: uint256


event LossCarried:
    collateral_type: indexed(uint256)
    epoch: indexed(uint256)
    amount: uint256


event LossRecovered:
    collateral_type: indexed(uint256)
    epoch: indexed(uint256)
    amount: uint256


event LossCovered:
    collateral_type: indexed(uint256)
    epoch: indexed(uint256)
    stage: indexed(uint256)
    amount: uint256


struct StageTerms:
    stage: address
    pooled: bool  # one balance for all types, or one for each
    cap_absolute: uint256  # rad for each event; max_value(uint256) is none
    cap_bps: uint256  # basis points of the balance before the event's first payment; 10000 is none


struct LossEvent:  # rad
    created: uint256
    carried_in: uint256
    recovered: uint256
    covered: uint256
    carried_out: uint256
    outstanding: uint256


BUSY: constant(uint256) = max_value(uint256)
UNCAPPED: constant(uint256) = max_value(uint256)

VAULT_ENGINE: public(immutable(IVaultEngine))
# Seconds. The event of a loss is (collateral type, timestamp // EPOCH_LENGTH).
EPOCH_LENGTH: public(immutable(uint256))

# keccak256 of the ABI-encoded list of stages; zero until they are set.
order_hash: public(bytes32)
stage_count: public(uint256)
# stage index -> its terms, see StageTerms
stages: HashMap[uint256, address]
pooled: HashMap[uint256, bool]
caps_absolute: HashMap[uint256, uint256]
caps_bps: HashMap[uint256, uint256]

# collateral type -> epoch of its last event
last_epoch: public(HashMap[uint256, uint256])
# collateral type -> rad recognised and neither covered nor known to be recovered
unresolved: HashMap[uint256, uint256]
# rad, the sum of `unresolved`: while it is zero, no exit from a pool has to look at each type
unresolved_total: uint256
# collateral type -> epoch -> rad
created: HashMap[uint256, HashMap[uint256, uint256]]
carried_in: HashMap[uint256, HashMap[uint256, uint256]]
recovered: HashMap[uint256, HashMap[uint256, uint256]]
carried_out: HashMap[uint256, HashMap[uint256, uint256]]
# collateral type -> epoch -> stage index -> rad
covered: public(HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]])
# collateral type -> epoch -> stage index -> 1 + the stage's balance before its first payment, rad
bases: HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]]


@deploy
def __init__(vault_engine: address, admin: address, epoch_length: uint256):
    """
    @param vault_engine The ledger: the only one that recognises losses.
    @param admin Sets the stages, once.
    @param epoch_length In seconds.
    """
    roles.__init__(admin)
    assert epoch_length >= bounds.MIN_EPOCH, "loss_waterfall: short epoch"
    assert epoch_length <= bounds.MAX_EPOCH, "loss_waterfall: long epoch"
    VAULT_ENGINE = IVaultEngine(vault_engine)
    EPOCH_LENGTH = epoch_length


@external
def set_stages(terms: DynArray[StageTerms, bounds.MAX_STAGES]):
    """
    @notice Fix the order of losses and its caps. Admin only, once: who holds a stage knows for good
            what comes before it.
    @param terms The stages, the first to pay first.
    """
    roles._only_admin()
    assert self.order_hash == empty(bytes32), "loss_waterfall: stages are set"
    assert len(terms) != 0, "loss_waterfall: no stages"
    for k: uint256 in range(len(terms), bound=bounds.MAX_STAGES):
        assert terms[k].stage != empty(address), "loss_waterfall: zero stage"
        assert terms[k].cap_bps <= units.BASIS_POINTS, "loss_waterfall: cap bounds"
        for j: uint256 in range(k, bound=bounds.MAX_STAGES):
            assert self.stages[j] != terms[k].stage, "loss_waterfall: stage twice"
        self.stages[k] = terms[k].stage
        self.pooled[k] = terms[k].pooled
        self.caps_absolute[k] = terms[k].cap_absolute
        self.caps_bps[k] = terms[k].cap_bps
    self.stage_count = len(terms)
    self.order_hash = keccak256(abi_encode(terms))
    log StagesSet(order_hash=self.order_hash)


@external
def recognise(collateral_type: uint256, amount: uint256):
    """
    @notice Record a deficit that the ledger has booked. Vault engine only. No stage pays here: a
            liquidation never waits for a stage.
    @param collateral_type The collateral type's id.
    @param amount In rad.
    """
    assert msg.sender == VAULT_ENGINE.address, "loss_waterfall: not vault engine"
    epoch: uint256 = self._roll(collateral_type)
    self.created[collateral_type][epoch] += amount
    self.unresolved[collateral_type] += amount
    self.unresolved_total += amount
    log LossRecognised(collateral_type=collateral_type, epoch=epoch, amount=amount)


@external
@nonreentrant
def cover(collateral_type: uint256) -> uint256:
    """
    @notice Have a type's deficit covered by the stages. Permissionless. Each call starts again at the
            first stage; a stage pays only when all before it are dry or capped; a busy stage is
            neither, so the ones after it wait. Protects: the order of losses, whoever calls and
            however often.
    @param collateral_type The collateral type's id.
    @return Rad covered; zero if no stage can pay.
    """
    due: uint256 = staticcall VAULT_ENGINE.deficit_of(collateral_type)
    assert due != 0, "loss_waterfall: no deficit"
    self._note_recovery(collateral_type, due)
    epoch: uint256 = self._roll(collateral_type)
    total: uint256 = 0
    for k: uint256 in range(self.stage_count, bound=bounds.MAX_STAGES):
        stage: IStage = IStage(self.stages[k])
        capacity: uint256 = staticcall stage.capacity(collateral_type)
        if capacity == BUSY:
            break
        amount: uint256 = min(due, self._allowed(collateral_type, epoch, k, capacity))
        if amount == 0:
            continue
        if self.bases[collateral_type][epoch][k] == 0:
            self.bases[collateral_type][epoch][k] = capacity + 1
        paid: uint256 = extcall stage.absorb(collateral_type, amount)
        assert paid != 0, "loss_waterfall: nothing paid"
        assert paid <= amount, "loss_waterfall: paid too much"
        self.covered[collateral_type][epoch][k] += paid
        self._resolve(collateral_type, paid)
        due -= paid
        total += paid
        log LossCovered(collateral_type=collateral_type, epoch=epoch, stage=k, amount=paid)
        if due == 0:
            break
    return total


@external
@view
def losses_beyond(stage: address) -> uint256:
    """
    @notice What would reach a stage if all deficits were covered now: the uncovered deficits of all
            types, each less what the earlier stages would pay under their caps. Busy stages count
            as nothing, since what they bring is not known.
    @param stage A stage's address; an address that is no stage bears nothing.
    @return In rad; the stage's own balance and caps are ignored.
    """
    if self.unresolved_total == 0:
        return 0

    left: uint256[bounds.MAX_COLLATERAL_TYPES] = empty(uint256[bounds.MAX_COLLATERAL_TYPES])
    types: uint256 = staticcall VAULT_ENGINE.collateral_types()
    total: uint256 = 0
    for c: uint256 in range(types, bound=bounds.MAX_COLLATERAL_TYPES):
        left[c] = staticcall VAULT_ENGINE.deficit_of(c)
        total += left[c]

    epoch: uint256 = block.timestamp // EPOCH_LENGTH
    for k: uint256 in range(self.stage_count, bound=bounds.MAX_STAGES):
        earlier: address = self.stages[k]
        if earlier == stage:
            return total
        pooled: bool = self.pooled[k]
        spent: uint256 = 0
        for c: uint256 in range(types, bound=bounds.MAX_COLLATERAL_TYPES):
            if left[c] == 0:
                continue
            capacity: uint256 = staticcall IStage(earlier).capacity(c)
            if capacity == BUSY:
                continue
            if pooled:
                capacity -= min(capacity, spent)
            amount: uint256 = min(left[c], self._allowed(c, epoch, k, capacity))
            left[c] -= amount
            spent += amount
        total -= spent
    return 0


@external
@view
def outstanding(collateral_type: uint256) -> uint256:
    """
    @notice A type's recognised and uncovered loss, rad: the ledger's own figure.
    """
    return staticcall VAULT_ENGINE.deficit_of(collateral_type)


@external
@view
def event_of(collateral_type: uint256, epoch: uint256) -> LossEvent:
    """
    @notice The record of an event, rad: created + carried_in == recovered + covered + carried_out +
            outstanding. Recovered is what left the deficit without a stage.
    """
    found: LossEvent = LossEvent(
        created=self.created[collateral_type][epoch],
        carried_in=self.carried_in[collateral_type][epoch],
        recovered=self.recovered[collateral_type][epoch],
        covered=0,
        carried_out=self.carried_out[collateral_type][epoch],
        outstanding=0,
    )
    for k: uint256 in range(self.stage_count, bound=bounds.MAX_STAGES):
        found.covered += self.covered[collateral_type][epoch][k]
    if epoch == self.last_epoch[collateral_type]:
        found.outstanding = staticcall VAULT_ENGINE.deficit_of(collateral_type)
        # What was recovered since the last call here is not in the record yet.
        found.recovered += self.unresolved[collateral_type] - found.outstanding
    return found


@external
@view
def stage_terms(index: uint256) -> StageTerms:
    """
    @notice A stage's address and caps; empty beyond the last.
    """
    return StageTerms(
        stage=self.stages[index],
        pooled=self.pooled[index],
        cap_absolute=self.caps_absolute[index],
        cap_bps=self.caps_bps[index],
    )


@internal
def _roll(collateral_type: uint256) -> uint256:
    """
    @dev Carry what is left of the last event into the present one; the present epoch.
    """
    epoch: uint256 = block.timestamp // EPOCH_LENGTH
    last: uint256 = self.last_epoch[collateral_type]
    if epoch != last:
        carried: uint256 = self.unresolved[collateral_type]
        if carried != 0:
            self.carried_out[collateral_type][last] = carried
            self.carried_in[collateral_type][epoch] = carried
            log LossCarried(collateral_type=collateral_type, epoch=epoch, amount=carried)
        self.last_epoch[collateral_type] = epoch
    return epoch


@internal
def _note_recovery(collateral_type: uint256, deficit: uint256):
    """
    @dev The ledger may repay a deficit without a stage (from income, from salvage): it belongs to
         the last event, before that one is carried on.
    """
    amount: uint256 = self.unresolved[collateral_type] - deficit
    if amount != 0:
        epoch: uint256 = self.last_epoch[collateral_type]
        self.recovered[collateral_type][epoch] += amount
        self._resolve(collateral_type, amount)
        log LossRecovered(collateral_type=collateral_type, epoch=epoch, amount=amount)


@internal
def _resolve(collateral_type: uint256, amount: uint256):
    self.unresolved[collateral_type] -= amount
    self.unresolved_total -= amount


@internal
@view
def _allowed(collateral_type: uint256, epoch: uint256, k: uint256, capacity: uint256) -> uint256:
    """
    @dev What stage k may still pay for an event: its capacity, under both caps. Room under a cap
         counts in whole wei (rounded down), so that a stage that pays in tokens, rounding its
         payment up, never passes it.
    """
    cap: uint256 = self.caps_absolute[k]
    share: uint256 = self.caps_bps[k]
    if share != units.BASIS_POINTS:
        base: uint256 = self.bases[collateral_type][epoch][k]
        base = capacity if base == 0 else base - 1
        cap = min(cap, base * share // units.BASIS_POINTS)
    if cap == UNCAPPED:
        return capacity
    room: uint256 = cap - self.covered[collateral_type][epoch][k]
    return min(capacity, room // units.RAY * units.RAY)
