"""Random settings: the fuzzer's, far from any real deployment, and neighbours of the examples."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Any, cast

from backstop.deployment.configuration_calls import apply_configuration
from backstop.deployment.example_parameters import (
    build_guarded_parameters,
    build_margin_parameters,
    build_standard_parameters,
)
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.errors import BackstopError
from backstop.proof.fuzz.parameter_generator import draw_parameters

# One setting in so many is the fuzzer's own.
WILD = 4
# Of a neighbour's parameters one in so many is the fuzzer's.
CHANGED = (200, 60, 20)
# What others name, or what goes together.
KEPT = frozenset({"symbol", "name", "facilitator", "token", "decimals", "minter"})


def draw_valid_parameters(random: Random) -> Parameters:
    """Draw random parameters that the contracts' setters accept."""
    while True:
        wild = draw_parameters(random)
        drawn = wild
        if random.randrange(WILD):
            base = random.choice(
                (build_standard_parameters, build_guarded_parameters, build_margin_parameters)
            )()
            drawn = _mix_parameters(base, wild, random, random.choice(CHANGED))
        if _is_accepted(drawn):
            return drawn


def _mix_parameters(base: Any, wild: Any, random: Random, one_in: int) -> Any:
    """Return `base` with a few parameters of `wild`, each with chance 1 in `one_in`.

    A field that either of them leaves out stays as in `base`.
    """
    if dataclasses.is_dataclass(base) and type(base) is type(wild):
        changes = {
            field.name: _mix_parameters(getattr(base, field.name), getattr(wild, field.name), random, one_in)
            for field in dataclasses.fields(base)
            if field.name not in KEPT
        }
        return dataclasses.replace(cast(Any, base), **changes)
    if isinstance(base, tuple) and base and dataclasses.is_dataclass(base[0]) and not _is_stage_order(base):
        others = [*wild, *base[len(wild) :]] if isinstance(wild, tuple) else base
        return tuple(
            _mix_parameters(own, other, random, one_in) for own, other in zip(base, others, strict=False)
        )
    return base if base is None or wild is None or random.randrange(one_in) else wild


def _is_stage_order(parameter_tuple: tuple[Any, ...]) -> bool:
    """Return whether a tuple is the order of losses, which is replaced only as a whole."""
    return hasattr(parameter_tuple[0], "cap_bps")


def _is_accepted(parameters: Parameters) -> bool:
    try:
        deployment = plan_deployment(parameters)
        apply_configuration(create_model(deployment), deployment)
    except BackstopError:
        return False
    return True
