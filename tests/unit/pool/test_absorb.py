"""absorb: the pool pays for a loss with its own assets, at the waterfall's call alone."""

import pytest

from offchain.deployment import standard, with_stage
from offchain.model.arithmetic import RAY, WAD
from tests.helpers import STAGE, reverts
from tests.protocol import PRICES
from tests.savings import XAU, give, lose, save


@pytest.mark.parametrize("sender", ["stranger", "admin", "saver"])
def test_only_the_waterfall_may_call(savers, sender):
    with reverts("pool: not loss waterfall"):
        savers.do("Savings.absorb", 0, 10**45, sender=sender)


def test_burns_what_it_pays(savers):
    lose(savers)
    booked, supply = savers.read("Savings.totalAssets"), savers.read("Stablecoin.totalSupply")
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    paid = booked - savers.read("Savings.totalAssets")
    assert paid > 0
    assert savers.read("Stablecoin.totalSupply") == supply - paid
    assert savers.read("Stablecoin.balanceOf", "Savings") == booked - paid
    absorbed = [log.values for log in savers.last.logs if log.event == "LossAbsorbed"]
    assert absorbed == [(XAU, paid)]


def test_the_payment_is_rounded_up_and_the_rest_goes_to_the_reserve(savers):
    lose(savers)
    booked = savers.read("Savings.totalAssets")
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    paid = (booked - savers.read("Savings.totalAssets")) * RAY
    covered = [log.values[3] for log in savers.last.logs if log.event == "LossCovered"][-1]
    assert 0 <= paid - covered < RAY
    assert savers.read("VaultEngine.reserve") == paid - covered


def test_shares_do_not_change(savers):
    lose(savers)
    supply = savers.read("Savings.totalSupply")
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    assert savers.read("Savings.totalSupply") == supply


def test_a_million_wei_always_stay(new_protocol):
    """So that shares keep a price, and the pool can be entered after the worst loss."""
    protocol = new_protocol(with_stage(standard(), "savings", cap_bps=10_000))
    for symbol, price in PRICES.items():
        protocol.post_price(symbol, price)
    save(protocol, "saver", 100 * WAD)
    deficit = lose(protocol)
    assert deficit > 200 * WAD * RAY
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    assert protocol.read("Savings.totalAssets") == 10**6
    assert protocol.read("VaultEngine.deficit_of", XAU) > 0

    protocol.do("VaultEngine.grant_role", STAGE, "donor", sender="admin")
    give(protocol, "donor", 2 * deficit // RAY)
    protocol.do("VaultEngine.cover_from_tokens", XAU, "donor", deficit, sender="donor")
    save(protocol, "newcomer", 100 * WAD)
    shares = protocol.read("Savings.balanceOf", "newcomer")
    assert 100 * WAD - protocol.read("Savings.convertToAssets", shares) in (0, 1)


def test_a_million_wei_stay_even_if_the_waterfall_asks_for_more(protocol):
    wiring = [protocol.address(name) for name in ("Stablecoin", "VaultEngine", "stranger")]
    protocol.lockstep.create("Pool", "Asked", "Asked", "ASK", *wiring, 86_400, 86_400)
    protocol.do("VaultEngine.grant_role", STAGE, "Asked", sender="admin")
    save(protocol, "saver", 100 * WAD, "Asked")
    lose(protocol)
    covered = protocol.do("Asked.absorb", XAU, 1_000 * WAD * RAY, sender="stranger")
    assert covered == ((100 * WAD - 10**6) * RAY, 0)
    assert protocol.read("Asked.totalAssets") == 10**6
