# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title MarginDeleverager
@license GNU Affero General Public License v3.0 only
@notice Closes positions of insolvent accounts against those who gained on the other side, at the price at
        which the account would be worth nothing, and takes exactly what is missing, in an order that no
        operator chooses: by gain times leverage, the first until they have closed all.
@dev The order is (score, address), strictly descending. Entries that pay:

       closed = min(lots, lots left)
       paid   = min(gain, ceil(loss left * closed / lots left)), and min(gain, loss left) once no lots are

     If something is missing then, all who gained are among them, and pay on with what their gains have
     left, in the same order. So what is taken is the loss exactly, or all gains.
"""
from contracts.interfaces import IMarginDeleverager
from contracts.modules import ranking
from contracts.modules import units

implements: IMarginDeleverager

initializes: ranking

exports: (
    ranking.MARGIN_MARKET,
    ranking.begin,
    ranking.remember,
    ranking.standing_of,
    ranking.reserved_of,
    ranking.case_of,
    ranking.run_of,
    ranking.insolvent,
    ranking.prover,
    ranking.executed,
)


struct Left:
    lots: uint256  # 64 bits
    loss: uint256  # wad, 138 bits


# sender -> Left after those that its run has chosen
lefts: HashMap[address, uint256]


@deploy
def __init__(margin_market: address):
    """
    @notice The wiring is final.
    """
    ranking.__init__(margin_market)


@external
@nonreentrant
def submit(accounts: DynArray[address, ranking.MAX_ACCOUNTS]):
    """
    @notice Go on with the sender's ranking of the other side: the next accounts in strictly descending
            order of score, equal scores by address. Permissionless, in as many calls as it takes. Once all
            are there it is proven, and may be executed.
    """
    case: ranking.Case = ranking._open_case()
    run: ranking.Run = empty(ranking.Run)
    last: ranking.Standing = empty(ranking.Standing)
    run, last = ranking._resume(case)
    left: Left = Left(lots=case.lots, loss=case.loss)
    if run.submitted != 0:
        left = self._load_left(msg.sender)
    for owner: address in accounts:
        standing: ranking.Standing = ranking._next(owner, case)
        assert (
            run.submitted == 0
            or standing.score < last.score
            or (standing.score == last.score and ranking._is_before(run.last, owner))
        ), "margin_deleverager: out of rank"
        last = standing
        pays: bool = standing.gain != 0 and (left.lots != 0 or left.loss != 0)
        run = ranking._add(run, owner, pays)
        if pays:
            closed: uint256 = 0
            paid: uint256 = 0
            closed, paid = self._share(standing, left.lots, left.loss)
            left.lots -= closed
            left.loss -= paid
    self.lefts[msg.sender] = left.lots | (left.loss << 64)
    ranking._suspend(case, run)


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
    case: ranking.Case = ranking._open_case()
    prover: address = ranking._proven()
    # What one round leaves is left although all who gained are in it: a second takes what they have left.
    chosen: uint256 = ranking._load_run(prover).chosen
    again: bool = self._load_left(prover).loss != 0
    total: uint256 = chosen
    if again:
        total = 2 * chosen
    next: uint256 = ranking.executed
    for i: uint256 in range(min(count, total - next), bound=ranking.MAX_ACCOUNTS):
        winner: address = ranking.chosen[prover][next % chosen]
        standing: ranking.Standing = ranking._standing(winner, case)
        closed: uint256 = 0
        paid: uint256 = min(standing.gain, case.loss)
        if next < chosen:
            closed, paid = self._share(standing, case.lots, case.loss)
            case.lots -= closed
            if again:
                # For the second round, in which its position may be closed and its cash its own.
                standing.gain -= paid
                ranking._keep(winner, case, standing)
        case.loss -= ranking._charge(case, winner, closed, paid)
        next += 1
    ranking._end(case, next, total)


# ------------------------------------------------------------------ helpers


@internal
@pure
def _share(standing: ranking.Standing, lots: uint256, loss: uint256) -> (uint256, uint256):
    """@dev Lots that an account closes and what it pays, of what is left."""
    closed: uint256 = min(standing.lots, lots)
    due: uint256 = loss
    if lots != 0:
        due = units._div_up(loss * closed, lots)
    return closed, min(standing.gain, due)


@internal
@view
def _load_left(sender: address) -> Left:
    word: uint256 = self.lefts[sender]
    return Left(lots=word & ranking.MASK_64, loss=word >> 64)
