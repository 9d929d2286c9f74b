"""Quantities are read exactly or refused with a line that says how to write them."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import RAY, WAD, rpow
from backstop.simulation.scenario import quantity_units


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        (quantity_units.read_whole_number, "1_200", 1_200),
        (quantity_units.read_seconds, "140 min", 8_400),
        (quantity_units.read_seconds, "1 h 30 min", 5_400),
        (quantity_units.read_seconds, "2 d", 172_800),
        (quantity_units.read_basis_points, "150%", 15_000),
        (quantity_units.read_basis_points, "0.1%", 10),
        (quantity_units.read_basis_points, "40 bps", 40),
        (quantity_units.read_basis_points, "1.2 x", 12_000),
        (quantity_units.read_ray_ratio, "99%", 99 * RAY // 100),
        (quantity_units.read_stablecoin, "0.1 stablecoin", WAD // 10),
        (quantity_units.read_whole_stablecoin_count, "30_000_000 stablecoin", 30_000_000),
        (quantity_units.read_equity_as_wad, "12.5 equity", 125 * WAD // 10),
        (quantity_units.read_equity_as_whole_tokens, "1_000_000 equity", 1_000_000),
        (quantity_units.read_price_as_ray, "195.21 USD", 19_521 * RAY // 100),
        (quantity_units.read_gas_price, "0.5 gwei", 5 * 10**8),
        (quantity_units.read_gas, "10_000_000 gas", 10**7),
        (quantity_units.read_multiday_clock, "23:20", 84_000),
        (quantity_units.read_multiday_clock, "26:00:30", 93_630),
        (quantity_units.read_moment, "2020-03-12T00:00Z", 1_583_971_200),
        (quantity_units.read_amount, "0.000000000000000001", 1),
        (quantity_units.read_amount, "1e-18", 1),
        (quantity_units.read_amount, ".5", WAD // 2),
        (quantity_units.read_price_as_ray, "1.9521e2 USD", 19_521 * RAY // 100),
        (quantity_units.read_whole_number, "12e2", 1_200),
    ],
)
def test_reads(reader, text, value) -> None:
    assert reader(text) == value


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        (quantity_units.read_seconds, "x", "'x' is not a duration; write e.g. '140 min'"),
        (quantity_units.read_seconds, "5 min or so", "'5 min or so' is not a duration; write e.g. '140 min'"),
        (quantity_units.read_basis_points, "1.2", "'1.2' is not a ratio; write e.g. '150%'"),
        (
            quantity_units.read_basis_points,
            "0.001%",
            "'0.001%' is finer than this field can hold: round it to 2 decimals",
        ),
        (
            quantity_units.read_whole_stablecoin_count,
            "1.5 stablecoin",
            "'1.5 stablecoin' is finer than this field can hold: round it to whole numbers",
        ),
        (quantity_units.read_whole_stablecoin_count, "-1 stablecoin", "'-1 stablecoin' is negative"),
        (quantity_units.read_price_as_ray, "195", "'195' is not a price; write e.g. '195.21 USD'"),
        (quantity_units.read_price_as_ray, "0 USD", "'0 USD': zero is not a price"),
        (quantity_units.read_gas_price, "20", "'20' is not a gas price; write e.g. '20 gwei'"),
        (
            quantity_units.read_moment,
            "12 March",
            "'12 March' is not a time in UTC; write e.g. '2020-03-12T00:00Z'",
        ),
        (
            quantity_units.read_multiday_clock,
            "12:60",
            "'12:60' is not a time; write e.g. '23:20' ('25:10' is 01:10 the next day)",
        ),
    ],
)
def test_refuses(reader, text, message) -> None:
    with pytest.raises(ValueError) as caught:
        reader(text)
    assert str(caught.value) == message


def test_no_decimal_passes_through_a_float() -> None:
    # 0.1 + 18 digits: a float would lose the last ones.
    assert quantity_units.read_stablecoin("0.123456789012345678 stablecoin") == 123_456_789_012_345_678


@pytest.mark.parametrize("percent", [1, 8, 20])
def test_a_yearly_rate_is_the_largest_that_stays_under_it(percent: int) -> None:
    fee, factor = quantity_units.read_yearly_rate(f"{percent}% a year"), RAY + percent * RAY // 100
    assert rpow(RAY + fee, 365 * 86_400) <= factor < rpow(RAY + fee + 1, 365 * 86_400)


def test_plain_numbers_are_read_as_all_others_are() -> None:
    """The short way for cells of digits agrees with the pattern, which reads them with a sign before."""
    for text in ("0", "12", "12.5", "0.000000000000000001", ".5", "5.", "007.50"):
        assert quantity_units.read_numerator_and_denominator(
            text, "an amount", "12.5"
        ) == quantity_units.read_numerator_and_denominator(f"+{text}", "an amount", "12.5")
    for text in ("", ".", "1.2.3", "1,5", "٣", "²", "1.²", "12 ETH", "-"):
        with pytest.raises(ValueError, match="is not an amount"):
            quantity_units.read_numerator_and_denominator(text, "an amount", "12.5")
