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
     again.
"""
from contracts.modules import units


struct Queue:
    collecting: uint256  # the batch that takes requests, the last one, 32 bits
    unsettled: uint256  # the first batch that waits for its time, 32 bits
    held: uint256  # wad that batches which were cut hold, 96 bits
    owed: uint256  # wad paid out to batches and not claimed yet, 96 bits


struct Batch:
    units: uint256  # shares, 152 bits
    since: uint256  # seconds: the first request, then the cut, 32 bits
    generation: uint256  # of the shares, 32 bits


struct Payment:
    paid: uint256  # wad, to all of the batch so far, 96 bits
    ended: uint256  # 1 + the checkpoint at which the batch was over, 65 bits; 0 while it is not


# What one share has borne is counted in this part of a wei. Shares are under 2**152, which is less.
SCALE: constant(uint256) = 10**47
# Batches that are cut and not over. More have to wait: coverage looks at each.
MOST_OPEN: constant(uint256) = 16
# [seconds] For which a batch takes requests at most.
DAY: constant(uint256) = 86_400

MASK_32: constant(uint256) = 2**32 - 1
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
# batch -> owner -> Request: shares (152 bits) | the checkpoint up to which claims are settled (104 bits)
requests: HashMap[uint256, HashMap[address, uint256]]
# batch -> owner -> wad that was claimed while the batch was not over
claimed: HashMap[uint256, HashMap[address, uint256]]


@deploy
def __init__():
    """
    @notice Begin to collect for batch 1; batch 0 is none.
    """
    self._store_queue(Queue(collecting=1, unsettled=1, held=0, owed=0))


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
def _set_request(batch: uint256, owner: address, shares: uint256, mark: uint256):
    """@dev Shares under 2**152, a checkpoint under 2**104."""
    self.requests[batch][owner] = shares | (mark << 152)


@internal
def _set_claimed(batch: uint256, owner: address, assets: uint256):
    self.claimed[batch][owner] = assets


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
