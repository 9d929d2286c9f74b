"""A deployment to hunt in, opened: drawn parameters, a few honest people, and a coalition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import NamedTuple

from backstop.deployment.accounts import account
from backstop.deployment.configuration import configuration
from backstop.deployment.contracts import STABLECOIN_POOLS
from backstop.deployment.create import create_on_model, model_of
from backstop.deployment.parameters import (
    STAIRSTEP,
    AuctionParameters,
    CollateralParameters,
    EquityParameters,
    FeedParameters,
    Parameters,
    PoolParameters,
    SettlementParameters,
    StageParameters,
)
from backstop.deployment.plan import Deployment, plan
from backstop.hosts.model import ModelSystem
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, WAD, div_up
from backstop.model.price_feed import least_quorum
from backstop.proof.fuzz.opening import odd_contracts
from backstop.system import Action

COALITION = ("attacker", "owner_1", "owner_2")
"""Accounts without any role of the protocol that act together; a minority of reporters besides."""
HONEST = ("borrower", "borrower_2", "saver", "saver_2")
"""Whoever may lose by what the coalition does."""
KEEPER = account("keeper")
"""Keeps everything in order, and buys at auctions; a profit that it misses is nobody's loss."""
BANK = account("bank")
"""Has drawn the coins that everybody begins with; does nothing else."""

TWINS = tuple(map(account, ("twin", "twin_2")))
"""Strangers without means, whom other alarms give the same and compare."""

HOUR = 3_600
PRICES = (2_000 * RAY, 50 * RAY)
# What one person may lock or save, whole coins.
MEANS = 200_000


class Setting(NamedTuple):
    """A deployment and how it is opened."""

    parameters: Parameters
    opening: tuple[Action, ...]
    # Reporters who belong to the coalition, by type.
    bought: tuple[tuple[str, ...], ...]
    # Of whole tokens at the opening [ray].
    prices: tuple[int, ...] = PRICES

    @property
    def deployment(self) -> Deployment:
        return plan(self.parameters)

    def new(self) -> ModelSystem:
        """Deploy and open it on the model."""
        deployment = self.deployment
        system = model_of(deployment)
        for creation in odd_contracts(deployment):
            create_on_model(system.world, creation)
        for action in (*configuration(deployment), *self.opening):
            outcome = system.apply(action)
            assert outcome.ok, f"the opening fails: {action} {outcome.reason!r}"
        return system


def draw_setting(random: Random) -> Setting:
    """Draw an ordinary deployment: nothing extreme, and nothing that the setters refuse."""
    return opened(_parameters(random), random)


def draw_edge(random: Random) -> Setting:
    """Draw a deployment nearer the edges, in which nobody has given income."""
    parameters, prices = draw_edge_parameters(random)
    return opened(parameters, random, prices, income=False)


def draw_edge_parameters(random: Random) -> tuple[Parameters, tuple[int, ...]]:
    """Draw a deployment nearer the edges: coarse tokens, rewards, other reporters, and prices."""
    plain = _parameters(random)
    prices = PRICES[0], random.choice((*PRICES[1:], 30 * PRICES[0]))
    types = tuple(
        replace(
            each,
            decimals=random.choice((0, 0, 6, 18)) if c else 18,
            auction=replace(each.auction, **random.choice(({}, {"tip": 50, "chip": 10}))),
            stability_fee=random.choice((0, each.stability_fee)),
            auction_limit=random.choice((random.randint(30_000, 200_000), each.auction_limit)),
            feed=_reported_by(random.choice((3, 4, 5, 5)), each.feed),
        )
        for c, each in enumerate(plain.collateral_types)
    )
    return replace(plain, collateral_types=types), prices


def opened(
    parameters: Parameters, random: Random, prices: tuple[int, ...] = PRICES, income: bool = True
) -> Setting:
    """Return a deployment with an opening that is drawn."""
    bought = tuple(
        tuple(account(f"reporter_{i + 1}") for i in range((each.feed.reporters - 1) // 2))
        for each in parameters.collateral_types
    )
    return Setting(parameters, tuple(_opening(parameters, random, prices, income)), bought, prices)


def _parameters(random: Random) -> Parameters:
    pool = PoolParameters(
        cooldown=random.choice((HOUR, 2 * HOUR)),
        vesting=random.choice((HOUR, 10 * HOUR)),
    )
    return Parameters(
        collateral_types=(_type(random, "AAA", 18), _type(random, "BBB", random.choice((18, 6, 0)))),
        epoch_length=random.choice((HOUR, 4 * HOUR, 24 * HOUR)),
        cap_delay=5 * 24 * HOUR,
        stages=_stages(random),
        junior=pool,
        senior=pool,
        savings=pool,
        staked_equity=pool,
        equity=EquityParameters() if random.random() < 0.5 else None,
        settlement=SettlementParameters(delay=HOUR, bound=0, epochs=1),
    )


def _type(random: Random, symbol: str, decimals: int) -> CollateralParameters:
    liquidation_ratio = random.choice((10_500, 11_000, 13_000, 14_500))
    return CollateralParameters(
        symbol=symbol,
        decimals=decimals,
        debt_ceiling=50_000_000,
        debt_floor=random.choice((0, 100, 2_000)),
        liquidation_ratio=liquidation_ratio,
        initial_ratio=liquidation_ratio + random.choice((100, 500)),
        stability_fee=random.choice((0, 782_997_609_082_909_351)),
        auction_limit=random.choice((100_000, 10_000_000, 10_000_000)),
        # A percent at a time: what a keeper's delay costs is small beside what is hunted.
        auction=AuctionParameters(
            curve=STAIRSTEP,
            period=600,
            cut=99 * RAY // 100,
            tail=random.choice((2 * HOUR, 4 * HOUR)),
            buf=random.choice((10_000, 10_500)),
            penalty=min(random.choice((10_500, 11_300)), liquidation_ratio - 100),
            tip=0,
            chip=0,
        ),
        feed=_reported_by(
            random.choice((3, *(4, 5) * 4)),
            FeedParameters(
                step=random.choice((600, 1_800, HOUR)),
                max_age=random.choice((HOUR, 2 * HOUR)),
                stale_after=random.choice((2 * HOUR, 4 * HOUR)),
                window=HOUR,
            ),
        ),
    )


def _stages(random: Random) -> tuple[StageParameters, ...]:
    names = [
        name
        for name in ("buffer", "reserve", "clawback", "junior", "senior", "redistribution", "savings")
        if random.random() < 0.7
    ]
    if "junior" not in names:
        names.append("junior")
    return tuple(StageParameters(name, cap_bps=random.choice((3_000, 5_000, 10_000))) for name in names)


def _opening(
    parameters: Parameters, random: Random, prices: tuple[int, ...], income: bool
) -> Iterator[Action]:
    """Yield what hands out means: collateral for all, coins from the bank, shares, vaults."""
    deployment = plan(parameters)
    at = deployment.addresses
    pools = [name for name in STABLECOIN_POOLS if name in at]
    people = [account(role) for role in (*COALITION, *HONEST)]
    for who in (*people, KEEPER, BANK):
        for each in parameters.collateral_types:
            yield Action(each.symbol, "mint", (who, 10**6 * 10**each.decimals), who)
            yield Action(each.symbol, "approve", (at["VaultEngine"], MAX_UINT256), who)
        for name in (*pools, *(f"{pool}.Claims" for pool in pools if f"{pool}.Claims" in at)):
            yield Action("Stablecoin", "approve", (at[name], MAX_UINT256), who)
    for c, each in enumerate(parameters.collateral_types):
        for i in range(each.feed.reporters):
            yield Action("PriceFeed", "report", (c, prices[c]), deployment.account(f"reporter_{i + 1}"))
        yield Action("PriceFeed", "poke", (c,), deployment.account("poker"))
    coins = 10 * MEANS * WAD
    yield _vault(parameters, prices, 0, BANK, coins, 100_000)
    yield Action("Stablecoin", "transfer", (KEEPER, coins // 2), BANK)
    for who in people:
        yield Action("Stablecoin", "transfer", (who, coins // 20), BANK)
    for who in people[1:]:
        for name in pools:
            if random.random() < 0.5:
                yield Action(name, "deposit", (random.randint(1, MEANS // 8) * WAD, who), who)
    for name in pools if income else ():
        yield Action(name, "add_income", (random.choice((100, 2_000)) * WAD,), BANK)
    for who in people[1:]:
        c = random.randrange(2)
        debt = random.randint(20_000, MEANS) * WAD
        ratio = parameters.collateral_types[c].initial_ratio + _above(random)
        yield _vault(parameters, prices, c, who, debt, ratio)


def _above(random: Random) -> int:
    return random.choice((100, 500, 2_000))


def _vault(
    parameters: Parameters, prices: tuple[int, ...], c: int, owner: str, debt: int, ratio: int
) -> Action:
    deposit = locked(parameters, prices, c, debt, ratio)
    return Action("VaultEngine", "deposit_and_draw", (c, owner, deposit, debt, owner), owner)


def locked(parameters: Parameters, prices: tuple[int, ...], c: int, debt: int, ratio: int) -> int:
    """Return the collateral of a debt [wad] at a ratio, in whole units of its token [wad]."""
    unit = 10 ** (18 - parameters.collateral_types[c].decimals)
    return div_up(div_up(debt * RAY * ratio, prices[c] * BASIS_POINTS), unit) * unit


def _reported_by(reporters: int, feed: FeedParameters) -> FeedParameters:
    """Return a feed with so many reporters, of whom as few are needed as the contract takes."""
    return replace(feed, reporters=reporters, quorum=least_quorum(reporters))
