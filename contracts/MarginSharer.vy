# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title MarginSharer
@license GNU Affero General Public License v3.0 only
@notice Closes positions of insolvent accounts against those who gained on the other side, and takes exactly
        what is missing from all of them, in proportion to gain times leverage, from nobody more than its
        gain: the water stands at one level t in all gains that are not used up,

            paid = min(gain, t*score)

@dev The order is (score/gain, address), strictly descending, exact fractions; accounts without a gain are
     last. In it, with a loss l and scores s left, l - paid and s - score after each:

            paid = min(gain, ceil(l*score/s))

     That is the level, in whole wei: once a gain is not used up, l/s only falls (paid is no less than
     l*score/s) and is at most gain/score, which only rises, so none after it is; and the last, score == s,
     is asked for all of l. So what is taken is the loss exactly, or, if every gain is used up, all of them.
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

# sender -> scores of all that its run has chosen, less those executed
scores_left: public(HashMap[address, uint256])


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
            order of score/gain, equal ones by address, those without a gain last. Permissionless, in as
            many calls as it takes. Once all are there it is proven, and may be executed.
    """
    case: ranking.Case = ranking._open_case()
    run: ranking.Run = empty(ranking.Run)
    last: ranking.Standing = empty(ranking.Standing)
    run, last = ranking._resume(case)
    scores: uint256 = 0
    if run.submitted != 0:
        scores = self.scores_left[msg.sender]
    for owner: address in accounts:
        standing: ranking.Standing = ranking._next(owner, case)
        # The fraction of who has not gained is 0/1.
        over: uint256 = last.score * max(standing.gain, 1)
        under: uint256 = standing.score * max(last.gain, 1)
        assert (
            run.submitted == 0 or under < over or (under == over and ranking._is_before(run.last, owner))
        ), "margin_sharer: out of order"
        last = standing
        scores += standing.score
        run = ranking._add(run, owner, standing.gain != 0)
    self.scores_left[msg.sender] = scores
    ranking._suspend(case, run)


@external
@nonreentrant
def execute(count: uint256):
    """
    @notice Charge the next accounts of the proven ranking, and close lots of them until the insolvent
            position is closed. Permissionless, in as many calls as it takes; the last one ends the freeze,
            and what no gain could pay is the market's unpaid loss. Protects: nobody is charged more than
            its part, its gain, or what is missing; an account without a gain is not touched.
    @param count At most so many.
    """
    case: ranking.Case = ranking._open_case()
    prover: address = ranking._proven()
    chosen: uint256 = ranking._load_run(prover).chosen
    scores: uint256 = self.scores_left[prover]
    next: uint256 = ranking.executed
    for i: uint256 in range(min(count, chosen - next), bound=ranking.MAX_ACCOUNTS):
        winner: address = ranking.chosen[prover][next]
        standing: ranking.Standing = ranking._standing(winner, case)
        closed: uint256 = min(standing.lots, case.lots)
        paid: uint256 = min(standing.gain, units._div_up(case.loss * standing.score, scores))
        case.lots -= closed
        scores -= standing.score
        case.loss -= ranking._charge(case, winner, closed, paid)
        next += 1
    self.scores_left[prover] = scores
    ranking._end(case, next, chosen)
