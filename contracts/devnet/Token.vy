# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Token
@license GNU Affero General Public License v3.0 only
@notice A plain ERC-20 that anyone may mint: collateral for a local chain.
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
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move the sender's tokens. Anyone.
    @param to Receiver of the tokens.
    @param amount [units of the token] Moved.
    @return Always true.
    """
    self._move_tokens(msg.sender, to, amount)
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
    @param amount [units of the token] Moved.
    @return Always true.
    """
    allowed: uint256 = self.allowance[owner][msg.sender]
    # The highest allowance means without end, as in most tokens.
    if allowed != max_value(uint256):
        assert allowed >= amount, "token: insufficient allowance"
        self.allowance[owner][msg.sender] = allowed - amount
    self._move_tokens(owner, to, amount)
    return True


@internal
def _move_tokens(owner: address, to: address, amount: uint256):
    assert self.balanceOf[owner] >= amount, "token: insufficient balance"
    self.balanceOf[owner] -= amount
    self.balanceOf[to] += amount
    log Transfer(sender=owner, receiver=to, amount=amount)
