# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title product_sum
@license GNU Affero General Public License v3.0 only
@notice Shares offsets of debt, the collateral bought with them, and income among any number of stakes, at the
        same cost for one as for all. The arithmetic is that of Liquity v2's stability pool.
@dev With T the coins of all stakes, an offset of debt D that buys collateral C, or an income I:
         collateral sum  S += P * C / T
         income sum      B += P * I / T
         product         P  = P * (T - D) / T
     A stake notes its coins v, and P, S and B of when it was made (P0, S0, B0). Now it has
         coins       v * P / P0
         collateral  v * (S - S0) / P0
         income      v * (B - B0) / P0
     Where P falls under LEAST_PRODUCT it is multiplied by STEP, and a new scale begins with sums of its own.
     A stake of d scales ago has v * P / P0 / STEP**d coins, nothing after MAX_SCALES; it counts the sums of
     its scale and, divided by STEP for each, of the next two. All divisions round down, so all stakes
     together never have more than there is. One coin is never offset: P never comes to 0.
     A stake is known by an id: an account's address as a number, or any number from 2**160 on.
"""


struct State:
    product: uint256  # P, 36 digits, 120 bits
    coins: uint256  # wad, T, 96 bits
    scale: uint256  # 32 bits
    has_entries: uint256  # 1 while coins wait to take part, which is the importer's to say, 8 bits


struct Stake:
    coins: uint256  # wad, v, 104 bits
    product: uint256  # P0, 120 bits
    scale: uint256  # 32 bits
    collateral_sum: uint256  # S0
    income_sum: uint256  # B0


struct StakeBalance:
    coins: uint256  # wad
    collateral: uint256  # wad
    income: uint256  # wad


ONE: constant(uint256) = 10**36
STEP: constant(uint256) = 10**9
LEAST_PRODUCT: constant(uint256) = 10**27
# Scales after which a stake has no coins left, and after which it counts no sums.
MAX_SCALES: constant(uint256) = 8
SUM_SCALES: constant(uint256) = 2
# Coins that no offset takes, wad.
LEAST_COINS: constant(uint256) = 10**18
# Coins of all stakes, at most: P times T has 216 bits then.
MAX_COINS: constant(uint256) = 2**96 - 1

MASK_32: constant(uint256) = 2**32 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_104: constant(uint256) = 2**104 - 1
MASK_120: constant(uint256) = 2**120 - 1

# State
state: uint256
# scale -> S
collateral_sums: HashMap[uint256, uint256]
# scale -> B
income_sums: HashMap[uint256, uint256]
# id -> coins, product and scale of a Stake
stakes: HashMap[uint256, uint256]
# id -> S0
stake_collateral_sums: HashMap[uint256, uint256]
# id -> B0
stake_income_sums: HashMap[uint256, uint256]


@deploy
def __init__():
    """@notice Begin with a product of one."""
    self._store_state(State(product=ONE, coins=0, scale=0, has_entries=0))


@internal
@pure
def _offset(state: State, debt: uint256) -> State:
    """@dev The state after an offset of debt, wad, at most all coins but LEAST_COINS."""
    left: uint256 = state.coins - debt
    # 120 + 96 bits; times STEP for a product under 2**90.
    numerator: uint256 = unsafe_mul(state.product, left)
    product: uint256 = unsafe_div(numerator, state.coins)
    scale: uint256 = state.scale
    for _: uint256 in range(2):
        if product >= LEAST_PRODUCT:
            break
        numerator = unsafe_mul(numerator, STEP)
        product = unsafe_div(numerator, state.coins)
        scale = unsafe_add(scale, 1)
    return State(product=product, coins=left, scale=scale, has_entries=state.has_entries)


@internal
def _add_collateral(state: State, amount: uint256):
    """@dev Share collateral, wad, before the offset that bought it."""
    self.collateral_sums[state.scale] += state.product * amount // state.coins


@internal
def _add_income(state: State, amount: uint256):
    """@dev Share income, wad, among stakes that have LEAST_COINS at least."""
    self.income_sums[state.scale] += state.product * amount // state.coins


@internal
@pure
def _compute_offset_room(coins: uint256) -> uint256:
    """@dev Debt that may be offset, wad: all coins but LEAST_COINS."""
    return unsafe_sub(coins, min(coins, LEAST_COINS))


@internal
@view
def _compute_stake_balance(state: State, id: uint256, coins: uint256) -> StakeBalance:
    """@dev The balance of a stake of coins, wad, with the marks of an id, rounded down; 0 without marks."""
    word: uint256 = self.stakes[id]
    if coins == 0 or word == 0:
        return empty(StakeBalance)
    product: uint256 = (word >> 104) & MASK_120
    scale: uint256 = word >> 224
    passed: uint256 = unsafe_sub(state.scale, scale)
    found: StakeBalance = StakeBalance(
        coins=0,
        collateral=coins
        * self._compute_gain(self.collateral_sums[scale], scale, passed, True, id) // product,
        income=coins * self._compute_gain(self.income_sums[scale], scale, passed, False, id) // product,
    )
    if passed <= MAX_SCALES:
        found.coins = unsafe_div(unsafe_mul(coins, state.product) // product, STEP**passed)
    return found


@internal
@view
def _compute_gain(sum: uint256, scale: uint256, passed: uint256, is_collateral: bool, id: uint256) -> uint256:
    """@dev The growth of a sum since the stake was marked, in its scale and the two after it."""
    gain: uint256 = sum - (self.stake_collateral_sums[id] if is_collateral else self.stake_income_sums[id])
    unit: uint256 = 1
    for i: uint256 in range(SUM_SCALES):
        if i >= passed:
            break
        unit = unsafe_mul(unit, STEP)
        later: uint256 = unsafe_add(unsafe_add(scale, i), 1)
        gain += unsafe_div(self.collateral_sums[later] if is_collateral else self.income_sums[later], unit)
    return gain


@internal
@view
def _load_state() -> State:
    word: uint256 = self.state
    return State(
        product=word & MASK_120,
        coins=(word >> 120) & MASK_96,
        scale=(word >> 216) & MASK_32,
        has_entries=word >> 248,
    )


@internal
def _store_state(state: State):
    self.state = (state.product | (state.coins << 120) | (state.scale << 216) | (state.has_entries << 248))


@internal
@view
def _load_stake_coins(id: uint256) -> uint256:
    """@dev Coins of a stake when it was made, wad."""
    return self.stakes[id] & MASK_104


@internal
def _mark_stake(state: State, id: uint256, coins: uint256):
    """@dev Store a stake of coins, wad, with the present product and sums; delete it where coins are 0."""
    if coins == 0:
        self.stakes[id] = 0
        self.stake_collateral_sums[id] = 0
        self.stake_income_sums[id] = 0
        return
    self.stakes[id] = coins | (state.product << 104) | (state.scale << 224)
    self.stake_collateral_sums[id] = self.collateral_sums[state.scale]
    self.stake_income_sums[id] = self.income_sums[state.scale]
