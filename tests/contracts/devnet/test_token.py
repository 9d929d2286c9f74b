"""The faucet tokens: plain, silent, falsifying, taking a fee, and in the hands of an issuer."""

import pytest

from backstop.model.arithmetic import MAX_UINT256
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.fixture(params=["Token", "NoReturnToken", "FeeOnTransferToken", "BlocklistToken"])
def strict(request, protocol):
    """A token that reverts when it cannot pay."""
    return protocol.deploy_token(request.param, "Strict", "STRICT", 18)


def test_anyone_may_mint(protocol, strict):
    protocol.do(f"{strict}.mint", "saver", 100, sender="stranger")
    assert protocol.read(f"{strict}.balanceOf", "saver") == protocol.read(f"{strict}.totalSupply") == 100


def test_the_supply_cannot_overflow(protocol, strict):
    protocol.do(f"{strict}.mint", "saver", MAX_UINT256, sender="saver")
    with reverts(""):
        protocol.do(f"{strict}.mint", "taker", 1, sender="taker")


def test_nobody_pays_what_he_does_not_have(protocol, strict):
    protocol.do(f"{strict}.mint", "saver", 100, sender="saver")
    with reverts("token: insufficient balance"):
        protocol.do(f"{strict}.transfer", "taker", 101, sender="saver")


def test_an_allowance_is_used_up(protocol, strict):
    protocol.do(f"{strict}.mint", "saver", 100, sender="saver")
    protocol.do(f"{strict}.approve", "taker", 60, sender="saver")
    protocol.do(f"{strict}.transferFrom", "saver", "taker", 50, sender="taker")
    assert protocol.read(f"{strict}.allowance", "saver", "taker") == 10
    with reverts("token: insufficient allowance"):
        protocol.do(f"{strict}.transferFrom", "saver", "taker", 11, sender="taker")


def test_the_highest_allowance_is_without_end(protocol, strict):
    protocol.do(f"{strict}.mint", "saver", 100, sender="saver")
    protocol.do(f"{strict}.approve", "taker", MAX_UINT256, sender="saver")
    protocol.do(f"{strict}.transferFrom", "saver", "taker", 100, sender="taker")
    assert protocol.read(f"{strict}.allowance", "saver", "taker") == MAX_UINT256


def test_what_a_transfer_returns(protocol):
    for kind, value in (
        ("Token", True),
        ("FeeOnTransferToken", True),
        ("ReturnsFalseToken", True),
        ("BlocklistToken", True),
        ("NoReturnToken", None),
    ):
        token = protocol.deploy_token(kind, kind, kind[:5], 18)
        assert protocol.do(f"{token}.transfer", "taker", 0, sender="saver") is value
        assert protocol.do(f"{token}.approve", "taker", 7, sender="saver") is value
        assert protocol.do(f"{token}.transferFrom", "saver", "taker", 0, sender="taker") is value


def test_a_false_token_returns_false_and_moves_nothing(protocol):
    token = protocol.deploy_token("ReturnsFalseToken", "False", "FALSE", 18)
    protocol.do(f"{token}.mint", "saver", 100, sender="saver")
    assert protocol.do(f"{token}.transfer", "taker", 101, sender="saver") is False
    assert protocol.do(f"{token}.transferFrom", "saver", "taker", 1, sender="taker") is False
    protocol.do(f"{token}.approve", "taker", 200, sender="saver")
    assert protocol.do(f"{token}.transferFrom", "saver", "taker", 101, sender="taker") is False
    assert protocol.read(f"{token}.allowance", "saver", "taker") == 200
    assert protocol.read(f"{token}.balanceOf", "saver") == 100


def test_a_fee_token_delivers_less_than_was_sent(protocol):
    token = protocol.deploy_token("FeeOnTransferToken", "Fee", "FEE", 18)
    protocol.do(f"{token}.mint", "saver", 1_000, sender="saver")
    protocol.do(f"{token}.transfer", "taker", 1_000, sender="saver")
    assert protocol.read(f"{token}.balanceOf", "taker") == protocol.read(f"{token}.totalSupply") == 990


def test_an_issuer_stops_blocks_refuses_and_takes_a_fee(protocol):
    token = protocol.deploy_token("BlocklistToken", "Issued", "ISS", 18)
    protocol.do(f"{token}.mint", "saver", 1_000, sender="saver")
    for call, view, reason in (
        (("stop",), ("stopped",), "token: stopped"),
        (("block", "saver"), ("blocked", "saver"), "token: sender blocked"),
        (("block", "taker"), ("blocked", "taker"), "token: receiver blocked"),
        (("refuse_zero_transfers",), ("refuses_zero_transfers",), "token: nothing to move"),
    ):
        protocol.do(f"{token}.{call[0]}", *call[1:], True, sender="issuer")
        assert protocol.read(f"{token}.{view[0]}", *view[1:]) is True
        with reverts(reason):
            protocol.do(f"{token}.transfer", "taker", 0, sender="saver")
        protocol.do(f"{token}.{call[0]}", *call[1:], False, sender="issuer")
    protocol.do(f"{token}.upgrade", 150, sender="issuer")
    assert protocol.read(f"{token}.fee") == 150
    protocol.do(f"{token}.transfer", "taker", 1_000, sender="saver")
    assert protocol.read(f"{token}.balanceOf", "taker") == protocol.read(f"{token}.totalSupply") == 985
    # Of 1.485 units one is the fee.
    protocol.do(f"{token}.transfer", "saver", 99, sender="taker")
    assert protocol.read(f"{token}.balanceOf", "saver") == 98
