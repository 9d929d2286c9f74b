# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title BlocklistToken
@license GNU Affero General Public License v3.0 only
@notice A token with the powers of issuers of stablecoins: the issuer may stop it, block accounts, refuse
        empty transfers and, once it is upgraded, keep a fee. On a local chain anyone is the issuer. Else like
        Token.
"""


event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256  # [units of the token]


event Approval:
    owner: indexed(address)
    spender: indexed(address)
    amount: uint256  # [units of the token]


name: public(immutable(String[32]))
symbol: public(immutable(String[16]))
decimals: public(immutable(uint8))

totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
# While it is stopped nothing moves.
stopped: public(bool)
# Accounts that neither send nor receive.
blocked: public(HashMap[address, bool])
# Whether moving nothing reverts.
refuses_zero_transfers: public(bool)
# Basis points of each transfer that vanish.
fee: public(uint256)


@deploy
def __init__(name_: String[32], symbol_: String[16], decimals_: uint8):
    """
    @param name_ The token's name.
    @param symbol_ The token's symbol.
    @param decimals_ [decimals] Of the token.
    """
    name = name_
    symbol = symbol_
    decimals = decimals_


@external
def mint(to: address, amount: uint256):
    """
    @notice Create tokens for any account: the faucet. Anyone.
    @param to Receiver of the tokens.
    @param amount [units of the token] Created.
    """
    self.totalSupply += amount
    self.balanceOf[to] += amount
    log Transfer(sender=empty(address), receiver=to, amount=amount)


@external
def stop(stopped: bool):
    """
    @notice Stop the token, or let it go on. Anyone.
    @param stopped True to stop it.
    """
    self.stopped = stopped


@external
def block(account: address, blocked: bool):
    """
    @notice Block an account, or let it go on. Anyone.
    @param account The account that neither sends nor receives.
    @param blocked True to block it.
    """
    self.blocked[account] = blocked


@external
def refuse_zero_transfers(refused: bool):
    """
    @notice Have transfers of nothing revert, or succeed. Anyone.
    @param refused True to have them revert.
    """
    self.refuses_zero_transfers = refused


@external
def upgrade(fee: uint256):
    """
    @notice Take a fee from now on. Anyone.
    @param fee [basis points] Of each transfer.
    """
    self.fee = fee


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move the sender's tokens. Anyone.
    @param to Receiver of the tokens.
    @param amount [units of the token] Moved, the fee included.
    @return Always true.
    """
    self._move(msg.sender, to, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Set an allowance over the sender's tokens. Anyone.
    @param spender The account that may move them.
    @param amount [units of the token] The most that may be moved; the highest value means without end.
    @return Always true.
    """
    self.allowance[msg.sender][spender] = amount
    log Approval(owner=msg.sender, spender=spender, amount=amount)
    return True


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    """
    @notice Move tokens on an allowance. Spender.
    @param owner Owner of the tokens.
    @param to Receiver of the tokens.
    @param amount [units of the token] Moved, the fee included.
    @return Always true.
    """
    allowed: uint256 = self.allowance[owner][msg.sender]
    # The highest allowance means without end, as in most tokens.
    if allowed != max_value(uint256):
        assert allowed >= amount, "token: insufficient allowance"
        self.allowance[owner][msg.sender] = allowed - amount
    self._move(owner, to, amount)
    return True


@internal
def _move(owner: address, to: address, amount: uint256):
    assert not self.stopped, "token: stopped"
    assert not self.blocked[owner], "token: sender blocked"
    assert not self.blocked[to], "token: receiver blocked"
    assert amount != 0 or not self.refuses_zero_transfers, "token: nothing to move"
    assert self.balanceOf[owner] >= amount, "token: insufficient balance"
    lost: uint256 = amount * self.fee // 10_000
    self.balanceOf[owner] -= amount
    self.balanceOf[to] += amount - lost
    self.totalSupply -= lost
    log Transfer(sender=owner, receiver=to, amount=amount - lost)
