# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ranking
@license GNU Affero General Public License v3.0 only
@notice A freeze of a perpetual market, everybody on the other side of its insolvent position as it was then,
        and rankings of them that are proven, whoever brings them.
@dev A run submits every account of the other side in one strict order, which the importer checks, and the
     market knows how many there are: so nobody is left out and nobody comes twice. Each sender has a run of
     his own: a wrong one stops nobody else. Only a run that is complete is executed. All counts as it was
     when the market was frozen: an account that changes meanwhile is remembered as it was. Packed by hand:
     the first field at bit 0.
"""
from contracts.interfaces import IMarginMarket
from contracts.modules import units


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
    loss: uint256  # that is left to pay, wad, 138 bits


struct Run:
    id: uint256  # of the case, 32 bits
    submitted: uint256  # accounts, 32 bits
    chosen: uint256  # of them those that close or pay, 32 bits
    last: address  # account submitted, 160 bits


struct Standing:
    lots: uint256  # on the other side; 0 is none, 64 bits
    gain: uint256  # wad, at most the account's equity, 138 bits
    score: uint256  # gain times leverage, rounded up: 0 without a gain only


MASK_32: constant(uint256) = 2**32 - 1
MASK_64: constant(uint256) = 2**64 - 1
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
# How many entries of that run are executed.
executed: public(uint256)
# sender -> Run
runs: HashMap[address, uint256]
# sender -> index -> account that closes or pays
chosen: HashMap[address, HashMap[uint256, address]]
# owner -> id of the freeze (32 bits) and lots, gain of a Standing
remembered: HashMap[address, uint256]
# owner -> score of it
scores: HashMap[address, uint256]


@deploy
def __init__(margin_market: address):
    MARGIN_MARKET = IMarginMarket(margin_market)


@external
@nonreentrant
def begin(owner: address, market: uint256) -> uint256:
    """
    @notice Have the fund pay for an insolvent account, and if it cannot pay all, freeze one of its markets
            and begin to deleverage. Permissionless. A freeze ends by itself, and can begin again.
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
def remember(owner: address):
    """
    @notice Keep what an account has in the frozen market before it changes for the first time. Margin market
            only.
    """
    assert msg.sender == MARGIN_MARKET.address, "ranking: not market"
    case: Case = self._case()
    if self.remembered[owner] & MASK_32 == case.id:
        return
    standing: Standing = self._standing(owner, case)
    if standing.lots != 0:
        self._keep(owner, case, standing)
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


# --------------------------------------------------------------------- runs


@internal
@view
def _resume(case: Case) -> (Run, Standing):
    """@dev The sender's run in this freeze, and what its last account was; at its beginning there is none."""
    assert self.prover == empty(address), "ranking: proven"
    run: Run = self._load_run(msg.sender)
    if run.id != case.id:
        return Run(id=case.id, submitted=0, chosen=0, last=empty(address)), empty(Standing)
    return run, self._standing(run.last, case)


@internal
@view
def _next(owner: address, case: Case) -> Standing:
    """@dev What an account was that is submitted: one of the other side."""
    standing: Standing = self._standing(owner, case)
    assert standing.lots != 0, "ranking: other side"
    return standing


@internal
def _add(run: Run, owner: address, is_chosen: bool) -> Run:
    """@dev The sender's run with one account more."""
    longer: Run = run
    longer.last = owner
    longer.submitted += 1
    if is_chosen:
        self.chosen[msg.sender][run.chosen] = owner
        longer.chosen += 1
    return longer


@internal
@pure
def _is_before(one: address, other: address) -> bool:
    """@dev Of two accounts that are otherwise equal."""
    return convert(one, uint256) > convert(other, uint256)


@internal
def _suspend(case: Case, run: Run):
    """@dev A call of the sender's is over; once all are there, the run is proven."""
    self.runs[msg.sender] = (
        run.id | (run.submitted << 32) | (run.chosen << 64) | (convert(run.last, uint256) << 96)
    )
    log Submitted(freeze_id=case.id, sender=msg.sender, submitted=run.submitted, chosen=run.chosen)
    if run.submitted == case.others:
        self.prover = msg.sender
        log Proven(freeze_id=case.id, sender=msg.sender, chosen=run.chosen)


@internal
@view
def _proven() -> address:
    assert self.prover != empty(address), "ranking: not proven"
    return self.prover


@internal
def _charge(case: Case, winner: address, lots: uint256, payment: uint256) -> uint256:
    """
    @dev What was closed already by somebody else, or is not missing any more, is not taken.
    @return What was paid, wad.
    """
    closed: uint256 = 0
    paid: uint256 = 0
    closed, paid = extcall MARGIN_MARKET.deleverage(self.insolvent, winner, lots, payment)
    log Deleveraged(freeze_id=case.id, winner=winner, lots=closed, paid=paid)
    return paid


@internal
def _end(case: Case, executed: uint256, total: uint256):
    """@dev A call is over; with the last entry the freeze ends, and what no gain could pay is unpaid."""
    self.executed = executed
    ended: Case = case
    if executed == total:
        extcall MARGIN_MARKET.finish(self.insolvent, case.loss)
        log Finished(freeze_id=case.id, lots_left=case.lots, loss_left=case.loss)
        ended.until = 0
    self._store_case(ended)


# ------------------------------------------------------------------ records


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
        score = units._div_up(gain * found.notional, convert(found.equity, uint256))
    return Standing(lots=convert(abs(found.size), uint256), gain=gain, score=score)


@internal
def _keep(owner: address, case: Case, standing: Standing):
    """@dev From now on an account's lots and gain in this freeze are these, whatever it does."""
    self.remembered[owner] = case.id | (standing.lots << 32) | (standing.gain << 96)


@internal
@view
def _open_case() -> Case:
    case: Case = self._case()
    assert block.timestamp <= case.until, "ranking: no freeze"
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
        chosen=(word >> 64) & MASK_32,
        last=convert(word >> 96, address),
    )
