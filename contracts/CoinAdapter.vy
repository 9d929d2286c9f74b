# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title CoinAdapter
@license GNU Affero General Public License v3.0 only
@notice Insurance for a protocol that exists already, in its own coin. A depositor of the coin gets as much
        stablecoin, and may enter pools with it; a depositor of stablecoin gets the coin back. The protocol
        reports its deficit, the loss waterfall covers it like any other, and the covered amount is paid to
        the protocol in the coin.
@dev The adapter is the bridge of a facilitator, in a deployment that has this one type and no vaults of its
     own: all stablecoin was drawn here, against a coin that lies here. It needs the roles MINTER and GUARDIAN
     of the facilitator. A reported loss is announced, at risk at once and booked a delay later. By then the
     facilitator owes less than the coins that lie here, and as stages burn stablecoin for the deficit, fewer
     coins are claimed. The difference is the protocol's:
     due == coins here - (stablecoin of others + buffer + reserve).
"""
from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed

from contracts.interfaces import IBridgeFacilitator
from contracts.interfaces import IVaultEngine
from contracts.modules import units


event Deposited:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256  # [units of the token]


event Withdrawn:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256  # [units of the token]


event DeficitReported:
    amount: uint256  # [wad]


event DeficitWaived:
    amount: uint256  # [wad]


event ProtocolPaid:
    amount: uint256  # [units of the token]


# The coin of the other protocol.
COIN: public(immutable(IERC20))
# Stablecoin [wad] of one raw unit of the coin.
UNIT: public(immutable(uint256))
# Who reports deficits and is paid.
PROTOCOL: public(immutable(address))
FACILITATOR: public(immutable(IBridgeFacilitator))
VAULT_ENGINE: public(immutable(IVaultEngine))
STABLECOIN: public(immutable(IERC20))
# The type of the facilitator's note.
COLLATERAL_TYPE: public(immutable(uint256))


@deploy
def __init__(
    coin: address,
    protocol: address,
    facilitator: address,
    vault_engine: address,
    stablecoin: address,
    collateral_type: uint256,
):
    """
    @notice Wire the contract, for good.
    @param coin The coin of the other protocol, of at most 18 decimals. A coin that takes a fee is refused at
           its first deposit; a coin with shrinking balances loses for its last holders.
    @param protocol The account that reports deficits and is paid.
    @param facilitator Draws the stablecoin; this contract needs its roles MINTER and GUARDIAN.
    @param vault_engine The ledger.
    @param stablecoin The token that is drawn and owed.
    @param collateral_type [id] The type of the facilitator's note.
    """
    decimals: uint256 = convert(staticcall IERC20Detailed(coin).decimals(), uint256)
    assert decimals <= 18, "coin_adapter: decimals"
    assert protocol != empty(address), "coin_adapter: no protocol"
    assert coin != stablecoin, "coin_adapter: own stablecoin"
    COIN = IERC20(coin)
    UNIT = 10**(18 - decimals)
    PROTOCOL = protocol
    FACILITATOR = IBridgeFacilitator(facilitator)
    VAULT_ENGINE = IVaultEngine(vault_engine)
    STABLECOIN = IERC20(stablecoin)
    COLLATERAL_TYPE = collateral_type
    extcall IERC20(stablecoin).approve(facilitator, max_value(uint256))


# ------------------------------------------------------------------ holders


@external
@nonreentrant
def deposit(amount: uint256, receiver: address):
    """
    @notice Take the coin, and give as much stablecoin. Anyone, on an allowance; not while a loss is
            announced, nor in settlement. The vault engine applies the line, modes and the flow limit.
            Protects: the whole amount has come in.
    @param amount [units of the token] Taken.
    @param receiver Receiver of the stablecoin.
    """
    before: uint256 = staticcall COIN.balanceOf(self)
    assert extcall COIN.transferFrom(
        msg.sender, self, amount, default_return_value=True
    ), "coin_adapter: pull failed"
    assert staticcall COIN.balanceOf(self) == before + amount, "coin_adapter: fee on transfer"
    log Deposited(sender=msg.sender, receiver=receiver, amount=amount)
    extcall FACILITATOR.draw(amount * UNIT, receiver)


@external
@nonreentrant
def withdraw(amount: uint256, receiver: address):
    """
    @notice Take stablecoin, and give as much of the coin. Anyone, on an allowance, also while a loss is
            announced and in settlement. Stablecoin that is cashed at the settlement instead yields notes
            that stay unpaid. Stablecoin beyond the facilitator's debt covers a deficit that no stage paid;
            that waits while one has reserved a part of it. Protects: only members of pools bear losses.
    @param amount [units of the token] Given.
    @param receiver Receiver of the coin.
    """
    due: uint256 = amount * UNIT
    extcall STABLECOIN.transferFrom(msg.sender, self, due)
    if not staticcall VAULT_ENGINE.in_settlement():
        repaid: uint256 = extcall FACILITATOR.repay(due)
        if repaid != due:
            extcall FACILITATOR.recover(due - repaid)
    log Withdrawn(sender=msg.sender, receiver=receiver, amount=amount)
    self._push_coins(receiver, amount)


# ----------------------------------------------------------------- protocol


@external
@nonreentrant
def report_deficit(amount: uint256):
    """
    @notice Report a deficit of the protocol. Protocol only. The report adds to any announced loss, and
            restarts its delay. After the delay, `realise_loss` of the facilitator books it; until then the
            facilitator's admin may take it back. Protects: the deficit is at risk from the same call on, so
            no member leaves a pool ahead of it.
    @param amount [units of the token] More than all stablecoin is all of it.
    """
    self._only_protocol()
    reported: uint256 = amount * UNIT
    log DeficitReported(amount=reported)
    extcall FACILITATOR.announce_loss((staticcall FACILITATOR.announcement()).amount + reported)


@external
@nonreentrant
def waive_deficit(amount: uint256):
    """
    @notice Give up cover for a booked deficit that no stage has paid. Protocol only; not while a stage has
            reserved a part of it. As much is drawn and pays the deficit: it is owed again by the facilitator.
            Protects: a deficit beyond all insurance need not stay, and end in settlement.
    @param amount [wad] At most the deficit, rounded up.
    """
    self._only_protocol()
    deficit: uint256 = units._div_up(staticcall VAULT_ENGINE.deficit_of(COLLATERAL_TYPE), units.RAY)
    assert amount <= deficit, "coin_adapter: over the deficit"
    log DeficitWaived(amount=amount)
    extcall FACILITATOR.draw(amount, self)
    extcall FACILITATOR.recover(amount)


@external
@nonreentrant
def pay_protocol() -> uint256:
    """
    @notice Pay the protocol the amount that stages have covered. Permissionless. Protects: a coin is left for
            each stablecoin held elsewhere or kept by the ledger.
    @return [units of the token] Paid, rounded down.
    """
    amount: uint256 = self._compute_coins_due()
    log ProtocolPaid(amount=amount)
    self._push_coins(PROTOCOL, amount)
    return amount


# -------------------------------------------------------------------- views


@external
@view
def coins_due() -> uint256:
    """
    @notice Return the amount that `pay_protocol` would pay now.
    @return [units of the token] Rounded down.
    """
    return self._compute_coins_due()


# ------------------------------------------------------------------ helpers


@internal
@view
def _only_protocol():
    assert msg.sender == PROTOCOL, "coin_adapter: not protocol"


@internal
@view
def _compute_coins_due() -> uint256:
    kept: uint256 = staticcall VAULT_ENGINE.reserve() + staticcall VAULT_ENGINE.buffer_of(COLLATERAL_TYPE)
    held: uint256 = staticcall STABLECOIN.totalSupply() - staticcall STABLECOIN.balanceOf(self)
    claimed: uint256 = units._div_up(held + units._div_up(kept, units.RAY), UNIT)
    coins: uint256 = staticcall COIN.balanceOf(self)
    return coins - min(coins, claimed)


@internal
def _push_coins(receiver: address, amount: uint256):
    assert extcall COIN.transfer(receiver, amount, default_return_value=True), "coin_adapter: push failed"
