"""The contracts of a deployment, in creation order, with their addresses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from backstop.deployment.constructor_arguments import (
    build_adapter_arguments,
    build_constructor_arguments,
    build_timelock_arguments,
)
from backstop.deployment.contracts_by_parameter_name import (
    MARGIN_POLICIES,
    NAIVE,
    POOLS,
    STAGES,
    list_pools,
    map_margin_contract_kinds,
    map_stability_pool_shares,
    name_stability_pool,
)
from backstop.deployment.parameter_dataclasses import FacilitatorParameters, Parameters
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.files.installation import __version__
from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.contract_creation import Creation
from backstop.hosts.host_interface import CHAIN_ID
from backstop.model import bounds


@dataclass(frozen=True)
class Deployment:
    """Planned contracts in creation order, with addresses, arguments and configuration.

    `block` is the last block before the contracts. `genesis` is the hash of the chain's block 0, or "" for a
    host in this process.
    """

    parameters: Parameters
    creations: tuple[Creation, ...]
    deployer: str
    first_nonce: int = 0
    chain_id: int = CHAIN_ID
    block: int = 0
    genesis: str = ""
    accounts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    unsafe: tuple[str, ...] = ()  # rules of settings that it breaks, because somebody said so
    version: str = __version__  # of the package that deployed it

    def get_account(self, role: str) -> str:
        """Return the address of a role: the deployment's own account, or the default account of the role."""
        return self.accounts.get(role) or get_account(role)

    @property
    def addresses(self) -> dict[str, str]:
        """Address of each contract, by its name in the deployment."""
        return {creation.name: creation.address for creation in self.creations}

    @property
    def contract_kinds(self) -> dict[str, str]:
        """Kind (name of the Vyper file) of each contract, by its name in the deployment."""
        return {creation.name: creation.kind for creation in self.creations}


def plan_deployment(
    parameters: Parameters,
    first_nonce: int = 0,
    chain_id: int = CHAIN_ID,
    accounts: Mapping[str, str] | None = None,
) -> Deployment:
    """Return the planned contracts of a deployment with their addresses and constructor arguments.

    `accounts` overrides the default addresses of roles. Raises BackstopError for parameters that contradict
    each other.
    """
    accounts = dict(accounts or {})
    admin, taker, market_maker = (
        accounts.get(role) or get_account(role) for role in ("admin", "taker", "market_maker")
    )
    kinds = _map_contract_kinds(parameters)
    at = {name: compute_contract_address(admin, first_nonce + i) for i, name in enumerate(kinds)}
    args = build_constructor_arguments(parameters, at, admin, taker, market_maker)
    args |= build_adapter_arguments(parameters, at, lambda role: accounts.get(role) or get_account(role))
    if parameters.timelock is not None:
        governor, guardian = (
            accounts.get("governor") or admin,
            accounts.get("guardian") or get_account("guardian"),
        )
        args["Timelock"] = build_timelock_arguments(parameters, at, governor, guardian)
    creations = tuple(Creation(name, kind, args[name], at[name]) for name, kind in kinds.items())
    return Deployment(parameters, creations, admin, first_nonce, chain_id, accounts=accounts)


def _map_contract_kinds(parameters: Parameters) -> dict[str, str]:
    """Return the name and kind of every contract, in creation order."""
    kinds = {
        "Stablecoin": "Stablecoin",
        "VaultEngine": "VaultEngine",
        "PriceFeed": "PriceFeed",
        "LiquidationEngine": "LiquidationEngine",
        "CollateralAuction": "CollateralAuction",
        "LossWaterfall": _check_contract_substitute("LossWaterfall", parameters.waterfall_contract),
        "Settlement": "Settlement",
    }
    for stage in parameters.stages:
        if stage.name not in STAGES:
            raise BackstopError(f"stage {stage.name} is unknown; expected one of {', '.join(STAGES)}")
        kinds[STAGES[stage.name].contract] = STAGES[stage.name].kind
    kinds |= _map_pool_and_equity_contract_kinds(parameters)
    kinds["FlashTaker"] = "FlashTaker"
    for collateral in parameters.collateral_types:
        if collateral.symbol in kinds:
            raise BackstopError(f"the name {collateral.symbol} is taken: give each collateral type its own")
        kinds[collateral.symbol] = collateral.token
    for collateral in parameters.collateral_types:
        if collateral.market is not None:
            kinds[f"Market.{collateral.symbol}"] = "ConstantProductMarket"
    kinds |= _map_guard_contract_kinds(parameters)
    for facilitator in parameters.facilitators:
        if facilitator.name in kinds:
            raise BackstopError(f"the name {facilitator.name} is taken: give each facilitator its own")
        kinds[facilitator.name] = "BridgeFacilitator"
        if facilitator.coin:
            kinds |= _map_adapter_contract_kinds(parameters, facilitator, kinds)
    kinds |= _list_margin_contracts(parameters)
    if parameters.has_discount:
        kinds["FixedDiscount"] = _check_contract_substitute("FixedDiscount", parameters.discount_contract)
    for collateral in parameters.collateral_types:
        if collateral.stability_pool is not None:
            if collateral.discount is not None:
                raise BackstopError(
                    f"{collateral.symbol} has a discount and a stability pool: leave one of them out"
                )
            kind = _check_contract_substitute("StabilityPool", parameters.stability_pool_contract)
            kinds[name_stability_pool(collateral.symbol)] = kind
    if len(parameters.collateral_types) + len(parameters.facilitators) > bounds.MAX_COLLATERAL_TYPES:
        raise BackstopError(f"there are more than {bounds.MAX_COLLATERAL_TYPES} types, facilitators included")
    # The last: what is there already stays where it would be without.
    return kinds if parameters.timelock is None else kinds | {"Timelock": "Timelock"}


def _map_adapter_contract_kinds(
    parameters: Parameters, facilitator: FacilitatorParameters, taken: Mapping[str, str]
) -> dict[str, str]:
    """Return the names and kinds of another protocol's coin and its adapter.

    Raises BackstopError if stablecoin is drawn for anything else. All stablecoin must be backed by that coin,
    since otherwise not all holders could exchange it.
    """
    if parameters.collateral_types or len(parameters.facilitators) > 1 or parameters.margin is not None:
        raise BackstopError(
            f"a deployment for {facilitator.coin} draws stablecoin for nothing else: leave out collateral "
            "types, margin markets and other facilitators"
        )
    if facilitator.coin in taken:
        raise BackstopError(f"the name {facilitator.coin} is taken: give the coin its own")
    return {facilitator.coin: "Token", facilitator.adapter: "CoinAdapter"}


def _map_pool_and_equity_contract_kinds(parameters: Parameters) -> dict[str, str]:
    """Return the names and kinds of pools, claims, equity and treasury."""
    kinds = {
        POOLS[name][0]: _check_contract_substitute("Pool", getattr(parameters, name).contract)
        for name in list_pools(parameters)
    }
    if parameters.equity is not None:
        kinds |= {f"{POOLS[name][0]}.Claims": "RecoveryClaims" for name in list_pools(parameters)}
        kinds |= {"Equity": "Equity", "SurplusAuction": "SurplusAuction", "Treasury": "Treasury"}
        if parameters.has_stage("staked_equity"):
            kinds["StakedEquity"] = "EquityPool"
    elif map_stability_pool_shares(parameters):
        raise BackstopError("a stability pool's share of income needs the parameters of equity")
    elif parameters.has_stage("staked_equity") or parameters.has_stage("minted_equity"):
        raise BackstopError("stages of equity need the parameters of equity")
    return kinds


def _check_contract_substitute(standard_kind: str, chosen_kind: str) -> str:
    """Return the chosen kind if it may replace the standard kind; raise BackstopError otherwise."""
    if chosen_kind != standard_kind and NAIVE.get(chosen_kind) != standard_kind:
        known = ", ".join(
            [standard_kind, *(naive for naive, instead_of in NAIVE.items() if instead_of == standard_kind)]
        )
        raise BackstopError(f"{chosen_kind} cannot replace {standard_kind}; expected one of {known}")
    return chosen_kind


def _map_guard_contract_kinds(parameters: Parameters) -> dict[str, str]:
    """Return the names and kinds of the guards that the parameters switch on."""
    guards = parameters.guards
    if guards is None:
        return {}
    if len(guards.ceilings) > len(parameters.collateral_types):
        raise BackstopError("there are more automatic ceilings than collateral types")
    if len(guards.workouts) > len(parameters.collateral_types):
        raise BackstopError("there are more terms of workouts than collateral types")
    if guards.workouts and guards.breaker is None:
        raise BackstopError("workouts need a breaker: vaults enter in caution")
    kinds = {"RiskPolicy": "RiskPolicy"}
    if guards.ceilings:
        kinds["AutoCeiling"] = "AutoCeiling"
    if guards.breaker is not None:
        kinds["CircuitBreaker"] = "CircuitBreaker"
    if guards.workouts:
        kinds["Workouts"] = "Workouts"
    return kinds


def _list_margin_contracts(parameters: Parameters) -> dict[str, str]:
    """Return the names and kinds of the perpetual markets' contracts; empty without markets."""
    margin = parameters.margin
    if margin is None:
        return {}
    if margin.facilitator and margin.facilitator not in [
        facilitator.name for facilitator in parameters.facilitators
    ]:
        raise BackstopError(
            f"facilitator {margin.facilitator} of the margin market is unknown; expected a known one"
        )
    symbols = [collateral.symbol for collateral in parameters.collateral_types]
    for market in margin.markets:
        if market.symbol not in symbols:
            raise BackstopError(
                f"perpetual market {market.symbol}: no such collateral type; expected one, for its price"
            )
    if margin.policy not in MARGIN_POLICIES:
        known = ", ".join(MARGIN_POLICIES)
        raise BackstopError(
            f"policy {margin.policy} of the margin market is unknown; expected one of {known}"
        )
    return map_margin_contract_kinds(margin)
