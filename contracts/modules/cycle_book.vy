# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title cycle_book
@license GNU Affero General Public License v3.0 only
@notice The holdings of accounts of perpetual markets, and their gains and losses in the open and the pending
        cycle. A lot that is bought moves as much cash as a lot of its side is worth, more or less by the
        distance of its price from the mark. So no trade changes the sum of all accounts. A position also
        keeps its value when the cycle began plus the payments of its trades since, and, by the market's path,
        its gains and losses as long and as short. An account is brought up to date when it is touched, by the
        same work however long that took: an index has the haircuts of a lot in final cycles.
@dev Amounts in wei. Packed by hand: one record is one slot, the first field at bit 0.
"""
from contracts.interfaces import IPerpetualMarket
from contracts.modules import bounds
from contracts.modules import price_path
from contracts.modules import revert_reason
from contracts.modules import units

uses: price_path


event PositionChanged:
    account: indexed(address)
    market: indexed(uint256)  # [id]
    size: int256  # [lots]
    cash: int256  # [wad]


event Settled:
    account: indexed(address)
    cycle: indexed(uint256)  # [id]
    haircut: uint256  # [wad]
    booked: uint256  # [wad] Of its own loss.
    given: uint256  # [wad] Of that.


event FinderPaid:
    account: indexed(address)
    finder: indexed(address)
    amount: uint256  # [wad]


struct Account:
    cash: int256  # wei, 138 bits
    markets: uint256  # bit m: it has something in market m, 8 bits
    cycle: uint256  # that it is in; 0 is none yet, 32 bits
    seen: uint256  # how many cycles with losses it has gone through, 32 bits
    bond: uint256  # thirds of it that are left, 3 bits
    paid: uint256  # of its cash for booking its loss of the pending cycle, parts of 2**34 wei, 43 bits


struct Position:
    size: int256  # lots, 64 bits
    value: int256  # wei, when the cycle began, plus what trades paid since, 138 bits


struct Pending:
    net: int256  # how a position's value changed in the pending cycle, wei, 138 bits
    booked: uint256  # of a loss, what gains of that cycle bear, wei, 118 bits


# Thirds of a bond.
SEIZED: constant(uint256) = 1
BOOKED: constant(uint256) = 2
TAKEN: constant(uint256) = 4
# What is paid for a booking is a multiple of 2 to this power, wei.
PART: constant(uint256) = 34
MASK_8: constant(uint256) = 2**8 - 1
MASK_118: constant(uint256) = 2**118 - 1
MASK_21: constant(uint256) = 2**21 - 1
MASK_138: constant(uint256) = 2**138 - 1

# [wad] A third of what an account puts up with its first position.
THIRD_BOND: public(immutable(uint256))

# owner -> Account
accounts: HashMap[address, uint256]
# owner -> what it was worth when the pending cycle ended, and has brought since less what it took out, wei,
# 138 bits; that difference, wei, 118 bits
worths: HashMap[address, uint256]
# owner -> what was booked of its loss that no gain of the pending cycle bears, wei
late_of: HashMap[address, uint256]
# owner -> deposits less what was withdrawn of them or lost, wad
paid_in: HashMap[address, uint256]
# owner -> market -> Position
positions: HashMap[address, HashMap[uint256, uint256]]
# owner -> market -> the moves of its side up to which the next two are counted, while it has a position
since: HashMap[address, HashMap[uint256, uint256]]
# owner -> market -> cycle modulo 2 -> SideTotals: gains, and losses, of the open and the pending cycle
gained: HashMap[address, HashMap[uint256, HashMap[uint256, uint256]]]
lost: HashMap[address, HashMap[uint256, HashMap[uint256, uint256]]]
# owner -> market -> Pending
pendings: HashMap[address, HashMap[uint256, uint256]]
# market -> cycle -> SideTotals: what those who gained bear together
losses: HashMap[uint256, HashMap[uint256, uint256]]
# number -> final cycle that had losses, in order
lossy: HashMap[uint256, uint256]
# market -> side -> number -> what a lot that was on a side bears of the first so many final cycles that had
# losses, rounded up in each of them; wei, with 21 bits after the point
indices: HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]]
# Of what is held, fees that the fund has not collected, wad.
fees: public(uint256)
# [wad] Of all accounts, and what debtors' bonds have left for rewards.
bonds: public(uint256)
# [wad] Of the bonds, what is for whoever has lots of debtors taken over.
rewards: public(uint256)


@deploy
def __init__(third_bond: uint256):
    """
    @param third_bond [wad] A third of the bond that an account pays with its first position.
    """
    THIRD_BOND = third_bond


# ------------------------------------------------------------------- touching


@internal
def _settle_missed_cycles(owner: address):
    """
    @dev Bring an account up to the open cycle. Then its positions in markets that have ended are closed, at
         their final prices.
    """
    clock: IPerpetualMarket.Clock = price_path._load_clock()
    account: Account = self._load_account(owner)
    if account.cycle == 0:
        account.cycle = clock.cycle
        account.seen = clock.lossy
        self._store_account(owner, account)
    elif account.cycle != clock.cycle:
        account = self._close_cycle(owner, account, clock, False)
        if account.cycle != clock.cycle:
            account = self._close_cycle(owner, account, clock, True)
        self._store_account(owner, account)
    self._close_positions_at_marks(owner, account.markets & clock.ended)


@internal
def _close_positions_at_marks(owner: address, markets: uint256):
    """@dev Take an account's positions in some markets, by bits, from it, at the marks."""
    if markets == 0:
        return
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        if markets >> market == 0:
            break
        if (markets >> market) & 1 == 0:
            continue
        size: int256 = self._size(owner, market)
        if size != 0:
            self._trade_lots(owner, market, -size, 0)


@internal
def _close_cycle(owner: address, before: Account, clock: IPerpetualMarket.Clock, skips: bool) -> Account:
    """
    @dev End the account's cycle: the one before is final, this one is pending. Or settle the cycle that it
         ended last, then all final ones after it at once, and end the last that is over: in all of these its
         lots were the same, and nothing was booked of it. The caller stores it.
    """
    account: Account = self._apply_final_cycle_haircut(owner, before, clock.lossy)
    if skips:
        account.cycle = clock.cycle - 1
    cycle: uint256 = account.cycle + 1
    haircut: uint256 = 0
    worth: int256 = 0
    markets: uint256 = 0
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        if account.markets >> market == 0:
            break
        if (account.markets >> market) & 1 == 0:
            continue
        position: Position = self._load_position(owner, market)
        side: uint256 = price_path._side(position.size)
        if skips:
            borne: uint256 = (
                self.indices[market][side][clock.lossy] - self.indices[market][side][account.seen]
            )
            # 63 + 149 bits; rounded up.
            haircut += (convert(abs(position.size), uint256) * borne + MASK_21) >> 21
            position.value = price_path._worth_at(price_path.levels[market][account.cycle], position.size)
            self.since[owner][market] = price_path.edges[market][account.cycle][side]
            self._clear_cycle(owner, market, account.cycle)
        self._add_cycle_gains_and_losses(
            owner, market, account.cycle, position.size, price_path.edges[market][cycle][side]
        )
        value: int256 = price_path._worth_at(price_path.levels[market][cycle], position.size)
        worth += value
        gained: uint256 = self.gained[owner][market][account.cycle % 2]
        lost: uint256 = self.lost[owner][market][account.cycle % 2]
        net: int256 = 0
        if position.size != 0 or gained | lost != 0:
            markets |= 1 << market
            net = value - position.value
        self.pendings[owner][market] = price_path._bits(net, 138)
        # What was kept of the cycle that is final makes room for the one that opens.
        self._clear_cycle(owner, market, cycle)
        position.value = value
        self._check_and_store_position(owner, market, position)
    if haircut != 0:
        price_path._change_pot(convert(haircut, int256))
        log Settled(account=owner, cycle=account.cycle - 1, haircut=haircut, booked=0, given=0)
        account.cash -= convert(haircut, int256)
    if skips:
        account.seen = clock.lossy
    if markets == 0:
        # The bond is free.
        left: uint256 = THIRD_BOND * self._thirds(account.bond)
        self.bonds -= left
        account.cash += convert(left, int256)
        account.bond = 0
    worth += account.cash
    self.worths[owner] = price_path._bits(worth, 138)
    account.markets = markets
    account.cycle = cycle
    return account


@internal
def _apply_final_cycle_haircut(owner: address, before: Account, lossy: uint256) -> Account:
    """
    @dev Take the haircuts of the cycle before the account's, which is final, if it had losses, and give the
         booked loss, as far as it is missing. The caller forgets the booked loss, as it ends the next cycle.
    """
    account: Account = before
    if account.seen == lossy or self.lossy[account.seen] != account.cycle - 1:
        return account
    haircut: uint256 = 0
    booked: uint256 = self.late_of[owner]
    own: int256 = account.cash
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        if account.markets >> market == 0:
            break
        if (account.markets >> market) & 1 == 0:
            continue
        own += price_path._worth_at(price_path.levels[market][account.cycle + 1], self._size(owner, market))
        # Sums over all sides of parts of gains stay under 2**123.
        haircut = unsafe_add(
            haircut, self._compute_market_haircut(owner, market, unsafe_sub(account.cycle, 1))
        )
        booked = unsafe_add(booked, self.pendings[owner][market] >> 138)
    self.late_of[owner] = 0
    worth: int256 = price_path._check_signed(self.worths[owner], 0, 138)
    due: int256 = convert(haircut, int256)
    given: uint256 = min(booked, convert(max(0, due - max(worth, own)), uint256))
    change: int256 = convert(given, int256) - due
    # What is not needed is insurance.
    self.fees += booked - given
    price_path._change_pot(due - convert(booked, int256))
    if haircut | booked != 0:
        log Settled(account=owner, cycle=account.cycle - 1, haircut=haircut, booked=booked, given=given)
    account.cash += change
    account.seen += 1
    account.paid = 0
    return account


@internal
def _clear_cycle(owner: address, market: uint256, cycle: uint256):
    """@dev Forget the gains and losses of a cycle, or of the one two before it."""
    self.gained[owner][market][cycle % 2] = 0
    self.lost[owner][market][cycle % 2] = 0


@internal
def _add_cycle_gains_and_losses(
    owner: address, market: uint256, cycle: uint256, size: int256, moves: uint256
):
    """
    @dev Count a position's gains and losses in a cycle up to some moves of its side, at its size during them.
         It is part of the gain of its side, which is under 2**117, and of that of the other side.
    """
    if size == 0:
        return
    word: uint256 = self.since[owner][market]
    if word == moves:
        return
    self.since[owner][market] = moves
    # Both only grow: nothing is borrowed between the two.
    by: uint256 = unsafe_sub(moves, word)
    lots: uint256 = price_path._as_lots(size)
    self.gained[owner][market][cycle % 2] = unsafe_add(
        self.gained[owner][market][cycle % 2], unsafe_mul(lots, by & price_path.MASK_128)
    )
    self.lost[owner][market][cycle % 2] = unsafe_add(
        self.lost[owner][market][cycle % 2], unsafe_mul(lots, by >> 128)
    )


# --------------------------------------------------------------------- values


@internal
@view
def _compute_market_haircut(owner: address, market: uint256, cycle: uint256) -> uint256:
    """@dev The haircut of the account's pending cycle in a market, wei, rounded up on each side."""
    mine: uint256 = self.gained[owner][market][cycle % 2]
    loss: uint256 = self.losses[market][cycle]
    total: uint256 = price_path.totals[market][cycle]
    found: uint256 = 0
    for side: uint256 in range(2):
        # Under 2**117 each.
        both: uint256 = unsafe_mul(price_path._part(mine, side), price_path._part(loss, side))
        if both != 0:
            found += units._div_up(both, price_path._part(total, side))
    return found


@internal
@view
def _compute_standing(owner: address) -> IPerpetualMarket.Standing:
    """
    @dev The equity of a touched account at the marks, its haircuts as known, its gains that are not final.
    """
    account: Account = self._load_account(owner)
    found: IPerpetualMarket.Standing = IPerpetualMarket.Standing(own=account.cash, haircut=0, unfinal=0)
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        if account.markets >> market == 0:
            break
        if (account.markets >> market) & 1 == 0:
            continue
        size: int256 = self._size(owner, market)
        if size != 0:
            # 138 and 172 bits.
            found.own = unsafe_add(found.own, price_path._compute_worth(market, size))
        # Sums over all sides of parts of gains stay under 2**123.
        pending: uint256 = unsafe_sub(account.cycle, 1)
        found.haircut = unsafe_add(found.haircut, self._compute_market_haircut(owner, market, pending))
        found.unfinal = unsafe_add(
            unsafe_add(found.unfinal, self._compute_open_gains(owner, market, account.cycle, size)),
            price_path._both(self.gained[owner][market][pending % 2]),
        )
    return found


@internal
@view
def _compute_open_gains(owner: address, market: uint256, cycle: uint256, size: int256) -> uint256:
    """@dev The gain of a position in the open cycle on both sides, up to the last move, wei."""
    found: uint256 = price_path._both(self.gained[owner][market][cycle % 2])
    # The first of two fields.
    by: uint256 = unsafe_sub(price_path.moves[market][price_path._side(size)], self.since[owner][market])
    # 63 + 128 bits.
    return unsafe_add(found, unsafe_mul(convert(abs(size), uint256), by & price_path.MASK_128))


# -------------------------------------------------------------------- changes


@internal
def _trade_lots(owner: address, market: uint256, delta: int256, off: int256):
    """
    @dev Buy (or sell) lots for a touched account in a market that is up to date, at a price so far off the
         mark. The worth of a lot differs by side: lots are closed at the one and opened at the other.
    """
    account: Account = self._load_account(owner)
    position: Position = self._load_position(owner, market)
    old: int256 = position.size
    size: int256 = old + delta
    if abs(size) > convert(price_path.MASK_63, int256):
        revert_reason._raise("cycle_book: too many lots")
    if delta * size > 0:
        self._cap_deposits_at_roll_worth(owner)
    self._add_cycle_gains_and_losses(
        owner, market, account.cycle, old, price_path.moves[market][price_path._side(old)]
    )
    self.since[owner][market] = price_path.moves[market][price_path._side(size)]
    paid: int256 = (
        price_path._compute_worth(market, size) - price_path._compute_worth(market, old) + delta * off
    )
    price_path._update_open_lots(market, old, size)
    account.cash -= paid
    account.markets |= 1 << market
    if old == 0:
        missing: uint256 = THIRD_BOND * (3 - self._thirds(account.bond))
        self.bonds += missing
        account.cash -= convert(missing, int256)
        account.bond = SEIZED | BOOKED | TAKEN
    position.size = size
    position.value += paid
    self._check_and_store_position(owner, market, position)
    self._store_account(owner, account)
    log PositionChanged(account=owner, market=market, size=size, cash=account.cash)


@internal
def _cap_deposits_at_roll_worth(owner: address):
    """
    @dev Cap the counted deposits of an account that does more than reduce at its worth at the last roll.
    """
    worth: int256 = price_path._check_signed(self.worths[owner], 0, 138)
    most: uint256 = convert(max(0, worth), uint256)
    if self.paid_in[owner] > most:
        self.paid_in[owner] = most


@internal
def _change_account_cash(owner: address, amount: int256):
    """@dev Change an account's cash, wei."""
    account: Account = self._load_account(owner)
    # An amount is under 2**255, and no sum of both beyond 138 bits is stored.
    account.cash = unsafe_add(account.cash, amount)
    self._store_account(owner, account)


@internal
def _credit_payment_as_deposit(owner: address, amount: uint256):
    """
    @dev A payment into an account counts for the pending cycle as well, not for older ones, and is no profit,
         wad.
    """
    self._settle_missed_cycles(owner)
    self._book_deposit_or_withdrawal(owner, convert(amount, int256))
    self.paid_in[owner] += amount


@internal
def _book_deposit_or_withdrawal(owner: address, amount: int256):
    """@dev An account brings cash, or takes it out (under zero), wei: for the pending cycle as well."""
    self._change_account_cash(owner, amount)
    word: uint256 = self.worths[owner]
    worth: int256 = unsafe_add(price_path._check_signed(word, 0, 138), amount)
    brought: int256 = unsafe_add(price_path._check_signed(word, 138, 118), amount)
    self.worths[owner] = price_path._bits(worth, 138) | (price_path._bits(brought, 118) << 138)


@internal
def _pay_finder(owner: address, third: uint256, parts: uint256):
    """
    @dev Pay the sender for acting on an account: a third of its bond, once each, and so many parts of its
         cash. An account with positions has all of the bond; as they are seized, the last third is set apart
         for a take-over of its lots.
    """
    amount: uint256 = parts << PART
    # An amount is under 2**77.
    self._book_deposit_or_withdrawal(owner, unsafe_sub(0, convert(amount, int256)))
    account: Account = self._load_account(owner)
    account.paid = unsafe_add(account.paid, parts)
    if account.bond & third != 0:
        account.bond ^= third
        if third == SEIZED:
            account.bond ^= TAKEN
            self.rewards += THIRD_BOND
        self.bonds -= THIRD_BOND
        amount = unsafe_add(amount, THIRD_BOND)
    self._store_account(owner, account)
    if amount != 0:
        self._credit_payment_as_deposit(msg.sender, amount)
        log FinderPaid(account=owner, finder=msg.sender, amount=amount)


@internal
def _pay_takeover_reward(finder: address, amount: uint256):
    """@dev Pay a taker or deleverager of unassigned lots an amount in wad, as a deposit."""
    self.rewards -= amount
    self.bonds -= amount
    self._credit_payment_as_deposit(finder, amount)


@internal
def _move_unpaid_rewards_to_insurance():
    """@dev Rewards that are unpaid at the end are insurance."""
    self.bonds -= self.rewards
    self.fees += self.rewards
    self.rewards = 0


@internal
def _change_losses(market: uint256, cycle: uint256, less: uint256, more: uint256):
    """
    @dev Take both sides of a part off the burden on a cycle's gains, and add another. Neither side falls
         under zero or comes to 2**128: a part was added before, and all parts together are no more than was
         gained.
    """
    self.losses[market][cycle] = unsafe_add(unsafe_sub(self.losses[market][cycle], less), more)


@internal
def _set_booked(owner: address, market: uint256, amount: uint256):
    self.pendings[owner][market] = (self.pendings[owner][market] & MASK_138) | (amount << 138)


@internal
def _set_late(owner: address, amount: uint256):
    self.late_of[owner] = amount


@internal
def _index_lossy_cycle_haircuts(number: uint256, cycle: uint256, markets: uint256):
    """@dev Note a final cycle that had losses, by its number, and add its haircut of a lot to the indices."""
    self.lossy[number] = cycle
    for market: uint256 in range(markets, bound=bounds.MAX_MARGIN_MARKETS):
        losses: uint256 = self.losses[market][cycle]
        totals: uint256 = price_path.totals[market][cycle]
        for side: uint256 in range(2):
            index: uint256 = self.indices[market][side][number]
            loss: uint256 = price_path._part(losses, side)
            if loss != 0:
                total: uint256 = price_path._part(totals, side)
                # What a lot gained and what all bear are under 2**117: 255 bits.
                index += units._div_up((price_path._get_cycle_gains(market, cycle, side) * loss) << 21, total)
            self.indices[market][side][number + 1] = index


@internal
def _change_fees(amount: int256):
    self.fees = convert(convert(self.fees, int256) + amount, uint256)


@internal
def _take_out(owner: address, amount: uint256):
    """@dev So much of an account's deposits is withdrawn, wad."""
    self.paid_in[owner] -= amount


# -------------------------------------------------------------------- records


@internal
@pure
def _thirds(bond: uint256) -> uint256:
    """@dev [count] How many thirds of a bond are left."""
    return (bond & 1) + ((bond >> 1) & 1) + (bond >> 2)


@internal
@view
def _worth_at_roll(owner: address) -> int256:
    """@dev The worth of a touched account when the pending cycle ended, wei."""
    word: uint256 = self.worths[owner]
    return price_path._check_signed(word, 0, 138) - price_path._check_signed(word, 138, 118)


@internal
@view
def _size(owner: address, market: uint256) -> int256:
    """@dev Of a position, lots."""
    return price_path._check_signed(self.positions[owner][market], 0, 64)


@internal
@view
def _markets(owner: address) -> uint256:
    """@dev The markets that an account is in, by bits."""
    return (self.accounts[owner] >> 138) & MASK_8


@internal
@view
def _has_lots(owner: address) -> bool:
    """@dev Whether an account has a position."""
    markets: uint256 = self._markets(owner)
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        if markets >> market == 0:
            break
        if self._size(owner, market) != 0:
            return True
    return False


@internal
@view
def _paid(owner: address) -> uint256:
    """
    @dev The part of an account's cash that was paid for booking its loss of the pending cycle, in parts.
    """
    return self.accounts[owner] >> 213


@internal
@view
def _load_account(owner: address) -> Account:
    word: uint256 = self.accounts[owner]
    return Account(
        cash=price_path._check_signed(word, 0, 138),
        markets=(word >> 138) & MASK_8,
        cycle=(word >> 146) & price_path.MASK_32,
        seen=(word >> 178) & price_path.MASK_32,
        bond=(word >> 210) & 7,
        paid=word >> 213,
    )


@internal
def _store_account(owner: address, account: Account):
    self.accounts[owner] = (
        price_path._bits(account.cash, 138)
        | (account.markets << 138)
        | (account.cycle << 146)
        | (account.seen << 178)
        | (account.bond << 210)
        | (account.paid << 213)
    )


@internal
@view
def _load_pending(owner: address, market: uint256) -> Pending:
    word: uint256 = self.pendings[owner][market]
    return Pending(net=price_path._check_signed(word, 0, 138), booked=word >> 138)


@internal
@view
def _load_position(owner: address, market: uint256) -> Position:
    word: uint256 = self.positions[owner][market]
    return Position(size=price_path._check_signed(word, 0, 64), value=price_path._check_signed(word, 64, 138))


@internal
def _check_and_store_position(owner: address, market: uint256, position: Position):
    self.positions[owner][market] = (
        price_path._bits(position.size, 64) | (price_path._bits(position.value, 138) << 64)
    )
