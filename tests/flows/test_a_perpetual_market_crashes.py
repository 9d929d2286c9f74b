"""A coin loses two thirds in minutes: exactly what is missing is taken, where greedy engines take more."""

from offchain.chain.hosts import open_host
from offchain.deleveraging.crash import Crash


def test_no_more_is_taken_than_the_loss():
    """Twenty accounts; `ape run deleverage` plays thousands."""
    told: list[str] = []
    with open_host("revm") as host:
        crash = Crash(host, 20, 1, told.append)
        result = crash.play()
    assert len(told) == 4
    assert result.freezes
    for each in result.freezes:
        assert each.taken <= min(each.loss, each.greedy)
        assert each.scanned >= each.closed
    loss, taken = (sum(getattr(each, name) for each in result.freezes) for name in ("loss", "taken"))
    assert taken + result.posted == loss
    assert sum(each.greedy for each in result.freezes) > taken
    # What the protocol bore is a deficit of the market's domain.
    assert crash.both.view("Perpetuals", "lost") == result.posted
