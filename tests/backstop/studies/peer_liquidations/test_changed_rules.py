"""A rule that is changed by one rounding, limit or term is noticed by the vectors of its group."""

from collections.abc import Callable
from typing import Any

import pytest

from backstop.studies.peer_liquidations import (
    aave_v3,
    aave_v4,
    euler_vault_kit,
    liquity_troves,
    liquity_v1,
    liquity_v2,
    morpho_blue,
)
from backstop.studies.peer_liquidations.vector_replay import replay_vector_group
from tests.support.peer_vectors import load_group


def floor_quotient(numerator: int, denominator: int) -> int:
    return numerator // denominator


def ceil_base_value(amount: int, reserve: Any) -> int:
    return -(-amount * reserve["price"] // 10 ** reserve["decimals"])


def ceil_pending(book: liquity_troves.TroveBook, owner: str) -> tuple[int, int]:
    trove = book.troves[owner]
    collateral = trove.stake * (book.collateral_sum - trove.collateral_sum)
    debt = trove.stake * (book.debt_sum - trove.debt_sum)
    return -(-collateral // 10**18), -(-debt // 10**18)


CHANGES: list[tuple[str, Any, str, Any]] = [
    ("morpho_liquidate", morpho_blue, "_ceil_quotient", floor_quotient),
    ("morpho_liquidate", morpho_blue, "div_up", floor_quotient),
    ("morpho_liquidate", morpho_blue, "MAX_INCENTIVE_FACTOR", 115 * 10**16 - 1),
    ("morpho_accrue", morpho_blue, "VIRTUAL_ASSETS", 0),
    ("aave", aave_v3, "div_up", floor_quotient),
    ("aave", aave_v3, "_floor_base_value", ceil_base_value),
    ("aave", aave_v3, "WHOLE_CLOSE_HEALTH", 95 * 10**16 - 1),
    ("aave", aave_v3, "LARGE_POSITION", 2000 * 10**8 + 1),
    ("aave", aave_v3, "LEAST_REST", 1000 * 10**8 + 1),
    ("aave_deficit", aave_v3, "div_up", floor_quotient),
    ("euler", euler_vault_kit, "div_up", floor_quotient),
    ("euler", euler_vault_kit, "LEAST_SOCIALISED_VALUE", 10**9),
    ("aave_v4_amounts", aave_v4, "div_up", floor_quotient),
    ("aave_v4_amounts", aave_v4, "LEAST_REST_VALUE", 1001 * 10**26),
    ("aave_v4_amounts", aave_v4, "VIRTUAL_SHARES", 1),
    ("aave_v4_to_target", aave_v4, "div_up", floor_quotient),
    ("aave_v4_bonus", aave_v4, "BASIS_POINTS", 10**4 + 1),
    ("aave_v4_deficit", aave_v4, "_has_deficit", lambda *fields: False),
    ("aave_v4_whole", aave_v4, "div_up", floor_quotient),
    ("liquity1", liquity_troves.TroveBook, "get_pending", ceil_pending),
    ("liquity1", liquity_v1, "RECOVERY_RATIO", 14 * 10**17),
    ("liquity1", liquity_v1, "LEAST_IN_POOL", 0),
    ("liquity2", liquity_troves.TroveBook, "get_pending", ceil_pending),
    ("liquity2", liquity_v2, "MAX_COLLATERAL_COMPENSATION", 10**24),
    ("liquity2", liquity_v2, "LEAST_IN_POOL", 2 * 10**18),
    ("liquity2_urgent", liquity_v2, "URGENT_FACTOR", 102 * 10**16 + 1),
]


@pytest.mark.parametrize(
    ("group", "owner", "name", "changed"), CHANGES, ids=[f"{each[0]}-{each[2]}" for each in CHANGES]
)
def test_a_changed_rule_is_noticed(
    monkeypatch: pytest.MonkeyPatch, group: str, owner: Any, name: str, changed: int | Callable[..., Any]
) -> None:
    cases = load_group(group)[::7] if group in ("liquity1", "liquity2") else load_group(group)
    assert replay_vector_group(group, cases) == []
    monkeypatch.setattr(owner, name, changed)
    differences = replay_vector_group(group, cases)
    assert differences
    first = differences[0]
    assert str(first).startswith(f"{group}, case {first.case}, {first.field}: expected ")
