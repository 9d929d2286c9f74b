"""One fungible series of claims of members that absorbed a pool's loss, repaid from income.

With N the tokens and D the stablecoin still owed to them:

    loss      tokens = ceil(x * N / D), x where there are none; N += tokens, D += x
    payment   D -= p, paid per token += floor(p * RAY / N)
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.contract_base import (
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import RAY, add_uint256, div_up, mul_uint256, sub
from backstop.model.denominations import STEP, VIRTUAL_SHARES, VOID
from backstop.model.interfaces import IERC20, IEquity, IPriceFeed
from backstop.model.series_token import Balance, SeriesToken

MAX_OUTSTANDING = 2**104 - 1
MAX_DILUTION = 2**40


@declare_record_slot_bit_widths(144, 104)
class Series(NamedTuple):
    """Present generation of claims: number of tokens and stablecoin still owed to them [wad]."""

    tokens: int = 0  # issued or not
    outstanding: int = 0  # wad of stablecoin


@declare_record_slot_bit_widths(224, 32)
class Checkpoint(NamedTuple):
    """Claims that one share of the pool has received up to a loss [ray], and their generation."""

    tokens: int = 0  # claims, ray
    series: int = 0  # the generation of the claims


class RecoveryClaims(SeriesToken):
    """Transferable claims on future income for members that absorbed a loss (model of RecoveryClaims.vy).

    Stablecoin is in wad, tokens have 18 decimals.
    """

    KIND = "RecoveryClaims"

    pool_address = immutable("POOL", str)
    stablecoin_address = immutable("STABLECOIN", str)
    equity_address = immutable("EQUITY", str)
    price_feed_address = immutable("PRICE_FEED", str)
    # Ray of stablecoin for 1e18 of equity, the least that it costs; 0 is no conversion.
    set_price = immutable("CONVERSION_PRICE", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        token_name: str,
        token_symbol: str,
        stablecoin: str,
        pool: str,
        equity: str,
        price_feed: str,
        conversion_price: int,
    ) -> None:
        super().__init__(world, name, address, token_name, token_symbol)
        require(conversion_price <= bounds.MAX_PRICE, "recovery_claims: price bounds")
        self.pool_address = pool
        self.stablecoin_address = stablecoin
        self.equity_address = equity
        self.price_feed_address = price_feed
        self.set_price = conversion_price
        self.series = self.table("series", Series())
        self.checkpoints = self.table("checkpoints", Checkpoint())
        self.paid_before = self.table("paid_before")
        self.marks = self.table("marks")
        self.paid = self.table("paid_per_token")
        self.credits = self.table("cash")

    @property
    def stablecoin(self) -> IERC20:
        return cast(IERC20, self.world.at(self.stablecoin_address))

    @property
    def equity(self) -> IEquity:
        return cast(IEquity, self.world.at(self.equity_address))

    @property
    def price_feed(self) -> IPriceFeed:
        return cast(IPriceFeed, self.world.at(self.price_feed_address))

    # -------------------------------------------------------------------- pool

    @external
    def record(self, sender: str, generation: int, shares: int, amount: int) -> int:
        """Create claims for a pool's loss of `amount` [wad] and return the number of the new checkpoint.

        `shares` absorbed the loss and include VIRTUAL_SHARES, which get no claims. If no claim is created,
        return the number of the last checkpoint. Only the pool may call.
        """
        require(sender == self.pool_address, "recovery_claims: not pool")
        mark, members = self.marks[generation], sub(shares, VIRTUAL_SHARES)
        series: Series = self.series[()]
        present = self.state[()].generation
        lost = mul_uint256(amount, members) // shares
        tokens = 0
        if add_uint256(series.outstanding, lost) <= MAX_OUTSTANDING:
            tokens = lost
            if series.tokens != 0:
                tokens = div_up(mul_uint256(lost, series.tokens), series.outstanding)
            self.series[()] = Series(series.tokens + tokens, series.outstanding + lost)
        self.emit("LossRecorded", present, lost, tokens)
        added = tokens * RAY // members
        if added == 0:
            return int(mark)
        before, paid_before = self._move_checkpoint_to_series(generation, mark, present, up=False)
        mark += 1
        self.marks[generation] = mark
        self.checkpoints[generation, mark] = Checkpoint(before + added, present)
        self.paid_before[generation, mark] = paid_before + div_up(added * self.paid[present], RAY)
        return int(mark)

    @external
    def issue(
        self, sender: str, owner: str, shares: int, generation: int, mark: int, end: int, last: int
    ) -> None:
        """Credit a member with the claims that `shares` earned between two loss checkpoints.

        The first is checkpoint `mark` of `generation`, the second checkpoint `last` of generation `end`. Only
        the pool may call.
        """
        require(sender == self.pool_address, "recovery_claims: not pool")
        for k in range(generation, generation + VOID):
            if shares == 0:
                break
            self._issue_claims(owner, shares, k, mark, last if k == end else self.marks[k])
            if k == end:
                break
            mark, shares = 0, shares // STEP

    # ------------------------------------------------------------------ income

    @external
    def repay(self, sender: str, amount: int) -> int:
        """Pay up to `amount` of stablecoin to all claim holders pro rata; return the amount used [wad]."""
        series: Series = self.series[()]
        used = _compute_repayable(series, amount)
        if used == 0:
            return 0
        generation = self.state[()].generation
        self.paid[generation] = self.paid[generation] + used * RAY // series.tokens
        self._reduce_series(series, 0, used)
        self.emit("Repaid", generation, sender, used)
        moved = self.stablecoin.transferFrom(self.address, sender, self.address, used)
        require(moved, "recovery_claims: no payment")
        return used

    @external
    def collect(self, sender: str, owner: str, generation: int) -> int:
        """Transfer an owner's uncollected payments in stablecoin and return the amount [wad].

        Raises RevertError if there is nothing to collect.
        """
        self._settle_owner(generation, owner)
        amount = int(self.credits[owner])
        require(amount != 0, "recovery_claims: no cash")
        self.credits[owner] = 0
        self.emit("Collected", owner, amount)
        require(self.stablecoin.transfer(self.address, owner, amount), "recovery_claims: not paid")
        return amount

    @external
    def convert(self, sender: str, tokens: int, receiver: str) -> int:
        """Exchange the caller's claim tokens for new equity and return the equity [wad], rounded down."""
        require(self.set_price != 0, "recovery_claims: no conversion")
        generation = self.state[()].generation
        self._settle_owner(generation, sender)
        self._burn_tokens(generation, sender, tokens)
        series: Series = self.series[()]
        owed = series.outstanding * tokens // series.tokens if tokens else 0
        price = self._get_equity_price()
        require(price != 0, "recovery_claims: no price")
        equity = owed * RAY // price
        require(equity != 0, "recovery_claims: worth nothing")
        self._reduce_series(series, tokens, owed)
        self.emit("Converted", sender, receiver, tokens, equity)
        self.equity.mint(self.address, receiver, equity)
        return equity

    # ------------------------------------------------------------------- views

    @view
    def outstanding(self, sender: str) -> int:
        """Return the stablecoin still owed to all claim tokens [wad]."""
        return int(self.series[()].outstanding)

    @view
    def tokens(self, sender: str) -> int:
        """Return the number of claim tokens of the present generation, credited to members or not."""
        return int(self.series[()].tokens)

    @view
    def repayable(self, sender: str, most: int) -> int:
        """Return how much of at most `most` a call of `repay` would use [wad]."""
        return _compute_repayable(self.series[()], most)

    @view
    def cash_of(self, sender: str, owner: str, generation: int) -> int:
        """Return the stablecoin that `collect` would pay to an owner [wad]."""
        balance: Balance = self.balances[generation, owner]
        return int(self.credits[owner] + balance.shares * (self.paid[generation] - balance.mark) // RAY)

    @view
    def conversion_price(self, sender: str) -> int:
        """Return the present price of 1e18 of equity in claims [ray].

        Return 0 if conversion is disabled or the equity has no price.
        """
        return self._get_equity_price() if self.set_price else 0

    @view
    def paid_per_token(self, sender: str, generation: int) -> int:
        """Return the stablecoin paid so far to each token of a generation [ray]."""
        return int(self.paid[generation])

    @view
    def cash(self, sender: str, owner: str) -> int:
        """Return the stablecoin credited to an owner and not collected yet [wad]."""
        return int(self.credits[owner])

    # ----------------------------------------------------------------- helpers

    def _issue_claims(self, owner: str, shares: int, generation: int, mark: int, last: int) -> None:
        """Credit a member with the claims of `shares` between two checkpoints of one share generation."""
        if mark == last:
            return
        end: Checkpoint = self.checkpoints[generation, last]
        before, paid = self._move_checkpoint_to_series(generation, mark, end.series, up=True)
        tokens = mul_uint256(shares, end.tokens - before) // RAY
        # Rounded up, of either sign.
        paid = -(-shares * (self.paid_before[generation, last] - paid) // RAY)
        due = mul_uint256(tokens, self.paid[end.series]) // RAY - paid
        if due > 0:
            self._credit_owner_cash(end.series, owner, due)
        if tokens != 0 and end.series == self.state[()].generation:
            self._settle_owner(end.series, owner)
            self._mint_tokens(end.series, owner, tokens)

    def _move_checkpoint_to_series(
        self, generation: int, mark: int, series: int, up: bool
    ) -> tuple[int, int]:
        """Return a checkpoint's tokens and payments as seen from a later generation of claims.

        Tokens of an older generation count 0, and the payments to them become due.
        """
        checkpoint: Checkpoint = self.checkpoints[generation, mark]
        paid = self.paid_before[generation, mark]
        if checkpoint.series == series or checkpoint.tokens == 0:
            return checkpoint.tokens, paid
        due = checkpoint.tokens * self.paid[checkpoint.series]
        return 0, paid - (div_up(due, RAY) if up else due // RAY)

    def _move_tokens(self, owner: str, to: str, amount: int) -> None:
        self._check_receiver(to)
        generation = self.state[()].generation
        self._settle_owner(generation, owner)
        self._settle_owner(generation, to)
        self._transfer_tokens(generation, owner, to, amount)

    def _settle_owner(self, generation: int, owner: str) -> None:
        """Credit an owner with the payments to the tokens held since the last settlement."""
        paid = int(self.paid[generation])
        balance: Balance = self.balances[generation, owner]
        if balance.mark == paid:
            return
        due = balance.shares * (paid - balance.mark) // RAY
        if due != 0:
            self._credit_owner_cash(generation, owner, due)
        self._set_mark(generation, owner, paid)

    def _credit_owner_cash(self, generation: int, owner: str, amount: int) -> None:
        self.credits[owner] = self.credits[owner] + amount
        self.emit("Credited", generation, owner, amount)

    def _reduce_series(self, series: Series, tokens: int, owed: int) -> None:
        """Reduce the number of claims and the debt owed to them; without debt begin a new generation."""
        if owed == series.outstanding:
            self.series[()] = Series()
            self._new_generation()
        else:
            self.series[()] = Series(sub(series.tokens, tokens), sub(series.outstanding, owed))

    def _get_equity_price(self) -> int:
        """Return the conversion price of 1e18 of equity [ray]; 0 while the feed has no price."""
        highest, average = self.price_feed.highest_and_average(self.address, bounds.EQUITY_MARKET)
        return max(self.set_price, highest, average) if highest else 0


def _compute_repayable(series: Series, most: int) -> int:
    """Return how much of at most `most` can be repaid [wad].

    This is the whole debt, or a part that leaves at least 1 wei of debt for each MAX_DILUTION tokens.
    """
    if most >= series.outstanding:
        return series.outstanding
    return min(most, series.outstanding - div_up(series.tokens, MAX_DILUTION))
