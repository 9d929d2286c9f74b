"""Payment for insolvent accounts of the margin market, before gains of other accounts pay.

First with profits that were withdrawn and have not vested, pro rata; then with insurance, up to a cap for
each bucket of time. Amounts in wad.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, cast

from backstop.contract_base import (
    ZERO_ADDRESS,
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, WAD, add_uint256, split_by_cumulative_weights
from backstop.model.interfaces import IERC20, IBridgeFacilitator, IMarginPolicy, Insurance, IPerpetualMarket
from backstop.model.roles import Administered

MAX_SHARES = 2**32
"""A bucket with more shares for a wei of assets begins again."""


@declare_record_slot_bit_widths(104, 136, 16)
class Bucket(NamedTuple):
    """Withdrawn profits of one time bucket that are not claimed or lost [wad], and their shares.

    `generation` counts how often the shares were reset to zero.
    """

    assets: int = 0
    shares: int = 0
    generation: int = 0


@declare_record_slot_bit_widths(136, 16)
class Holding(NamedTuple):
    """Owner's shares of a time bucket's profits, and how often the bucket's shares were reset before."""

    shares: int = 0
    generation: int = 0


class MarginFund(Administered):
    """Fund that pays losses of insolvent accounts of the perpetual markets.

    It pays from withdrawn profits that have not vested, then from insurance. Model of
    contracts/MarginFund.vy.
    """

    KIND = "MarginFund"

    stablecoin_address = immutable("STABLECOIN", str)
    margin_market_address = immutable("MARGIN_MARKET", str)
    # The protocol's facilitator, which bears the rest of a loss within its line; the zero address is none.
    facilitator_address = immutable("FACILITATOR", str)
    # Seconds in a bucket.
    length = immutable("LENGTH", int)
    # How many buckets have not vested, with that of now.
    bucket_count = immutable("BUCKETS", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        stablecoin: str,
        margin_market: str,
        facilitator: str,
        admin: str,
        length: int,
        buckets: int,
    ) -> None:
        super().__init__(world, name, address, admin)
        require(bounds.MIN_BUCKET <= length <= bounds.MAX_BUCKET, "margin_fund: bucket bounds")
        require(0 < buckets <= bounds.MAX_BUCKETS, "margin_fund: bucket count")
        self.stablecoin_address = stablecoin
        self.margin_market_address = margin_market
        self.facilitator_address = facilitator
        self.length = length
        self.bucket_count = buckets
        self.caps = self.table("cap")
        self.insurances = self.table("insurance", Insurance())
        self.buckets = self.table("buckets", Bucket())
        self.holdings = self.table("holdings", Holding())

    @property
    def stablecoin(self) -> IERC20:
        return cast(IERC20, self.world.at(self.stablecoin_address))

    @property
    def margin_market(self) -> IPerpetualMarket:
        return cast(IPerpetualMarket, self.world.at(self.margin_market_address))

    # ---------------------------------------------------------------- profits

    @external
    def lock(self, sender: str, owner: str, amount: int) -> None:
        """Lock an owner's withdrawn profit [wad] in the present time bucket until it vests.

        A time bucket is a fixed period of `length` seconds. Until the profit vests, losses can reduce it.
        Only the perpetual market may call this.
        """
        self._only_market(sender)
        require(owner != ZERO_ADDRESS, "margin_fund: zero owner")
        bucket = self._get_bucket()
        state: Bucket = self.buckets[bucket]
        shares = amount * state.shares // state.assets if state.assets else amount
        holding: Holding = self.holdings[owner, bucket]
        if holding.generation != state.generation:
            holding = Holding(0, state.generation)
        self.buckets[bucket] = state._replace(assets=state.assets + amount, shares=state.shares + shares)
        self.holdings[owner, bucket] = holding._replace(shares=holding.shares + shares)
        self.emit("ProfitLocked", owner, bucket, amount, shares)

    @external
    def claim(self, sender: str, owner: str, bucket: int) -> int:
        """Pay an owner the vested profits of a time bucket, and return the amount [wad, rounded down].

        Any account may call this. Reverts before the bucket has vested, or if nothing is left. The last owner
        of a bucket gets the rounding.
        """
        vested = add_uint256(bucket, self.bucket_count) <= self._get_bucket()
        require(vested, "margin_fund: not vested")
        state: Bucket = self.buckets[bucket]
        holding: Holding = self.holdings[owner, bucket]
        amount = _compute_value(holding, state)
        require(amount != 0, "margin_fund: nothing to claim")
        self.holdings[owner, bucket] = Holding()
        self.buckets[bucket] = state._replace(
            assets=state.assets - amount, shares=state.shares - holding.shares
        )
        self.emit("ProfitClaimed", owner, bucket, amount)
        self.stablecoin.transfer(self.address, owner, amount)
        return amount

    # ----------------------------------------------------------------- losses

    @external
    def absorb(self, sender: str, loss: int, most: int) -> int:
        """Pay for a loss from unvested profits, insurance and the protocol, and return the sum [wad].

        The sources pay in this order. Unvested profits pay at most `most`. Only the perpetual market may call
        this.
        """
        self._only_market(sender)
        clawed_back = self._claw_back(min(loss, most))
        insured = self._pay_loss_from_insurance(loss - clawed_back)
        self.emit("LossAbsorbed", loss, clawed_back, insured)
        paid = clawed_back + insured
        self.stablecoin.transfer(self.address, sender, paid)
        return paid + self._post_loss(loss - paid, sender)

    @external
    def cover(self, sender: str, cycle: int, markets: int) -> tuple[int, tuple[int, ...]]:
        """Pay for a cycle's losses from insurance alone; return the amount [wad] and each market's part.

        The payment is split pro rata to the losses of each market and side. A part packs the long side in the
        low 128 bits and the short side above. Only the perpetual market may call this.
        """
        self._only_market(sender)
        require(markets <= bounds.MAX_MARGIN_MARKETS, "")
        losses = [
            each
            for market in range(markets)
            for each in self.margin_market.cycle_of(self.address, market, cycle)[1]
        ]
        loss, insured = sum(losses), 0
        if loss != 0:
            insured = self._pay_loss_from_insurance(loss)
            self.emit("LossAbsorbed", loss, 0, insured)
            self.stablecoin.transfer(self.address, sender, insured)
        return insured, _pack_sides_into_market_words(split_by_cumulative_weights(insured, losses))

    @external
    def add_fees(self, sender: str, amount: int) -> None:
        """Book collected fees that the market has transferred as insurance [wad].

        Only the perpetual market may call this.
        """
        self._only_market(sender)
        self._add_insurance(sender, amount)

    @external
    def insure(self, sender: str, amount: int) -> None:
        """Add the caller's stablecoin [wad] to the insurance permanently. Any account may call this."""
        self._add_insurance(sender, amount)
        self.stablecoin.transferFrom(self.address, sender, self.address, amount)

    @external
    def set_cap(self, sender: str, new: int) -> None:
        """Set the most insurance that may be spent in a time bucket [whole stablecoins].

        A time bucket is a fixed period of `length` seconds. Only the admin may call this.
        """
        self._only_admin(sender)
        require(new <= bounds.MAX_GLOBAL_DEBT_CEILING, "margin_fund: cap bounds")
        self.caps[()] = new
        self.emit("CapSet", new)

    # ------------------------------------------------------------------ views

    @view
    def insurance_of(self, sender: str) -> Insurance:
        """Return the insurance, and the amount spent from it in the current period (time bucket) [wad]."""
        return self._load_insurance_for_current_bucket()

    @view
    def spendable(self, sender: str) -> int:
        """Return the amount that insurance may pay now, within its balance and the period's cap [wad]."""
        return self._compute_spendable(self._load_insurance_for_current_bucket())

    @view
    def bucket_of(self, sender: str, bucket: int) -> Bucket:
        """Return the record of the withdrawn profits that are left in a time bucket (a fixed period)."""
        return cast(Bucket, self.buckets[bucket])

    @view
    def profit_of(self, sender: str, owner: str, bucket: int) -> int:
        """Return the owner's profits left in a time bucket [wad, rounded down]."""
        return _compute_value(self.holdings[owner, bucket], self.buckets[bucket])

    @view
    def unvested(self, sender: str) -> int:
        """Return all profits that are not vested and can pay for losses now [wad]."""
        return sum(self.buckets[bucket].assets for bucket in self._list_unvested_buckets())

    @view
    def cap(self, sender: str) -> int:
        """Return the most insurance that may be spent in a time bucket [whole stablecoins].

        A time bucket is a fixed period of `length` seconds.
        """
        return int(self.caps[()])

    @view
    def allocate(self, sender: str, late: int, cycle: int, markets: int) -> tuple[int, tuple[int, ...]]:
        """Return the late losses that a cycle's gains pay [wad], and each market's share of them.

        A late loss is one that no gain of its own cycle could pay. A side of a market pays at most a part of
        its net gain, which the policy sets (`haircut`). A share packs the long side in the low 128 bits and
        the short side above.
        """
        require(markets <= bounds.MAX_MARGIN_MARKETS, "")
        policy = cast(IMarginPolicy, self.world.at(self.margin_market.POLICY(self.address)))
        rooms = []
        for market in range(markets):
            share = self.world.call_or_return_none(partial(policy.haircut, self.address, market))
            if share is None or share > BASIS_POINTS:
                share = 0
            totals, losses, begun, before = self.margin_market.cycle_of(self.address, market, cycle)
            _, _, ended, after = self.margin_market.cycle_of(self.address, market, cycle + 1)
            # A short's value is what it owes.
            changes = ended.long - begun.long, begun.short - ended.short
            for total, loss, old, new, change in zip(totals, losses, before, after, changes, strict=True):
                # Of a price that came back nothing; where nobody gained an edge may not be noted.
                net = total * min(new - old, max(0, change)) // (new - old) if total else 0
                rooms.append(min(net * share // BASIS_POINTS, total - loss))
        charged = min(late, sum(rooms))
        return charged, _pack_sides_into_market_words(split_by_cumulative_weights(charged, rooms))

    # ---------------------------------------------------------------- helpers

    def _get_bucket(self) -> int:
        return self.world.timestamp // self.length

    def _list_unvested_buckets(self) -> range:
        return range(self._get_bucket(), self._get_bucket() - self.bucket_count, -1)

    def _claw_back(self, loss: int) -> int:
        """Take a loss from all unvested profits pro rata, and return the amount taken [wad].

        Each time bucket pays the difference of two cumulative shares, each rounded down.
        """
        everything = sum(self.buckets[bucket].assets for bucket in self._list_unvested_buckets())
        taken = min(loss, everything)
        if taken == 0:
            return 0
        filled = [bucket for bucket in self._list_unvested_buckets() if self.buckets[bucket].assets != 0]
        parts = split_by_cumulative_weights(taken, [self.buckets[bucket].assets for bucket in filled])
        for bucket, amount in zip(filled, parts, strict=True):
            state: Bucket = self.buckets[bucket]
            state, dust = state._replace(assets=state.assets - amount), 0
            if state.shares > state.assets * MAX_SHARES:
                dust = state.assets
                require(state.generation < 2**16 - 1, "margin_fund: began too often")
                state = Bucket(0, 0, state.generation + 1)
                self._add_insurance(self.margin_market_address, dust)
            self.buckets[bucket] = state
            self.emit("ClawedBack", bucket, amount, dust)
        return int(taken)

    def _post_loss(self, loss: int, receiver: str) -> int:
        """Mint protocol stablecoin to the market for a loss, and return the amount [wad]; 0 if that fails."""
        if loss == 0 or self.facilitator_address == ZERO_ADDRESS:
            return 0
        facilitator = cast(IBridgeFacilitator, self.world.at(self.facilitator_address))
        posted = (
            self.world.call_or_return_none(lambda: facilitator.mint_for_loss(self.address, loss, receiver))
            or 0
        )
        if posted:
            self.emit("ShortfallPosted", posted)
        return posted

    def _pay_loss_from_insurance(self, loss: int) -> int:
        """Deduct a loss from insurance, up to the bucket's cap, and return the amount [wad]."""
        insurance = self._load_insurance_for_current_bucket()
        insured = min(loss, self._compute_spendable(insurance))
        self._store_insurance_balance(
            insurance._replace(amount=insurance.amount - insured, spent=insurance.spent + insured)
        )
        return insured

    def _compute_spendable(self, insurance: Insurance) -> int:
        """Return the part of the insurance that the current time bucket's cap still allows to spend [wad]."""
        return int(min(insurance.amount, max(0, self.caps[()] * WAD - insurance.spent)))

    def _add_insurance(self, payer: str, amount: int) -> None:
        insurance = self._load_insurance_for_current_bucket()
        self._store_insurance_balance(insurance._replace(amount=add_uint256(insurance.amount, amount)))
        self.emit("InsuranceAdded", payer, amount)

    def _load_insurance_for_current_bucket(self) -> Insurance:
        insurance: Insurance = self.insurances[()]
        if insurance.bucket != self._get_bucket():
            insurance = Insurance(insurance.amount, 0, self._get_bucket())
        return insurance

    def _store_insurance_balance(self, insurance: Insurance) -> None:
        require(insurance.amount < 2**104, "margin_fund: too much insurance")
        self.insurances[()] = insurance

    def _only_market(self, sender: str) -> None:
        require(sender == self.margin_market_address, "margin_fund: not the market")


def _compute_value(holding: Holding, state: Bucket) -> int:
    if holding.shares == 0 or holding.generation != state.generation:
        return 0
    return holding.shares * state.assets // state.shares


def _pack_sides_into_market_words(side_amounts: Sequence[int]) -> tuple[int, ...]:
    """Return one word for each market, with the long amount in the low 128 bits, the short above.

    `side_amounts` lists long and short amounts in turn. Markets without amounts get 0.
    """
    words = [long | short << 128 for long, short in zip(side_amounts[::2], side_amounts[1::2], strict=True)]
    return (*words, *[0] * (bounds.MAX_MARGIN_MARKETS - len(words)))
