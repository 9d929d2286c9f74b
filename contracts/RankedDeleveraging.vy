# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title RankedDeleveraging
@license GNU Affero General Public License v3.0 only
@notice Closes positions against unassigned lots (taken from insolvent accounts), largest gain over equity
        first: one ranking for all insolvent accounts of a cycle, from any caller. The market decides
        separately which accounts bear their losses.
@dev An account ranks by its gain on a side of a market in the pending cycle, over its worth at the end of
     that cycle: its position's gain, times its leverage. Both are constant until the next roll, so no account
     trades its rank away. A run submits accounts in strictly descending order of (score, address), and the
     market knows their total gain. Once the run's sum reaches that, no account is left out, and none comes
     twice. Each sender has a run of its own for each side of a market: a wrong run stops no other. Only a
     digest of each call's accounts is kept. The executor submits the same accounts again, in that window or
     in the next, until a newer run is proven. A call has at least `MIN_RANKED` accounts, but for the last: so
     no sender makes it dear to execute. Packed by hand: the first field at bit 0.
"""
from contracts.interfaces import IPerpetualTrading
from contracts.interfaces import IPerpetualMarket
from contracts.modules import bounds
from contracts.modules import units


event Submitted:
    market: indexed(uint256)  # [id]
    side: indexed(uint256)  # [id] 0 for accounts that are long, 1 for short.
    sender: indexed(address)
    accounts: uint256  # [count]
    gains: uint256  # [wad] Of all that its run has.


event Proven:
    market: indexed(uint256)  # [id]
    side: indexed(uint256)  # [id]
    prover: indexed(address)
    cycle: uint256  # [id]


event Executed:
    market: indexed(uint256)  # [id]
    side: indexed(uint256)  # [id]
    batch: uint256  # [id] From 0, in the order of rank.
    left: uint256  # [lots] That are nobody's still.


struct RankingProgress:
    cycle: uint256  # whose gains it ranks, 32 bits
    batches: uint256  # calls, 32 bits
    gains: uint256  # of all that it has, wei, 128 bits
    score: uint256  # of the last account, 96 bits, at bit 0 of the second slot
    last: address  # that account


struct ProvenRanking:
    cycle: uint256  # whose ranking is proven, 32 bits
    executed: uint256  # batches, 32 bits
    prover: address  # 160 bits
    batches: uint256  # that it has, 32 bits


# A score is a gain over what its account was worth, in such parts of one.
SCALE: constant(uint256) = 10**9
MASK_32: constant(uint256) = 2**32 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_160: constant(uint256) = 2**160 - 1

MARKET: public(immutable(IPerpetualMarket))
TRADING: public(immutable(IPerpetualTrading))

# market -> side -> sender -> RankingProgress, in two slots
runs: HashMap[uint256, HashMap[uint256, HashMap[address, uint256]]]
lasts: HashMap[uint256, HashMap[uint256, HashMap[address, uint256]]]
# market -> side -> sender -> cycle and number (32 bits) -> digest of the accounts of a call
digests: HashMap[uint256, HashMap[uint256, HashMap[address, HashMap[uint256, bytes32]]]]
# market -> side -> ProvenRanking
cases: HashMap[uint256, HashMap[uint256, uint256]]


@deploy
def __init__(market: address, trading: address):
    """
    @notice The wiring is final.
    @param market The market, which computes the gains of accounts.
    @param trading Closes positions.
    """
    MARKET = IPerpetualMarket(market)
    TRADING = IPerpetualTrading(trading)


@external
@nonreentrant
def submit(market: uint256, side: uint256, accounts: DynArray[address, bounds.MAX_CLOSED]):
    """
    @notice Continue the sender's ranking of the accounts that gained on a side of a market in the pending
            cycle: the next accounts, in strictly descending order of score, equal scores by address.
            Permissionless, in as many calls as it takes. Once their gains are all gains of that side it is
            proven, and the first that is proven counts. Protects: a ranking is executed in calls of many
            accounts.
    @param market [id] The market.
    @param side [id] 0 for gains as long, 1 for short.
    @param accounts The next, at least `bounds.MIN_RANKED`, or all that are left.
    """
    case: ProvenRanking = self._load_case(market, side)
    cycle: uint256 = self._pending()
    assert case.cycle != cycle, "deleveraging: proven"
    run: RankingProgress = self._load_run(market, side, msg.sender)
    if run.cycle != cycle:
        run = RankingProgress(
            cycle=cycle, batches=0, gains=0, score=MASK_96, last=convert(max_value(uint160), address)
        )
    assert len(accounts) != 0, "deleveraging: nobody"
    for owner: address in accounts:
        gain: uint256 = 0
        score: uint256 = 0
        gain, score = self._rank(owner, market, side)
        assert gain != 0, "deleveraging: has not gained"
        assert score < run.score or (
            score == run.score and convert(owner, uint256) < convert(run.last, uint256)
        ), "deleveraging: out of rank"
        run.gains += gain
        run.score = score
        run.last = owner
    self.digests[market][side][msg.sender][(cycle << 32) | run.batches] = keccak256(abi_encode(accounts))
    run.batches += 1
    proven: bool = run.gains == self._of((staticcall MARKET.cycle_of(market, cycle))[0], side)
    assert proven or len(accounts) >= bounds.MIN_RANKED, "deleveraging: too few"
    self._store_run(market, side, msg.sender, run)
    log Submitted(market=market, side=side, sender=msg.sender, accounts=len(accounts), gains=run.gains)
    if proven:
        self._store_case(
            market, side, ProvenRanking(cycle=cycle, executed=0, prover=msg.sender, batches=run.batches)
        )
        log Proven(market=market, side=side, prover=msg.sender, cycle=run.cycle)


@external
@nonreentrant
def execute(market: uint256, side: uint256, accounts: DynArray[address, bounds.MAX_CLOSED]) -> uint256:
    """
    @notice Close the accounts of the next call of the proven ranking against unassigned lots, at the mark,
            until there are none. Permissionless, in as many calls as it takes, in the window in which it was
            proven and in the next, until a newer one is proven; again if there are more of such lots later.
            The prover and the caller share the bonds' payment for that, half each. Protects: no account is
            closed before the accounts that rank ahead of it; the executor is paid for it.
    @param market [id] The market.
    @param side [id] 0 for accounts that are long, 1 for short.
    @param accounts As they were submitted in that call.
    @return [lots] The lots that are still unassigned.
    """
    case: ProvenRanking = self._load_case(market, side)
    assert case.cycle != 0 and case.cycle + 1 >= self._pending(), "deleveraging: not proven"
    number: uint256 = (case.cycle << 32) | case.executed
    assert (
        case.executed < case.batches
        and keccak256(abi_encode(accounts)) == self.digests[market][side][case.prover][number]
    ), "deleveraging: not the next"
    most: DynArray[uint256, bounds.MAX_CLOSED] = []
    for _: address in accounts:
        most.append(max_value(uint256))
    closed: DynArray[uint256, bounds.MAX_CLOSED] = []
    left: uint256 = 0
    closed, left = extcall TRADING.deleverage(market, side, accounts, most, case.prover, msg.sender)
    some: bool = left != 0
    for lots: uint256 in closed:
        some = some or lots != 0
    assert some, "deleveraging: no lots to close"
    log Executed(market=market, side=side, batch=case.executed, left=left)
    if left != 0:
        # With none left more may come: then its turn is still this call's.
        case.executed += 1
        self._store_case(market, side, case)
    return left


@external
@view
def run_of(market: uint256, side: uint256, prover: address) -> RankingProgress:
    """
    @notice How far a sender's last ranking of a side is.
    @param market [id] The market.
    @param side [id] 0 for gains as long, 1 for short.
    @param prover Sender of the run.
    @return The record.
    """
    return self._load_run(market, side, prover)


@external
@view
def case_of(market: uint256, side: uint256) -> ProvenRanking:
    """
    @notice The last ranking of a side that was proven, and how many of its calls were executed.
    @param market [id] The market.
    @param side [id] 0 for gains as long, 1 for short.
    @return The record.
    """
    return self._load_case(market, side)


# ------------------------------------------------------------------ helpers


@internal
def _rank(owner: address, market: uint256, side: uint256) -> (uint256, uint256):
    """
    @dev The gain of an account, wei, and its score; an account that owed at the end of the cycle comes first.
    """
    gains: IPerpetualMarket.Gains = extcall MARKET.gains_of(owner, market)
    gain: uint256 = self._of(IPerpetualMarket.SideTotals(long=gains.long, short=gains.short), side)
    worth: uint256 = convert(max(gains.worth, 1), uint256)
    return gain, min(gain * SCALE // worth, MASK_96)


@internal
@pure
def _of(gains: IPerpetualMarket.SideTotals, side: uint256) -> uint256:
    """@dev The gains of one side, wei."""
    if side == 0:
        return gains.long
    assert side == 1, "deleveraging: no such side"
    return gains.short


@internal
@view
def _pending() -> uint256:
    """@dev [id] The pending cycle."""
    return (staticcall MARKET.clock_of()).cycle - 1


@internal
@view
def _load_run(market: uint256, side: uint256, sender: address) -> RankingProgress:
    word: uint256 = self.runs[market][side][sender]
    last: uint256 = self.lasts[market][side][sender]
    return RankingProgress(
        cycle=word & MASK_32,
        batches=(word >> 32) & MASK_32,
        gains=word >> 64,
        score=last & MASK_96,
        last=convert(last >> 96, address),
    )


@internal
def _store_run(market: uint256, side: uint256, sender: address, run: RankingProgress):
    self.runs[market][side][sender] = run.cycle | (run.batches << 32) | (run.gains << 64)
    self.lasts[market][side][sender] = run.score | (convert(run.last, uint256) << 96)


@internal
@view
def _load_case(market: uint256, side: uint256) -> ProvenRanking:
    word: uint256 = self.cases[market][side]
    return ProvenRanking(
        cycle=word & MASK_32,
        executed=(word >> 32) & MASK_32,
        prover=convert((word >> 64) & MASK_160, address),
        batches=word >> 224,
    )


@internal
def _store_case(market: uint256, side: uint256, case: ProvenRanking):
    self.cases[market][side] = (
        case.cycle | (case.executed << 32) | (convert(case.prover, uint256) << 64) | (case.batches << 224)
    )
