"""Usage, revenue and the efficient settings, each against its definition."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from random import Random

from backstop.deployment.parameter_dataclasses import GuardsParameters, PolicyParameters
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.scenario import Scenario, build_vault_book, load_scenario
from backstop.studies.borrow_usage import (
    DEBT,
    REVENUE,
    BorrowUsage,
    choose_measure,
    describe_measure,
    find_efficient,
    find_front,
    measure_borrow_usage,
)
from tests.support.checkout_paths import DATA

SMALL = load_scenario(DATA / "stress" / "small.yaml")


def with_fees(*fees: int) -> Scenario:
    types = [
        replace(each, stability_fee=fee)
        for each, fee in zip(SMALL.parameters.collateral_types, fees, strict=True)
    ]
    return replace(SMALL, parameters=replace(SMALL.parameters, collateral_types=tuple(types)))


def test_usage_is_what_the_vaults_owe() -> None:
    used = measure_borrow_usage(SMALL, 1)
    book = build_vault_book(SMALL, 1, SMALL.first_prices)
    assert used.debt == sum(each.debt for each in book)
    assert used.debts == tuple(sum(each.debt for each in book if each.symbol == of) for of in SMALL.symbols)
    assert used.locked == tuple(
        sum(each.locked for each in book if each.symbol == of) for of in SMALL.symbols
    )
    least = min(
        SMALL.parameters.global_debt_ceiling,
        sum(each.debt_ceiling for each in SMALL.parameters.collateral_types),
    )
    assert used.ceiling == least * WAD and used.share_bps == used.debt * 10_000 // (least * WAD)


def test_revenue_is_a_year_of_fees_rounded_down() -> None:
    fee = 10**18  # ray a second
    used = measure_borrow_usage(with_fees(fee, 0), 1)
    assert used.revenue is not None
    with localcontext() as context:
        context.prec = 80
        year = (1 + Decimal(fee) / RAY) ** (365 * 86_400) - 1
        exact = Decimal(used.debts[0]) * year
        assert 0 <= exact - used.revenue < exact / 10**15
    assert measure_borrow_usage(with_fees(0, 0), 1).revenue == 0


def test_a_curve_sets_fees_that_nobody_knows_before() -> None:
    day = with_fees(10**18, 0)
    first, second = day.parameters.collateral_types
    curved = (replace(first, policy=PolicyParameters(curve=(0, 1, 1, 1))), second)
    day = replace(day, parameters=replace(day.parameters, collateral_types=curved, guards=GuardsParameters()))
    used = measure_borrow_usage(day, 1)
    assert used.revenue is None and choose_measure([used, measure_borrow_usage(SMALL, 1)]) == DEBT
    assert "a curve sets the stability fees" in describe_measure([used])


def usage(debt: int, revenue: int | None) -> BorrowUsage:
    return BorrowUsage((debt,), (1,), 100, revenue)


def test_without_fees_debt_stands_for_revenue() -> None:
    lent = [usage(5, 0), usage(6, 0)]
    assert choose_measure(lent) == DEBT and "no debt pays a stability fee" in describe_measure(lent)
    assert find_efficient(lent, [10, 10]) == [False, True]
    paid = [usage(5, 3), usage(6, 2)]
    assert choose_measure(paid) == REVENUE and find_efficient(paid, [10, 10]) == [True, False]
    assert "year's stability fees" in describe_measure(paid) and "without penalties" in describe_measure(paid)


def test_the_marked_are_dominated_by_none_and_all_others_by_one() -> None:
    random = Random(3)
    for _ in range(300):
        count = random.randrange(1, 12)
        gains = [random.randrange(6) for _ in range(count)]
        risks = [random.randrange(6) for _ in range(count)]

        def is_dominated(i: int, gains=gains, risks=risks) -> bool:
            return any(
                gains[j] >= gains[i] and risks[j] <= risks[i] and (gains[j], risks[j]) != (gains[i], risks[i])
                for j in range(len(gains))
            )

        marked = find_front(gains, risks)
        assert marked == [not is_dominated(i) for i in range(count)] and any(marked)
        assert find_efficient([usage(gain, 0) for gain in gains], risks) == marked
        assert find_efficient([usage(1, gain + 1) for gain in gains], risks) == marked
