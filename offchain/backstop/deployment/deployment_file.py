"""Parameters and deployments as JSON, and the deployment file."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.planned_contracts import Deployment, plan_deployment
from backstop.errors import BackstopError
from backstop.files.atomic_files import encode_json_integer, read_versioned_json, write_json
from backstop.files.installation import FIRST_VERSION, __version__

SCHEMA_VERSION = 9
_MEND = "deploy again; of one that is live see docs/how-to/recover.md, Upgrade"


class WrongChainError(BackstopError):
    """Error: the node is on another chain than the deployment."""


class DeploymentMismatchError(ValueError):
    """Error: a stored deployment differs from this program's plan for the same parameters."""


def parameters_to_json(parameters: Parameters) -> dict[str, Any]:
    """Return parameters as a JSON object; integers beyond 64 bits become strings."""
    plain = _to_json_value(dataclasses.asdict(parameters))
    assert isinstance(plain, dict)
    return plain


def parameters_from_json(value: Any) -> Parameters:
    """Return the parameters in a JSON object; raise ValueError that names an invalid field."""
    read: Parameters = _parse_json_value(Parameters, value, "parameters")
    return read


def deployment_to_json(deployment: Deployment) -> dict[str, Any]:
    """Return a deployment as the JSON object of a deployment file."""
    return {
        "schema_version": SCHEMA_VERSION,
        "version": deployment.version,
        "chain_id": deployment.chain_id,
        "genesis": deployment.genesis,
        "block": deployment.block,
        "deployer": deployment.deployer,
        "first_nonce": deployment.first_nonce,
        "accounts": dict(deployment.accounts),
        "unsafe": list(deployment.unsafe),
        "contracts": {
            creation.name: {
                "kind": creation.kind,
                "address": creation.address,
                "args": _to_json_value(creation.args),
            }
            for creation in deployment.creations
        },
        "parameters": parameters_to_json(deployment.parameters),
    }


def deployment_from_json(content: Mapping[str, Any]) -> Deployment:
    """Return the deployment in the JSON object of a deployment file.

    Raises DeploymentMismatchError if its contracts differ from the plan that this program makes for its
    parameters. A missing or invalid field raises KeyError, TypeError, ValueError or AttributeError.
    """
    parameters = parameters_from_json(content["parameters"])
    deployment = plan_deployment(parameters, content["first_nonce"], content["chain_id"], content["accounts"])
    written = {
        name: (contract["kind"], contract["address"], contract["args"])
        for name, contract in content["contracts"].items()
    }
    planned = {c.name: (c.kind, c.address, _to_json_value(c.args)) for c in deployment.creations}
    if planned != written or content["deployer"] != deployment.deployer:
        raise DeploymentMismatchError
    # Audits of before have no such field: they name their block by its hash.
    genesis = str(content.get("genesis", ""))
    # Files of before have no such field: nobody had asked.
    unsafe = tuple(str(name) for name in content.get("unsafe", ()))
    version = str(content.get("version", FIRST_VERSION))
    return dataclasses.replace(
        deployment, block=content["block"], genesis=genesis, unsafe=unsafe, version=version
    )


def write_deployment(deployment: Deployment, path: Path) -> None:
    """Write a deployment file atomically."""
    write_json(deployment_to_json(deployment), path)


def read_deployment(path: Path) -> Deployment:
    """Return the deployment in a file; raise BackstopError that names an invalid field."""
    content = read_versioned_json(path, "deployment file", SCHEMA_VERSION, "deploy first", _MEND)
    try:
        return deployment_from_json(content)
    except DeploymentMismatchError:
        raise BackstopError(
            f"{path} does not fit this program: Backstop {content.get('version', FIRST_VERSION)} wrote it, "
            f"this is {__version__}, or the file was changed; use that version, or deploy again"
        ) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackstopError(f"{path} is not a valid deployment file ({error!r}): deploy again") from None


def check_chain(deployment: Deployment, chain_id: int, genesis: str) -> None:
    """Raise WrongChainError if the node's chain id or block 0 differs from the deployment's."""
    if chain_id != deployment.chain_id:
        there, here = f"chain {deployment.chain_id}", f"chain {chain_id}"
    elif genesis != deployment.genesis:
        there = f"a chain with block 0 {deployment.genesis or 'unknown'}"
        here = f"a chain with block 0 {genesis}"
    else:
        return
    raise WrongChainError(
        f"the deployment is on {there}, the node is on {here}: connect to the right node or deploy again"
    )


def _to_json_value(value: Any) -> Any:
    """Return a value in types that JSON supports."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return encode_json_integer(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Mapping):
        return {name: _to_json_value(item) for name, item in value.items()}
    return [_to_json_value(item) for item in value]


def _parse_json_value(annotated_type: Any, json_value: Any, place: str) -> Any:
    """Return a JSON value converted to an annotated type; raise ValueError that names its place."""
    origin = typing.get_origin(annotated_type)
    if origin in (types.UnionType, typing.Union):
        return (
            None
            if json_value is None
            else _parse_json_value(typing.get_args(annotated_type)[0], json_value, place)
        )
    if origin is tuple:
        if not isinstance(json_value, list):
            raise ValueError(f"{place} is not a list")
        item = typing.get_args(annotated_type)[0]
        return tuple(_parse_json_value(item, each, f"{place}[{i}]") for i, each in enumerate(json_value))
    if dataclasses.is_dataclass(annotated_type):
        if not isinstance(json_value, dict):
            raise ValueError(f"{place} is not an object")
        hints = typing.get_type_hints(annotated_type)
        record: Any = annotated_type
        meant = {
            each.name: each.metadata.get("before", each.default)
            for each in dataclasses.fields(annotated_type)
            if each.metadata.get("later")
        }
        if not hints.keys() - meant.keys() <= json_value.keys() <= hints.keys():
            raise ValueError(f"{place} has other fields: {sorted(json_value.keys() ^ hints.keys())}")
        found = {
            name: _parse_json_value(hints[name], json_value[name], f"{place}.{name}") for name in json_value
        }
        return record(**(meant | found))
    if annotated_type is int and isinstance(json_value, str):
        return int(json_value)
    if not isinstance(json_value, annotated_type) or isinstance(json_value, bool) is not (
        annotated_type is bool
    ):
        raise ValueError(f"{place} is not of type {annotated_type.__name__}")
    return json_value
