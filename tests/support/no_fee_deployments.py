"""Deployments in which every figure can be worked out by hand: no fees and, unless asked for, no rewards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import CollateralParameters, Parameters, StageParameters
from backstop.proof.local_protocol import LocalProtocol
from tests.support.guard_steps import deploy_with_prices


def build_parameters_without_fees(keeps_rewards: bool = False, **changes: Any) -> Parameters:
    """The standard parameters without fees, with these changes."""

    def plain(each: CollateralParameters) -> CollateralParameters:
        auction = each.auction if keeps_rewards else replace(each.auction, tip=0, chip=0)
        return replace(each, stability_fee=0, auction=auction)

    parameters = build_standard_parameters()
    types = tuple(plain(each) for each in parameters.collateral_types)
    return replace(parameters, collateral_types=types, **changes)


def deploy_without_fees(
    new_protocol: Callable[..., LocalProtocol], keeps_rewards: bool = False, **changes: Any
) -> LocalProtocol:
    """Such a protocol, with the usual prices."""
    return deploy_with_prices(new_protocol, build_parameters_without_fees(keeps_rewards, **changes))


def build_uncapped_stages(*stages: str) -> tuple[StageParameters, ...]:
    """These stages, in this order, without caps."""
    return tuple(StageParameters(name) for name in stages)
