"""A market of a local chain: collateral for stablecoin at a constant product of its reserves."""

from __future__ import annotations

from typing import cast

from backstop.contract_base import Contract, World, external, immutable, require, view
from backstop.model.arithmetic import BASIS_POINTS, RAY, add_uint256, mul_uint256, sub
from backstop.model.interfaces import IERC20


class ConstantProductMarket(Contract):
    """Automated market maker for collateral and stablecoin with a constant product of its reserves.

    Model of contracts/devnet/ConstantProductMarket.vy, for local chains.
    """

    KIND = "ConstantProductMarket"

    token = immutable("TOKEN", str)
    stablecoin = immutable("STABLECOIN", str)
    owner = immutable("OWNER", str)
    # Basis points of what goes in.
    fee = immutable("FEE", int)
    # One raw unit of the token, in wad.
    unit = immutable("UNIT", int)

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
        self.unit = 10 ** (18 - decimals)
        self.collateral = self.table("collateral_reserve")
        self.stable = self.table("stable_reserve")
        self.virtual = self.table("virtual_stable")

    @external
    def set_liquidity(self, sender: str, collateral: int, stable: int, virtual: int = 0) -> None:
        """Set the reserves of collateral and stablecoin [wad]; the owner pays or receives the differences.

        `virtual` is the part of the stablecoin reserve that counts for the price alone and is not held. The
        collateral is rounded down to the token's unit. Only the owner may call this.
        """
        require(sender == self.owner, "market: not owner")
        require(virtual <= stable, "market: virtual reserve")
        new = collateral // self.unit * self.unit
        held = stable - virtual
        old_collateral, old_held = self.collateral[()], self.stable[()] - self.virtual[()]
        self.collateral[()] = new
        self.stable[()] = stable
        self.virtual[()] = virtual
        self.emit("LiquiditySet", new, stable)
        if new > old_collateral:
            self._pull_token(self.token, sender, (new - old_collateral) // self.unit)
        elif new < old_collateral:
            self._push_token(self.token, self.owner, (old_collateral - new) // self.unit)
        if held > old_held:
            self._pull_token(self.stablecoin, sender, held - old_held)
        elif held < old_held:
            self._push_token(self.stablecoin, self.owner, old_held - held)

    @external
    def sell(self, sender: str, amount: int, min_out: int, receiver: str) -> int:
        """Sell collateral [wad, rounded down to the token's unit], and return the stablecoin paid [wad].

        The output is rounded down. Reverts if it is 0 or less than `min_out`.
        """
        moved = amount // self.unit * self.unit
        out = self._compute_output(moved, self.collateral[()], self.stable[()])
        _check_output(out, min_out)
        self.collateral[()] = add_uint256(self.collateral[()], moved)
        self.stable[()] = sub(self.stable[()], out)
        self.emit("Sold", sender, receiver, moved, out)
        self._pull_token(self.token, sender, moved // self.unit)
        self._push_token(self.stablecoin, receiver, out)
        return out

    @external
    def buy(self, sender: str, amount: int, min_out: int, receiver: str) -> int:
        """Buy collateral with an amount of stablecoin [wad], and return the collateral sent [wad].

        The output is rounded down to the token's unit. Reverts if it is 0 or less than `min_out`.
        """
        out = self._compute_output(amount, self.stable[()], self.collateral[()]) // self.unit * self.unit
        _check_output(out, min_out)
        self.stable[()] = add_uint256(self.stable[()], amount)
        self.collateral[()] = sub(self.collateral[()], out)
        self.emit("Bought", sender, receiver, amount, out)
        self._pull_token(self.stablecoin, sender, amount)
        self._push_token(self.token, receiver, out // self.unit)
        return out

    @view
    def quote_sell(self, sender: str, amount: int) -> int:
        """Return the stablecoin that `sell` would pay for an amount of collateral [wad, rounded down]."""
        return self._compute_output(amount // self.unit * self.unit, self.collateral[()], self.stable[()])

    @view
    def quote_buy(self, sender: str, amount: int) -> int:
        """Return the collateral that `buy` would send for an amount of stablecoin [wad].

        The result is rounded down to the token's unit.
        """
        return self._compute_output(amount, self.stable[()], self.collateral[()]) // self.unit * self.unit

    @view
    def price(self, sender: str) -> int:
        """Return the price of 1e18 of collateral before the fee [ray]; 0 without liquidity."""
        if self.collateral[()] == 0:
            return 0
        return mul_uint256(self.stable[()], RAY) // int(self.collateral[()])

    @view
    def collateral_reserve(self, sender: str) -> int:
        """Return the collateral in the market's reserve [wad]."""
        return int(self.collateral[()])

    @view
    def stable_reserve(self, sender: str) -> int:
        """Return the stablecoin in the market's reserve, including its virtual part [wad]."""
        return int(self.stable[()])

    @view
    def virtual_stable(self, sender: str) -> int:
        """Return the part of the stablecoin reserve that the market does not hold [wad]."""
        return int(self.virtual[()])

    def _compute_output(self, amount: int, reserve_in: int, reserve_out: int) -> int:
        paid = mul_uint256(amount, BASIS_POINTS - self.fee)
        if paid == 0:
            return 0
        return mul_uint256(paid, reserve_out) // add_uint256(mul_uint256(reserve_in, BASIS_POINTS), paid)

    def _pull_token(self, token: str, sender: str, amount: int) -> None:
        contract = cast(IERC20, self.world.at(token))
        moved = contract.transferFrom(self.address, sender, self.address, amount)
        require(moved is not False, "market: transfer in failed")

    def _push_token(self, token: str, receiver: str, amount: int) -> None:
        contract = cast(IERC20, self.world.at(token))
        contract.transfer(self.address, receiver, amount)


def _check_output(out: int, min_out: int) -> None:
    require(out != 0, "market: nothing out")
    require(out >= min_out, "market: too little out")
