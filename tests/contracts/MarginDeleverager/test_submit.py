"""submit: a ranking of everybody on the other side, which the contract proves."""

from backstop.deployment.signing import trader
from backstop.model.arithmetic import WAD
from tests.support.auctions import event
from tests.support.helpers import reverts
from tests.support.margin import begin, deposit, execute, fill, move, prove, ranking, stage, standing, submit

SHORTS = ("taker", "third", "fourth")


def test_the_score_is_gain_times_leverage(frozen):
    """The short of 400 gained 1,600 and is worth 3,100, with 6,400 of notional; rounded up."""
    assert standing(frozen, "taker") == (400, 1_600 * WAD, -(-1_600 * WAD * 6_400 // 3_100))
    assert standing(frozen, "third") == (500, 2_000 * WAD, -(-2_000 * WAD * 8_000 // 42_000))
    assert standing(frozen, "fourth") == (100, 400 * WAD, -(-400 * WAD * 1_600 // 1_900))
    assert standing(frozen, "maker") == standing(frozen, "liquidator") == (0, 0, 0)
    assert ranking(frozen, *SHORTS) == [trader(name) for name in ("taker", "third", "fourth")]


def test_all_in_rank_are_the_proof(frozen):
    ranked = prove(frozen, *SHORTS)
    assert event(frozen, "Submitted", "MarginDeleverager") == (1, frozen.address("prover"), 3, 3)
    assert event(frozen, "Proven", "MarginDeleverager") == (1, frozen.address("prover"), 3)
    assert frozen.read("MarginDeleverager.prover") == frozen.address("prover")
    assert frozen.read("MarginDeleverager.run_of", "prover") == (1, 3, 3, ranked[-1])
    scores = [frozen.read("MarginDeleverager.standing_of", each).score for each in ranked]
    assert scores == sorted(scores, reverse=True)
    with reverts("ranking: proven"):
        submit(frozen, ranked, "other")


def test_in_as_many_calls_as_it_takes(frozen):
    ranked = ranking(frozen, *SHORTS)
    for i, each in enumerate(ranked):
        with reverts("ranking: not proven"):
            execute(frozen)
        submit(frozen, [each])
        assert frozen.read("MarginDeleverager.run_of", "prover").submitted == i + 1
    execute(frozen)


def test_out_of_rank(frozen):
    ranked = ranking(frozen, *SHORTS)
    for wrong in (ranked[::-1], [ranked[0], ranked[0]], [ranked[1], ranked[0]]):
        with reverts("margin_deleverager: out of rank"):
            submit(frozen, wrong)
    # Also from one call to the next.
    submit(frozen, ranked[1:2])
    with reverts("margin_deleverager: out of rank"):
        submit(frozen, ranked[:1])


def test_nobody_is_left_out(frozen):
    """A run that has passed somebody over can never be complete."""
    ranked = ranking(frozen, *SHORTS)
    submit(frozen, ranked[1:])
    with reverts("ranking: not proven"):
        execute(frozen)
    with reverts("margin_deleverager: out of rank"):
        submit(frozen, ranked[:1])


def test_a_wrong_run_stops_nobody_else(frozen):
    ranked = ranking(frozen, *SHORTS)
    submit(frozen, ranked[2:], "attacker")
    submit(frozen, ranked[:1])
    submit(frozen, ranked[1:])
    execute(frozen)
    assert frozen.read("MarginDeleverager.case_of").loss == 0


def test_the_other_side_only(frozen):
    for name in ("maker", "liquidator", "nobody"):
        with reverts("ranking: other side"):
            submit(frozen, [trader(name)])


def test_equal_scores_by_address(new_protocol, crowd):
    stage(crowd, twin_1=1_500, twin_2=1_500)
    for name in ("twin_1", "twin_2"):
        fill(crowd, "liquidator", name, 100)
    move(crowd, "WETH", 1_600)
    begin(crowd, "maker")
    twins = ("fourth", "twin_1", "twin_2")
    assert len({standing(crowd, name) for name in twins}) == 1
    ranked = ranking(crowd, *SHORTS, "twin_1", "twin_2")
    places = sorted(ranked.index(trader(name)) for name in twins)
    swapped = list(ranked)
    swapped[places[0]], swapped[places[1]] = swapped[places[1]], swapped[places[0]]
    with reverts("margin_deleverager: out of rank"):
        submit(crowd, swapped)
    submit(crowd, ranked)


def test_what_changes_meanwhile_is_remembered_as_it_was(crowd):
    """Neither a deposit nor a close changes the rank or the gain."""
    fill(crowd, "liquidator", "third", 100)
    move(crowd, "WETH", 1_600)
    begin(crowd, "maker")
    frozen = crowd
    before = {name: standing(frozen, name) for name in SHORTS}
    deposit(frozen, "taker", 50_000 * WAD)
    fill(frozen, "fourth", "liquidator", 100)
    assert {name: standing(frozen, name) for name in SHORTS} == before
    assert frozen.read("MarginDeleverager.reserved_of", trader("taker")) == 1_600 * WAD
    assert frozen.read("MarginDeleverager.reserved_of", trader("third")) == 0
    prove(frozen, *SHORTS)


def test_a_run_of_an_old_freeze_is_worth_nothing(frozen):
    ranked = ranking(frozen, *SHORTS)
    submit(frozen, ranked[:2])
    frozen.advance(3_601)
    with reverts("ranking: no freeze"):
        submit(frozen, ranked[2:])
    with reverts("ranking: no freeze"):
        execute(frozen)
    with reverts("ranking: no freeze"):
        standing(frozen, "taker")
    move(frozen, "WETH", 1_600)
    begin(frozen, "maker")
    assert frozen.read("MarginDeleverager.reserved_of", trader("taker")) == 0
    submit(frozen, ranked[2:])
    assert frozen.read("MarginDeleverager.run_of", "prover").submitted == 1


def test_the_market_only_remembers(frozen):
    with reverts("ranking: not market"):
        frozen.do("MarginDeleverager.remember", trader("taker"), sender="admin")
