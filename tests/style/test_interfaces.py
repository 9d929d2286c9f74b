"""Interfaces between contracts of the model equal those in contracts/interfaces."""

import inspect
import re
from pathlib import Path
from typing import get_type_hints

import pytest

from backstop.deployment.model_and_chain_deployment import find_model_class
from backstop.model import interfaces
from tests.support.checkout_paths import ROOT

CONTRACTS = ROOT / "contracts"
INTERFACES = {path.stem: path for path in sorted((CONTRACTS / "interfaces").glob("*.vyi"))}
IMPLEMENTED = [
    (path.stem, interface)
    for path in sorted(CONTRACTS.glob("**/*.vy"))
    for interface in re.findall(r"^implements: (\w+)$", path.read_text(), re.M)
    if interface in INTERFACES
]
TYPES = {"address": "str", "bool": "bool"}


def python_type(vyper: str) -> str:
    """The type that stands for one of Vyper's; structs keep their names."""
    vyper = vyper.strip()
    if vyper.startswith("("):
        return f"tuple[{', '.join(map(python_type, apart(vyper[1:-1])))}]"
    if several := re.fullmatch(r"DynArray\[(\w+), \d+\]|(u?int\d+)\[\d+\]", vyper):
        return f"tuple[{python_type(several[1] or several[2])}, ...]"
    if elsewhere := re.fullmatch(r"I[A-Z]\w+\.(\w+)", vyper):
        return elsewhere[1]
    if re.fullmatch(r"u?int\d+", vyper):
        return "int"
    if re.fullmatch(r"I[A-Z]\w+", vyper):
        return "str"  # a contract is its address
    return "bytes" if vyper.startswith("Bytes[") else TYPES.get(vyper, vyper)


def apart(listed: str) -> list[str]:
    """The entries of a list, some of which have brackets with commas."""
    return re.split(r",(?![^\[]*\])", listed)


def declared(path: Path) -> dict[str, tuple[list[str], str]]:
    """Return function name -> parameters with their types, and the return type."""
    found = {}
    for name, inside, returned in re.findall(
        r"^def (\w+)\((.*?)\)(?: -> (.+?))?:$", path.read_text(), re.M | re.S
    ):
        pairs = [pair.split(":") for pair in apart(inside) if pair.strip()]
        parameters = [f"{name.strip()}: {python_type(kind)}" for name, kind in pairs]
        found[name] = (["sender: str", *parameters], python_type(returned) if returned else "None")
    return found


def methods(protocol: type) -> dict[str, tuple[list[str], str]]:
    return {
        name: (
            [f"{p.name}: {p.annotation}" for p in list(signature.parameters.values())[1:]],
            signature.return_annotation,
        )
        for name, function in vars(protocol).items()
        if inspect.isfunction(function) and not name.startswith("_")
        for signature in [inspect.signature(function)]
    }


@pytest.mark.parametrize("name", INTERFACES)
def test_a_protocol_has_the_functions_of_its_interface(name):
    assert methods(getattr(interfaces, name)) == declared(INTERFACES[name])


def test_there_is_no_other_protocol():
    protocols = {
        name
        for name, found in vars(interfaces).items()
        if inspect.isclass(found) and getattr(found, "_is_protocol", False) and found.__module__ != "typing"
    }
    assert protocols == {*INTERFACES, "IERC20"}


@pytest.mark.parametrize(("kind", "interface"), IMPLEMENTED)
def test_a_contract_has_the_functions_of_what_it_implements(kind, interface):
    model = find_model_class(kind)
    for name, (parameters, _) in methods(getattr(interfaces, interface)).items():
        function = getattr(model, name)
        found = list(inspect.signature(function).parameters)[1:]
        assert found == [parameter.split(":")[0] for parameter in parameters], f"{kind}.{name}"
        hinted = get_type_hints(getattr(getattr(interfaces, interface), name))
        assert get_type_hints(function) == hinted, f"{kind}.{name}"


@pytest.mark.parametrize("name", INTERFACES)
def test_a_struct_has_the_fields_of_its_interface(name):
    for struct, body in re.findall(r"^struct (\w+):\n((?:    .*\n)+)", INTERFACES[name].read_text(), re.M):
        fields = re.findall(r"^    (\w+):", body, re.M)
        assert list(getattr(interfaces, struct)._fields) == fields, struct
