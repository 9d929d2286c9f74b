"""Each promise that today's rules do not keep is told where they break it, and only if it is asked for."""

from dataclasses import replace

import pytest

from backstop.deployment.examples import standard
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.properties import Violation, Watch
from backstop.proof.properties.registry import HISTORY_PROMISES, TRANSITION_PROMISES
from tests.support.auctions import WETH, liquidate
from tests.support.books import hold_price
from tests.support.guards import opened
from tests.support.plain import only, steady
from tests.support.savings import XAU, lose, save
from tests.support.settling import begin


def a_safe_vault_is_marked(new_protocol):
    protocol = steady(new_protocol, mark_discount=5_000)
    protocol.borrow("whale", "WETH", 100 * WAD, 110_000 * WAD)
    yield protocol
    protocol.do("LossWaterfall.mark_vault", WETH, "whale", sender="whale")


def a_cap_is_met_twice(new_protocol):
    buffer, reserve, savings = only("buffer", "reserve", "savings")
    protocol = steady(new_protocol, stages=(buffer, reserve, replace(savings, cap_bps=5_000)))
    save(protocol, "saver", 100_000 * WAD)
    lose(protocol, debt=200_000 * WAD)
    yield protocol
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    protocol.advance(protocol.parameters.epoch_length - protocol.timestamp % protocol.parameters.epoch_length)
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")


def somebody_borrows_after_years(new_protocol):
    protocol = opened(new_protocol, standard())
    protocol.advance(3 * 365 * 86_400)
    protocol.post_price("WETH", 2_000 * RAY)
    yield protocol
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)


def a_lot_with_a_worth_is_closed(new_protocol):
    protocol = steady(new_protocol, rewards=True)
    protocol.borrow("borrower", "WETH", 3 * WAD // 2, 2_000 * WAD)
    hold_price(protocol, "WETH", 1_450 * RAY, 4 * 3_600)
    id = liquidate(protocol)
    hold_price(protocol, "WETH", 1_450 * RAY, 8_401)
    yield protocol
    protocol.do("CollateralAuction.close", id, sender="stranger")


def a_stale_price_is_made_final(new_protocol):
    protocol = steady(new_protocol)
    protocol.advance(14_401)
    begin(protocol)
    yield protocol
    protocol.do("Settlement.fix_price", WETH, sender="stranger")


def a_ratio_is_raised(new_protocol):
    protocol = steady(new_protocol)
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    yield protocol
    protocol.do("VaultEngine.set_ratios", WETH, 18_000, 18_500, sender="admin")


def three_of_five_report(new_protocol):
    types = tuple(replace(each, feed=replace(each.feed, reporters=5)) for each in standard().collateral_types)
    protocol = opened(new_protocol, replace(standard(), collateral_types=types))
    protocol.advance(7_201)
    for i, price in enumerate((1_000, 2_000, 2_000), 1):
        protocol.do("PriceFeed.report", WETH, price * RAY, sender=f"reporter_{i}")
    yield protocol
    protocol.do("PriceFeed.poke", WETH, sender="stranger")


BROKEN = {
    70: a_safe_vault_is_marked,
    71: a_cap_is_met_twice,
    72: somebody_borrows_after_years,
    73: a_lot_with_a_worth_is_closed,
    75: a_stale_price_is_made_final,
    76: a_ratio_is_raised,
    77: three_of_five_report,
}


@pytest.mark.parametrize("number", sorted(BROKEN))
def test_it_is_told(new_protocol, number):
    story = BROKEN[number](new_protocol)
    protocol = next(story)
    protocol.lockstep.step_check = Watch(protocol.lockstep.model, promises=True, only=(number,))
    with pytest.raises(Violation, match=f"^property {number} is violated: "):
        list(story)


@pytest.mark.parametrize("number", sorted(BROKEN))
def test_nobody_is_told_who_does_not_ask(new_protocol, number):
    list(BROKEN[number](new_protocol))


def test_every_promise_has_its_story():
    assert BROKEN.keys() == HISTORY_PROMISES.keys() | TRANSITION_PROMISES.keys()
