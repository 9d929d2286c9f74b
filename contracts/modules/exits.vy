# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title exits
@license GNU Affero General Public License v3.0 only
@notice The batches in which members leave a pool, in the order in which they were cut, and the loss index
        that they share with those who stay. A batch that was cut earns nothing; it bears, share for share,
        what the pool bears, up to its ceiling on the index.
@dev The index counts what one share has borne, in 1 / SCALE wei; it is rounded up, so that a batch never
     bears too little. A batch is cut with its ceiling at the index plus the price of a share, and what it
     holds is always
         held = floor(units * (ceiling - index) / SCALE)
     while live shares have no ceiling. With n all shares, A the live assets and S the live shares, the
     virtual ones included, two things hold after every step:
     - ceilings rise in the order of the queue: what is paid out lowers the first ones to one level;
     - (A + 1 - fractions) * SCALE >= (ceiling - index) * S, where fractions is what floor has cut off of what
       batches hold: live assets can always pay the rest of a loss, and no batch holds more than is there.
     So no product of shares and a part of a ceiling passes 2**96 * SCALE, with shares under SCALE. A batch is
     cut at a price that leaves a wei for each open one, at least at the ceiling of the last: then the second
     goes on holding. The index is looked at while a batch is open; with none it means nothing and starts
     again. A request is what was committed to a batch for a controller. Those of a controller that are not
     done are a list, in the order of the batches; batches are over in that order, so only the first is ever
     taken off.
"""
from contracts.modules import units


event OperatorSet:
    controller: indexed(address)
    operator: indexed(address)
    approved: bool


struct Queue:
    collecting: uint256  # the batch that takes requests, the last one, 32 bits
    unsettled: uint256  # the first batch that waits for its time, 32 bits
    held: uint256  # wad that batches which were cut hold, 96 bits
    owed: uint256  # wad paid out to batches and not claimed yet, 96 bits


struct Batch:
    units: uint256  # shares, 152 bits
    since: uint256  # seconds: the first request, then the cut, 32 bits
    generation: uint256  # of the shares, 32 bits


struct Request:
    shares: uint256  # 152 bits
    mark: uint256  # the checkpoint up to which claims are settled, 64 bits
    next: uint256  # the controller's next batch, 32 bits


struct Payment:
    paid: uint256  # wad, to all of the batch so far, 96 bits
    ended: uint256  # 1 + the checkpoint at which the batch was over, 65 bits; 0 while it is not


# What one share has borne is counted in this part of a wei. Shares are under 2**152, which is less.
SCALE: constant(uint256) = 10**47
# Batches that are cut and not over. More have to wait: coverage looks at each.
MOST_OPEN: constant(uint256) = 16
# [seconds] For which a batch takes requests at most.
DAY: constant(uint256) = 86_400

# Requests of a controller that one call goes through. Of them all but MOST_OPEN and the last one can be
# claimed whole, so strangers who request for somebody else's account can make claiming longer, never stop it.
MOST_AT_ONCE: constant(uint256) = 32

MASK_32: constant(uint256) = 2**32 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_152: constant(uint256) = 2**152 - 1

# Queue
queue: uint256
# What one share has borne, in 1 / SCALE wei
index: uint256
# batch -> Batch
batches: HashMap[uint256, uint256]
# batch -> its ceiling on the index, in 1 / SCALE wei
ceilings: HashMap[uint256, uint256]
# batch -> Payment
payments: HashMap[uint256, uint256]
# batch -> controller -> Request
requests: HashMap[uint256, HashMap[address, uint256]]
# batch -> controller -> what was claimed of a request that is not done: wad (96 bits) | shares (152 bits)
claimed: HashMap[uint256, HashMap[address, uint256]]
# controller -> the batches with requests that are not done: the first (32 bits) | the last (32 bits)
lines: HashMap[address, uint256]
# controller -> operator -> may claim for the controller, and request for whoever it is the owner of
isOperator: public(HashMap[address, HashMap[address, bool]])


@deploy
def __init__():
    """
    @notice Begin to collect for batch 1; batch 0 is none.
    """
    self._store_queue(Queue(collecting=1, unsettled=1, held=0, owed=0))


@external
def setOperator(operator: address, approved: bool) -> bool:
    """
    @notice Let somebody request for the caller's shares and claim for the caller's requests, or no longer
            (ERC-7540). Anyone, for oneself. An operator may take all of it.
    @param operator Who may, or may not.
    @param approved Whether.
    @return Always true.
    """
    self.isOperator[msg.sender][operator] = approved
    log OperatorSet(controller=msg.sender, operator=operator, approved=approved)
    return True


@internal
@view
def _level(first: uint256, open: uint256, shares: uint256, assets: uint256) -> uint256:
    """
    @dev Where the index would stand after a loss of assets [wad] shared by live shares, the virtual ones
         included, and the open batches: those with the lowest ceilings drop out first and leave more for the
         others.
    """
    all_shares: uint256 = shares
    for k: uint256 in range(open, bound=MOST_OPEN):
        all_shares = unsafe_add(all_shares, self.batches[unsafe_add(first, k)] & MASK_152)
    level: uint256 = self.index
    left: uint256 = unsafe_mul(assets, SCALE)
    for k: uint256 in range(open, bound=MOST_OPEN):
        ceiling: uint256 = self.ceilings[unsafe_add(first, k)]
        room: uint256 = unsafe_mul(unsafe_sub(ceiling, level), all_shares)
        if left < room:
            break
        left = unsafe_sub(left, room)
        level = ceiling
        all_shares = unsafe_sub(all_shares, self.batches[unsafe_add(first, k)] & MASK_152)
    return level + units._div_up(left, all_shares)


@internal
@view
def _held(batch: uint256, ceiling: uint256, level: uint256) -> uint256:
    """@dev In 1 / SCALE wei, under a ceiling that is not under the level."""
    return unsafe_mul(self.batches[batch] & MASK_152, unsafe_sub(ceiling, level))


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
    return Batch(units=word & MASK_152, since=(word >> 152) & MASK_32, generation=word >> 184)


@internal
def _store_batch(batch: uint256, record: Batch):
    self.batches[batch] = record.units | (record.since << 152) | (record.generation << 184)


@internal
def _set_ceiling(batch: uint256, ceiling: uint256):
    self.ceilings[batch] = ceiling


@internal
def _set_index(level: uint256):
    self.index = level


@internal
@view
def _holds(batch: uint256) -> uint256:
    """@dev What a batch that is not over holds, wad, rounded down; 0 before its cut."""
    ceiling: uint256 = self.ceilings[batch]
    if ceiling == 0:
        return 0
    return self._held(batch, ceiling, self.index) // SCALE


@internal
@view
def _load_request(batch: uint256, controller: address) -> Request:
    word: uint256 = self.requests[batch][controller]
    return Request(shares=word & MASK_152, mark=(word >> 152) & MASK_64, next=word >> 216)


@internal
def _set_mark(batch: uint256, controller: address, request: Request, mark: uint256):
    """@dev How far a request's claims were settled; under 2**64."""
    if request.mark != mark:
        self.requests[batch][controller] = request.shares | (mark << 152) | (request.next << 216)


@internal
@view
def _first(controller: address) -> uint256:
    """@dev The first batch that a controller has something in; 0 if there is none."""
    return self.lines[controller] & MASK_32


@internal
def _add_request(batch: uint256, controller: address, shares: uint256, mark: uint256):
    """@dev To the batch that collects, which is the last of its controller's."""
    line: uint256 = self.lines[controller]
    last: uint256 = line >> 32
    if last != batch:
        first: uint256 = batch
        if last != 0:
            first = line & MASK_32
            self.requests[last][controller] |= batch << 216
        self.lines[controller] = first | (batch << 32)
    self.requests[batch][controller] = shares | (mark << 152)


@internal
def _count_claimed(batch: uint256, controller: address, assets: uint256, shares: uint256):
    """@dev Under what was paid, 96 bits, and what was committed, 152 bits."""
    if shares != 0:
        self.claimed[batch][controller] += assets | (shares << 96)


@internal
def _drop_first(batch: uint256, controller: address, following: uint256):
    """@dev Forget a controller's first batch; what follows it is 0 if it is the last."""
    self.requests[batch][controller] = 0
    self.claimed[batch][controller] = 0
    line: uint256 = 0
    if following != 0:
        line = ((self.lines[controller] >> 32) << 32) | following
    self.lines[controller] = line


@internal
@view
def _load_payment(batch: uint256) -> Payment:
    word: uint256 = self.payments[batch]
    return Payment(paid=word & MASK_96, ended=word >> 96)


@internal
def _pay(batch: uint256, assets: uint256):
    """@dev Under what was booked, 96 bits."""
    if assets != 0:
        self.payments[batch] = unsafe_add(self.payments[batch], assets)


@internal
def _end(batch: uint256, mark: uint256):
    """@dev Batches are over once."""
    self.payments[batch] |= unsafe_add(mark, 1) << 96
