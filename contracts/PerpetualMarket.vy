# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title PerpetualMarket
@license GNU Affero General Public License v3.0 only
@notice Perpetual markets in the stablecoin, at marks that are seconds old, with one margin for all positions
        of an account. The trading contract decides which accounts may trade, and at which price. Lots of an
        insolvent account are taken from it and stay unassigned until an account takes them over. They gain
        and lose nothing, and the other side moves by so much less. Losses that an account cannot bear are
        borne by insurance, then by the accounts that gained in the same time from the same moves. Each pays
        the same share of its gain, whichever trades follow. The rest is borne by unvested profits, by the
        protocol's waterfall within the market's line, and by later gains
        (docs/reference/margin-market/README.md).
@dev The books balance to the wei: cash of all accounts and values of all positions + bonds + pot + fees ==
     held + late. Deposits, trades in which both sides only reduce, and bookings need no mode and no fresh
     price.
"""
from contracts.interfaces import IMarginPolicy
from contracts.interfaces import IPerpetualTrading
from contracts.interfaces import IPerpetualMarket
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import cycle_book
from contracts.modules import cycle_losses
from contracts.modules import account_owner
from contracts.modules import price_path
from contracts.modules import revert_reason

implements: IPerpetualMarket

initializes: price_path
initializes: cycle_book[price_path := price_path]
initializes: cycle_losses[price_path := price_path, cycle_book := cycle_book]

exports: (
    price_path.POLICY,
    price_path.MARK_AGE,
    cycle_book.THIRD_BOND,
    cycle_book.fees,
    cycle_book.rewards,
    cycle_losses.STABLECOIN,
    cycle_losses.FUND,
    cycle_losses.WINDOW,
    cycle_losses.QUIET,
    cycle_losses.held,
    cycle_losses.late,
)


event Deposited:
    owner: indexed(address)
    payer: indexed(address)
    amount: uint256  # [wad]


event Withdrawn:
    owner: indexed(address)
    receiver: indexed(address)
    amount: uint256  # [wad] Of cash.
    paid: uint256  # [wad] At once.
    profit: uint256  # [wad] That has to vest.


event Rewarded:
    finder: indexed(address)
    amount: uint256  # [wad]


event Seized:
    owner: indexed(address)
    finder: indexed(address)


event MarketEnded:
    market: indexed(uint256)  # [id]
    price: uint256  # [wei a lot]


struct Wiring:
    vault_engine: address
    margin_policy: address
    stablecoin: address
    trading: address
    fund: address


struct Rules:
    window: uint256  # seconds that a cycle is pending at least
    quiet: uint256  # seconds after the last booking
    mark_age: uint256  # seconds, of the oldest report that makes a mark
    third_bond: uint256  # wad, to each of three who act on an insolvent account


VAULT_ENGINE: public(immutable(IVaultEngine))
# Knows who may trade, and at what.
TRADING: public(immutable(IPerpetualTrading))
# [id] The cycle in which a market ended last, in settlement; 0: none has.
closing_in: public(uint256)


@deploy
def __init__(wiring: Wiring, rules: Rules):
    """
    @notice The wiring and the rules are final.
    @param wiring The contracts that it works with.
    @param rules Times, and the bond.
    """
    price_path.__init__(wiring.margin_policy, rules.mark_age)
    cycle_book.__init__(rules.third_bond)
    cycle_losses.__init__(wiring.stablecoin, wiring.fund, rules.window, rules.quiet)
    assert rules.mark_age != 0 and rules.mark_age <= bounds.MAX_MARK_AGE, "perpetuals: mark bounds"
    assert rules.third_bond <= bounds.MAX_THIRD_BOND, "perpetuals: bond bounds"
    VAULT_ENGINE = IVaultEngine(wiring.vault_engine)
    TRADING = IPerpetualTrading(wiring.trading)


# --------------------------------------------------------------------- cash


@external
@nonreentrant
def deposit(owner: address, amount: uint256):
    """
    @notice Pay into an account. Anyone, with the caller's stablecoin, on an allowance. Protects: nothing
            stops it, no mode, no price, no loss.
    @param owner Owner of the account.
    @param amount [wad] Stablecoin.
    """
    cycle_book._credit_payment_as_deposit(owner, amount)
    cycle_losses._change_held(convert(amount, int256))
    log Deposited(owner=owner, payer=msg.sender, amount=amount)
    extcall cycle_losses.STABLECOIN.transferFrom(msg.sender, self, amount)


@external
@nonreentrant
def withdraw(amount: uint256, receiver: address, owner: address = msg.sender, least: uint256 = 0) -> uint256:
    """
    @notice Take cash out of an account of the caller's. The excess over its deposits is profit, which the
            fund holds until it has vested. With positions: the initial margin has to be left without any gain
            that is not final, at current marks, in no emergency. Without positions all gains that are not
            final have to be left, and in settlement the losses of its cycle have to be final. Protects: no
            gain leaves that may have to bear a loss; while losses are late, the first and the last are paid
            alike.
    @param amount [wad] Of cash.
    @param receiver Receiver of the cash, or of its profit once that has vested.
    @param owner The account, one of the caller's.
    @param least [wad] That has to be paid and locked, or it reverts: a loss may become late just before.
    @return [wad] The amount paid and the amount locked: less than the amount while losses are late, rounded
            down.
    """
    if not account_owner._is_owner(owner, msg.sender):
        revert_reason._raise("perpetuals: not its owner")
    cycle_book._settle_missed_cycles(owner)
    if self.closing_in != 0 and price_path._cycle() < self.closing_in + 2:
        revert_reason._raise("perpetuals: losses are open")
    cycle_book._book_deposit_or_withdrawal(owner, unsafe_sub(0, convert(amount, int256)))
    if cycle_book._has_lots(owner):
        extcall TRADING.check_risk(owner)
    else:
        standing: IPerpetualMarket.Standing = cycle_book._compute_standing(owner)
        if standing.own < convert(unsafe_add(standing.haircut, standing.unfinal), int256):
            revert_reason._raise("perpetuals: more than it has")
    cycle_losses._cover_late_losses_from_fund(0)
    available: uint256 = unsafe_sub(cycle_losses.held, min(cycle_losses.held, cycle_book.fees))
    late: uint256 = cycle_losses.late
    paid: uint256 = amount
    if late != 0:
        # What an account has is under 2**138 by now.
        paid = unsafe_mul(amount, available) // unsafe_add(available, late)
    # Accounts that owe the rest may not be closed yet, and nothing of it is late.
    if amount > unsafe_add(available, late) or paid < least:
        revert_reason._raise("perpetuals: not held")
    cycle_losses._repay(unsafe_sub(amount, paid))
    own: uint256 = min(paid, cycle_book.paid_in[owner])
    cycle_book._take_out(owner, own)
    cycle_losses._change_held(-convert(paid, int256))
    profit: uint256 = unsafe_sub(paid, own)
    log Withdrawn(owner=owner, receiver=receiver, amount=amount, paid=own, profit=profit)
    if own != 0:
        cycle_losses._pay(receiver, own)
    if profit != 0:
        cycle_losses._pay(cycle_losses.FUND.address, profit)
        extcall cycle_losses.FUND.lock(receiver, profit)
    return paid


@external
@nonreentrant
def collect_fees():
    """
    @notice Hand fees over to the fund. Permissionless.
    """
    cycle_losses._sweep_fees()


# ------------------------------------------------------------------- trades


@external
@nonreentrant
def execute_trade(
    market: uint256,
    buyer: address,
    seller: address,
    delta: int256,
    price: uint256,
    buyer_gets: int256,
    seller_gets: int256,
):
    """
    @notice Have lots change hands. Trading contract only, which checks permissions. Protects: open lots stay
            zero-sum; any excess of the payments over the receipts of the two is insurance.
    @param market [id] The market.
    @param buyer Receiver of the lots.
    @param seller The other side; the market itself for unassigned lots.
    @param delta [lots] Above zero, or below zero if the buyer sells.
    @param price [wei a lot] Of the lots.
    @param buyer_gets [wad] The buyer's receipt in addition; less than zero is a payment.
    @param seller_gets [wad] The seller's receipt in addition; together not above zero.
    """
    self._only_trading_contract()
    if price_path._has_ended(market):
        revert_reason._raise("perpetuals: price is final")
    cycle_book._settle_missed_cycles(buyer)
    if seller != self:
        cycle_book._settle_missed_cycles(seller)
    price_path._update_market_funding_rate(market)
    off: int256 = convert(price, int256) - convert(price_path._price(market), int256)
    cycle_book._trade_lots(buyer, market, delta, off)
    if seller != self:
        cycle_book._trade_lots(seller, market, -delta, off)
    price_path._note_premium(market, convert(abs(delta), uint256), price)
    if buyer_gets + seller_gets > 0:
        revert_reason._raise("perpetuals: more than is paid")
    cycle_book._change_account_cash(buyer, buyer_gets)
    cycle_book._change_account_cash(seller, seller_gets)
    cycle_book._change_fees(-(buyer_gets + seller_gets))


@external
@nonreentrant
def reward(finder: address, amount: uint256):
    """
    @notice Pay the finder for a take-over of insolvent accounts' lots, out of a third of their bonds.
            Trading contract only, which computes the part of it.
    @param finder Receiver of the reward.
    @param amount [wad] How much.
    """
    self._only_trading_contract()
    cycle_book._pay_takeover_reward(finder, amount)
    log Rewarded(finder=finder, amount=amount)


@external
def accrue(market: uint256) -> IMarginPolicy.Mark:
    """
    @notice Bring a market's mark and funding up to now. Permissionless; a market that is not listed, or has
            no mark yet, stays as it is.
    @param market [id] The market.
    @return The mark, 0 is none yet, and the range of prices of the seconds before; its ends are 0 without a
            current price.
    """
    mark: IMarginPolicy.Mark = empty(IMarginPolicy.Mark)
    if not price_path._has_ended(market):
        mark = price_path._move_market_to_policy_mark(market)
        if price_path._price(market) != 0:
            price_path._update_market_funding_rate(market)
    mark.price = price_path._price(market)
    return mark


# ------------------------------------------------------------------- losses


@external
@nonreentrant
def seize_insolvent(owner: address):
    """
    @notice Seize an insolvent account. Its positions in markets with a current price are taken from it at
            these marks, and its shortfall at the end of the pending cycle is booked against the accounts that
            gained. It has to owe at the better end of the range of each of these prices, too. A market
            without a current price counts at its last mark, and its lots stay until there is one.
            Permissionless, as often as there is something to do. Its bond pays a third for the seizing and
            one for the booking; the last third is for a take-over of its lots. Its cash pays for the new part
            of a loss, up to an amount that grows while the cycle is pending. Protects: an insolvent account
            keeps no option, and owes no more from then on, at any price; a caller chooses no second in which
            an account owes; a market without a price shields no other. Losses are borne in the cycle they are
            made in, at any cost of gas; booking costs the same for any number of winners.
    @param owner Owner of the account.
    """
    cycle_book._settle_missed_cycles(owner)
    if not self._seize_insolvent(owner):
        revert_reason._raise("perpetuals: nothing to do")


@external
@nonreentrant
def update_and_seize(owners: DynArray[address, bounds.MAX_CLOSED]) -> uint256:
    """
    @notice Update many accounts to now, in order, and seize each that is insolvent. Permissionless. Protects:
            each of thousands of insolvent accounts costs far less than by itself; one that another caller has
            seized holds up no other.
    @param owners The accounts.
    @return [count] How many there was something to do for.
    """
    found: uint256 = 0
    for owner: address in owners:
        cycle_book._settle_missed_cycles(owner)
        found += convert(self._seize_insolvent(owner), uint256)
    return found


@external
def update_account(owner: address):
    """
    @notice Update an account to now, and close its positions in markets that have ended, at their final
            prices. Permissionless. Protects: the cost is the same after any time without an update.
    @param owner Owner of the account.
    """
    cycle_book._settle_missed_cycles(owner)


@external
def gains_of(owner: address, market: uint256) -> IPerpetualMarket.Gains:
    """
    @notice Update an account to now, and return its gains in the pending cycle. Permissionless.
    @param owner Owner of the account.
    @param market [id] The market.
    @return Its gains on both sides, and its worth at the end of that cycle: both are constant until the next
            roll.
    """
    cycle_book._settle_missed_cycles(owner)
    cycle: uint256 = price_path._cycle() - 1
    gained: IPerpetualMarket.SideTotals = price_path._as_sides(cycle_book.gained[owner][market][cycle % 2])
    return IPerpetualMarket.Gains(
        cycle=cycle,
        long=gained.long,
        short=gained.short,
        worth=cycle_book._worth_at_roll(owner),
    )


@external
@nonreentrant
def advance_cycle():
    """
    @notice Make the pending cycle final, the open one pending, and open the next. Permissionless. Protects:
            a window in which every loss can be booked, and a quiet time after the last.
    """
    cycle_losses._finalise_cycle_and_open_next()


@external
@nonreentrant
def post_shortfall() -> uint256:
    """
    @notice Pay for late losses: with insurance, then by the protocol, within the market's line. A booking
            does the same, after profits that have not vested; this call is for insurance or a line that has
            come since. Permissionless. Protects: the order of calls does not decide which of them pays.
    @return [wad] How much all of them paid.
    """
    return cycle_losses._cover_late_losses_from_fund(0)


# ------------------------------------------------------------------ the end


@external
@nonreentrant
def end_market(market: uint256):
    """
    @notice Mark a market that is delisted, or any in settlement of the protocol, at its final price, for
            good. Permissionless. Its positions are closed at it, each account's as soon as anything brings
            that up to date. Protects: one price for every caller at any time, and no counterparty is needed;
            losses are covered as at all times, by two more rolls; other markets go on.
    @param market [id] The market.
    """
    if price_path._has_ended(market):
        revert_reason._raise("perpetuals: ends once")
    price: uint256 = staticcall price_path.POLICY.final_price(market)
    if price == 0:
        revert_reason._raise("perpetuals: no final price")
    price_path._end_market_at_price(market, price)
    if staticcall VAULT_ENGINE.in_settlement():
        self.closing_in = price_path._cycle()
        cycle_book._move_unpaid_rewards_to_insurance()
    log MarketEnded(market=market, price=price)


# -------------------------------------------------------------------- views


@external
@view
def standing_of(owner: address) -> IPerpetualMarket.Standing:
    """
    @notice Return an account's standing at the last marks, as of the cycle that it is in.
    @param owner Owner of the account.
    @return Cash and value, haircuts as far as they are known, gains that are not final.
    """
    return cycle_book._compute_standing(owner)


@external
@view
def account_of(owner: address) -> cycle_book.Account:
    """
    @notice An account as it was touched last.
    @param owner Owner of the account.
    @return The record.
    """
    return cycle_book._load_account(owner)


@external
@view
def paid_in(owner: address) -> uint256:
    """
    @notice Return the amount that an account may withdraw without a profit.
    @param owner Owner of the account.
    @return [wad] Deposits less the withdrawn or lost part of them.
    """
    return cycle_book.paid_in[owner]


@external
@view
def holdings_of(owner: address) -> DynArray[IPerpetualMarket.Holding, bounds.MAX_MARGIN_MARKETS]:
    """
    @notice The positions of an account.
    @param owner Owner of the account.
    @return Each with its market's last mark and open lots, in the order of the markets.
    """
    found: DynArray[IPerpetualMarket.Holding, bounds.MAX_MARGIN_MARKETS] = []
    markets: uint256 = cycle_book._markets(owner)
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        size: int256 = 0
        if markets >> market == 0:
            break
        if (markets >> market) & 1 == 1:
            size = cycle_book._size(owner, market)
        if size != 0:
            found.append(
                IPerpetualMarket.Holding(
                    market=market,
                    size=size,
                    price=price_path._price(market),
                    open=price_path._get_open_lots(market),
                )
            )
    return found


@external
@view
def lots_of(market: uint256) -> (uint256, uint256):
    """
    @notice The lots of a market that accounts hold. The difference are unassigned lots, taken from insolvent
            accounts.
    @param market [id] The market.
    @return [lots] Long lots.
    @return [lots] Short lots.
    """
    return price_path._lots(market, price_path.LONG), price_path._lots(market, price_path.SHORT)


@external
@view
def mark_of(market: uint256) -> uint256:
    """
    @notice A market's last mark.
    @param market [id] The market.
    @return [wei a lot] 0 is none yet.
    """
    return price_path._price(market)


@external
@view
def clock_of() -> IPerpetualMarket.Clock:
    """
    @notice The open cycle, and its times.
    @return The record.
    """
    return price_path._load_clock()


@external
@view
def cycle_of(
    market: uint256, cycle: uint256
) -> (
    IPerpetualMarket.SideTotals,
    IPerpetualMarket.SideTotals,
    IPerpetualMarket.Values,
    IPerpetualMarket.SideTotals,
):
    """
    @notice Return the gains of a market's sides in a cycle, their burden of its losses, and the place at
            which it began.
    @param market [id] The market.
    @param cycle [id] The cycle.
    @return Gains.
    @return Losses.
    @return Worth of lots when it began.
    @return The gain of a lot of each side by then, since the start.
    """
    word: uint256 = price_path.levels[market][cycle]
    return (
        price_path._as_sides(price_path.totals[market][cycle]),
        price_path._as_sides(cycle_book.losses[market][cycle]),
        IPerpetualMarket.Values(
            long=price_path._check_signed(word, 0, 110), short=price_path._check_signed(word, 110, 110)
        ),
        IPerpetualMarket.SideTotals(
            long=price_path.edges[market][cycle][0] & price_path.MASK_128,
            short=price_path.edges[market][cycle][1] & price_path.MASK_128,
        ),
    )


# ------------------------------------------------------------------ helpers


@internal
@view
def _only_trading_contract():
    if msg.sender != TRADING.address:
        revert_reason._raise("perpetuals: not trading")


@internal
def _seize_insolvent(owner: address) -> bool:
    """@dev Seize the positions of a touched account and book its loss, with any of the two to do."""
    seized: bool = self._close_positions_of_debtor(owner)
    return cycle_losses._book_pending_cycle_shortfall(owner) or seized


@internal
def _close_positions_of_debtor(owner: address) -> bool:
    """@dev Take the positions of an account that owes from it where there are prices of now."""
    fresh: uint256 = 0
    better: uint256 = 0
    markets: uint256 = cycle_book._markets(owner)
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        if markets >> market == 0:
            break
        size: int256 = cycle_book._size(owner, market)
        if size != 0:
            mark: IMarginPolicy.Mark = price_path._move_market_to_policy_mark(market)
            if mark.price != 0:
                fresh |= 1 << market
                better += price_path._better(mark, size)
    standing: IPerpetualMarket.Standing = cycle_book._compute_standing(owner)
    if fresh == 0 or standing.own + convert(better, int256) >= convert(standing.haircut, int256):
        return False
    cycle_book._close_positions_at_marks(owner, fresh)
    cycle_book._pay_finder(owner, cycle_book.SEIZED, 0)
    log Seized(owner=owner, finder=msg.sender)
    return True
