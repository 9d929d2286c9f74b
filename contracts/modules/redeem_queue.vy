# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title redeem_queue
@license GNU Affero General Public License v3.0 only
@notice The batches in which members leave a pool, in the order in which they were cut, the requests in them
        and the permissions to act for others (ERC-7540). The importer sets the payment of a batch.
@dev Packed by hand: one record is one slot, the first field at bit 0. A request is the number of shares
     committed to a batch for a controller. The open requests of a controller are a list, in the order of the
     batches; batches are over in that order, so only the first is ever taken off. Shares of a request are of
     the generation of its record, at most of that in which its batch was cut: `_shares_at_cut` converts.
"""
from contracts.modules import bounds
from contracts.modules import denominations
from contracts.modules import revert_reason


event OperatorSet:
    controller: indexed(address)
    operator: indexed(address)
    approved: bool


event RedeemRequest:
    controller: indexed(address)
    owner: indexed(address)
    requestId: indexed(uint256)  # [id] the batch
    sender: address
    shares: uint256  # [shares]


event BatchCut:
    batch: indexed(uint256)  # [id]
    shares: uint256  # [shares]
    assets: uint256  # [wad] held; 0 where they stay members'


struct Queue:
    collecting: uint256  # the batch that takes requests, the last one, 32 bits
    unsettled: uint256  # the first batch that waits for its time, 32 bits
    held: uint256  # wad that batches which were cut hold, 96 bits
    owed: uint256  # wad paid out to batches and not claimed yet, 96 bits


struct Batch:
    units: uint256  # shares, 152 bits
    since: uint256  # seconds: the first request, then the cut, 32 bits
    generation: uint256  # of the shares: of the last request, then of the cut, 32 bits
    link: uint256  # the importer's, 32 bits


struct Request:
    shares: uint256  # 152 bits
    mark: uint256  # the checkpoint up to which claims are settled, 40 bits
    generation: uint256  # of the mark, 32 bits
    next: uint256  # the controller's next batch, 31 bits
    has_claimed: bool  # whether a part of it was claimed, 1 bit


# Batches that are cut and wait for their time. Time alone fills nine: `_get_collecting_time`.
MOST_UNSETTLED: constant(uint256) = 12
# [seconds] For which a batch takes requests at least, if the cooldown is not shorter.
DAY: constant(uint256) = 86_400
# A batch takes requests for this part of the cooldown at least.
PARTS: constant(uint256) = 8

# Requests of a controller that one call goes through.
MOST_AT_ONCE: constant(uint256) = 32

MASK_31: constant(uint256) = 2**31 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_40: constant(uint256) = 2**40 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_152: constant(uint256) = 2**152 - 1

# Of a Request: `has_claimed`.
HAS_CLAIMED: constant(uint256) = 2**255

# Seconds from the cut of a batch to its first payment, but for bounds.LOOK. 0: leaving needs no request, as
# in pools that take no care.
COOLDOWN: public(immutable(uint256))

# Queue
queue: uint256
# batch -> Batch
batches: HashMap[uint256, uint256]
# batch -> controller -> Request
requests: HashMap[uint256, HashMap[address, uint256]]
# batch -> controller -> what was claimed of a request that is not done: wad (96 bits) | shares (152 bits)
claimed: HashMap[uint256, HashMap[address, uint256]]
# controller -> the batches with requests that are not done: the first (32 bits) | the last (32 bits)
lines: HashMap[address, uint256]
# controller -> operator -> may claim for the controller, and request for whoever it is the owner of
isOperator: public(HashMap[address, HashMap[address, bool]])


@deploy
def __init__(cooldown: uint256, cap_delay: uint256):
    """
    @notice Begin to collect for batch 1; batch 0 is none.
    @param cooldown [seconds] From the cut of a batch to its first payment; 0: leaving needs no request.
    @param cap_delay [seconds] Delay of announced caps: a request to leave made at once is paid before.
    """
    assert cooldown <= bounds.MAX_COOLDOWN, "pool: cooldown bounds"
    assert cooldown == 0 or cooldown >= bounds.MIN_COOLDOWN, "pool: short cooldown"
    assert (
        cooldown == 0 or cooldown + self._get_collecting_time(cooldown) + bounds.LOOK < cap_delay
    ), "pool: cooldown too long"
    COOLDOWN = cooldown
    self._store_queue(Queue(collecting=1, unsettled=1, held=0, owed=0))


@external
def setOperator(operator: address, approved: bool) -> bool:
    """
    @notice Permit an operator to request for the caller's shares and to claim for the caller's requests, or
            end that (ERC-7540). Anyone, for oneself. An operator may take all of it.
    @param operator The account that may, or may not.
    @param approved Whether.
    @return Always true.
    """
    self.isOperator[msg.sender][operator] = approved
    log OperatorSet(controller=msg.sender, operator=operator, approved=approved)
    return True


@internal
@view
def _acts_for(sender: address, owner: address) -> bool:
    """@dev Whether the sender is the owner or an operator of the owner."""
    return sender == owner or self.isOperator[owner][sender]


# ------------------------------------------------------------------- batches


@internal
@pure
def _get_collecting_time(cooldown: uint256) -> uint256:
    """
    @dev Seconds for which a batch takes requests: so many that the waiting batches have places, for any
         number of requests.
    """
    return max(min(cooldown, DAY), cooldown // PARTS)


@internal
def _end_batch_collection(queue: Queue, generation: uint256) -> Batch:
    """@dev End the collecting of the batch that collects; the batch, in this generation."""
    batch: Batch = self._load_batch(queue.collecting)
    batch.units = denominations._convert(batch.units, batch.generation, generation)
    if batch.units == 0:
        revert_reason._raise("pool: no requests")
    if block.timestamp < batch.since + self._get_collecting_time(COOLDOWN):
        revert_reason._raise("pool: batch collects")
    if queue.collecting - queue.unsettled >= MOST_UNSETTLED:
        revert_reason._raise("pool: too many batches")
    batch.since = block.timestamp
    batch.generation = generation
    self._store_batch(queue.collecting, batch)
    return batch


@internal
@view
def _is_ripe(batch: Batch) -> bool:
    """@dev Whether the cooldown of a batch that was cut is over."""
    return block.timestamp >= batch.since + COOLDOWN + bounds.LOOK


@internal
@view
def _load_queue() -> Queue:
    word: uint256 = self.queue
    return Queue(
        collecting=word & MASK_32,
        unsettled=(word >> 32) & MASK_32,
        held=(word >> 64) & MASK_96,
        owed=word >> 160,
    )


@internal
def _store_queue(queue: Queue):
    self.queue = queue.collecting | (queue.unsettled << 32) | (queue.held << 64) | (queue.owed << 160)


@internal
@view
def _load_batch(batch: uint256) -> Batch:
    word: uint256 = self.batches[batch]
    return Batch(
        units=word & MASK_152,
        since=(word >> 152) & MASK_32,
        generation=(word >> 184) & MASK_32,
        link=word >> 216,
    )


@internal
def _store_batch(batch: uint256, record: Batch):
    self.batches[batch] = (
        record.units | (record.since << 152) | (record.generation << 184) | (record.link << 216)
    )


# ------------------------------------------------------------------ requests


@internal
def _add_request_and_get_previous(
    sender: address, shares: uint256, controller: address, owner: address, mark: uint256, generation: uint256
) -> (uint256, Request):
    """
    @dev Add shares of this generation to the batch that collects, which is the last of its controller's; the
         batch, and the request that was there before.
    """
    if controller != owner and controller != sender and not self.isOperator[controller][sender]:
        revert_reason._raise("pool: not for this controller")
    id: uint256 = self.queue & MASK_32
    batch: Batch = self._load_batch(id)
    batch.units = denominations._convert(batch.units, batch.generation, generation)
    if batch.units == 0:
        batch.since = block.timestamp
    # At most all shares.
    batch.units += shares
    batch.generation = generation
    self._store_batch(id, batch)
    before: Request = self._load_request(id, controller)
    line: uint256 = self.lines[controller]
    last: uint256 = line >> 32
    if last != id:
        first: uint256 = id
        if last != 0:
            first = line & MASK_32
            # It was the last one: nothing follows it yet.
            self.requests[last][controller] |= id << 224
        self.lines[controller] = first | (id << 32)
    all_shares: uint256 = denominations._convert(before.shares, before.generation, generation) + shares
    self.requests[id][controller] = all_shares | (mark << 152) | (generation << 192)
    log RedeemRequest(controller=controller, owner=owner, requestId=id, sender=sender, shares=shares)
    return id, before


@internal
@view
def _load_request(batch: uint256, controller: address) -> Request:
    word: uint256 = self.requests[batch][controller]
    return Request(
        shares=word & MASK_152,
        mark=(word >> 152) & MASK_40,
        generation=(word >> 192) & MASK_32,
        next=(word >> 224) & MASK_31,
        has_claimed=word >> 255 != 0,
    )


@internal
@pure
def _shares_at_cut(request: Request, cut: uint256) -> uint256:
    """@dev Of a request in a batch that was cut in a generation, in that generation, rounded down."""
    if request.generation >= cut:
        return request.shares
    return denominations._convert(request.shares, request.generation, cut)


@internal
def _set_mark(
    batch: uint256, controller: address, request: Request, shares: uint256, mark: uint256, generation: uint256
):
    """
    @dev How far a request's claims were settled; marks are under 2**40. Shares of it are of that generation,
         or of the batch's cut if that was before.
    """
    if request.mark != mark or request.generation != generation:
        self.requests[batch][controller] = (
            shares
            | (mark << 152)
            | (generation << 192)
            | (request.next << 224)
            | (HAS_CLAIMED if request.has_claimed else 0)
        )


@internal
@view
def _first(controller: address) -> uint256:
    """@dev The first batch that a controller has something in; 0 if there is none."""
    return self.lines[controller] & MASK_32


@internal
@view
def _claimed(batch: uint256, controller: address, request: Request) -> (uint256, uint256):
    """@dev The claimed part of a request, assets [wad] and shares; most are claimed at once, uncounted."""
    if not request.has_claimed:
        return 0, 0
    word: uint256 = self.claimed[batch][controller]
    return word & MASK_96, word >> 96


@internal
def _count_claimed(batch: uint256, controller: address, request: Request, assets: uint256, shares: uint256):
    """@dev Under the payment, 96 bits, and the committed shares, 152 bits."""
    if shares != 0:
        self.claimed[batch][controller] += assets | (shares << 96)
        if not request.has_claimed:
            self.requests[batch][controller] |= HAS_CLAIMED


@internal
def _drop_first(batch: uint256, controller: address, request: Request):
    """@dev Forget a controller's first request; the following one becomes the first."""
    self.requests[batch][controller] = 0
    if request.has_claimed:
        self.claimed[batch][controller] = 0
    line: uint256 = 0
    if request.next != 0:
        line = ((self.lines[controller] >> 32) << 32) | request.next
    self.lines[controller] = line
