"""add_terms: how a new collateral type is sold, once."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auction_steps import WBTC, WETH, list_token
from tests.support.revert_setter_and_source_helpers import reverts

TERMS = (1, 90, 99 * RAY // 100, 8_400, 4_000, 12_000, 11_300, 50, 10)


@pytest.mark.parametrize("decimals", [0, 6, 8, 18])
def test_sets_everything_and_logs_it(protocol, decimals):
    c = list_token(protocol, "NEW", decimals, RAY, TERMS)
    protocol.do("VaultEngine.set_debt_floor", c, 3_001, sender="admin")
    terms = protocol.read("CollateralAuction.terms_of", c)
    # ceil(3001 x 1.13), no stop; the floor changed them once
    assert terms == (*TERMS[:7], 3_392, *TERMS[7:], 0, decimals, 1)


def test_logs_every_parameter(protocol):
    c = list_token(protocol, "NEW", 18, RAY)
    protocol.do("CollateralAuction.add_terms", c, *TERMS, sender="admin")
    assert [log.values for log in protocol.last.logs] == [
        (c, "curve", 1),
        (c, "period", 90),
        (c, "cut", 99 * RAY // 100),
        (c, "tail", 8_400),
        (c, "cusp", 4_000),
        (c, "buf", 12_000),
        (c, "penalty", 11_300),
        (c, "minimum", 2_260),
        (c, "tip", 50),
        (c, "chip", 10),
    ]


@pytest.mark.parametrize("sender", ["stranger", "guardian"])
def test_is_for_the_admin(protocol, sender):
    with reverts("roles: not admin"):
        protocol.do("CollateralAuction.add_terms", 3, *TERMS, sender=sender)


def test_once(protocol):
    for c in (WETH, WBTC):
        with reverts("collateral_auction: has terms"):
            protocol.do("CollateralAuction.add_terms", c, *TERMS, sender="admin")


def test_needs_a_listed_type(protocol):
    with reverts("terms: unknown type"):
        protocol.do("CollateralAuction.add_terms", 3, *TERMS, sender="admin")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        (0, 3, "collateral_auction: bad curve"),
        (1, 0, "collateral_auction: bad period"),
        (2, RAY, "collateral_auction: bad cut"),
        (3, 59, "collateral_auction: bad tail"),
        (4, 0, "collateral_auction: bad cusp"),
        (5, 9_999, "collateral_auction: bad buf"),
        (6, 9_999, "collateral_auction: bad penalty"),
        (7, 10_001, "collateral_auction: bad tip"),
        (8, 1_001, "collateral_auction: bad chip"),
    ],
)
def test_the_bounds_of_the_setters_hold(protocol, field, value, reason):
    c = list_token(protocol, "NEW", 18, RAY)
    with reverts(reason):
        protocol.do(
            "CollateralAuction.add_terms", c, *TERMS[:field], value, *TERMS[field + 1 :], sender="admin"
        )
    with reverts("collateral_auction: no terms"):
        protocol.read("CollateralAuction.terms_of", c)
