"""A token that returns false where others revert pays nothing, and nothing is booked."""

import pytest

from backstop.model.arithmetic import WAD
from tests.contracts.RecoveryClaims.conftest import MEMBERS, VIRTUAL
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.fixture
def false(protocol):
    protocol.deploy_token("ReturnsFalseToken", "False", "FLS", 18)
    wiring = (protocol.address(name) for name in ("FLS", "pool", "equity", "PriceFeed"))
    protocol.lockstep.create_contract("RecoveryClaims", "Claims", "Claims", "CLAIM", *wiring, 0)
    protocol.do("Claims.record", 0, MEMBERS + VIRTUAL, WAD, sender="pool")
    return protocol


def test_repay(false):
    with reverts("recovery_claims: no payment"):
        false.do("Claims.repay", 1, sender="payer")


def test_collect(false):
    false.do("FLS.mint", "payer", WAD, sender="payer")
    false.do("FLS.approve", "Claims", WAD, sender="payer")
    false.do("Claims.repay", 1_000, sender="payer")
    false.do("Claims.issue", "saver", MEMBERS, 0, 0, 0, 1, sender="pool")
    false.do("FLS.freeze", True, sender="payer")
    with reverts("recovery_claims: not paid"):
        false.do("Claims.collect", "saver", 0, sender="saver")
