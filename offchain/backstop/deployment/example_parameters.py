"""Whole sets of parameters: standard ones, with guards, with perpetual markets, with a pool behind these."""

from __future__ import annotations

from dataclasses import replace

from backstop.deployment.parameter_dataclasses import (
    EXPONENTIAL,
    LINEAR,
    STAIRSTEP,
    AuctionParameters,
    AutoCeilingParameters,
    BackstopParameters,
    BreakerParameters,
    CollateralParameters,
    FacilitatorParameters,
    GuardsParameters,
    MarginParameters,
    Parameters,
    PerpetualParameters,
    PolicyParameters,
    WorkoutParameters,
)
from backstop.model.arithmetic import RAY, WAD


def build_standard_parameters() -> Parameters:
    """Return parameters with three collateral types: ether, bitcoin with 8 decimals, gold with 6."""
    return Parameters(
        collateral_types=(
            CollateralParameters(
                symbol="WETH",
                decimals=18,
                debt_ceiling=50_000_000,
                debt_floor=2_000,
                liquidation_ratio=14_500,
                initial_ratio=15_000,
                stability_fee=782_997_609_082_909_351,  # 2.5% a year
                auction_limit=10_000_000,
                auction=AuctionParameters(
                    curve=STAIRSTEP, period=90, cut=99 * RAY // 100, tail=8_400, cusp=4_000
                ),
            ),
            CollateralParameters(
                symbol="WBTC",
                decimals=8,
                debt_ceiling=50_000_000,
                debt_floor=2_000,
                liquidation_ratio=14_500,
                initial_ratio=15_000,
                stability_fee=627_937_192_491_029_810,  # 2% a year
                auction_limit=10_000_000,
                auction=AuctionParameters(
                    # 1% in 90 seconds
                    curve=EXPONENTIAL,
                    period=1,
                    cut=999_888_336_665_764_108_012_000_000,
                    tail=8_400,
                    cusp=4_000,
                ),
            ),
            CollateralParameters(
                symbol="XAU",
                decimals=6,
                debt_ceiling=20_000_000,
                debt_floor=2_000,
                liquidation_ratio=12_500,
                initial_ratio=13_000,
                stability_fee=315_522_921_573_372_069,  # 1% a year
                auction_limit=5_000_000,
                auction=AuctionParameters(curve=LINEAR, period=14_400, tail=10_800, cusp=3_000, buf=11_000),
            ),
        )
    )


def build_guarded_parameters() -> Parameters:
    """Return the standard parameters with all guards on that prevent losses."""
    policies = (
        PolicyParameters(
            of_vaults=((1_000_000, 500), (5_000_000, 1_000)),
            of_type=((25_000_000, 500), (40_000_000, 1_500)),
            flow_cap=5_000_000,
            curve=(100, 300, 5_000, 9_000),
            line=50_000_000,
            call_ratio=14_800,
        ),
        PolicyParameters(
            of_vaults=((1_000_000, 500), (5_000_000, 1_000)),
            of_type=((25_000_000, 500), (40_000_000, 1_500)),
            flow_cap=5_000_000,
            # As Morpho's adaptive curve: 50 times a year, between 0.1% and 16.4%.
            curve=(10, 1_630, 0, 9_000),
            line=50_000_000,
            speed=50,
            call_ratio=14_800,
        ),
        PolicyParameters(
            of_vaults=((500_000, 500), (2_000_000, 1_000)),
            of_type=((10_000_000, 500), (15_000_000, 1_500)),
            flow_cap=2_000_000,
            curve=(50, 150, 3_000, 9_000),
            line=20_000_000,
            call_ratio=12_800,
        ),
    )
    plain = build_standard_parameters()
    ceilings = tuple(
        AutoCeilingParameters(gap=each.debt_ceiling // 10, max_line=each.debt_ceiling, ttl=28_800)
        for each in plain.collateral_types
    )
    workouts = tuple(WorkoutParameters(cap=each.auction_limit // 5) for each in plain.collateral_types)
    types = zip(plain.collateral_types, policies, strict=True)
    return replace(
        plain,
        collateral_types=tuple(
            replace(each, policy=policy, feed=replace(each.feed, deviation=1_500, grace=3_600))
            for each, policy in types
        ),
        guards=GuardsParameters(ceilings, BreakerParameters(), workouts),
    )


def build_margin_parameters(
    initial_bps: int = 2_000, maintenance_bps: int = 1_000, large_market_surcharge_bps: int = 500
) -> Parameters:
    """Return the standard parameters with perpetual markets in ether and bitcoin, and a facilitator.

    The margins are in basis points. `large_market_surcharge_bps` is added for open notional beyond a million
    stablecoins. The default margins follow from the study in docs/explanation/self-hedge.md.
    """
    plain = build_standard_parameters()
    lots = {"WETH": WAD // 100, "WBTC": WAD // 1_000}
    markets = tuple(
        PerpetualParameters(
            symbol,
            lot,
            initial_bps,
            maintenance_bps,
            of_market=((1_000_000, large_market_surcharge_bps), (0, 0)),
        )
        for symbol, lot in lots.items()
    )
    facilitator = FacilitatorParameters("Perpetuals", line=10_000_000)
    return replace(plain, facilitators=(facilitator,), margin=MarginParameters(markets, facilitator.name))


def build_backed_margin_parameters() -> Parameters:
    """Return the parameters with perpetual markets, plus a pool that takes over positions."""
    plain = build_margin_parameters()
    assert plain.margin is not None
    return replace(plain, margin=replace(plain.margin, backstop=BackstopParameters()))
