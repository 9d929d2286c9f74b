"""A trace: everything needed to run a sequence of steps again, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from backstop.deployment.deployment_file import parameters_from_json, parameters_to_json
from backstop.deployment.model_and_chain_deployment import find_model_class
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.planned_contracts import Creation, plan_deployment
from backstop.errors import BackstopError
from backstop.files.atomic_files import encode_json_integer, read_versioned_json, write_long_json
from backstop.files.old_names import load_rename_table
from backstop.hosts.abi_codec import Parameter
from backstop.hosts.world_storage_json import RawState
from backstop.proof.properties.property_registry import CounterfactualSeed
from backstop.system import Action

if TYPE_CHECKING:
    from backstop.hosts.artifacts import Artifacts

SCHEMA_VERSION = 4
_OLD_NAMES = 3
"""The version whose contracts and methods have the names of before 0.2."""


class TraceStep(NamedTuple):
    """An action, a contract that is added, a question asked or a state loaded, and the block time of it.

    `blocks` is how many blocks had been produced since the start; None if each slot had one, or none counts.
    """

    timestamp: int
    step: Action | Creation | CounterfactualSeed | RawState
    blocks: int | None = None


@dataclass(frozen=True)
class Trace:
    """Steps on a fresh, configured deployment. `reason` says why it was kept.

    The first `opening` steps belong to the deployment (money, prices) rather than to what is looked at.
    """

    parameters: Parameters
    steps: Sequence[TraceStep]
    started_at: int
    seed: int = 0
    reason: str = ""
    opening: int = 0
    # Whether promises that are not kept yet are asserted as well.
    promises: bool = False


def write_trace_json(trace: Trace, path: Path) -> None:
    """Write the file at once or not at all."""
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


def read_trace(path: Path, artifacts: Artifacts) -> Trace:
    """Read a trace; the contracts' ABI tells numbers, bytes and text apart. Old names are translated."""
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
            steps.append(_parse_step_with_block(item, kinds, artifacts))
        return Trace(
            parameters,
            steps,
            content["started_at"],
            content["seed"],
            content["reason"],
            content["opening"],
            content.get("promises", False),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackstopError(f"{path} is not a whole trace ({error!r}): record it again") from None


def _step_to_json(step: TraceStep) -> dict[str, Any]:
    found = _encode_step_without_block(step)
    return found if step.blocks is None else found | {"blocks": step.blocks}


def _encode_step_without_block(step: TraceStep) -> dict[str, Any]:
    what = step.step
    if isinstance(what, Creation):
        return {
            "timestamp": step.timestamp,
            "create": what.name,
            "kind": what.kind,
            "address": what.address,
            "args": _to_json(what.args),
        }
    if isinstance(what, RawState):
        return {"timestamp": step.timestamp, "state": what.words, "block_number": what.block_number}
    if isinstance(what, CounterfactualSeed):
        return {"timestamp": step.timestamp, "property": what.number, "seed": what.seed}
    return {
        "timestamp": step.timestamp,
        "contract": what.contract,
        "method": what.method,
        "args": _to_json(what.args),
        "sender": what.sender,
    }


def _parse_step_with_block(
    json_step: dict[str, Any], kinds_by_contract: dict[str, str], artifacts: Artifacts
) -> TraceStep:
    return _parse_step_without_block(json_step, kinds_by_contract, artifacts)._replace(
        blocks=json_step.get("blocks")
    )


def _parse_step_without_block(
    json_step: dict[str, Any], kinds_by_contract: dict[str, str], artifacts: Artifacts
) -> TraceStep:
    if "create" in json_step:
        kind = json_step["kind"]
        find_model_class(kind)
        kinds_by_contract[json_step["create"]] = kind
        inputs = artifacts[kind].contract_abi.constructor_inputs
        args = _parse_arguments(inputs, json_step["args"])
        return TraceStep(
            json_step["timestamp"], Creation(json_step["create"], kind, args, json_step["address"])
        )
    if "state" in json_step:
        return TraceStep(
            json_step["timestamp"], RawState(json_step["state"], json_step.get("block_number", 1))
        )
    if "property" in json_step:
        return TraceStep(json_step["timestamp"], CounterfactualSeed(json_step["property"], json_step["seed"]))
    function = artifacts[kinds_by_contract[json_step["contract"]]].contract_abi.get_function(
        json_step["method"], len(json_step["args"])
    )
    args = _parse_arguments(function.inputs, json_step["args"])
    return TraceStep(
        json_step["timestamp"], Action(json_step["contract"], json_step["method"], args, json_step["sender"])
    )


def _to_json(value: Any) -> Any:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return encode_json_integer(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return [_to_json(item) for item in value]


def _parse_arguments(inputs: Sequence[Parameter], values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(_from_json(parameter, value) for parameter, value in zip(inputs, values, strict=True))


def _from_json(parameter: Parameter, value: Any) -> Any:
    type_ = parameter.type
    if type_.endswith("]"):
        item = parameter._replace(type=type_[: type_.rindex("[")])
        return tuple(_from_json(item, each) for each in value)
    if type_ == "tuple":
        return _parse_arguments(parameter.components, value)
    if type_.startswith(("uint", "int")):
        return int(value)
    if type_.startswith("bytes"):
        return bytes.fromhex(value[2:])
    return value
