"""A failure that the fuzzer found: a loss of 2**138 wei, where a record had 128 bits for one.

At a price of next to nothing two traders had opened quintillions of lots, and then the price came back. No
figure was cut off, but products of them were not sure to fit, and the campaign died of a value that it could
not write.
"""

from dataclasses import replace

import pytest

from backstop.model import bounds
from backstop.model.arithmetic import RAY, WAD
from tests.support.margin_order_steps import ETH, MARGIN, TERMS, build_perpetual_market_terms
from tests.support.perpetual_test_market import (
    BTC,
    HOUSE,
    LOTS,
    RULES,
    START,
    Perpetuals,
    build_cycle_market_parameters,
)
from tests.support.revert_setter_and_source_helpers import reverts

MOST = bounds.MAX_OPEN // WAD
"""Lots of a whole coin that may be open."""


def mark(market, price):
    """Report what a coin costs, ray, and have the market marked."""
    market.report(ETH, price)
    market.do(f"{HOUSE}.accrue", ETH, sender="keeper")


@pytest.fixture(params=["by-cycle", "ranked", "shared"])
def made(new_protocol, request):
    """The most lots are open, at a wei each."""
    parameters = build_cycle_market_parameters(policy=request.param)
    coin = replace(TERMS, lot=WAD, open_limit=MOST)
    assert parameters.margin
    margin = replace(parameters.margin, markets=(coin, MARGIN.markets[1]))
    found = Perpetuals(new_protocol(replace(parameters, margin=margin)).lockstep)
    mark(found, RAY // WAD)
    found.mark(BTC, START[BTC] * LOTS[BTC])
    for name in ("maker", "taker"):
        found.deposit(name, WAD)
    found.trade("maker", "taker", -MOST, price=1)
    return found


def test_no_more_lots_than_any_price_allows(made):
    for limit in (MOST + 1, bounds.MAX_OPEN_LOTS):
        with reverts("margin_policy: open bounds"):
            made.do(
                "MarginPolicy.set_terms",
                ETH,
                build_perpetual_market_terms(lot=WAD, open_limit=limit),
                sender="admin",
            )
    with reverts("trading: open limit"):
        made.trade("maker", "taker", -1, price=1)


def test_the_highest_loss_is_paid_by_the_highest_gain(made):
    mark(made, bounds.MAX_PRICE)
    notional = MOST * (bounds.MAX_PRICE * WAD // RAY)
    loss = -made.equity("maker")
    assert 2**115 < notional - 2 * WAD < loss < notional < 2**116
    for _ in range(2):
        for name in ("maker", "taker"):
            made.seize_insolvent(name)
        made.advance_clock(RULES.window)
        mark(made, bounds.MAX_PRICE)
        made.do(f"{HOUSE}.advance_cycle", sender="keeper")
        made.wake_all()
    made.check_books_after_touching_all()
    assert made.equity("maker") == 0 and made.market.late_table[()] == 0
    # What the loser had is the winner's.
    assert made.equity("taker") == 2 * WAD
