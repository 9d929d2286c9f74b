# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ledger
@license GNU Affero General Public License v3.0 only
@notice One double-entry balance sheet. Every change of money in the protocol is one of the postings
        below; after each call, in rad and exactly,

          supply*RAY + reserve + sum of buffers
              == sum of (performing + in_auction + deficit) + settled

        where performing[c] = normalized_debt*accumulated_rate, and settled is zero before settlement.
@dev Only this module writes this storage. A vault operation takes a type's record from `_post_accrual`,
     changes it in memory, and hands it to `_store_debts` once; all else is one call of a posting.

     Packed by hand: one record is one slot, the first field at bit 0. Widths and why they are enough:
     a type's debt is kept to MAX_TYPE_DEBT = 2**181 rad (3 billion stablecoins) and there are at most
     2**5 types, so every rad figure of the balance sheet stays under 2**186. Each field below that
     holds one has at least that width, so adding to the lowest field of a word can never carry.
"""
from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IStablecoin
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import revert_reason
from contracts.modules import units

# [rad]
MAX_TYPE_DEBT: constant(uint256) = 2**181 - 1
# [ray]
MAX_RATE: constant(uint256) = 2**104 - 1
# [seconds] The longest power that fits (`units._rpow`): longer stretches are charged in years of this.
YEAR: constant(uint256) = 365 * 86_400
# All the years that a timestamp of 32 bits can be away.
MOST_YEARS: constant(uint256) = 2**32 // YEAR

MASK_14: constant(uint256) = 2**14 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_33: constant(uint256) = 2**33 - 1
MASK_104: constant(uint256) = 2**104 - 1
MASK_186: constant(uint256) = 2**186 - 1
MASK_188: constant(uint256) = 2**188 - 1
# [whole stablecoins] What the global debt ceiling reads once settlement has begun; no ceiling is as high.
NO_CEILING: constant(uint256) = 2**33 - 1
# Of `Debts.distressed`:
# in_auction + deficit > 0.
DISTRESSED: constant(uint256) = 1
# A redistribution of this epoch or the one before may be charged on draws.
SURCHARGED: constant(uint256) = 2

# collateral type -> normalized debt ([wad], 104 bits) | accumulated rate ([ray], 104 bits)
# | accrued at ([timestamp], 32 bits) | DISTRESSED, SURCHARGED (2 bits)
# | buffer share ([basis points] of fees, 14 bits)
debts: HashMap[uint256, uint256]
# collateral type -> buffer ([rad], 188 bits) | stability fee ([ray] a second above RAY, 66 bits)
income: HashMap[uint256, uint256]
# collateral type -> in_auction ([rad] of principal, 188 bits) | limit ([whole stablecoins], 32 bits)
# | limit of all types together ([whole stablecoins], 33 bits; the same in each type that is listed)
# | whether a liquidation mechanism sells its vaults (1 bit), so that no liquidation starts an auction
auctions: HashMap[uint256, uint256]
# [rad] collateral type -> recognised, uncovered loss
deficit: HashMap[uint256, uint256]
# collateral type -> added ([ray] that the accumulated rate took on in the epoch, 104 bits)
# | end of that epoch ([timestamp], 32 bits) | cap ([basis points] of the rate for two epochs, 14 bits)
# | before ([ray] that it took on in the epoch before, 104 bits)
redistributions: HashMap[uint256, uint256]
# [wad] collateral type -> collateral left over from closed auctions, or taken by settlement
salvage: HashMap[uint256, uint256]
# reserve ([rad], 186 bits) | buffers (sum of ceil(buffer) in [whole stablecoins], 37 bits)
# | global debt ceiling ([whole stablecoins], 33 bits; NO_CEILING once settlement has begun)
system: uint256
# [rad] Debt that settlement has settled, or owes holders once the books are closed.
settled: public(uint256)

# The debt token.
STABLECOIN: public(immutable(IStablecoin))
# Where deficits are recognised.
LOSS_WATERFALL: public(immutable(ILossWaterfall))


@deploy
def __init__(stablecoin: address, loss_waterfall: address):
    """
    @param stablecoin The debt token.
    @param loss_waterfall Where deficits are recognised.
    """
    STABLECOIN = IStablecoin(stablecoin)
    LOSS_WATERFALL = ILossWaterfall(loss_waterfall)


# -------------------------------------------------------------------- views


@external
@view
def debts_of(collateral_type: uint256) -> IVaultEngine.Debts:
    """
    @notice Return a type's debt, its rate as of the last accrual, and how fees are shared.
    @param collateral_type [id] The collateral type.
    @return Its record; zeros for an unknown type.
    """
    return self._load_debts(collateral_type)


@external
@view
def stability_fee_of(collateral_type: uint256) -> uint256:
    """
    @notice Return the stability fee.
    @param collateral_type [id] The collateral type.
    @return [ray a second] The fee, above RAY.
    """
    return self._get_stored_stability_fee(collateral_type)


@external
@view
def buffer_of(collateral_type: uint256) -> uint256:
    """
    @notice Return the type's own first-loss buffer.
    @param collateral_type [id] The collateral type.
    @return [rad] The buffer.
    """
    return self._buffer(collateral_type)


@external
@view
def in_auction_of(collateral_type: uint256) -> uint256:
    """
    @notice Return the principal under auction.
    @param collateral_type [id] The collateral type.
    @return [rad] The principal.
    """
    return self._in_auction(collateral_type)


@external
@view
def auction_limit_of(collateral_type: uint256) -> uint256:
    """
    @notice Return how much principal of a type may be under auction.
    @param collateral_type [id] The collateral type.
    @return [whole stablecoins] The limit.
    """
    return (self.auctions[collateral_type] >> 188) & MASK_32


@external
@view
def deficit_of(collateral_type: uint256) -> uint256:
    """
    @notice Return the type's recognised, uncovered loss.
    @param collateral_type [id] The collateral type.
    @return [rad] The deficit.
    """
    return self.deficit[collateral_type]


@external
@view
def salvage_of(collateral_type: uint256) -> uint256:
    """
    @notice Return the collateral left over from closed auctions, or taken by settlement.
    @param collateral_type [id] The collateral type.
    @return [wad] The salvage.
    """
    return self.salvage[collateral_type]


@external
@view
def redistribution_of(collateral_type: uint256) -> IVaultEngine.Redistribution:
    """
    @notice Return the rise of a type's accumulated rate by redistribution in this epoch and the one before,
            and its cap.
    @param collateral_type [id] The collateral type.
    @return Its record as of now.
    """
    return self._compute_current_redistribution(collateral_type)


@external
@view
def reserve() -> uint256:
    """
    @notice Return the insurance fund of all types.
    @return [rad] The reserve.
    """
    return self._reserve()


@external
@view
def in_settlement() -> bool:
    """
    @notice Return whether settlement has begun.
    @return Once true, true for good.
    """
    return self._is_settling()


# ------------------------------------------------------------------ records


@internal
@view
def _load_debts(collateral_type: uint256) -> IVaultEngine.Debts:
    word: uint256 = self.debts[collateral_type]
    return IVaultEngine.Debts(
        normalized_debt=word & MASK_104,
        accumulated_rate=(word >> 104) & MASK_104,
        accrued_at=(word >> 208) & MASK_32,
        distressed=(word >> 240) & 3,
        buffer_share=word >> 242,
    )


@internal
def _store_debts(collateral_type: uint256, debts: IVaultEngine.Debts):
    self.debts[collateral_type] = (
        debts.normalized_debt
        | (debts.accumulated_rate << 104)
        | (debts.accrued_at << 208)
        | (debts.distressed << 240)
        | (debts.buffer_share << 242)
    )


@internal
@view
def _compute_current_redistribution(collateral_type: uint256) -> IVaultEngine.Redistribution:
    """@dev An addition counts in its epoch and the next: the two lie over any stretch as long as one."""
    word: uint256 = self.redistributions[collateral_type]
    redistribution: IVaultEngine.Redistribution = IVaultEngine.Redistribution(
        added=word & MASK_104,
        ends=(word >> 104) & MASK_32,
        cap=(word >> 136) & MASK_14,
        before=word >> 150,
    )
    if block.timestamp >= redistribution.ends:
        redistribution.before = 0
        if redistribution.added != 0:
            length: uint256 = staticcall LOSS_WATERFALL.EPOCH_LENGTH()
            redistribution.ends = unsafe_add(redistribution.ends, length)
            if block.timestamp < redistribution.ends:
                redistribution.before = redistribution.added
            redistribution.added = 0
    return redistribution


@internal
def _store_redistribution(collateral_type: uint256, redistribution: IVaultEngine.Redistribution):
    self.redistributions[collateral_type] = (
        redistribution.added
        | (redistribution.ends << 104)
        | (redistribution.cap << 136)
        | (redistribution.before << 150)
    )


@internal
@view
def _reserve() -> uint256:
    return self.system & MASK_186


@internal
@view
def _buffer(collateral_type: uint256) -> uint256:
    return self.income[collateral_type] & MASK_188


@internal
@view
def _in_auction(collateral_type: uint256) -> uint256:
    return self.auctions[collateral_type] & MASK_188


@internal
@view
def _auctions(collateral_type: uint256) -> (uint256, uint256, uint256):
    """@dev in_auction ([rad]), its limit, and that of all types ([whole stablecoins])."""
    word: uint256 = self.auctions[collateral_type]
    return word & MASK_188, (word >> 188) & MASK_32, (word >> 220) & MASK_33


@internal
@view
def _get_mechanism_flag(collateral_type: uint256) -> uint256:
    """@dev 1 if a liquidation mechanism sells the type's vaults."""
    return self.auctions[collateral_type] >> 253


@internal
@view
def _sum_auctioned_principal_and_deficit(collateral_type: uint256) -> uint256:
    """@dev in_auction + deficit, [rad]."""
    return unsafe_add(self._in_auction(collateral_type), self.deficit[collateral_type])


@internal
@view
def _is_settling() -> bool:
    """@dev Whether settlement has begun."""
    return self.system >> 223 == NO_CEILING


@internal
@view
def _check_live():
    """@dev Check that the protocol is not in settlement."""
    self._check_not(self._is_settling())


@internal
@pure
def _check_not(settling: bool):
    """@dev The same by a bit beside a type's terms, which is loaded anyway and so costs nothing."""
    if settling:
        revert_reason._raise("ledger: in settlement")


# --------------------------------------------------------------- parameters


@internal
def _open_type(collateral_type: uint256):
    """@dev A new type: no debt, a rate of one."""
    self._store_debts(
        collateral_type,
        IVaultEngine.Debts(
            normalized_debt=0,
            accumulated_rate=units.RAY,
            accrued_at=block.timestamp,
            distressed=0,
            buffer_share=0,
        ),
    )


@internal
@view
def _get_stored_stability_fee(collateral_type: uint256) -> uint256:
    return self.income[collateral_type] >> 188


@internal
def _store_stability_fee(collateral_type: uint256, new: uint256):
    """@dev [ray] a second above RAY, 66 bits. The caller has charged the old one, or it counts from then."""
    self.income[collateral_type] = self._buffer(collateral_type) | (new << 188)


@internal
def _set_buffer_share(collateral_type: uint256, new: uint256):
    """@dev [basis points], 14 bits. Fees up to now are shared at the old value."""
    debts: IVaultEngine.Debts = self._post_accrual(collateral_type)
    debts.buffer_share = new
    self._store_debts(collateral_type, debts)


@internal
def _store_auction_limit(collateral_type: uint256, new: uint256):
    """@dev [whole stablecoins], 32 bits."""
    word: uint256 = self.auctions[collateral_type] & ~(MASK_32 << 188)
    self.auctions[collateral_type] = word | (new << 188)


@internal
def _note_global_auction_limit(collateral_type: uint256, new: uint256):
    """@dev [whole stablecoins], 33 bits: beside the type's own, which a liquidation reads anyway."""
    word: uint256 = self.auctions[collateral_type]
    self.auctions[collateral_type] = (word & ~(MASK_33 << 220)) | (new << 220)


@internal
def _note_mechanism(collateral_type: uint256):
    """@dev For good, in the slot that a liquidation reads for the limits anyway."""
    self.auctions[collateral_type] |= 1 << 253


@internal
def _store_redistribution_cap(collateral_type: uint256, new: uint256):
    """@dev [basis points], 14 bits."""
    redistribution: IVaultEngine.Redistribution = self._compute_current_redistribution(collateral_type)
    redistribution.cap = new
    self._store_redistribution(collateral_type, redistribution)


@internal
def _store_global_debt_ceiling(new: uint256):
    """@dev [whole stablecoins], 33 bits; NO_CEILING begins settlement, for good."""
    self.system = (self.system & (2**223 - 1)) | (new << 223)


# ----------------------------------------------------------------- postings


@internal
def _post_accrual(collateral_type: uint256) -> IVaultEngine.Debts:
    """
    @dev performing +x, buffer +floor(x*share), reserve +rest, with x = normalized_debt*(rate' - rate) and
         rate' = floor(rpow(RAY + fee, elapsed)*rate/RAY), year by year and then the rest, capped. All time up
         to now: no borrower is charged for time before the debt. Never reverts. The caller stores the
         returned record.
    """
    debts: IVaultEngine.Debts = self._load_debts(collateral_type)
    elapsed: uint256 = unsafe_sub(block.timestamp, debts.accrued_at)
    if elapsed == 0:
        return debts
    debts.accrued_at = block.timestamp
    income: uint256 = self.income[collateral_type]
    fee: uint256 = income >> 188
    if fee == 0:
        return debts

    highest: uint256 = MAX_RATE
    if debts.normalized_debt != 0:
        highest = min(highest, unsafe_div(MAX_TYPE_DEBT, debts.normalized_debt))
    # A factor of a year is under 2**94, the rate under 2**104.
    rate: uint256 = debts.accumulated_rate
    base: uint256 = unsafe_add(units.RAY, fee)
    if elapsed > YEAR:
        factor: uint256 = units._rpow(base, YEAR)
        for _: uint256 in range(unsafe_div(elapsed, YEAR), bound=MOST_YEARS):
            rate = min(unsafe_div(unsafe_mul(factor, rate), units.RAY), MAX_RATE)
        elapsed %= YEAR
    rate = unsafe_div(unsafe_mul(units._rpow(base, elapsed), rate), units.RAY)
    rate = max(min(rate, highest), debts.accumulated_rate)
    earned: uint256 = unsafe_mul(debts.normalized_debt, unsafe_sub(rate, debts.accumulated_rate))
    debts.accumulated_rate = rate
    if earned == 0:
        return debts

    to_buffer: uint256 = unsafe_div(unsafe_mul(earned, debts.buffer_share), units.BASIS_POINTS)
    buffer: uint256 = income & MASK_188
    self.income[collateral_type] = unsafe_add(income, to_buffer)
    self.system = unsafe_add(
        unsafe_add(self.system, unsafe_sub(earned, to_buffer)),
        self._compute_difference_in_whole_coins(buffer, unsafe_add(buffer, to_buffer)) << 186,
    )
    return debts


@internal
def _accrue_fees(collateral_type: uint256) -> IVaultEngine.Debts:
    """@dev `_post_accrual`, stored."""
    debts: IVaultEngine.Debts = self._post_accrual(collateral_type)
    self._store_debts(collateral_type, debts)
    return debts


@internal
def _post_draw(receiver: address, amount: uint256, dust: uint256):
    """
    @dev supply +amount ([wad]), reserve +dust ([rad]), against the caller's addition to performing. Protects
         the global ceiling: by the balance, all debt is supply*RAY + reserve + buffers; buffers are counted
         in whole stablecoins rounded up, for the protocol.
    """
    supply: uint256 = extcall STABLECOIN.mint(receiver, amount)
    system: uint256 = unsafe_add(self.system, dust)
    self.system = system
    if unsafe_add(
        unsafe_add(unsafe_mul(supply, units.RAY), system & MASK_186),
        unsafe_mul((system >> 186) & (2**37 - 1), units.RAD),
    ) > unsafe_mul(system >> 223, units.RAD):
        revert_reason._raise("ledger: over the ceiling")


@internal
def _add_to_reserve(amount: uint256):
    """@dev reserve +amount."""
    if amount != 0:
        self.system = unsafe_add(self.system, amount)


@internal
def _post_to_buffer(collateral_type: uint256, amount: uint256):
    """@dev buffer +amount."""
    if amount != 0:
        income: uint256 = self.income[collateral_type]
        buffer: uint256 = income & MASK_188
        self.income[collateral_type] = unsafe_add(income, amount)
        coins: uint256 = self._compute_difference_in_whole_coins(buffer, unsafe_add(buffer, amount))
        if coins != 0:
            self.system = unsafe_add(self.system, coins << 186)


@internal
def _post_liquidation(collateral_type: uint256, normalized_debt: uint256) -> IVaultEngine.Debts:
    """@dev performing -> in_auction, normalized_debt*rate; the type's record afterwards."""
    debts: IVaultEngine.Debts = self._load_debts(collateral_type)
    debts.normalized_debt -= normalized_debt
    # Collateral is also handed over alone.
    if normalized_debt != 0:
        debts.distressed |= DISTRESSED
    self._store_debts(collateral_type, debts)
    # It was part of the type's debt.
    principal: uint256 = unsafe_mul(normalized_debt, debts.accumulated_rate)
    self.auctions[collateral_type] = unsafe_add(self.auctions[collateral_type], principal)
    return debts


@internal
def _post_repaid_auction_principal(collateral_type: uint256, principal: uint256):
    """@dev in_auction -principal, against stablecoin burned by the caller."""
    if principal != 0:
        if self._leave_auction(collateral_type, principal) == 0:
            self._clear_distress_flag_if_covered(collateral_type)


@internal
def _add_salvage_collateral(collateral_type: uint256, amount: uint256):
    """@dev salvage +amount ([wad]), collateral and no money."""
    self.salvage[collateral_type] += amount


@internal
def _subtract_salvage_collateral(collateral_type: uint256, amount: uint256):
    """@dev salvage -amount ([wad])."""
    self.salvage[collateral_type] -= amount


@internal
def _post_loss(collateral_type: uint256, principal: uint256):
    """@dev in_auction -> deficit."""
    if principal != 0:
        self._leave_auction(collateral_type, principal)
        self._add_recognised_deficit(collateral_type, principal)


@internal
def _pay_reward_from_reserve(collateral_type: uint256, receiver: address, amount: uint256):
    """@dev supply +amount, reserve -min(reserve, amount), the rest -> deficit."""
    if amount != 0:
        # A reward is part of a penalty, which has 48 bits of micro stablecoins.
        owed: uint256 = unsafe_mul(amount, units.RAY)
        system: uint256 = self.system
        paid: uint256 = min(system & MASK_186, owed)
        self.system = unsafe_sub(system, paid)
        if paid != owed:
            self._add_recognised_deficit(collateral_type, unsafe_sub(owed, paid))
        self._mint_stablecoin(receiver, amount)


@internal
def _add_recognised_deficit(collateral_type: uint256, amount: uint256):
    """@dev deficit +amount (above 0), recognised by the waterfall as part of the epoch's event."""
    self.deficit[collateral_type] = unsafe_add(self.deficit[collateral_type], amount)
    self.debts[collateral_type] |= DISTRESSED << 240
    extcall LOSS_WATERFALL.recognise(collateral_type, amount, skip_contract_check=True)


@internal
def _post_cover(collateral_type: uint256, amount: uint256):
    """@dev deficit -amount, against the caller's taking from a stage."""
    deficit: uint256 = self.deficit[collateral_type]
    if amount > deficit:
        revert_reason._raise("ledger: cover above deficit")
    self.deficit[collateral_type] = unsafe_sub(deficit, amount)
    if amount == deficit:
        self._clear_distress_flag_if_covered(collateral_type)


@internal
def _subtract_from_buffer(collateral_type: uint256, amount: uint256):
    """@dev buffer -amount."""
    income: uint256 = self.income[collateral_type]
    buffer: uint256 = income & MASK_188
    if amount > buffer:
        revert_reason._raise("ledger: buffer too small")
    self.income[collateral_type] = unsafe_sub(income, amount)
    coins: uint256 = self._compute_difference_in_whole_coins(unsafe_sub(buffer, amount), buffer)
    self.system = unsafe_sub(self.system, coins << 186)


@internal
def _post_from_reserve(amount: uint256):
    """@dev reserve -amount."""
    if amount > self._reserve():
        revert_reason._raise("ledger: reserve too small")
    self.system = unsafe_sub(self.system, amount)


@internal
def _move_retired_buffer_to_reserve(collateral_type: uint256, on_sale: uint256):
    """
    @dev buffer -> reserve, all of it, of a type that owes, sells and lacks nothing; `on_sale` is the part of
         its salvage in auctions ([wad]).
    """
    if (
        self.debts[collateral_type] & MASK_104
        | self._sum_auctioned_principal_and_deficit(collateral_type)
        | self.salvage[collateral_type]
        | on_sale
    ) != 0:
        revert_reason._raise("ledger: type in use")
    amount: uint256 = self._buffer(collateral_type)
    self._subtract_from_buffer(collateral_type, amount)
    self._add_to_reserve(amount)
    extcall LOSS_WATERFALL.retire(collateral_type, skip_contract_check=True)


@internal
def _pay_receiver_from_reserve(receiver: address, amount: uint256):
    """@dev reserve -amount ([wad]), supply the same more."""
    self._post_from_reserve(amount * units.RAY)
    self._mint_stablecoin(receiver, amount)


@internal
def _post_redistribution(
    collateral_type: uint256, amount: uint256, ratio: uint256, least_ratio: uint256
) -> uint256:
    """
    @dev accumulated rate +k, so performing +normalized_debt*k, deficit the same less, with
         k = floor(amount/normalized_debt) as far as there is room; rad covered.
    """
    debts: IVaultEngine.Debts = self._post_accrual(collateral_type)
    if debts.normalized_debt == 0:
        return 0
    redistribution: IVaultEngine.Redistribution = self._compute_current_redistribution(collateral_type)
    added: uint256 = min(
        unsafe_div(amount, debts.normalized_debt),
        self._compute_max_redistribution_rate_rise(debts, redistribution, ratio, least_ratio),
    )
    if added != 0:
        # Within the room: no field overflows, nor does the type's debt.
        debts.accumulated_rate = unsafe_add(debts.accumulated_rate, added)
        debts.distressed |= SURCHARGED
        redistribution.added = unsafe_add(redistribution.added, added)
        length: uint256 = staticcall LOSS_WATERFALL.EPOCH_LENGTH()
        redistribution.ends = (block.timestamp // length + 1) * length
        self._store_redistribution(collateral_type, redistribution)
    self._store_debts(collateral_type, debts)
    covered: uint256 = unsafe_mul(added, debts.normalized_debt)
    if covered != 0:
        self._post_cover(collateral_type, covered)
    return covered


# ------------------------------------------------------ postings of settlement


@internal
def _move_auctioned_principal_to_performing(collateral_type: uint256, principal: uint256) -> uint256:
    """
    @dev in_auction -principal, performing +d*rate with d = ceil(principal/rate), which is returned for
         the vault; reserve + the rounding.
    """
    debts: IVaultEngine.Debts = self._load_debts(collateral_type)
    normalized_debt: uint256 = units._div_up(principal, debts.accumulated_rate)
    debts.normalized_debt += normalized_debt
    self._store_debts(collateral_type, debts)
    self._add_to_reserve(normalized_debt * debts.accumulated_rate - principal)
    self._post_repaid_auction_principal(collateral_type, principal)
    return normalized_debt


@internal
def _post_settled(collateral_type: uint256, normalized_debt: uint256, worth: uint256):
    """@dev performing -normalized_debt*rate, settled +worth ([rad], at most that), the rest -> deficit."""
    debts: IVaultEngine.Debts = self._load_debts(collateral_type)
    debts.normalized_debt -= normalized_debt
    self._store_debts(collateral_type, debts)
    debt: uint256 = normalized_debt * debts.accumulated_rate
    self.settled = unsafe_add(self.settled, worth)
    if debt != worth:
        self._add_recognised_deficit(collateral_type, unsafe_sub(debt, worth))


@internal
def _post_netted(listed: uint256) -> uint256:
    """
    @dev settled +deficits -buffers -reserve: nothing performs or is under auction, so by the balance it
         is supply*RAY afterwards; the supply, wad.
    """
    settled: uint256 = self.settled
    rest: uint256 = listed
    for _: uint256 in range(bounds.MAX_COLLATERAL_TYPES):
        if rest == 0:
            break
        collateral_type: uint256 = unsafe_sub(rest & 255, 1)
        rest >>= 8
        # Modulo 2**256: a buffer may exceed what is counted so far.
        settled = unsafe_add(settled, self.deficit[collateral_type])
        settled = unsafe_sub(settled, self._buffer(collateral_type))
        self.deficit[collateral_type] = 0
        self.income[collateral_type] = 0
        self._clear_distress_flag_if_covered(collateral_type)
    settled = unsafe_sub(settled, self._reserve())
    self.settled = settled
    self.system = NO_CEILING << 223
    return settled // units.RAY


@internal
def _post_redeemed(owner: address, amount: uint256):
    """@dev supply -amount ([wad]), settled the same less."""
    self.settled -= amount * units.RAY
    self._burn_stablecoin(owner, amount)


# ------------------------------------------------------------------ helpers


@internal
def _mint_stablecoin(receiver: address, amount: uint256):
    """@dev [wad] supply +amount, against a posting."""
    extcall STABLECOIN.mint(receiver, amount)


@internal
def _burn_stablecoin(payer: address, amount: uint256):
    """@dev [wad] supply -amount, against a posting."""
    extcall STABLECOIN.burn(payer, amount, skip_contract_check=True)


@internal
@pure
def _compute_max_redistribution_rate_rise(
    debts: IVaultEngine.Debts,
    redistribution: IVaultEngine.Redistribution,
    ratio: uint256,
    least_ratio: uint256,
) -> uint256:
    """
    @dev How far redistribution may still raise the accumulated rate now, ray, rounded down. Its cap limits it
         within any epoch's length, and so does the gap between both ratios, so that a vault opened at the
         first does not end under the second; never beyond the range of the fields. A rate has 104 bits, the
         others 17.
    """
    used: uint256 = unsafe_add(redistribution.added, redistribution.before)
    before: uint256 = unsafe_sub(debts.accumulated_rate, used)
    most: uint256 = min(
        unsafe_mul(before, redistribution.cap) // units.BASIS_POINTS,
        unsafe_mul(before, unsafe_sub(ratio, least_ratio)) // least_ratio,
    )
    highest: uint256 = min(MAX_RATE, MAX_TYPE_DEBT // debts.normalized_debt)
    return min(
        unsafe_sub(most, min(most, used)),
        unsafe_sub(highest, min(highest, debts.accumulated_rate)),
    )


@internal
@pure
def _compute_difference_in_whole_coins(lower: uint256, higher: uint256) -> uint256:
    """@dev ceil(higher) - ceil(lower) in whole stablecoins: how far `system.buffers` moves."""
    return unsafe_sub(
        unsafe_div(unsafe_add(higher, units.RAD - 1), units.RAD),
        unsafe_div(unsafe_add(lower, units.RAD - 1), units.RAD),
    )


@internal
def _leave_auction(collateral_type: uint256, principal: uint256) -> uint256:
    """@dev in_auction without a principal, [rad]."""
    # An auction never has more principal left than it brought in, so the word cannot borrow.
    word: uint256 = unsafe_sub(self.auctions[collateral_type], principal)
    self.auctions[collateral_type] = word
    return word & MASK_188


@internal
def _clear_distress_flag_if_covered(collateral_type: uint256):
    """@dev Clear `distressed` once nothing of the type is under auction or uncovered."""
    if self._in_auction(collateral_type) == 0 and self.deficit[collateral_type] == 0:
        self.debts[collateral_type] &= ~(DISTRESSED << 240)
