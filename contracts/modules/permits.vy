# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title permits
@license GNU Affero General Public License v3.0 only
@notice The name of an ERC-20 of 18 decimals, its allowances, and EIP-2612 permits. Balances are the
        importer's.
"""
from ethereum.ercs import IERC20
from snekmate.utils import ecdsa
from snekmate.utils import eip712_domain_separator

from contracts.modules import revert_reason

initializes: eip712_domain_separator

exports: eip712_domain_separator.eip712Domain

_PERMIT_TYPE_HASH: constant(bytes32) = keccak256(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)

name: public(immutable(String[25]))
symbol: public(immutable(String[5]))
decimals: public(constant(uint8)) = 18

allowance: public(HashMap[address, HashMap[address, uint256]])
nonces: public(HashMap[address, uint256])


@deploy
def __init__(name_: String[25], symbol_: String[5]):
    """
    @param name_ The token's name, also of the EIP-712 domain of its permits.
    @param symbol_ The token's symbol.
    """
    eip712_domain_separator.__init__(name_, "1")
    name = name_
    symbol = symbol_


# -------------------------------------------------------------------- ERC-20


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Set an allowance over the caller's shares, in place of the old one. Anyone.
    @param spender The account that may move the caller's shares.
    @param amount [shares] The most that may be moved; the highest value means without end.
    @return Always true.
    """
    self._set_allowance(msg.sender, spender, amount)
    return True


@external
def permit(
    owner: address,
    spender: address,
    amount: uint256,
    deadline: uint256,
    v: uint8,
    r: bytes32,
    s: bytes32,
):
    """
    @notice Set an allowance by the owner's EIP-712 signature over the next nonce. Anyone. Protects: a
            signature counts once.
    @param owner Owner of the shares, and signer.
    @param spender The account that may move them.
    @param amount [shares] The most that may be moved; the highest value means without end.
    @param deadline [timestamp] The last second at which the signature counts.
    @param v [id] The recovery id of the signature, 27 or 28.
    @param r The first half of the signature.
    @param s The second half of the signature.
    """
    if block.timestamp > deadline:
        revert_reason._raise("shares: expired deadline")
    nonce: uint256 = self.nonces[owner]
    self.nonces[owner] = unsafe_add(nonce, 1)
    content: bytes32 = keccak256(abi_encode(_PERMIT_TYPE_HASH, owner, spender, amount, nonce, deadline))
    signer: address = ecdsa._recover_vrs(
        eip712_domain_separator._hash_typed_data_v4(content),
        convert(v, uint256),
        convert(r, uint256),
        convert(s, uint256),
    )
    if signer != owner:
        revert_reason._raise("shares: invalid signature")
    self._set_allowance(owner, spender, amount)


@external
@view
def DOMAIN_SEPARATOR() -> bytes32:
    """
    @notice The EIP-712 domain of permits.
    @return The separator for this chain and this address.
    """
    return eip712_domain_separator._domain_separator_v4()


# ----------------------------------------------------------------- internals


@internal
def _spend_allowance(owner: address, spender: address, amount: uint256):
    allowed: uint256 = self.allowance[owner][spender]
    if allowed != max_value(uint256):
        if amount > allowed:
            revert_reason._raise("shares: allowance too small")
        self._set_allowance(owner, spender, unsafe_sub(allowed, amount))


@internal
def _set_allowance(owner: address, spender: address, amount: uint256):
    if owner == empty(address):
        revert_reason._raise("shares: bad owner")
    if spender == empty(address):
        revert_reason._raise("shares: bad spender")
    self.allowance[owner][spender] = amount
    log IERC20.Approval(owner=owner, spender=spender, value=amount)
