"""Random liquidations of peers in the fields of their vectors: one collateral, one debt at a price of one."""

from __future__ import annotations

from random import Random
from typing import Any

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD, div_up
from backstop.studies.peer_liquidations.aave_v4 import VIRTUAL_ASSETS, VIRTUAL_SHARES

LLTVS = (385, 625, 770, 860, 915, 945, 965, 980)


def _draw_amount(random: Random, least: int, most: int) -> int:
    """Draw an amount, all orders of magnitude alike."""
    return random.randint(least, min(most, least << random.randint(1, (most // least).bit_length())))


def draw_morpho_case(random: Random) -> dict[str, Any]:
    """Draw an unsafe position of a market that has accrued, and a part to repay or to seize."""
    lltv = random.choice(LLTVS) * 10**15
    assets = _draw_amount(random, 10**9, 10**25)
    shares = assets * 10**6 * random.randint(700, 1_000) // 1_000
    mine = shares // random.choice((1, 2, 100))
    debt = div_up(mine * (assets + 1), shares + 10**6)
    collateral = _draw_amount(random, 10**6, 10**26)
    health = random.choice((999_999, 990_000, 950_000, random.randint(300_000, 999_999)))
    price = debt * health * 10**36 * WAD // (10**6 * lltv * collateral)
    is_by_shares = random.random() < 0.5
    part = random.choice((1_000, 1_000, random.randint(1, 999)))
    return {
        "lltv": lltv,
        "price": price,
        "totals": [2 * assets, 2 * assets * 10**6, assets, shares],
        "borrow_shares": mine,
        "collateral": collateral,
        "seized_in": 0 if is_by_shares else collateral * part // 1_000,
        "shares_in": mine * part // 1_000 if is_by_shares else 0,
    }


def draw_euler_case(random: Random) -> dict[str, Any]:
    """Draw an unsafe account with one collateral, and how much a liquidator would repay."""
    debt, balance = _draw_amount(random, 10**7, 10**26), _draw_amount(random, 10**6, 10**26)
    ltv = random.choice((5_000, 8_000, 8_500, 9_300, 9_600))
    health = random.choice((999_999, 990_000, 900_000, random.randint(300_000, 999_999)))
    price = debt * health * WAD * 10_000 // (10**6 * ltv * balance)
    owed = (debt << 31) - random.randrange(2**31)
    desired = random.choice((MAX_UINT256, debt * random.randint(1, 1_000) // 1_000))
    return {
        "owed": owed,
        "liquidator_owed": 0,
        "total_owed": 2 * owed,
        "cash": debt,
        "debt_price": WAD,
        "max_discount": random.choice((500, 1_500, 3_000)),
        "socialise": True,
        "seize": 0,
        "collaterals": [{"balance": balance, "price": price, "ltv": ltv}],
        "desired": desired,
        "least": 0,
    }


def draw_aave_v3_case(random: Random) -> dict[str, Any]:
    """Draw an unsafe account with one collateral and one debt at indices above one."""
    threshold = random.choice((5_000, 6_500, 7_800, 8_000, 8_300, 9_300))
    asset = _build_reserve(random, collateral=True, borrowing=False, threshold=threshold)
    owed = _build_reserve(random, collateral=False, borrowing=True, threshold=threshold)
    coins = random.choice((500, 1_500, 2_100, 4_000, 10**5, 10**7)) + random.random()
    debt = int(coins * 10 ** owed["decimals"])
    owed["price"], owed["scaled_debt"] = 10**8, debt * RAY // owed["debt_index"]
    supply = _draw_amount(random, 10 ** asset["decimals"] // 10, 10 ** (asset["decimals"] + 6))
    health = random.choice((999_990, 960_000, 940_000, random.randint(300_000, 999_000)))
    worth = debt * 10**8 * health * 10_000 // (10**6 * threshold * 10 ** owed["decimals"])
    asset["price"] = worth * 10 ** asset["decimals"] // supply
    asset["scaled_supply"] = supply * RAY // asset["supply_index"]
    cover = random.choice((MAX_UINT256 // 10**40, debt, debt * random.randint(1, 1_000) // 1_000))
    return {"seize": 0, "repay": 1, "cover": cover, "as_token": False, "reserves": [asset, owed]}


def _build_reserve(random: Random, *, collateral: bool, borrowing: bool, threshold: int) -> dict[str, Any]:
    return {
        "decimals": random.choice((6, 8, 18, 18)),
        "price": 0,
        "threshold": threshold,
        "bonus": random.choice((10_200, 10_500, 10_750)),
        "fee": random.choice((0, 1_000, 2_000)),
        "supply_index": RAY * random.randint(1_000, 1_400) // 1_000,
        "debt_index": RAY * random.randint(1_000, 1_900) // 1_000,
        "scaled_supply": 0,
        "scaled_debt": 0,
        "collateral": collateral,
        "borrowing": borrowing,
        "deficit": 0,
    }


def draw_aave_v4_case(random: Random) -> dict[str, Any]:
    """Draw an unsafe account with one collateral and one debt without premium, in a pool that has earned."""
    decimals = random.choice((6, 8, 18)), random.choice((6, 18))
    coins = random.choice((500, 1_500, 2_100, 4_000, 10**5, 10**7)) + random.random()
    index = RAY * random.randint(1_000, 1_900) // 1_000
    drawn = int(coins * 10 ** decimals[1]) * RAY // index
    factor = random.choice((6_500, 8_000, 8_300, 9_000))
    shares = _draw_amount(random, 10 ** decimals[0] // 10, 10 ** (decimals[0] + 6))
    pool = (10 * shares * random.randint(1_000, 1_400) // 1_000, 10 * shares)
    supply = shares * (pool[0] + VIRTUAL_ASSETS) // (pool[1] + VIRTUAL_SHARES)
    health = random.choice((999_990, 960_000, 900_000, random.randint(300_000, 999_000)))
    price = int(coins * 10**8) * health * 10_000 * 10 ** decimals[0] // (10**6 * factor * max(supply, 1))
    debt_value = drawn * index * 10**8 * 10 ** (18 - decimals[1])
    counted = supply * price * 10 ** (18 - decimals[0]) * factor
    before = {
        "shares": shares,
        "col_dec": decimals[0],
        "col_price": price,
        "drawn": drawn,
        "premium_ray": 0,
        "index": index,
        "debt_value_ray": debt_value,
        "debt_dec": decimals[1],
        "debt_price": 10**8,
        "cover": random.choice((10**40, drawn * random.randint(1, 1_500) // 1_000)),
        "cf": factor,
        "hf_max": random.choice((85, 90, 95)) * 10**16,
        "factor": random.choice((0, 5_000, 9_000, 10_000)),
        "max_bonus": random.choice((10_100, 10_500, 10_555)),
        "target": random.choice((101, 105, 124)) * 10**16,
        "hf": counted * 10**14 * RAY // debt_value,
        "fee": random.choice((0, 1_000)),
        "A": pool[0],
        "S": pool[1],
    }
    return {"in": before, "collaterals": 1, "borrows": 1, "receive_shares": False}


DRAWS = {
    "morpho_liquidate": draw_morpho_case,
    "euler": draw_euler_case,
    "aave": draw_aave_v3_case,
    "aave_v4_whole": draw_aave_v4_case,
}
"""How a random case of a group is drawn."""

COVERED = {"morpho_liquidate": 141, "euler": 4, "aave": 221, "aave_v4_whole": 4}
"""Open cases that the mechanism has terms for."""
AT_A_THRESHOLD = {"aave": 7}
"""Cases within a unit of Aave's base currency of a threshold, that only one of the two refuses."""
