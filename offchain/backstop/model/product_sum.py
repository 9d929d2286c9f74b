"""Stakes that share offsets of debt, collateral and income; see contracts/modules/product_sum.vy."""

from __future__ import annotations

from typing import NamedTuple

from backstop.contract_base import Contract, Table, declare_record_slot_bit_widths

ONE = 10**36
STEP = 10**9
LEAST_PRODUCT = 10**27
MAX_SCALES = 8
SUM_SCALES = 2
LEAST_COINS = 10**18
MAX_COINS = 2**96 - 1


@declare_record_slot_bit_widths(120, 96, 32, 8)
class State(NamedTuple):
    """Cumulative product of all debt offsets, total coins of all stakes [wad], and scale of the product."""

    product: int = 0
    coins: int = 0
    scale: int = 0
    has_entries: int = 0  # 1 while coins wait to take part

    def offset_debt(self, debt: int) -> State:
        """Return the state after stakes' coins repay a debt [wad]; the product is rounded down."""
        left = self.coins - debt
        numerator, scale = self.product * left, self.scale
        for _ in range(2):
            if numerator // self.coins >= LEAST_PRODUCT:
                break
            numerator *= STEP
            scale += 1
        return self._replace(product=numerator // self.coins, coins=left, scale=scale)

    @property
    def offset_room(self) -> int:
        """Maximum debt that the stakes can repay [wad]: all coins but one."""
        return max(0, self.coins - LEAST_COINS)


@declare_record_slot_bit_widths(104, 120, 32)
class Stake(NamedTuple):
    """Coins of a stake [wad], with the product and scale at the time when the stake was recorded."""

    coins: int = 0
    product: int = 0
    scale: int = 0


class StakeBalance(NamedTuple):
    """Present coins, collateral gain and income gain of a stake [wad], rounded down."""

    coins: int
    collateral: int
    income: int


NO_BALANCE = StakeBalance(0, 0, 0)


class ProductSum(Contract):
    """Stakes that share debt offsets and gains pro rata in constant time (model of modules/product_sum.vy).

    A stake's id is an address as a number, or 2**160 and more for a batch.
    """

    def _initialize_product_sum(self) -> None:
        """Create the tables and set the product to one."""
        self.product_state = self.table("product_sum.state", State())
        self.collateral_sums = self.table("product_sum.collateral_sums")
        self.income_sums = self.table("product_sum.income_sums")
        self.stakes = self.table("product_sum.stakes", Stake())
        self.stake_collateral_sums = self.table("product_sum.stake_collateral_sums")
        self.stake_income_sums = self.table("product_sum.stake_income_sums")
        self.product_state[()] = State(ONE)

    def _add_collateral(self, state: State, amount: int) -> None:
        """Distribute collateral [wad] pro rata to all stakes, rounded down.

        Call this before the state's coins are reduced by the debt that bought the collateral.
        """
        self.collateral_sums[state.scale] += state.product * amount // state.coins

    def _share_out_income(self, state: State, amount: int) -> None:
        """Distribute income [wad] pro rata to all stakes, rounded down."""
        self.income_sums[state.scale] += state.product * amount // state.coins

    def _compute_stake_balance(self, state: State, stake_id: int, coins: int) -> StakeBalance:
        """Return the present balance of `coins` [wad] that were recorded under a stake's id.

        Return zeros if the stake has no record.
        """
        stake: Stake = self.stakes[stake_id]
        if coins == 0 or stake == Stake():
            return NO_BALANCE
        passed = state.scale - stake.scale
        gains = (
            coins * self._compute_gain(sums, marks[stake_id], stake.scale, passed) // stake.product
            for sums, marks in (
                (self.collateral_sums, self.stake_collateral_sums),
                (self.income_sums, self.stake_income_sums),
            )
        )
        left = coins * state.product // stake.product // STEP**passed if passed <= MAX_SCALES else 0
        return StakeBalance(left, *gains)

    def _compute_gain(self, sums: Table, mark: int, scale: int, passed: int) -> int:
        """Return the growth of a cumulative sum since the stake was recorded.

        It counts the stake's own scale and the `SUM_SCALES` (2) scales after it.
        """
        gain = int(sums[scale] - mark)
        for later in range(1, min(passed, SUM_SCALES) + 1):
            gain += sums[scale + later] // STEP**later
        return gain

    def _mark_stake(self, state: State, stake_id: int, coins: int) -> None:
        """Store a stake of `coins` [wad] with the present product and sums; delete it if `coins` is 0."""
        if coins == 0:
            self.stakes[stake_id] = Stake()
            self.stake_collateral_sums[stake_id] = 0
            self.stake_income_sums[stake_id] = 0
            return
        self.stakes[stake_id] = Stake(coins, state.product, state.scale)
        self.stake_collateral_sums[stake_id] = self.collateral_sums[state.scale]
        self.stake_income_sums[stake_id] = self.income_sums[state.scale]
