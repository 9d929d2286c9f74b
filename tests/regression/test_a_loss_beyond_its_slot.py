"""A failure that the fuzzer found: a loss of 2**138 wei, where a freeze of a market had 128 bits.

At a price of next to nothing two traders had opened quintillions of lots, and then the price came back. No
figure was cut off, but products of them were not sure to fit, and the campaign died of a value that it could
not write.
"""

from dataclasses import replace

import pytest

from backstop.model import bounds
from backstop.model.arithmetic import RAY, WAD
from tests.support.helpers import reverts
from tests.support.margin import (
    ETH,
    MARGIN,
    TERMS,
    begin,
    books,
    deposit,
    execute,
    fill,
    interest,
    opened,
    prove,
    standing,
    terms,
    with_margin,
    worth,
)

MOST = bounds.MAX_OPEN // WAD
"""Lots of a whole coin that may be open."""


@pytest.fixture(params=["ranked", "shared"])
def made(new_protocol, request):
    """The most lots are open, at a wei each."""
    coin = replace(TERMS, lot=WAD, open_limit=MOST)
    parameters = with_margin(markets=(coin, MARGIN.markets[1]), policy=request.param)
    found = opened(new_protocol, parameters)
    found.post_price("WETH", RAY // WAD)
    for name in ("maker", "taker"):
        deposit(found, name, WAD)
    fill(found, "maker", "taker", -MOST, price=1)
    return found


def test_no_more_lots_than_any_price_allows(made):
    for limit in (MOST + 1, bounds.MAX_OPEN_LOTS):
        with reverts("margin_policy: open bounds"):
            made.do("MarginPolicy.set_terms", ETH, terms(lot=WAD, open_limit=limit), sender="admin")
    with reverts("margin_market: open limit"):
        fill(made, "maker", "taker", -1, price=1)


def test_the_highest_loss_is_paid_by_the_highest_gain(made):
    made.post_price("WETH", bounds.MAX_PRICE)
    notional = MOST * (bounds.MAX_PRICE * WAD // RAY)
    loss = -worth(made, "maker").equity
    assert 2**115 < notional - 2 * WAD < loss < notional < 2**116
    begin(made, "maker")
    assert standing(made, "taker").gain == loss + WAD
    assert made.read("MarginDeleverager.case_of").loss == loss
    prove(made, "taker")
    execute(made)
    assert interest(made) == (0, 0, 0, 0)
    assert worth(made, "maker").equity == 0
    assert worth(made, "taker").equity == 2 * WAD
    assert books(made) == 0
