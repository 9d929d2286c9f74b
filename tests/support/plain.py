"""Deployments in which every figure can be worked out by hand: no fees and, unless asked for, no rewards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backstop.deployment.examples import standard
from backstop.deployment.parameters import CollateralParameters, Parameters, StageParameters
from tests.support.guards import opened
from tests.support.protocol import Protocol


def without_fees(rewards: bool = False, **changes: Any) -> Parameters:
    """The standard parameters without fees, with these changes."""

    def plain(each: CollateralParameters) -> CollateralParameters:
        auction = each.auction if rewards else replace(each.auction, tip=0, chip=0)
        return replace(each, stability_fee=0, auction=auction)

    parameters = standard()
    types = tuple(plain(each) for each in parameters.collateral_types)
    return replace(parameters, collateral_types=types, **changes)


def steady(new_protocol: Callable[..., Protocol], rewards: bool = False, **changes: Any) -> Protocol:
    """Such a protocol, with the usual prices."""
    return opened(new_protocol, without_fees(rewards, **changes))


def only(*stages: str) -> tuple[StageParameters, ...]:
    """These stages, in this order, without caps."""
    return tuple(StageParameters(name) for name in stages)
