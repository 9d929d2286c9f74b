# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title LossWaterfall
@license GNU Affero General Public License v3.0 only
@notice Decides the order in which stages absorb a loss. The ledger recognises deficits here; anyone may then
        have them covered by the stages, first to last. All losses of a collateral type in one epoch are one
        event, and for each event, exactly and in rad:
        created + carried_in == recovered + covered by the stages + carried_out + outstanding.
@dev Stages implement `IStage`. Which there are and their caps change by a timelock longer than any pool's
     cooldown, and never while a loss is open. An added stage takes its place between others; one that is left
     out is empty, has caps of nothing, or has failed twice; all others keep their order. A stage keeps its
     id, and an id is used once, so records of stages keep their meaning. Caps bind over any stretch of time
     as long as an epoch, so a loss split into parts, or covered in parts, widens none of them. A stage that
     needs time reserves its part of a deficit. No other stage covers that part until the stage has paid or
     released it, or its time is over. Each stage is called by itself, with gas of its own: its statement of a
     payment is not trusted, and one that fails counts as empty.
"""
from contracts.interfaces import ILiquidationEngine
from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IStage
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import listed_types
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


event StagesProposed:
    order_hash: bytes32
    ready_at: uint256  # [timestamp]


event LossRecognised:
    collateral_type: indexed(uint256)  # [id]
    epoch: indexed(uint256)  # [epoch]
    amount: uint256  # [rad]


event LossCarried:
    collateral_type: indexed(uint256)  # [id]
    epoch: indexed(uint256)  # [epoch]
    amount: uint256  # [rad]


event LossRecovered:
    collateral_type: indexed(uint256)  # [id]
    epoch: indexed(uint256)  # [epoch]
    amount: uint256  # [rad]


event LossCovered:
    collateral_type: indexed(uint256)  # [id]
    epoch: indexed(uint256)  # [epoch]
    stage: indexed(uint256)  # [id]
    amount: uint256  # [rad]


event LossReserved:
    collateral_type: indexed(uint256)  # [id]
    epoch: indexed(uint256)  # [epoch]
    stage: indexed(uint256)  # [id]
    amount: uint256  # [rad]


event ReservationReleased:
    collateral_type: indexed(uint256)  # [id]
    epoch: indexed(uint256)  # [epoch]
    stage: indexed(uint256)  # [id]
    amount: uint256  # [rad]


event StageFailed:
    collateral_type: indexed(uint256)  # [id]
    epoch: indexed(uint256)  # [epoch]
    stage: indexed(uint256)  # [id]


event LossMissed:
    collateral_type: indexed(uint256)  # [id]
    stage: indexed(uint256)  # [id]
    amount: uint256  # [rad] that others paid in its place


event MissedShareRepaid:
    collateral_type: indexed(uint256)  # [id]
    stage: indexed(uint256)  # [id]
    amount: uint256  # [rad] paid to the reserve
    owed: uint256  # [rad] still


struct StageTerms:
    stage: address
    pooled: bool  # one balance, and one cap, for all types, or one for each
    asynchronous: bool  # needs time: it reserves, and pays later; skipped in settlement
    lifted: bool  # its caps are lifted in settlement
    owes: bool  # has members, and pays at once: what it misses while it fails it pays later
    cap_absolute: uint256  # rad in a window; max_value(uint256) is none
    cap_bps: uint256  # basis points of the balance and what was paid in the window; 10000 is none


struct Slot:
    stage: address  # 160 bits
    pooled: bool  # 1 bit
    asynchronous: bool  # 1 bit
    lifted: bool  # 1 bit
    # 1 bit, which is read only where it matters: `owes` of the terms
    cap_bps: uint256  # 14 bits
    capped: bool  # 1 bit: whether there is an absolute cap


struct Loss:
    unresolved: uint256  # rad recognised and neither covered nor known to be recovered, 188 bits
    epoch: uint256  # of the type's last event, 32 bits
    gave_up: uint256  # stages that gave up, a bit each, 16 bits: passed over for now
    asked: bool  # whether all stages after those were asked since, 1 bit


struct CapUsage:
    bucket: uint256  # timestamp // EPOCH_LENGTH of the last payment, 32 bits
    now: uint256  # wei paid in it, 112 bits
    before: uint256  # wei paid in the bucket before, 112 bits


struct Failure:  # of a stage, in one call of `cover`
    stage: uint256
    short: uint256  # rad that it should have paid
    before: uint256  # rad that was paid before it


struct LossEvent:  # rad
    created: uint256
    carried_in: uint256
    recovered: uint256
    covered: uint256
    carried_out: uint256
    outstanding: uint256


UNCAPPED: constant(uint256) = max_value(uint256)
# Added to `pending_total` from the beginning of settlement until its books are closed.
WINDING_UP: constant(uint256) = 2**255
# Fields of `lineup`.
ASYNCHRONOUS: constant(uint256) = 16
OWING: constant(uint256) = 32
ORDER: constant(uint256) = 48
# Of `books`.
SETTLING: constant(uint256) = 2**254
CLOSED: constant(uint256) = 2**255
MASK_32: constant(uint256) = 2**32 - 1
MASK_112: constant(uint256) = 2**112 - 1
MASK_188: constant(uint256) = 2**188 - 1
# Fields of a reservation.
PLACE: constant(uint256) = 188
SINCE: constant(uint256) = 196
CAPPED: constant(uint256) = 236
IN_PLACE: constant(uint256) = 237
MASK_40: constant(uint256) = 2**40 - 1
# More than any stage can hold, rad: one that claims it has failed.
TOO_MUCH: constant(uint256) = 2**224
# What `used` has in place of a type where a stage has one cap for all of them.
ALL_TYPES: constant(uint256) = bounds.MAX_TYPES
# What has to be there before a call with gas of its own: EIP-150 keeps a 63rd part of that back, and the call
# itself costs something. With less, all reverts: who calls with little gas does not decide who pays.
CALL_COST: constant(uint256) = 10_000
LEAST_CAPACITY_GAS: constant(uint256) = bounds.CAPACITY_GAS + bounds.CAPACITY_GAS // 63 + CALL_COST
LEAST_ABSORB_GAS: constant(uint256) = bounds.ABSORB_GAS + bounds.ABSORB_GAS // 63 + CALL_COST
LEAST_LOOK_GAS: constant(uint256) = bounds.LOOK_GAS + bounds.LOOK_GAS // 63 + CALL_COST

VAULT_ENGINE: public(immutable(IVaultEngine))
# Knows what debt is in doubt.
LIQUIDATION_ENGINE: public(immutable(ILiquidationEngine))
# Seconds. The event of a loss is (collateral type, timestamp // EPOCH_LENGTH), and no stage pays more than
# its caps in any stretch of time as long as this.
EPOCH_LENGTH: public(immutable(uint256))
# Seconds from the proposal of other stages or caps to their use. Pools insist on a shorter cooldown.
CAP_DELAY: public(immutable(uint256))

# keccak256 of the ABI-encoded list of stages; zero until they are set.
order_hash: public(bytes32)
# The same of a list that is proposed; zero if there is none.
proposed_hash: public(bytes32)
# Of a call of `cover`; empty between them.
failures: transient(DynArray[Failure, bounds.MAX_STAGES])
# Seconds, when what is proposed can be used.
stages_ready_at: public(uint256)
# Stages that failed when a list without them was proposed, a bit each.
condemned: uint256
# address -> 1 + its stage's id; it stays when a stage is left out
ids: HashMap[address, uint256]
# how many stages (8 bits) | how many there ever were (8 bits) | which are asynchronous, and which owe what
# they missed (a bit for each id, twice 16 bits) | their ids in order (4 bits each, 64 bits)
lineup: uint256
# types with anything unresolved (a bit each, 254 bits) | whether settlement winds up, and then whether its
# books are closed (2 bits)
books: uint256
# stage -> Slot
stages: HashMap[uint256, uint256]
# stage -> rad
caps_absolute: HashMap[uint256, uint256]

# collateral type -> Loss
losses: HashMap[uint256, uint256]
# collateral type -> stage -> rad of the deficit that it will pay or give up (188 bits) | 1 + its id
# (8 bits), which stays: the next reservation costs less, and the stage needs no looking up | seconds,
# when it was made (40 bits) | whether the stage has a cap (1 bit) | whether any is in another's place (1 bit)
reservations: HashMap[uint256, HashMap[address, uint256]]
# collateral type -> epoch -> rad
created: HashMap[uint256, HashMap[uint256, uint256]]
carried_in: HashMap[uint256, HashMap[uint256, uint256]]
recovered: HashMap[uint256, HashMap[uint256, uint256]]
carried_out: HashMap[uint256, HashMap[uint256, uint256]]
# collateral type -> epoch -> stage -> rad
covered: public(HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]])
# stage -> collateral type (ALL_TYPES of one with a balance for all) -> CapUsage; of stages with a cap
used: HashMap[uint256, HashMap[uint256, uint256]]
# collateral type -> stage with a reservation -> rad of it that it pays in the place of one that failed (188
# bits) | that one
in_place: HashMap[uint256, HashMap[address, uint256]]
# stage -> collateral type -> rad that others paid in its place while it failed, and that it owes
missed: public(HashMap[uint256, HashMap[uint256, uint256]])
# stage -> rad, the sum of that over all types
owed: HashMap[uint256, uint256]


@deploy
def __init__(
    vault_engine: address,
    liquidation_engine: address,
    admin: address,
    epoch_length: uint256,
    cap_delay: uint256,
):
    """
    @param vault_engine The ledger: the only one that recognises losses.
    @param liquidation_engine Reads which debt is at risk.
    @param admin Sets the stages, once, and proposes caps.
    @param epoch_length [seconds] All losses of a type in one epoch are one event.
    @param cap_delay [seconds] From the proposal of new caps to their use.
    """
    roles.__init__(admin)
    assert epoch_length >= bounds.MIN_EPOCH, "loss_waterfall: short epoch"
    assert epoch_length <= bounds.MAX_EPOCH, "loss_waterfall: long epoch"
    assert cap_delay <= bounds.MAX_CAP_DELAY, "loss_waterfall: long delay"
    VAULT_ENGINE = IVaultEngine(vault_engine)
    LIQUIDATION_ENGINE = ILiquidationEngine(liquidation_engine)
    EPOCH_LENGTH = epoch_length
    CAP_DELAY = cap_delay


# ------------------------------------------------------------------- order


@external
def set_stages(terms: DynArray[StageTerms, bounds.MAX_STAGES]):
    """
    @notice Fix the order of losses. Admin only, once. Each stage has to prove itself: it answers with its
            holdings, and accepts a call of this contract to pay nothing. Protects: an address that is no
            stage, one of another waterfall and one without its role are not taken for a stage.
    @param terms The stages, the first to pay first, with their caps.
    """
    roles._only_admin()
    assert self.order_hash == empty(bytes32), "loss_waterfall: stages are set"
    self._check_and_replace_stages(terms, True)


@external
@nonreentrant
def propose_stages(terms: DynArray[StageTerms, bounds.MAX_STAGES]):
    """
    @notice Announce other caps, new stages between the present ones, and the stages to be left out. Admin
            only. A new proposal takes the place of an old one. New stages prove themselves now, and again
            when the list is used. Protects: a pool's members can leave before its terms change.
    @param terms The stages in their order, new ones in between, with their caps.
    """
    roles._only_admin()
    assert self.order_hash != empty(bytes32), "loss_waterfall: none are set"
    self.condemned = self._check_and_replace_stages(terms, False)
    self.proposed_hash = keccak256(abi_encode(terms))
    self.stages_ready_at = block.timestamp + CAP_DELAY
    log StagesProposed(order_hash=self.proposed_hash, ready_at=self.stages_ready_at)


@external
@nonreentrant
def apply_stages(terms: DynArray[StageTerms, bounds.MAX_STAGES]):
    """
    @notice Use the proposed list. Permissionless, once its delay is over and while no loss is open: no
            deficit, and so no recapitalisation. A stage is left out only while no debt is at risk, if it is
            empty or its present caps are nothing, or if it failed when that was proposed and fails now.
            Protects: a change frees no stage from a known loss, and no deposit, however small, keeps a stage
            in the list; a stage that leaves the list keeps its debts.
    @param terms As proposed.
    """
    assert keccak256(abi_encode(terms)) == self.proposed_hash, "loss_waterfall: not proposed"
    assert block.timestamp >= self.stages_ready_at, "loss_waterfall: too early"
    assert self.books == 0, "loss_waterfall: losses open"
    self.proposed_hash = empty(bytes32)
    self._check_and_replace_stages(terms, True)


# -------------------------------------------------------------- recognition


@external
def recognise(collateral_type: uint256, amount: uint256):
    """
    @notice Record a deficit that the ledger has booked. Vault engine only. No stage pays here: a liquidation
            never waits for a stage.
    @param collateral_type [id] The collateral type.
    @param amount [rad] The deficit booked.
    """
    self._only_engine()
    loss: Loss = self._carry_unresolved_loss_into_epoch(collateral_type, self._load_loss(collateral_type))
    first: bool = loss.unresolved == 0
    self.created[collateral_type][loss.epoch] += amount
    # Under 2**186, as every figure of the balance sheet.
    loss.unresolved += amount
    self._store_loss(collateral_type, loss)
    if first:
        self._update_unresolved_loss_bit(collateral_type)
    log LossRecognised(collateral_type=collateral_type, epoch=loss.epoch, amount=amount)


@external
def retire(collateral_type: uint256):
    """
    @notice Close the record of a type that is retired. Vault engine only, once nothing of it is uncovered.
            Protects: no stage still sells for a loss of it.
    @param collateral_type [id] The collateral type.
    """
    self._only_engine()
    assert self._sum_reservations(collateral_type, self.lineup) == 0, "loss_waterfall: stages sell"
    self._note_recovery(collateral_type, 0)
    self._update_unresolved_loss_bit(collateral_type)


@external
def wind_up():
    """
    @notice Begin to wind up: stages that need time are passed over, caps are lifted where the terms allow it,
            and no pool pays out until the losses are known. Vault engine only, once settlement has begun.
    """
    self._only_engine()
    self.books |= SETTLING


@external
def close_books():
    """
    @notice End the winding up: settlement has covered all that it could, holders bear the rest, and no debt
            is at risk any more. Vault engine only, once, after `wind_up`.
    """
    self._only_engine()
    self.books += CLOSED - SETTLING


# ----------------------------------------------------------------- coverage


@external
@nonreentrant
def cover(collateral_type: uint256) -> uint256:
    """
    @notice Have a type's deficit covered by the stages. Permissionless. Each call starts again at the first
            stage; a stage pays only when all before it are dry, capped or have failed; while one holds a
            reservation, the ones after it wait. Reverts while the ledger is in the middle of something, and
            with less gas than the next stage may use: nothing the caller does makes a stage fail. Protects:
            the order of losses, for any caller, place and number of calls. A stage that lies or fails affects
            itself only; a part that a stage has reserved is not covered by another.
    @param collateral_type [id] The type with the deficit.
    @return [rad] Covered or newly reserved; zero if no stage can pay, or nothing is left to be paid.
    """
    due: uint256 = staticcall VAULT_ENGINE.deficit_when_idle(collateral_type)
    # One that was repaid in full without a stage is open until somebody says so here.
    assert due != 0 or (self.books >> collateral_type) & 1 == 1, "loss_waterfall: no deficit"
    loss: Loss = self._carry_unresolved_loss_into_epoch(
        collateral_type, self._note_recovery(collateral_type, due)
    )
    epoch: uint256 = loss.epoch
    lineup: uint256 = self.lineup
    settling: bool = self.books >= SETTLING
    # A deficit that was repaid without a stage may be less than what is reserved of it.
    reserved: uint256 = self._sum_reservations(collateral_type, lineup)
    due = unsafe_sub(due, min(due, reserved))
    asked: bool = reserved == 0
    total: uint256 = 0
    failed: bool = False
    order: uint256 = lineup >> ORDER
    for _: uint256 in range(lineup & 255, bound=bounds.MAX_STAGES):
        if due == 0:
            break
        k: uint256 = order & 15
        order >>= 4
        slot: Slot = self._load_stage(k)
        if slot.asynchronous:
            if settling:
                continue
            if reserved != 0 and self.reservations[collateral_type][slot.stage] & MASK_188 != 0:
                asked = False
                break
            if (loss.gave_up >> k) & 1 == 1:
                continue
        works: bool = False
        amount: uint256 = 0
        works, amount = self._read_stage_answer_and_capacity(slot.stage, collateral_type)
        amount = min(due, self._compute_room(collateral_type, k, slot, amount, 0, settling))
        paid: uint256 = 0
        kept: uint256 = 0
        if amount != 0:
            works, paid, kept = self._absorb_and_verify_loss_payment(slot, collateral_type, amount)
        if not works:
            log StageFailed(collateral_type=collateral_type, epoch=epoch, stage=k)
            if self._owes(k) and not settling:
                failed = True
                self.failures.append(
                    Failure(
                        stage=k,
                        short=self._compute_shortfall(collateral_type, k, slot, due, paid),
                        before=total + paid,
                    )
                )
        if paid != 0:
            # Read again: a stage was called.
            self._book_payment(collateral_type, self._load_loss(collateral_type), k, paid)
            if self._is_capped(slot):
                self._count_payment(collateral_type, k, slot, paid)
        borne: uint256 = unsafe_add(paid, kept)
        # Parts of a deficit: none has more than 188 bits.
        due = unsafe_sub(due, min(due, borne))
        total = unsafe_add(total, borne)
        if kept != 0:
            self.reservations[collateral_type][slot.stage] = (
                kept
                | ((k + 1) << PLACE)
                | (block.timestamp << SINCE)
                | (convert(slot.capped or slot.cap_bps != units.BASIS_POINTS, uint256) << CAPPED)
            )
            log LossReserved(collateral_type=collateral_type, epoch=epoch, stage=k, amount=kept)
            asked = False
            if failed:
                self._record_failed_stages_missed_shares(collateral_type, total - kept, kept, slot.stage)
                failed = False
            break
    if failed:
        self._record_failed_stages_missed_shares(collateral_type, total, 0, empty(address))
    if asked and loss.gave_up != 0 and not loss.asked:
        loss = self._load_loss(collateral_type)
        loss.asked = True
        self._store_loss(collateral_type, loss)
    return total


@external
def book_payment(collateral_type: uint256, payer: address, amount: uint256):
    """
    @notice Pay a part of an asynchronous stage's reservation: a buyer's stablecoin is burned against the
            deficit. The stage itself only, on an allowance of the buyer's to it.
    @param collateral_type [id] The collateral type.
    @param payer Owner of the burned stablecoin.
    @param amount [rad] At most the reserved amount.
    """
    reservation: uint256 = self._load_reservation_of_stage(collateral_type)
    assert amount <= reservation & MASK_188, "loss_waterfall: not reserved"
    # The amount, unless somebody else has repaid what was reserved.
    covered: uint256 = extcall VAULT_ENGINE.cover_from_buyer(collateral_type, payer, msg.sender, amount)
    self.reservations[collateral_type][msg.sender] = reservation - covered
    loss: Loss = self._carry_unresolved_loss_into_epoch(collateral_type, self._load_loss(collateral_type))
    k: uint256 = ((reservation >> PLACE) & 255) - 1
    self._book_payment(collateral_type, loss, k, covered)
    if reservation >> CAPPED == 0:
        return
    if (reservation >> CAPPED) & 1 == 1:
        self._count_payment(collateral_type, k, self._load_stage(k), covered)
    if reservation >> IN_PLACE == 1:
        word: uint256 = self.in_place[collateral_type][msg.sender]
        part: uint256 = min(word & MASK_188, covered)
        self.in_place[collateral_type][msg.sender] = word - part
        self._record_missed_share(collateral_type, word >> 188, part)


@external
@nonreentrant
def repay_missed_share(collateral_type: uint256, stage: uint256) -> uint256:
    """
    @notice Repay, from a stage that works again, the payments of others in its place while it failed: to the
            reserve, which repays the members that bore them. Permissionless, while no loss is open. It pays
            at most its holdings, under its caps; its members get claims as for any loss. One that is empty
            then owes nothing any more. Reverts if it fails again. Protects: no stage leaves a loss to others
            by failing.
    @param collateral_type [id] The type that lost.
    @param stage [id] The stage's id, from 0: they count up in the order in which stages were added.
    @return [rad] Paid.
    """
    owed: uint256 = self.missed[stage][collateral_type]
    assert owed != 0, "loss_waterfall: nothing missed"
    # Otherwise what it pays into the reserve would pay for its own part of the open loss.
    assert self.books == 0, "loss_waterfall: cover first"
    slot: Slot = self._load_stage(stage)
    works: bool = False
    capacity: uint256 = 0
    works, capacity = self._read_stage_answer_and_capacity(slot.stage, collateral_type)
    assert works, "loss_waterfall: no answer"
    amount: uint256 = min(owed, self._compute_room(collateral_type, stage, slot, capacity, 0, False))
    assert amount != 0 or capacity == 0, "loss_waterfall: no room"
    if amount != 0:
        # Without a deficit, all that a stage burns goes to the reserve.
        reserve: uint256 = staticcall VAULT_ENGINE.reserve()
        extcall IStage(slot.stage).absorb(collateral_type, amount)
        assert staticcall VAULT_ENGINE.reserve() >= reserve + amount, "loss_waterfall: still fails"
        if self._is_capped(slot):
            self._count_payment(collateral_type, stage, slot, amount)
    left: uint256 = 0 if amount == capacity else owed - amount
    self.missed[stage][collateral_type] = left
    self.owed[stage] -= owed - left
    if self.owed[stage] == 0:
        self.lineup &= ~(1 << (OWING + stage))
    log MissedShareRepaid(collateral_type=collateral_type, stage=stage, amount=amount, owed=left)
    return amount


@external
def release(collateral_type: uint256):
    """
    @notice Release the rest of a reservation. The stage itself only. It is passed over for the type until all
            stages after it were asked and another epoch has begun. Protects: no stage can hold later stages
            back by starting again and again, however short epochs are.
    @param collateral_type [id] The collateral type.
    """
    self._release_reservation(collateral_type, msg.sender, self._load_reservation_of_stage(collateral_type))


@external
def force_release(collateral_type: uint256, stage: uint256):
    """
    @notice Release the rest of a stage's reservation in its place. Permissionless, once it is older than any
            sale lasts, or in settlement. Protects: a failure during a reservation holds up the other stages
            for no longer than that.
    @param collateral_type [id] The collateral type.
    @param stage [id] The stage's id, from 0: they count up in the order in which stages were added.
    """
    holder: address = self._load_stage(stage).stage
    reservation: uint256 = self.reservations[collateral_type][holder]
    assert reservation & MASK_188 != 0, "loss_waterfall: nothing reserved"
    assert (
        self.books >= SETTLING
        or block.timestamp > ((reservation >> SINCE) & MASK_40) + bounds.MAX_RESERVATION
    ), "loss_waterfall: not overdue"
    self._release_reservation(collateral_type, holder, reservation)


# -------------------------------------------------------------------- views


@external
@view
def losses_reaching(stage: address) -> uint256:
    """
    @notice Return the losses that would reach a stage if all debt at risk were lost and covered now: the
            uncovered deficits and the debt at risk of all types, each less the payments of earlier stages
            under their caps. The stage's reservations have reached it already; payments of others in its
            place while it failed have not. Asynchronous stages, and stages that fail or owe missed payments,
            count as nothing, since their payments are not known. No more do borrowers (the stage of each type
            that settlement does not lift), as an addition to debts at risk is at risk again. Nor does any
            stage of each type behind one for all: its payment depends on which type is covered first. While
            settlement winds up, everything: the loss is not known yet. Nothing once its books are closed.
    @param stage A stage's address; an address that is no stage bears nothing.
    @return [rad] The stage's own balance and caps are ignored; more than all there is while settlement winds
            up.
    """
    return self._compute_losses_reaching(stage, False)


@external
@view
def losses_at_payment(stage: address) -> uint256:
    """
    @notice Return the losses for payments of pools, as `losses_reaching`, but revert while a price has just
            fallen far: that leaves time to flag the unsafe vaults. A feed that does not answer delays no
            payment; settlement allows none before its books are closed. Reverts with less gas than the feed
            may use, too. Also reverts while the stage, if its cap is a share of its holdings, could cover
            more than a ten thousandth of that share of a booked loss: cover it first. Protects: no member is
            paid ahead of a publicly visible loss, nor takes a part of such a cap along.
    @param stage A stage's address; an address that is no stage bears nothing.
    @return [rad] As `losses_reaching`.
    """
    self._check_no_recent_price_fall()
    return self._compute_losses_reaching(stage, True)


@external
@view
def debt_at_risk_at_payment() -> uint256:
    """
    @notice Return the debt at risk for payments of the treasury, as `debt_at_risk_total`, but revert while a
            loss is open, and while a price has just fallen far: that leaves time to flag the unsafe vaults. A
            feed that does not answer delays no payment. Reverts with less gas than the feed may use, too.
            Protects: the reserve pays no account ahead of a publicly visible loss.
    @return [rad] As `debt_at_risk_total`.
    """
    books: uint256 = self.books
    if books == 0:
        self._look()
    else:
        assert books >= CLOSED, "loss_waterfall: losses pending"
    # No deficit is left.
    return staticcall LIQUIDATION_ENGINE.debt_at_risk_total(skip_contract_check=True)


@external
@view
def pending_total() -> uint256:
    """
    @notice Return the recognised and unresolved losses of all types; zero once settlement's books are closed:
            no loss is possible after that.
    @return [rad] With WINDING_UP added while settlement winds up.
    """
    books: uint256 = self.books
    if books >= CLOSED:
        return 0
    total: uint256 = WINDING_UP if books >= SETTLING else 0
    found: uint256 = books & (SETTLING - 1)
    for c: uint256 in range(bounds.MAX_TYPES):
        if found == 0:
            break
        if found & 1 == 1:
            total += self._load_loss(c).unresolved
        found >>= 1
    return total


@external
@view
def debt_at_risk_total() -> uint256:
    """
    @notice Return the possible losses of all types: uncovered deficits, principal under auction but for sound
            workouts, and flagged vaults. No loss that is known can be larger.
    @return [rad] Of all types, before any stage pays.
    """
    found: uint256 = self.books & (SETTLING - 1)
    total: uint256 = staticcall LIQUIDATION_ENGINE.debt_at_risk_total()
    for c: uint256 in range(bounds.MAX_TYPES):
        if found == 0:
            break
        if found & 1 == 1:
            total += staticcall VAULT_ENGINE.deficit_of(c)
        found >>= 1
    return total


@external
@view
def outstanding(collateral_type: uint256) -> uint256:
    """
    @notice A type's recognised and uncovered loss: the ledger's own figure.
    @param collateral_type [id] The collateral type.
    @return [rad] The deficit.
    """
    return staticcall VAULT_ENGINE.deficit_of(collateral_type)


@external
@view
def reserved_of(collateral_type: uint256) -> uint256:
    """
    @notice Return the part of a type's deficit that stages have reserved: nonzero while one of their auctions
            runs.
    @param collateral_type [id] The collateral type.
    @return [rad] Of all stages.
    """
    return self._sum_reservations(collateral_type, self.lineup)


@external
@view
def reserved(collateral_type: uint256, stage: uint256) -> uint256:
    """
    @notice Return the part of a type's deficit that one stage has reserved: it will pay or release it.
    @param collateral_type [id] The collateral type.
    @param stage [id] The stage's id, from 0: they count up in the order in which stages were added.
    @return [rad] 0 if it has reserved nothing.
    """
    return self.reservations[collateral_type][self._load_stage(stage).stage] & MASK_188


@external
@view
def last_epoch(collateral_type: uint256) -> uint256:
    """
    @notice The epoch of a type's last event.
    @param collateral_type [id] The collateral type.
    @return [epoch] The event's; 0 if there never was one.
    """
    return self._load_loss(collateral_type).epoch


@external
@view
def event_of(collateral_type: uint256, epoch: uint256) -> LossEvent:
    """
    @notice The record of an event, exactly: created + carried_in == recovered + covered + carried_out +
            outstanding. Recovered is the amount that left the deficit without a stage.
    @param collateral_type [id] The collateral type.
    @param epoch [epoch] The event's.
    @return The record, in rad; zeros if there was no event.
    """
    found: LossEvent = LossEvent(
        created=self.created[collateral_type][epoch],
        carried_in=self.carried_in[collateral_type][epoch],
        recovered=self.recovered[collateral_type][epoch],
        covered=0,
        carried_out=self.carried_out[collateral_type][epoch],
        outstanding=0,
    )
    for k: uint256 in range((self.lineup >> 8) & 255, bound=bounds.MAX_STAGES):
        found.covered += self.covered[collateral_type][epoch][k]
    loss: Loss = self._load_loss(collateral_type)
    if epoch == loss.epoch:
        found.outstanding = staticcall VAULT_ENGINE.deficit_of(collateral_type)
        # What was recovered since the last call here is not in the record yet.
        found.recovered += loss.unresolved - found.outstanding
    return found


@external
@view
def stage_count() -> uint256:
    """
    @notice How many stages there are.
    @return [count] 0 until they are set.
    """
    return self.lineup & 255


@external
@view
def stage_ids() -> DynArray[uint256, bounds.MAX_STAGES]:
    """
    @notice The order of losses.
    @return [id] Of the stages, the first to pay first.
    """
    lineup: uint256 = self.lineup
    found: DynArray[uint256, bounds.MAX_STAGES] = []
    for place: uint256 in range(lineup & 255, bound=bounds.MAX_STAGES):
        found.append(self._compute_price(lineup, place))
    return found


@external
@view
def stage_terms(stage: uint256) -> StageTerms:
    """
    @notice A stage's address and caps, also of one that was left out.
    @param stage [id] The stage's id, from 0: they count up in the order in which stages were added.
    @return The terms; empty if there never was one.
    """
    slot: Slot = self._load_stage(stage)
    return StageTerms(
        stage=slot.stage,
        pooled=slot.pooled,
        asynchronous=slot.asynchronous,
        lifted=slot.lifted,
        owes=self._owes(stage),
        cap_absolute=self.caps_absolute[stage],
        cap_bps=slot.cap_bps,
    )


# ------------------------------------------------------------------ helpers


@internal
@view
def _only_engine():
    assert msg.sender == VAULT_ENGINE.address, "loss_waterfall: not vault engine"


@internal
@view
def _check_no_recent_price_fall():
    """
    @dev Refuse while the feed reports that a price has just fallen; not in settlement.
    """
    if self.books < SETTLING:
        self._look()


@internal
@view
def _look():
    """
    @dev Ask the feed, with any answer allowed; a feed that does not answer delays no payment.
    """
    feed: address = staticcall VAULT_ENGINE.PRICE_FEED(skip_contract_check=True)
    assert msg.gas >= LEAST_LOOK_GAS, "loss_waterfall: no gas to look"
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        feed,
        method_id("withdrawals_paused_until()"),
        max_outsize=32,
        gas=bounds.LOOK_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    if success and len(answer) == 32:
        assert block.timestamp >= convert(answer, uint256), "loss_waterfall: price has fallen"


@internal
@view
def _check_stage_covered_losses(
    types: DynArray[uint256, bounds.MAX_COLLATERAL_TYPES],
    books: uint256,
    lineup: uint256,
    k: uint256,
    slot: Slot,
):
    """
    @dev Refuse while stage k could cover a part of a booked loss that no stage has reserved: its cap is a
         share of its holdings at that time. The income that vests between a cover and a payment is less than
         the tolerance.
    """
    for c: uint256 in types:
        if self._get_deficit(c, books) == 0 or self._sum_reservations(c, lineup) != 0:
            continue
        works: bool = False
        capacity: uint256 = 0
        works, capacity = self._read_stage_answer_and_capacity(slot.stage, c)
        room: uint256 = self._compute_room(c, k, slot, capacity, 0, False)
        least: uint256 = capacity * slot.cap_bps // units.BASIS_POINTS // units.BASIS_POINTS
        assert room <= least, "loss_waterfall: not covered yet"


@internal
@view
def _compute_losses_reaching(stage: address, paying: bool) -> uint256:
    books: uint256 = self.books
    if books >= SETTLING:
        return WINDING_UP if books < CLOSED else 0

    left: uint256[bounds.MAX_COLLATERAL_TYPES] = empty(uint256[bounds.MAX_COLLATERAL_TYPES])
    types: DynArray[uint256, bounds.MAX_COLLATERAL_TYPES] = listed_types._ids(
        staticcall VAULT_ENGINE.listed()
    )
    total: uint256 = 0
    for i: uint256 in range(len(types), bound=bounds.MAX_COLLATERAL_TYPES):
        deficit: uint256 = self._get_deficit(types[i], books)
        # What another has reserved, it may yet give up.
        own: uint256 = 0 if deficit == 0 else self.reservations[types[i]][stage] & MASK_188
        left[i] = deficit - min(deficit, own) + staticcall LIQUIDATION_ENGINE.debt_at_risk_of(types[i])
        total += left[i]
    lineup: uint256 = self.lineup
    owing: uint256 = (lineup >> OWING) & (2**bounds.MAX_STAGES - 1)
    if total == 0 and owing == 0:
        return 0

    pooled: bool = False
    for place: uint256 in range(lineup & 255, bound=bounds.MAX_STAGES):
        k: uint256 = self._compute_price(lineup, place)
        slot: Slot = self._load_stage(k)
        owes: bool = (owing >> k) & 1 == 1
        if slot.stage == stage:
            if paying and total != 0 and slot.cap_bps != units.BASIS_POINTS:
                self._check_stage_covered_losses(types, books, lineup, k, slot)
            if owes:
                total += self.owed[k]
            return total
        pooled = pooled or slot.pooled
        if slot.asynchronous or owes or total == 0 or (not slot.pooled and (pooled or not slot.lifted)):
            continue
        spent: uint256 = 0
        for i: uint256 in range(len(types), bound=bounds.MAX_COLLATERAL_TYPES):
            if left[i] == 0:
                continue
            works: bool = False
            capacity: uint256 = 0
            works, capacity = self._read_stage_answer_and_capacity(slot.stage, types[i])
            more: uint256 = 0
            if slot.pooled:
                more = spent
                capacity -= min(capacity, spent)
            amount: uint256 = min(left[i], self._compute_room(types[i], k, slot, capacity, more, False))
            left[i] -= amount
            spent += amount
        total -= spent
    # One that was left out bears nothing any more, but what it owes.
    id: uint256 = self.ids[stage]
    return self.owed[id - 1] if id != 0 else 0


@internal
def _carry_unresolved_loss_into_epoch(collateral_type: uint256, last: Loss) -> Loss:
    """
    @dev Carry the rest of the last event into the present one, which is returned. Stages that gave up are
         asked again from then on, if all after them were asked meanwhile.
    """
    loss: Loss = last
    epoch: uint256 = block.timestamp // EPOCH_LENGTH
    if epoch != loss.epoch:
        if loss.unresolved != 0:
            self.carried_out[collateral_type][loss.epoch] = loss.unresolved
            self.carried_in[collateral_type][epoch] = loss.unresolved
            log LossCarried(collateral_type=collateral_type, epoch=epoch, amount=loss.unresolved)
        loss.epoch = epoch
        if loss.asked:
            loss.gave_up = 0
            loss.asked = False
        self._store_loss(collateral_type, loss)
    return loss


@internal
def _note_recovery(collateral_type: uint256, deficit: uint256) -> Loss:
    """
    @dev The ledger may repay a deficit without a stage (from income, from salvage): it belongs to
         the last event, which is returned, before that one is carried on.
    """
    loss: Loss = self._load_loss(collateral_type)
    amount: uint256 = loss.unresolved - deficit
    if amount != 0:
        loss.unresolved = deficit
        self.recovered[collateral_type][loss.epoch] += amount
        self._store_loss(collateral_type, loss)
        if deficit == 0:
            self._update_unresolved_loss_bit(collateral_type)
        log LossRecovered(collateral_type=collateral_type, epoch=loss.epoch, amount=amount)
    return loss


@internal
def _book_payment(collateral_type: uint256, before: Loss, k: uint256, amount: uint256):
    """
    @dev A stage paid for the present event: the same with less unresolved.
    """
    loss: Loss = before
    self.covered[collateral_type][loss.epoch][k] += amount
    loss.unresolved -= amount
    self._store_loss(collateral_type, loss)
    if loss.unresolved == 0:
        self._update_unresolved_loss_bit(collateral_type)
    log LossCovered(collateral_type=collateral_type, epoch=loss.epoch, stage=k, amount=amount)


@internal
@pure
def _is_capped(slot: Slot) -> bool:
    return slot.capped or slot.cap_bps != units.BASIS_POINTS


@internal
def _count_payment(collateral_type: uint256, k: uint256, slot: Slot, amount: uint256):
    """
    @dev Count a payment of a stage with a cap, rounded up to the wei.
    """
    of: uint256 = ALL_TYPES if slot.pooled else collateral_type
    used: CapUsage = self._load_used(k, of)
    # Far under 112 bits: no more is paid than there are stablecoins.
    used.now += units._div_up(amount, units.RAY)
    self.used[k][of] = used.bucket | (used.now << 32) | (used.before << 144)


@internal
def _release_reservation(collateral_type: uint256, stage: address, reservation: uint256):
    """
    @dev End a reservation, if anything is left of it.
    """
    amount: uint256 = reservation & MASK_188
    if amount == 0:
        return
    k: uint256 = ((reservation >> PLACE) & 255) - 1
    self.reservations[collateral_type][stage] = reservation - amount
    loss: Loss = self._carry_unresolved_loss_into_epoch(collateral_type, self._load_loss(collateral_type))
    loss.gave_up |= 1 << k
    loss.asked = False
    self._store_loss(collateral_type, loss)
    log ReservationReleased(collateral_type=collateral_type, epoch=loss.epoch, stage=k, amount=amount)


@internal
def _update_unresolved_loss_bit(collateral_type: uint256):
    """
    @dev Keep the type's bit: whether anything of it is unresolved.
    """
    bit: uint256 = 1 << collateral_type
    if self._load_loss(collateral_type).unresolved == 0:
        self.books &= ~bit
    else:
        self.books |= bit


@internal
@view
def _get_deficit(collateral_type: uint256, books: uint256) -> uint256:
    """
    @dev Rad of a type's uncovered deficit; the ledger is asked only where something is unresolved.
    """
    if (books >> collateral_type) & 1 == 0:
        return 0
    return staticcall VAULT_ENGINE.deficit_of(collateral_type)


@internal
@view
def _sum_reservations(collateral_type: uint256, lineup: uint256) -> uint256:
    """
    @dev Rad of a type's deficit that its asynchronous stages have reserved.
    """
    pending: uint256 = (lineup >> ASYNCHRONOUS) & (2**bounds.MAX_STAGES - 1)
    total: uint256 = 0
    for k: uint256 in range(bounds.MAX_STAGES):
        if pending == 0:
            break
        if pending & 1 == 1:
            stage: address = convert(self.stages[k] & (2**160 - 1), address)
            total = unsafe_add(total, self.reservations[collateral_type][stage] & MASK_188)
        pending >>= 1
    return total


@internal
@view
def _compute_shortfall(
    collateral_type: uint256, k: uint256, slot: Slot, due: uint256, paid: uint256
) -> uint256:
    """
    @dev Rad that stage k should have paid of the due amount, in addition to its payment. Together with its
         debts, a stage never owes more than it has, nor than its caps let it pay in a window. A stage that
         does not even report its holdings may hold all of the amount.
    """
    works: bool = False
    capacity: uint256 = 0
    works, capacity = self._read_stage_answer_and_capacity(slot.stage, collateral_type)
    if not works:
        capacity = TOO_MUCH
    owed: uint256 = self.owed[k]
    return min(
        due - min(due, paid),
        self._compute_room(collateral_type, k, slot, capacity - min(capacity, owed), owed + paid, False),
    )


@internal
def _record_failed_stages_missed_shares(
    collateral_type: uint256, paid: uint256, kept: uint256, holder: address
):
    """
    @dev Make failed stages owe the payments of later ones in their place, the first as far as it was short,
         no part of it twice. Record also the stages for which a part was reserved, which is owed once it is
         paid.
    """
    # What was paid before the first of them is nobody's to owe.
    left: uint256 = paid - self.failures[0].before
    unplaced: uint256 = kept
    for failure: Failure in self.failures:
        part: uint256 = min(failure.short, min(left, paid - failure.before))
        left -= part
        self._record_missed_share(collateral_type, failure.stage, part)
        part = min(failure.short - part, unplaced)
        if part != 0:
            unplaced = 0
            self.in_place[collateral_type][holder] = part | (failure.stage << 188)
            self.reservations[collateral_type][holder] |= 1 << IN_PLACE
    self.failures = []


@internal
def _record_missed_share(collateral_type: uint256, k: uint256, amount: uint256):
    if amount != 0:
        self.missed[k][collateral_type] += amount
        self.owed[k] += amount
        self.lineup |= 1 << (OWING + k)
        log LossMissed(collateral_type=collateral_type, stage=k, amount=amount)


@internal
@view
def _load_reservation_of_stage(collateral_type: uint256) -> uint256:
    """
    @dev The caller's reservation; a caller that never had one of the type is none of its stages.
    """
    reservation: uint256 = self.reservations[collateral_type][msg.sender]
    assert reservation != 0, "loss_waterfall: not a stage"
    return reservation


@internal
@view
def _read_stage_answer_and_capacity(stage: address, collateral_type: uint256) -> (bool, uint256):
    """
    @dev Whether a stage answers, and the amount that it reports it can pay, rad; 0 if it does not answer.
    """
    assert msg.gas >= LEAST_CAPACITY_GAS, "loss_waterfall: no gas to ask"
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        stage,
        abi_encode(collateral_type, method_id=method_id("capacity(uint256)")),
        max_outsize=32,
        gas=bounds.CAPACITY_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(answer) != 32:
        return False, 0
    capacity: uint256 = convert(answer, uint256)
    if capacity >= TOO_MUCH:
        return False, 0
    return True, capacity


@internal
def _is_working(stage: address) -> bool:
    """
    @dev Whether a stage reports its holdings, and accepts a call of this contract to pay nothing. The caller
         does not make it fail: neither with little gas nor while the ledger is in the middle of an operation.
    """
    works: bool = False
    nothing: uint256 = staticcall VAULT_ENGINE.deficit_when_idle(0)
    works, nothing = self._read_stage_answer_and_capacity(stage, 0)
    assert msg.gas >= LEAST_ABSORB_GAS, "loss_waterfall: no gas to prove"
    success: bool = False
    answer: Bytes[64] = b""
    success, answer = raw_call(
        stage,
        abi_encode(empty(uint256), empty(uint256), method_id=method_id("absorb(uint256,uint256)")),
        max_outsize=64,
        gas=bounds.ABSORB_GAS,
        revert_on_failure=False,
    )
    return works and success and answer == abi_encode(empty(uint256), empty(uint256))


@internal
def _check_and_replace_stages(terms: DynArray[StageTerms, bounds.MAX_STAGES], now: bool) -> uint256:
    """
    @dev Check a list of stages against the present one, and put it in its place if that is to be now. Return
         which of the omitted stages fail, a bit each.
    """
    assert len(terms) != 0, "loss_waterfall: no stages"
    lineup: uint256 = self.lineup
    present: uint256 = lineup & 255
    known: uint256 = (lineup >> 8) & 255
    slow: uint256 = (lineup >> ASYNCHRONOUS) & (2**bounds.MAX_STAGES - 1)
    order: uint256 = 0
    failing: uint256 = 0
    place: uint256 = 0
    for i: uint256 in range(len(terms), bound=bounds.MAX_STAGES):
        assert terms[i].stage != empty(address), "loss_waterfall: zero stage"
        id: uint256 = self.ids[terms[i].stage]
        k: uint256 = known
        if id == 0:
            assert known < bounds.MAX_STAGES, "loss_waterfall: too many stages"
            assert self._is_working(terms[i].stage), "loss_waterfall: no stage"
            known += 1
            if now:
                self.ids[terms[i].stage] = known
            if terms[i].asynchronous:
                slow |= 1 << k
        else:
            k = id - 1
            for _: uint256 in range(bounds.MAX_STAGES):
                assert place < present, "loss_waterfall: other order"
                other: uint256 = self._compute_price(lineup, place)
                place += 1
                if other == k:
                    break
                failing |= self._check_removal_and_get_failure(other, now)
                slow &= ~(1 << other)
            slot: Slot = self._load_stage(k)
            assert terms[i].pooled == slot.pooled, "loss_waterfall: other kind"
            assert terms[i].asynchronous == slot.asynchronous, "loss_waterfall: other pace"
            assert terms[i].lifted == slot.lifted, "loss_waterfall: other end"
            assert terms[i].owes == self._owes(k), "loss_waterfall: other debt"
        order |= k << (4 * i)
        if now:
            self._validate_and_store_stage(k, terms[i])
    for _: uint256 in range(bounds.MAX_STAGES):
        if place >= present:
            break
        other: uint256 = self._compute_price(lineup, place)
        place += 1
        failing |= self._check_removal_and_get_failure(other, now)
        slow &= ~(1 << other)
    if now:
        # Read again: stages were called.
        lineup = self.lineup & ((2**bounds.MAX_STAGES - 1) << OWING)
        self.lineup = lineup | len(terms) | (known << 8) | (slow << ASYNCHRONOUS) | (order << ORDER)
        self.order_hash = keccak256(abi_encode(terms))
        log StagesSet(order_hash=self.order_hash)
    return failing


@internal
def _check_removal_and_get_failure(k: uint256, now: bool) -> uint256:
    """
    @dev Check that a stage can be left out, if that is to be now; its bit if it fails. No loss is open then,
         so it has reserved nothing.
    """
    slot: Slot = self._load_stage(k)
    works: bool = self._is_working(slot.stage)
    # What its present caps let it pay is nothing: its members have been free to leave since they apply.
    barred: bool = slot.cap_bps == 0 or (slot.capped and self.caps_absolute[k] == 0)
    if now:
        types: DynArray[uint256, bounds.MAX_COLLATERAL_TYPES] = listed_types._ids(
            staticcall VAULT_ENGINE.listed()
        )
        for c: uint256 in types:
            assert staticcall LIQUIDATION_ENGINE.debt_at_risk_of(c) == 0, "loss_waterfall: debt at risk"
            if works:
                held: uint256 = 0
                works, held = self._read_stage_answer_and_capacity(slot.stage, c)
                assert held == 0 or barred, "loss_waterfall: not empty"
        if works:
            assert self.owed[k] == 0, "loss_waterfall: it owes"
        else:
            assert (self.condemned >> k) & 1 == 1, "loss_waterfall: it worked"
    return 0 if works else 1 << k


@internal
def _absorb_and_verify_loss_payment(
    slot: Slot, collateral_type: uint256, amount: uint256
) -> (bool, uint256, uint256):
    """
    @dev Call a stage to pay: whether it did as it reports, its payment according to the ledger, and its
         reservation, rad. The stage's payment is the part that left the deficit and is booked to no other
         account, with any other bookings meanwhile. Only a dishonest stage pays more than the amount.
    """
    assert msg.gas >= LEAST_ABSORB_GAS, "loss_waterfall: no gas to pay"
    success: bool = False
    answer: Bytes[64] = b""
    success, answer = raw_call(
        slot.stage,
        abi_encode(collateral_type, amount, method_id=method_id("absorb(uint256,uint256)")),
        max_outsize=64,
        gas=bounds.ABSORB_GAS,
        revert_on_failure=False,
    )
    if not success:
        return False, 0, 0
    said: uint256 = 0
    kept: uint256 = 0
    if len(answer) == 64:
        said, kept = abi_decode(answer, (uint256, uint256))
    if kept != 0 and said == 0 and slot.asynchronous and kept <= amount:
        # Nobody is asked after this; what it has paid all the same is not its own.
        return True, 0, kept
    paid: uint256 = self._load_loss(collateral_type).unresolved
    paid -= staticcall VAULT_ENGINE.deficit_of(collateral_type)
    if len(answer) != 64:
        return False, paid, 0
    if kept != 0 and (not slot.asynchronous or paid > amount or kept > amount - paid):
        return False, paid, 0
    return said == paid, paid, kept


@internal
@view
def _compute_room(
    collateral_type: uint256, k: uint256, slot: Slot, capacity: uint256, more: uint256, settling: bool
) -> uint256:
    """
    @dev The amount that stage k may pay now of its capacity, under both caps, rad, with `more` that it is
         about to pay. Caps hold over any window: two buckets of time lie over each. Its payments in them
         count as a part of the base of a share cap, so that parts are worth as much as the whole. Room under
         a cap counts in whole wei (rounded down), so that a stage that pays in tokens, rounding its payment
         up, never passes it.
    """
    if slot.lifted and settling:
        return capacity
    # As in `_is_capped`, which would copy the slot: every cover comes here.
    if not slot.capped and slot.cap_bps == units.BASIS_POINTS:
        return capacity
    found: CapUsage = self._load_used(k, ALL_TYPES if slot.pooled else collateral_type)
    used: uint256 = (found.now + found.before) * units.RAY + more
    if slot.pooled and slot.asynchronous:
        # It will pay what it has reserved for other types.
        types: DynArray[uint256, bounds.MAX_COLLATERAL_TYPES] = listed_types._ids(
            staticcall VAULT_ENGINE.listed()
        )
        for c: uint256 in types:
            used += self.reservations[c][slot.stage] & MASK_188
    cap: uint256 = UNCAPPED
    if slot.capped:
        cap = self.caps_absolute[k]
    if slot.cap_bps != units.BASIS_POINTS:
        # What members were paid ahead of a loss would be added here as well.
        cap = min(cap, (capacity + used) * slot.cap_bps // units.BASIS_POINTS)
    room: uint256 = cap - min(cap, used)
    return min(capacity, room // units.RAY * units.RAY)


@internal
@view
def _load_used(k: uint256, collateral_type: uint256) -> CapUsage:
    """
    @dev The payments of a stage in this bucket of time and the one before.
    """
    word: uint256 = self.used[k][collateral_type]
    used: CapUsage = CapUsage(
        bucket=block.timestamp // EPOCH_LENGTH,
        now=(word >> 32) & MASK_112,
        before=word >> 144,
    )
    last: uint256 = word & MASK_32
    if used.bucket != last:
        used.before = used.now if used.bucket == last + 1 else 0
        used.now = 0
    return used


@internal
@pure
def _compute_price(lineup: uint256, place: uint256) -> uint256:
    """
    @dev The stage at a place of the order.
    """
    return (lineup >> (ORDER + 4 * place)) & 15


@internal
@view
def _load_stage(k: uint256) -> Slot:
    word: uint256 = self.stages[k]
    return Slot(
        stage=convert(word & (2**160 - 1), address),
        pooled=(word >> 160) & 1 == 1,
        asynchronous=(word >> 161) & 1 == 1,
        lifted=(word >> 162) & 1 == 1,
        cap_bps=(word >> 164) & (2**14 - 1),
        capped=word >> 178 == 1,
    )


@internal
@view
def _owes(k: uint256) -> bool:
    return (self.stages[k] >> 163) & 1 == 1


@internal
def _validate_and_store_stage(k: uint256, terms: StageTerms):
    assert terms.cap_bps <= units.BASIS_POINTS, "loss_waterfall: cap bounds"
    assert not (terms.owes and terms.asynchronous), "loss_waterfall: owes and waits"
    self.stages[k] = (
        convert(terms.stage, uint256)
        | (convert(terms.pooled, uint256) << 160)
        | (convert(terms.asynchronous, uint256) << 161)
        | (convert(terms.lifted, uint256) << 162)
        | (convert(terms.owes, uint256) << 163)
        | (terms.cap_bps << 164)
        | (convert(terms.cap_absolute != UNCAPPED, uint256) << 178)
    )
    self.caps_absolute[k] = terms.cap_absolute


@internal
@view
def _load_loss(collateral_type: uint256) -> Loss:
    word: uint256 = self.losses[collateral_type]
    return Loss(
        unresolved=word & MASK_188,
        epoch=(word >> 188) & (2**32 - 1),
        gave_up=(word >> 220) & (2**bounds.MAX_STAGES - 1),
        asked=word >> 236 == 1,
    )


@internal
def _store_loss(collateral_type: uint256, loss: Loss):
    self.losses[collateral_type] = (
        loss.unresolved | (loss.epoch << 188) | (loss.gave_up << 220) | (convert(loss.asked, uint256) << 236)
    )
