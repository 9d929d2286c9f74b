"""A protocol with an automatic ceiling on its first type: 100,000 above its debt, at most 300,000."""

import pytest

from tests.support.guard_steps import CEILING, deploy_with_prices, with_guards


@pytest.fixture
def guarded(new_protocol):
    return deploy_with_prices(new_protocol, with_guards(ceilings=(CEILING,)))
