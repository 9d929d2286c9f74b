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
@dev Stages implement `IStage`. Their order is set once; their caps change by a timelock longer than
     any pool's cooldown, and never while a loss is open. Caps bind on the event's total, so a loss
     split into parts, or covered in parts, widens none of them. A stage that needs time reserves its
     part of a deficit: nobody else covers that part until the stage has paid it or given it up.
"""
from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IStage
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import marks
from contracts.modules import roles
from contracts.modules import units

implements: ILossWaterfall

initializes: marks
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


event CapsProposed:
    order_hash: bytes32
    ready_at: uint256


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


event LossReserved:
    collateral_type: indexed(uint256)
    epoch: indexed(uint256)
    stage: indexed(uint256)
    amount: uint256


event ReservationReleased:
    collateral_type: indexed(uint256)
    epoch: indexed(uint256)
    stage: indexed(uint256)
    amount: uint256


event DiscountSet:
    discount: uint256


struct StageTerms:
    stage: address
    pooled: bool  # one balance for all types, or one for each
    asynchronous: bool  # needs time: it reserves, and pays later; skipped in settlement
    lifted: bool  # its caps are lifted in settlement
    cap_absolute: uint256  # rad for each event; max_value(uint256) is none
    cap_bps: uint256  # basis points of the balance before the event's first payment; 10000 is none


struct Slot:
    stage: address  # 160 bits
    pooled: bool  # 1 bit
    asynchronous: bool  # 1 bit
    lifted: bool  # 1 bit
    cap_bps: uint256  # 14 bits


struct LossEvent:  # rad
    created: uint256
    carried_in: uint256
    recovered: uint256
    covered: uint256
    carried_out: uint256
    outstanding: uint256


BUSY: constant(uint256) = max_value(uint256)
UNCAPPED: constant(uint256) = max_value(uint256)
# Added to `pending_total` from the beginning of settlement until its books are closed.
WINDING_UP: constant(uint256) = 2**255

VAULT_ENGINE: public(immutable(IVaultEngine))
# Seconds. The event of a loss is (collateral type, timestamp // EPOCH_LENGTH).
EPOCH_LENGTH: public(immutable(uint256))
# Seconds from the proposal of new caps to their use. Pools insist on a shorter cooldown.
CAP_DELAY: public(immutable(uint256))

# keccak256 of the ABI-encoded list of stages; zero until they are set.
order_hash: public(bytes32)
# The same of caps that are proposed; zero if there are none.
proposed_hash: public(bytes32)
# Seconds, when proposed caps can be used.
caps_ready_at: public(uint256)
# how many stages (8 bits) | which of them are asynchronous (a bit each, 16 bits)
counts: uint256
# stage index -> Slot
stages: HashMap[uint256, uint256]
# stage index -> rad
caps_absolute: HashMap[uint256, uint256]
# stage -> 1 + its index
places: HashMap[address, uint256]

# collateral type -> epoch of its last event
last_epoch: public(HashMap[uint256, uint256])
# collateral type -> rad recognised and neither covered nor known to be recovered
unresolved: HashMap[uint256, uint256]
# rad, the sum of `unresolved` and of all marks: while it is zero, no exit from a pool has to look at
# each type
pending_total: public(uint256)
# collateral type -> stage index -> rad of the deficit that the stage will pay or give up
reserved: public(HashMap[uint256, HashMap[uint256, uint256]])
# collateral type -> stage index -> 1 + the epoch in which it gave up: it counts as capped until that ends
given_up: HashMap[uint256, HashMap[uint256, uint256]]
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
def __init__(
    vault_engine: address,
    price_feed: address,
    collateral_auction: address,
    admin: address,
    epoch_length: uint256,
    cap_delay: uint256,
):
    """
    @param vault_engine The ledger: the only one that recognises losses.
    @param price_feed Prices of marks.
    @param collateral_auction Whose auctions are marked.
    @param admin Sets the stages, once, and proposes caps.
    @param epoch_length In seconds.
    @param cap_delay In seconds.
    """
    roles.__init__(admin)
    marks.__init__(vault_engine, price_feed, collateral_auction)
    assert epoch_length >= bounds.MIN_EPOCH, "loss_waterfall: short epoch"
    assert epoch_length <= bounds.MAX_EPOCH, "loss_waterfall: long epoch"
    assert cap_delay <= bounds.MAX_CAP_DELAY, "loss_waterfall: long delay"
    VAULT_ENGINE = IVaultEngine(vault_engine)
    EPOCH_LENGTH = epoch_length
    CAP_DELAY = cap_delay


# ------------------------------------------------------------------- order


@external
def set_stages(terms: DynArray[StageTerms, bounds.MAX_STAGES]):
    """
    @notice Fix the order of losses. Admin only, once: who holds a stage knows for good what comes
            before it.
    @param terms The stages, the first to pay first, with their caps.
    """
    roles._only_admin()
    assert self.order_hash == empty(bytes32), "loss_waterfall: stages are set"
    assert len(terms) != 0, "loss_waterfall: no stages"
    counts: uint256 = len(terms)
    for k: uint256 in range(len(terms), bound=bounds.MAX_STAGES):
        assert terms[k].stage != empty(address), "loss_waterfall: zero stage"
        assert self.places[terms[k].stage] == 0, "loss_waterfall: stage twice"
        self.places[terms[k].stage] = k + 1
        if terms[k].asynchronous:
            counts |= 256 << k
        self._store_stage(k, terms[k])
    self.counts = counts
    self._note_order(keccak256(abi_encode(terms)))


@external
def propose_caps(terms: DynArray[StageTerms, bounds.MAX_STAGES]):
    """
    @notice Announce new caps for the same stages in the same order. Admin only. A new proposal takes
            the place of an old one. Protects: a pool's members can leave before its terms change.
    @param terms The stages as they are, with the new caps.
    """
    roles._only_admin()
    assert len(terms) == self._count(), "loss_waterfall: other stages"
    for k: uint256 in range(len(terms), bound=bounds.MAX_STAGES):
        slot: Slot = self._load_stage(k)
        assert terms[k].stage == slot.stage, "loss_waterfall: other order"
        assert terms[k].pooled == slot.pooled, "loss_waterfall: other kind"
        assert terms[k].asynchronous == slot.asynchronous, "loss_waterfall: other pace"
        assert terms[k].lifted == slot.lifted, "loss_waterfall: other end"
    self.proposed_hash = keccak256(abi_encode(terms))
    self.caps_ready_at = block.timestamp + CAP_DELAY
    log CapsProposed(order_hash=self.proposed_hash, ready_at=self.caps_ready_at)


@external
def apply_caps(terms: DynArray[StageTerms, bounds.MAX_STAGES]):
    """
    @notice Use the proposed caps. Permissionless, once their delay is over and while no loss is
            open: no deficit, no mark, and so no recapitalisation.
    @param terms As proposed.
    """
    assert keccak256(abi_encode(terms)) == self.proposed_hash, "loss_waterfall: not proposed"
    assert block.timestamp >= self.caps_ready_at, "loss_waterfall: too early"
    assert self.pending_total == 0, "loss_waterfall: losses open"
    for k: uint256 in range(len(terms), bound=bounds.MAX_STAGES):
        self._store_stage(k, terms[k])
    self.proposed_hash = empty(bytes32)
    self._note_order(keccak256(abi_encode(terms)))


# -------------------------------------------------------------- recognition


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
    self.pending_total += amount
    log LossRecognised(collateral_type=collateral_type, epoch=epoch, amount=amount)


@external
def wind_up():
    """
    @notice Settlement has begun: stages that need time are passed over, caps are lifted where the terms
            say so, and no pool pays anyone out until it is known what is lost. Vault engine only.
    """
    assert msg.sender == VAULT_ENGINE.address, "loss_waterfall: not engine"
    self.pending_total += WINDING_UP


@external
def close_books():
    """
    @notice Settlement has covered what it could; holders bear the rest. Vault engine only.
    """
    assert msg.sender == VAULT_ENGINE.address, "loss_waterfall: only engine"
    self.pending_total -= WINDING_UP


@external
@nonreentrant
def mark_vault(collateral_type: uint256, owner: address) -> uint256:
    """
    @notice Set, refresh or clear the mark of a vault. Permissionless; reverts without a fresh price,
            unless the vault has no debt. Protects: nobody leaves a pool ahead of a loss that is plain
            to see.
    @return The mark, rad: the debt that the collateral would not repay today, rounded up.
    """
    old: uint256 = 0
    new: uint256 = 0
    old, new = marks._mark_vault(collateral_type, owner)
    self.pending_total = self.pending_total + new - old
    return new


@external
@nonreentrant
def mark_auction(auction_id: uint256) -> uint256:
    """
    @notice Set, refresh or clear the mark of an auction, and with it that of the vault it came from.
            Permissionless; reverts without a fresh price, unless no principal is left.
    @return Both marks, rad, rounded up.
    """
    old: uint256 = 0
    new: uint256 = 0
    old, new = marks._mark_auction(auction_id)
    self.pending_total = self.pending_total + new - old
    return new


@external
def set_mark_discount(new: uint256):
    """
    @notice Set what a sale in a hurry costs, basis points of the collateral's value. Admin only.
            Marks follow when they are refreshed.
    """
    roles._only_admin()
    marks._set_discount(new)
    log DiscountSet(discount=new)


# ----------------------------------------------------------------- coverage


@external
@nonreentrant
def cover(collateral_type: uint256) -> uint256:
    """
    @notice Have a type's deficit covered by the stages. Permissionless. Each call starts again at the
            first stage; a stage pays only when all before it are dry or capped; a busy stage is
            neither, so the ones after it wait. Protects: the order of losses, whoever calls and
            however often; a part that a stage has reserved is not covered by another.
    @param collateral_type The collateral type's id.
    @return Rad covered or newly reserved; zero if no stage can pay.
    """
    due: uint256 = staticcall VAULT_ENGINE.deficit_of(collateral_type)
    assert due != 0, "loss_waterfall: no deficit"
    self._note_recovery(collateral_type, due)
    epoch: uint256 = self._roll(collateral_type)
    # A deficit that was repaid without a stage may be less than what is reserved of it.
    due -= min(due, self._reserved(collateral_type))
    settling: bool = self.pending_total >= WINDING_UP
    total: uint256 = 0
    for k: uint256 in range(self._count(), bound=bounds.MAX_STAGES):
        if due == 0:
            break
        slot: Slot = self._load_stage(k)
        if slot.asynchronous and settling:
            continue
        stage: IStage = IStage(slot.stage)
        capacity: uint256 = staticcall stage.capacity(collateral_type)
        if capacity == BUSY:
            break
        amount: uint256 = min(due, self._allowed(collateral_type, epoch, k, slot, capacity, settling))
        if amount == 0:
            continue
        if slot.cap_bps != units.BASIS_POINTS and self.bases[collateral_type][epoch][k] == 0:
            self.bases[collateral_type][epoch][k] = capacity + 1
        paid: uint256 = 0
        kept: uint256 = 0
        paid, kept = extcall stage.absorb(collateral_type, amount)
        assert paid + kept <= amount, "loss_waterfall: paid too much"
        if paid != 0:
            self._book(collateral_type, epoch, k, paid)
        if kept != 0:
            assert slot.asynchronous, "loss_waterfall: may not reserve"
            self.reserved[collateral_type][k] += kept
            log LossReserved(collateral_type=collateral_type, epoch=epoch, stage=k, amount=kept)
        due -= paid + kept
        total += paid + kept
        if kept != 0:
            break
    return total


@external
def book_payment(collateral_type: uint256, amount: uint256):
    """
    @notice Record that an asynchronous stage has paid a part of what it reserved, which the ledger
            has taken off the deficit. The stage itself only.
    @param amount In rad, at most what is reserved.
    """
    k: uint256 = self._place(msg.sender)
    reserved: uint256 = self.reserved[collateral_type][k]
    assert amount <= reserved, "loss_waterfall: not reserved"
    self.reserved[collateral_type][k] = reserved - amount
    self._book(collateral_type, self._roll(collateral_type), k, amount)


@external
def release(collateral_type: uint256):
    """
    @notice Give up what is left of a reservation. The stage itself only. It counts as capped for the
            type until the epoch ends, so that later stages pay. Protects: nobody can hold later
            stages back by starting again and again.
    """
    k: uint256 = self._place(msg.sender)
    epoch: uint256 = block.timestamp // EPOCH_LENGTH
    amount: uint256 = self.reserved[collateral_type][k]
    self.reserved[collateral_type][k] = 0
    self.given_up[collateral_type][k] = epoch + 1
    log ReservationReleased(collateral_type=collateral_type, epoch=epoch, stage=k, amount=amount)


# -------------------------------------------------------------------- views


@external
@view
def losses_beyond(stage: address) -> uint256:
    """
    @notice What would reach a stage if all losses were covered now: the uncovered deficits and the
            marks of all types, each less what the earlier stages would pay under their caps.
            Asynchronous and busy stages count as nothing, since what they bring is not known. While
            settlement winds up, everything: what is lost is not known yet.
    @param stage A stage's address; an address that is no stage bears nothing.
    @return In rad; the stage's own balance and caps are ignored.
    """
    if self.pending_total == 0:
        return 0
    if self.pending_total >= WINDING_UP:
        return WINDING_UP

    left: uint256[bounds.MAX_COLLATERAL_TYPES] = empty(uint256[bounds.MAX_COLLATERAL_TYPES])
    types: uint256 = staticcall VAULT_ENGINE.collateral_types()
    total: uint256 = 0
    for c: uint256 in range(types, bound=bounds.MAX_COLLATERAL_TYPES):
        left[c] = staticcall VAULT_ENGINE.deficit_of(c) + marks.of_types[c]
        total += left[c]

    epoch: uint256 = block.timestamp // EPOCH_LENGTH
    for k: uint256 in range(self._count(), bound=bounds.MAX_STAGES):
        slot: Slot = self._load_stage(k)
        if slot.stage == stage:
            return total
        if slot.asynchronous:
            continue
        spent: uint256 = 0
        for c: uint256 in range(types, bound=bounds.MAX_COLLATERAL_TYPES):
            if left[c] == 0:
                continue
            capacity: uint256 = staticcall IStage(slot.stage).capacity(c)
            if capacity == BUSY:
                continue
            if slot.pooled:
                capacity -= min(capacity, spent)
            amount: uint256 = min(left[c], self._allowed(c, epoch, k, slot, capacity, False))
            left[c] -= amount
            spent += amount
        total -= spent
    return 0


@external
@view
def mark_of_vault(collateral_type: uint256, owner: address) -> uint256:
    """
    @notice A vault's mark as it was last set, rad.
    """
    return marks.of_vaults[collateral_type][owner]


@external
@view
def mark_of_auction(auction_id: uint256) -> uint256:
    """
    @notice An auction's mark as it was last set, rad.
    """
    return marks.of_auctions[auction_id] & marks.MASK_192


@external
@view
def marked(collateral_type: uint256) -> uint256:
    """
    @notice The sum of a type's marks, rad.
    """
    return marks.of_types[collateral_type]


@external
@view
def mark_discount() -> uint256:
    """
    @notice What a sale in a hurry costs, basis points of the collateral's value.
    """
    return marks.discount


@external
@view
def outstanding(collateral_type: uint256) -> uint256:
    """
    @notice A type's recognised and uncovered loss, rad: the ledger's own figure.
    """
    return staticcall VAULT_ENGINE.deficit_of(collateral_type)


@external
@view
def reserved_of(collateral_type: uint256) -> uint256:
    """
    @notice What stages have reserved of a type's deficit, rad: nonzero while one of their auctions runs.
    """
    return self._reserved(collateral_type)


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
    for k: uint256 in range(self._count(), bound=bounds.MAX_STAGES):
        found.covered += self.covered[collateral_type][epoch][k]
    if epoch == self.last_epoch[collateral_type]:
        found.outstanding = staticcall VAULT_ENGINE.deficit_of(collateral_type)
        # What was recovered since the last call here is not in the record yet.
        found.recovered += self.unresolved[collateral_type] - found.outstanding
    return found


@external
@view
def stage_count() -> uint256:
    """
    @notice How many stages there are.
    """
    return self._count()


@external
@view
def stage_terms(index: uint256) -> StageTerms:
    """
    @notice A stage's address and caps; empty beyond the last.
    """
    slot: Slot = self._load_stage(index)
    return StageTerms(
        stage=slot.stage,
        pooled=slot.pooled,
        asynchronous=slot.asynchronous,
        lifted=slot.lifted,
        cap_absolute=self.caps_absolute[index],
        cap_bps=slot.cap_bps,
    )


# ------------------------------------------------------------------ helpers


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
    self.pending_total -= amount


@internal
def _book(collateral_type: uint256, epoch: uint256, k: uint256, amount: uint256):
    self.covered[collateral_type][epoch][k] += amount
    self._resolve(collateral_type, amount)
    log LossCovered(collateral_type=collateral_type, epoch=epoch, stage=k, amount=amount)


@internal
@view
def _reserved(collateral_type: uint256) -> uint256:
    """
    @dev Rad of a type's deficit that its asynchronous stages have reserved.
    """
    pending: uint256 = self.counts >> 8
    total: uint256 = 0
    for k: uint256 in range(bounds.MAX_STAGES):
        if pending == 0:
            break
        if pending & 1 == 1:
            total += self.reserved[collateral_type][k]
        pending >>= 1
    return total


@internal
@view
def _allowed(
    collateral_type: uint256,
    epoch: uint256,
    k: uint256,
    slot: Slot,
    capacity: uint256,
    settling: bool,
) -> uint256:
    """
    @dev What stage k may still pay for an event: its capacity, under both caps; nothing in an epoch in
         which it gave up. Room under a cap counts in whole wei (rounded down), so that a stage that
         pays in tokens, rounding its payment up, never passes it.
    """
    if slot.lifted and settling:
        return capacity
    if slot.asynchronous and self.given_up[collateral_type][k] == epoch + 1:
        return 0
    cap: uint256 = self.caps_absolute[k]
    if slot.cap_bps != units.BASIS_POINTS:
        base: uint256 = self.bases[collateral_type][epoch][k]
        base = capacity if base == 0 else base - 1
        cap = min(cap, base * slot.cap_bps // units.BASIS_POINTS)
    if cap == UNCAPPED:
        return capacity
    # A reservation paid in a later epoch counts there, and caps may have changed since.
    room: uint256 = cap - min(cap, self.covered[collateral_type][epoch][k])
    return min(capacity, room // units.RAY * units.RAY)


@internal
@view
def _count() -> uint256:
    return self.counts & 255


@internal
@view
def _place(stage: address) -> uint256:
    """
    @dev The index of a stage.
    """
    place: uint256 = self.places[stage]
    assert place != 0, "loss_waterfall: not a stage"
    return place - 1


@internal
@view
def _load_stage(k: uint256) -> Slot:
    word: uint256 = self.stages[k]
    return Slot(
        stage=convert(word & (2**160 - 1), address),
        pooled=(word >> 160) & 1 == 1,
        asynchronous=(word >> 161) & 1 == 1,
        lifted=(word >> 162) & 1 == 1,
        cap_bps=word >> 163,
    )


@internal
def _store_stage(k: uint256, terms: StageTerms):
    assert terms.cap_bps <= units.BASIS_POINTS, "loss_waterfall: cap bounds"
    self.stages[k] = (
        convert(terms.stage, uint256)
        | (convert(terms.pooled, uint256) << 160)
        | (convert(terms.asynchronous, uint256) << 161)
        | (convert(terms.lifted, uint256) << 162)
        | (terms.cap_bps << 163)
    )
    self.caps_absolute[k] = terms.cap_absolute


@internal
def _note_order(order_hash: bytes32):
    self.order_hash = order_hash
    log StagesSet(order_hash=order_hash)
