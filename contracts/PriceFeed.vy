# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title PriceFeed
@license GNU Affero General Public License v3.0 only
@notice One price for each collateral type, in ray per 1e18 of collateral: the median of independent
        reporters, delayed by one step so that everybody sees a price before it counts, with a
        time-weighted average and a limit on its age. Zero means "no price".
@dev A market is its collateral type's id. The current price changes in `poke` alone, so the cumulative
     price is kept up to `stepped_at` and the rest is added where it is read.
"""
from contracts.interfaces import IPriceFeed
from contracts.modules import bounds
from contracts.modules import roles

implements: IPriceFeed

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


event MarketSet:
    collateral_type: indexed(uint256)
    reporters: DynArray[address, bounds.MAX_REPORTERS]
    quorum: uint256
    step: uint256
    max_age: uint256
    stale_after: uint256
    window: uint256


event Reported:
    collateral_type: indexed(uint256)
    reporter: indexed(address)
    price: uint256


event Poked:
    collateral_type: indexed(uint256)
    current: uint256
    next: uint256


struct Config:
    reporters: uint256  # how many, 8 bits
    quorum: uint256  # 8 bits
    step: uint256  # seconds between two prices, 32 bits
    max_age: uint256  # seconds; an older report is ignored, 32 bits
    stale_after: uint256  # seconds; without a step for longer there is no price, 32 bits
    window: uint256  # seconds the time-weighted price looks back at least, 32 bits


struct Prices:
    current: uint256  # ray, 112 bits
    next: uint256  # ray, 112 bits
    fresh_until: uint256  # seconds, 32 bits


struct Average:
    cumulative: uint256  # ray x seconds from `since` up to stepped_at, 144 bits
    since: uint256  # of the older checkpoint, seconds, 32 bits
    stepped_at: uint256  # seconds, 32 bits
    checkpoint_at: uint256  # of the newest checkpoint, seconds, 32 bits


struct Report:
    price: uint256  # ray, 112 bits
    reported_at: uint256  # seconds, 32 bits


MASK_8: constant(uint256) = 2**8 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_112: constant(uint256) = 2**112 - 1
MASK_144: constant(uint256) = 2**144 - 1
# Chainlink-style answers have 8 decimals.
RAY_TO_8_DECIMALS: constant(uint256) = 10**19

# collateral type -> Config
configs: HashMap[uint256, uint256]
# collateral type -> Prices
prices: HashMap[uint256, uint256]
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


@deploy
def __init__(admin: address):
    """
    @param admin The first admin.
    """
    roles.__init__(admin)


# ------------------------------------------------------------------- prices


@external
def report(collateral_type: uint256, price: uint256):
    """
    @notice Report a price. The market's listed reporters only: the list is the role. Protects: a
            report counts once, with its age; alone it moves nothing.
    @param price Ray per 1e18 of collateral, above zero and under 2**112.
    """
    index: uint256 = self.reporter_index[collateral_type][msg.sender]
    assert index != 0, "price_feed: not a reporter"
    assert price != 0 and price <= bounds.MAX_PRICE, "price_feed: price bounds"
    self.reports[collateral_type][index] = price | (block.timestamp << 112)
    log Reported(collateral_type=collateral_type, reporter=msg.sender, price=price)


@external
def poke(collateral_type: uint256):
    """
    @notice Step the price: the next becomes current, the median of fresh reports becomes next.
            Permissionless, once a step. Protects: no minority of reporters sets a price, and a price
            is public for a step before it counts. When there was no price for so long that the current
            one is stale, both are set at once: a next price from before the gap never becomes current.
    """
    config: Config = self._load_config(collateral_type)
    assert config.reporters != 0, "price_feed: no market"
    old: Prices = self._load_prices(collateral_type)
    average: Average = self._load_average(collateral_type)
    assert block.timestamp >= unsafe_add(average.stepped_at, config.step), "price_feed: too early"

    median: uint256 = self._median(collateral_type, config)
    current: uint256 = old.next
    if block.timestamp > old.fresh_until:
        current = median
    # Ray x seconds stay under 2**144.
    average.cumulative = unsafe_add(
        average.cumulative,
        unsafe_mul(old.current, unsafe_sub(block.timestamp, average.stepped_at)),
    )
    average.stepped_at = block.timestamp
    if block.timestamp >= unsafe_add(average.checkpoint_at, config.window):
        # What is older than the newest checkpoint counts no more.
        average.cumulative = unsafe_sub(average.cumulative, self.checkpoints[collateral_type])
        average.since = average.checkpoint_at
        if average.since == 0:
            # The first price.
            average.since = block.timestamp
        average.checkpoint_at = block.timestamp
        self.checkpoints[collateral_type] = average.cumulative

    self.averages[collateral_type] = (
        average.cumulative
        | (average.since << 144)
        | (average.stepped_at << 176)
        | (average.checkpoint_at << 208)
    )
    self.prices[collateral_type] = (
        current | (median << 112) | (unsafe_add(block.timestamp, config.stale_after) << 224)
    )
    log Poked(collateral_type=collateral_type, current=current, next=median)


# --------------------------------------------------------------- parameters


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
    @notice Set who reports a price and how it is made, for a new market or an old one. Admin only.
            Old reporters and their reports are dropped; prices and averages stay, and
            stay fresh as long as they were to be.
    @param reporters At least `quorum`, each once.
    @param quorum How many fresh reports a price needs, at least 3.
    @param step Seconds between two prices.
    @param max_age Seconds after which a report is ignored.
    @param stale_after Seconds after the last step from which there is no price; at least a step.
    @param window Seconds: what the time-weighted price covers at least.
    """
    roles._only_admin()
    count: uint256 = len(reporters)
    assert quorum >= bounds.MIN_QUORUM and quorum <= count, "price_feed: quorum bounds"
    assert step >= bounds.MIN_STEP and step <= bounds.MAX_STEP, "price_feed: step bounds"
    assert max_age != 0 and max_age <= bounds.MAX_REPORT_AGE, "price_feed: age bounds"
    assert stale_after >= step and stale_after <= bounds.MAX_STALE_AFTER, "price_feed: stale bounds"
    assert window >= bounds.MIN_WINDOW and window <= bounds.MAX_WINDOW, "price_feed: window bounds"

    old: uint256 = self._load_config(collateral_type).reporters
    for i: uint256 in range(1, old + 1, bound=bounds.MAX_REPORTERS):
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
        count | (quorum << 8) | (step << 16) | (max_age << 48) | (stale_after << 80) | (window << 112)
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


# -------------------------------------------------------------------- views


@external
@view
def current_price(collateral_type: uint256) -> uint256:
    """
    @notice What liquidations and auctions use, in ray; 0 if it is stale or there is none.
    """
    return self._fresh_prices(collateral_type).current


@external
@view
def last_price(collateral_type: uint256) -> uint256:
    """
    @notice The current price, fresh or not, in ray; 0 if there never was one. For settlement, which
            cannot wait for a feed that is dead.
    """
    return self._load_prices(collateral_type).current


@external
@view
def risk_price(collateral_type: uint256) -> uint256:
    """
    @notice What new risk is measured at: the lower of current and next, in ray; 0 if stale or none.
            Protects: nobody borrows against a fall that is already public.
    """
    prices: Prices = self._fresh_prices(collateral_type)
    return min(prices.current, prices.next)


@external
@view
def time_weighted(collateral_type: uint256) -> uint256:
    """
    @notice The average of the current price up to now, in ray, rounded down, over at least a window
            and at most two windows and two steps; over what history there is if it is shorter, the
            current price if there is none. Not checked for age. Protects: a price moved for a moment
            decides nothing that reads this.
    """
    prices: Prices = self._load_prices(collateral_type)
    average: Average = self._load_average(collateral_type)
    if average.since == block.timestamp:
        return prices.current
    # As in `poke`, under 2**144.
    cumulative: uint256 = unsafe_add(
        average.cumulative,
        unsafe_mul(prices.current, unsafe_sub(block.timestamp, average.stepped_at)),
    )
    return cumulative // unsafe_sub(block.timestamp, average.since)


@external
@view
def prices_of(collateral_type: uint256) -> Prices:
    """
    @notice The current and the next price in ray, fresh or not, and until when they are fresh.
    """
    return self._load_prices(collateral_type)


@external
@view
def config_of(collateral_type: uint256) -> Config:
    """
    @notice How a market's price is made.
    """
    return self._load_config(collateral_type)


@external
@view
def reporters_of(collateral_type: uint256) -> DynArray[address, bounds.MAX_REPORTERS]:
    """
    @notice Who reports for a market.
    """
    found: DynArray[address, bounds.MAX_REPORTERS] = []
    count: uint256 = self._load_config(collateral_type).reporters
    for i: uint256 in range(1, count + 1, bound=bounds.MAX_REPORTERS):
        found.append(self.reporters[collateral_type][i])
    return found


@external
@view
def report_of(collateral_type: uint256, reporter: address) -> Report:
    """
    @notice A reporter's last report; zeros if there is none.
    """
    word: uint256 = self.reports[collateral_type][self.reporter_index[collateral_type][reporter]]
    return Report(price=word & MASK_112, reported_at=word >> 112)


@external
@view
def decimals() -> uint8:
    """
    @notice Of the answers of `latest_round_data`.
    """
    return 8


@external
@view
def latest_round_data(collateral_type: uint256) -> (uint80, int256, uint256, uint256, uint80):
    """
    @notice The current price as a Chainlink aggregator gives it, for consumers that know that face.
            As there, the reader judges the age by `updated_at`.
    @return round_id, answer (8 decimals, rounded down), started_at, updated_at, answered_in_round: all
            but the answer are the time of the last step.
    """
    stepped_at: uint256 = self._load_average(collateral_type).stepped_at
    price: uint256 = self._load_prices(collateral_type).current
    answer: int256 = convert(price // RAY_TO_8_DECIMALS, int256)
    round_id: uint80 = convert(stepped_at, uint80)
    return round_id, answer, stepped_at, stepped_at, round_id


# ------------------------------------------------------------------ helpers


@internal
@view
def _median(collateral_type: uint256, config: Config) -> uint256:
    """@dev Of the reports that are not too old; of an even number the lower of the two in the middle."""
    ordered: uint256[bounds.MAX_REPORTERS] = empty(uint256[bounds.MAX_REPORTERS])
    count: uint256 = 0
    for i: uint256 in range(1, config.reporters + 1, bound=bounds.MAX_REPORTERS):
        word: uint256 = self.reports[collateral_type][i]
        # A missing report is a word of 0, too old as well.
        if block.timestamp > unsafe_add(word >> 112, config.max_age):
            continue
        price: uint256 = word & MASK_112
        at: uint256 = count
        for _: uint256 in range(bounds.MAX_REPORTERS):
            if at == 0 or ordered[unsafe_sub(at, 1)] <= price:
                break
            ordered[at] = ordered[unsafe_sub(at, 1)]
            at = unsafe_sub(at, 1)
        ordered[at] = price
        count = unsafe_add(count, 1)
    assert count >= config.quorum, "price_feed: no quorum"
    return ordered[unsafe_sub(count, 1) // 2]


@internal
@view
def _fresh_prices(collateral_type: uint256) -> Prices:
    """@dev Zeros if stale; a market without a price is stale. One slot: each draw reads it."""
    prices: Prices = self._load_prices(collateral_type)
    if block.timestamp > prices.fresh_until:
        return empty(Prices)
    return prices


@internal
@view
def _load_average(collateral_type: uint256) -> Average:
    word: uint256 = self.averages[collateral_type]
    return Average(
        cumulative=word & MASK_144,
        since=(word >> 144) & MASK_32,
        stepped_at=(word >> 176) & MASK_32,
        checkpoint_at=word >> 208,
    )


@internal
@view
def _load_prices(collateral_type: uint256) -> Prices:
    word: uint256 = self.prices[collateral_type]
    return Prices(current=word & MASK_112, next=(word >> 112) & MASK_112, fresh_until=word >> 224)


@internal
@view
def _load_config(collateral_type: uint256) -> Config:
    word: uint256 = self.configs[collateral_type]
    return Config(
        reporters=word & MASK_8,
        quorum=(word >> 8) & MASK_8,
        step=(word >> 16) & MASK_32,
        max_age=(word >> 48) & MASK_32,
        stale_after=(word >> 80) & MASK_32,
        window=word >> 112,
    )
