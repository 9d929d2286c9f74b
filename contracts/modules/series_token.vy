# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title series_token
@license GNU Affero General Public License v3.0 only
@notice An ERC-20 with EIP-2612 permits and balances that live in generations: a new generation starts with
        none, at once for all owners, and balances of an old one can still be read. Creating, destroying and
        moving tokens belong to the importer, which has to settle owners first.
@dev Packed by hand: one record is one slot, the first field at bit 0. The importer keeps every supply
     under 2**152, so that adding to the lowest field of a word never carries. The marks are the
     importer's: how far each owner was settled. Allowances and nonces know no generations.
"""
from ethereum.ercs import IERC20

from contracts.modules import permits

initializes: permits

exports: (
    permits.name,
    permits.symbol,
    permits.decimals,
    permits.allowance,
    permits.approve,
    permits.permit,
    permits.nonces,
    permits.DOMAIN_SEPARATOR,
    permits.eip712Domain,
)


struct State:
    supply: uint256  # 152 bits
    generation: uint256  # 32 bits


struct Balance:
    shares: uint256  # 152 bits
    mark: uint256  # 104 bits


MASK_32: constant(uint256) = 2**32 - 1
MASK_152: constant(uint256) = 2**152 - 1

# State
state: uint256
# generation -> owner -> Balance
balances: HashMap[uint256, HashMap[address, uint256]]


@deploy
def __init__(name_: String[25], symbol_: String[5]):
    """
    @param name_ The token's name, also of the EIP-712 domain of its permits.
    @param symbol_ The token's symbol.
    """
    permits.__init__(name_, symbol_)


@external
@view
def totalSupply() -> uint256:
    """
    @notice Return the tokens of the present generation; tokens of older ones are gone.
    @return [claims] All that count.
    """
    return self.state & MASK_152


@external
@view
def balanceOf(owner: address) -> uint256:
    """
    @notice An owner's tokens of the present generation.
    @param owner Owner of the tokens.
    @return [claims] Tokens that count; none of an older generation.
    """
    return self.balances[(self.state >> 152) & MASK_32][owner] & MASK_152


@external
@view
def generation() -> uint256:
    """
    @notice How often a new generation has begun.
    @return [generation] The present one, from 0.
    """
    return (self.state >> 152) & MASK_32


# ----------------------------------------------------------------- internals


@internal
@view
def _load() -> State:
    word: uint256 = self.state
    return State(supply=word & MASK_152, generation=(word >> 152) & MASK_32)


@internal
@view
def _balance(generation: uint256, owner: address) -> Balance:
    word: uint256 = self.balances[generation][owner]
    return Balance(shares=word & MASK_152, mark=word >> 152)


@internal
def _set_mark(generation: uint256, owner: address, mark: uint256):
    """@dev How far an owner was settled; under 2**104."""
    self.balances[generation][owner] = (self.balances[generation][owner] & MASK_152) | (mark << 152)


@internal
def _new_generation():
    """@dev All tokens are gone."""
    self.state = (((self.state >> 152) & MASK_32) + 1) << 152


@internal
@view
def _check_receiver(to: address):
    """@dev Shares held by their own contract are its importer's business."""
    assert to != empty(address) and to != self, "shares: bad receiver"


@internal
def _subtract_from_balance(generation: uint256, owner: address, amount: uint256):
    word: uint256 = self.balances[generation][owner]
    assert amount <= word & MASK_152, "shares: balance too small"
    self.balances[generation][owner] = unsafe_sub(word, amount)


@internal
def _transfer_tokens(generation: uint256, owner: address, to: address, amount: uint256):
    self._subtract_from_balance(generation, owner, amount)
    self.balances[generation][to] = unsafe_add(self.balances[generation][to], amount)
    log IERC20.Transfer(sender=owner, receiver=to, value=amount)


@internal
def _mint_tokens(generation: uint256, to: address, amount: uint256):
    """@dev In the present generation, in which the importer has bounded the supply."""
    self.state = unsafe_add(self.state, amount)
    self.balances[generation][to] = unsafe_add(self.balances[generation][to], amount)
    log IERC20.Transfer(sender=empty(address), receiver=to, value=amount)


@internal
def _burn_tokens(generation: uint256, owner: address, amount: uint256):
    """@dev In the present generation."""
    self._subtract_from_balance(generation, owner, amount)
    self.state = unsafe_sub(self.state, amount)
    log IERC20.Transfer(sender=owner, receiver=empty(address), value=amount)
