"""Protocols in which every number of a flow can be worked out by hand."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support.plain import steady


@pytest.fixture
def quiet(new_protocol):
    """Makes protocols with prices, without fees and, unless told otherwise, without rewards."""
    return partial(steady, new_protocol)
