"""max_marginal_add_on: the largest growth of the size margin for each unit of debt."""

import pytest

from tests.support.auction_steps import WBTC, WETH
from tests.support.vault_size_margin_and_call_steps import NONE


@pytest.mark.parametrize("brackets", [NONE, ((0, 3), (10**9, 5_000)), ((5, 4_000), (1, 6_000))])
def test_is_all_brackets_of_vaults_together(guarded, brackets):
    guarded.do("RiskPolicy.set_brackets", WETH, brackets, ((0, 5_000), (0, 5_000)), sender="admin")
    assert guarded.read("RiskPolicy.max_marginal_add_on", WETH) == brackets[0][1] + brackets[1][1]
    assert guarded.read("RiskPolicy.max_marginal_add_on", WBTC) == 0
