"""Ether and bitcoin with a pool; a borrower has 10 ether and a debt of 12,000, safe down to 1,740."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.stability_pool_steps import deploy_with_pool


@pytest.fixture
def pooled(new_protocol):
    protocol = deploy_with_pool(new_protocol)
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    return protocol
