"""The mechanism at a peer's settings sells the peer's amounts, on measured cases and on random ones."""

from __future__ import annotations

import dataclasses
from collections import Counter
from fractions import Fraction
from random import Random

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY
from backstop.model.fixed_discount import plan_sale, quote_position
from backstop.model.partial_sale_discount import plan_any_part
from backstop.studies.peer_liquidations.mechanism_agreement import (
    BASE_UNIT,
    CASE_BUILDERS,
    NotCoveredError,
    SaleCase,
    list_differences,
    plan_or_none,
)
from tests.support.discount_steps import WETH, build_discount_parameters
from tests.support.peer_cases import AT_A_THRESHOLD, COVERED, DRAWS
from tests.support.peer_vectors import load_group


def list_covered_cases(name: str) -> list[SaleCase]:
    found = []
    for case in load_group(name):
        try:
            found.append(CASE_BUILDERS[name](case))
        except NotCoveredError:
            continue
    return found


def check_case(case: SaleCase) -> str:
    """Return how the case comes out: "agree", "refuse" or "threshold"; fail where amounts differ."""
    sale = plan_or_none(plan_any_part, case)
    if sale is None and case.expected is None:
        return "refuse"
    if sale is None or case.expected is None:
        # A unit of the base currency more or less, and both do the same.
        moved = [
            plan_or_none(plan_any_part, dataclasses.replace(case, max_repay=case.max_repay + step))
            for step in (-BASE_UNIT, BASE_UNIT)
        ]
        assert any((each is None) == (case.expected is None) for each in moved), case
        return "threshold"
    assert list_differences(case, sale) == [], case
    check_sale_favours_protocol(case, sale)
    return "agree"


def check_sale_favours_protocol(case: SaleCase, sale) -> None:
    """Without rounding the buyer would get no less for the payment, and pay no more than that."""
    quote, price = quote_position(case.terms, case.position), case.position.price
    bonus = Fraction(quote.numerator, quote.denominator)
    assert sale.collateral * price <= sale.paid * RAY * bonus
    assert sale.normalized_debt * case.position.accumulated_rate <= max(sale.paid * RAY, quote.debt)


@pytest.mark.parametrize("name", COVERED)
def test_measured_cases_agree(name):
    found = Counter(check_case(case) for case in list_covered_cases(name))
    assert found.total() == COVERED[name]
    assert found["threshold"] == AT_A_THRESHOLD.get(name, 0)


@pytest.mark.parametrize("name", DRAWS)
def test_random_cases_agree(name, count=1_250):
    random, found = Random(f"cases of {name}"), Counter[str]()
    while found.total() < count:
        try:
            found[check_case(CASE_BUILDERS[name](DRAWS[name](random)))] += 1
        except NotCoveredError:
            continue
    assert found["agree"] > count * 4 // 5
    assert not found["threshold"]


@pytest.mark.deep(
    brief="tests/backstop/studies/peer_liquidations/test_mechanism_agreement.py::test_random_cases_agree"
)
@pytest.mark.parametrize("name", DRAWS)
def test_100_000_random_cases_agree(name):
    test_random_cases_agree(name, 25_000)


@pytest.mark.parametrize("name", COVERED)
def test_ours_differs_only_where_a_part_would_worsen_the_rest(name):
    """The safe contract sells the same of a vault that is worth more than debt and bonus, else all of it."""
    for case in list_covered_cases(name):
        safe, naive = (plan_or_none(plan, case) for plan in (plan_sale, plan_any_part))
        if not case.is_under_bonus or (naive and naive.collateral == case.position.locked_collateral):
            assert safe == naive
        else:
            wanted = dataclasses.replace(case, max_collateral=MAX_UINT256, max_repay=MAX_UINT256)
            whole = plan_or_none(plan_sale, wanted)
            assert safe is None and whole and whole.normalized_debt == case.position.normalized_debt


@pytest.mark.parametrize("contract", ["FixedDiscount", "PartialSaleDiscount"])
def test_the_contract_plans_what_its_model_does(new_protocol, contract):
    """On the chain, for a few measured cases of each peer; lockstep compares every answer with the model."""
    protocol = new_protocol(build_discount_parameters(contract=contract))
    for name in COVERED:
        cases = list_covered_cases(name)
        for case in Random(f"cases of {name} on a chain").sample(cases, min(len(cases), 12)):
            protocol.do("FixedDiscount.set_terms", WETH, tuple(case.terms), sender="admin")
            amounts = case.max_collateral, case.max_repay
            plan = plan_sale if contract == "FixedDiscount" else plan_any_part
            expected = plan_or_none(plan, case)
            args = (WETH, tuple(case.position), *amounts)
            if expected is not None:
                assert tuple(protocol.read("FixedDiscount.plan_sale", *args)) == tuple(expected)
