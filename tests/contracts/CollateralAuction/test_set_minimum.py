"""set_minimum: the smallest rest of a target follows the debt floor."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auction_steps import WETH, list_token
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian"])
def test_nobody_but_the_ledger(protocol, sender):
    with reverts("collateral_auction: not ledger"):
        protocol.do("CollateralAuction.set_minimum", WETH, 1, sender=sender)


@pytest.mark.parametrize(("floor", "minimum"), [(0, 0), (1, 2), (1_000, 1_130), (1_000_000, 1_130_000)])
def test_the_floor_times_the_penalty_rounded_up(protocol, floor, minimum):
    before = protocol.read("CollateralAuction.terms_of", WETH)
    protocol.do("VaultEngine.set_debt_floor", WETH, floor, sender="admin")
    assert protocol.last.logs[-1].values == (WETH, "minimum", minimum)
    after = protocol.read("CollateralAuction.terms_of", WETH)
    assert after == before._replace(minimum=minimum, version=before.version + 1)


def test_a_floor_set_before_the_terms_counts(protocol):
    c = list_token(protocol, "NEW", 18, RAY)
    protocol.do("VaultEngine.set_debt_floor", c, 1_000, sender="admin")
    assert [log.contract for log in protocol.last.logs] == ["VaultEngine"]
    terms = (0, 600, RAY // 2, 600, 1, 12_000, 11_300, 0, 0)
    protocol.do("CollateralAuction.add_terms", c, *terms, sender="admin")
    assert protocol.read("CollateralAuction.terms_of", c).minimum == 1_130
