"""The calls that the admin makes once, right after the contracts were created."""

from __future__ import annotations

import dataclasses
from typing import Any

from backstop.deployment.contracts_by_parameter_name import (
    ADMINISTERED,
    NAIVE,
    POOLS,
    STAGES,
    list_facilitators_with_type_ids,
    list_pools,
    map_stability_pool_shares,
    name_stability_pool,
)
from backstop.deployment.parameter_dataclasses import (
    EquityParameters,
    FacilitatorParameters,
    FeedParameters,
    GuardsParameters,
    MarginParameters,
    PolicyParameters,
)
from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, WAD
from backstop.model.perpetual_liquidity_vault import KEEPER
from backstop.model.roles import CEILINGS, GUARDIAN, MINTER, SETTLEMENT, SHORTFALL, STAGE
from backstop.system import Action, System


def build_stage_terms(deployment: Deployment) -> tuple[tuple[Any, ...], ...]:
    """Return the stages of the loss waterfall and their caps, as arguments of LossWaterfall.set_stages."""
    terms = []
    for stage in deployment.parameters.stages:
        contract, _, *kind = STAGES[stage.name]
        cap = MAX_UINT256 if stage.cap_absolute is None else stage.cap_absolute
        terms.append((deployment.addresses[contract], *kind, cap, stage.cap_bps))
    return tuple(terms)


def build_configuration_calls(deployment: Deployment) -> list[Action]:
    """Return the admin's configuration calls in order, to run right after the last contract is created."""
    parameters, at = deployment.parameters, deployment.addresses
    actions: list[Action] = []

    def admin(contract: str, method: str, *args: Any) -> None:
        actions.append(Action(contract, method, args, deployment.deployer))

    admin("VaultEngine", "set_global_debt_ceiling", parameters.global_debt_ceiling)
    admin("VaultEngine", "set_global_auction_limit", parameters.global_auction_limit)
    admin("PriceFeed", "grant_role", SETTLEMENT, at["Settlement"])
    if any(collateral.feed.guarded for collateral in parameters.collateral_types):
        admin("PriceFeed", "grant_role", GUARDIAN, deployment.get_account("guardian"))
    for c, collateral in enumerate(parameters.collateral_types):
        # Listing moves one whole token in and out again.
        admin(collateral.symbol, "mint", deployment.deployer, 10**collateral.decimals)
        admin(collateral.symbol, "approve", at["VaultEngine"], 10**collateral.decimals)
        admin(
            "VaultEngine",
            "add_collateral_type",
            at[collateral.symbol],
            collateral.liquidation_ratio,
            collateral.initial_ratio,
        )
        actions += _build_feed_market_setup_calls(deployment, c, collateral.feed)
        admin("CollateralAuction", "add_terms", c, *dataclasses.astuple(collateral.auction))
        if collateral.discount is not None:
            admin("FixedDiscount", "set_terms", c, dataclasses.astuple(collateral.discount))
            admin("LiquidationEngine", "set_mechanism", c, at["FixedDiscount"])
        if collateral.stability_pool is not None:
            pool = at[name_stability_pool(collateral.symbol)]
            admin("LiquidationEngine", "set_mechanism", c, pool)
        # After the terms: the smallest auction follows from the floor and the penalty.
        admin("VaultEngine", "set_debt_floor", c, collateral.debt_floor)
        admin("VaultEngine", "set_debt_ceiling", c, collateral.debt_ceiling)
        admin("VaultEngine", "set_auction_limit", c, collateral.auction_limit)
        admin("VaultEngine", "set_stability_fee", c, collateral.stability_fee)
        admin("VaultEngine", "set_buffer_share", c, collateral.buffer_share)
        admin("VaultEngine", "set_redistribution_cap", c, collateral.redistribution_cap)
    for c, facilitator in list_facilitators_with_type_ids(parameters):
        actions += _build_facilitator_calls(deployment, c, facilitator)
    stages = {STAGES[stage.name].contract for stage in parameters.stages}
    pools = {POOLS[name][0] for name in list_pools(parameters)} if "ClawbackStage" in stages else set()
    for name in sorted(stages | pools):
        admin("VaultEngine", "grant_role", STAGE, at[name])
    if parameters.equity is not None:
        actions += _build_equity_calls(deployment, parameters.equity)
    admin("LossWaterfall", "set_stages", build_stage_terms(deployment))
    if parameters.guards is not None:
        actions += _build_guard_calls(deployment, parameters.guards)
    if parameters.margin is not None:
        actions += _build_margin_calls(deployment, parameters.margin)
    if parameters.timelock is not None:
        actions += _build_admin_transfer_calls(deployment)
    return actions


def _build_admin_transfer_calls(deployment: Deployment) -> list[Action]:
    """Return the calls that make the timelock the admin of every contract that has an admin."""
    actions: list[Action] = []
    for creation in deployment.creations:
        if NAIVE.get(creation.kind, creation.kind) in ADMINISTERED:
            timelock = deployment.addresses["Timelock"]
            actions.append(Action(creation.name, "transfer_admin", (timelock,), deployment.deployer))
            actions.append(Action("Timelock", "accept_admin", (creation.address,), deployment.deployer))
    return actions


def _build_feed_market_setup_calls(
    deployment: Deployment, market_id: int, feed_parameters: FeedParameters
) -> list[Action]:
    """Return the calls that open a market of the price feed and set its guards, if any are on."""
    reporters = tuple(deployment.get_account(f"reporter_{i + 1}") for i in range(feed_parameters.reporters))
    times = feed_parameters.step, feed_parameters.max_age, feed_parameters.stale_after, feed_parameters.window
    guards = (
        feed_parameters.deviation,
        feed_parameters.confirmations,
        feed_parameters.grace,
        feed_parameters.dead_after,
    )
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("set_market", (market_id, reporters, feed_parameters.quorum, *times))
    ]
    if feed_parameters.guarded or feed_parameters.dead_after:
        calls.append(("set_guards", (market_id, *guards)))
    return [Action("PriceFeed", method, args, deployment.deployer) for method, args in calls]


def _build_equity_calls(deployment: Deployment, equity: EquityParameters) -> list[Action]:
    """Return the calls that set up the treasury, the minters of equity, and the equity's price market."""
    parameters, at = deployment.parameters, deployment.addresses
    shares = (
        *(getattr(parameters, name).income_share for name in list_pools(parameters)),
        *map_stability_pool_shares(parameters).values(),
    )
    minters = []
    if equity.conversion_price:
        minters = [f"{POOLS[name][0]}.Claims" for name in list_pools(parameters)]
    calls: list[tuple[str, str, tuple[Any, ...]]] = [
        ("Treasury", "set_target", (parameters.treasury.target,)),
        ("Treasury", "set_shares", (shares,)),
        *(("Equity", "grant_role", (MINTER, at[name])) for name in minters),
    ]
    return [
        *_build_feed_market_setup_calls(deployment, bounds.EQUITY_MARKET, equity.feed),
        *(Action(contract, method, args, deployment.deployer) for contract, method, args in calls),
    ]


def _build_facilitator_calls(
    deployment: Deployment, collateral_type: int, facilitator: FacilitatorParameters
) -> list[Action]:
    """Return the calls that list a facilitator's token and set its credit line, roles and flow limit."""
    name, at = facilitator.name, deployment.addresses
    calls: list[tuple[str, str, tuple[Any, ...]]] = [
        # Listing moves the one note that there is; opening burns it.
        (name, "approve", (at["VaultEngine"], WAD)),
        ("VaultEngine", "add_collateral_type", (at[name], BASIS_POINTS, BASIS_POINTS)),
        ("PriceFeed", "set_issuer", (collateral_type, at[name])),
        (name, "open", ()),
        ("VaultEngine", "set_debt_ceiling", (collateral_type, facilitator.line)),
        ("VaultEngine", "grant_role", (STAGE, at[name])),
        (
            name,
            "grant_role",
            (MINTER, at.get(facilitator.adapter) or deployment.get_account(facilitator.minter)),
        ),
        (name, "grant_role", (GUARDIAN, deployment.get_account("guardian"))),
    ]
    if facilitator.coin:
        calls.append((name, "grant_role", (GUARDIAN, at[facilitator.adapter])))
    if deployment.parameters.guards is not None and facilitator.flow_cap:
        calls.append(
            ("RiskPolicy", "set_flow_limit", (collateral_type, facilitator.flow_cap, facilitator.flow_window))
        )
    return [Action(contract, method, args, deployment.deployer) for contract, method, args in calls]


def _build_margin_calls(deployment: Deployment, margin: MarginParameters) -> list[Action]:
    """Return the calls that set up perpetual markets: insurance, final prices, markets and roles."""
    symbols = [collateral.symbol for collateral in deployment.parameters.collateral_types]
    calls: list[tuple[str, str, tuple[Any, ...]]] = [
        ("MarginFund", "set_cap", (margin.cap,)),
        # Whoever delists a market plans its final price.
        ("PriceFeed", "grant_role", (SETTLEMENT, deployment.addresses["MarginPolicy"])),
    ]
    for market in margin.markets:
        symbol, lot, *terms = dataclasses.astuple(market)
        calls.append(("MarginPolicy", "add_market", (symbols.index(symbol), lot, tuple(terms))))
    if deployment.parameters.equity is not None and margin.income_share:
        calls.append(("Treasury", "set_insurance", (margin.income_share, margin.insurance_target)))
    if margin.backstop is not None:
        pool, keeper = "PerpetualLiquidityVault", deployment.get_account("backstop_keeper")
        calls.append((pool, "grant_role", (KEEPER, keeper)))
        calls += [(pool, "set_limit", (m, margin.backstop.limit)) for m in range(len(margin.markets))]
    if margin.facilitator:
        bearer = deployment.addresses["MarginFund"]
        calls.append((margin.facilitator, "grant_role", (SHORTFALL, bearer)))
    return [Action(contract, method, args, deployment.deployer) for contract, method, args in calls]


def _build_guard_calls(deployment: Deployment, guards: GuardsParameters) -> list[Action]:
    """Return the calls that set the guards, and each type's risk policy where it is on."""
    calls: list[tuple[str, str, tuple[Any, ...]]] = [
        ("RiskPolicy", "set_effects", (guards.caution_margin, guards.emergency_factor)),
    ]
    if guards.ceilings:
        calls.append(("VaultEngine", "grant_role", (CEILINGS, deployment.addresses["AutoCeiling"])))
    for c, ceiling in enumerate(guards.ceilings):
        calls.append(("AutoCeiling", "set_terms", (c, *dataclasses.astuple(ceiling))))
    if guards.breaker is not None:
        *triggers, calm_period = dataclasses.astuple(guards.breaker)
        calls += [
            ("CircuitBreaker", "grant_role", (GUARDIAN, deployment.get_account("guardian"))),
            ("CircuitBreaker", "set_triggers", tuple(triggers)),
            ("CircuitBreaker", "set_calm_period", (calm_period,)),
        ]
    for c, workouts in enumerate(guards.workouts):
        calls.append(("Workouts", "set_terms", (c, *dataclasses.astuple(workouts))))
    for c, collateral in enumerate(deployment.parameters.collateral_types):
        policy, off = collateral.policy, PolicyParameters()
        if (policy.of_vaults, policy.of_type) != (off.of_vaults, off.of_type):
            calls.append(("RiskPolicy", "set_brackets", (c, policy.of_vaults, policy.of_type)))
        if policy.flow_cap:
            calls.append(("RiskPolicy", "set_flow_limit", (c, policy.flow_cap, policy.flow_window)))
        if policy.growth_anchor:
            calls.append(("RiskPolicy", "set_growth_cap", (c, policy.growth_anchor, policy.growth)))
        if policy.curve[3]:
            calls.append(("RiskPolicy", "set_fee_curve", (c, policy.curve, policy.line, policy.speed)))
            calls.append(("VaultEngine", "set_fee_dynamic", (c, True)))
        if policy.call_ratio:
            terms = policy.call_ratio, policy.call_grace, policy.call_valid
            calls.append(("RiskPolicy", "set_call_terms", (c, *terms)))
    return [Action(contract, method, args, deployment.deployer) for contract, method, args in calls]


def apply_configuration(system: System, deployment: Deployment) -> None:
    """Run all configuration calls on a system; raise BackstopError for the first call that reverts."""
    for action in build_configuration_calls(deployment):
        reason = system.apply(action).reason
        if reason is not None:
            raise BackstopError(
                f"the parameters do not fit: {action.contract}.{action.method}{action.args} "
                f"reverted with {reason!r}"
            )
