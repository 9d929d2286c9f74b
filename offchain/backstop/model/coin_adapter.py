"""Insurance for an existing protocol: its coin is deposited, and payments of stages are made in it.

The adapter is the bridge of a facilitator, in a deployment without vaults of its own. All stablecoin stands
for coins that lie in the adapter, and coins without stablecoin against them are the protocol's.
"""

from __future__ import annotations

from typing import cast

from backstop.contract_base import ZERO_ADDRESS, Contract, World, external, immutable, require, view
from backstop.model.arithmetic import MAX_UINT256, RAY, add_uint256, div_up, mul_uint256
from backstop.model.interfaces import IERC20, MAX_DECIMALS, IBridgeFacilitator, IVaultEngine


class CoinAdapter(Contract):
    """Loss cover for another protocol: its stablecoin is deposited here, and losses are paid in it.

    The adapter acts as the bridge of a facilitator. Model of contracts/CoinAdapter.vy.
    """

    KIND = "CoinAdapter"

    # The coin of the other protocol.
    coin_address = immutable("COIN", str)
    # Stablecoin of one raw unit of the coin [wad].
    unit = immutable("UNIT", int)
    # Who reports deficits and is paid.
    protocol = immutable("PROTOCOL", str)
    facilitator_address = immutable("FACILITATOR", str)
    vault_engine_address = immutable("VAULT_ENGINE", str)
    stablecoin_address = immutable("STABLECOIN", str)
    # The type of the facilitator's note.
    collateral_type = immutable("COLLATERAL_TYPE", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        coin: str,
        protocol: str,
        facilitator: str,
        vault_engine: str,
        stablecoin: str,
        collateral_type: int,
    ) -> None:
        super().__init__(world, name, address)
        self.coin_address = coin
        decimals = self.coin.decimals(address)
        require(decimals <= MAX_DECIMALS, "coin_adapter: decimals")
        require(protocol != ZERO_ADDRESS, "coin_adapter: no protocol")
        require(coin != stablecoin, "coin_adapter: own stablecoin")
        self.unit = 10 ** (MAX_DECIMALS - decimals)
        self.protocol = protocol
        self.facilitator_address = facilitator
        self.vault_engine_address = vault_engine
        self.stablecoin_address = stablecoin
        self.collateral_type = collateral_type
        self.stablecoin.approve(address, facilitator, MAX_UINT256)

    @property
    def coin(self) -> IERC20:
        return cast(IERC20, self.world.at(self.coin_address))

    @property
    def facilitator(self) -> IBridgeFacilitator:
        return cast(IBridgeFacilitator, self.world.at(self.facilitator_address))

    @property
    def engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @property
    def stablecoin(self) -> IERC20:
        return cast(IERC20, self.world.at(self.stablecoin_address))

    @external
    def deposit(self, sender: str, amount: int, receiver: str) -> None:
        """Take the protocol's coin from the caller, and mint the same value of stablecoin to the receiver.

        The amount is in raw units of the coin. Reverts for a coin that charges a fee on transfer.
        """
        before = self.coin.balanceOf(self.address, self.address)
        pulled = self.coin.transferFrom(self.address, sender, self.address, amount)
        require(pulled is not False, "coin_adapter: pull failed")
        after = self.coin.balanceOf(self.address, self.address)
        require(after == before + amount, "coin_adapter: fee on transfer")
        self.emit("Deposited", sender, receiver, amount)
        self.facilitator.draw(self.address, mul_uint256(amount, self.unit), receiver)

    @external
    def withdraw(self, sender: str, amount: int, receiver: str) -> None:
        """Take stablecoin from the caller, and pay the receiver the same value of the protocol's coin.

        The amount is in raw units of the coin. Before settlement the stablecoin repays the bridge's debt, or
        debt that was booked as lost.
        """
        due = mul_uint256(amount, self.unit)
        self.stablecoin.transferFrom(self.address, sender, self.address, due)
        if not self.engine.in_settlement(self.address):
            repaid = self.facilitator.repay(self.address, due)
            if repaid != due:
                self.facilitator.recover(self.address, due - repaid)
        self.emit("Withdrawn", sender, receiver, amount)
        self._push_coins(receiver, amount)

    @external
    def report_deficit(self, sender: str, amount: int) -> None:
        """Announce a further loss of the protocol [raw units of the coin], added to the announced amount.

        Only the insured protocol may call this.
        """
        self._only_protocol(sender)
        reported = mul_uint256(amount, self.unit)
        self.emit("DeficitReported", reported)
        announced = self.facilitator.announcement(self.address).amount
        self.facilitator.announce_loss(self.address, add_uint256(announced, reported))

    @external
    def waive_deficit(self, sender: str, amount: int) -> None:
        """Cancel cover for a part of the booked deficit that no stage has paid [wad].

        The adapter draws stablecoin for this amount and repays the deficit with it. Only the insured protocol
        may call this.
        """
        self._only_protocol(sender)
        deficit = div_up(self.engine.deficit_of(self.address, self.collateral_type), RAY)
        require(amount <= deficit, "coin_adapter: over the deficit")
        self.emit("DeficitWaived", amount)
        self.facilitator.draw(self.address, amount, self.address)
        self.facilitator.recover(self.address, amount)

    @external
    def pay_protocol(self, sender: str) -> int:
        """Pay the insured protocol the coins that stages have covered, and return the amount [raw units].

        The amount is rounded down. Any account may call this.
        """
        amount = self._compute_coins_due()
        self.emit("ProtocolPaid", amount)
        self._push_coins(self.protocol, amount)
        return amount

    @view
    def coins_due(self, sender: str) -> int:
        """Return the coins that `pay_protocol` would pay now [raw units of the coin, rounded down]."""
        return self._compute_coins_due()

    def _only_protocol(self, sender: str) -> None:
        require(sender == self.protocol, "coin_adapter: not protocol")

    def _compute_coins_due(self) -> int:
        kept = self.engine.reserve(self.address) + self.engine.buffer_of(self.address, self.collateral_type)
        own = self.stablecoin.balanceOf(self.address, self.address)
        held = self.stablecoin.totalSupply(self.address) - own
        claimed = div_up(held + div_up(kept, RAY), self.unit)
        coins = self.coin.balanceOf(self.address, self.address)
        return coins - min(coins, claimed)

    def _push_coins(self, receiver: str, amount: int) -> None:
        pushed = self.coin.transfer(self.address, receiver, amount)
        require(pushed is not False, "coin_adapter: push failed")
