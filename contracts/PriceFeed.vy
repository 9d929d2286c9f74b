# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title PriceFeed
@license GNU Affero General Public License v3.0 only
@notice One price for each collateral type, in ray per 1e18 of collateral: the median of independent
        reporters. It is delayed by one step so that a price is public before it counts, with a time-weighted
        average and a limit on its age. Zero means "no price". Guards, each off until it is set: a price far
        from the average waits to be confirmed; a market can be halted; a feed that comes back leaves owners
        time; one that stays dead is replaced by its last price. A market without trade, of a token that is
        worth the debt of its issuer, has its issuer's price instead. When a price has fallen far, pools are
        told to wait with payments, so that vaults can be flagged. A reporter submits its price itself, or
        signs it (EIP-712) for any account to submit. Each price carries the range of prices that the reporter
        saw in the seconds before, for markets with marks that are seconds old.
@dev A market is its collateral type's id. The current price changes in `poke` alone, so the cumulative price
     is kept up to `stepped_at` and the rest is added where it is read. Any reason that keeps a price from new
     risk makes `next` zero, so that a draw reads one slot. A suspect price is not there at all; one that a
     halt or a grace holds back is in `withheld`.
"""
from snekmate.utils import ecdsa
from snekmate.utils import eip712_domain_separator

from contracts.interfaces import IPriceFeed
from contracts.modules import bounds
from contracts.modules import price_drops
from contracts.modules import roles
from contracts.modules import settlement_price
from contracts.modules import units

implements: IPriceFeed

initializes: eip712_domain_separator
initializes: price_drops
initializes: roles
initializes: settlement_price

exports: (
    eip712_domain_separator.eip712Domain,
    roles.admin,
    roles.pending_admin,
    roles.transfer_admin,
    roles.accept_admin,
    roles.grant_role,
    roles.revoke_role,
    roles.has_role,
)


event MarketSet:
    collateral_type: indexed(uint256)  # [id]
    reporters: DynArray[address, bounds.MAX_REPORTERS]
    quorum: uint256  # [count]
    step: uint256  # [seconds]
    max_age: uint256  # [seconds]
    stale_after: uint256  # [seconds]
    window: uint256  # [seconds]


event Reported:
    collateral_type: indexed(uint256)  # [id]
    reporter: indexed(address)
    price: uint256  # [ray]


event RangeReported:
    collateral_type: indexed(uint256)  # [id]
    reporter: indexed(address)
    price: uint256  # [ray]
    low: uint256  # [ray]
    high: uint256  # [ray]
    since: uint256  # [timestamp]


event SignedReportAccepted:
    collateral_type: indexed(uint256)  # [id]
    reporter: indexed(address)
    price: uint256  # [ray]
    low: uint256  # [ray]
    high: uint256  # [ray]
    since: uint256  # [timestamp]
    signed_at: uint256  # [timestamp]


event Poked:
    collateral_type: indexed(uint256)  # [id]
    current: uint256  # [ray]
    next: uint256  # [ray]


event Suspected:
    collateral_type: indexed(uint256)  # [id]
    price: uint256  # [ray]
    average: uint256  # [ray]


event IssuerSet:
    collateral_type: indexed(uint256)  # [id]
    issuer: indexed(address)


event GraceStarted:
    collateral_type: indexed(uint256)  # [id]
    until: uint256  # [timestamp]


event GuardsSet:
    collateral_type: indexed(uint256)  # [id]
    deviation: uint256  # [basis points]
    confirmations: uint256  # [count]
    grace: uint256  # [seconds]
    dead_after: uint256  # [seconds]


event FinalPricePlanned:
    collateral_type: indexed(uint256)  # [id]
    at: uint256  # [timestamp]


event HaltSet:
    collateral_type: indexed(uint256)  # [id]
    halted: bool


struct Config:
    reporters: uint256  # how many, 8 bits
    quorum: uint256  # 8 bits
    step: uint256  # seconds between two prices, 32 bits
    max_age: uint256  # seconds; an older report is ignored, 32 bits
    stale_after: uint256  # seconds; without a step for longer there is no price, 32 bits
    window: uint256  # seconds the time-weighted price looks back at least, 32 bits


struct Guards:  # in the slot of the Config, after it
    deviation: uint256  # basis points of the time-weighted price; 0 is off, 14 bits
    confirmations: uint256  # steps that a deviating price waits longer, 2 bits
    grace: uint256  # seconds without liquidations after a gap, 24 bits
    dead_after: uint256  # seconds without a price until the last one counts; 0 is never, 24 bits
    halted: bool  # 1 bit
    suspect: uint256  # for how many steps the price has been outside, `confirmations` at most, 2 bits
    grace_until: uint256  # seconds, 32 bits
    closing: bool  # the price at which the market is settled is being made, 1 bit
    planned: bool  # another is planned or being made, 1 bit
    settled: bool  # the settlement of the market has begun, 1 bit


struct Average:
    cumulative: uint256  # ray x seconds from `since` up to stepped_at, 144 bits
    since: uint256  # of the older checkpoint, seconds, 32 bits
    stepped_at: uint256  # seconds, 32 bits
    checkpoint_at: uint256  # of the newest checkpoint, seconds, 32 bits
    fallen: uint256  # how far the lowest known price is under its highest (see falls), 16 bits


struct Report:
    price: uint256  # ray, 112 bits
    low: uint256  # of the range, in millionths of the price, rounded down, 24 bits
    high: uint256  # of the range, in millionths of the price, rounded up, 24 bits
    since: uint256  # when the range begins, seconds, 64 bits
    reported_at: uint256  # and ends, seconds, 32 bits


struct SignedReport:
    market: uint256
    price: uint256  # ray
    low: uint256  # ray
    high: uint256  # ray
    since: uint256  # seconds
    signed_at: uint256  # seconds
    signature: Bytes[65]  # r, s (the low one), v (27 or 28)


# What a reporter signs.
REPORT_TYPE: constant(bytes32) = keccak256(
    "Report(uint256 market,uint256 price,uint256 low,uint256 high,uint256 since,uint256 signedAt)"
)

MASK_2: constant(uint256) = 2**2 - 1
MASK_8: constant(uint256) = 2**8 - 1
MASK_14: constant(uint256) = 2**14 - 1
MASK_24: constant(uint256) = 2**24 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_112: constant(uint256) = 2**112 - 1
MASK_144: constant(uint256) = 2**144 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_240: constant(uint256) = 2**240 - 1
# Where the guards begin in their slot.
GUARDS: constant(uint256) = 144
# There, what can hold a price back: all but `confirmations`, `dead_after` and the last three bits.
HOLDING: constant(uint256) = MASK_14 * 2**144 + MASK_24 * 2**160 + (2**35 - 1) * 2**208
# There, the bits of `closing`, `planned` and `settled`.
CLOSING: constant(uint256) = 2**243
PLANNED: constant(uint256) = 2**244
SETTLED: constant(uint256) = 2**245
# The ends of a range are in millionths of the price.
MILLION: constant(uint256) = 10**6
# Of reporters, and one more.
PLACES: constant(uint256) = bounds.MAX_REPORTERS + 1
# Chainlink-style answers have 8 decimals.
RAY_TO_8_DECIMALS: constant(uint256) = 10**19

# collateral type -> Config and Guards
configs: HashMap[uint256, uint256]
# collateral type -> Prices
prices: HashMap[uint256, uint256]
# collateral type -> ray: the next price while a halt or a grace holds it back
withheld: public(HashMap[uint256, uint256])
# collateral type -> Average
averages: HashMap[uint256, uint256]
# collateral type -> ray x seconds from the older checkpoint up to the newest
checkpoints: HashMap[uint256, uint256]
# collateral type -> index of the reporter, from 1 -> Report
reports: HashMap[uint256, HashMap[uint256, uint256]]
# collateral type -> index, from 1 -> reporter
reporters: HashMap[uint256, HashMap[uint256, address]]
# collateral type -> reporter -> index, from 1; 0 is none
reporter_index: HashMap[uint256, HashMap[address, uint256]]
# collateral type -> whose word is the price; the zero address: reporters
issuer_of: public(HashMap[uint256, address])
# [seconds] collateral type -> from when on its planned price is made; the last plan, 0 is none
planned_for: public(HashMap[uint256, uint256])
# collateral type -> seconds: from when on a guardian may halt it again
halt_again_at: HashMap[uint256, uint256]


@deploy
def __init__(admin: address):
    """
    @param admin The first admin.
    """
    eip712_domain_separator.__init__("Backstop Prices", "1")
    roles.__init__(admin)


# ------------------------------------------------------------------- prices


@external
def report(collateral_type: uint256, price: uint256):
    """
    @notice Report a price. The market's listed reporters only: the list is the role. It makes no mark: it has
            no range of the seconds before. Protects: a report counts once, with its age; alone it moves
            nothing.
    @param collateral_type [id] The market: its collateral type's id.
    @param price [ray] For 1e18 of collateral, above zero and under 2**112.
    """
    index: uint256 = self._get_reporter_index(collateral_type, msg.sender)
    self._check_price(price)
    self.reports[collateral_type][index] = self._report(price, price, price, block.timestamp, block.timestamp)
    log Reported(collateral_type=collateral_type, reporter=msg.sender, price=price)


@external
def report_range(collateral_type: uint256, price: uint256, low: uint256, high: uint256, since: uint256):
    """
    @notice Report a price, and between which prices it was since a moment. The market's listed reporters
            only. Protects: a report makes a mark only if the reporter watched the seconds before, so no
            reporter picks one of them.
    @param collateral_type [id] The market: its collateral type's id.
    @param price [ray] For 1e18 of collateral, above zero and under 2**112.
    @param low [ray] The lowest price since then.
    @param high [ray] The highest price since then, at most 16 times the price.
    @param since [timestamp] The moment, not later than now.
    """
    index: uint256 = self._get_reporter_index(collateral_type, msg.sender)
    self._check_price(price)
    self.reports[collateral_type][index] = self._report(price, low, high, since, block.timestamp)
    log RangeReported(
        collateral_type=collateral_type, reporter=msg.sender, price=price, low=low, high=high, since=since
    )


@external
def submit_signed_reports(reports: DynArray[SignedReport, bounds.MAX_REPORTERS]) -> uint256:
    """
    @notice Submit reports that listed reporters have signed: each counts as its reporter's own, of the second
            in which it was signed. Permissionless. A report that is too old, or not newer than the reporter's
            last, is left out: another account may have submitted it meanwhile. Protects: no caller replays a
            report, goes back to an older one, or has more to choose from than `bounds.MAX_SIGNED_AGE` of each
            reporter's signed reports; none is valid at another market, feed or chain.
    @param reports Of any markets, in any order.
    @return [count] The number of counted reports.
    """
    count: uint256 = 0
    for each: SignedReport in reports:
        assert len(each.signature) == 65, "price_feed: bad signature"
        reporter: address = ecdsa._recover_sig(
            self._hash_accounts(each.market, each.price, each.low, each.high, each.since, each.signed_at),
            each.signature,
        )
        index: uint256 = self.reporter_index[each.market][reporter]
        assert index != 0, "price_feed: not signed"
        self._check_price(each.price)
        assert each.signed_at <= block.timestamp, "price_feed: from the future"
        age: uint256 = unsafe_sub(block.timestamp, each.signed_at)
        word: uint256 = self._report(each.price, each.low, each.high, each.since, each.signed_at)
        if age > bounds.MAX_SIGNED_AGE or each.signed_at <= self.reports[each.market][index] >> 224:
            continue
        self.reports[each.market][index] = word
        log SignedReportAccepted(
            collateral_type=each.market,
            reporter=reporter,
            price=each.price,
            low=each.low,
            high=each.high,
            since=each.since,
            signed_at=each.signed_at,
        )
        count += 1
    return count


@external
def poke(collateral_type: uint256):
    """
    @notice Step the price: the next becomes current, the median of fresh reports becomes next.
            Permissionless, once a step. In its first sixth, or in its first `bounds.MAX_SIGNED_AGE` seconds
            if that is more and half of a step at most, another median takes the place of the next price, and
            nothing else changes: neither the current price nor the end of the step. Protects: fewer than half
            of a market's reporters set no price, even if any of the others are silent. A price is public for
            all but that time of a step before it counts, and no caller uses a step up with the reports of the
            last. When there was no price for so long that the current one is stale, both are set at once: a
            next price from before the gap never becomes current. With a deviation set, a median outside it
            becomes next only after it was outside in so many steps. Protects: a wick of no more steps than
            that never becomes current, and a real crash is late by them, never refused.
    @param collateral_type [id] The market: its collateral type's id.
    """
    # Words and no structs: each copy costs whoever pokes.
    word: uint256 = self._load_market(collateral_type)
    if word & (CLOSING | PLANNED) != 0:
        word = self._count(collateral_type, word)
    median: uint256 = self._compute_median(collateral_type, word, (word >> 48) & MASK_32)
    assert median != 0, "price_feed: no quorum"
    average: uint256 = self.averages[collateral_type]
    elapsed: uint256 = unsafe_sub(block.timestamp, (average >> 176) & MASK_32)
    if elapsed < (word >> 16) & MASK_32:
        self._replace_next_price(collateral_type, word, median, elapsed)
        return

    prices: uint256 = self.prices[collateral_type]
    was: uint256 = prices & MASK_112
    current: uint256 = (prices >> 112) & MASK_112
    before: uint256 = min(was, current)
    if before == 0:
        before = self._compute_lower_current_next_price(collateral_type, was)
    next: uint256 = median
    since: uint256 = (average >> 144) & MASK_32
    checkpoint_at: uint256 = (average >> 208) & MASK_32
    fallen: uint256 = average >> 240
    # Ray x seconds stay under 2**144.
    cumulative: uint256 = unsafe_add(average & MASK_144, unsafe_mul(was, elapsed))
    if word & HOLDING != 0:
        current, next = self._compute_guarded_current_next_prices(
            collateral_type,
            word,
            self._load_prices(collateral_type),
            median,
            cumulative // unsafe_sub(block.timestamp, since),
            False,
        )
    if block.timestamp > prices >> 224:
        current = median
    if block.timestamp >= unsafe_add(checkpoint_at, (word >> 112) & MASK_32):
        # What is older than the newest checkpoint counts no more.
        cumulative = unsafe_sub(cumulative, self.checkpoints[collateral_type])
        since = checkpoint_at
        if since == 0:
            # The first price.
            since = block.timestamp
        checkpoint_at = block.timestamp
        self.checkpoints[collateral_type] = cumulative
    lowest: uint256 = min(current, next)
    if lowest == 0:
        lowest = self._compute_lower_current_next_price(collateral_type, current)
    # No debt is secured by what is no collateral type; and the first price has not fallen.
    if (lowest < before or fallen != 0) and collateral_type < bounds.MAX_TYPES:
        fallen = price_drops._update_fall_from_highest(fallen, before, lowest)

    self.averages[collateral_type] = (
        cumulative | (since << 144) | (block.timestamp << 176) | (checkpoint_at << 208) | (fallen << 240)
    )
    self.prices[collateral_type] = (
        current | (next << 112) | (unsafe_add(block.timestamp, (word >> 80) & MASK_32) << 224)
    )
    log Poked(collateral_type=collateral_type, current=current, next=next)


@external
def set_price(collateral_type: uint256, price: uint256):
    """
    @notice Set the worth of the issuer's token. The market's issuer only. It counts at once, in every price
            and in the average, and never goes stale: there is nothing to wait for or to confirm. No payment
            waits for it either: an issuer flags its own vault in the same call, and that vault is never sold.
    @param collateral_type [id] The market: its collateral type's id.
    @param price [ray] For 1e18 of collateral, above zero and under 2**112.
    """
    assert msg.sender == self.issuer_of[collateral_type], "price_feed: not the issuer"
    self._check_price(price)
    # An average that begins now is the price itself.
    self.averages[collateral_type] = (
        (block.timestamp << 144) | (block.timestamp << 176) | (block.timestamp << 208)
    )
    self.prices[collateral_type] = price | (price << 112) | (MASK_32 << 224)
    log Poked(collateral_type=collateral_type, current=price, next=price)


@external
def begin_final_price(collateral_type: uint256):
    """
    @notice Begin to make the price at which a market is settled. Role SETTLEMENT, once for each market. An
            issuer's word of now is that price. From now on reporters and guards stay as they are until it is
            final. Protects: no account chooses the price, nor the moment that it is taken at.
    @param collateral_type [id] The market: its collateral type's id.
    """
    roles._check_role(roles.SETTLEMENT)
    self._check_not_settled(collateral_type)
    if self.issuer_of[collateral_type] != empty(address):
        settlement_price._set(collateral_type, self._load_prices(collateral_type).current)
        return
    otherwise: uint256 = self._get_last_fresh_average(collateral_type, block.timestamp)
    settlement_price._begin(collateral_type, block.timestamp, otherwise)
    self.configs[collateral_type] |= CLOSING | SETTLED


@external
def plan_final_price(collateral_type: uint256, at: uint256):
    """
    @notice Plan to make a price in the same way from a moment on, for the market settled at it: it begins by
            itself, and is asked for by its moment. Role SETTLEMENT, one at a time for each market, not once
            settlement has begun. From the moment on reporters and guards stay as they are until it is final.
            Protects: no account chooses the price, nor, once it is planned, the moment that it is taken at.
    @param collateral_type [id] The market: its collateral type's id.
    @param at [timestamp] The moment, later than now; planning it twice is once.
    """
    roles._check_role(roles.SETTLEMENT)
    self._check_not_settled(collateral_type)
    word: uint256 = self._count(collateral_type, self._load_market(collateral_type))
    assert at > block.timestamp and at <= MASK_32, "price_feed: plan bounds"
    assert word & PLANNED == 0 or self.planned_for[collateral_type] == at, "price_feed: another is planned"
    self.planned_for[collateral_type] = at
    self.configs[collateral_type] = word | PLANNED
    log FinalPricePlanned(collateral_type=collateral_type, at=at)


# --------------------------------------------------------------- parameters


@external
def set_issuer(collateral_type: uint256, issuer: address):
    """
    @notice Make the issuer of a market's token its only source of the price, for good. Admin only, for a
            market without reporters. It has no guards then, and no halt: a debt ceiling of zero stops new
            risk.
    @param collateral_type [id] The market: its collateral type's id.
    @param issuer The account that sets the price.
    """
    roles._only_admin()
    self._load_open(collateral_type, self.configs[collateral_type])
    assert self.configs[collateral_type] & MASK_8 == 0, "price_feed: has reporters"
    self._check_no_issuer(collateral_type)
    assert issuer != empty(address), "price_feed: zero issuer"
    self.issuer_of[collateral_type] = issuer
    log IssuerSet(collateral_type=collateral_type, issuer=issuer)


@external
def set_market(
    collateral_type: uint256,
    reporters: DynArray[address, bounds.MAX_REPORTERS],
    quorum: uint256,
    step: uint256,
    max_age: uint256,
    stale_after: uint256,
    window: uint256,
):
    """
    @notice Set the reporters and the rules of a price, for a new market or an old one. Admin only. Old
            reporters and their reports are dropped; prices, averages and guards stay, and prices stay fresh
            as long as they were to be.
    @param collateral_type [id] The market: its collateral type's id.
    @param reporters At least `quorum`, each once. Of an even number one may be silent, of an odd one none.
    @param quorum [count] Of fresh reports that a price needs, at least 3, and more than twice the largest
                  minority of the reporters. Protects: no minority sets a price, with any others silent.
    @param step [seconds] Between two prices.
    @param max_age [seconds] After which a report is ignored.
    @param stale_after [seconds] After the last step, from which there is no price; at least a step.
    @param window [seconds] Least time that the time-weighted price covers.
    """
    roles._only_admin()
    self._check_no_issuer(collateral_type)
    count: uint256 = len(reporters)
    assert quorum >= bounds.MIN_QUORUM and quorum <= count, "price_feed: quorum bounds"
    # The largest minority is less than half of any quorum.
    assert quorum > (count - 1) // 2 * 2, "price_feed: minority is half"
    assert step >= bounds.MIN_STEP and step <= bounds.MAX_STEP, "price_feed: step bounds"
    assert max_age != 0 and max_age <= bounds.MAX_REPORT_AGE, "price_feed: age bounds"
    assert stale_after >= step and stale_after <= bounds.MAX_STALE_AFTER, "price_feed: stale bounds"
    assert window >= bounds.MIN_WINDOW and window <= bounds.MAX_WINDOW, "price_feed: window bounds"

    word: uint256 = self._load_open(collateral_type, self.configs[collateral_type])
    for i: uint256 in range(1, (word & MASK_8) + 1, bound=bounds.MAX_REPORTERS):
        self.reporter_index[collateral_type][self.reporters[collateral_type][i]] = 0
        self.reporters[collateral_type][i] = empty(address)
        self.reports[collateral_type][i] = 0
    index: uint256 = 0
    for reporter: address in reporters:
        index += 1
        assert reporter != empty(address), "price_feed: zero reporter"
        assert self.reporter_index[collateral_type][reporter] == 0, "price_feed: reporter twice"
        self.reporter_index[collateral_type][reporter] = index
        self.reporters[collateral_type][index] = reporter
    self.configs[collateral_type] = (
        count
        | (quorum << 8)
        | (step << 16)
        | (max_age << 48)
        | (stale_after << 80)
        | (window << 112)
        | (word >> GUARDS << GUARDS)
    )
    log MarketSet(
        collateral_type=collateral_type,
        reporters=reporters,
        quorum=quorum,
        step=step,
        max_age=max_age,
        stale_after=stale_after,
        window=window,
    )


@external
def set_guards(
    collateral_type: uint256,
    deviation: uint256,
    confirmations: uint256,
    grace: uint256,
    dead_after: uint256,
):
    """
    @notice Set a market's guards. Admin only. Running guards go on: a price that waits keeps its count, a
            grace its end.
    @param collateral_type [id] The market: its collateral type's id.
    @param deviation [basis points] Of the time-weighted price, by which a price may differ from it without
                     waiting; 0 is off.
    @param confirmations [count] Of steps for which one that differs more waits.
    @param grace [seconds] After a gap, in which nothing is lent and no liquidation starts; 0 is off.
    @param dead_after [seconds] Without a price, after which liquidations, resets and closes use the last one;
                      0 is never.
    """
    roles._only_admin()
    word: uint256 = self._load_open(collateral_type, self._load_market(collateral_type))
    guards: Guards = self._unpack_guards(word)
    assert deviation <= bounds.MAX_DEVIATION, "price_feed: deviation bounds"
    assert (
        confirmations >= bounds.MIN_CONFIRMATIONS and confirmations <= bounds.MAX_CONFIRMATIONS
    ), "price_feed: confirmation bounds"
    assert grace <= bounds.MAX_GRACE, "price_feed: grace bounds"
    assert dead_after <= bounds.MAX_DEAD_AFTER, "price_feed: dead bounds"
    guards.deviation = deviation
    guards.confirmations = confirmations
    guards.grace = grace
    guards.dead_after = dead_after
    self._store_guards(collateral_type, guards)
    log GuardsSet(
        collateral_type=collateral_type,
        deviation=deviation,
        confirmations=confirmations,
        grace=grace,
        dead_after=dead_after,
    )


@external
def set_halted(collateral_type: uint256, halted: bool):
    """
    @notice Halt a market, or end its halt. The admin's halt lasts until it is ended. Any guardian may halt
            only: for `bounds.GUARDIAN_HALT`, and again not before `bounds.GUARDIAN_PAUSE` after that. No
            account ends it sooner. Protects: while it lasts nothing is lent and no liquidation starts, and no
            guardian stops these for longer. Prices go on: auctions under way are reset and closed, and vaults
            flagged, at the market's prices, and a halt hides no loss.
    @param collateral_type [id] The market: its collateral type's id.
    @param halted True to halt, false to end it.
    """
    word: uint256 = self._count(collateral_type, self._load_market(collateral_type))
    guards: Guards = self._unpack_guards(word)
    if msg.sender != roles.admin:
        roles._check_role(roles.GUARDIAN)
        assert halted, "price_feed: only halt"
        assert block.timestamp >= self.halt_again_at[collateral_type], "price_feed: halted lately"
        # Like a grace: it ends by itself, and a longer one goes on.
        until: uint256 = block.timestamp + bounds.GUARDIAN_HALT
        self.halt_again_at[collateral_type] = until + bounds.GUARDIAN_PAUSE
        guards.grace_until = max(guards.grace_until, until)
        log GraceStarted(collateral_type=collateral_type, until=guards.grace_until)
    else:
        guards.halted = halted
    self._store_guards(collateral_type, guards)
    # The next price changes places: new risk does not see it, `poke` does.
    prices: IPriceFeed.Prices = self._load_prices(collateral_type)
    if self._holds_back(guards):
        if prices.next != 0:
            self.withheld[collateral_type] = prices.next
            prices.next = 0
    elif prices.next == 0:
        prices.next = self.withheld[collateral_type]
        self.withheld[collateral_type] = 0
    self.prices[collateral_type] = (prices.current | (prices.next << 112) | (prices.fresh_until << 224))
    log HaltSet(collateral_type=collateral_type, halted=halted)


# -------------------------------------------------------------------- views


@external
@view
def current_price(collateral_type: uint256) -> uint256:
    """
    @notice The price that counts.
    @param collateral_type [id] The market: its collateral type's id.
    @return [ray] For 1e18 of collateral; 0 if it is stale or there is none.
    """
    return self._get_prices_if_fresh(collateral_type).current


@external
@view
def liquidation_price(collateral_type: uint256) -> uint256:
    """
    @notice Return the starting price of a liquidation: the auctions' price, but none in a market that is
            halted or in its grace. Protects: owners of vaults have time to act after an outage.
    @param collateral_type [id] The market: its collateral type's id.
    @return [ray] For 1e18 of collateral; 0 is none.
    """
    word: uint256 = self.prices[collateral_type]
    # One slot, unless a guard is at work.
    if (word >> 112) & MASK_112 == 0 and self._holds_back(self._load_guards(collateral_type)):
        return 0
    return self._valid_price(collateral_type, word)


@external
@view
def sale_prices(collateral_type: uint256) -> (uint256, uint256):
    """
    @notice Return the price that starts a sale of collateral, and the highest price that the collateral may
            be worth. The account that starts a sale chooses the second, so the next price counts as well
            as the current one, also if a halt or a grace holds it back. Of a next price that waits to be
            confirmed, the present reports count. A next price from before a gap never counts. Protects: no
            collateral is sold from an outdated price, and no guard hides a price from sales.
    @param collateral_type [id] The market: its collateral type's id.
    @return [ray] As `liquidation_price` has it.
    @return [ray] The highest of the current price, as `auction_price` has it, and the next; 0 without the
            first.
    """
    word: uint256 = self.prices[collateral_type]
    price: uint256 = word & MASK_112
    next: uint256 = (word >> 112) & MASK_112
    # One slot, unless a guard is at work or the price is stale.
    if next != 0 and block.timestamp <= word >> 224:
        return price, max(price, next)
    price = self._valid_price(collateral_type, word)
    next = self._withheld_or_reported(collateral_type, word)
    if self._holds_back(self._load_guards(collateral_type)):
        return 0, max(price, next)
    return price, max(price, next)


@external
@view
def auction_price(collateral_type: uint256) -> uint256:
    """
    @notice The current price; once the feed has been stale for longer than the market allows, the last one.
            Protects: a feed that never comes back stops no auction.
    @param collateral_type [id] The market: its collateral type's id.
    @return [ray] For 1e18 of collateral; 0 until then, or if there is none.
    """
    return self._valid_price(collateral_type, self.prices[collateral_type])


@external
@view
def last_price(collateral_type: uint256) -> uint256:
    """
    @notice The current price, fresh or not. It decides nothing.
    @param collateral_type [id] The market: its collateral type's id.
    @return [ray] For 1e18 of collateral; 0 if there never was one.
    """
    return self._load_prices(collateral_type).current


@external
@view
def risk_price(collateral_type: uint256) -> uint256:
    """
    @notice Return the price for new risk: the lower of current and next. Protects: no borrower draws against
            a price drop that is already public, nor at a price that is not confirmed.
    @param collateral_type [id] The market: its collateral type's id.
    @return [ray] For 1e18 of collateral; 0 if stale or none, or if a guard keeps the next one back.
    """
    prices: IPriceFeed.Prices = self._get_prices_if_fresh(collateral_type)
    return min(prices.current, prices.next)


@external
@view
def mark_within(collateral_type: uint256, age: uint256, at: uint256) -> IPriceFeed.Mark:
    """
    @notice Return the medians of reports of the last seconds, with the market's quorum; neither delayed nor
            held back by a guard but a halt. A report counts if its range contains the second that lies so far
            back. For a market settled at a final price: that price if these medians hold. It is the mean of
            the valid time so far, and for the time it lacks the current price and the next as long as they
            count, then these; before its moment as well, from two steps on. Once it is final, that. As long
            as the next price can be replaced, the range has the replacement, too. Protects: the caller that
            brings reports chooses a price of the last seconds, but every range that it can choose contains
            the same second; a caller that steps the feed moves the mark within its range; no move of the mark
            is known before it is made.
    @param collateral_type [id] The market: its collateral type's id.
    @param age [seconds] Of the oldest report that counts; at most the market's own.
    @param at [timestamp] A moment that a price is planned for; 0 is none. A settlement that has begun before
              it counts instead.
    @return Price, low and high for 1e18 of collateral; the high is rounded up. Zeros without a quorum, or
            halted.
    """
    word: uint256 = self.configs[collateral_type]
    mark: IPriceFeed.Mark = self._compute_median_mark(collateral_type, word, age)
    begins: uint256 = block.timestamp
    closing: settlement_price.Closing = empty(settlement_price.Closing)
    if word & SETTLED != 0 or (at != 0 and block.timestamp >= at):
        is_final: bool = False
        fixed: uint256 = 0
        is_final, fixed, closing = self._compute_first_final_price(collateral_type, at, word)
        if is_final:
            return IPriceFeed.Mark(price=fixed, low=fixed, high=fixed)
    elif at == 0:
        return mark
    else:
        begins = at
    if mark.price == 0:
        return mark
    # Of price, low and high; 112 + 15 bits.
    sums: uint256[3] = [closing.sum, closing.sum, closing.sum]
    left: uint256 = unsafe_sub(bounds.FINAL_WINDOW, closing.valid)
    prices: IPriceFeed.Prices = self._load_prices(collateral_type)
    if block.timestamp <= prices.fresh_until:
        step: uint256 = (word >> 16) & MASK_32
        stepped_at: uint256 = (self.averages[collateral_type] >> 176) & MASK_32
        until: uint256 = unsafe_add(stepped_at, step)
        # As long as any account can replace the next price, it may be that or what is reported; with a
        # deviation set a price that waits takes the current one with it.
        replaceable: bool = block.timestamp - stepped_at <= self._renewal(step)
        guarded: bool = (word >> GUARDS) & MASK_14 != 0
        for i: uint256 in range(2):
            end: uint256 = until if i == 0 else max(block.timestamp, until) + step
            seconds: uint256 = min(left, max(begins, end) - begins)
            known: uint256 = prices.current if i == 0 else prices.next
            holds: bool = prices.next != 0
            sums[0] += seconds * (known if holds else mark.price)
            low: uint256 = known if holds else mark.low
            high: uint256 = known if holds else mark.high
            if replaceable and known != 0 and (i == 1 or guarded):
                low = min(known, mark.low)
                high = max(known, mark.high)
            sums[1] += seconds * low
            sums[2] += seconds * high
            left -= seconds
            begins += seconds
    return IPriceFeed.Mark(
        price=(sums[0] + mark.price * left) // bounds.FINAL_WINDOW,
        low=(sums[1] + mark.low * left) // bounds.FINAL_WINDOW,
        high=units._div_up(sums[2] + mark.high * left, bounds.FINAL_WINDOW),
    )


@external
@view
def time_weighted(collateral_type: uint256) -> uint256:
    """
    @notice Return the average of the current price up to now, over at least a window and at most two windows
            and two steps. With a shorter history the average covers all of it; without one it is the current
            price. Not checked for age. Protects: a price moved for a moment decides nothing that reads this.
    @param collateral_type [id] The market: its collateral type's id.
    @return [ray] For 1e18 of collateral, rounded down.
    """
    return self._compute_average(collateral_type, self.prices[collateral_type] & MASK_112, block.timestamp)


@external
@view
def current_and_average(collateral_type: uint256) -> (uint256, uint256):
    """
    @notice The current price and the time-weighted one, for sales that begin at the one and end at the other.
    @param collateral_type [id] The market: its collateral type's id.
    @return [ray] As `current_price` has it; 0 if it is stale or there is none.
    @return [ray] As in `time_weighted`, at any age.
    """
    word: uint256 = self.prices[collateral_type]
    last: uint256 = word & MASK_112
    average: uint256 = self._compute_average(collateral_type, last, block.timestamp)
    if block.timestamp > word >> 224:
        return 0, average
    return last, average


@external
@view
def highest_and_average(collateral_type: uint256) -> (uint256, uint256):
    """
    @notice Return the highest and the average price of equity, for a call where the sender chooses the
            second.
    @param collateral_type [id] The market: its collateral type's id.
    @return [ray] The highest price, as `sale_prices` has it.
    @return [ray] As in `time_weighted`, at any age.
    """
    word: uint256 = self.prices[collateral_type]
    highest: uint256 = word & MASK_112
    average: uint256 = self._compute_average(collateral_type, highest, block.timestamp)
    next: uint256 = (word >> 112) & MASK_112
    if next == 0 or block.timestamp > word >> 224:
        highest = self._valid_price(collateral_type, word)
        next = self._withheld_or_reported(collateral_type, word)
    return max(highest, next), average


@external
@view
def withdrawals_paused_until() -> uint256:
    """
    @notice Until when members of pools are not paid: `bounds.LOOK` after the last step in which the lowest
            known price of any collateral type had fallen by `bounds.FALL` or more, in one step or in many.
            Falls that leave no `bounds.LOOK` in between hold payments up for `bounds.MAX_LOOK` in all.
            Protects: no payment is made ahead of the flags for the vaults that a crash concerns; and no
            caller holds payments up for good.
    @return [timestamp] Long ago, if no price has fallen lately.
    """
    return price_drops._withdrawals_paused_until()


@external
@view
def final_price(collateral_type: uint256) -> (bool, uint256):
    """
    @notice The price at which a market is settled: the mean over the first six hours of valid prices since
            its closing began. A price is valid while it is fresh, none that is far off waits, and no halt
            stands; a halt counts for two days at most. Three days after the beginning, for want of such time,
            the mean over the valid time if it is a quarter, else the average from before. Protects: one
            answer for every caller, at any time.
    @param collateral_type [id] The market: its collateral type's id.
    @return True once it is final.
    @return [ray] For 1e18 of collateral, rounded down; 0 before that, or if there never was a price.
    """
    return self._compute_final_price(collateral_type, 0)


@external
@view
def final_price_from(collateral_type: uint256, at: uint256) -> (bool, uint256):
    """
    @notice The same from a moment on that was planned, or from the settlement of the market if that began
            before it.
    @param collateral_type [id] The market: its collateral type's id.
    @param at [timestamp] The moment; 0 is none, and the settlement counts.
    @return True once it is final.
    @return [ray] For 1e18 of collateral, rounded down; 0 before that, or if there never was a price.
    """
    return self._compute_final_price(collateral_type, at)


@external
@view
def digest_of(
    market: uint256, price: uint256, low: uint256, high: uint256, since: uint256, signed_at: uint256
) -> bytes32:
    """
    @notice Return the hash that a reporter signs.
    @param market [id] The market: its collateral type's id.
    @param price [ray] For 1e18 of collateral.
    @param low [ray] The lowest price since a moment.
    @param high [ray] The highest price since then.
    @param since [timestamp] The moment.
    @param signed_at [timestamp] When.
    @return The digest.
    """
    return self._hash_accounts(market, price, low, high, since, signed_at)


@external
@view
def prices_of(collateral_type: uint256) -> IPriceFeed.Prices:
    """
    @notice The current and the next price, fresh or not, and until when they are fresh. The next is 0 while a
            guard keeps it from new risk.
    @param collateral_type [id] The market: its collateral type's id.
    @return The record; zeros if there never was a price.
    """
    return self._load_prices(collateral_type)


@external
@view
def config_of(collateral_type: uint256) -> Config:
    """
    @notice How a market's price is made.
    @param collateral_type [id] The market: its collateral type's id.
    @return The record; zeros if there is no such market, or if it has an issuer.
    """
    return self._unpack_config(self.configs[collateral_type])


@external
@view
def guards_of(collateral_type: uint256) -> Guards:
    """
    @notice Return a market's guards, and their state.
    @param collateral_type [id] The market: its collateral type's id.
    @return The record; zeros where none were set.
    """
    return self._load_guards(collateral_type)


@external
@view
def reporters_of(collateral_type: uint256) -> DynArray[address, bounds.MAX_REPORTERS]:
    """
    @notice Return the reporters of a market.
    @param collateral_type [id] The market: its collateral type's id.
    @return In the order of `set_market`.
    """
    found: DynArray[address, bounds.MAX_REPORTERS] = []
    count: uint256 = self.configs[collateral_type] & MASK_8
    for i: uint256 in range(1, count + 1, bound=bounds.MAX_REPORTERS):
        found.append(self.reporters[collateral_type][i])
    return found


@external
@view
def report_of(collateral_type: uint256, reporter: address) -> Report:
    """
    @notice A reporter's last report.
    @param collateral_type [id] The market: its collateral type's id.
    @param reporter The reporter.
    @return The record; zeros if there is none.
    """
    return self._load_report(collateral_type, self.reporter_index[collateral_type][reporter])


@external
@view
def decimals() -> uint8:
    """
    @notice How the answers of `latest_round_data` are scaled.
    @return [decimals] As Chainlink's prices in a currency have.
    """
    return 8


@external
@view
def latest_round_data(collateral_type: uint256) -> (uint80, int256, uint256, uint256, uint80):
    """
    @notice The current price as a Chainlink aggregator gives it, for consumers that know that face. As there,
            the reader judges the age by `updated_at`.
    @param collateral_type [id] The market: its collateral type's id.
    @return [id] The round: the time of the last step.
    @return [unit of the feed] The price with 8 decimals, rounded down.
    @return [timestamp] When the round started: the last step.
    @return [timestamp] When it was updated: the last step.
    @return [id] The round of the answer: the same.
    """
    stepped_at: uint256 = self._load_average(collateral_type).stepped_at
    price: uint256 = self._load_prices(collateral_type).current
    answer: int256 = convert(price // RAY_TO_8_DECIMALS, int256)
    round_id: uint80 = convert(stepped_at, uint80)
    return round_id, answer, stepped_at, stepped_at, round_id


# ------------------------------------------------------------------ helpers


@internal
@view
def _hash_accounts(
    market: uint256, price: uint256, low: uint256, high: uint256, since: uint256, signed_at: uint256
) -> bytes32:
    return eip712_domain_separator._hash_typed_data_v4(
        keccak256(abi_encode(REPORT_TYPE, market, price, low, high, since, signed_at))
    )


@internal
@view
def _get_reporter_index(collateral_type: uint256, reporter: address) -> uint256:
    """@dev Index of a listed reporter, from 1."""
    index: uint256 = self.reporter_index[collateral_type][reporter]
    assert index != 0, "price_feed: not a reporter"
    return index


@internal
@pure
def _report(price: uint256, low: uint256, high: uint256, since: uint256, at: uint256) -> uint256:
    """@dev The packed slot of a Report; its range ends at the time of the report."""
    # A price is under 2**112, so a high that fits is under 2**116.
    assert (low <= price and price <= high and high <= price * 16 and since <= at), "price_feed: range bounds"
    return (
        price
        | ((low * MILLION // price) << 112)
        | (units._div_up(high * MILLION, price) << 136)
        | (since << 160)
        | (at << 224)
    )


@internal
@view
def _load_report(collateral_type: uint256, index: uint256) -> Report:
    word: uint256 = self.reports[collateral_type][index]
    return Report(
        price=word & MASK_112,
        low=(word >> 112) & MASK_24,
        high=(word >> 136) & MASK_24,
        since=(word >> 160) & MASK_64,
        reported_at=word >> 224,
    )


@internal
@pure
def _check_price(price: uint256):
    assert price != 0 and price <= bounds.MAX_PRICE, "price_feed: price bounds"


@internal
@view
def _check_no_issuer(collateral_type: uint256):
    assert self.issuer_of[collateral_type] == empty(address), "price_feed: has an issuer"


@internal
@view
def _check_not_settled(collateral_type: uint256):
    assert not settlement_price._has_begun(collateral_type), "price_feed: closing has begun"


@internal
def _load_open(collateral_type: uint256, word: uint256) -> uint256:
    """@dev The slot of Config and Guards of a market of which no final price is being made any more."""
    found: uint256 = self._count(collateral_type, word)
    assert found & CLOSING == 0 and (
        found & PLANNED == 0 or block.timestamp < self.planned_for[collateral_type]
    ), "price_feed: is closing"
    return found


@internal
def _count(collateral_type: uint256, word: uint256) -> uint256:
    """@dev Count the time up to now for final prices; the slot of Config and Guards afterwards."""
    if word & (CLOSING | PLANNED) == 0:
        return word
    found: uint256 = word
    market: settlement_price.Market = self._build_market_for_final_price(collateral_type, word)
    if word & CLOSING != 0 and settlement_price._count_time_and_finalise_price(collateral_type, market):
        found ^= CLOSING
    if word & PLANNED != 0:
        at: uint256 = self.planned_for[collateral_type]
        if block.timestamp >= at:
            key: uint256 = settlement_price._key(collateral_type, at)
            if not settlement_price._has_begun(key):
                settlement_price._begin(key, at, self._get_last_fresh_average(collateral_type, at))
            if settlement_price._count_time_and_finalise_price(key, market):
                found ^= PLANNED
    self.configs[collateral_type] = found
    return found


@internal
@view
def _compute_final_price(collateral_type: uint256, at: uint256) -> (bool, uint256):
    """@dev As in `final_price_from`."""
    is_final: bool = False
    price: uint256 = 0
    closing: settlement_price.Closing = empty(settlement_price.Closing)
    is_final, price, closing = self._compute_first_final_price(
        collateral_type, at, self.configs[collateral_type]
    )
    return is_final, price


@internal
@view
def _compute_first_final_price(
    collateral_type: uint256, at: uint256, word: uint256
) -> (bool, uint256, settlement_price.Closing):
    """@dev Whether the price of the earliest closing is final, the price, and the closing up to now."""
    key: uint256 = settlement_price._choose_earlier_closing_key(collateral_type, at)
    begun: uint256 = 0
    otherwise: uint256 = 0
    if (
        key != collateral_type
        and block.timestamp >= at
        and self.planned_for[collateral_type] == at
        and not settlement_price._has_begun(key)
    ):
        begun = at
        otherwise = self._get_last_fresh_average(collateral_type, at)
    return settlement_price._price(
        key, self._build_market_for_final_price(collateral_type, word), begun, otherwise
    )


@internal
@view
def _get_last_fresh_average(collateral_type: uint256, at: uint256) -> uint256:
    """@dev The average that was known in a second since the last step, when the price was last fresh."""
    prices: IPriceFeed.Prices = self._load_prices(collateral_type)
    return self._compute_average(collateral_type, prices.current, min(at, prices.fresh_until))


@internal
@view
def _compute_median_mark(collateral_type: uint256, word: uint256, age: uint256) -> IPriceFeed.Mark:
    """
    @dev Medians of the reports with ranges that contain the second that lies so far back; zeros without a
         quorum, or halted. `word` is the slot of Config and Guards.
    """
    prices: uint256[PLACES] = empty(uint256[PLACES])
    prices[PLACES - 1] = max_value(uint256)
    lows: uint256[PLACES] = empty(uint256[PLACES])
    lows[PLACES - 1] = max_value(uint256)
    highs: uint256[PLACES] = empty(uint256[PLACES])
    highs[PLACES - 1] = max_value(uint256)
    count: uint256 = 0
    oldest: uint256 = block.timestamp - min(age, (word >> 48) & MASK_32)
    for i: uint256 in range(1, unsafe_add(word & MASK_8, 1), bound=bounds.MAX_REPORTERS):
        report: uint256 = self.reports[collateral_type][i]
        # A missing report is of second 0.
        if report >> 224 < oldest or (report >> 160) & MASK_64 > oldest:
            continue
        price: uint256 = report & MASK_112
        # 112 + 24 bits.
        prices[count] = price
        lows[count] = unsafe_div(unsafe_mul(price, (report >> 112) & MASK_24), MILLION)
        highs[count] = unsafe_div(
            unsafe_add(unsafe_mul(price, (report >> 136) & MASK_24), MILLION - 1), MILLION
        )
        count = unsafe_add(count, 1)
    if count == 0 or count < (word >> 8) & MASK_8 or (word >> 208) & 1 != 0:
        return empty(IPriceFeed.Mark)
    return IPriceFeed.Mark(
        price=self._get_lower_median(prices, count),
        low=self._get_lower_median(lows, count),
        high=self._get_lower_median(highs, count),
    )


@internal
@pure
def _get_lower_median(values: uint256[PLACES], count: uint256) -> uint256:
    """
    @dev The middle one of so many; of an even number the lower of the two in the middle. The last place holds
         the number above all. Their order is a word with a place in each 4 bits, the lowest first, so that
         one more is put in at once, at any place. Callers of marks give little gas.
    """
    order: uint256 = max_value(uint256)
    for i: uint256 in range(count, bound=bounds.MAX_REPORTERS):
        value: uint256 = values[i]
        # How many bits those have that are no higher.
        at: uint256 = 0
        if values[(order >> 28) & 15] <= value:
            at = 32
        if values[(order >> (at | 12)) & 15] <= value:
            at |= 16
        if values[(order >> (at | 4)) & 15] <= value:
            at |= 8
        if values[(order >> at) & 15] <= value:
            at |= 4
        above: uint256 = order & (max_value(uint256) << at)
        order = (order ^ above) | (i << at) | (above << 4)
    return values[(order >> unsafe_mul(4, unsafe_sub(count, 1) >> 1)) & 15]


@internal
@view
def _build_market_for_final_price(collateral_type: uint256, word: uint256) -> settlement_price.Market:
    """@dev The state of a market since its last change."""
    prices: IPriceFeed.Prices = self._load_prices(collateral_type)
    guards: Guards = self._unpack_guards(word)
    return settlement_price.Market(
        price=prices.current,
        fresh_until=prices.fresh_until,
        held_until=max_value(uint256) if guards.halted else guards.grace_until,
        waits=guards.suspect != 0 and prices.next == 0 and self.withheld[collateral_type] == 0,
    )


@internal
@view
def _compute_average(collateral_type: uint256, current: uint256, at: uint256) -> uint256:
    """@dev The time-weighted price as of a second, not before the last step; `current` is the current one."""
    word: uint256 = self.averages[collateral_type]
    since: uint256 = (word >> 144) & MASK_32
    if since == at:
        return current
    # As in `poke`, under 2**144.
    cumulative: uint256 = unsafe_add(
        word & MASK_144, unsafe_mul(current, unsafe_sub(at, (word >> 176) & MASK_32))
    )
    return unsafe_div(cumulative, unsafe_sub(at, since))


@internal
def _replace_next_price(collateral_type: uint256, word: uint256, median: uint256, elapsed: uint256):
    """
    @dev Replace the next price by a median, `elapsed` seconds after the step that set it. The current price,
         the clock and the average stay.
    """
    prices: IPriceFeed.Prices = self._load_prices(collateral_type)
    pending: uint256 = self._get_next_or_withheld_price(collateral_type, prices)
    current: uint256 = prices.current
    next: uint256 = median
    if word & HOLDING != 0:
        weighted: uint256 = self._compute_average(collateral_type, current, block.timestamp)
        current, next = self._compute_guarded_current_next_prices(
            collateral_type, word, prices, median, weighted, True
        )
    prices.next = next
    renewed: uint256 = self._get_next_or_withheld_price(collateral_type, prices)
    step: uint256 = (word >> 16) & MASK_32
    # A price that waits goes on waiting.
    assert (
        median != pending and renewed != pending and elapsed <= self._renewal(step)
    ), "price_feed: too early"

    if collateral_type < bounds.MAX_TYPES:
        average: uint256 = self.averages[collateral_type]
        before: uint256 = self._lower(current, pending)
        fallen: uint256 = price_drops._update_fall_from_highest(
            average >> 240, before, self._lower(current, renewed)
        )
        self.averages[collateral_type] = (average & MASK_240) | (fallen << 240)
    self.prices[collateral_type] = current | (next << 112) | (prices.fresh_until << 224)
    log Poked(collateral_type=collateral_type, current=current, next=next)


@internal
@pure
def _renewal(step: uint256) -> uint256:
    """@dev [seconds] In which the next price of a step can be replaced."""
    return max(step // 6, min(step // 2, bounds.MAX_SIGNED_AGE))


@internal
def _compute_guarded_current_next_prices(
    collateral_type: uint256,
    word: uint256,
    old: IPriceFeed.Prices,
    median: uint256,
    weighted: uint256,
    renews: bool,
) -> (uint256, uint256):
    """
    @dev The current and the next price of a guarded market: without a next one that counts, the current one
         stays. Where the next price of a step is renewed, the current one has been set. The waiting price has
         been counted, and a price outside counts if the price that it replaces had waited, or continues the
         current one.
    """
    guards: Guards = self._unpack_guards(word)
    pending: uint256 = self._get_next_or_withheld_price(collateral_type, old)
    current: uint256 = pending
    if pending == 0 or renews:
        current = old.current

    next: uint256 = median
    suspect: uint256 = 0
    # Without an average there is nothing to deviate from.
    if guards.deviation != 0 and weighted != 0 and self._is_deviating(median, weighted, guards.deviation):
        suspect = guards.suspect
        if pending == 0:
            # It waits already.
            if renews:
                next = 0
            elif suspect < guards.confirmations:
                suspect = unsafe_add(suspect, 1)
                next = 0
        elif suspect == 0 or (
            self._is_deviating(median, current, guards.deviation)
            and not self._is_deviating(pending, current, guards.deviation)
        ):
            # Seen for the first time, or another leap from one that was confirmed.
            suspect = 1
            next = 0
        if next == 0:
            log Suspected(collateral_type=collateral_type, price=median, average=weighted)
    if suspect != guards.suspect:
        guards.suspect = suspect
        self._store_guards(collateral_type, guards)

    if guards.grace != 0 and block.timestamp > old.fresh_until and old.current != 0:
        guards.grace_until = unsafe_add(block.timestamp, guards.grace)
        self._store_guards(collateral_type, guards)
        log GraceStarted(collateral_type=collateral_type, until=guards.grace_until)
    if self._holds_back(guards):
        self.withheld[collateral_type] = next
        next = 0
    elif old.next == 0:
        self.withheld[collateral_type] = 0
    return current, next


@internal
@pure
def _is_deviating(price: uint256, other: uint256, deviation: uint256) -> bool:
    # 112 + 14 bits.
    difference: uint256 = unsafe_sub(max(price, other), min(price, other))
    return unsafe_mul(difference, units.BASIS_POINTS) > unsafe_mul(other, deviation)


@internal
@view
def _get_next_or_withheld_price(collateral_type: uint256, prices: IPriceFeed.Prices) -> uint256:
    """@dev The next price, also while a halt or a grace holds it back; 0 while it waits to be confirmed."""
    return self.withheld[collateral_type] if prices.next == 0 else prices.next


@internal
@view
def _compute_lower_current_next_price(collateral_type: uint256, current: uint256) -> uint256:
    """@dev The lowest known price of a market without a next one: a guard may hold that back."""
    return self._lower(current, self.withheld[collateral_type])


@internal
@pure
def _lower(current: uint256, coming: uint256) -> uint256:
    """@dev The lower of the current price and the next, if there is one."""
    return current if coming == 0 else min(current, coming)


@internal
@view
def _withheld_or_reported(collateral_type: uint256, word: uint256) -> uint256:
    """
    @dev Of a slot of Prices without a next one, the price that will be next: one that a halt or a grace holds
         back, or the reporters' current one while theirs waits to be confirmed. Zero if stale.
    """
    if block.timestamp > word >> 224:
        return 0
    coming: uint256 = self.withheld[collateral_type]
    if coming == 0:
        config: uint256 = self.configs[collateral_type]
        coming = self._compute_median(collateral_type, config, (config >> 48) & MASK_32)
    return coming


@internal
@view
def _holds_back(guards: Guards) -> bool:
    """@dev Whether new risk and liquidations wait, at any price."""
    return guards.halted or block.timestamp < guards.grace_until


@internal
@view
def _valid_price(collateral_type: uint256, word: uint256) -> uint256:
    """@dev Of a slot of Prices, the current one while it is fresh, and again once the feed is dead."""
    fresh_until: uint256 = word >> 224
    if block.timestamp > fresh_until:
        dead_after: uint256 = self._load_guards(collateral_type).dead_after
        if dead_after == 0 or block.timestamp <= unsafe_add(fresh_until, dead_after):
            return 0
    return word & MASK_112


@internal
@view
def _compute_median(collateral_type: uint256, config: uint256, age: uint256) -> uint256:
    """
    @dev Of the reports of at most an age [seconds]; of an even number the lower of the two in the middle; 0
         without a quorum of them. `config` is the slot.
    """
    ordered: uint256[bounds.MAX_REPORTERS] = empty(uint256[bounds.MAX_REPORTERS])
    count: uint256 = 0
    # In order so far: the next one comes last, unless it is lower.
    highest: uint256 = 0
    for i: uint256 in range(1, unsafe_add(config & MASK_8, 1), bound=bounds.MAX_REPORTERS):
        word: uint256 = self.reports[collateral_type][i]
        # A missing report is a word of 0, too old as well.
        if block.timestamp > unsafe_add(word >> 224, age):
            continue
        price: uint256 = word & MASK_112
        at: uint256 = count
        if price < highest:
            for _: uint256 in range(bounds.MAX_REPORTERS):
                below: uint256 = ordered[unsafe_sub(at, 1)]
                if below <= price:
                    break
                ordered[at] = below
                at = unsafe_sub(at, 1)
                if at == 0:
                    break
        else:
            highest = price
        ordered[at] = price
        count = unsafe_add(count, 1)
    if count < (config >> 8) & MASK_8:
        return 0
    return ordered[unsafe_sub(count, 1) >> 1]


@internal
@view
def _get_prices_if_fresh(collateral_type: uint256) -> IPriceFeed.Prices:
    """@dev Zeros if stale; a market without a price is stale. One slot and no copy: each draw reads it."""
    word: uint256 = self.prices[collateral_type]
    if block.timestamp > word >> 224:
        return empty(IPriceFeed.Prices)
    return IPriceFeed.Prices(current=word & MASK_112, next=(word >> 112) & MASK_112, fresh_until=word >> 224)


@internal
@view
def _load_average(collateral_type: uint256) -> Average:
    word: uint256 = self.averages[collateral_type]
    return Average(
        cumulative=word & MASK_144,
        since=(word >> 144) & MASK_32,
        stepped_at=(word >> 176) & MASK_32,
        checkpoint_at=(word >> 208) & MASK_32,
        fallen=word >> 240,
    )


@internal
@view
def _load_prices(collateral_type: uint256) -> IPriceFeed.Prices:
    word: uint256 = self.prices[collateral_type]
    return IPriceFeed.Prices(current=word & MASK_112, next=(word >> 112) & MASK_112, fresh_until=word >> 224)


@internal
@view
def _load_market(collateral_type: uint256) -> uint256:
    """@dev The slot of Config and Guards, of a market that there is."""
    word: uint256 = self.configs[collateral_type]
    assert word & MASK_8 != 0, "price_feed: no market"
    return word


@internal
@view
def _load_guards(collateral_type: uint256) -> Guards:
    return self._unpack_guards(self.configs[collateral_type])


@internal
@pure
def _unpack_config(word: uint256) -> Config:
    return Config(
        reporters=word & MASK_8,
        quorum=(word >> 8) & MASK_8,
        step=(word >> 16) & MASK_32,
        max_age=(word >> 48) & MASK_32,
        stale_after=(word >> 80) & MASK_32,
        window=(word >> 112) & MASK_32,
    )


@internal
@pure
def _unpack_guards(word: uint256) -> Guards:
    return Guards(
        deviation=(word >> GUARDS) & MASK_14,
        confirmations=(word >> 158) & MASK_2,
        grace=(word >> 160) & MASK_24,
        dead_after=(word >> 184) & MASK_24,
        halted=(word >> 208) & 1 != 0,
        suspect=(word >> 209) & MASK_2,
        grace_until=(word >> 211) & MASK_32,
        closing=word & CLOSING != 0,
        planned=word & PLANNED != 0,
        settled=word & SETTLED != 0,
    )


@internal
def _store_guards(collateral_type: uint256, guards: Guards):
    self.configs[collateral_type] = (
        (self.configs[collateral_type] & MASK_144)
        | (guards.deviation << GUARDS)
        | (guards.confirmations << 158)
        | (guards.grace << 160)
        | (guards.dead_after << 184)
        | (convert(guards.halted, uint256) << 208)
        | (guards.suspect << 209)
        | (guards.grace_until << 211)
        | (convert(guards.closing, uint256) << 243)
        | (convert(guards.planned, uint256) << 244)
        | (convert(guards.settled, uint256) << 245)
    )
