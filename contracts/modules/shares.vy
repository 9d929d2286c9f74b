# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title shares
@license GNU Affero General Public License v3.0 only
@notice An ERC-20 with EIP-2612 permits. All shares are divided alike where losses have left each of them
        almost nothing (see denominations). Creating, destroying and moving shares belong to the importer,
        which has to settle owners first: bring their records to the present generation.
@dev Packed by hand: one record is one slot, the first field at bit 0. The importer keeps every supply under
     2**152, so that adding to the lowest field of a word never carries. The importer sets the marks: its own
     progress in this generation, and that of each owner's settling; the importer keeps the open items, too.
     The supply is divided as a whole and balances each by themselves, rounded down: together they are at most
     the supply. Allowances and nonces know no generations.
"""
from ethereum.ercs import IERC20

from contracts.modules import denominations
from contracts.modules import permits
from contracts.modules import revert_reason

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
    mark: uint256  # 64 bits
    open: uint256  # 8 bits


struct Balance:
    shares: uint256  # of the record's generation, 152 bits
    mark: uint256  # 64 bits
    generation: uint256  # 32 bits


MASK_32: constant(uint256) = 2**32 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_152: constant(uint256) = 2**152 - 1

# State
state: uint256
# owner -> Balance
balances: HashMap[address, uint256]


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
    @notice All shares, as they are counted now.
    @return [shares] Of the present generation.
    """
    return self.state & MASK_152


@external
@view
def balanceOf(owner: address) -> uint256:
    """
    @notice An owner's shares, as they are counted now. They become fewer without a transfer where losses have
            left shares almost nothing: then all are divided alike, at the next entry.
    @param owner Owner of the shares.
    @return [shares] Of the present generation, rounded down.
    """
    return self._shares_of(owner)


@external
@view
def generation() -> uint256:
    """
    @notice How often all shares were divided; by VOID at once where all was lost.
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
def _shares_of(owner: address) -> uint256:
    """@dev Of the present generation, rounded down."""
    word: uint256 = self.balances[owner]
    return denominations._convert(word & MASK_152, word >> 216, (self.state >> 152) & MASK_32)


@internal
@view
def _balance(owner: address) -> Balance:
    """@dev As it was recorded last."""
    word: uint256 = self.balances[owner]
    return Balance(shares=word & MASK_152, mark=(word >> 152) & MASK_64, generation=word >> 216)


@internal
def _renew_record(owner: address, generation: uint256, mark: uint256) -> Balance:
    """@dev Bring an owner's record to the present generation and a mark; returns the old record."""
    before: Balance = self._balance(owner)
    if before.generation != generation or before.mark != mark:
        shares: uint256 = denominations._convert(before.shares, before.generation, generation)
        self.balances[owner] = shares | (mark << 152) | (generation << 216)
    return before


@internal
def _set_mark(mark: uint256):
    """@dev How far the importer has come in this generation; under 2**64."""
    self.state = (self.state & ~(MASK_64 << 184)) | (mark << 184)


@internal
def _set_open_group_count(open: uint256):
    """@dev How many things of its own the importer has open; under 2**8."""
    self.state = (self.state & (2**248 - 1)) | (open << 248)


@internal
def _advance_share_generations(state: State, steps: uint256) -> State:
    """@dev Go on by some generations: all shares are divided, or none after VOID; the mark begins anew."""
    begun: State = State(
        supply=denominations._convert(state.supply, 0, steps),
        generation=state.generation + steps,
        mark=0,
        open=state.open if steps < denominations.VOID else 0,
    )
    self.state = begun.supply | (begun.generation << 152) | (begun.open << 248)
    return begun


@internal
@view
def _check_receiver(to: address):
    """@dev Shares held by their own contract are its importer's business."""
    if to == empty(address) or to == self:
        revert_reason._raise("shares: bad receiver")


@internal
def _take_shares(owner: address, amount: uint256):
    """@dev Of an owner with a record of the present generation, as all that follow."""
    word: uint256 = self.balances[owner]
    if amount > word & MASK_152:
        revert_reason._raise("shares: balance too small")
    self.balances[owner] = unsafe_sub(word, amount)


@internal
def _transfer_shares(owner: address, to: address, amount: uint256):
    self._take_shares(owner, amount)
    self.balances[to] = unsafe_add(self.balances[to], amount)
    log IERC20.Transfer(sender=owner, receiver=to, value=amount)


@internal
def _mint_shares(to: address, amount: uint256):
    """@dev The importer has bounded the supply."""
    self.state = unsafe_add(self.state, amount)
    self.balances[to] = unsafe_add(self.balances[to], amount)
    log IERC20.Transfer(sender=empty(address), receiver=to, value=amount)


@internal
def _burn_shares(owner: address, amount: uint256):
    self._take_shares(owner, amount)
    self.state = unsafe_sub(self.state, amount)
    log IERC20.Transfer(sender=owner, receiver=empty(address), value=amount)
