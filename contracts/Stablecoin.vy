# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Stablecoin
@license GNU Affero General Public License v3.0 only
@notice The protocol's debt token: ERC-20 with EIP-2612 permits, minted and burned by the ledger alone.
@dev snekmate's `erc20` without its owner, minters and public burn: supply is a figure of the ledger, so only
     the ledger may change it.
"""
from ethereum.ercs import IERC20
from snekmate.auth import ownable
from snekmate.tokens import erc20

from contracts.interfaces import IStablecoin

implements: IERC20
implements: IStablecoin

initializes: ownable
initializes: erc20[ownable := ownable]

exports: (
    erc20.name,
    erc20.symbol,
    erc20.decimals,
    erc20.totalSupply,
    erc20.balanceOf,
    erc20.allowance,
    erc20.transfer,
    erc20.transferFrom,
    erc20.approve,
    erc20.permit,
    erc20.nonces,
    erc20.DOMAIN_SEPARATOR,
    erc20.eip712Domain,
)

LEDGER: public(immutable(address))


@deploy
def __init__(name: String[25], symbol: String[5], ledger: address):
    """
    @param name The token's name, also of its EIP-712 domain.
    @param symbol The token's symbol.
    @param ledger The vault engine: the only account that may mint and burn.
    """
    ownable.__init__()
    ownable._transfer_ownership(empty(address))
    erc20.__init__(name, symbol, 18, name, "1")
    LEDGER = ledger


@external
def mint(to: address, amount: uint256) -> uint256:
    """
    @notice Create stablecoin against a posting. Ledger only. Protects: the supply is a figure of the ledger.
    @param to Receiver of the stablecoin.
    @param amount [wad] Created.
    @return [wad] The new supply.
    """
    self._only_ledger()
    erc20._mint(to, amount)
    return erc20.totalSupply


@external
def burn(owner: address, amount: uint256) -> uint256:
    """
    @notice Destroy stablecoin against a posting. Ledger only, no allowance: the ledger burns from the account
            that asked it to.
    @param owner Owner of the burned balance.
    @param amount [wad] Destroyed.
    @return [wad] The new supply.
    """
    self._only_ledger()
    erc20._burn(owner, amount)
    return erc20.totalSupply


@external
def burn_allowed(owner: address, spender: address, amount: uint256) -> uint256:
    """
    @notice Destroy stablecoin that `spender` may spend. Ledger only, which names its own caller.
    @param owner Owner of the burned balance.
    @param spender The account with the allowance, which falls unless it is without limit.
    @param amount [wad] Destroyed.
    @return [wad] The new supply.
    """
    self._only_ledger()
    erc20._spend_allowance(owner, spender, amount)
    erc20._burn(owner, amount)
    return erc20.totalSupply


@internal
@view
def _only_ledger():
    assert msg.sender == LEDGER, "stablecoin: not ledger"
