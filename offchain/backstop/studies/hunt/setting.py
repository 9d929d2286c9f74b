"""A deployment to hunt in, opened: drawn parameters, a few honest people, and a coalition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import NamedTuple

from backstop.deployment.configuration_calls import build_configuration_calls
from backstop.deployment.contract_creation import create_model, create_on_model
from backstop.deployment.contract_names import STABLECOIN_POOLS
from backstop.deployment.deployment_parameters import (
    STAIRSTEP,
    AuctionParameters,
    CollateralParameters,
    EquityParameters,
    FeedParameters,
    Parameters,
    PoolParameters,
    SettlementParameters,
    StageParameters,
    TreasuryParameters,
)
from backstop.deployment.deployment_plan import Deployment, plan_deployment
from backstop.deployment.role_accounts import get_account
from backstop.hosts.model_system import ModelSystem
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, WAD, div_up
from backstop.model.bounds import EQUITY_MARKET
from backstop.model.price_feed import least_quorum
from backstop.proof.fuzz.opening import odd_contracts
from backstop.studies.hunt.past import Past
from backstop.system import Action

COALITION = ("attacker", "owner_1", "owner_2")
"""Accounts without any role of the protocol that act together; a minority of reporters besides."""
CROWD = tuple(get_account(f"crowd_{i + 1}") for i in range(24))
"""More accounts of theirs, which begin with nothing."""
HONEST = ("borrower", "borrower_2", "saver", "saver_2")
"""Whoever may lose by what the coalition does."""
KEEPER = get_account("keeper")
"""Keeps everything in order, and buys at auctions; a profit that it misses is nobody's loss."""
BANK = get_account("bank")
"""Has drawn the coins that everybody begins with; does nothing else."""

TWINS = tuple(map(get_account, ("twin", "twin_2")))
"""Strangers without means, whom other alarms give the same and compare."""

HOUR = 3_600
PRICES = (2_000 * RAY, 50 * RAY)
EQUITY_PRICE = 100 * RAY
# What one person may lock or save, whole coins.
MEANS = 200_000


class Outage(NamedTuple):
    """Seconds that pass while no block is produced."""

    seconds: int


Step = Action | int | Outage
"""A call, seconds that pass with their blocks, or without."""


class Setting(NamedTuple):
    """A deployment and how it is opened."""

    parameters: Parameters
    # Calls, and seconds that pass.
    opening: tuple[Action | int, ...]
    # Reporters who belong to the coalition, by type.
    bought: tuple[tuple[str, ...], ...]
    # Of whole tokens at the opening [ray]: of each type, then of equity if there is any.
    prices: tuple[int, ...] = PRICES

    @property
    def deployment(self) -> Deployment:
        return plan_deployment(self.parameters)

    @property
    def markets(self) -> tuple[int, ...]:
        """The ids of the feed's markets, in the order of prices."""
        return markets_of(self.parameters)

    def new(self) -> ModelSystem:
        """Deploy and open it on the model."""
        deployment = self.deployment
        system = create_model(deployment)
        for creation in odd_contracts(deployment):
            create_on_model(system.world, creation)
        for step in (*build_configuration_calls(deployment), *self.opening):
            if isinstance(step, Action):
                outcome = system.apply(step)
                assert outcome.ok, f"the opening fails: {step} {outcome.reason!r}"
            else:
                system.advance(step)
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
    """Return a deployment with an opening that is drawn; pools of some have had a past."""
    bought = tuple(
        tuple(get_account(f"reporter_{i + 1}") for i in range((each.feed.reporters - 1) // 2))
        for each in parameters.collateral_types
    )
    # With dice of its own, so that all else of a seed stays as it was.
    past = Random(f"past of {parameters}")
    kind = past.choice((*("quiet",) * 5, "empty", "worn", "worn"))
    if parameters.equity is not None:
        prices = (*prices, EQUITY_PRICE)
    means = (
        *_means(parameters, random, prices, income, kind != "empty"),
        *_equity(parameters, past),
    )
    setting = _after_past(Setting(parameters, means, bought, prices), kind == "worn", past)
    vaults = tuple(_vaults(setting.parameters, random, prices))
    return setting._replace(opening=(*setting.opening, *vaults))


def _after_past(setting: Setting, is_worn: bool, random: Random) -> Setting:
    """Return a deployment whose pools have next to nothing left, if so; with equity also a reserve."""
    parameters, days = setting.parameters, random.choice((0, 2, 30))
    is_worn &= parameters.guards is None
    if not is_worn and (parameters.equity is None or not days):
        return setting
    if is_worn:
        first, lost = parameters.collateral_types
        types = first, without_crumbs(lost)
        stages = tuple(replace(each, cap_bps=BASIS_POINTS) for each in parameters.stages)
        setting = setting._replace(parameters=replace(parameters, collateral_types=types, stages=stages))
    past = Past(setting.new(), setting.deployment, dict(zip(setting.markets, setting.prices, strict=True)))
    if is_worn:
        people = tuple(map(get_account, (*COALITION, *HONEST)))
        past.lose(1, BANK, people, random)
        if random.random() < 0.5:
            past.enter(people, random)
    if parameters.equity is not None:
        past.earn(0, days)
    return setting._replace(opening=(*setting.opening, *past.done))


def without_crumbs(terms: CollateralParameters) -> CollateralParameters:
    """Return a type that loses to the wei what was drawn of it."""
    return replace(
        terms,
        debt_floor=max(100, terms.debt_floor),
        stability_fee=0,
        auction_limit=max(10_000_000, terms.auction_limit),
        auction=replace(terms.auction, tip=0, chip=0),
    )


def _parameters(random: Random) -> Parameters:
    pool = PoolParameters(
        cooldown=random.choice((HOUR, 2 * HOUR)),
        vesting=random.choice((HOUR, 10 * HOUR)),
    )
    parameters = Parameters(
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
    # With dice of its own, so that all else of a seed stays as it was.
    return _with_terms_of_equity(parameters, Random(f"equity of {parameters}"))


def _with_terms_of_equity(parameters: Parameters, random: Random) -> Parameters:
    """Return parameters whose auctions count blocks, at times, and whose equity is sold and converted."""
    parameters = replace(parameters, block_time=random.choice((0, 12)))
    if parameters.equity is None:
        return parameters
    stages = list(parameters.stages)
    for name in ("staked_equity", "minted_equity"):
        if random.random() < 0.4:
            stages.insert(random.randrange(len(stages) + 1), StageParameters(name))
    equity = replace(
        parameters.equity,
        duration=random.choice((HOUR, 4 * HOUR, 48 * HOUR)),
        surplus_lot=random.choice((100, 1_000)),
        conversion_price=random.choice((0, RAY, EQUITY_PRICE)),
        feed=parameters.collateral_types[0].feed,
    )
    target = TreasuryParameters(random.choice((0, 1_000)))
    return replace(parameters, stages=tuple(stages), equity=equity, treasury=target)


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


def _means(
    parameters: Parameters, random: Random, prices: tuple[int, ...], income: bool, saves: bool
) -> Iterator[Action]:
    """Yield what hands out means: collateral for all, coins from the bank, shares."""
    deployment = plan_deployment(parameters)
    at = deployment.addresses
    pools = [name for name in STABLECOIN_POOLS if name in at]
    people = [get_account(role) for role in (*COALITION, *HONEST)]
    for who in (*people, KEEPER, BANK):
        for each in parameters.collateral_types:
            yield Action(each.symbol, "mint", (who, 10**6 * 10**each.decimals), who)
            yield Action(each.symbol, "approve", (at["VaultEngine"], MAX_UINT256), who)
        for name in (*pools, *(f"{pool}.Claims" for pool in pools if f"{pool}.Claims" in at)):
            yield Action("Stablecoin", "approve", (at[name], MAX_UINT256), who)
    feeds = [each.feed for each in parameters.collateral_types]
    if parameters.equity is not None:
        feeds.append(parameters.equity.feed)
    for c, price, feed in zip(markets_of(parameters), prices, feeds, strict=True):
        for i in range(feed.reporters):
            yield Action("PriceFeed", "report", (c, price), deployment.get_account(f"reporter_{i + 1}"))
        yield Action("PriceFeed", "poke", (c,), deployment.get_account("poker"))
    coins = 10 * MEANS * WAD
    yield _vault(parameters, prices, 0, BANK, coins, 100_000)
    yield Action("Stablecoin", "transfer", (KEEPER, coins // 2), BANK)
    for who in people:
        yield Action("Stablecoin", "transfer", (who, coins // 20), BANK)
    for who in people[1:]:
        for name in pools:
            if random.random() < 0.5:
                deposit = Action(name, "deposit", (random.randint(1, MEANS // 8) * WAD, who), who)
                if saves:
                    yield deposit
    for name in pools if income else ():
        given = Action(name, "add_income", (random.choice((100, 2_000)) * WAD,), BANK)
        if saves:
            yield given


def _equity(parameters: Parameters, random: Random) -> Iterator[Action]:
    """Yield what hands out equity, has some of it staked."""
    if parameters.equity is None:
        return
    at, admin = plan_deployment(parameters).addresses, plan_deployment(parameters).get_account("admin")
    for who in (*map(get_account, (*COALITION, *HONEST)), KEEPER, BANK):
        share = parameters.equity.supply * WAD // 20
        yield Action("Equity", "transfer", (who, share), admin)
        for name in ("StakedEquity", "SurplusAuction"):
            if name in at:
                yield Action("Equity", "approve", (at[name], MAX_UINT256), who)
        for name in ("StakeAuction", "MintAuction"):
            if name in at:
                yield Action("Stablecoin", "approve", (at[name], MAX_UINT256), who)
        if "StakedEquity" in at and random.random() < 0.4:
            yield Action("StakedEquity", "deposit", (share // random.choice((2, 10)), who), who)


def markets_of(parameters: Parameters) -> tuple[int, ...]:
    """Return the ids of the feed's markets: the types', then equity's if there is any."""
    types = range(len(parameters.collateral_types))
    return (*types, EQUITY_MARKET) if parameters.equity is not None else (*types,)


def _vaults(parameters: Parameters, random: Random, prices: tuple[int, ...]) -> Iterator[Action]:
    """Yield what opens a vault for most people."""
    for who in (get_account(role) for role in (*COALITION, *HONEST)[1:]):
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
