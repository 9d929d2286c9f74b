"""permit: an allowance by signature (EIP-2612), checked against an independent signer."""

import pytest
from eth_account import Account

from backstop.contract_base import ZERO_ADDRESS
from backstop.evm_crypto import ORDER
from backstop.hosts.host_interface import CHAIN_ID
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import create_claims_pool_and_return_name

KEY = "0x" + "07" * 32
OWNER = Account.from_key(KEY).address.lower()

SHARES = ("shares: invalid signature", "shares: expired deadline", "shares: bad spender")
ERC20 = ("erc20: invalid signature", "erc20: expired deadline", "erc20: approve to the zero address")


class Signer:
    """Signs permits for one token."""

    def __init__(self, protocol, token, name):
        self.protocol, self.token, self.name = protocol, token, name
        self.reasons = ERC20 if token == "Stablecoin" else SHARES

    def sign(self, spender, value, nonce, deadline, chain=CHAIN_ID):
        signed = Account.sign_typed_data(
            KEY,
            domain_data={
                "name": self.name,
                "version": "1",
                "chainId": chain,
                "verifyingContract": self.protocol.address(self.token),
            },
            message_types={
                "Permit": [
                    {"name": "owner", "type": "address"},
                    {"name": "spender", "type": "address"},
                    {"name": "value", "type": "uint256"},
                    {"name": "nonce", "type": "uint256"},
                    {"name": "deadline", "type": "uint256"},
                ]
            },
            message_data={
                "owner": OWNER,
                "spender": self.protocol.address(spender),
                "value": value,
                "nonce": nonce,
                "deadline": deadline,
            },
        )
        return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")

    def permit(self, spender, value, deadline, signature):
        call = f"{self.token}.permit"
        return self.protocol.do(call, OWNER, spender, value, deadline, *signature, sender="stranger")


TOKENS = [("Savings", "Backstop Savings"), ("Young.Claims", "Claims"), ("Stablecoin", "Backstop Dollar")]


@pytest.fixture(params=TOKENS, ids=lambda p: p[0])
def signer(protocol, request):
    create_claims_pool_and_return_name(protocol)
    return Signer(protocol, *request.param)


@pytest.fixture
def deadline(protocol):
    return protocol.timestamp + 600


def test_sets_the_allowance_once(protocol, signer, deadline):
    signature = signer.sign("spender", 5, 0, deadline)
    signer.permit("spender", 5, deadline, signature)
    assert protocol.read(f"{signer.token}.allowance", OWNER, "spender") == 5
    assert protocol.read(f"{signer.token}.nonces", OWNER) == 1
    with reverts(signer.reasons[0]):
        signer.permit("spender", 5, deadline, signature)


def test_until_the_deadline(protocol, signer, deadline):
    signature = signer.sign("spender", 5, 0, deadline)
    protocol.advance(600)
    signer.permit("spender", 5, deadline, signature)
    signature = signer.sign("spender", 6, 1, deadline)
    protocol.advance(1)
    with reverts(signer.reasons[1]):
        signer.permit("spender", 6, deadline, signature)


def test_for_what_was_signed_only(signer, deadline):
    signature = signer.sign("spender", 5, 0, deadline)
    for spender, value, until in (
        ("other", 5, deadline),
        ("spender", 6, deadline),
        ("spender", 5, deadline + 1),
    ):
        with reverts(signer.reasons[0]):
            signer.permit(spender, value, until, signature)


def test_for_this_chain_only(signer, deadline):
    with reverts(signer.reasons[0]):
        signer.permit("spender", 5, deadline, signer.sign("spender", 5, 0, deadline, chain=1))


def test_a_malleated_signature_is_refused(signer, deadline):
    v, r, s = signer.sign("spender", 5, 0, deadline)
    flipped = 55 - v, r, (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
    with reverts("ecdsa: invalid signature `s` value"):
        signer.permit("spender", 5, deadline, flipped)


def test_what_is_no_signature_is_refused(signer, deadline):
    v, r, s = signer.sign("spender", 5, 0, deadline)
    for wrong in ((29, r, s), (v, bytes(32), s), (v, r, bytes(32)), (v, b"\xff" * 32, s)):
        with reverts("ecdsa: invalid signature"):
            signer.permit("spender", 5, deadline, wrong)


def test_the_spender_is_not_the_zero_address(signer, deadline):
    with reverts(signer.reasons[2]):
        signer.permit(ZERO_ADDRESS, 5, deadline, signer.sign(ZERO_ADDRESS, 5, 0, deadline))


def test_names_its_domain(protocol, signer):
    domain = protocol.read(f"{signer.token}.eip712Domain")
    assert domain[1:5] == (signer.name, "1", CHAIN_ID, protocol.address(signer.token))
    assert len(protocol.read(f"{signer.token}.DOMAIN_SEPARATOR")) == 32
