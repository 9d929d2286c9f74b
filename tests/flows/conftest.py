"""Protocols in which every number of a flow can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstop.deployment.examples import standard
from tests.support.protocol import PRICES


@pytest.fixture
def quiet(new_protocol):
    """Makes protocols with prices, without fees and, unless told otherwise, without rewards."""

    def make(rewards=False, **changes):
        plain = standard()
        types = tuple(
            replace(
                each,
                stability_fee=0,
                auction=each.auction if rewards else replace(each.auction, tip=0, chip=0),
            )
            for each in plain.collateral_types
        )
        made = new_protocol(replace(plain, collateral_types=types, **changes))
        for symbol, price in PRICES.items():
            made.post_price(symbol, price)
        return made

    return make
