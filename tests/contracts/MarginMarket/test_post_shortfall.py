"""What no gain could pay: the protocol bears it within the market's line, later gains the rest."""

import pytest

from backstop.deployment.signing import trader
from backstop.model.arithmetic import RAY, WAD
from tests.support.auctions import event
from tests.support.guards import CAUTION, EMERGENCY, with_guards
from tests.support.helpers import reverts
from tests.support.margin import (
    ETH,
    LINE,
    begin,
    books,
    cash,
    execute,
    fill,
    interest,
    move,
    opened,
    prove,
    stage,
    with_margin,
)
from tests.support.policy import set_mode

PERPETUALS = 3  # its type


def unpaid(made, loss=3_000):
    """A long lost more than it had; the short that gained has left."""
    stage(made, maker=2_000, taker=20_000, third=20_000)
    fill(made, "maker", "taker", 1_000)
    move(made, "WETH", 1_800 - loss // 10)
    fill(made, "third", "taker", -1_000)
    begin(made, "maker")
    prove(made, "third")
    execute(made)
    assert interest(made).unpaid == loss * WAD
    return made


def post(protocol):
    return protocol.do("MarginMarket.post_shortfall", ETH, sender="stranger")


def test_becomes_a_deficit_of_the_domain(new_protocol):
    made = unpaid(opened(new_protocol))
    assert post(made) == 3_000 * WAD
    assert event(made, "ShortfallPosted", "MarginMarket") == (ETH, 3_000 * WAD)
    assert made.read("VaultEngine.deficit_of", PERPETUALS) == 3_000 * WAD * RAY
    assert made.read("Perpetuals.lost") == 3_000 * WAD
    assert interest(made).unpaid == books(made) == 0
    # All equity is held, and can leave.
    made.do("MarginMarket.withdraw", 25_000 * WAD, "receiver", sender=trader("taker"))
    with reverts("margin_market: nothing to post"):
        post(made)


def test_the_waterfall_covers_it_like_any_other(new_protocol):
    made = opened(new_protocol)
    made.do("Stablecoin.approve", "Junior", 10_000 * WAD, sender="rich")
    made.do("Junior.deposit", 10_000 * WAD, "rich", sender="rich")
    unpaid(made)
    post(made)
    made.do("LossWaterfall.cover", PERPETUALS, sender="stranger")
    assert made.read("VaultEngine.deficit_of", PERPETUALS) == 0
    assert made.read("Junior.totalAssets") == 7_000 * WAD


def test_within_the_line_and_no_further(new_protocol):
    made = opened(new_protocol)
    made.do("VaultEngine.set_debt_ceiling", PERPETUALS, 1_000, sender="admin")
    unpaid(made)
    assert post(made) == 1_000 * WAD
    assert interest(made).unpaid == 2_000 * WAD
    assert post(made) == 0
    assert books(made) == 0
    made.do("VaultEngine.set_debt_ceiling", PERPETUALS, LINE, sender="admin")
    assert post(made) == 2_000 * WAD


def test_gains_repay_the_rest_as_they_are_realised(new_protocol):
    made = unpaid(opened(new_protocol, with_margin(domain="")))
    with reverts("margin_market: nothing to post"):
        post(made)
    stage(made, fourth=20_000)
    move(made, "WETH", 1_400)
    before = cash(made, "third")
    fill(made, "fourth", "third", -500)
    # 500 lots gained one each, of which half goes.
    assert event(made, "GainCut", "MarginMarket") == (trader("third"), ETH, 250 * WAD)
    assert cash(made, "third") == before - 500 * 14 * WAD - 250 * WAD
    assert interest(made).unpaid == 2_750 * WAD
    # Losses are not cut.
    move(made, "WETH", 1_600)
    fill(made, "fourth", "third", -500)
    assert interest(made).unpaid == 2_750 * WAD
    move(made, "WETH", 400)
    fill(made, "third", "fourth", -1_000)
    assert interest(made).unpaid == books(made) == 0


@pytest.mark.parametrize("mode", [CAUTION, EMERGENCY])
def test_an_emergency_puts_it_off_and_caution_does_not(new_protocol, mode):
    made = unpaid(opened(new_protocol, with_margin(with_guards())))
    set_mode(made, mode)
    if mode == EMERGENCY:
        with reverts("risk_policy: emergency"):
            post(made)
        set_mode(made, CAUTION)
    assert post(made) == 3_000 * WAD


def test_a_market_only(new_protocol):
    made = opened(new_protocol)
    with reverts("roles: missing role"):
        made.do("Perpetuals.lose", 1, "stranger", sender="admin")


def test_an_announced_loss_comes_first(new_protocol):
    made = unpaid(opened(new_protocol))
    made.do("Perpetuals.announce_loss", 1, sender="admin")
    with reverts("domain: loss announced"):
        post(made)
    made.do("Perpetuals.cancel_loss", sender="admin")
    assert post(made) == 3_000 * WAD
