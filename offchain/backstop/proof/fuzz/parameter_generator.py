"""Deployments to fuzz: any number of collateral types, every curve, token, bound and cap."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from backstop.deployment.contracts_by_parameter_name import MARGIN_POLICIES, list_pools
from backstop.deployment.parameter_dataclasses import (
    EXPONENTIAL,
    LINEAR,
    STAIRSTEP,
    AuctionParameters,
    AutoCeilingParameters,
    BackstopParameters,
    BreakerParameters,
    CollateralParameters,
    EquityParameters,
    FacilitatorParameters,
    FeedParameters,
    GuardsParameters,
    MarginParameters,
    MarketParameters,
    Parameters,
    PerpetualParameters,
    PolicyParameters,
    PoolParameters,
    SettlementParameters,
    StageParameters,
    TreasuryParameters,
    WorkoutParameters,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from backstop.model.redeem_queue import get_collecting_time
from backstop.proof.fuzz.discount_terms import draw_fitting_discount, list_values
from backstop.proof.fuzz.stability_pool_terms import draw_pool_terms

HOUR, DAY = 3_600, 86_400
ODD_COOLDOWN = HOUR
"""The cooldown of the pool of another token, which each run deploys [seconds]."""
# One deployment in so many has as many collateral types as there can be, or one less.
_FULL_HOUSE = 40


def draw_parameters(random: Random) -> Parameters:
    """Draw random deployment parameters within their bounds: mostly ordinary values, at times extremes."""
    drawn = _draw_parameters_without_block_time(random)
    # With dice of its own, from values and not from names: all else of a seed stays as it was.
    slot = Random(f"slot of {list_values(drawn)}").choice((0, 0, 0, 1, 12, 12, bounds.MAX_BLOCK_TIME))
    return replace(drawn, block_time=slot)


def draw_parameters_of_run(random: Random) -> Parameters:
    """Draw the deployment parameters of a fuzz run, at times with a liquidation mechanism.

    One deployment in 25 has no collateral types of its own and insures the coin of another protocol.
    """
    drawn = draw_parameters(random)
    if Random(f"coin of {list_values(drawn)}").randrange(25) == 0:
        return _insure_other_protocol(drawn)
    return _add_stability_pools(_sell_at_discount(drawn))


def _sell_at_discount(parameters: Parameters) -> Parameters:
    """Return the parameters, in one of four cases with fixed-discount liquidations for some types.

    The draw uses a random generator of its own, seeded with the parameters.
    """
    random = Random(f"discount of {list_values(parameters)}")
    if random.randrange(4):
        return parameters
    types = tuple(
        replace(each, discount=draw_fitting_discount(random, each.liquidation_ratio))
        if random.random() < 0.7
        else each
        for each in parameters.collateral_types
    )
    contract = "PartialSaleDiscount" if random.random() < 0.2 else "FixedDiscount"
    return replace(parameters, collateral_types=types, discount_contract=contract)


def _add_stability_pools(parameters: Parameters) -> Parameters:
    """Return the parameters, in one of four cases with stability pools for some collateral types.

    A pool may replace a type's fixed discount. The draw uses a random generator of its own.
    """
    random = Random(f"liquidation pools of {list_values(parameters)}")
    if random.randrange(4):
        return parameters
    types = tuple(
        replace(each, discount=None, stability_pool=draw_pool_terms(random, each.liquidation_ratio))
        if each.liquidation_ratio > BASIS_POINTS and random.random() < (0.3 if each.discount else 0.8)
        else each
        for each in parameters.collateral_types
    )
    contract = "InstantStabilityPool" if random.random() < 0.2 else "StabilityPool"
    drawn = replace(parameters, collateral_types=types, stability_pool_contract=contract)
    return drawn if parameters.equity is None else _share_income_with_a_pool(random, drawn)


def _share_income_with_a_pool(random: Random, parameters: Parameters) -> Parameters:
    """Return the parameters, at times with a share of the surplus for one stability pool.

    The share is at most the part of the surplus that no other pool receives.
    """
    left = BASIS_POINTS - sum(getattr(parameters, name).income_share for name in list_pools(parameters))
    pooled = [i for i, each in enumerate(parameters.collateral_types) if each.stability_pool is not None]
    share = random.choice((0, 1, left // 2, left))
    if not pooled or not 0 < share <= left:
        return parameters
    types = list(parameters.collateral_types)
    chosen = types[random.choice(pooled)]
    assert chosen.stability_pool is not None
    pool = replace(chosen.stability_pool, income_share=share)
    types[types.index(chosen)] = replace(chosen, stability_pool=pool)
    return replace(parameters, collateral_types=tuple(types))


def _insure_other_protocol(parameters: Parameters) -> Parameters:
    """Return parameters without collateral types or margin market, for the coin of another protocol.

    Their only facilitator insures that coin.
    """
    random = Random(f"other protocol of {list_values(parameters)}")
    (found,) = parameters.facilitators[:1] or (FacilitatorParameters("BridgeFacilitator0", 10**6),)
    insured = replace(found, coin="COIN", coin_decimals=random.choice((0, 6, 6, 18)), flow_cap=0)
    guards = parameters.guards
    if guards is not None:
        guards = replace(guards, ceilings=(), workouts=())
    return replace(parameters, collateral_types=(), facilitators=(insured,), guards=guards, margin=None)


def _draw_parameters_without_block_time(random: Random) -> Parameters:
    """Draw all deployment parameters except the block time."""
    count = random.choice((1, 2, 2, 3, 3, 4))
    if random.randrange(_FULL_HOUSE) == 0:
        count = bounds.MAX_COLLATERAL_TYPES - random.randrange(2)
    has_equity = random.random() < 0.7
    has_guards = random.random() < 0.5
    pools: dict[str, Any] = {
        name: _draw_pool(random) for name in ("junior", "senior", "savings", "staked_equity")
    }
    cooldown = max(ODD_COOLDOWN, *(pool.cooldown for pool in pools.values()))
    longest = cooldown + get_collecting_time(cooldown) + bounds.LOOK
    types = tuple(_draw_collateral(random, c) for c in range(count))
    if has_guards:
        types = tuple(replace(each, policy=_draw_policy(random, each)) for each in types)
    parameters = Parameters(
        collateral_types=types,
        global_debt_ceiling=random.choice((10**6, 15 * 10**7, 15 * 10**7, bounds.MAX_GLOBAL_DEBT_CEILING)),
        global_auction_limit=random.choice((10**5, 3 * 10**7, 3 * 10**7)),
        epoch_length=random.choice((HOUR, DAY, 7 * DAY)),
        cap_delay=longest + random.choice((1, HOUR, 10 * DAY)),
        stages=_draw_stages(random, has_equity),
        equity=_draw_equity(random) if has_equity else None,
        treasury=TreasuryParameters(random.choice((0, 1, 1_000, 100_000))),
        settlement=SettlementParameters(
            delay=random.choice((HOUR, DAY, 30 * DAY)),
            bound=random.choice((0, 1_000, 10**6)),
            epochs=random.choice((1, 4)),
        ),
        guards=_draw_guards(random, count) if has_guards else None,
        **pools,
        facilitators=_draw_facilitators(random, bounds.MAX_COLLATERAL_TYPES - count),
    )
    if random.random() >= 0.3:
        return parameters
    margin = _draw_margin(random, parameters)
    # Drawn last, so that all else of a seed stays as it was.
    insured = random.choice((0, 0, 0, 100, 1_000, BASIS_POINTS))
    markets = tuple(
        replace(each, insured=random.choice((insured, insured, 0))) if insured else each
        for each in margin.markets
    )
    return replace(_raise_lending_limits(parameters), margin=replace(margin, markets=markets))


def _raise_lending_limits(parameters: Parameters) -> Parameters:
    """Raise debt ceilings and lift flow caps, so that traders can draw stablecoin for margin and bonds."""
    types = tuple(
        replace(
            each,
            debt_ceiling=max(each.debt_ceiling, 10**7),
            policy=replace(each.policy, flow_cap=0),
        )
        for each in parameters.collateral_types
    )
    ceiling = max(parameters.global_debt_ceiling, 15 * 10**7)
    return replace(parameters, collateral_types=types, global_debt_ceiling=ceiling)


def _draw_facilitators(random: Random, most: int) -> tuple[FacilitatorParameters, ...]:
    return tuple(
        FacilitatorParameters(
            name=f"BridgeFacilitator{i}",
            line=random.choice((1, 10**4, 10**6, 10**6, bounds.MAX_DEBT_CEILING)),
            delay=random.choice((bounds.MIN_LOSS_DELAY, DAY, bounds.MAX_LOSS_DELAY)),
            minter=random.choice(("bridge", "bridge", "borrower")),
            flow_cap=random.choice((0, 0, 10**4)),
            flow_window=random.choice((HOUR, DAY)),
        )
        for i in range(min(most, random.choice((0, 0, 1, 2))))
    )


def _draw_margin(random: Random, parameters: Parameters) -> MarginParameters:
    def brackets() -> tuple[tuple[int, int], tuple[int, int]]:
        return (random.choice((0, 10**4, 10**6)), random.choice((0, 500))), (10**6, random.choice((0, 2_000)))

    markets = []
    for collateral in parameters.collateral_types[:4]:
        maintenance = random.choice((bounds.MIN_MARGIN, 50, 500, 2_000))
        lot = random.choice((1, WAD // 1_000, WAD // 100, WAD, bounds.MAX_LOT))
        markets.append(
            PerpetualParameters(
                symbol=collateral.symbol,
                lot=lot,
                initial=maintenance + random.choice((1, 100, 500)),
                maintenance=maintenance,
                discount=random.choice((0, 10_000, bounds.MAX_LIQUIDATION_DISCOUNT)),
                haircut=random.choice((bounds.MIN_HAIRCUT, 5_000, 10_000)),
                max_funding=random.choice((0, 75, bounds.MAX_FUNDING)),
                of_accounts=brackets(),
                of_market=brackets(),
                open_limit=random.choice((10**6, min(bounds.MAX_OPEN_LOTS, bounds.MAX_OPEN // lot))),
                dust=random.choice((0, 1, 100)),
            )
        )
    window = random.choice((bounds.MIN_CYCLE, 1_800, 1_800, bounds.MAX_CYCLE))
    return MarginParameters(
        markets=tuple(markets),
        facilitator=parameters.facilitators[0].name if parameters.facilitators else "",
        policy=random.choice(MARGIN_POLICIES),
        fee_share=random.choice((0, 1_000, 10_000)),
        bucket=random.choice((bounds.MIN_BUCKET, HOUR, DAY)),
        buckets=random.choice((1, 7, bounds.MAX_BUCKETS)),
        cap=random.choice((0, 1_000, 10**6)),
        income_share=random.choice((0, 1, 2_500, 10_000)),
        insurance_target=random.choice((0, 1_000, bounds.MAX_GLOBAL_DEBT_CEILING)),
        window=window,
        quiet=random.choice((0, 300, window)),
        mark_age=random.choice((1, 60, bounds.MAX_MARK_AGE)),
        band=random.choice((0, 50, 50, bounds.MAX_BAND)),
        maker_fee=random.choice((0, 2, bounds.MAX_TRADE_FEE)),
        taker_fee=random.choice((0, 15, bounds.MAX_TRADE_FEE)),
        third_bond=random.choice((0, 5, bounds.MAX_THIRD_BOND // WAD)),
        divergence=random.choice((0, 0, 2_000, bounds.MAX_DIVERGENCE)),
        backstop=_draw_backstop(random) if random.random() < 0.7 else None,
    )


def _draw_backstop(random: Random) -> BackstopParameters:
    return BackstopParameters(
        limit=random.choice((0, 10**4, 10**6, bounds.MAX_GLOBAL_DEBT_CEILING)),
        notice=random.choice((bounds.MIN_BATCH_TIME, DAY, bounds.MAX_BATCH_TIME)),
        leverage=random.choice((1_000, 10_000, 50_000, bounds.MAX_LEVERAGE)),
        spread=random.choice((0, 1, 20, bounds.MAX_BAND)),
        share=random.choice((1, 2_500, 10_000)),
        quote_time=random.choice((bounds.MIN_QUOTE_TIME, 600, bounds.MAX_QUOTE_TIME)),
    )


def draw_price(random: Random) -> int:
    """Draw a random initial price, at times close to the upper bound [ray for 1e18 of collateral]."""
    if random.random() < 0.05:
        return bounds.MAX_PRICE // random.choice((1, 2, 1_000))
    return random.choice((1, 20, 300, 2_000, 60_000)) * RAY * random.randint(50, 150) // 100


def _draw_collateral(random: Random, index: int) -> CollateralParameters:
    floor = random.choice((0, 1, 100, 2_000, 2_000))
    liquidation_ratio = random.choice((10_000, 11_000, 14_500, 14_500, 20_000))
    return CollateralParameters(
        symbol=f"C{index}",
        decimals=random.choice((0, 2, 6, 8, 18, 18)),
        debt_ceiling=random.choice((10**5, 10**7, 5 * 10**7, bounds.MAX_DEBT_CEILING)),
        debt_floor=floor,
        liquidation_ratio=liquidation_ratio,
        initial_ratio=liquidation_ratio + random.choice((0, 1, 500, 2_000)),
        stability_fee=random.choice((0, 782_997_609_082_909_351, 10**18, bounds.MAX_STABILITY_FEE)),
        auction_limit=random.choice((floor + 1, 20 * floor + 10, 10**6, 10**7, 10**7)),
        buffer_share=random.choice((0, 5_000, 10_000)),
        redistribution_cap=random.choice((0, 500, 10_000)),
        token=random.choice(("Token", "Token", "Token", "NoReturnToken", "ReturnsFalseToken")),
        auction=_draw_auction(random, liquidation_ratio),
        feed=_draw_feed(random),
        market=MarketParameters(fee=random.choice((0, 30, 9_999))),
    )


def _draw_policy(random: Random, collateral: CollateralParameters) -> PolicyParameters:
    def brackets() -> tuple[tuple[int, int], tuple[int, int]]:
        above = sorted(random.choice((0, 1_000, 10**5, 10**7, bounds.MAX_DEBT_CEILING)) for _ in range(2))
        rates = [random.choice((0, 1, 500, 5_000)) for _ in range(2)]
        return (above[0], rates[0]), (above[1], rates[1])

    floor, ceiling = collateral.debt_floor, collateral.debt_ceiling
    called = random.random() < 0.7
    policy = PolicyParameters(
        of_vaults=brackets(),
        of_type=brackets(),
        flow_cap=random.choice((0, 0, 3 * floor + 10, 10**6, bounds.MAX_DEBT_CEILING)),
        flow_window=random.choice((bounds.MIN_FLOW_WINDOW, HOUR, DAY, bounds.MAX_FLOW_WINDOW)),
        growth_anchor=random.choice((0, 0, 0, 300 * RAY, bounds.MAX_PRICE)),
        growth=random.choice((0, 500, bounds.MAX_GROWTH)),
        curve=random.choice(
            (
                (0, 0, 0, 0),
                (0, 400, 6_000, 9_000),
                (1_000, 4_000, 5_000, 5_000),
                (0, 0, 10_000, 9_999),
                (1, 1, 1, 1),
            )
        ),
        line=random.choice((1, 10**5, ceiling, bounds.MAX_DEBT_CEILING)),
        speed=random.choice((0, 0, 50, bounds.MAX_FEE_SPEED)),
        call_ratio=(collateral.liquidation_ratio + collateral.initial_ratio) // 2 if called else 0,
        call_grace=random.choice((bounds.MIN_CALL_TIME, HOUR, 6 * HOUR)),
        call_valid=random.choice((bounds.MIN_CALL_TIME, DAY)),
    )
    # A rate that moves needs a base.
    return policy if policy.curve[0] else replace(policy, speed=0)


def _draw_auction(random: Random, liquidation_ratio: int) -> AuctionParameters:
    """Draw terms of collateral auctions. The penalty is below the liquidation ratio or there is none."""
    curve = random.choice((LINEAR, STAIRSTEP, EXPONENTIAL))
    period, cut = {
        LINEAR: (random.choice((600, 4 * HOUR, 4 * HOUR)), RAY // 2),
        STAIRSTEP: (random.choice((1, 90, 90, HOUR)), random.choice((RAY // 2, 99 * RAY // 100, RAY - 1))),
        EXPONENTIAL: (1, random.choice((999_888_336_665_764_108_012_000_000, 99 * RAY // 100, RAY - 1))),
    }[curve]
    return AuctionParameters(
        curve=curve,
        period=period,
        cut=cut,
        tail=random.choice((60, HOUR, 2 * HOUR, 3 * HOUR)),
        cusp=random.choice((1, 3_000, 4_000, 10_000)),
        buf=random.choice((10_000, 12_000, 12_000, 60_000)),
        penalty=max(10_000, min(random.choice((10_000, 11_300, 11_300, 20_000)), liquidation_ratio - 1)),
        tip=random.choice((0, 50, 50, 10_000)),
        chip=random.choice((0, 10, 10, 1_000)),
    )


def _draw_feed(random: Random) -> FeedParameters:
    step = random.choice((1, 600, HOUR))
    guards = {}
    if random.random() < 0.4:
        guards = {
            "deviation": random.choice((0, 1, 1_000, 2_500, 5_000, bounds.MAX_DEVIATION)),
            "confirmations": random.choice((1, 1, 2, 3)),
            "grace": random.choice((0, 1, step + 1, HOUR)),
            "dead_after": random.choice((0, 1, HOUR, DAY)),
        }
    reporters, quorum = random.choice(((3, 3), (4, 3), (4, 3), (5, 5)))
    return FeedParameters(
        reporters=reporters,
        quorum=quorum,
        step=step,
        max_age=random.choice((step, 2 * HOUR, 7 * DAY)),
        stale_after=random.choice((step, 4 * HOUR, 4 * HOUR, 7 * DAY)),
        window=random.choice((60, HOUR, HOUR, DAY)),
        **guards,
    )


def _draw_pool(random: Random) -> PoolParameters:
    cooldown = random.choice((0, HOUR, DAY, DAY, 20 * DAY))
    return PoolParameters(
        cooldown,
        random.choice((HOUR, DAY, 7 * DAY)),
        random.choice((0, 500, 2_500)),
    )


def _draw_equity(random: Random) -> EquityParameters:
    return EquityParameters(
        supply=random.choice((10**4, 10**6, 10**6, bounds.MAX_EQUITY_SUPPLY)),
        mint_cap=random.choice((0, 1_000, 10**5, bounds.MAX_MINT_CAP)),
        buf=random.choice((10_000, 12_000, 60_000)),
        floor=random.choice((1_000, 5_000, 10_000)),
        duration=random.choice((600, HOUR, 2 * DAY)),
        surplus_lot=random.choice((1, 100, 10_000)),
        conversion_price=random.choice((0, RAY, 30 * RAY)),
        feed=_draw_feed(random),
    )


def _draw_guards(random: Random, types: int) -> GuardsParameters:
    """Draw automatic debt ceilings, or a circuit breaker with workouts, or both."""
    which = random.randrange(4)
    ceilings = tuple(
        AutoCeilingParameters(
            gap=random.choice((1, 10**5, 10**7, 10**7)),
            max_line=random.choice((0, 10**5, 10**7, bounds.MAX_DEBT_CEILING)),
            ttl=random.choice((bounds.MIN_CEILING_TTL, 8 * HOUR, bounds.MAX_CEILING_TTL)),
        )
        for _ in range(types if which != 1 else 0)
    )
    breaker = BreakerParameters(
        losses=random.choice(((0, 0), (1, 1_000), (1_000, 10**6))),
        fall=random.choice(((0, 1_000), (500, 2_000), (1_500, 3_000))),
        silence=random.choice(((0, 0), (1, HOUR), (HOUR, DAY))),
        auctions=random.choice(((1, 10_000), (5_000, 0), (5_000, 9_000))),
        calm_period=random.choice((bounds.MIN_CALM_PERIOD, 6 * HOUR, bounds.MAX_CALM_PERIOD)),
    )
    return GuardsParameters(
        ceilings,
        None if which == 0 else breaker,
        tuple(_draw_workouts(random) for _ in range(types)) if which != 0 else (),
        caution_margin=random.choice((0, 1_000, bounds.MAX_ADD_ON)),
        emergency_factor=random.choice((bounds.MIN_LIMITS_FACTOR, 5_000, 10_000, bounds.MAX_LIMITS_FACTOR)),
    )


def _draw_workouts(random: Random) -> WorkoutParameters:
    discount = random.choice((0, 1_000, 1_000, 2_000, bounds.MAX_WORKOUT_DISCOUNT))
    return WorkoutParameters(
        discount=discount,
        ratio=random.choice((10_000, 10_000 * 10_000 // (10_000 - discount))),
        premium=random.choice((0, 200, bounds.MAX_PREMIUM)),
        instalments=random.choice((1, 4, 8, bounds.MAX_INSTALMENTS)),
        interval=random.choice((bounds.MIN_INTERVAL, HOUR, DAY)),
        period=random.choice((0, HOUR, 30 * DAY)),
        cap=random.choice((0, 10**6, bounds.MAX_DEBT_CEILING)),
    )


def _draw_stages(random: Random, has_equity: bool) -> tuple[StageParameters, ...]:
    """Draw the waterfall's stages: the usual order, mostly with some left out, at times shuffled."""
    names = ["buffer", "reserve", "clawback", "junior"]
    names += ["staked_equity"] * has_equity + ["senior"] + ["minted_equity"] * has_equity
    names += ["redistribution", "savings"]
    if random.random() < 0.6:
        left_out = {*random.sample(names, random.randint(1, len(names) - 1))}
        names = [name for name in names if name not in left_out]
    if random.random() < 0.15:
        random.shuffle(names)
    stages = [_draw_stage(random, name) for name in names]
    if random.random() < 0.2:
        stages.insert(0, StageParameters("scripted"))
    return tuple(stages)


def _draw_stage(random: Random, name: str) -> StageParameters:
    return StageParameters(
        name,
        cap_absolute=random.choice((None, None, None, 0, 1_000 * RAD, 10**5 * RAD + 1)),
        cap_bps=random.choice((0, 1, 5_000, 10_000, 10_000, 10_000)),
    )
