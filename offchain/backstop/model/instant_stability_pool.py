"""The naive stability pool, by the rules of Liquity v2; see contracts/naive/InstantStabilityPool.vy."""

from __future__ import annotations

from backstop.contract_base import external, require
from backstop.model.arithmetic import MAX_UINT256
from backstop.model.product_sum import LEAST_COINS, MAX_COINS, State
from backstop.model.stability_pool import Gains, OffsetPool, Pricing


class InstantStabilityPool(OffsetPool):
    """Simple stability pool with deposits and withdrawals at once, by the rules of Liquity v2.

    The pool repays all of an unsafe vault's debt. Model of contracts/naive/InstantStabilityPool.vy.
    """

    KIND = "InstantStabilityPool"

    @property
    def pricing(self) -> Pricing:
        """Terms by which the pool buys a vault's collateral: it repays the whole debt."""
        return Pricing(self.penalty, self.reward, self.has_write_off, True)

    @external
    def deposit(self, sender: str, amount: int, has_claim: bool) -> None:
        """Deposit stablecoin [wad], which takes part in liquidations at once.

        The member's earlier gains are paid out if `has_claim` is True. Otherwise gained income becomes a
        deposit.
        """
        require(amount != 0, "instant_pool: no coins")
        state: State = self.product_state[()]
        coins = self._count_gains(state, sender)
        collateral, income, kept = self._take_gains(sender, has_claim)
        state = state._replace(coins=state.coins + amount + kept)
        require(state.coins <= MAX_UINT256, "")
        require(state.coins <= MAX_COINS, "instant_pool: too many coins")
        self._mark_stake(state, int(sender, 16), coins + amount + kept)
        self._share_income(state)
        self.product_state[()] = state
        self._pull_assets(sender, amount)
        self._pay_gains(sender, collateral, income)

    @external
    def withdraw(self, sender: str, amount: int, has_claim: bool) -> int:
        """Withdraw stablecoin at once, and return the amount paid, without gains [wad].

        The member's earlier gains are paid out if `has_claim` is True. Otherwise gained income becomes a
        deposit. Reverts if less than one stablecoin would stay in the pool.
        """
        state: State = self.product_state[()]
        coins = self._count_gains(state, sender)
        paid = min(amount, coins)
        collateral, income, kept = self._take_gains(sender, has_claim)
        state = state._replace(coins=state.coins + kept - paid)
        require(state.coins >= LEAST_COINS, "instant_pool: one coin stays")
        self._mark_stake(state, int(sender, 16), coins + kept - paid)
        self.product_state[()] = state
        self.emit("Withdrawn", sender, paid)
        self._pay_gains(sender, collateral, income + paid)
        return paid

    @external
    def add_income(self, sender: str, assets: int) -> None:
        """Distribute income [wad] pro rata among the depositors at once.

        The income waits while less than one stablecoin is deposited.
        """
        self._check_room(assets)
        self._change_total_booked_assets(assets)
        self._share_income(self.product_state[()])
        self._pull_assets(sender, assets)

    def _take_gains(self, owner: str, has_claim: bool) -> tuple[int, int, int]:
        """Clear a member's gains, and return collateral to pay, income to pay and income that stays [wad]."""
        gains: Gains = self.member_gains[owner]
        if not has_claim:
            self.member_gains[owner] = Gains(gains.collateral, 0)
            return 0, 0, gains.income
        collateral = gains.collateral // self.unit * self.unit
        self.member_gains[owner] = Gains(gains.collateral - collateral, 0)
        return collateral, gains.income, 0

    def _pay_gains(self, owner: str, collateral: int, coins: int) -> None:
        if collateral:
            self._send_collateral(owner, collateral)
        if coins:
            self._send_asset_tokens(owner, coins)
