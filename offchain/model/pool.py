"""An ERC-4626 vault that bears losses as a stage of the waterfall; leaving is request, then claim.

With A the assets booked, S the shares and UL the part of A that recognised losses will take:

    entry   shares = floor(a * (S + 1e6) / (A + 1))
    exit    assets = floor(s * (A - UL + 1) / (S + 1e6)), never above A - UL since s <= S
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from offchain.model import bounds
from offchain.model.arithmetic import MAX_UINT256, RAY, add, div_up, mul
from offchain.model.erc20 import ERC20
from offchain.model.state import World, external, require, view

if TYPE_CHECKING:
    from offchain.model.loss_waterfall import LossWaterfall
    from offchain.model.vault_engine import VaultEngine

VIRTUAL_SHARES = 10**6
VIRTUAL_ASSETS = 1
LEAST_ASSETS = 10**6


def mul_div(x: int, y: int, divisor: int, up: bool) -> int:
    """x * y / divisor with a 512-bit product (snekmate `math._mul_div`); the divisor is never zero."""
    product = x * y
    require(divisor > product >> 256, "math: mul_div overflow")
    quotient = product // divisor
    return add(quotient, 1) if up and product % divisor else quotient


class Pool(ERC20):
    """See contracts/Pool.vy. Assets in wad, shares with 18 decimals."""

    KIND = "Pool"

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        token_name: str,
        token_symbol: str,
        asset: str,
        vault_engine: str,
        loss_waterfall: str,
        cooldown: int,
        window: int,
    ) -> None:
        super().__init__(world, name, address, token_name, token_symbol, 18)
        require(cooldown <= bounds.MAX_COOLDOWN, "pool: cooldown bounds")
        if cooldown == 0:
            require(window == 0, "pool: window without cooldown")
        else:
            require(window >= bounds.MIN_EXIT_WINDOW, "pool: short window")
            require(window <= bounds.MAX_EXIT_WINDOW, "pool: long window")
        self.asset_address = asset
        self.vault_engine_address = vault_engine
        self.loss_waterfall_address = loss_waterfall
        self.cooldown = cooldown
        self.window = window
        self.booked = self.table("booked")
        self.requests = self.table("requested_shares")
        self.request_times = self.table("requested_at")

    @property
    def token(self) -> ERC20:
        return cast(ERC20, self.world.at(self.asset_address))

    @property
    def vault_engine(self) -> VaultEngine:
        return cast("VaultEngine", self.world.at(self.vault_engine_address))

    @property
    def loss_waterfall(self) -> LossWaterfall:
        return cast("LossWaterfall", self.world.at(self.loss_waterfall_address))

    # ------------------------------------------------------------------- entry

    @external
    def deposit(self, sender: str, assets: int, receiver: str) -> int:
        """Put assets in; the shares, rounded down."""
        shares = self._to_shares(assets)
        self._enter(sender, assets, shares, receiver)
        return shares

    @external
    def mint(self, sender: str, shares: int, receiver: str) -> int:
        """Put assets in for a number of shares; the assets, rounded up."""
        assets = self._to_assets(shares, up=True)
        self._enter(sender, assets, shares, receiver)
        return assets

    # -------------------------------------------------------------------- exit

    @external
    def request_redeem(self, sender: str, shares: int) -> None:
        """Announce an exit: shares go into escrow and keep bearing losses; the clock starts again."""
        require(self.cooldown != 0, "pool: no request needed")
        require(shares != 0, "pool: empty request")
        self._transfer(sender, self.address, shares)
        self.requests[sender] = add(self.requests[sender], shares)
        self.request_times[sender] = self.world.timestamp
        self.emit("RedeemRequested", sender, shares, self.world.timestamp + self.cooldown)

    @external
    def cancel_request(self, sender: str) -> int:
        """Take the requested shares back."""
        shares = int(self.requests[sender])
        require(shares != 0, "pool: no request")
        self.requests[sender] = 0
        self.request_times[sender] = 0
        self._transfer(self.address, sender, shares)
        self.emit("RequestCancelled", sender, shares)
        return shares

    @external
    def withdraw(self, sender: str, assets: int, receiver: str, owner: str) -> int:
        """Take assets out for matured shares; the shares burned, rounded up."""
        supply = add(self.supply[()], VIRTUAL_SHARES)
        left = add(self._left(), VIRTUAL_ASSETS)
        most = mul_div(self._matured(owner), left, supply, False)
        require(assets <= most, "pool: more than max withdraw")
        shares = mul_div(assets, supply, left, True)
        self._leave(sender, assets, shares, receiver, owner)
        return shares

    @external
    def redeem(self, sender: str, shares: int, receiver: str, owner: str) -> int:
        """Take assets out for a number of matured shares; the assets, rounded down."""
        require(shares <= self._matured(owner), "pool: more than max redeem")
        assets = self._to_claim(shares)
        self._leave(sender, assets, shares, receiver, owner)
        return assets

    # ------------------------------------------------------------------- stage

    @external
    def absorb(self, sender: str, collateral_type: int, amount: int) -> tuple[int, int]:
        """Pay for a loss (rad) by burning assets, rounded up; rad covered, nothing reserved."""
        require(sender == self.loss_waterfall_address, "pool: not loss waterfall")
        most = min(mul(self._absorbable(), RAY), amount)
        assets = div_up(most, RAY)
        self.booked[()] = self.booked[()] - assets
        self.emit("LossAbsorbed", collateral_type, assets)
        return self.vault_engine.cover_from_tokens(self.address, collateral_type, self.address, most), 0

    @view
    def capacity(self, sender: str, collateral_type: int) -> int:
        """What losses can take at once, rad: all but the last 1e6 wei, whatever the type."""
        return mul(self._absorbable(), RAY)

    # ------------------------------------------------------------------- views

    @view
    def totalAssets(self, sender: str) -> int:
        """Assets booked, before losses not covered yet."""
        return int(self.booked[()])

    @view
    def pending_losses(self, sender: str) -> int:
        """UL: the part of the assets that recognised losses will take, rounded up."""
        return int(self.booked[()]) - self._left()

    @view
    def convertToShares(self, sender: str, assets: int) -> int:
        """Shares for assets at the entry price, rounded down."""
        return self._to_shares(assets)

    @view
    def convertToAssets(self, sender: str, shares: int) -> int:
        """Assets for shares at the entry price, rounded down."""
        return self._to_assets(shares, up=False)

    @view
    def maxDeposit(self, sender: str, receiver: str) -> int:
        """No limit."""
        return MAX_UINT256

    @view
    def maxMint(self, sender: str, receiver: str) -> int:
        """No limit."""
        return MAX_UINT256

    @view
    def maxWithdraw(self, sender: str, owner: str) -> int:
        """Assets the owner's matured shares are worth, rounded down."""
        return self._to_claim(self._matured(owner))

    @view
    def maxRedeem(self, sender: str, owner: str) -> int:
        """The owner's matured shares."""
        return self._matured(owner)

    @view
    def previewDeposit(self, sender: str, assets: int) -> int:
        """Shares for a deposit, rounded down."""
        return self._to_shares(assets)

    @view
    def previewMint(self, sender: str, shares: int) -> int:
        """Assets for new shares, rounded up."""
        return self._to_assets(shares, up=True)

    @view
    def previewWithdraw(self, sender: str, assets: int) -> int:
        """Shares burned for assets at the exit price, rounded up, were they matured."""
        return mul_div(assets, add(self.supply[()], VIRTUAL_SHARES), add(self._left(), VIRTUAL_ASSETS), True)

    @view
    def previewRedeem(self, sender: str, shares: int) -> int:
        """Assets for shares at the exit price, rounded down, were they matured."""
        return self._to_claim(shares)

    @view
    def requested_shares(self, sender: str, owner: str) -> int:
        """The owner's shares in escrow."""
        return int(self.requests[owner])

    @view
    def requested_at(self, sender: str, owner: str) -> int:
        """When the owner last requested."""
        return int(self.request_times[owner])

    @view
    def asset(self, sender: str) -> str:
        """The token held."""
        return self.asset_address

    @view
    def VAULT_ENGINE(self, sender: str) -> str:
        """The ledger."""
        return self.vault_engine_address

    @view
    def LOSS_WATERFALL(self, sender: str) -> str:
        """Where losses come from."""
        return self.loss_waterfall_address

    @view
    def COOLDOWN(self, sender: str) -> int:
        """Seconds from a request to its maturity."""
        return self.cooldown

    @view
    def WINDOW(self, sender: str) -> int:
        """Seconds for which a matured request can be claimed."""
        return self.window

    # ----------------------------------------------------------------- helpers

    def _enter(self, sender: str, assets: int, shares: int, receiver: str) -> None:
        require(shares != 0, "pool: no shares")
        self.booked[()] = add(self.booked[()], assets)
        self._mint(receiver, shares)
        self.emit("Deposit", sender, receiver, assets, shares)
        moved = self.token.transferFrom(self.address, sender, self.address, assets)
        require(moved is not False, "pool: transfer in failed")

    def _leave(self, sender: str, assets: int, shares: int, receiver: str, owner: str) -> None:
        require(assets != 0, "pool: no assets")
        if sender != owner:
            self._spend_allowance(owner, sender, shares)
        if self.cooldown == 0:
            self._burn(owner, shares)
        else:
            self.requests[owner] = self.requests[owner] - shares
            self._burn(self.address, shares)
        self.booked[()] = self.booked[()] - assets
        self.emit("Withdraw", sender, receiver, owner, assets, shares)
        moved = self.token.transfer(self.address, receiver, assets)
        require(moved is not False, "pool: transfer out failed")

    def _matured(self, owner: str) -> int:
        """Shares that can leave now."""
        if self.cooldown == 0:
            return int(self.balances[owner])
        matures_at = self.request_times[owner] + self.cooldown
        if not matures_at <= self.world.timestamp <= matures_at + self.window:
            return 0
        return int(self.requests[owner])

    def _absorbable(self) -> int:
        """Assets that losses can take."""
        assets = int(self.booked[()])
        return assets - min(assets, LEAST_ASSETS)

    def _left(self) -> int:
        """A - UL, rounded down."""
        assets = int(self.booked[()])
        losses = self.loss_waterfall.losses_beyond(self.address, self.address)
        return assets - min(assets, div_up(losses, RAY))

    def _to_shares(self, assets: int) -> int:
        """Entry price, rounded down."""
        return mul_div(
            assets, add(self.supply[()], VIRTUAL_SHARES), add(self.booked[()], VIRTUAL_ASSETS), False
        )

    def _to_assets(self, shares: int, up: bool) -> int:
        """Entry price."""
        return mul_div(shares, add(self.booked[()], VIRTUAL_ASSETS), add(self.supply[()], VIRTUAL_SHARES), up)

    def _to_claim(self, shares: int) -> int:
        """Exit price, rounded down."""
        return mul_div(shares, add(self._left(), VIRTUAL_ASSETS), add(self.supply[()], VIRTUAL_SHARES), False)
