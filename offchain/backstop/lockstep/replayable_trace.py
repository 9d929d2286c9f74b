"""A trace: the steps of a sequence, each at its time, and their form in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from backstop.files.atomic_files import encode_json_integer
from backstop.hosts.abi_codec import Parameter
from backstop.hosts.contract_creation import Creation
from backstop.hosts.world_storage_json import RawState
from backstop.system import Action

if TYPE_CHECKING:
    from backstop.hosts.artifacts import ArtifactSource


class TraceStep(NamedTuple):
    """Step of a trace with its block time: an Action, a Creation, a RawState, or a user's step.

    `blocks` counts the blocks produced since the start. It is None if each slot had a block, or if blocks do
    not count.
    """

    timestamp: int
    step: Any
    blocks: int | None = None


@dataclass(frozen=True)
class Trace:
    """Recorded sequence of steps on a fresh deployment; `reason` says why the trace was kept.

    The first `opening` steps belong to the deployment (funds, prices), not to the tested case.
    """

    steps: Sequence[TraceStep]
    started_at: int
    seed: int = 0
    reason: str = ""
    opening: int = 0


def encode_trace_step(step: TraceStep) -> dict[str, Any]:
    """Return a step of a trace as a JSON object."""
    what = step.step
    found: dict[str, Any] = {"timestamp": step.timestamp}
    if isinstance(what, Creation):
        found |= {"create": what.name, "kind": what.kind, "address": what.address}
        found["args"] = encode_json_value(what.args)
    elif isinstance(what, RawState):
        found |= {"state": what.words, "block_number": what.block_number}
    else:
        found |= {"contract": what.contract, "method": what.method}
        found |= {"args": encode_json_value(what.args), "sender": what.sender}
    return found if step.blocks is None else found | {"blocks": step.blocks}


def parse_trace_step(
    json_step: dict[str, Any], kinds_by_contract: dict[str, str], artifacts: ArtifactSource
) -> TraceStep:
    """Return a step of a trace from its JSON object, with types by the contracts' ABI.

    A creation adds its contract to `kinds_by_contract`.
    """
    timestamp, blocks = json_step["timestamp"], json_step.get("blocks")
    if "state" in json_step:
        return TraceStep(timestamp, RawState(json_step["state"], json_step.get("block_number", 1)), blocks)
    if "create" in json_step:
        kind = kinds_by_contract[json_step["create"]] = json_step["kind"]
        args = parse_arguments(artifacts[kind].contract_abi.constructor_inputs, json_step["args"])
        return TraceStep(timestamp, Creation(json_step["create"], kind, args, json_step["address"]), blocks)
    function = artifacts[kinds_by_contract[json_step["contract"]]].contract_abi.get_function(
        json_step["method"], len(json_step["args"])
    )
    args = parse_arguments(function.inputs, json_step["args"])
    action = Action(json_step["contract"], json_step["method"], args, json_step["sender"])
    return TraceStep(timestamp, action, blocks)


def encode_json_value(value: Any) -> Any:
    """Return an argument in JSON form: bytes as hex, integers beyond 64 bits as decimal text."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return encode_json_integer(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return [encode_json_value(item) for item in value]


def parse_arguments(inputs: Sequence[Parameter], values: Sequence[Any]) -> tuple[Any, ...]:
    """Return call arguments from their JSON form, with types by the ABI parameters."""
    return tuple(_parse_json_value(parameter, value) for parameter, value in zip(inputs, values, strict=True))


def _parse_json_value(parameter: Parameter, value: Any) -> Any:
    type_ = parameter.type
    if type_.endswith("]"):
        item = parameter._replace(type=type_[: type_.rindex("[")])
        return tuple(_parse_json_value(item, each) for each in value)
    if type_ == "tuple":
        return parse_arguments(parameter.components, value)
    if type_.startswith(("uint", "int")):
        return int(value)
    if type_.startswith("bytes"):
        return bytes.fromhex(value[2:])
    return value
