"""A pool is a mechanism of its own type alone, and only where it has that type's token."""

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.contract_creation import Creation
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.stability_pool_steps import TERMS, WBTC, WETH, build_pool_parameters


@pytest.mark.parametrize(("token", "pool_type"), [("WBTC", WETH), ("WETH", WBTC)])
def test_it_has_the_type_and_its_token(new_protocol, token, pool_type):
    """One is asked about its own type with another token, one about another type with its token."""
    protocol = new_protocol(build_pool_parameters())
    parts = ("VaultEngine", "PriceFeed", "LiquidationEngine", "Stablecoin", token)
    address = compute_contract_address(get_account("deployer_of_OtherPool"), 0)
    args = (*map(protocol.address, parts), pool_type, *TERMS.contract_terms)
    protocol.lockstep.add_contract(Creation("OtherPool", "StabilityPool", args, address))
    with reverts("stability_pool: other type"):
        protocol.do("OtherPool.check_sale_terms", WETH, 20_000, sender="stranger")
