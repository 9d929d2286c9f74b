"""Protocols in which every number of a flow can be worked out by hand."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support.no_fee_deployments import deploy_without_fees


@pytest.fixture
def quiet(new_protocol):
    """Makes protocols with prices, without fees and, unless told otherwise, without rewards."""
    return partial(deploy_without_fees, new_protocol)
