"""Ether and bitcoin sold at a discount; a buyer has stablecoin, a borrower 10 ether and a debt of 12,000."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.discount_steps import deploy_with_discount


@pytest.fixture
def discounted(new_protocol):
    protocol = deploy_with_discount(new_protocol)
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    return protocol
