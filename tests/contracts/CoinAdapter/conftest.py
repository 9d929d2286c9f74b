"""A deployment that insures the protocol `lender` in USDX; a pool has 60,000 of 100,000."""

import pytest

from tests.support.adapter_steps import USD, deploy_protocol_with_adapter, deposit_coins, insure_with_coins


@pytest.fixture
def adapted(new_protocol):
    return deploy_protocol_with_adapter(new_protocol)


@pytest.fixture
def insured(adapted):
    insure_with_coins(adapted, 60_000 * USD)
    deposit_coins(adapted, 40_000 * USD)
    return adapted
