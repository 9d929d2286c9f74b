# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title cycle_losses
@license GNU Affero General Public License v3.0 only
@notice The accounts that gained in a cycle bear its losses, each the same share of its gain. While a cycle is
        pending, an account's shortfall at its end is booked against the gains of the markets and sides that
        it can have lost to, as often as it has grown. Its own haircuts are part of its shortfall. Then the
        cycle is final: insurance takes the same share off all losses, and the part that no gain bears is
        late. Late losses are paid at once: by profits that have not vested, all of them alike, then by
        insurance, then by the protocol within its line; gains of later cycles pay only the rest.
@dev Amounts in wei. The fund computes how its payment, and that of later gains, is shared by the sides of all
     markets.
"""
from ethereum.ercs import IERC20

from contracts.interfaces import IMarginFund
from contracts.interfaces import IPerpetualMarket
from contracts.modules import policy_calls
from contracts.modules import bounds
from contracts.modules import cycle_book
from contracts.modules import price_path
from contracts.modules import revert_reason

uses: price_path
uses: cycle_book


event Booked:
    account: indexed(address)
    cycle: indexed(uint256)  # [id]
    amount: uint256  # [wad] What it lacked, in all.
    late: uint256  # [wad] Of that, what no gain of the cycle bears.


event Rolled:
    cycle: indexed(uint256)  # [id] The one that is pending now.
    insured: uint256  # [wad] Of the losses of the one before.
    later: uint256  # [wad] What its gains paid of losses before it.


STABLECOIN: public(immutable(IERC20))
FUND: public(immutable(IMarginFund))
# [seconds] How long a cycle is pending at least; at most four times that.
WINDOW: public(immutable(uint256))
# [seconds] From the last booking to the end of a window.
QUIET: public(immutable(uint256))

# [wad] Stablecoin that accounts brought in or others paid.
held: public(uint256)
# [wad] Losses that nobody has paid.
late: public(uint256)
# What of them later gains pay from the next roll on, wad.
overdue: uint256


@deploy
def __init__(stablecoin: address, fund: address, window: uint256, quiet: uint256):
    """
    @param stablecoin The token of all accounts.
    @param fund Pays for losses: by insurance, by profits that have not vested, by the protocol.
    @param window [seconds] How long a cycle is pending at least.
    @param quiet [seconds] From the last booking to the end of a window.
    """
    assert (
        window >= bounds.MIN_CYCLE and window <= bounds.MAX_CYCLE and quiet <= window
    ), "cycle_losses: window bounds"
    STABLECOIN = IERC20(stablecoin)
    FUND = IMarginFund(fund)
    WINDOW = window
    QUIET = quiet


# -------------------------------------------------------------------- booking


@internal
def _book_pending_cycle_shortfall(owner: address) -> bool:
    """@dev Book a touched account's shortfall of the pending cycle; whether it differs from before."""
    cycle: uint256 = price_path._cycle() - 1
    markets: uint256 = cycle_book._markets(owner)
    standing: IPerpetualMarket.Standing = cycle_book._compute_standing(owner)
    most: int256 = max(price_path._check_signed(cycle_book.worths[owner], 0, 138), standing.own)
    lacks: uint256 = convert(max(0, convert(standing.haircut, int256) - most), uint256)
    shares: uint256[bounds.MAX_MARGIN_MARKETS] = empty(uint256[bounds.MAX_MARGIN_MARKETS])
    everything: uint256 = 0
    noted: uint256 = cycle_book.late_of[owner]
    had: uint256 = noted
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        if markets >> market == 0:
            break
        if (markets >> market) & 1 == 1:
            shares[market] = self._get_cycle_losses(owner, market, cycle)
            everything = unsafe_add(everything, shares[market])
            had = unsafe_add(had, cycle_book._load_pending(owner, market).booked)
    paid: uint256 = cycle_book._paid(owner)
    # The longer nobody books a loss the more that pays, until it is worth its gas, and no more than is new of
    # it: the debtor pays, and lacks so much more. No amount is over 2**128.
    parts: uint256 = (
        unsafe_mul(
            bounds.BOOKING_PAY * cycle_book.THIRD_BOND, min(price_path._pending_time(), unsafe_mul(4, WINDOW))
        ) // WINDOW
        >> cycle_book.PART
    )
    parts = min(
        unsafe_sub(max(parts, paid), paid),
        unsafe_sub(max(lacks, had) >> cycle_book.PART, had >> cycle_book.PART),
    )
    lacks = unsafe_add(lacks, parts << cycle_book.PART)
    late: uint256 = noted
    # What was noted may have been paid meanwhile: it never shrinks, and what is too much is insurance.
    if lacks > everything:
        late = max(noted, unsafe_sub(lacks, everything))
    borne: uint256 = min(everything, unsafe_sub(lacks, min(lacks, late)))
    changed: bool = False
    passed: uint256 = 0
    given: uint256 = 0
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        if markets >> market == 0:
            break
        if (markets >> market) & 1 == 0:
            continue
        # Floors of running sums: the parts add up to what is borne.
        part: uint256 = 0
        if borne != 0:
            passed = unsafe_add(passed, shares[market])
            part = unsafe_sub(unsafe_mul(borne, passed) // everything, given)
            given = unsafe_add(given, part)
        before: uint256 = cycle_book._load_pending(owner, market).booked
        if part != before:
            changed = True
            lost: uint256 = cycle_book.lost[owner][market][cycle % 2]
            cycle_book._change_losses(
                market, cycle, self._by_winners(before, lost), self._by_winners(part, lost)
            )
            cycle_book._set_booked(owner, market, part)
    added: uint256 = unsafe_sub(late, noted)
    if added != 0:
        changed = True
        self.late += added
        price_path._change_pot(convert(added, int256))
        cycle_book._set_late(owner, late)
    if changed:
        price_path._note_booking()
        log Booked(account=owner, cycle=cycle, amount=lacks, late=late)
        cycle_book._pay_finder(owner, cycle_book.BOOKED, parts)
    if added != 0:
        self._cover_late_losses_from_fund(added)
    return changed


@internal
@view
def _get_cycle_losses(owner: address, market: uint256, cycle: uint256) -> uint256:
    """@dev The possible sources of an account's loss in a market, wei."""
    both: uint256 = price_path._both(cycle_book.lost[owner][market][cycle % 2])
    if both == 0:
        return 0
    haircut: int256 = convert(cycle_book._compute_market_haircut(owner, market, cycle), int256)
    return min(both, convert(max(0, haircut - cycle_book._load_pending(owner, market).net), uint256))


@internal
@pure
def _by_winners(part: uint256, lost: uint256) -> uint256:
    """
    @dev Part of a loss as SideTotals, wei: losses of longs, rounded down, are gains of shorts. No side has
         more than was lost to it.
    """
    if part == 0:
        return 0
    by_long: uint256 = part * (lost & price_path.MASK_128) // price_path._both(lost)
    return (part - by_long) | (by_long << 128)


# -------------------------------------------------------------------- rolling


@internal
def _finalise_cycle_and_open_next():
    """@dev Make the pending cycle final, the open one pending, and open the next."""
    clock: IPerpetualMarket.Clock = price_path._load_clock()
    if block.timestamp < clock.rolled_at + 4 * WINDOW and (
        block.timestamp < clock.rolled_at + WINDOW or block.timestamp < clock.booked_at + QUIET
    ):
        revert_reason._raise("cycle_losses: too early")
    # All of them where the policy does not say.
    markets: uint256 = min(
        policy_calls._ask_number(price_path.POLICY.address, method_id("markets()")), bounds.MAX_MARGIN_MARKETS
    )
    insured: uint256 = 0
    later: uint256 = 0
    parts: uint256[bounds.MAX_MARGIN_MARKETS] = empty(uint256[bounds.MAX_MARGIN_MARKETS])
    self._sweep_fees()
    self._cover_late_losses_from_fund(self.late)
    if clock.booked_at != 0:
        insured, parts = extcall FUND.cover(clock.cycle - 1, markets)
        self.held += insured
        self._change_cycle_loss_totals(clock.cycle - 1, -convert(insured, int256), parts)
    if self.late != 0:
        later, parts = staticcall FUND.allocate(min(self.late, self.overdue), clock.cycle - 1, markets)
        self._change_cycle_loss_totals(clock.cycle - 1, convert(later, int256), parts)
        self.late -= later
    if clock.booked_at != 0 or later != 0:
        cycle_book._index_lossy_cycle_haircuts(clock.lossy, clock.cycle - 1, markets)
        clock.lossy += 1
    self.overdue = self.late
    for market: uint256 in range(markets, bound=bounds.MAX_MARGIN_MARKETS):
        price_path._record_cycle_start(market, clock.cycle + 1)
    clock.cycle += 1
    clock.rolled_at = block.timestamp
    clock.booked_at = 0
    price_path._store_clock(clock)
    log Rolled(cycle=clock.cycle - 1, insured=insured, later=later)


@internal
def _change_cycle_loss_totals(cycle: uint256, amount: int256, parts: uint256[bounds.MAX_MARGIN_MARKETS]):
    """
    @dev Raise or lower the burden on the gains of a cycle, wei: by a part for each market, as SideTotals.
    """
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        part: uint256 = parts[market]
        if part != 0:
            more: uint256 = part * convert(amount > 0, uint256)
            cycle_book._change_losses(market, cycle, part - more, more)
    price_path._change_pot(-amount)


@internal
def _cover_late_losses_from_fund(most: uint256) -> uint256:
    """
    @dev Take the payments of unvested profits, insurance and the protocol for late losses; return them, wad.
         A booking asks profits for no `most` more than it adds, and a roll for all. A profit that leaves in
         between has been cut for late losses, and others do not have it pay for them as well.
    """
    if self.late == 0:
        return 0
    paid: uint256 = extcall FUND.absorb(self.late, most)
    self.held += paid
    self.late -= paid
    return paid


@internal
def _change_held(amount: int256):
    # An amount is what an account has, or what somebody paid in.
    self.held = convert(unsafe_add(convert(self.held, int256), amount), uint256)


@internal
def _repay(amount: uint256):
    """@dev Reduce the late losses by a repaid amount, wad."""
    self.late -= amount


@internal
def _sweep_fees():
    """@dev Hand fees over to the fund. A fee may be of a gain that its loser has not paid in."""
    amount: uint256 = min(cycle_book.fees, self.held)
    if amount != 0:
        cycle_book._change_fees(-convert(amount, int256))
        self.held -= amount
        self._pay(FUND.address, amount)
        extcall FUND.add_fees(amount)


@internal
def _pay(receiver: address, amount: uint256):
    extcall STABLECOIN.transfer(receiver, amount)
