# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title shares
@license GNU Affero General Public License v3.0 only
@notice An ERC-20 with EIP-2612 permits whose balances live in generations: a new generation starts with
        none, at once for everybody, and what was held in an old one can still be read. Creating,
        destroying and moving shares belong to the importer, which has to settle owners first.
@dev Packed by hand: one record is one slot, the first field at bit 0. The importer keeps every supply
     under 2**152, so that adding to the lowest field of a word never carries. The marks are the
     importer's: how far it has come, and how far each owner was settled; so is what is open. A new
     generation sets them back to zero. Allowances and nonces know no generations.
"""
from ethereum.ercs import IERC20
from snekmate.utils import ecdsa
from snekmate.utils import eip712_domain_separator

initializes: eip712_domain_separator

exports: eip712_domain_separator.eip712Domain


struct State:
    supply: uint256  # 152 bits
    generation: uint256  # 32 bits
    mark: uint256  # 64 bits
    open: uint256  # 8 bits


struct Balance:
    shares: uint256  # 152 bits
    mark: uint256  # 104 bits


_PERMIT_TYPE_HASH: constant(bytes32) = keccak256(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)

MASK_32: constant(uint256) = 2**32 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_152: constant(uint256) = 2**152 - 1

name: public(immutable(String[25]))
symbol: public(immutable(String[5]))
decimals: public(constant(uint8)) = 18

# State
state: uint256
# generation -> owner -> Balance
balances: HashMap[uint256, HashMap[address, uint256]]
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
    @param spender Who may move the caller's shares.
    @param amount [shares] The most that may be moved; the highest value means without end.
    @return Always true.
    """
    self._approve(msg.sender, spender, amount)
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
    @param owner Whose shares, and who signed.
    @param spender Who may move them.
    @param amount [shares] The most that may be moved; the highest value means without end.
    @param deadline [timestamp] The last second at which the signature counts.
    @param v [id] The recovery id of the signature, 27 or 28.
    @param r The first half of the signature.
    @param s The second half of the signature.
    """
    assert block.timestamp <= deadline, "shares: expired deadline"
    nonce: uint256 = self.nonces[owner]
    self.nonces[owner] = unsafe_add(nonce, 1)
    content: bytes32 = keccak256(abi_encode(_PERMIT_TYPE_HASH, owner, spender, amount, nonce, deadline))
    signer: address = ecdsa._recover_vrs(
        eip712_domain_separator._hash_typed_data_v4(content),
        convert(v, uint256),
        convert(r, uint256),
        convert(s, uint256),
    )
    assert signer == owner, "shares: invalid signature"
    self._approve(owner, spender, amount)


@external
@view
def DOMAIN_SEPARATOR() -> bytes32:
    """
    @notice The EIP-712 domain of permits.
    @return The separator for this chain and this address.
    """
    return eip712_domain_separator._domain_separator_v4()


@external
@view
def totalSupply() -> uint256:
    """
    @notice Shares of the present generation; those of older ones are void.
    @return [shares] All that count.
    """
    return self.state & MASK_152


@external
@view
def balanceOf(owner: address) -> uint256:
    """
    @notice An owner's shares of the present generation.
    @param owner Whose shares.
    @return [shares] Those that count; none of an older generation.
    """
    return self.balances[(self.state >> 152) & MASK_32][owner] & MASK_152


@external
@view
def generation() -> uint256:
    """
    @notice How often all shares have become void.
    @return [generation] The present one, from 0.
    """
    return (self.state >> 152) & MASK_32


# ----------------------------------------------------------------- internals


@internal
@view
def _load() -> State:
    word: uint256 = self.state
    return State(
        supply=word & MASK_152,
        generation=(word >> 152) & MASK_32,
        mark=(word >> 184) & MASK_64,
        open=word >> 248,
    )


@internal
@view
def _balance(generation: uint256, owner: address) -> Balance:
    word: uint256 = self.balances[generation][owner]
    return Balance(shares=word & MASK_152, mark=word >> 152)


@internal
def _set_mark(mark: uint256):
    """@dev How far the importer has come in this generation; under 2**64."""
    self.state = (self.state & ~(MASK_64 << 184)) | (mark << 184)


@internal
def _set_open(open: uint256):
    """@dev How many things of its own the importer has open in this generation; under 2**8."""
    self.state = (self.state & (2**248 - 1)) | (open << 248)


@internal
def _set_mark_of(generation: uint256, owner: address, mark: uint256):
    """@dev How far an owner was settled; under 2**104."""
    self.balances[generation][owner] = (self.balances[generation][owner] & MASK_152) | (mark << 152)


@internal
def _new_generation():
    """@dev All shares become void."""
    self.state = (((self.state >> 152) & MASK_32) + 1) << 152


@internal
@view
def _check_receiver(to: address):
    """@dev Shares held by their own contract are its importer's business."""
    assert to != empty(address) and to != self, "shares: bad receiver"


@internal
def _take(generation: uint256, owner: address, amount: uint256):
    word: uint256 = self.balances[generation][owner]
    assert amount <= word & MASK_152, "shares: balance too small"
    self.balances[generation][owner] = unsafe_sub(word, amount)


@internal
def _transfer(generation: uint256, owner: address, to: address, amount: uint256):
    self._take(generation, owner, amount)
    self.balances[generation][to] = unsafe_add(self.balances[generation][to], amount)
    log IERC20.Transfer(sender=owner, receiver=to, value=amount)


@internal
def _mint(generation: uint256, to: address, amount: uint256):
    """@dev In the present generation, in which the importer has bounded the supply."""
    self.state = unsafe_add(self.state, amount)
    self.balances[generation][to] = unsafe_add(self.balances[generation][to], amount)
    log IERC20.Transfer(sender=empty(address), receiver=to, value=amount)


@internal
def _burn(generation: uint256, owner: address, amount: uint256):
    """@dev In the present generation."""
    self._take(generation, owner, amount)
    self.state = unsafe_sub(self.state, amount)
    log IERC20.Transfer(sender=owner, receiver=empty(address), value=amount)


@internal
def _spend_allowance(owner: address, spender: address, amount: uint256):
    allowed: uint256 = self.allowance[owner][spender]
    if allowed != max_value(uint256):
        assert amount <= allowed, "shares: allowance too small"
        self._approve(owner, spender, unsafe_sub(allowed, amount))


@internal
def _approve(owner: address, spender: address, amount: uint256):
    assert owner != empty(address), "shares: bad owner"
    assert spender != empty(address), "shares: bad spender"
    self.allowance[owner][spender] = amount
    log IERC20.Approval(owner=owner, spender=spender, value=amount)
