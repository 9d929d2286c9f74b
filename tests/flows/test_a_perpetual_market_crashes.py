"""A coin loses two thirds in minutes: exactly what is missing is taken, where greedy engines take more."""

import pytest

from backstop.hosts.by_name import open_host
from backstop.hosts.host import CALL_GAS
from backstop.studies.deleveraging.crash import Crash


@pytest.mark.parametrize("policy", ["ranked", "shared"])
def test_no_more_is_taken_than_the_loss(policy):
    """Twenty accounts; `ape run deleverage` plays thousands. Who pays what the crash itself compares."""
    told: list[str] = []
    with open_host("revm") as host:
        crash = Crash(host, 20, 1, told.append, policy)
        result = crash.play()
    assert len(told) == 5
    assert result.freezes and result.left_alone == 0
    for each in result.freezes:
        assert each.ranked.taken == each.shared.taken == each.taken <= min(each.loss, each.greedy.taken)
        assert each.others >= each.shared.charged >= each.ranked.charged
        assert each.shared.most <= 10_000
    loss, taken = (sum(getattr(each, name) for each in result.freezes) for name in ("loss", "taken"))
    assert taken + result.posted == loss
    assert sum(each.greedy.taken for each in result.freezes) > taken
    # What the protocol bore is a deficit of the market's domain.
    assert crash.both.view("Perpetuals", "lost") == result.posted
    assert result.calls is not None
    assert result.calls[:2] == (1, 1) and 0 < result.calls.most_gas < CALL_GAS


def test_the_deepest_in_debt_first():
    with open_host("revm") as host:
        result = Crash(host, 20, 1, lambda _: None, most=1).play()
    assert 0 < len(result.freezes) <= 4 and result.left_alone > 0
