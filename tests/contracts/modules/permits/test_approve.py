"""approve, allowance: of shares that are divided, and of tokens that live in series."""

import pytest

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import MAX_UINT256
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import create_claims_pool_and_return_name


@pytest.fixture(params=["Young", "Young.Claims"])
def token(protocol, request):
    create_claims_pool_and_return_name(protocol)
    return request.param


def test_sets_and_logs(protocol, token):
    assert protocol.do(f"{token}.approve", "stranger", 7, sender="saver") is True
    assert protocol.last.logs[0].values == (protocol.address("saver"), protocol.address("stranger"), 7)
    assert protocol.read(f"{token}.allowance", "saver", "stranger") == 7


def test_not_for_the_zero_address(protocol, token):
    with reverts("shares: bad spender"):
        protocol.do(f"{token}.approve", ZERO_ADDRESS, 7, sender="saver")


def test_is_spent_and_never_below_zero(protocol, token):
    protocol.do(f"{token}.approve", "stranger", 7, sender="saver")
    with reverts("shares: allowance too small"):
        protocol.do(f"{token}.transferFrom", "saver", "stranger", 8, sender="stranger")
    with reverts("shares: balance too small"):
        protocol.do(f"{token}.transferFrom", "saver", "stranger", 7, sender="stranger")
    protocol.do(f"{token}.transferFrom", "saver", "stranger", 0, sender="stranger")
    assert protocol.read(f"{token}.allowance", "saver", "stranger") == 7


def test_the_highest_has_no_end(protocol, token):
    protocol.do(f"{token}.approve", "stranger", MAX_UINT256, sender="saver")
    protocol.do(f"{token}.transferFrom", "saver", "stranger", 0, sender="stranger")
    assert [log.event for log in protocol.last.logs] == ["Transfer"]


def test_is_named(protocol, token):
    assert protocol.read(f"{token}.decimals") == 18
    assert protocol.read(f"{token}.name") in ("Made", "Claims")
    assert protocol.read(f"{token}.symbol") in ("MADE", "CLAIM")
