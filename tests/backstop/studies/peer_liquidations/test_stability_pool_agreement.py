"""The naive stability pool has product, sums, coins and gains of Liquity v2's, operation by operation."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from backstop.model import product_sum
from backstop.model.arithmetic import div_up
from backstop.studies.peer_liquidations.liquity_v2 import play_liquity_v2_sequence
from backstop.studies.peer_liquidations.stability_pool_agreement import (
    ForkableSystem,
    build_pool_model,
    replay_pool_sequences,
)
from tests.support.peer_vectors import load_group
from tests.support.scripted_pool import ALL_SEQUENCES, deploy_scripted_pool


@pytest.fixture
def pool_chain(new_host, artifacts):
    return deploy_scripted_pool(new_host(), artifacts)


def test_the_model_agrees_after_every_operation():
    assert replay_pool_sequences("liquity2", load_group("liquity2"), build_pool_model()) == ALL_SEQUENCES


def test_the_contract_agrees_in_a_twentieth_of_the_sequences(pool_chain):
    cases = load_group("liquity2")
    drawn = Random("pool sequences on a chain").sample(cases, -(-len(cases) // 20))
    found = replay_pool_sequences("liquity2", drawn, pool_chain)
    assert found == replay_pool_sequences("liquity2", drawn, build_pool_model())
    assert not found.differences and found.operations > 250


@pytest.mark.deep(
    brief="tests/backstop/studies/peer_liquidations/test_stability_pool_agreement.py"
    "::test_the_contract_agrees_in_a_twentieth_of_the_sequences"
)
def test_the_contract_agrees_after_every_operation(pool_chain):
    assert replay_pool_sequences("liquity2", load_group("liquity2"), pool_chain) == ALL_SEQUENCES


def play_sequence(members: list[str], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a sequence in the vectors' form, with the results of the function of Liquity v2."""
    case: dict[str, Any] = {
        "mcr": 11 * 10**17,
        "penalty": [5 * 10**16, 10**17],
        "depositors": members,
        "owners": [],
        "ops": [{"op": "price", "price": 10**18}, *operations],
    }
    outcomes = play_liquity_v2_sequence(case)["ops"]
    return {**case, "ops": [{**one, **found} for one, found in zip(case["ops"], outcomes, strict=True)]}


def build_tie_sequence() -> dict[str, Any]:
    """Return a sequence with a product that falls exactly to the least one of a scale."""
    debt = 10**27 - 10**18
    provide = {"op": "provide", "who": "D0", "amount": 10**27, "claim": True}
    troves = [{"op": "open", "who": who, "coll": debt, "debt": debt, "fee": 0} for who in ("T0", "T1")]
    return play_sequence(["D0"], [provide, *troves, {"op": "liquidate", "batch": ["T0"]}])


def draw_sequence(random: Random) -> dict[str, Any]:
    """Draw a sequence with many scales, deposits, withdrawals and claims."""
    members = ["D0", "D1", "D2", "D3"]
    operations = [{"op": "open", "who": "W", "coll": 10**31, "debt": 10**22, "fee": 0}]
    for number in range(60):
        kind = random.choice(("provide", "withdraw", "leave", "claim", "liquidate", "liquidate"))
        who, amount = random.choice(members), random.randint(1, 10 ** random.randint(18, 27))
        has_claim = random.random() < 0.4
        if kind == "liquidate":
            amount = random.choice((amount, 10**29))
            provide = {"op": "provide", "who": who, "amount": 10**27, "claim": has_claim}
            trove = {"coll": amount * 105 // 100, "debt": amount, "fee": random.choice((0, amount // 200))}
            operations += [provide] * (random.random() < 0.5)
            operations.append({"op": "open", "who": f"T{number}", **trove})
            operations.append({"op": "liquidate", "batch": [f"T{number}"]})
        elif kind == "claim":
            operations.append({"op": "claim", "who": who})
        else:
            # Kept income is a deposit: only a second withdrawal leaves none.
            leaves = [{"op": "withdraw", "who": who, "amount": 10**30, "claim": False}] * 2
            change = {"op": kind, "who": who, "amount": amount, "claim": has_claim}
            operations += leaves if kind == "leave" else [change]
    return play_sequence(members, operations)


def draw_sequences(count: int) -> list[dict[str, Any]]:
    return [draw_sequence(Random(f"pool sequence {number}")) for number in range(count)]


def check_random_sequences(system: ForkableSystem, count: int) -> None:
    cases = draw_sequences(count)
    found = replay_pool_sequences("liquity2", cases, system)
    assert not found.differences and not found.ours_refuses
    assert found.sequences == count and found.calls["liquidate"] > 10 * count
    assert found.calls["claim"] > count // 2
    assert sum(case["ops"][-1]["state"]["pool"][1] for case in cases) > 4 * count


def test_random_sequences_agree_with_the_function():
    check_random_sequences(build_pool_model(), 12)


@pytest.mark.deep(
    brief="tests/backstop/studies/peer_liquidations/test_stability_pool_agreement.py"
    "::test_random_sequences_agree_with_the_function"
)
def test_500_random_sequences_agree_on_a_chain(pool_chain):
    check_random_sequences(pool_chain, 500)


def test_a_product_at_the_edge_of_a_scale_stays_in_it():
    case = build_tie_sequence()
    assert case["ops"][-1]["state"]["pool"][:2] == [product_sum.LEAST_PRODUCT, 0]
    found = replay_pool_sequences("liquity2", [case], build_pool_model())
    assert found.calls["liquidate"] == 1 and not found.differences


def offset_debt_rounded_up(state: product_sum.State, debt: int) -> product_sum.State:
    numerator, scale = state.product * (state.coins - debt), state.scale
    while numerator // state.coins < product_sum.LEAST_PRODUCT:
        numerator, scale = numerator * product_sum.STEP, scale + 1
    return state._replace(product=div_up(numerator, state.coins), coins=state.coins - debt, scale=scale)


@pytest.mark.parametrize(
    ("owner", "name", "changed"),
    [
        (product_sum.State, "offset_debt", offset_debt_rounded_up),
        (product_sum, "LEAST_PRODUCT", 10**27 + 1),
        (product_sum, "SUM_SCALES", 1),
        (product_sum, "SUM_SCALES", 3),
        (product_sum, "MAX_SCALES", 1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_changed_rule_is_noticed(monkeypatch, owner, name, changed):
    """By the sequences that come to a second scale, by the product at its edge, or by random sequences."""
    cases = [each for each in load_group("liquity2") if each["ops"][-1]["state"]["pool"][1]]
    cases += [build_tie_sequence(), *draw_sequences(3)]
    monkeypatch.setattr(owner, name, changed)
    assert replay_pool_sequences("liquity2", cases, build_pool_model()).differences
