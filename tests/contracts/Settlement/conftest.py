"""Protocols at the stages of a settlement."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstop.deployment.planned_contracts import plan_deployment
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.local_protocol import PRICES
from tests.support.auction_steps import WETH
from tests.support.settlement_steps import (
    fix_prices,
    settle_protocol,
    skim_vault_and_read_amounts,
    start_settlement,
)


@pytest.fixture
def lent(protocol):
    """Three vaults, of tokens with 18, 8 and 6 decimals; a third of their debt is held elsewhere."""
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    protocol.borrow("neighbour", "WBTC", 3 * WAD // 10, 9_000 * WAD)
    protocol.borrow("third", "XAU", 4 * WAD, 6_000 * WAD)
    protocol.do("Stablecoin.transfer", "holder", 4_000 * WAD, sender="borrower")
    protocol.do("Stablecoin.transfer", "holder", 5_000 * WAD, sender="neighbour")
    return protocol


@pytest.fixture
def begun(lent):
    """The same in settlement; prices are not final yet."""
    start_settlement(lent)
    return lent


@pytest.fixture
def priced(begun):
    """The same with final prices."""
    fix_prices(begun)
    return begun


@pytest.fixture
def skimmed(priced):
    """The same with all vaults skimmed."""
    for c, who in enumerate(("borrower", "neighbour", "third")):
        skim_vault_and_read_amounts(priced, c, who)
    return priced


@pytest.fixture
def fixed(lent):
    """The same with closed books."""
    settle_protocol(lent)
    return lent


@pytest.fixture
def sunk(lent):
    """Ether has fallen so far that the borrower's vault is worth half of its debt; in settlement, priced."""
    lent.post_price("WETH", 600 * RAY)
    start_settlement(lent)
    fix_prices(lent)
    assert lent.read("Settlement.final_price_of", WETH) == (True, 600 * RAY)
    return lent


@pytest.fixture
def unpriced(new_protocol, monkeypatch):
    """A settlement that asks a feed without prices: a second one, in place of the taker without capital."""

    def rewired(*args):
        made = plan_deployment(*args)
        feeds = made.addresses["PriceFeed"], made.addresses["FlashTaker"]

        def changed(each):
            if each.name == "FlashTaker":
                return replace(each, kind="PriceFeed", args=(made.deployer,))
            if each.name == "Settlement":
                return replace(each, args=tuple(feeds[1] if arg == feeds[0] else arg for arg in each.args))
            return each

        return replace(made, creations=tuple(changed(each) for each in made.creations))

    monkeypatch.setattr("backstop.deployment.model_and_chain_deployment.plan_deployment", rewired)
    made = new_protocol()
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    return made
