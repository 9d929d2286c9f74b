# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title OtherLender
@license GNU Affero General Public License v3.0 only
@notice A protocol that exists already, for a local chain: it lends a coin of its own against a token, at a
        price that its owner sets, and has no insurance. The shortfall of a liquidation is reported to an
        adapter in the same call.
"""
from ethereum.ercs import IERC20


interface Coin:
    def mint(to: address, amount: uint256): nonpayable
    def balanceOf(owner: address) -> uint256: view
    def transferFrom(owner: address, to: address, amount: uint256) -> bool: nonpayable


interface Adapter:
    def report_deficit(amount: uint256): nonpayable


COIN: public(immutable(Coin))
TOKEN: public(immutable(IERC20))
OWNER: public(immutable(address))

# Where deficits are reported.
adapter: public(address)
# Units of the coin for one unit of the token.
price: public(uint256)
# owner -> units of the token
collateral_of: public(HashMap[address, uint256])
# owner -> units of the coin
debt_of: public(HashMap[address, uint256])
# Coins that nobody owes and that are not healed [units of the token].
bad_debt: public(uint256)
# Coins that came back, and circulate no more [units of the token].
retired: public(uint256)


@deploy
def __init__(coin: address, token: address, owner: address):
    """
    @param coin The coin that is lent: a token of the local chain, which anyone may mint.
    @param token The collateral token.
    @param owner Sets prices and names the adapter.
    """
    COIN = Coin(coin)
    TOKEN = IERC20(token)
    OWNER = owner


@external
def set_adapter(new: address):
    """
    @notice Name the adapter. Owner only.
    @param new Where deficits are reported.
    """
    self._only_owner()
    self.adapter = new


@external
def set_price(new: uint256):
    """
    @notice Set the price of the token. Owner only.
    @param new [units of the token] For one unit of the token.
    """
    self._only_owner()
    self.price = new


@external
def borrow(collateral: uint256, amount: uint256):
    """
    @notice Give tokens, and get coins for at most two thirds of the worth of all the loan's tokens. Anyone.
    @param collateral [units of the token] Taken on an allowance.
    @param amount [units of the token] Lent.
    """
    held: uint256 = self.collateral_of[msg.sender] + collateral
    debt: uint256 = self.debt_of[msg.sender] + amount
    assert debt * 3 <= held * self.price * 2, "other_lender: too much debt"
    self.collateral_of[msg.sender] = held
    self.debt_of[msg.sender] = debt
    extcall TOKEN.transferFrom(msg.sender, self, collateral)
    extcall COIN.mint(msg.sender, amount)


@external
def liquidate(owner: address):
    """
    @notice Buy all tokens of a loan at their price, once they are worth less than its debt. Anyone. The
            shortfall is reported.
    @param owner Owner of the loan.
    """
    collateral: uint256 = self.collateral_of[owner]
    debt: uint256 = self.debt_of[owner]
    worth: uint256 = collateral * self.price
    assert worth < debt, "other_lender: is covered"
    self.collateral_of[owner] = 0
    self.debt_of[owner] = 0
    self.bad_debt += debt - worth
    self.retired += worth
    extcall COIN.transferFrom(msg.sender, self, worth)
    extcall TOKEN.transfer(msg.sender, collateral)
    extcall Adapter(self.adapter).report_deficit(debt - worth)


@external
def heal() -> uint256:
    """
    @notice Retire coins that came in, and count as much bad debt as healed. Anyone.
    @return [units of the token] Healed.
    """
    amount: uint256 = min(staticcall COIN.balanceOf(self) - self.retired, self.bad_debt)
    self.retired += amount
    self.bad_debt -= amount
    return amount


@internal
@view
def _only_owner():
    assert msg.sender == OWNER, "other_lender: not owner"
