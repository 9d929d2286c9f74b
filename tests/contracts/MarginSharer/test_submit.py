"""submit: everybody on the other side, by leverage as an exact fraction."""

from backstop.deployment.signing import trader
from tests.support.auctions import event
from tests.support.helpers import reverts
from tests.support.margin import begin, execute, fill, move, prove, ranking, stage, standing, submit

SHORTS = ("taker", "third", "fourth")


def test_by_leverage_whatever_the_gain(frozen):
    """6,400 of notional on 3,100, 1,600 on 1,900, 8,000 on 42,000; the last has the second score."""
    assert ranking(frozen, *SHORTS) == [trader(name) for name in ("taker", "fourth", "third")]
    first, second, third = (standing(frozen, name).score for name in ("taker", "third", "fourth"))
    assert first > second > third


def test_all_in_order_are_the_proof(frozen):
    ranked = prove(frozen, *SHORTS)
    assert event(frozen, "Submitted", "MarginDeleverager") == (1, frozen.address("prover"), 3, 3)
    assert event(frozen, "Proven", "MarginDeleverager") == (1, frozen.address("prover"), 3)
    assert frozen.read("MarginDeleverager.run_of", "prover") == (1, 3, 3, ranked[-1])
    scores = sum(standing(frozen, name).score for name in SHORTS)
    assert frozen.read("MarginDeleverager.scores_left", "prover") == scores
    with reverts("ranking: proven"):
        submit(frozen, ranked, "other")


def test_in_as_many_calls_as_it_takes(frozen):
    scores = 0
    for name in ("taker", "fourth", "third"):
        with reverts("ranking: not proven"):
            execute(frozen)
        submit(frozen, [trader(name)])
        scores += standing(frozen, name).score
        assert frozen.read("MarginDeleverager.scores_left", "prover") == scores
    execute(frozen)


def test_out_of_order(frozen):
    ranked = ranking(frozen, *SHORTS)
    for wrong in (ranked[::-1], [ranked[0], ranked[0]], [ranked[1], ranked[0]]):
        with reverts("margin_sharer: out of order"):
            submit(frozen, wrong)
    submit(frozen, ranked[1:2])
    with reverts("margin_sharer: out of order"):
        submit(frozen, ranked[:1])


def test_without_a_gain_last_and_not_chosen(crowd):
    """By address among themselves, whatever their leverage."""
    move(crowd, "WETH", 1_500)
    stage(crowd, late=170, later=10_000)
    fill(crowd, "liquidator", "late", 100)
    fill(crowd, "liquidator", "later", 100)
    move(crowd, "WETH", 1_600)
    begin(crowd, "maker")
    ranked = ranking(crowd, *SHORTS, "late", "later")
    losers = sorted((trader("late"), trader("later")), reverse=True)
    assert ranked[3:] == losers
    submit(crowd, ranked[:3])
    with reverts("margin_sharer: out of order"):
        submit(crowd, losers[::-1])
    with reverts("margin_sharer: out of order"):
        submit(crowd, [losers[0], ranked[0]])
    submit(crowd, losers)
    assert crowd.read("MarginDeleverager.run_of", "prover") == (1, 5, 3, losers[1])


def test_equal_leverage_by_address(crowd):
    """Also of gains that differ: the fractions are compared, exactly."""
    stage(crowd, twin_1=1_500, twin_2=3_000)
    fill(crowd, "liquidator", "twin_1", 100)
    fill(crowd, "liquidator", "twin_2", 200)
    move(crowd, "WETH", 1_600)
    begin(crowd, "maker")
    twins = ("fourth", "twin_1", "twin_2")
    found = [standing(crowd, name) for name in twins]
    # Rounded up, a gain of two has no more than twice the score.
    assert found[0] == found[1] and 2 * found[0].score - 1 <= found[2].score <= 2 * found[0].score
    ranked = ranking(crowd, *SHORTS, "twin_1", "twin_2")
    one, other = sorted(ranked.index(trader(name)) for name in ("fourth", "twin_1"))
    swapped = list(ranked)
    swapped[one], swapped[other] = swapped[other], swapped[one]
    with reverts("margin_sharer: out of order"):
        submit(crowd, swapped)
    submit(crowd, ranked)


def test_the_other_side_only(frozen):
    for name in ("maker", "liquidator", "nobody"):
        with reverts("ranking: other side"):
            submit(frozen, [trader(name)])


def test_a_run_of_an_old_freeze_is_worth_nothing(frozen):
    ranked = ranking(frozen, *SHORTS)
    submit(frozen, ranked[:2])
    frozen.advance(3_601)
    with reverts("ranking: no freeze"):
        submit(frozen, ranked[2:])
    with reverts("ranking: no freeze"):
        execute(frozen)
    move(frozen, "WETH", 1_600)
    begin(frozen, "maker")
    submit(frozen, ranked[2:])
    assert frozen.read("MarginDeleverager.scores_left", "prover") == standing(frozen, "third").score
