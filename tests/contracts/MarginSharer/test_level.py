"""One pass in order of leverage is the level, in whole wei: no gain and no loss breaks it."""

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from backstop.keepers.deleveraging import charges
from backstop.model.ranking import Left, Standing

AMOUNT = st.integers(0, 50) | st.integers(0, 2**100)
WINNER = st.tuples(AMOUNT, st.integers(1, 50) | st.integers(1, 2**110), st.integers(1, 50))


def level(found, loss):
    """t such that the sum of min(gain, t*score) is the loss; None if all gains are less."""
    steps = sorted({Fraction(gain, score) for _, gain, score in found if gain})
    for step in steps:
        if sum(min(Fraction(gain), step * score) for _, gain, score in found if gain) >= loss:
            used = sum(gain for _, gain, score in found if gain and gain < step * score)
            rest = sum(score for _, gain, score in found if gain and gain >= step * score)
            return Fraction(loss - used, rest)
    return None


def standings(winners):
    """Names for them; who has not gained has no score."""
    return {f"{i}": Standing(lots, gain, score * bool(gain)) for i, (gain, score, lots) in enumerate(winners)}


@given(st.lists(WINNER, max_size=12), AMOUNT, st.integers(1, 100))
@example([(3, 1, 1), (3, 1, 1), (3, 1, 1)], 4, 1)
@example([(1, 100, 1), (100, 1, 1)], 100, 1)
def test_the_loss_exactly_or_all_gains(winners, loss, lots):
    found = standings(winners)
    shared = charges(found, Left(lots, loss)).shared
    gains = sum(standing.gain for standing in found.values())
    assert sum(shared.values()) == min(loss, gains)
    assert shared.keys() == {owner for owner, standing in found.items() if standing.gain}
    t = level(found.values(), loss)
    for owner, amount in shared.items():
        _, gain, score = found[owner]
        part = Fraction(gain) if t is None else min(Fraction(gain), t * score)
        assert part - len(found) < amount < part + 1


@given(st.lists(WINNER, max_size=12), AMOUNT, st.integers(1, 100))
def test_each_policy_takes_the_least_but_the_greedy_one(winners, loss, lots):
    found = standings(winners)
    least = min(loss, sum(standing.gain for standing in found.values()))
    greedy, ranked, shared = charges(found, Left(lots, loss))
    assert sum(ranked.values()) == sum(shared.values()) == least <= sum(greedy.values())
    for policy in (greedy, ranked, shared):
        assert all(0 <= amount <= found[owner].gain for owner, amount in policy.items())
