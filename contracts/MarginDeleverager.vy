# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title MarginDeleverager
@license GNU Affero General Public License v3.0 only
@notice Closes positions of insolvent accounts against those who gained on the other side, at the price at
        which the account would be worth nothing, and takes exactly what is missing, in an order that no
        operator chooses: by gain times leverage.
@dev The order is proven, whoever brings it: a run submits every account of the other side, in strictly
     descending order of (score, address), and the market knows how many there are. So nobody is left out
     and nobody comes twice. Each sender has a run of his own: a wrong one stops nobody else. Only a run
     that is complete is executed. All counts as it was when the market was frozen: an account that changes
     meanwhile is remembered as it was. Entries that pay:

       closed = min(lots, lots left)
       paid   = min(gain, ceil(loss left * closed / lots left)), and min(gain, loss left) once no lots are

     If something is missing then, all who gained are among them, and pay on with what their gains have
     left, in the same order. So what is taken is the loss exactly, or all gains. Packed by hand: the first field at bit 0.
"""
from contracts.interfaces import IMarginDeleverager
from contracts.interfaces import IMarginMarket
from contracts.modules import units

implements: IMarginDeleverager


event Begun:
    freeze_id: indexed(uint256)
    owner: indexed(address)
    market: indexed(uint256)
    lots: uint256
    loss: uint256
    others: uint256


event Submitted:
    freeze_id: indexed(uint256)
    sender: indexed(address)
    submitted: uint256
    chosen: uint256


event Proven:
    freeze_id: indexed(uint256)
    sender: indexed(address)
    chosen: uint256


event Deleveraged:
    freeze_id: indexed(uint256)
    winner: indexed(address)
    lots: uint256
    paid: uint256


event Finished:
    freeze_id: indexed(uint256)
    lots_left: uint256
    loss_left: uint256


struct Case:  # in two slots
    id: uint256  # 32 bits
    until: uint256  # seconds, 32 bits
    others: uint256  # accounts on the other side, 32 bits
    long: bool  # whether the insolvent position is, 1 bit
    lots: uint256  # that are left to close, 64 bits, at bit 0 of the second slot
    loss: uint256  # that is left to pay, wad, 128 bits


struct Run:
    id: uint256  # of the case, 32 bits
    submitted: uint256  # 32 bits
    lots: uint256  # left after those chosen, 64 bits
    loss: uint256  # left after those chosen, wad, 128 bits


struct Standing:
    lots: uint256  # on the other side; 0 is none, 64 bits
    gain: uint256  # wad, at most the account's equity, 128 bits
    score: uint256  # gain times leverage, rounded down


MASK_32: constant(uint256) = 2**32 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_160: constant(uint256) = 2**160 - 1
# Accounts in one call.
MAX_ACCOUNTS: constant(uint256) = 1_024

MARGIN_MARKET: public(immutable(IMarginMarket))

# Case, its first slot
case: uint256
# Case, its second slot
left: uint256
# Whose position is closed.
insolvent: public(address)
# Whose run is complete; the zero address: nobody's.
prover: public(address)
# How many entries of that run are executed, in both rounds if there are two.
executed: public(uint256)
# sender -> Run
runs: HashMap[address, uint256]
# sender -> score of the last account submitted
last_scores: HashMap[address, uint256]
# sender -> the last account submitted (160 bits) and how many were chosen
last_accounts: HashMap[address, uint256]
# sender -> index -> account that closes or pays
chosen: HashMap[address, HashMap[uint256, address]]
# index of an entry -> what its gain has left after the first round, wad
gains_left: HashMap[uint256, uint256]
# owner -> id of the freeze (32 bits) and lots, gain of a Standing
remembered: HashMap[address, uint256]
# owner -> score of it
scores: HashMap[address, uint256]


@deploy
def __init__(margin_market: address):
    """
    @notice The wiring is final.
    """
    MARGIN_MARKET = IMarginMarket(margin_market)


@external
@nonreentrant
def begin(owner: address, market: uint256) -> uint256:
    """
    @notice Have the fund pay for an insolvent account, and if it cannot pay all, freeze one of its markets and
            begin to deleverage. Permissionless. A freeze ends by itself, and can begin again.
    @return The freeze's id; 0 if the fund has paid all.
    """
    found: IMarginMarket.Insolvency = extcall MARGIN_MARKET.freeze(owner, market)
    if found.lots == 0:
        return 0
    case: Case = self._case()
    case.id += 1
    case.until = found.until
    case.others = found.others
    case.long = found.long
    case.lots = found.lots
    case.loss = found.loss
    self._store_case(case)
    self.insolvent = owner
    self.prover = empty(address)
    self.executed = 0
    log Begun(
        freeze_id=case.id,
        owner=owner,
        market=market,
        lots=found.lots,
        loss=found.loss,
        others=found.others,
    )
    return case.id


@external
@nonreentrant
def submit(accounts: DynArray[address, MAX_ACCOUNTS]):
    """
    @notice Go on with the sender's ranking of the other side: the next accounts in strictly descending
            order of score, equal scores by address. Permissionless, in as many calls as it takes. Once all
            are there it is proven, and may be executed.
    """
    case: Case = self._open_case()
    assert self.prover == empty(address), "margin_deleverager: proven"
    run: Run = self._load_run(msg.sender)
    if run.id != case.id:
        run = Run(id=case.id, submitted=0, lots=case.lots, loss=case.loss)
        self.last_accounts[msg.sender] = 0
    last_score: uint256 = self.last_scores[msg.sender]
    word: uint256 = self.last_accounts[msg.sender]
    last: uint256 = word & MASK_160
    count: uint256 = word >> 160
    for owner: address in accounts:
        standing: Standing = self._standing(owner, case)
        assert standing.lots != 0, "margin_deleverager: other side"
        place: uint256 = convert(owner, uint256)
        assert (
            run.submitted == 0
            or standing.score < last_score
            or (standing.score == last_score and place < last)
        ), "margin_deleverager: out of rank"
        last_score = standing.score
        last = place
        run.submitted += 1
        if standing.gain != 0 and (run.lots != 0 or run.loss != 0):
            closed: uint256 = 0
            paid: uint256 = 0
            closed, paid = self._share(standing, run.lots, run.loss)
            run.lots -= closed
            run.loss -= paid
            self.chosen[msg.sender][count] = owner
            count += 1
    self.last_scores[msg.sender] = last_score
    self.last_accounts[msg.sender] = last | (count << 160)
    self.runs[msg.sender] = run.id | (run.submitted << 32) | (run.lots << 64) | (run.loss << 128)
    log Submitted(freeze_id=case.id, sender=msg.sender, submitted=run.submitted, chosen=count)
    if run.submitted == case.others:
        self.prover = msg.sender
        log Proven(freeze_id=case.id, sender=msg.sender, chosen=count)


@external
@nonreentrant
def execute(count: uint256):
    """
    @notice Close and charge the next accounts of the proven ranking. Permissionless, in as many calls as it
            takes; the last one ends the freeze, and what no gain could pay is the market's unpaid loss.
            Protects: nobody is charged out of rank, more than its gain, or more than is missing; an
            account without a gain is not touched.
    @param count At most so many.
    """
    case: Case = self._open_case()
    prover: address = self.prover
    assert prover != empty(address), "margin_deleverager: not proven"
    # What one round leaves is left although all who gained are in it: a second takes what they have left.
    chosen: uint256 = self.last_accounts[prover] >> 160
    again: bool = self._load_run(prover).loss != 0
    total: uint256 = chosen
    if again:
        total = 2 * chosen
    next: uint256 = self.executed
    owner: address = self.insolvent
    for i: uint256 in range(min(count, total - next), bound=MAX_ACCOUNTS):
        entry: uint256 = next % chosen
        winner: address = self.chosen[prover][entry]
        closed: uint256 = 0
        paid: uint256 = 0
        if next < chosen:
            standing: Standing = self._standing(winner, case)
            closed, paid = self._share(standing, case.lots, case.loss)
            case.lots -= closed
            if again:
                self.gains_left[entry] = standing.gain - paid
        else:
            paid = min(self.gains_left[entry], case.loss)
        # What was closed already by somebody else, or is not missing any more, is not taken.
        closed, paid = extcall MARGIN_MARKET.deleverage(owner, winner, closed, paid)
        case.loss -= paid
        next += 1
        log Deleveraged(freeze_id=case.id, winner=winner, lots=closed, paid=paid)
    self.executed = next
    if next == total:
        extcall MARGIN_MARKET.finish(owner, case.loss)
        log Finished(freeze_id=case.id, lots_left=case.lots, loss_left=case.loss)
        case.until = 0
    self._store_case(case)


@external
def remember(owner: address):
    """
    @notice Keep what an account has in the frozen market before it changes for the first time. Margin market
            only.
    """
    assert msg.sender == MARGIN_MARKET.address, "margin_deleverager: not market"
    case: Case = self._case()
    if self.remembered[owner] & MASK_32 == case.id:
        return
    standing: Standing = self._standing(owner, case)
    if standing.lots != 0:
        self.remembered[owner] = case.id | (standing.lots << 32) | (standing.gain << 96)
        self.scores[owner] = standing.score


# -------------------------------------------------------------------- views


@external
@view
def standing_of(owner: address) -> Standing:
    """
    @notice What ranks an account in the freeze that runs.
    """
    return self._standing(owner, self._open_case())


@external
@view
def reserved_of(owner: address) -> uint256:
    """
    @notice The gain that an account which has changed in this freeze may still have to pay with, wad.
    """
    word: uint256 = self.remembered[owner]
    if word & MASK_32 != self._case().id:
        return 0
    return word >> 96


@external
@view
def case_of() -> Case:
    """
    @notice The last freeze, and what is left to close and to pay.
    """
    return self._case()


@external
@view
def run_of(sender: address) -> Run:
    """
    @notice How far a sender's ranking is.
    """
    return self._load_run(sender)


@external
@view
def chosen_of(sender: address) -> uint256:
    """
    @notice How many accounts of a sender's ranking close or pay.
    """
    return self.last_accounts[sender] >> 160


# ------------------------------------------------------------------ helpers


@internal
@pure
def _share(standing: Standing, lots: uint256, loss: uint256) -> (uint256, uint256):
    """@dev Lots that an account closes and what it pays, of what is left."""
    closed: uint256 = min(standing.lots, lots)
    due: uint256 = loss
    if lots != 0:
        due = units._div_up(loss * closed, lots)
    return closed, min(standing.gain, due)


@internal
@view
def _standing(owner: address, case: Case) -> Standing:
    """
    @dev As it was when the market was frozen. What counts of a gain is at most the account's equity: what it
         has lost elsewhere nobody can take.
    """
    word: uint256 = self.remembered[owner]
    if word & MASK_32 == case.id:
        return Standing(lots=(word >> 32) & MASK_64, gain=word >> 96, score=self.scores[owner])
    found: IMarginMarket.Frozen = staticcall MARGIN_MARKET.frozen_of(owner)
    if found.size == 0 or (found.size > 0) == case.long:
        return empty(Standing)
    gain: uint256 = convert(max(0, min(found.gain, found.equity)), uint256)
    score: uint256 = 0
    if gain != 0:
        score = gain * found.notional // convert(found.equity, uint256)
    return Standing(lots=convert(abs(found.size), uint256), gain=gain, score=score)


@internal
@view
def _open_case() -> Case:
    case: Case = self._case()
    assert block.timestamp <= case.until, "margin_deleverager: no freeze"
    return case


@internal
@view
def _case() -> Case:
    word: uint256 = self.case
    left: uint256 = self.left
    return Case(
        id=word & MASK_32,
        until=(word >> 32) & MASK_32,
        others=(word >> 64) & MASK_32,
        long=word >> 96 == 1,
        lots=left & MASK_64,
        loss=left >> 64,
    )


@internal
def _store_case(case: Case):
    self.case = case.id | (case.until << 32) | (case.others << 64) | (convert(case.long, uint256) << 96)
    self.left = case.lots | (case.loss << 64)


@internal
@view
def _load_run(sender: address) -> Run:
    word: uint256 = self.runs[sender]
    return Run(
        id=word & MASK_32,
        submitted=(word >> 32) & MASK_32,
        lots=(word >> 64) & MASK_64,
        loss=word >> 128,
    )
