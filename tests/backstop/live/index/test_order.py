"""Grades and the order of entries, against fractions and a sorted set."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from backstop.live.index.sorted_vault_set import ROW_BITS, SortedVaultSet, compute_sortable_fraction

AMOUNTS = st.one_of(st.integers(1, 1_000), st.integers(1, 2**104 - 1))


@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_a_larger_fraction_never_has_a_lower_grade(a: int, b: int, c: int, d: int) -> None:
    first, second = sorted((Fraction(a, b), Fraction(c, d)))
    assert compute_sortable_fraction(first.numerator, first.denominator) <= compute_sortable_fraction(
        second.numerator, second.denominator
    )


@given(AMOUNTS, AMOUNTS)
def test_a_grade_keeps_31_bits_and_fits_its_place(a: int, b: int) -> None:
    more = Fraction(a, b) * (1 + Fraction(1, 2**31))
    # Down to fractions that no vault has: a wei of collateral for the largest debt is 2**-104.
    assert (
        compute_sortable_fraction(more.numerator, more.denominator) > compute_sortable_fraction(a, b)
        or a << 97 < b
    )
    assert compute_sortable_fraction(a * 10**5, b) < 1 << 64 - ROW_BITS


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=3_000), st.integers(0, 20))
def test_an_order_is_a_sorted_set(steps: list[tuple[bool, int]], grades: int) -> None:
    def entry(number: int) -> int:
        return number % (grades + 1) << ROW_BITS | number

    start = {entry(number) for _, number in steps[: len(steps) // 2]}
    order, expected = SortedVaultSet(start), set(start)
    for wanted, number in steps:
        each = entry(number)
        if wanted and each not in expected:
            order.add_entry(each)
            expected.add(each)
        elif not wanted and each in expected:
            order.remove_entry(each)
            expected.remove(each)
    assert len(order) == len(expected)
    for highest in range(grades + 2):
        rows = [each & (1 << ROW_BITS) - 1 for each in sorted(expected) if each >> ROW_BITS <= highest]
        assert list(order.iter_lowest_rows(highest)) == rows


def test_blocks_split_and_vanish() -> None:
    order, count = SortedVaultSet(), 10_000
    for number in range(count):
        order.add_entry(number * 7_919 % count << ROW_BITS | number)
    in_order = sorted(range(count), key=lambda number: number * 7_919 % count)
    assert list(order.iter_lowest_rows(count)) == in_order
    assert list(order.iter_lowest_rows(4_999)) == in_order[:5_000]
    for number in in_order[:-1]:
        order.remove_entry(number * 7_919 % count << ROW_BITS | number)
    assert list(order.iter_lowest_rows(count)) == in_order[-1:]
    order.remove_entry((count - 1) << ROW_BITS | in_order[-1])
    assert len(order) == 0 and list(order.iter_lowest_rows(count)) == []
