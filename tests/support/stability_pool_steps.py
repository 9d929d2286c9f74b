"""Steps for types with a stability pool that repays unsafe vaults."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import Parameters, StabilityPoolParameters
from backstop.model.arithmetic import WAD

WETH, WBTC = 0, 1
POOL = "StabilityPool.WETH"
ENTRY_DELAY = 3_600
TERMS = StabilityPoolParameters()


def build_pool_parameters(
    terms: StabilityPoolParameters = TERMS, contract: str = "StabilityPool", **changes: Any
) -> Parameters:
    """Return the standard deployment, its ether and bitcoin with a pool; ether without a fee."""
    parameters = build_standard_parameters()
    ether, bitcoin, *others = parameters.collateral_types
    ether = replace(ether, stability_pool=terms, stability_fee=0, **changes)
    types = ether, replace(bitcoin, stability_pool=terms), *others
    return replace(parameters, collateral_types=types, stability_pool_contract=contract)


def deploy_with_pool(new_protocol: Any, terms: StabilityPoolParameters = TERMS, **changes: Any) -> Any:
    """Deploy with prices, and let alice, bob and carol have stablecoin of a safe vault."""
    protocol = new_protocol(build_pool_parameters(terms, **changes), prices=True)
    protocol.borrow("whale", "WETH", 500 * WAD, 400_000 * WAD)
    for member in ("alice", "bob", "carol"):
        protocol.do("Stablecoin.transfer", member, 100_000 * WAD, sender="whale")
        protocol.do("Stablecoin.approve", POOL, 2**255, sender=member)
    return protocol


def deposit_coins(protocol: Any, member: str, amount: int, pool: str = POOL) -> None:
    """Put coins in and wait until they take part [wad]."""
    protocol.do(f"{pool}.deposit", amount, sender=member)
    protocol.advance(2 * ENTRY_DELAY)
    protocol.do(f"{pool}.admit", sender="stranger")


def liquidate_vaults(protocol: Any, *owners: str, pool: str = POOL, keeper: str = "keeper") -> int:
    """Offset unsafe vaults against the pool; how many [count]."""
    addresses = tuple(protocol.address(owner) for owner in owners)
    done: int = protocol.do(f"{pool}.liquidate", addresses, keeper, sender="stranger")
    return done
