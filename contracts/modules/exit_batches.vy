# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title exit_batches
@license GNU Affero General Public License v3.0 only
@notice The losses and payments of batches of leavers, by the loss index that they share with the members that
        stay. A batch that was cut earns nothing; it bears, share for share, the pool's losses, up to its
        ceiling on the index. Batches past their cooldown form runs, which have one ceiling each: the part
        above it was paid, and the part below may still be lost.
@dev The index counts the losses of one share, in 1 / SCALE wei; it is rounded up, so that a batch never bears
     too little. A batch is cut with its ceiling at the index plus the price of a share. A group is a run, or
     a batch that is not settled. It holds
         floor(units * (ceiling - index) / SCALE)
     while live shares have no ceiling. With A the live assets and S the live shares, the virtual ones
     included, two things hold after every step:
     - ceilings rise in the order of the queue;
     - (A + 1 - fractions) * SCALE >= (ceiling - index) * S, but for a wei after divisions; fractions
       is the sum that floor has cut off the holdings of groups: live assets can pay the rest of a loss.
     So no product of shares and a part of a ceiling passes 2**96 * SCALE, with shares under SCALE. The index
     is looked at while a group is open; with none it means nothing and starts again.

     A settlement lowers the top groups to one ceiling, and they become one run. With L the index after all
     known losses, and p the price of a share, that ceiling is at L plus half of the way there, at least p /
     PARTS. So three halves of the possible losses are held back, and a small growth of them needs no further
     run. A run begins only if p / PARTS or more of its first batch is beyond possible losses, and then lies
     at most half way to that batch's ceiling. So each run takes half of the way that is left, and there are
     20 at most while batches are cut at one price: 12 up to p / 2, then 8. Where income makes batches dearer
     meanwhile, one more than MOST_RUNS waits until fewer losses are possible.

     Where an entry divides all shares (see denominations), the index of the generation is kept as its base, a
     new one starts at 0, and ceilings count from there, in the shares of that time. Payments are counted in
     the generation of the cut: a later ceiling is converted back, rounded up, so that claims never pass
     payments.
"""
from contracts.modules import denominations
from contracts.modules import redeem_queue as line
from contracts.modules import revert_reason
from contracts.modules import units

uses: line


event BatchPaid:
    batch: indexed(uint256)  # [id] the first of the run
    until: indexed(uint256)  # [id] the first after the run
    assets: uint256  # [wad] to be claimed by its members
    held: uint256  # [wad] that losses may still take


struct ExitGroup:
    id: uint256  # its first batch
    units: uint256  # shares, as they are counted now
    ceiling: uint256  # on the index, in 1 / SCALE wei


struct ExitRun:
    units: uint256  # shares, 152 bits
    generation: uint256  # as of which they are counted, 32 bits
    ended: uint256  # 1 + the checkpoint at which it was over, 65 bits; 0 while it is not


# What one share has borne is counted in this part of a wei. Shares are under 2**152, which is less.
SCALE: constant(uint256) = 10**47
MOST_RUNS: constant(uint256) = 20
MOST_GROUPS: constant(uint256) = MOST_RUNS + line.MOST_UNSETTLED
# Of the price of a share: what is held back at least while anything is in doubt.
PARTS: constant(uint256) = 256
# Generations back that a ceiling is told from: STEP**9 is more than any.
MOST_BACK: constant(uint256) = 9

MASK_32: constant(uint256) = 2**32 - 1
MASK_65: constant(uint256) = 2**65 - 1
MASK_152: constant(uint256) = 2**152 - 1

# What one share has borne, in 1 / SCALE wei
index: uint256
# generation that is over -> the index at its end
bases: HashMap[uint256, uint256]
# batch -> its ceiling on the index at its cut, in 1 / SCALE wei
ceilings: HashMap[uint256, uint256]
# first batch of a group -> its ceiling now, or at its end; while it is open 0 stands for that of the cut
levels: HashMap[uint256, uint256]
# first batch of a run -> ExitRun
runs: HashMap[uint256, uint256]
# first batch of a run -> what was paid to it too little yet, in 1 / SCALE wei
fractions: HashMap[uint256, uint256]
# The first batch of the first run, while there is one
first_run: uint256


# -------------------------------------------------------------------- groups


@internal
@view
def _list_groups(open: uint256, queue: line.Queue, generation: uint256) -> DynArray[ExitGroup, MOST_GROUPS]:
    """@dev The open groups, in the order of their ceilings: runs, then batches that are not settled."""
    found: DynArray[ExitGroup, MOST_GROUPS] = []
    id: uint256 = queue.unsettled
    if open != queue.collecting - queue.unsettled:
        id = self.first_run
    for _: uint256 in range(open, bound=MOST_GROUPS):
        batch: line.Batch = line._load_batch(id)
        ceiling: uint256 = self.levels[id]
        if ceiling == 0:
            ceiling = self.ceilings[id]
        if id < queue.unsettled:
            found.append(ExitGroup(id=id, units=self.runs[id] & MASK_152, ceiling=ceiling))
            id = batch.link if batch.link != 0 else queue.unsettled
        else:
            shares: uint256 = denominations._convert(batch.units, batch.generation, generation)
            found.append(ExitGroup(id=id, units=shares, ceiling=ceiling))
            id = unsafe_add(id, 1)
    return found


@internal
@view
def _compute_level(groups: DynArray[ExitGroup, MOST_GROUPS], shares: uint256, assets: uint256) -> uint256:
    """
    @dev The index after a loss of assets [wad] shared by live shares, the virtual ones included, and open
         groups: groups with the lowest ceilings drop out first and leave more for the others.
    """
    all_shares: uint256 = shares
    for group: ExitGroup in groups:
        all_shares = unsafe_add(all_shares, group.units)
    level: uint256 = self.index
    left: uint256 = unsafe_mul(assets, SCALE)
    for group: ExitGroup in groups:
        room: uint256 = unsafe_mul(unsafe_sub(group.ceiling, level), all_shares)
        if left < room:
            break
        left = unsafe_sub(left, room)
        level = group.ceiling
        all_shares = unsafe_sub(all_shares, group.units)
    return level + units._div_up(left, all_shares)


@internal
@pure
def _held(group: ExitGroup, level: uint256) -> uint256:
    """@dev Wad that a group holds, rounded down, with the index at a level under its ceiling."""
    return unsafe_div(unsafe_mul(group.units, unsafe_sub(group.ceiling, level)), SCALE)


@internal
@view
def _holds(id: uint256, shares: uint256) -> uint256:
    """@dev Wad that shares, as they are counted now, hold in an open group, rounded down."""
    ceiling: uint256 = self.levels[id]
    if ceiling == 0:
        ceiling = self.ceilings[id]
    return self._held(ExitGroup(id=id, units=shares, ceiling=ceiling), self.index)


@internal
def _set_index(level: uint256):
    """@dev The losses of one share, in 1 / SCALE wei."""
    self.index = level


@internal
def _set_ceiling(batch: uint256, ceiling: uint256):
    """@dev That of a batch that is cut."""
    self.ceilings[batch] = ceiling


@internal
def _set_first_run(id: uint256):
    """@dev 0 if the last run is over."""
    self.first_run = id


@internal
@view
def _load_run(id: uint256) -> ExitRun:
    word: uint256 = self.runs[id]
    return ExitRun(units=word & MASK_152, generation=(word >> 152) & MASK_32, ended=word >> 184)


@internal
def _store_run(id: uint256, run: ExitRun):
    self.runs[id] = run.units | (run.generation << 152) | (run.ended << 184)


@internal
def _end_group(group: ExitGroup, generation: uint256, mark: uint256):
    """@dev A group is over: paid, or its ceiling is reached."""
    self.levels[group.id] = group.ceiling
    self._store_run(group.id, ExitRun(units=group.units, generation=generation, ended=mark + 1))


# --------------------------------------------------------------- settlement


@internal
def _settle(
    groups: DynArray[ExitGroup, MOST_GROUPS],
    before: line.Queue,
    generation: uint256,
    mark: uint256,
    level: uint256,
    price: uint256,
) -> (uint256, uint256):
    """
    @dev Make one run of the top groups that known losses leave a part of: of runs, and of batches past their
         cooldown. The payment to it, wad, and the number of groups open then.
    """
    queue: line.Queue = before
    index: uint256 = self.index
    small: uint256 = price // PARTS
    # The groups before the first that joins are runs that losses reach; so many join.
    kept: uint256 = 0
    found: uint256 = 0
    for group: ExitGroup in groups:
        if group.id < queue.unsettled:
            if group.ceiling < level:
                kept += 1
                continue
        elif group.ceiling < level or not line._is_ripe(line._load_batch(group.id)):
            break
        elif found == 0 and level > index and (kept == MOST_RUNS or group.ceiling - level < small):
            break
        found += 1
    if found == 0:
        revert_reason._raise("pool: nothing to settle")
    run: ExitGroup = groups[kept]
    if level > index:
        margin: uint256 = max(units._div_up(level - index, 2), small)
        if run.id >= queue.unsettled:
            margin = min(margin, (run.ceiling - level) // 2)
            if kept != 0:
                self._set_batch_link(groups[kept - 1].id, run.id)
        run.ceiling = min(run.ceiling, level + margin)
    else:
        run.ceiling = level
    # What followed it joins it.
    self._set_batch_link(run.id, 0)
    run.units = 0
    owing: uint256 = 0
    for k: uint256 in range(kept, kept + found, bound=MOST_GROUPS):
        group: ExitGroup = groups[k]
        if k != kept:
            self._set_batch_link(group.id, run.id)
        run.units += group.units
        queue.held -= self._held(group, index)
        owing += group.units * (group.ceiling - run.ceiling)
        if group.id < queue.unsettled:
            owing += self.fractions[group.id]
        else:
            queue.unsettled = group.id + 1
    paid: uint256 = owing // SCALE
    held: uint256 = self._held(run, index)
    open: uint256 = len(groups) - found
    if run.ceiling == index:
        self._end_group(run, generation, mark)
    else:
        open += 1
        if kept == 0:
            self.first_run = run.id
        self.levels[run.id] = run.ceiling
        self.fractions[run.id] = owing % SCALE
        self._store_run(run.id, ExitRun(units=run.units, generation=generation, ended=0))
    queue.held += held
    queue.owed += paid
    line._store_queue(queue)
    log BatchPaid(batch=run.id, until=queue.unsettled, assets=paid, held=held)
    return paid, open


@internal
def _set_batch_link(batch: uint256, to: uint256):
    """@dev The next run, of the first batch of one; or the run that a batch has joined."""
    record: line.Batch = line._load_batch(batch)
    if record.link != to:
        record.link = to
        line._store_batch(batch, record)


# ------------------------------------------------------------------ payments


@internal
@view
def _find_run(batch: uint256, joined: uint256) -> uint256:
    """@dev The first batch of the run that a settled batch is in, by its link. Runs join earlier ones."""
    first: uint256 = batch
    link: uint256 = joined
    for _: uint256 in range(MOST_RUNS):
        if link == 0 or link > first:
            break
        first = link
        link = line._load_batch(first).link
    return first


@internal
@view
def _compute_paid(
    batch: uint256, cut: uint256, run: uint256, generation: uint256, shares: uint256
) -> uint256:
    """
    @dev The payment for shares of a batch that was cut in a generation, wad, rounded down, a wei less where
         shares were divided meanwhile. `run` is the first batch of its run, as of a generation.
    """
    level: uint256 = self.levels[run]
    if level == 0 and self.runs[run] == 0:
        return 0
    ceiling: uint256 = self._convert_ceiling_to_older_generation(level, generation, cut)
    first: uint256 = self.ceilings[batch]
    paid: uint256 = units._mul_div(shares, first - min(first, ceiling), SCALE)
    return paid - min(paid, 1 if generation != cut else 0)


@internal
@view
def _convert_ceiling_to_older_generation(ceiling: uint256, generation: uint256, cut: uint256) -> uint256:
    """@dev A ceiling of a generation on the index of one before it, rounded up."""
    found: uint256 = ceiling
    at: uint256 = generation
    if at - cut > MOST_BACK:
        # However high it was, it is less than one when it has come here.
        found = 1
        at = cut + MOST_BACK
    for _: uint256 in range(MOST_BACK):
        if at == cut:
            break
        at -= 1
        found = units._div_up(found, denominations.STEP) + self.bases[at]
    return found


# ------------------------------------------------------------------ divisions


@internal
def _rescale_exit_groups(
    groups: DynArray[ExitGroup, MOST_GROUPS], unsettled: uint256, generation: uint256, steps: uint256
) -> uint256:
    """@dev Convert open groups to the shares of some generations on; their holdings then, wad."""
    index: uint256 = self.index
    self.bases[generation] = index
    self.index = 0
    held: uint256 = 0
    for group: ExitGroup in groups:
        shares: uint256 = denominations._convert(group.units, 0, steps)
        # Zero would stand for that of the cut.
        ceiling: uint256 = max(1, (group.ceiling - index) * pow_mod256(denominations.STEP, steps))
        self.levels[group.id] = ceiling
        if group.id < unsettled:
            self._store_run(group.id, ExitRun(units=shares, generation=generation + steps, ended=0))
        held += shares * ceiling // SCALE
    return held
