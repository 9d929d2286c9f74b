# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title MarginFund
@license GNU Affero General Public License v3.0 only
@notice Pays for losses of the margin market: with insurance before gains of their cycle do, up to a cap for
        each bucket of time. For late losses it pays first with withdrawn profits that have not vested, pro
        rata, then with insurance, and then with the protocol's stages, within the market's line. It computes
        how later gains share the unpaid rest.
@dev A withdrawn profit is in the bucket of time in which it was withdrawn, and vests when that many buckets
     have passed. A bucket's shares divide the profits left in it, so that a clawback touches one slot. If
     little is left for many shares, the rest is insurance, and the bucket begins again: its old shares are
     worth nothing. The books: insurance + all buckets == booked, at most the balance held. Packed by hand:
     one record is one slot, the first field at bit 0.
"""
from ethereum.ercs import IERC20

from contracts.interfaces import IMarginFund
from contracts.interfaces import IPerpetualMarket
from contracts.modules import policy_calls
from contracts.modules import bounds
from contracts.modules import roles
from contracts.modules import units

implements: IMarginFund

initializes: roles

exports: (
    roles.admin,
    roles.pending_admin,
    roles.transfer_admin,
    roles.accept_admin,
    roles.grant_role,
    roles.revoke_role,
    roles.has_role,
)


event ProfitLocked:
    owner: indexed(address)
    bucket: indexed(uint256)  # [id]
    amount: uint256  # [wad]
    shares: uint256  # [shares]


event ProfitClaimed:
    owner: indexed(address)
    bucket: indexed(uint256)  # [id]
    amount: uint256  # [wad]


event ClawedBack:
    bucket: indexed(uint256)  # [id]
    amount: uint256  # [wad]
    dust: uint256  # [wad] That nobody has a share of any more.


event LossAbsorbed:
    loss: uint256  # [wad]
    clawed_back: uint256  # [wad] By unvested profits.
    insured: uint256  # [wad]


event ShortfallPosted:
    amount: uint256  # [wad]


event InsuranceAdded:
    payer: indexed(address)
    amount: uint256  # [wad]


event CapSet:
    cap: uint256  # [whole stablecoins]


struct Bucket:
    assets: uint256  # wad, 104 bits
    shares: uint256  # 136 bits
    generation: uint256  # how often it began again, 16 bits


struct Holding:
    shares: uint256  # 136 bits
    generation: uint256  # in which they were made, 16 bits


MASK_104: constant(uint256) = 2**104 - 1
MASK_136: constant(uint256) = 2**136 - 1
MASK_16: constant(uint256) = 2**16 - 1
MASK_32: constant(uint256) = 2**32 - 1
# Two of each market: as 2*market for those who gained as long, and one more for the short.
SIDES: constant(uint256) = 2 * bounds.MAX_MARGIN_MARKETS
# As the loss waterfall has it: EIP-150 keeps a 63rd part back, and the call itself costs something.
LEAST_GAS: constant(uint256) = bounds.FACILITATOR_GAS + bounds.FACILITATOR_GAS // 63 + 10_000
# A bucket with more shares for a wei of assets begins again.
MAX_SHARES: constant(uint256) = 2**32

STABLECOIN: public(immutable(IERC20))
MARGIN_MARKET: public(immutable(IPerpetualMarket))
# The protocol's facilitator, which bears the rest of a loss within its line; the zero address is none.
FACILITATOR: public(immutable(address))
# Seconds in a bucket.
LENGTH: public(immutable(uint256))
# How many buckets have not vested, with that of now.
BUCKETS: public(immutable(uint256))

# Whole stablecoins of insurance that may be spent in a bucket of time.
cap: public(uint256)
# IMarginFund.Insurance: amount and spent, wad, 104 bits each; bucket, 32 bits
insurance: uint256
# bucket -> Bucket
buckets: HashMap[uint256, uint256]
# owner -> bucket -> Holding
holdings: HashMap[address, HashMap[uint256, uint256]]


@deploy
def __init__(
    stablecoin: address,
    margin_market: address,
    facilitator: address,
    admin: address,
    length: uint256,
    buckets: uint256,
):
    """
    @param stablecoin The token that it holds.
    @param margin_market The market with the losses to bear and the profits that vest here.
    @param facilitator The protocol's facilitator: it bears the rest within its line; zero address: none.
    @param admin Sets the cap.
    @param length [seconds] Of a bucket of time.
    @param buckets [count] That pass until a profit has vested.
    """
    roles.__init__(admin)
    assert length >= bounds.MIN_BUCKET and length <= bounds.MAX_BUCKET, "margin_fund: bucket bounds"
    assert buckets != 0 and buckets <= bounds.MAX_BUCKETS, "margin_fund: bucket count"
    STABLECOIN = IERC20(stablecoin)
    MARGIN_MARKET = IPerpetualMarket(margin_market)
    FACILITATOR = facilitator
    LENGTH = length
    BUCKETS = buckets


# ------------------------------------------------------------------ profits


@external
def lock(owner: address, amount: uint256):
    """
    @notice Keep a withdrawn profit until it has vested. Margin market only, which has paid it in.
    @param owner Owner of the profit.
    @param amount [wad] How much.
    """
    self._only_market()
    # Nobody could be paid.
    assert owner != empty(address), "margin_fund: zero owner"
    bucket: uint256 = block.timestamp // LENGTH
    state: Bucket = self._load_bucket(bucket)
    shares: uint256 = amount
    if state.assets != 0:
        shares = amount * state.shares // state.assets
    holding: Holding = self._load_holding(owner, bucket)
    if holding.generation != state.generation:
        holding = Holding(shares=0, generation=state.generation)
    holding.shares += shares
    state.assets += amount
    state.shares += shares
    self._store_bucket(bucket, state)
    self.holdings[owner][bucket] = holding.shares | (holding.generation << 136)
    log ProfitLocked(owner=owner, bucket=bucket, amount=amount, shares=shares)


@external
@nonreentrant
def claim(owner: address, bucket: uint256) -> uint256:
    """
    @notice Pay an owner the rest of profits that were withdrawn in a bucket of time, once it has vested.
            Anyone.
    @param owner Owner of the profits.
    @param bucket [id] In which they were withdrawn.
    @return [wad] Rounded down; the last one gets the rest.
    """
    assert bucket + BUCKETS <= block.timestamp // LENGTH, "margin_fund: not vested"
    state: Bucket = self._load_bucket(bucket)
    amount: uint256 = self._compute_value(self._load_holding(owner, bucket), state)
    assert amount != 0, "margin_fund: nothing to claim"
    state.shares -= self._load_holding(owner, bucket).shares
    state.assets -= amount
    self.holdings[owner][bucket] = 0
    self._store_bucket(bucket, state)
    log ProfitClaimed(owner=owner, bucket=bucket, amount=amount)
    extcall STABLECOIN.transfer(owner, amount)
    return amount


# ------------------------------------------------------------------- losses


@external
@nonreentrant
def absorb(loss: uint256, most: uint256) -> uint256:
    """
    @notice Pay for a loss. Margin market only. Protects: all unvested profits give the same share;
            insurance gives nothing before they are gone, nor more than its cap in a bucket of time, however a
            loss is split; the protocol bears nothing before both are gone. A protocol that bears no loss now,
            as in an emergency, pays nothing, and stops nothing.
    @param loss [wad] The unpaid part.
    @param most [wad] That profits pay of it.
    @return [wad] Paid to the market, at most the loss.
    """
    self._only_market()
    clawed_back: uint256 = self._claw_back(min(loss, most))
    insured: uint256 = self._pay_loss_from_insurance(loss - clawed_back)
    log LossAbsorbed(loss=loss, clawed_back=clawed_back, insured=insured)
    paid: uint256 = clawed_back + insured
    extcall STABLECOIN.transfer(msg.sender, paid)
    return paid + self._post_loss(loss - paid)


@external
@nonreentrant
def cover(cycle: uint256, markets: uint256) -> (uint256, uint256[bounds.MAX_MARGIN_MARKETS]):
    """
    @notice Pay for the losses of a cycle with insurance alone, the same share of each. Margin market only.
            Protects: no more than its cap in a bucket of time, however losses are split.
    @param cycle [id] The cycle that becomes final.
    @param markets [count] How many markets there are.
    @return [wad] Paid to the market, at most all losses of the cycle.
    @return [wei] Reductions of the burden on the gains of each market, as SideTotals.
    """
    self._only_market()
    losses: uint256[SIDES] = empty(uint256[SIDES])
    total: uint256 = 0
    for market: uint256 in range(markets, bound=bounds.MAX_MARGIN_MARKETS):
        borne: IPerpetualMarket.SideTotals = (staticcall MARGIN_MARKET.cycle_of(market, cycle))[1]
        losses[2 * market] = borne.long
        losses[2 * market + 1] = borne.short
        total += borne.long + borne.short
    insured: uint256 = 0
    if total != 0:
        insured = self._pay_loss_from_insurance(total)
        log LossAbsorbed(loss=total, clawed_back=0, insured=insured)
        extcall STABLECOIN.transfer(msg.sender, insured)
    return insured, self._split_by_weights(insured, losses, total)


@external
def add_fees(amount: uint256):
    """
    @notice Book fees of liquidations as insurance. Margin market only, which has paid them in.
    @param amount [wad] How much.
    """
    self._only_market()
    self._add_insurance(amount)


@external
@nonreentrant
def insure(amount: uint256):
    """
    @notice Add to the insurance, for good. Anyone, with the caller's stablecoin, on an allowance.
    @param amount [wad] How much.
    """
    self._add_insurance(amount)
    extcall STABLECOIN.transferFrom(msg.sender, self, amount)


# --------------------------------------------------------------- parameters


@external
def set_cap(new: uint256):
    """
    @notice Set how much insurance may be spent in a bucket of time. Admin only.
    @param new [whole stablecoins] Of insurance.
    """
    roles._only_admin()
    assert new <= bounds.MAX_GLOBAL_DEBT_CEILING, "margin_fund: cap bounds"
    self.cap = new
    log CapSet(cap=new)


# -------------------------------------------------------------------- views


@external
@view
def insurance_of() -> IMarginFund.Insurance:
    """
    @notice Return the insurance, and the part of it that was spent in the current bucket of time.
    @return Both, and that bucket.
    """
    return self._load_insurance_for_current_bucket()


@external
@view
def spendable() -> uint256:
    """
    @notice Return the amount that insurance may pay now: its balance, at most the room under its cap in this
            bucket of time.
    @return [wad] The lesser of both.
    """
    return self._compute_spendable(self._load_insurance_for_current_bucket())


@external
@view
def bucket_of(bucket: uint256) -> Bucket:
    """
    @notice Return the rest of the profits of a bucket of time.
    @param bucket [id] In which they were withdrawn.
    @return Assets, shares, and how often it began again.
    """
    return self._load_bucket(bucket)


@external
@view
def profit_of(owner: address, bucket: uint256) -> uint256:
    """
    @notice Return the rest of an owner's profits of a bucket of time, vested or not.
    @param owner Owner of the profits.
    @param bucket [id] In which they were withdrawn.
    @return [wad] Rounded down.
    """
    return self._compute_value(self._load_holding(owner, bucket), self._load_bucket(bucket))


@external
@view
def unvested() -> uint256:
    """
    @notice Return the profits that can be clawed back now.
    @return [wad] Of all buckets that have not vested.
    """
    return self._list_unvested_buckets(block.timestamp // LENGTH)


@external
@view
def allocate(
    late: uint256, cycle: uint256, markets: uint256
) -> (uint256, uint256[bounds.MAX_MARGIN_MARKETS]):
    """
    @notice Allocate losses that were late before a cycle to its gains, by the room of each side of a market.
            The room is the policy's share of the gains that the side still had at the end of the cycle, as
            far as they bear no loss. Protects: no account pays for others out of a gain that has gone again.
    @param late [wad] The amount to be paid.
    @param cycle [id] The cycle that becomes final.
    @param markets [count] How many markets there are.
    @return [wad] Payment of these gains, at most all room.
    @return [wei] Additions to the burden on the gains of each market, as SideTotals.
    """
    policy: address = (staticcall MARGIN_MARKET.POLICY()).address
    rooms: uint256[SIDES] = empty(uint256[SIDES])
    everything: uint256 = 0
    for market: uint256 in range(markets, bound=bounds.MAX_MARGIN_MARKETS):
        share: uint256 = policy_calls._ask_number(
            policy, abi_encode(market, method_id=method_id("haircut(uint256)"))
        )
        if share > units.BASIS_POINTS:
            share = 0
        gained: IPerpetualMarket.SideTotals = empty(IPerpetualMarket.SideTotals)
        borne: IPerpetualMarket.SideTotals = empty(IPerpetualMarket.SideTotals)
        begun: IPerpetualMarket.Values = empty(IPerpetualMarket.Values)
        before: IPerpetualMarket.SideTotals = empty(IPerpetualMarket.SideTotals)
        gained, borne, begun, before = staticcall MARGIN_MARKET.cycle_of(market, cycle)
        ended: IPerpetualMarket.Values = empty(IPerpetualMarket.Values)
        after: IPerpetualMarket.SideTotals = empty(IPerpetualMarket.SideTotals)
        other: IPerpetualMarket.SideTotals = empty(IPerpetualMarket.SideTotals)
        more: IPerpetualMarket.SideTotals = empty(IPerpetualMarket.SideTotals)
        other, more, ended, after = staticcall MARGIN_MARKET.cycle_of(market, cycle + 1)
        # A short's value is what it owes.
        long: uint256 = self._net(gained.long, before.long, after.long, ended.long - begun.long)
        short: uint256 = self._net(gained.short, before.short, after.short, begun.short - ended.short)
        rooms[2 * market] = min(long * share // units.BASIS_POINTS, gained.long - borne.long)
        rooms[2 * market + 1] = min(short * share // units.BASIS_POINTS, gained.short - borne.short)
        everything += rooms[2 * market] + rooms[2 * market + 1]
    charged: uint256 = min(late, everything)
    return charged, self._split_by_weights(charged, rooms, everything)


# ------------------------------------------------------------------ helpers


@internal
def _claw_back(loss: uint256) -> uint256:
    """
    @dev Each bucket gives floor(loss*so far/all) less the sum of the buckets before it: in all exactly the
         loss, and no bucket more than it has.
    """
    now: uint256 = block.timestamp // LENGTH
    everything: uint256 = self._list_unvested_buckets(now)
    taken: uint256 = min(loss, everything)
    if taken == 0:
        return 0
    passed: uint256 = 0
    given: uint256 = 0
    for i: uint256 in range(BUCKETS, bound=bounds.MAX_BUCKETS):
        state: Bucket = self._load_bucket(now - i)
        if state.assets == 0:
            continue
        passed += state.assets
        amount: uint256 = taken * passed // everything - given
        given += amount
        state.assets -= amount
        dust: uint256 = 0
        if state.shares > state.assets * MAX_SHARES:
            dust = state.assets
            assert state.generation < MASK_16, "margin_fund: began too often"
            state = Bucket(assets=0, shares=0, generation=state.generation + 1)
            self._add_insurance(dust)
        self._store_bucket(now - i, state)
        log ClawedBack(bucket=now - i, amount=amount, dust=dust)
    return taken


@internal
def _post_loss(loss: uint256) -> uint256:
    """@dev Draw from the protocol for a loss and pay it to the market; return how much, wad."""
    if loss == 0 or FACILITATOR == empty(address):
        return 0
    assert msg.gas >= LEAST_GAS, "margin_fund: no gas to post"
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        FACILITATOR,
        abi_encode(loss, msg.sender, method_id=method_id("mint_for_loss(uint256,address)")),
        max_outsize=32,
        gas=bounds.FACILITATOR_GAS,
        revert_on_failure=False,
    )
    posted: uint256 = convert(answer, uint256) if success else 0
    if posted != 0:
        log ShortfallPosted(amount=posted)
    return posted


@internal
def _pay_loss_from_insurance(loss: uint256) -> uint256:
    """@dev Insurance for a loss, up to the cap of the bucket of now, wad."""
    insurance: IMarginFund.Insurance = self._load_insurance_for_current_bucket()
    insured: uint256 = min(loss, self._compute_spendable(insurance))
    insurance.amount -= insured
    insurance.spent += insured
    self._store_insurance_balance(insurance)
    return insured


@internal
@view
def _compute_spendable(insurance: IMarginFund.Insurance) -> uint256:
    """@dev The room under the cap of the current bucket, wad."""
    cap: uint256 = self.cap * units.WAD
    return min(insurance.amount, cap - min(cap, insurance.spent))


@internal
def _add_insurance(amount: uint256):
    insurance: IMarginFund.Insurance = self._load_insurance_for_current_bucket()
    insurance.amount += amount
    self._store_insurance_balance(insurance)
    log InsuranceAdded(payer=msg.sender, amount=amount)


@internal
@view
def _list_unvested_buckets(now: uint256) -> uint256:
    found: uint256 = 0
    for i: uint256 in range(BUCKETS, bound=bounds.MAX_BUCKETS):
        found += self._load_bucket(now - i).assets
    return found


@internal
@pure
def _net(gained: uint256, before: uint256, after: uint256, change: int256) -> uint256:
    """
    @dev The gain of a side in a cycle, as far as its lots were worth so much more at its end than when it
         began, wei, rounded down: nothing for a price that came back. Before and after it a lot of it had
         gained so much; the difference is under 2**117, as the sum of all gains is.
    """
    # Where nobody gained an edge may not be noted.
    if gained == 0 or change <= 0:
        return 0
    return gained * min(after - before, convert(change, uint256)) // (after - before)


@internal
@pure
def _split_by_weights(
    amount: uint256, weights: uint256[SIDES], everything: uint256
) -> uint256[bounds.MAX_MARGIN_MARKETS]:
    """@dev Parts of an amount by weights of some sum, by floors of running sums: they add up to it."""
    parts: uint256[bounds.MAX_MARGIN_MARKETS] = empty(uint256[bounds.MAX_MARGIN_MARKETS])
    if amount == 0:
        return parts
    passed: uint256 = 0
    given: uint256 = 0
    for side: uint256 in range(SIDES):
        passed += weights[side]
        part: uint256 = amount * passed // everything - given
        parts[side // 2] |= part << (128 * (side % 2))
        given += part
    return parts


@internal
@pure
def _compute_value(holding: Holding, state: Bucket) -> uint256:
    if holding.shares == 0 or holding.generation != state.generation:
        return 0
    return holding.shares * state.assets // state.shares


@internal
@view
def _load_insurance_for_current_bucket() -> IMarginFund.Insurance:
    word: uint256 = self.insurance
    found: IMarginFund.Insurance = IMarginFund.Insurance(
        amount=word & MASK_104, spent=(word >> 104) & MASK_104, bucket=word >> 208
    )
    now: uint256 = block.timestamp // LENGTH
    if found.bucket != now:
        found.spent = 0
        found.bucket = now
    return found


@internal
def _store_insurance_balance(insurance: IMarginFund.Insurance):
    # The supply is under 2**97 wei.
    assert insurance.amount <= MASK_104, "margin_fund: too much insurance"
    self.insurance = insurance.amount | (insurance.spent << 104) | (insurance.bucket << 208)


@internal
@view
def _load_bucket(bucket: uint256) -> Bucket:
    word: uint256 = self.buckets[bucket]
    return Bucket(assets=word & MASK_104, shares=(word >> 104) & MASK_136, generation=word >> 240)


@internal
def _store_bucket(bucket: uint256, state: Bucket):
    self.buckets[bucket] = state.assets | (state.shares << 104) | (state.generation << 240)


@internal
@view
def _load_holding(owner: address, bucket: uint256) -> Holding:
    word: uint256 = self.holdings[owner][bucket]
    return Holding(shares=word & MASK_136, generation=word >> 136)


@internal
@view
def _only_market():
    assert msg.sender == MARGIN_MARKET.address, "margin_fund: not the market"
