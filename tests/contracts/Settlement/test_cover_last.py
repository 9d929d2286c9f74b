"""cover_last: the stages of a type pay a last time, in a call of its own."""

from dataclasses import replace

import pytest

from backstop.deployment.examples import standard
from backstop.deployment.parameters import StageParameters
from backstop.model.arithmetic import RAD
from tests.support.auctions import WBTC, WETH, event
from tests.support.helpers import reverts
from tests.support.protocol import PRICES
from tests.support.savings import XAU, lose
from tests.support.settling import begin, close, cover_last, indebted, skim

CALL = "Settlement.cover_last"


def test_what_is_left_is_kept(sunk):
    skim(sunk, WETH, "borrower")
    deficit = sunk.read("VaultEngine.deficit_of", WETH)
    left = sunk.do(CALL, WETH, sender="stranger")
    assert 0 < left < deficit
    assert left == sunk.read("VaultEngine.deficit_of", WETH) == sunk.read("Settlement.left_of", WETH)
    assert event(sunk, "CoveredLast", "Settlement") == (WETH, left)


def test_in_any_order_with_the_other_types(sunk):
    skim(sunk, WETH, "borrower")
    cover_last(sunk)
    for c, who in ((WBTC, "neighbour"), (XAU, "third")):
        skim(sunk, c, who)
    close(sunk)
    assert sunk.read("Settlement.progress_of").fixed_at == sunk.timestamp


def test_of_a_type_without_a_deficit(priced):
    with reverts("loss_waterfall: no deficit"):
        priced.do(CALL, WETH, sender="stranger")


def test_waits_for_what_a_stage_has_reserved(new_protocol):
    """Otherwise what it then does not pay would be left to holders, past the stages behind it."""
    protocol = new_protocol(replace(standard(), stages=(StageParameters("scripted"),)))
    for symbol, price in PRICES.items():
        protocol.post_price(symbol, price)
    lose(protocol)
    protocol.do("ScriptedStage.claim", 1_000 * RAD, 0, 1_000 * RAD, sender="stranger")
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    begin(protocol)
    with reverts("settlement: stages are busy"):
        protocol.do(CALL, XAU, sender="stranger")


@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_not_before_settlement(protocol, sender):
    lose(protocol)
    with reverts("settlement: not begun"):
        protocol.do(CALL, XAU, sender=sender)


def test_not_after_it(sunk):
    for c, owner in indebted(sunk):
        skim(sunk, c, owner)
    close(sunk)
    with reverts("settlement: is fixed"):
        sunk.do(CALL, WETH, sender="stranger")
