"""Refusals and limits that no measured case meets, read from the peers' code: values worked out by hand."""

import copy
from typing import Any

import pytest

from backstop.studies.peer_liquidations.aave_v3 import eliminate_aave_v3_deficit, liquidate_aave_v3_position
from backstop.studies.peer_liquidations.aave_v4 import liquidate_aave_v4_position
from backstop.studies.peer_liquidations.euler_vault_kit import liquidate_euler_position
from backstop.studies.peer_liquidations.liquity_v1 import LiquityV1System, play_liquity_v1_sequence
from backstop.studies.peer_liquidations.liquity_v2 import (
    play_liquity_v2_sequence,
    redeem_liquity_v2_urgently,
)
from backstop.studies.peer_liquidations.morpho_blue import (
    compute_incentive_factor,
    liquidate_morpho_position,
)
from tests.support.peer_vectors import load_group

WAD = 10**18


def get_first_case(group: str, status: str = "ok") -> dict[str, Any]:
    return copy.deepcopy(next(case for case in load_group(group) if case["status"] == status))


@pytest.mark.parametrize(
    ("lltv", "factor"),
    [(860000000000000000, 1043841336116910229), (WAD, WAD), (10**17, 1150000000000000000)],
)
def test_the_factor_of_morpho_depends_on_the_lltv_alone(lltv: int, factor: int) -> None:
    assert compute_incentive_factor(lltv) == factor


def test_morpho_refuses_amounts_of_more_than_128_bits_and_prices_of_zero() -> None:
    case = get_first_case("morpho_liquidate")
    case |= {"seized_in": 0, "shares_in": 2**128}
    assert liquidate_morpho_position(case) == {"status": "max uint128 exceeded"}
    assert liquidate_morpho_position(case | {"shares_in": 1, "price": 0}) == {"status": "panic"}
    assert liquidate_morpho_position(case | {"shares_in": 2**255}) == {"status": "panic"}


def build_morpho_case(**changes: Any) -> dict[str, Any]:
    """One asset and 3 million shares are borrowed; with the virtual ones 2 million shares are an asset."""
    case = {"lltv": WAD // 2, "price": 10**36, "totals": [5, 5 * 10**6, 1, 3 * 10**6], "collateral": 3}
    return {**case, "borrow_shares": 3 * 10**6, "seized_in": 0, "shares_in": 3 * 10**6} | changes


def test_morpho_takes_one_more_than_is_borrowed_where_rounding_says_so() -> None:
    """All shares are worth up(1.5) = 2 of 1 borrowed, and buy floor(floor(1.5) * 1.15) = 1."""
    result = liquidate_morpho_position(build_morpho_case())
    assert (result["seized"], result["repaid"]) == (1, 2)
    assert result["totals_after"] == [5, 5 * 10**6, 0, 0]


def test_morpho_books_no_more_bad_debt_than_is_borrowed() -> None:
    """One of collateral costs up(1 / 1.15) = 1, 2 million shares; up(0.5) is owed yet, but 0 is left."""
    result = liquidate_morpho_position(build_morpho_case(collateral=1, seized_in=1, shares_in=0))
    assert (result["repaid"], result["borrow_shares_after"]) == (1, 0)
    assert result["totals_after"] == [5, 5 * 10**6, 0, 0]


AAVE_RESERVE = {
    **{"decimals": 0, "price": 10**8, "threshold": 8000, "bonus": 10500, "fee": 0, "deficit": 0},
    **{"supply_index": 10**27, "debt_index": 10**27, "scaled_supply": 0, "scaled_debt": 0},
    **{"collateral": False, "borrowing": False},
}


def build_aave_v3_supply(amount: int, **changes: Any) -> dict[str, Any]:
    return {**AAVE_RESERVE, "scaled_supply": amount, "collateral": True} | changes


def build_aave_v3_debt(amount: int, **changes: Any) -> dict[str, Any]:
    return {**AAVE_RESERVE, "scaled_debt": amount, "borrowing": True} | changes


def liquidate_aave_v3(cover: int, *reserves: dict[str, Any], as_token: bool = False) -> dict[str, Any]:
    case = {"seize": 0, "repay": 1, "cover": cover, "as_token": as_token, "reserves": list(reserves)}
    return liquidate_aave_v3_position(case)


def test_aave_v3_books_what_all_collateral_does_not_pay() -> None:
    """100 of collateral pay for up(100 / 1.05) = 96 of 200."""
    result = liquidate_aave_v3(1000, build_aave_v3_supply(100), build_aave_v3_debt(200))
    assert result["account"] == [100 * 10**8, 200 * 10**8, 4 * 10**17]
    assert result["out"] == {"repaid": 96, "seized": 100, "fee_scaled": 0, "taken_scaled": 100}
    state = {"scaled_supply": 0, "scaled_debt": 0, "collateral": False, "borrowing": False, "deficit": 104}
    assert result["reserves_after"][1] == state


def test_aave_v3_counts_collateral_without_a_threshold_and_none_that_is_not_switched_on() -> None:
    """It adds nothing to health, but as long as it is there, no deficit is booked."""
    reserves = build_aave_v3_supply(100), build_aave_v3_debt(200)
    result = liquidate_aave_v3(1000, *reserves, build_aave_v3_supply(7, threshold=0))
    assert result["account"] == [107 * 10**8, 200 * 10**8, 4 * 10**17]
    assert (result["reserves_after"][1]["scaled_debt"], result["reserves_after"][1]["deficit"]) == (104, 0)
    result = liquidate_aave_v3(1000, *reserves, build_aave_v3_supply(7, collateral=False))
    assert result["account"] == [100 * 10**8, 200 * 10**8, 4 * 10**17]
    assert result["reserves_after"][1]["deficit"] == 104


def test_aave_v3_takes_dust_that_is_worth_nothing_for_no_collateral() -> None:
    """7 of value and 5 units of dust: one debt is repaid in full for the 7, the other becomes a deficit."""
    small, other = build_aave_v3_debt(66666666667, decimals=18), build_aave_v3_debt(3)
    result = liquidate_aave_v3(10**18, build_aave_v3_supply(7 * 10**10 + 5, decimals=18), small, other)
    assert result["account"] == [7, 7 + 3 * 10**8, 18666666231]
    assert result["out"]["seized"] == 7 * 10**10
    supply, repaid, lost = result["reserves_after"]
    assert (supply["scaled_supply"], supply["collateral"]) == (5, False)
    assert (repaid["scaled_debt"], repaid["deficit"]) == (0, 0)
    assert (lost["scaled_debt"], lost["borrowing"], lost["deficit"]) == (0, False, 3)


def test_aave_v3_closes_half_only_where_collateral_and_debt_are_large() -> None:
    """Health is 0.96. Half of 2,000 would leave 950 of 2,000; 1,999 go whole for up(1,999 / 1.05) = 1,904."""
    debt, other = build_aave_v3_debt(2000), build_aave_v3_supply(401)
    result = liquidate_aave_v3(10**6, build_aave_v3_supply(2000), debt, other)
    assert result == {"account": [2401 * 10**8, 2000 * 10**8, 9604 * 10**14], "status": "MustNotLeaveDust"}
    result = liquidate_aave_v3(10**6, build_aave_v3_supply(1999), debt, other)
    assert result["account"] == [2400 * 10**8, 2000 * 10**8, 96 * 10**16]
    assert (result["out"]["repaid"], result["out"]["seized"]) == (1904, 1999)


def test_aave_v3_seizes_nothing_only_as_tokens() -> None:
    """One unit of debt buys floor(1/3) = 0 of collateral at three times its price."""
    reserves = build_aave_v3_supply(10, price=3 * 10**8), build_aave_v3_debt(1), build_aave_v3_debt(9000)
    assert liquidate_aave_v3(1, *reserves)["status"] == "InvalidBurnAmount"
    result = liquidate_aave_v3(1, *reserves, as_token=True)
    assert result["out"] == {"repaid": 1, "seized": 0, "fee_scaled": 0, "taken_scaled": 0}


def test_a_coverer_of_aave_v3_who_owes_is_refused_after_amount_and_deficit() -> None:
    case = get_first_case("aave_deficit") | {"owes": True}
    assert eliminate_aave_v3_deficit(case) == {"status": "UserCannotHaveDebt"}
    assert eliminate_aave_v3_deficit(case | {"deficit": 0}) == {"status": "ReserveNotInDeficit"}
    assert eliminate_aave_v3_deficit(case | {"amount": 0}) == {"status": "InvalidAmount"}


def test_euler_divides_by_zero_where_the_discount_is_whole() -> None:
    case = get_first_case("euler")
    case["max_discount"] = 10000
    for collateral in case["collaterals"]:
        collateral["ltv"] = 0
    assert liquidate_euler_position(case) == {"status": "panic"}


def test_euler_refuses_to_take_a_part_of_a_unit_from_lenders_twice() -> None:
    """1.5 units are owed, which rounds up to 2; one is repaid, and the half goes along with it as dust."""
    case = {
        "owed": 3 * 2**30,
        "liquidator_owed": 0,
        "total_owed": 3 * 2**30,
        "cash": 0,
        "debt_price": 10**6 * WAD,
        "max_discount": 0,
        "socialise": True,
        "seize": 0,
        "collaterals": [{"balance": 10, "price": 10**5 * WAD, "ltv": 5000}],
        "desired": 2**256 - 1,
        "least": 0,
    }
    assert liquidate_euler_position(case) == {"status": "E_RepayTooMuch"}
    kept = liquidate_euler_position(case | {"socialise": False})["out"]
    assert (kept["repay"], kept["yield"]) == (1, 10)
    assert (kept["owed"], kept["liquidator_owed"], kept["total_owed"]) == (0, 3 * 2**30, 3 * 2**30)
    whole = liquidate_euler_position(case | {"owed": 2 * 2**31, "total_owed": 2 * 2**31})["out"]
    assert (whole["owed"], whole["liquidator_owed"], whole["total_owed"]) == (0, 2**31, 2**31)


def test_euler_leaves_the_debt_where_nothing_is_repaid() -> None:
    """Less than a unit is owed, collateral is worthless: it goes for nothing, and lenders bear the debt."""
    case = get_first_case("euler") | {
        **{"owed": 2**30, "liquidator_owed": 0, "total_owed": 2**30, "debt_price": 10**6 * WAD},
        **{"collaterals": [{"balance": 10, "price": 0, "ltv": 5000}], "socialise": True, "seize": 0},
        **{"desired": 2**256 - 1, "least": 0},
    }
    out = liquidate_euler_position(case)["out"]
    assert (out["repay"], out["yield"], out["owed"], out["liquidator_owed"]) == (0, 10, 0, 0)
    kept = liquidate_euler_position(case | {"socialise": False})["out"]
    assert (kept["owed"], kept["liquidator_owed"], kept["total_owed"]) == (2**30, 0, 2**30)


def build_aave_v4_case(**changes: int) -> dict[str, Any]:
    """16,000 at an index of 2 are owed against 10 collateral at 1,500 (health 0.75), at 5% bonus."""
    inner = {
        **{"shares": 10 * WAD, "col_dec": 18, "col_price": 1500 * 10**8, "drawn": 8000 * 10**6},
        **{"premium_ray": 0, "index": 2 * 10**27, "debt_dec": 6, "debt_price": 10**8, "cover": 2**200},
        **{"cf": 8000, "hf_max": 9 * 10**17, "factor": 10000, "max_bonus": 10500, "target": WAD},
        **{"hf": 75 * 10**16, "fee": 0, "A": 10**24, "S": 10**24},
        "debt_value_ray": 16000 * 10**26 * 10**27,
    }
    return {"in": inner | changes, "collaterals": 1, "borrows": 1, "receive_shares": False}


def test_aave_v4_reports_what_all_collateral_does_not_pay() -> None:
    """15,000 of collateral pay for up(15,000 / 1.05) = 14,285.714286, which is 7,142.857143 shares of 2."""
    result = liquidate_aave_v4_position(build_aave_v4_case())
    assert result["out"]["col_shares"] == 10 * WAD
    assert (result["out"]["drawn_shares"], result["out"]["paid"]) == (7142857143, 14285714286)
    assert result["in_deficit"]
    assert result["deficit_ray"] == (8000 * 10**6 - 7142857143) * 2 * 10**27
    assert result["hf_after"] is None


def test_aave_v4_refuses_a_sale_of_nothing() -> None:
    """A cover of one unit is less than a drawn share of two."""
    assert liquidate_aave_v4_position(build_aave_v4_case(cover=1)) == {"out": {"revert": "InvalidAmount"}}
    # 1.5 shares to an asset: the debt with its bonus is worth one asset, for one share, which is worth none.
    poor = {"shares": 10**9, "col_price": 16800 * 10**8, "col_dec": 0, "A": 10**6, "S": 2 * 10**6}
    case = build_aave_v4_case(**poor)
    assert liquidate_aave_v4_position(case) == {"out": {"revert": "InvalidAmount"}}
    assert liquidate_aave_v4_position(case | {"receive_shares": True})["out"]["liquidator_shares"] == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cover": 0}, "InvalidDebtToCover"),
        ({"shares": 0}, "ReserveNotSupplied"),
        ({"drawn": 0}, "ReserveNotBorrowed"),
        ({"hf": WAD}, "HealthFactorNotBelowThreshold"),
        ({"cf": 0}, "ReserveNotEnabledAsCollateral"),
        ({"cover": 0, "shares": 0}, "InvalidDebtToCover"),
        ({"hf": WAD, "cf": 0}, "HealthFactorNotBelowThreshold"),
    ],
)
def test_aave_v4_refuses_in_the_order_of_its_checks(change: dict[str, int], reason: str) -> None:
    case = copy.deepcopy(load_group("aave_v4_whole")[0])
    case["in"] |= change
    assert liquidate_aave_v4_position(case) == {"out": {"revert": reason}}


def build_sequence(*operations: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"depositors": ["D"], "owners": ["W", "T"], "ops": list(operations), **fields}


OPEN = {"op": "open", "who": "T", "coll": 10 * WAD, "debt": 2000 * WAD}
PRICE = {"op": "price", "price": 300 * WAD}


def play_v1(*operations: dict[str, Any], has_recovery_mode: bool = True) -> list[dict[str, Any]]:
    case = build_sequence(*operations, deployed=False)
    return list(play_liquity_v1_sequence(case, has_recovery_mode=has_recovery_mode)["ops"])


def play_v2(*operations: dict[str, Any]) -> list[dict[str, Any]]:
    case = build_sequence(*operations, mcr=11 * 10**17, penalty=[5 * 10**16, 10**17])
    return list(play_liquity_v2_sequence(case)["ops"])


def test_the_last_trove_of_liquity_v1_stays() -> None:
    """Alone under 110% it brings the system under 150%: recovery mode, which passes it over."""
    fall = {"op": "price", "price": 100 * WAD}
    *_, last = play_v1(PRICE, OPEN, fall, {"op": "liquidate", "batch": ["T"]})
    assert last["status"] == "TroveManager: nothing to liquidate"
    assert last["state"]["troves"] == {"T": [10 * WAD, 2000 * WAD, 10 * WAD, 0, 0]}
    *_, last = play_v1(PRICE, OPEN, {"op": "liquidate", "batch": []})
    assert last["status"] == "TroveManager: Calldata address array must not be empty"


def test_the_last_trove_of_liquity_v2_stays_and_nothing_changes() -> None:
    fall = {"op": "price", "price": 100 * WAD}
    before, last = play_v2(PRICE, OPEN | {"fee": 0}, fall, {"op": "liquidate", "batch": ["T"]})[-2:]
    assert last == {"status": "OnlyOneTroveLeft", "state": before["state"]}
    *_, last = play_v2(PRICE, {"op": "liquidate", "batch": []})
    assert last["status"] == "EmptyData"


def test_liquity_v1_spreads_what_the_pool_cannot_take() -> None:
    """2,200 of 2,000 in worth; 0.5% of 10 goes to the caller, the rest to the only other trove."""
    other = {"op": "open", "who": "W", "coll": 1000 * WAD, "debt": 2000 * WAD}
    fall = {"op": "price", "price": 210 * WAD}
    *_, last = play_v1(PRICE, other, OPEN, fall, {"op": "liquidate", "batch": ["T"]})
    assert (last["status"], last["paid"]) == ("ok", [5 * 10**16, 200 * WAD])
    assert last["state"]["troves"] == {
        "W": [1000 * WAD, 2000 * WAD, 1000 * WAD, 9950 * 10**15, 2000 * WAD],
    }


def test_liquity_v1_goes_back_to_normal_within_a_batch() -> None:
    """The first trove that the pool takes brings the system over 150%: the second, at 120%, is left alone."""
    safe = {"op": "open", "who": "W", "coll": 151 * WAD, "debt": 10000 * WAD}
    first = {"op": "open", "who": "T", "coll": 24 * WAD, "debt": 2000 * WAD}
    second = {"op": "open", "who": "U", "coll": 24 * WAD, "debt": 2000 * WAD}
    provide = {"op": "provide", "who": "D", "amount": 9000 * WAD}
    liquidate = {"op": "liquidate", "batch": ["T", "U"]}
    fall = {"op": "price", "price": 100 * WAD}
    *_, last = play_v1(PRICE, safe, first, second, provide, fall, liquidate)
    # 199 * 100 / 14,000 = 142%; 175 * 100 / 12,000 = 145.8%, still under 150%: both go.
    assert (last["status"], list(last["state"]["troves"])) == ("ok", ["W"])
    assert last["state"]["surplus"] == {"T": 2 * WAD, "U": 2 * WAD}
    safe["coll"] = 157 * WAD
    *_, last = play_v1(PRICE, safe, first, second, provide, fall, liquidate)
    # 205 * 100 / 14,000 = 146.4%; 181 * 100 / 12,000 = 150.8%: normal, and 120% is safe.
    assert (last["status"], list(last["state"]["troves"])) == ("ok", ["W", "U"])
    assert last["state"]["surplus"] == {"T": 2 * WAD}


def test_liquity_v1_without_recovery_mode_closes_nobody_from_110_percent() -> None:
    """The system is at 142% as above, but a trove at 120% stays; one at 109% goes to the pool whole."""
    safe: dict[str, Any] = {"op": "open", "who": "W", "coll": 151 * WAD, "debt": 10000 * WAD}
    trove: dict[str, Any] = {"op": "open", "who": "T", "coll": 24 * WAD, "debt": 2000 * WAD}
    provide: dict[str, Any] = {"op": "provide", "who": "D", "amount": 9000 * WAD}
    fall: dict[str, Any] = {"op": "price", "price": 100 * WAD}
    operations = [PRICE, safe, trove, provide, fall, {"op": "liquidate", "batch": ["T"]}]
    assert play_v1(*operations)[-1]["state"]["surplus"] == {"T": 2 * WAD}
    before, last = play_v1(*operations, has_recovery_mode=False)[-2:]
    assert last == {"status": "TroveManager: nothing to liquidate", "state": before["state"]}
    trove["coll"] = 218 * WAD // 10
    *_, last = play_v1(*operations, has_recovery_mode=False)
    assert last["paid"] == [109 * 10**15, 200 * WAD]
    assert last["state"]["pool"][4:] == [7000 * WAD, 21691 * 10**15]


def test_liquity_v1_without_recovery_mode_lets_depositors_bear_a_trove_under_100_percent() -> None:
    """1,900 of collateral for a debt of 2,000: spread over other troves in recovery mode, else the pool's."""
    safe: dict[str, Any] = {"op": "open", "who": "W", "coll": 110 * WAD, "debt": 10000 * WAD}
    trove: dict[str, Any] = {"op": "open", "who": "T", "coll": 19 * WAD, "debt": 2000 * WAD}
    provide: dict[str, Any] = {"op": "provide", "who": "D", "amount": 9000 * WAD}
    fall: dict[str, Any] = {"op": "price", "price": 100 * WAD}
    operations = [PRICE, safe, trove, provide, fall, {"op": "liquidate", "batch": ["T"]}]
    pools = [play_v1(*operations, has_recovery_mode=on)[-1]["state"]["pool"][4:] for on in (True, False)]
    assert pools == [[9000 * WAD, 0], [7000 * WAD, 18905 * 10**15]]


def test_liquity_v1_without_recovery_mode_still_refuses_withdrawals_under_110_percent() -> None:
    provide: dict[str, Any] = {"op": "provide", "who": "D", "amount": 9000 * WAD}
    withdraw = {"op": "withdraw", "who": "D", "amount": WAD}
    low, high = ({"op": "price", "price": price * WAD} for price in (219, 220))
    *_, refused = play_v1(PRICE, OPEN, provide, low, withdraw, has_recovery_mode=False)
    assert refused["status"] == "StabilityPool: Cannot withdraw while there are troves with ICR < MCR"
    *_, last = play_v1(PRICE, OPEN, provide, high, withdraw, has_recovery_mode=False)
    assert (last["status"], last["paid"]) == ("ok", [0])


def test_liquity_v1_says_of_each_closed_trove_its_ratio_and_mode() -> None:
    system = LiquityV1System()
    for operation in (
        PRICE,
        {"op": "open", "who": "W", "coll": 160 * WAD, "debt": 10000 * WAD},
        {"op": "open", "who": "T", "coll": 24 * WAD, "debt": 2000 * WAD},
        {"op": "open", "who": "U", "coll": 20 * WAD, "debt": 2000 * WAD},
        {"op": "provide", "who": "D", "amount": 9000 * WAD},
        {"op": "price", "price": 100 * WAD},
    ):
        system.apply_operation(operation)
    assert (system.compute_system_ratio(), system.is_in_recovery()) == (204 * 10**20 // 14000, True)
    system.apply_operation({"op": "liquidate", "batch": ["T"]})
    assert not system.is_in_recovery()
    system.apply_operation({"op": "price", "price": 105 * WAD})
    system.apply_operation({"op": "liquidate", "batch": ["U"]})
    assert [(each.owner, each.ratio, each.was_in_recovery) for each in system.closed] == [
        ("T", 12 * WAD // 10, True),
        ("U", 105 * WAD // 100, False),
    ]
    assert system.closed[0].split.surplus == 2 * WAD


def test_an_owner_of_liquity_v1_adds_to_what_redistributions_gave() -> None:
    """The other trove takes over 9.95 of 2,000; its owner's 40.05 then are a part of one trove of 1,050."""
    system = LiquityV1System()
    other = {"op": "open", "who": "W", "coll": 1000 * WAD, "debt": 2000 * WAD}
    fall: dict[str, Any] = {"op": "price", "price": 210 * WAD}
    for operation in (PRICE, other, OPEN, fall, {"op": "liquidate", "batch": ["T"]}):
        system.apply_operation(operation)
    totals = system.book.get_totals()
    system.book.add_collateral("W", 40050 * 10**15)
    trove = system.book.troves["W"]
    assert (trove.collateral, trove.debt) == (1050 * WAD, 4000 * WAD)
    # Stakes of 1,000 stood for a collateral of 1,009.95 after the liquidation.
    assert trove.stake == system.book.total_stakes == 1050 * 1000 * WAD * 100 // 100995
    assert system.book.get_pending("W") == (0, 0)
    assert system.book.get_totals() == (totals[0] + 40050 * 10**15, totals[1])
    assert (system.book.default_collateral, system.book.default_debt) == (0, 0)


def test_urgent_redemption_of_nothing_is_refused_and_unknown_troves_are_passed_over() -> None:
    case = {"price": 100 * WAD, "amount": 0, "batch": ["X", "T"], "troves": {"T": [2 * WAD, 100 * WAD]}}
    assert redeem_liquity_v2_urgently(case) == {"status": "ZeroAmount"}
    found = redeem_liquity_v2_urgently(case | {"amount": 50 * WAD})
    assert found["out"] == [51 * 10**16, 50 * WAD]
    assert found["troves_after"] == {"T": [149 * 10**16, 50 * WAD]}
