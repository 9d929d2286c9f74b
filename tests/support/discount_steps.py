"""Steps for types with sales of unsafe vaults at a fixed discount."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import DiscountParameters, Parameters
from backstop.model.arithmetic import MAX_UINT256, WAD

WETH, WBTC = 0, 1
NO_DATA = b""

TO_TARGET = DiscountParameters(
    base_bonus=400, max_bonus=800, full_bonus_health=9_000, target_health=11_000, fee=1_000
)
"""A bonus of 4 to 8% by health, of which a tenth is the protocol's; sales up to a health of 1.1."""


def build_discount_parameters(
    discount: DiscountParameters = TO_TARGET, contract: str = "FixedDiscount", **changes: Any
) -> Parameters:
    """Return the standard deployment, its ether and bitcoin sold at a discount; ether without a fee."""
    parameters = build_standard_parameters()
    ether, bitcoin, *others = parameters.collateral_types
    ether = replace(ether, discount=discount, stability_fee=0, **changes)
    types = ether, replace(bitcoin, discount=discount), *others
    return replace(parameters, collateral_types=types, discount_contract=contract)


def deploy_with_discount(new_protocol: Any, discount: DiscountParameters = TO_TARGET, **changes: Any) -> Any:
    """Deploy with prices, and let the buyer have stablecoin of a safe vault."""
    protocol = new_protocol(build_discount_parameters(discount, **changes), prices=True)
    protocol.borrow("whale", "WETH", 500 * WAD, 400_000 * WAD)
    protocol.do("Stablecoin.transfer", "buyer", 300_000 * WAD, sender="whale")
    return protocol


def buy_collateral(
    protocol: Any,
    owner: str = "borrower",
    max_repay: int = MAX_UINT256,
    max_collateral: int = MAX_UINT256,
    max_price: int = MAX_UINT256,
    collateral_type: int = WETH,
    buyer: str = "buyer",
) -> tuple[int, int]:
    """Liquidate a vault and buy its collateral; return the collateral and the payment [wad]."""
    amounts = max_collateral, max_repay, max_price
    result: tuple[int, int] = protocol.do(
        "LiquidationEngine.liquidate_and_buy",
        collateral_type,
        owner,
        *amounts,
        buyer,
        NO_DATA,
        sender=buyer,
    )
    return result
