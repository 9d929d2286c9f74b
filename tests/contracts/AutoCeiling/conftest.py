"""A protocol whose first type has an automatic ceiling: 100,000 above its debt, at most 300,000."""

import pytest

from tests.support.guards import CEILING, opened, with_guards


@pytest.fixture
def guarded(new_protocol):
    return opened(new_protocol, with_guards(ceilings=(CEILING,)))
