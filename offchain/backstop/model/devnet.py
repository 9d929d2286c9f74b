"""What a local chain needs round the protocol: faucet tokens, a market and a taker without capital."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, add, mul, sub
from backstop.model.erc20 import words
from backstop.model.state import ZERO_ADDRESS, Contract, World, external, require, view

if TYPE_CHECKING:
    from backstop.model.collateral_auction import CollateralAuction
    from backstop.model.equity_auction import EquityAuction
    from backstop.model.surplus_auction import SurplusAuction


class Token(Contract):
    """A plain ERC-20 that anyone may mint. See contracts/devnet/Token.vy."""

    KIND = "Token"

    def __init__(
        self, world: World, name: str, address: str, token_name: str, token_symbol: str, token_decimals: int
    ) -> None:
        super().__init__(world, name, address)
        self.token_name = token_name
        self.token_symbol = token_symbol
        self.token_decimals = token_decimals
        self.supply = self.table("totalSupply")
        self.balances = self.table("balanceOf")
        self.allowances = self.table("allowance")

    @external
    def mint(self, sender: str, to: str, amount: int) -> None:
        """The faucet."""
        self.supply[()] = add(self.supply[()], amount)
        self.balances[to] = self.balances[to] + amount
        self.emit("Transfer", ZERO_ADDRESS, to, amount)

    @external
    def transfer(self, sender: str, to: str, amount: int) -> bool | None:
        """Move the sender's tokens."""
        self._move(sender, to, amount)
        return True

    @external
    def approve(self, sender: str, spender: str, amount: int) -> bool | None:
        """Set an allowance."""
        self.allowances[sender, spender] = amount
        self.emit("Approval", sender, spender, amount)
        return True

    @external
    def transferFrom(self, sender: str, owner: str, to: str, amount: int) -> bool | None:
        """Move tokens on an allowance."""
        allowance = self.allowances[owner, sender]
        if allowance != MAX_UINT256:
            require(allowance >= amount, "token: insufficient allowance")
            self.allowances[owner, sender] = allowance - amount
        self._move(owner, to, amount)
        return True

    @view
    def name(self, sender: str) -> str:
        """The token's name."""
        return self.token_name

    @view
    def symbol(self, sender: str) -> str:
        """The token's symbol."""
        return self.token_symbol

    @view
    def decimals(self, sender: str) -> int:
        """The token's decimals."""
        return self.token_decimals

    @view
    def totalSupply(self, sender: str) -> int:
        """Tokens in existence."""
        return int(self.supply[()])

    @view
    def balanceOf(self, sender: str, owner: str) -> int:
        """Tokens held."""
        return int(self.balances[owner])

    @view
    def allowance(self, sender: str, owner: str, spender: str) -> int:
        """What the spender may still move."""
        return int(self.allowances[owner, spender])

    def _move(self, owner: str, to: str, amount: int) -> None:
        balance = self.balances[owner]
        require(balance >= amount, "token: insufficient balance")
        self.balances[owner] = balance - amount
        self.balances[to] = self.balances[to] + amount
        self.emit("Transfer", owner, to, amount)


class SilentToken(Token):
    """Returns nothing. See contracts/devnet/SilentToken.vy."""

    KIND = "SilentToken"

    @external
    def transfer(self, sender: str, to: str, amount: int) -> None:
        """Move the sender's tokens."""
        super().transfer(sender, to, amount)

    @external
    def approve(self, sender: str, spender: str, amount: int) -> None:
        """Set an allowance."""
        super().approve(sender, spender, amount)

    @external
    def transferFrom(self, sender: str, owner: str, to: str, amount: int) -> None:
        """Move tokens on an allowance."""
        super().transferFrom(sender, owner, to, amount)


class FalseToken(Token):
    """Returns false where others revert. See contracts/devnet/FalseToken.vy."""

    KIND = "FalseToken"

    def __init__(
        self, world: World, name: str, address: str, token_name: str, token_symbol: str, token_decimals: int
    ) -> None:
        super().__init__(world, name, address, token_name, token_symbol, token_decimals)
        self.freezes = self.table("frozen", False)

    @external
    def freeze(self, sender: str, frozen: bool) -> None:
        """Stop the token, or let it go on."""
        self.freezes[()] = frozen

    @view
    def frozen(self, sender: str) -> bool:
        """While it is frozen nothing moves."""
        return bool(self.freezes[()])

    @external
    def transfer(self, sender: str, to: str, amount: int) -> bool:
        """Move the sender's tokens."""
        if self.freezes[()] or self.balances[sender] < amount:
            return False
        self._move(sender, to, amount)
        return True

    @external
    def transferFrom(self, sender: str, owner: str, to: str, amount: int) -> bool:
        """Move tokens on an allowance."""
        allowance = self.allowances[owner, sender]
        if allowance < amount or self.freezes[()] or self.balances[owner] < amount:
            return False
        self._move(owner, to, amount)
        if allowance != MAX_UINT256:
            self.allowances[owner, sender] = allowance - amount
        return True


class FeeToken(Token):
    """Keeps one part in a hundred of every transfer. See contracts/devnet/FeeToken.vy."""

    KIND = "FeeToken"

    def __init__(
        self, world: World, name: str, address: str, token_name: str, token_symbol: str, token_decimals: int
    ) -> None:
        super().__init__(world, name, address, token_name, token_symbol, token_decimals)
        self.pulls_are_free = self.table("free_pulls", False)

    @external
    def set_free_pulls(self, sender: str, free: bool) -> None:
        """Take the fee on `transfer` alone, or on `transferFrom` too."""
        self.pulls_are_free[()] = free

    @view
    def free_pulls(self, sender: str) -> bool:
        """Whether `transferFrom` takes no fee."""
        return bool(self.pulls_are_free[()])

    @external
    def transfer(self, sender: str, to: str, amount: int) -> bool:
        """Move the sender's tokens."""
        self._charge(sender, to, amount, amount // 100)
        return True

    def _move(self, owner: str, to: str, amount: int) -> None:
        self._charge(owner, to, amount, 0 if self.pulls_are_free[()] else amount // 100)

    def _charge(self, owner: str, to: str, amount: int, fee: int) -> None:
        balance = self.balances[owner]
        require(balance >= amount, "token: insufficient balance")
        self.balances[owner] = balance - amount
        self.balances[to] = self.balances[to] + amount - fee
        self.supply[()] = self.supply[()] - fee
        self.emit("Transfer", owner, to, amount - fee)
        self.emit("Transfer", owner, ZERO_ADDRESS, fee)


class ConstantProductMarket(Contract):
    """collateral x stablecoin = constant. See contracts/devnet/ConstantProductMarket.vy."""

    KIND = "ConstantProductMarket"

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        token: str,
        decimals: int,
        stablecoin: str,
        fee: int,
        owner: str,
    ) -> None:
        super().__init__(world, name, address)
        require(decimals <= 18, "market: token decimals")
        require(fee < BASIS_POINTS, "market: fee bounds")
        self.token = token
        self.stablecoin = stablecoin
        self.owner = owner
        self.fee = fee
        self.unit: int = 10 ** (18 - decimals)
        self.collateral = self.table("collateral_reserve")
        self.stable = self.table("stable_reserve")

    @external
    def set_liquidity(self, sender: str, collateral: int, stable: int) -> None:
        """Set both reserves, wad; the owner pays in or takes out the differences."""
        require(sender == self.owner, "market: not owner")
        new = collateral // self.unit * self.unit
        old_collateral, old_stable = self.collateral[()], self.stable[()]
        self.collateral[()] = new
        self.stable[()] = stable
        self.emit("LiquiditySet", new, stable)
        if new > old_collateral:
            self._pull(self.token, sender, (new - old_collateral) // self.unit)
        elif new < old_collateral:
            self._push(self.token, self.owner, (old_collateral - new) // self.unit)
        if stable > old_stable:
            self._pull(self.stablecoin, sender, stable - old_stable)
        elif stable < old_stable:
            self._push(self.stablecoin, self.owner, old_stable - stable)

    @external
    def sell(self, sender: str, amount: int, min_out: int, receiver: str) -> int:
        """Sell collateral (wad, floored to the unit) for stablecoin (rounded down)."""
        moved = amount // self.unit * self.unit
        out = self._out(moved, self.collateral[()], self.stable[()])
        _check_out(out, min_out)
        self.collateral[()] = add(self.collateral[()], moved)
        self.stable[()] = sub(self.stable[()], out)
        self.emit("Sold", sender, receiver, moved, out)
        self._pull(self.token, sender, moved // self.unit)
        self._push(self.stablecoin, receiver, out)
        return out

    @external
    def buy(self, sender: str, amount: int, min_out: int, receiver: str) -> int:
        """Buy collateral (rounded down to the unit) with stablecoin."""
        out = self._out(amount, self.stable[()], self.collateral[()]) // self.unit * self.unit
        _check_out(out, min_out)
        self.stable[()] = add(self.stable[()], amount)
        self.collateral[()] = sub(self.collateral[()], out)
        self.emit("Bought", sender, receiver, amount, out)
        self._pull(self.stablecoin, sender, amount)
        self._push(self.token, receiver, out // self.unit)
        return out

    @view
    def quote_sell(self, sender: str, amount: int) -> int:
        """What `sell` would give."""
        return self._out(amount // self.unit * self.unit, self.collateral[()], self.stable[()])

    @view
    def quote_buy(self, sender: str, amount: int) -> int:
        """What `buy` would give."""
        return self._out(amount, self.stable[()], self.collateral[()]) // self.unit * self.unit

    @view
    def price(self, sender: str) -> int:
        """Ray for 1e18 of collateral, before the fee; 0 if there is no liquidity."""
        if self.collateral[()] == 0:
            return 0
        return mul(self.stable[()], RAY) // int(self.collateral[()])

    @view
    def collateral_reserve(self, sender: str) -> int:
        """Booked collateral, wad."""
        return int(self.collateral[()])

    @view
    def stable_reserve(self, sender: str) -> int:
        """Booked stablecoin, wad."""
        return int(self.stable[()])

    @view
    def TOKEN(self, sender: str) -> str:
        """The collateral."""
        return self.token

    @view
    def STABLECOIN(self, sender: str) -> str:
        """What it is sold for."""
        return self.stablecoin

    @view
    def OWNER(self, sender: str) -> str:
        """Who provides the liquidity."""
        return self.owner

    @view
    def FEE(self, sender: str) -> int:
        """Basis points of what goes in."""
        return self.fee

    @view
    def UNIT(self, sender: str) -> int:
        """One raw unit of the token, in wad."""
        return self.unit

    def _out(self, amount: int, reserve_in: int, reserve_out: int) -> int:
        paid = mul(amount, BASIS_POINTS - self.fee)
        if paid == 0:
            return 0
        return mul(paid, reserve_out) // add(mul(reserve_in, BASIS_POINTS), paid)

    def _pull(self, token: str, sender: str, amount: int) -> None:
        contract = cast("Token", self.world.at(token))
        moved = contract.transferFrom(self.address, sender, self.address, amount)
        require(moved is not False, "market: transfer in failed")

    def _push(self, token: str, receiver: str, amount: int) -> None:
        contract = cast("Token", self.world.at(token))
        contract.transfer(self.address, receiver, amount)


def _check_out(out: int, min_out: int) -> None:
    require(out != 0, "market: nothing out")
    require(out >= min_out, "market: too little out")


class FlashTaker(Contract):
    """Sells what it takes inside the take's callback. See contracts/devnet/FlashTaker.vy."""

    KIND = "FlashTaker"

    def __init__(
        self, world: World, name: str, address: str, owner: str, collateral_auction: str, stablecoin: str
    ) -> None:
        super().__init__(world, name, address)
        self.owner = owner
        self.collateral_auction = collateral_auction
        self.stablecoin = stablecoin

    @external
    def take_and_sell(
        self, sender: str, auction_id: int, max_amount: int, max_price: int, market: str, min_profit: int
    ) -> int:
        """Take from an auction, sell the slice at once; the profit goes to the owner."""
        require(sender == self.owner, "flash_taker: not owner")
        stablecoin = cast("Token", self.world.at(self.stablecoin))
        auction = cast("CollateralAuction", self.world.at(self.collateral_auction))
        before = stablecoin.balanceOf(self.address, self.address)
        data = bytes.fromhex(market[2:]).rjust(32, b"\0")
        auction.take(self.address, auction_id, max_amount, max_price, self.address, data)
        held = stablecoin.balanceOf(self.address, self.address)
        require(held >= add(before, min_profit), "flash_taker: not enough profit")
        profit = held - before
        self.emit("FlashTaken", auction_id, market, profit)
        stablecoin.transfer(self.address, self.owner, profit)
        return profit

    @external
    def on_auction_take(
        self, sender: str, taker: str, auction_id: int, collateral: int, payment: int, data: bytes
    ) -> None:
        """Sell what the auction has delivered."""
        require(sender == self.collateral_auction, "flash_taker: not auction")
        require(taker == self.address, "flash_taker: not taker")
        market = cast("ConstantProductMarket", self.world.at("0x" + data[12:32].hex()))
        raw = collateral // market.UNIT(self.address)
        token = cast("Token", self.world.at(market.TOKEN(self.address)))
        token.approve(self.address, market.address, raw)
        proceeds = market.sell(self.address, collateral, 0, self.address)
        require(proceeds >= payment, "flash_taker: sold at a loss")

    @view
    def OWNER(self, sender: str) -> str:
        """May use it and gets the profit."""
        return self.owner

    @view
    def COLLATERAL_AUCTION(self, sender: str) -> str:
        """Where it takes."""
        return self.collateral_auction

    @view
    def STABLECOIN(self, sender: str) -> str:
        """What it pays with."""
        return self.stablecoin


class EquityTaker(Contract):
    """Trades what it takes inside the take's callback. See contracts/devnet/EquityTaker.vy."""

    KIND = "EquityTaker"

    def __init__(
        self, world: World, name: str, address: str, owner: str, equity: str, stablecoin: str
    ) -> None:
        super().__init__(world, name, address)
        self.owner = owner
        self.equity_address = equity
        self.stablecoin_address = stablecoin

    @property
    def equity(self) -> Token:
        return cast("Token", self.world.at(self.equity_address))

    @property
    def stablecoin(self) -> Token:
        return cast("Token", self.world.at(self.stablecoin_address))

    @external
    def take_and_sell(
        self, sender: str, auction: str, collateral_type: int, max_amount: int, max_price: int, market: str
    ) -> None:
        """Take equity, sell it at once; what the take does not cost goes to the owner."""
        require(sender == self.owner, "equity_taker: not owner")
        equity_auction = cast("EquityAuction", self.world.at(auction))
        data = words(market, 0)
        equity_auction.take(self.address, collateral_type, max_amount, max_price, self.address, data)
        self._hand_over(auction)

    @external
    def take_and_buy(
        self, sender: str, auction: str, max_amount: int, max_price: int, market: str, spend: int
    ) -> None:
        """Take surplus, buy the equity that pays for it; the rest goes to the owner."""
        require(sender == self.owner, "equity_taker: not owner")
        surplus_auction = cast("SurplusAuction", self.world.at(auction))
        surplus_auction.take(self.address, max_amount, max_price, self.address, words(market, spend))
        self._hand_over(auction)

    @external
    def on_auction_take(
        self, sender: str, taker: str, auction_id: int, collateral: int, payment: int, data: bytes
    ) -> None:
        """Trade what the auction has delivered, and let it burn its payment."""
        require(taker == self.address, "equity_taker: not taker")
        address, spend = "0x" + data[12:32].hex(), int.from_bytes(data[32:64], "big")
        if spend == 0:
            self.equity.approve(self.address, address, collateral)
            self._market(address).sell(self.address, collateral, payment, self.address)
            self.stablecoin.approve(self.address, sender, payment)
        else:
            self.stablecoin.approve(self.address, address, spend)
            self._market(address).buy(self.address, spend, payment, self.address)
            self.equity.approve(self.address, sender, payment)

    @view
    def OWNER(self, sender: str) -> str:
        """May use it and gets the profit."""
        return self.owner

    @view
    def EQUITY(self, sender: str) -> str:
        """What it takes, or pays with."""
        return self.equity_address

    @view
    def STABLECOIN(self, sender: str) -> str:
        """What it pays with, or takes."""
        return self.stablecoin_address

    def _market(self, address: str) -> ConstantProductMarket:
        return cast("ConstantProductMarket", self.world.at(address))

    def _hand_over(self, auction: str) -> None:
        stablecoin = self.stablecoin.balanceOf(self.address, self.address)
        equity = self.equity.balanceOf(self.address, self.address)
        self.emit("EquityTaken", auction, stablecoin, equity)
        self.stablecoin.transfer(self.address, self.owner, stablecoin)
        self.equity.transfer(self.address, self.owner, equity)
