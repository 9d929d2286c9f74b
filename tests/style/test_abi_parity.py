"""The model has the contracts' faces: every function with its parameters, every event with its fields."""

import ast
import inspect
from pathlib import Path

import pytest

from backstop.deployment.model_and_chain_deployment import find_model_class
from backstop.hosts.artifacts import Artifacts
from tests.support.checkout_paths import ROOT

FOLDERS = ("", "devnet", "naive")
KINDS = sorted(path.stem for folder in FOLDERS for path in (ROOT / "contracts" / folder).glob("*.vy"))


@pytest.fixture(scope="session")
def artifacts():
    found = Artifacts()
    found.load(KINDS)
    return found


def emitted(model: type) -> dict[str, set[int]]:
    """Event name -> the numbers of values it is emitted with, in the model and its bases."""
    found: dict[str, set[int]] = {}
    for base in model.__mro__[:-1]:
        for node in ast.walk(ast.parse(Path(inspect.getfile(base)).read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "emit"
            ):
                name, *values = node.args
                starred = any(isinstance(each, ast.Starred) for each in values)
                if isinstance(name, ast.Constant) and not starred:
                    found.setdefault(str(name.value), set()).add(len(values))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_functions_and_parameters(kind, artifacts):
    model = find_model_class(kind)
    for function in artifacts[kind].abi_json:
        if function["type"] != "function":
            continue
        method = getattr(model, function["name"], None)
        assert method is not None, f"{kind}.{function['name']} has no model"
        assert "abi" in method.__dict__, f"{kind}.{function['name']} is not marked as external or view"
        signature = inspect.signature(method).parameters
        parameters = list(signature)[2:]
        expected = [item["name"].rstrip("_") for item in function["inputs"]]
        if "arg0" not in expected:  # the compiler names the keys of a mapping's getter so
            # What a shorter form of the function leaves out is not needed.
            names = [name.rstrip("_") for name in parameters[: len(expected)]]
            assert names == expected, f"{kind}.{function['name']}"
            left = [signature[name].default for name in parameters[len(expected) :]]
            assert inspect.Parameter.empty not in left, f"{kind}.{function['name']}"
        else:
            assert len(parameters) == len(expected)
        is_view = function["stateMutability"] in ("view", "pure")
        assert (method.__dict__["abi"] == "view") == is_view, f"{kind}.{function['name']}"


@pytest.mark.parametrize("kind", KINDS)
def test_events_and_fields(kind, artifacts):
    emits = emitted(find_model_class(kind))
    for event in artifacts[kind].abi_json:
        if event["type"] == "event" and event["name"] in emits:
            assert emits[event["name"]] == {len(event["inputs"])}, f"{kind}: {event['name']}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_has_no_other_external_functions(kind, artifacts):
    abi = {item["name"] for item in artifacts[kind].abi_json if item["type"] == "function"}
    model = find_model_class(kind)
    marked = {name for name in dir(model) if "abi" in getattr(getattr(model, name), "__dict__", {})}
    assert marked <= abi


@pytest.mark.parametrize("kind", KINDS)
def test_every_contract_fits(kind, artifacts):
    # What is new has room for a mended rule; the older ones have what is left to them.
    room = 1_000 if kind.startswith(("Perpetual", "Margin")) else 0
    assert artifacts[kind].deployed_size + room <= 24_576
