"""A trace of the protocol: everything needed to run a sequence of steps again, as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.deployment.deployment_file import parameters_from_json, parameters_to_json
from backstop.deployment.model_and_chain_deployment import find_model_class
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_long_json
from backstop.files.old_names import load_rename_table
from backstop.lockstep.replayable_trace import Trace, TraceStep, encode_trace_step, parse_trace_step
from backstop.proof.properties.property_registry import CounterfactualSeed

if TYPE_CHECKING:
    from backstop.hosts.artifacts import Artifacts

SCHEMA_VERSION = 4
_OLD_NAMES = 3
"""The version whose contracts and methods have the names of before 0.2."""


@dataclass(frozen=True)
class ProtocolTrace(Trace):
    """Trace of steps on a new deployment with the given parameters."""

    parameters: Parameters = field(kw_only=True)
    # Whether promises that are not kept yet are asserted as well.
    promises: bool = field(default=False, kw_only=True)


def write_trace_json(trace: ProtocolTrace, path: Path) -> None:
    """Write a trace to a JSON file atomically."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "seed": trace.seed,
        "reason": trace.reason,
        "opening": trace.opening,
        "started_at": trace.started_at,
        "promises": trace.promises,
        "parameters": parameters_to_json(trace.parameters),
    }
    # A long run has many: as one text they would take more memory than the run.
    write_long_json(content, "steps", map(_step_to_json, trace.steps), path)


def read_trace(path: Path, artifacts: Artifacts) -> ProtocolTrace:
    """Return the trace in a JSON file.

    The contracts' ABI tells numbers, bytes and text apart. Names of version 3 are translated. Raises
    BackstopError if the file is malformed.
    """
    content = read_versioned_json(
        path, "trace", SCHEMA_VERSION, "check the path", "record it again", older_versions=(_OLD_NAMES,)
    )
    try:
        if content["schema_version"] == _OLD_NAMES:
            content = load_rename_table().translate_trace(content)
        parameters = parameters_from_json(content["parameters"])
        kinds = plan_deployment(parameters).contract_kinds
        steps = []
        for item in content["steps"]:
            steps.append(_parse_step(item, kinds, artifacts))
        return ProtocolTrace(
            steps,
            content["started_at"],
            content["seed"],
            content["reason"],
            content["opening"],
            parameters=parameters,
            promises=content.get("promises", False),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackstopError(f"{path} is not a valid trace ({error!r}): record it again") from None


def _step_to_json(step: TraceStep) -> dict[str, Any]:
    what = step.step
    if not isinstance(what, CounterfactualSeed):
        return encode_trace_step(step)
    found = {"timestamp": step.timestamp, "property": what.number, "seed": what.seed}
    return found if step.blocks is None else found | {"blocks": step.blocks}


def _parse_step(
    json_step: dict[str, Any], kinds_by_contract: dict[str, str], artifacts: Artifacts
) -> TraceStep:
    if "property" in json_step:
        seed = CounterfactualSeed(json_step["property"], json_step["seed"])
        return TraceStep(json_step["timestamp"], seed, json_step.get("blocks"))
    if "create" in json_step:
        find_model_class(json_step["kind"])
    return parse_trace_step(json_step, kinds_by_contract, artifacts)
