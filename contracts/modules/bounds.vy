# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title bounds
@license GNU Affero General Public License v3.0 only
@notice The table of bounds: the lowest and highest value that each setter accepts, both included. Each
        highest value fits the packed field it is stored in.
"""

# Vault engine. Ceilings, limits and floors are whole stablecoins; ratios and shares basis points.
# Types that are listed at once, and ever: an id is not used again.
MAX_COLLATERAL_TYPES: constant(uint256) = 32
MAX_TYPES: constant(uint256) = 224
MAX_DEBT_CEILING: constant(uint256) = 1_000_000_000
MAX_GLOBAL_DEBT_CEILING: constant(uint256) = 8_000_000_000
MAX_DEBT_FLOOR: constant(uint256) = 1_000_000
MIN_RATIO: constant(uint256) = 10_000
MAX_RATIO: constant(uint256) = 60_000
# A year at the highest fee multiplies a debt by about 9.
MAX_STABILITY_FEE: constant(uint256) = 7 * 10**19
MAX_BUFFER_SHARE: constant(uint256) = 10_000

# Collateral auctions. Times in seconds, ratios in basis points, the tip in whole stablecoins.
MIN_PERIOD: constant(uint256) = 1
MAX_PERIOD: constant(uint256) = 30 * 86_400
MIN_CUT: constant(uint256) = 5 * 10**26
MAX_CUT: constant(uint256) = 10**27 - 1
MIN_TAIL: constant(uint256) = 60
MAX_TAIL: constant(uint256) = 30 * 86_400
MIN_CUSP: constant(uint256) = 1
MAX_CUSP: constant(uint256) = 10_000
MIN_BUF: constant(uint256) = 10_000
MAX_BUF: constant(uint256) = 60_000
MIN_PENALTY: constant(uint256) = 10_000
MAX_PENALTY: constant(uint256) = 20_000
MAX_TIP: constant(uint256) = 10_000
MAX_CHIP: constant(uint256) = 1_000
MAX_BLOCK_TIME: constant(uint256) = 60

# Price feed. Times in seconds.
MIN_QUORUM: constant(uint256) = 3
MAX_REPORTERS: constant(uint256) = 15
MIN_STEP: constant(uint256) = 1
MAX_STEP: constant(uint256) = 86_400
MAX_REPORT_AGE: constant(uint256) = 7 * 86_400
# After which a signed report can be brought no more: long enough for a transaction, and too short to choose
# by.
MAX_SIGNED_AGE: constant(uint256) = 120
MAX_STALE_AFTER: constant(uint256) = 7 * 86_400
MIN_WINDOW: constant(uint256) = 60
MAX_WINDOW: constant(uint256) = 7 * 86_400
MAX_PRICE: constant(uint256) = 2**112 - 1
# Its guards: basis points, steps, seconds.
MAX_DEVIATION: constant(uint256) = 10_000
MIN_CONFIRMATIONS: constant(uint256) = 1
MAX_CONFIRMATIONS: constant(uint256) = 3
MAX_GRACE: constant(uint256) = 7 * 86_400
MAX_DEAD_AFTER: constant(uint256) = 90 * 86_400
# A fall of the lowest known price, basis points, after which members of pools wait for their payment; for how
# long, so that vaults can be flagged, and for how long falls in a row hold payments up in all, seconds.
FALL: constant(uint256) = 500
LOOK: constant(uint256) = 600
MAX_LOOK: constant(uint256) = 86_400
# The price at which a market is settled, seconds: of valid prices that are looked at; after which a halt
# counts no more; after which there is a price whatever became of the market.
FINAL_WINDOW: constant(uint256) = 6 * 3_600
MAX_FINAL_HALT: constant(uint256) = 2 * 86_400
FINAL_DEADLINE: constant(uint256) = 3 * 86_400
# How long before the end of a perpetual market it is announced on chain, seconds.
MIN_NOTICE: constant(uint256) = 3 * 86_400
MAX_NOTICE: constant(uint256) = 90 * 86_400
# A guardian's halt of a market, and the time after it until the next.
GUARDIAN_HALT: constant(uint256) = 2 * 86_400
GUARDIAN_PAUSE: constant(uint256) = 5 * 86_400

# Loss waterfall and pools. Times in seconds, shares in basis points.
MAX_STAGES: constant(uint256) = 16
MIN_EPOCH: constant(uint256) = 3_600
MAX_EPOCH: constant(uint256) = 365 * 86_400
MAX_COOLDOWN: constant(uint256) = 90 * 86_400
MIN_COOLDOWN: constant(uint256) = 60
MIN_VESTING: constant(uint256) = 3_600
MAX_VESTING: constant(uint256) = 365 * 86_400
MAX_POOLS: constant(uint256) = 4
MAX_CAP_DELAY: constant(uint256) = 365 * 86_400
# How long a stage may hold a reservation: longer than any auction of equity lasts.
MAX_RESERVATION: constant(uint256) = 8 * 86_400
# What a stage may use to say what it holds, and to pay: more than any of them needs, which is 3.1 million
# for a pool that loses all with 20 runs and 12 batches under way, each with another ceiling. Within these
# the clawback asks up to MAX_POOLS pools, each with gas of its own.
CAPACITY_GAS: constant(uint256) = 200_000
ABSORB_GAS: constant(uint256) = 4_000_000
UNVESTED_GAS: constant(uint256) = 30_000
CLAW_BACK_GAS: constant(uint256) = 180_000
# What a price feed may use to say how long payments wait: more than twice what it needs.
LOOK_GAS: constant(uint256) = 10_000

# Settlement. The delay in seconds, the bound in whole stablecoins.
MIN_SETTLEMENT_DELAY: constant(uint256) = 3_600
MAX_SETTLEMENT_DELAY: constant(uint256) = 365 * 86_400
MAX_SETTLEMENT_EPOCHS: constant(uint256) = 1_000

# Equity: the market of its price in the feed, after those of all collateral types.
EQUITY_MARKET: constant(uint256) = MAX_TYPES
# Whole tokens.
MAX_EQUITY_SUPPLY: constant(uint256) = 10_000_000_000
MAX_MINT_CAP: constant(uint256) = 1_000_000_000
# Auctions of equity and of surplus: lowest price in basis points of the time-weighted one, seconds, and
# whole stablecoins.
MIN_FLOOR: constant(uint256) = 1_000
MAX_FLOOR: constant(uint256) = 10_000
MIN_DURATION: constant(uint256) = 600
MAX_DURATION: constant(uint256) = 7 * 86_400
MAX_SURPLUS_LOT: constant(uint256) = 1_000_000_000
# Series of claims, and pools, that income is shared by.
MAX_RECIPIENTS: constant(uint256) = 8

# Risk policy. Margins and rates in basis points, the rates of a curve a year; times in seconds.
MAX_ADD_ON: constant(uint256) = 10_000
MIN_LIMITS_FACTOR: constant(uint256) = 100
MAX_LIMITS_FACTOR: constant(uint256) = 50_000
MIN_FLOW_WINDOW: constant(uint256) = 60
MAX_FLOW_WINDOW: constant(uint256) = 90 * 86_400
MAX_GROWTH: constant(uint256) = 50_000
MAX_CURVE: constant(uint256) = 10_000
# What a policy may set as a fee, ray a second: that rate; a year of it multiplies a debt by about 2.7. And
# how far it may raise one at once, and above that in a day of 86,400 seconds: by 20% a year.
MAX_POLICY_FEE: constant(uint256) = 31_709_791_983_764_586_505
FEE_MOVE: constant(uint256) = 6_341_958_396_752_917_301
# What it may use to answer: more than four times what any answer needs, but for a mark in margin markets,
# which is the median of all reporters: 15 of them need 69,000.
POLICY_GAS: constant(uint256) = 100_000
# For a facilitator that bears a loss of the perpetual markets.
FACILITATOR_GAS: constant(uint256) = 1_000_000
# Times a year.
MAX_FEE_SPEED: constant(uint256) = 1_000
MIN_CALL_TIME: constant(uint256) = 60
MAX_CALL_TIME: constant(uint256) = 90 * 86_400

# Guards. Times in seconds; ceilings and losses have the vault engine's bounds.
MIN_CEILING_TTL: constant(uint256) = 600
MAX_CEILING_TTL: constant(uint256) = 30 * 86_400
MIN_CALM_PERIOD: constant(uint256) = 600
MAX_CALM_PERIOD: constant(uint256) = 7 * 86_400
MAX_SILENCE: constant(uint256) = 30 * 86_400

# Facilitators: seconds from the announcement of a loss to its booking.
MIN_LOSS_DELAY: constant(uint256) = 3_600
MAX_LOSS_DELAY: constant(uint256) = 30 * 86_400

# Workouts. Ratios and the premium in basis points, times in seconds; their cap is a debt ceiling's.
MAX_WORKOUT_DISCOUNT: constant(uint256) = 5_000
MAX_PREMIUM: constant(uint256) = 5_000
MAX_INSTALMENTS: constant(uint256) = 60
MIN_INTERVAL: constant(uint256) = 600
MAX_INTERVAL: constant(uint256) = 90 * 86_400
MAX_WORKOUT_PERIOD: constant(uint256) = 365 * 86_400

# Fixed discounts: the bonus and the discount, the health that a sale goes up to, and the part of a debt that
# is sold at once at least, in basis points. A larger bonus than a third of the debt leaves no vault that
# could be sold in part; a smaller part than a twentieth takes longer than a price does.
MAX_LIQUIDATION_BONUS: constant(uint256) = 3_333
MAX_TARGET_HEALTH: constant(uint256) = 20_000
MIN_CLOSE_FACTOR: constant(uint256) = 500
# Whole stablecoins of a position that may be sold whole.
MAX_SMALL_POSITION: constant(uint256) = 10_000_000

# Margin markets. Margins, shares and funding in basis points, times in seconds; a lot in wad of its asset.
MAX_MARGIN_MARKETS: constant(uint256) = 8
MIN_MARGIN: constant(uint256) = 10
MAX_MARGIN: constant(uint256) = 10_000
MAX_LIQUIDATION_DISCOUNT: constant(uint256) = 50_000
MIN_HAIRCUT: constant(uint256) = 100
MAX_LOT: constant(uint256) = 10**21
# No market's price is higher, wei a lot.
MAX_LOT_PRICE: constant(uint256) = MAX_PRICE * MAX_LOT // 10**27
# What is open in a market: lots, and wad of the base asset. A notional is under 2**116 wei then, at any
# price, and no account owes 2**134 (docs/reference/margin-market/bounds.md).
MAX_OPEN_LOTS: constant(uint256) = 2**63 - 1
MAX_OPEN: constant(uint256) = 10**28
MAX_FUNDING: constant(uint256) = 1_000
# A cycle, and the oldest report of a mark, in seconds; how far trades may be from the mark, how far that
# from its index, and their fees, in basis points; a third of a bond, wad; accounts in one call that ranks or
# closes.
MIN_CYCLE: constant(uint256) = 600
MAX_CYCLE: constant(uint256) = 86_400
MAX_MARK_AGE: constant(uint256) = 600
MAX_BAND: constant(uint256) = 1_000
MAX_DIVERGENCE: constant(uint256) = 10_000
MAX_TRADE_FEE: constant(uint256) = 100
MAX_THIRD_BOND: constant(uint256) = 1_000 * 10**18
# Thirds of a bond that whoever books a loss gets beside, by the end of a window.
BOOKING_PAY: constant(uint256) = 20
MAX_CLOSED: constant(uint256) = 128
# Accounts in a call of a ranking, but for its last, at least.
MIN_RANKED: constant(uint256) = 24
MIN_BUCKET: constant(uint256) = 600
MAX_BUCKET: constant(uint256) = 7 * 86_400
MAX_BUCKETS: constant(uint256) = 8
# Of their pool: days of batches and times of quotes, in seconds; positions in basis points of its money.
MIN_BATCH_TIME: constant(uint256) = 3_600
MAX_BATCH_TIME: constant(uint256) = 30 * 86_400
MAX_LEVERAGE: constant(uint256) = 100_000
MIN_QUOTE_TIME: constant(uint256) = 60
MAX_QUOTE_TIME: constant(uint256) = 86_400

# Timelock: seconds.
MIN_DELAY: constant(uint256) = 3_600
MIN_LONGEST_DELAY: constant(uint256) = 86_400
MAX_LONGEST_DELAY: constant(uint256) = 180 * 86_400
MIN_EXECUTION_WINDOW: constant(uint256) = 3_600
MAX_EXECUTION_WINDOW: constant(uint256) = 14 * 86_400
