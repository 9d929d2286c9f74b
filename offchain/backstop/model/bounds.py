"""The table of bounds: the range that each setter accepts, ends included (contracts/modules/bounds.vy)."""

# Vault engine. Ceilings, limits and floors are whole stablecoins; ratios and shares basis points.
MAX_COLLATERAL_TYPES = 32
MAX_TYPES = 224
MAX_DEBT_CEILING = 1_000_000_000
MAX_GLOBAL_DEBT_CEILING = 8_000_000_000
MAX_DEBT_FLOOR = 1_000_000
MIN_RATIO = 10_000
MAX_RATIO = 60_000
# A year at the highest fee multiplies a debt by about 9.
MAX_STABILITY_FEE = 7 * 10**19
MAX_BUFFER_SHARE = 10_000

# Collateral auctions. Times in seconds, ratios in basis points, the tip in whole stablecoins.
MIN_PERIOD = 1
MAX_PERIOD = 30 * 86_400
MIN_CUT = 5 * 10**26
MAX_CUT = 10**27 - 1
MIN_TAIL = 60
MAX_TAIL = 30 * 86_400
MIN_CUSP = 1
MAX_CUSP = 10_000
MIN_BUF = 10_000
MAX_BUF = 60_000
MIN_PENALTY = 10_000
MAX_PENALTY = 20_000
MAX_TIP = 10_000
MAX_CHIP = 1_000
MAX_BLOCK_TIME = 60

# Price feed. Times in seconds.
MIN_QUORUM = 3
MAX_REPORTERS = 15
MIN_STEP = 1
MAX_STEP = 86_400
MAX_REPORT_AGE = 7 * 86_400
MAX_SIGNED_AGE = 120
MAX_STALE_AFTER = 7 * 86_400
MIN_WINDOW = 60
MAX_WINDOW = 7 * 86_400
MAX_PRICE = 2**112 - 1
# Its guards: basis points, steps, seconds.
MAX_DEVIATION = 10_000
MIN_CONFIRMATIONS = 1
MAX_CONFIRMATIONS = 3
MAX_GRACE = 7 * 86_400
MAX_DEAD_AFTER = 90 * 86_400
# A fall of the lowest known price, basis points, after which members of pools wait for their payment; for how
# long, so that vaults can be flagged, and for how long falls in a row hold payments up in all, seconds.
FALL = 500
LOOK = 600
MAX_LOOK = 86_400
# The price at which a market is settled, seconds: of valid prices that are looked at; after which a halt
# counts no more; after which there is a price whatever became of the market.
FINAL_WINDOW = 6 * 3_600
MAX_FINAL_HALT = 2 * 86_400
FINAL_DEADLINE = 3 * 86_400
# How long before the end of a perpetual market it is announced on chain, seconds.
MIN_NOTICE = 3 * 86_400
MAX_NOTICE = 90 * 86_400
GUARDIAN_HALT = 2 * 86_400
GUARDIAN_PAUSE = 5 * 86_400

# Loss waterfall and pools. Times in seconds, shares in basis points.
MAX_STAGES = 16
MIN_EPOCH = 3_600
MAX_EPOCH = 365 * 86_400
MAX_COOLDOWN = 90 * 86_400
MIN_COOLDOWN = 60
MIN_VESTING = 3_600
MAX_VESTING = 365 * 86_400
MAX_POOLS = 4
MAX_CAP_DELAY = 365 * 86_400
# Seconds that a stage may hold a reservation.
MAX_RESERVATION = 8 * 86_400

# Settlement. The delay in seconds, the bound in whole stablecoins.
MIN_SETTLEMENT_DELAY = 3_600
MAX_SETTLEMENT_DELAY = 365 * 86_400
MAX_SETTLEMENT_EPOCHS = 1_000

# Equity: the market of its price in the feed, after those of the collateral types.
EQUITY_MARKET = MAX_TYPES
# Whole tokens.
MAX_EQUITY_SUPPLY = 10_000_000_000
MAX_MINT_CAP = 1_000_000_000
# Auctions of equity and of surplus: lowest price in basis points of the time-weighted one, seconds, and
# whole stablecoins.
MIN_FLOOR = 1_000
MAX_FLOOR = 10_000
MIN_DURATION = 600
MAX_DURATION = 7 * 86_400
MAX_SURPLUS_LOT = 1_000_000_000
# Series of claims, and pools, that income is shared by.
MAX_RECIPIENTS = 8

# Risk policy. Margins and rates in basis points, the rates of a curve a year; times in seconds.
MAX_ADD_ON = 10_000
MIN_LIMITS_FACTOR = 100
MAX_LIMITS_FACTOR = 50_000
MIN_FLOW_WINDOW = 60
MAX_FLOW_WINDOW = 90 * 86_400
MAX_GROWTH = 50_000
# With the highest, a year multiplies a debt by about 7.4.
MAX_CURVE = 10_000
MAX_POLICY_FEE = 31_709_791_983_764_586_505
FEE_MOVE = 6_341_958_396_752_917_301
POLICY_GAS = 100_000
# Times a year.
MAX_FEE_SPEED = 1_000
MIN_CALL_TIME = 60
MAX_CALL_TIME = 90 * 86_400

# Guards. Times in seconds; ceilings and losses have the vault engine's bounds.
MIN_CEILING_TTL = 600
MAX_CEILING_TTL = 30 * 86_400
MIN_CALM_PERIOD = 600
MAX_CALM_PERIOD = 7 * 86_400
MAX_SILENCE = 30 * 86_400

# Facilitators: seconds from the announcement of a loss to its booking.
MIN_LOSS_DELAY = 3_600
MAX_LOSS_DELAY = 30 * 86_400

# Workouts. Ratios and the premium in basis points, times in seconds.
MAX_WORKOUT_DISCOUNT = 5_000
MAX_PREMIUM = 5_000
MAX_INSTALMENTS = 60
MIN_INTERVAL = 600
MAX_INTERVAL = 90 * 86_400
MAX_WORKOUT_PERIOD = 365 * 86_400

# Margin markets. Margins, shares and funding in basis points, times in seconds; a lot in wad of its asset.
MAX_MARGIN_MARKETS = 8
MIN_MARGIN = 10
MAX_MARGIN = 10_000
MAX_LIQUIDATION_DISCOUNT = 50_000
MIN_HAIRCUT = 100
MAX_LOT = 10**21
MAX_LOT_PRICE = MAX_PRICE * MAX_LOT // 10**27
MAX_OPEN_LOTS = 2**63 - 1
MAX_OPEN = 10**28
MAX_FUNDING = 1_000
MIN_CYCLE = 600
MAX_CYCLE = 86_400
MAX_MARK_AGE = 600
MAX_BAND = 1_000
MAX_DIVERGENCE = 10_000
MAX_TRADE_FEE = 100
MAX_THIRD_BOND = 1_000 * 10**18
BOOKING_PAY = 20
MAX_CLOSED = 128
MIN_RANKED = 24
MIN_BUCKET = 600
MAX_BUCKET = 7 * 86_400
MAX_BUCKETS = 8
# Of their pool: days of batches and times of quotes, in seconds; positions in basis points of its money.
MIN_BATCH_TIME = 3_600
MAX_BATCH_TIME = 30 * 86_400
MAX_LEVERAGE = 100_000
MIN_QUOTE_TIME = 60
MAX_QUOTE_TIME = 86_400

# Timelock: seconds.
MIN_DELAY = 3_600
MIN_LONGEST_DELAY = 86_400
MAX_LONGEST_DELAY = 180 * 86_400
MIN_EXECUTION_WINDOW = 3_600
MAX_EXECUTION_WINDOW = 14 * 86_400

# Fixed discounts, in basis points; a position in whole stablecoins.
MAX_LIQUIDATION_BONUS = 3_333
MAX_TARGET_HEALTH = 20_000
MIN_CLOSE_FACTOR = 500
MAX_SMALL_POSITION = 10_000_000
