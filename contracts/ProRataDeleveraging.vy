# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ProRataDeleveraging
@license GNU Affero General Public License v3.0 only
@notice Closes positions against unassigned lots (taken from insolvent accounts), of all accounts that gained
        in the pending cycle, each for the same share of its gain, in whole lots. The market decides
        separately which accounts bear the losses.
@dev R are the lots that are unassigned, or were closed here in this cycle, T the gain of a side in it and G
     that of an account. Its part is floor(R*G/T) in any order of calls: no ranking. The lots left by the
     floors, and by positions too small for a part, stay unassigned. Packed by hand: the first field at bit 0.
"""
from contracts.interfaces import IPerpetualTrading
from contracts.interfaces import IPerpetualMarket
from contracts.modules import bounds


event Shared:
    market: indexed(uint256)  # [id]
    side: indexed(uint256)  # [id] 0 for accounts that are long, 1 for short.
    lots: uint256  # [lots] That were closed.
    left: uint256  # [lots] That are nobody's still.


struct ClosedLots:
    cycle: uint256  # in which it was, 32 bits
    lots: uint256  # in that cycle, 64 bits


MASK_32: constant(uint256) = 2**32 - 1

MARKET: public(immutable(IPerpetualMarket))
TRADING: public(immutable(IPerpetualTrading))

# market -> side -> ClosedLots, of all
totals: HashMap[uint256, HashMap[uint256, uint256]]
# market -> side -> owner -> ClosedLots
parts: HashMap[uint256, HashMap[uint256, HashMap[address, uint256]]]


@deploy
def __init__(market: address, trading: address):
    """
    @notice The wiring is final.
    @param market The market, which computes the gains of accounts.
    @param trading Closes positions.
    """
    MARKET = IPerpetualMarket(market)
    TRADING = IPerpetualTrading(trading)


@external
@nonreentrant
def share(market: uint256, side: uint256, accounts: DynArray[address, bounds.MAX_CLOSED]) -> uint256:
    """
    @notice Close the parts of accounts against unassigned lots, at the mark. Permissionless, in any order and
            in as many calls as it takes; the bonds' payment for that goes to the sender. Protects: no account
            is closed for more than its part, by its gain.
    @param market [id] The market.
    @param side [id] 0 for accounts that are long, 1 for short.
    @param accounts The accounts to close in part, in ascending order, each once.
    @return [lots] The lots that are still unassigned.
    """
    assert side < 2, "deleveraging: no such side"
    cycle: uint256 = (staticcall MARKET.clock_of()).cycle - 1
    gained: uint256 = self._of((staticcall MARKET.cycle_of(market, cycle))[0], side)
    assert gained != 0, "deleveraging: nobody gained"
    lots: uint256[2] = empty(uint256[2])
    lots[0], lots[1] = staticcall MARKET.lots_of(market)
    total: uint256 = self._closed(self.totals[market][side], cycle)
    whole: uint256 = total + lots[side] - min(lots[side], lots[1 - side])
    most: DynArray[uint256, bounds.MAX_CLOSED] = []
    last: uint256 = 0
    for owner: address in accounts:
        assert convert(owner, uint256) > last, "deleveraging: out of order"
        last = convert(owner, uint256)
        mine: IPerpetualMarket.Gains = extcall MARKET.gains_of(owner, market)
        gain: uint256 = self._of(IPerpetualMarket.SideTotals(long=mine.long, short=mine.short), side)
        part: uint256 = whole * gain // gained
        done: uint256 = self._closed(self.parts[market][side][owner], cycle)
        most.append(part - min(part, done))
    closed: DynArray[uint256, bounds.MAX_CLOSED] = []
    left: uint256 = 0
    closed, left = extcall TRADING.deleverage(market, side, accounts, most, msg.sender, msg.sender)
    some: uint256 = 0
    for i: uint256 in range(len(accounts), bound=bounds.MAX_CLOSED):
        if closed[i] != 0:
            word: uint256 = self.parts[market][side][accounts[i]]
            done: uint256 = self._closed(word, cycle) + closed[i]
            self.parts[market][side][accounts[i]] = cycle | (done << 32)
            some += closed[i]
    assert some != 0, "deleveraging: no lots to close"
    self.totals[market][side] = cycle | ((total + some) << 32)
    log Shared(market=market, side=side, lots=some, left=left)
    return left


@external
@view
def part_of(market: uint256, side: uint256, owner: address) -> ClosedLots:
    """
    @notice Return the part of an account's position that was closed last.
    @param market [id] The market.
    @param side [id] 0 for accounts that are long, 1 for short.
    @param owner Owner of the account.
    @return The cycle, and its lots.
    """
    word: uint256 = self.parts[market][side][owner]
    return ClosedLots(cycle=word & MASK_32, lots=word >> 32)


@external
@view
def total_of(market: uint256, side: uint256) -> ClosedLots:
    """
    @notice Return the part of a side that was closed last.
    @param market [id] The market.
    @param side [id] 0 for accounts that are long, 1 for short.
    @return The cycle, and its lots.
    """
    word: uint256 = self.totals[market][side]
    return ClosedLots(cycle=word & MASK_32, lots=word >> 32)


# ------------------------------------------------------------------ helpers


@internal
@pure
def _closed(word: uint256, cycle: uint256) -> uint256:
    """@dev The lots of a record, if it is of that cycle."""
    if word & MASK_32 == cycle:
        return word >> 32
    return 0


@internal
@pure
def _of(gains: IPerpetualMarket.SideTotals, side: uint256) -> uint256:
    """@dev The gains of one side, wei."""
    if side == 0:
        return gains.long
    return gains.short
