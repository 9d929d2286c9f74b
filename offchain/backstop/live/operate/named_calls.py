"""Calls by name: `VaultEngine.set_debt_floor collateral_type=ETH new=500`, into call data and back."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import ACCOUNTS
from backstop.errors import BackstopError
from backstop.hosts.abi_codec import AbiDecodingError, Function, Parameter
from backstop.hosts.artifacts import Artifacts
from backstop.model.roles import CEILINGS, GUARDIAN, MINTER, SHORTFALL, STAGE
from backstop.model.timelock import Call

ROLES = {"CEILINGS": CEILINGS, "GUARDIAN": GUARDIAN, "MINTER": MINTER, "SHORTFALL": SHORTFALL, "STAGE": STAGE}


class NamedCalls:
    """Parser and formatter of contract calls by name: contracts, functions, arguments, symbols and roles."""

    def __init__(self, deployment: Deployment, artifacts: Artifacts) -> None:
        self._deployment = deployment
        self._artifacts = artifacts
        self._names = {address: name for name, address in deployment.addresses.items()}

    def parse_calls(self, words: Sequence[str]) -> list[Call]:
        """Return the calls (target, data) that command-line words name.

        Each call is `CONTRACT.FUNCTION` followed by its arguments as `NAME=VALUE`. Raise BackstopError if a
        name or a value is wrong.
        """
        parts: list[list[str]] = []
        for word in words:
            if "=" not in word:
                parts.append([word])
            elif parts:
                parts[-1].append(word)
            else:
                raise BackstopError(f"{word!r} comes before any function: begin with CONTRACT.FUNCTION")
        if not parts:
            raise BackstopError("say what to propose: CONTRACT.FUNCTION NAME=VALUE ...")
        return [self._parse_call(name, arguments) for name, *arguments in parts]

    def describe_call(self, call: Call) -> str:
        """Return a call as text: `Contract.function(name=value, ...)`.

        An unknown target is given as its address, and unknown data as hex.
        """
        target, data = call
        name = self._names.get(target)
        function = None if name is None else self._get_abi(name).by_selector.get(data[:4])
        try:
            arguments = None if function is None else function.decode_arguments(data)
        except AbiDecodingError:
            arguments = None
        if function is None or arguments is None:
            return f"{name or target} 0x{data.hex()}"
        values = zip(function.inputs, arguments, strict=True)
        return (
            f"{name}.{function.name}("
            f"{', '.join(f'{p.name}={self._format_value_with_names(p, v)}' for p, v in values)})"
        )

    def get_function_name(self, target: str, selector: bytes) -> str:
        """Return a function as `Contract.function`.

        An unknown contract is given as its address, and an unknown function as its selector in hex.
        """
        name = self._names.get(target)
        function = None if name is None else self._get_abi(name).by_selector.get(selector)
        return f"{name or target}.{'0x' + selector.hex() if function is None else function.name}"

    def _get_abi(self, name: str) -> Any:
        return self._artifacts[self._deployment.contract_kinds[name]].contract_abi

    def _parse_call(self, name: str, arguments: Sequence[str]) -> Call:
        contract, mark, method = name.rpartition(".")
        if not mark or contract not in self._deployment.addresses:
            meant = _suggest_name(contract, self._deployment.addresses)
            raise BackstopError(f"{name!r}: write CONTRACT.FUNCTION, of a contract here{meant}")
        found = [f for (of, _), f in self._get_abi(contract).functions.items() if of == method and not f.view]
        if not found:
            known = [of for (of, _), f in self._get_abi(contract).functions.items() if not f.view]
            raise BackstopError(
                f"{contract} has no function {method!r} to call{_suggest_name(method, known)}"
            )
        function: Function = max(found, key=lambda each: len(each.inputs))
        given = dict(text.split("=", 1) for text in arguments)
        names = [each.name for each in function.inputs]
        if len(given) != len(arguments) or set(given) != set(names):
            raise BackstopError(
                f"{name} takes {' '.join(f'{each}=...' for each in names) or 'nothing'}, each once"
            )
        values = [self._parse_value(name, each, given[each.name]) for each in function.inputs]
        return self._deployment.addresses[contract], function.encode_call(values)

    def _parse_value(self, function: str, parameter: Parameter, text: str) -> Any:
        """Return an argument's value, parsed by its ABI type.

        Names of contracts, accounts, collateral types and roles are resolved. Raise BackstopError if the text
        does not fit the type.
        """
        where = f"{function}: {parameter.name}={text}"
        symbols = self._deployment.parameters.collateral_and_facilitator_names
        if parameter.name == "collateral_type" and text in symbols:
            return symbols.index(text)
        if parameter.name == "collateral_type" and not re.fullmatch(r"\d[\d_]*", text):
            raise BackstopError(
                f"{where} is not a collateral type of this deployment: name one of {', '.join(symbols)}"
                f"{_suggest_name(text, symbols)}"
            )
        if parameter.type.startswith("uint") and re.fullmatch(r"\d[\d_]*", text):
            if int(text) < 2 ** int(parameter.type[4:] or 256):
                return int(text)
            raise BackstopError(f"{where} is too large for {parameter.type}")
        if parameter.type.startswith("int") and re.fullmatch(r"-?\d[\d_]*", text):
            return int(text)
        if parameter.type == "bool" and text in ("true", "false"):
            return text == "true"
        if parameter.type == "address":
            return self._parse_address(where, text)
        if parameter.type == "bytes32" and text in ROLES:
            return ROLES[text]
        size = re.fullmatch(r"bytes(\d*)", parameter.type)
        if size and re.fullmatch(r"0x([0-9a-fA-F]{2})*", text):
            found = bytes.fromhex(text[2:])
            if not size[1] or len(found) == int(size[1]):
                return found
        if parameter.type == "string":
            return text
        if parameter.type.endswith("]") or parameter.components:
            return self._parse_list(where, parameter, text)
        raise BackstopError(
            f"{where} is not of type {parameter.type}: {_describe_expected_value(parameter.type)}"
        )

    def _parse_list(self, where: str, parameter: Parameter, text: str) -> Any:
        """Return a list or a struct, parsed from a JSON list; a number may be a string of digits."""
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, list):
            raise BackstopError(f'{where} is a list of JSON: [1, "0x...", true]')
        return self._parse_items(where, parameter, found)

    def _parse_items(self, where: str, parameter: Parameter, found: Any) -> Any:
        each_of = re.fullmatch(r"(.*)\[\d*\]", parameter.type)
        if each_of is not None and isinstance(found, list):
            one = parameter._replace(type=each_of[1])
            return [self._parse_items(where, one, each) for each in found]
        if parameter.components:
            if not isinstance(found, list) or len(found) != len(parameter.components):
                raise BackstopError(f"{where}: {', '.join(p.name for p in parameter.components)} are wanted")
            return tuple(
                self._parse_items(where, part, each)
                for part, each in zip(parameter.components, found, strict=True)
            )
        text = str(found).lower() if isinstance(found, bool) else str(found)
        return self._parse_value(where, parameter._replace(name=""), text)

    def _parse_address(self, where: str, text: str) -> str:
        if re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
            return text.lower()
        if text in self._deployment.addresses:
            return self._deployment.addresses[text]
        if text in self._deployment.accounts or text in ACCOUNTS:
            return self._deployment.get_account(text)
        raise BackstopError(
            f"{where} is neither an address nor a contract or a role"
            f"{_suggest_name(text, self._names.values())}"
        )

    def _format_value_with_names(self, parameter: Parameter, value: Any) -> str:
        symbols = self._deployment.parameters.collateral_and_facilitator_names
        if parameter.name == "collateral_type" and value < len(symbols):
            return symbols[value]
        if parameter.type == "address":
            return self._names.get(value, value)
        if parameter.type == "bytes32":
            return next((name for name, role in ROLES.items() if role == value), "0x" + value.hex())
        if isinstance(value, bytes):
            return "0x" + value.hex()
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (tuple, list)):
            return json.dumps(value, default=lambda each: "0x" + each.hex())
        return str(value)


def _describe_expected_value(abi_type: str) -> str:
    """Return a description of the notation that values of an ABI type must have."""
    if abi_type.startswith(("uint", "int")):
        return "give a whole number, raw as the contract has it, as 500 or 1_000_000"
    if abi_type == "bool":
        return "give true or false"
    size = f" and {2 * int(abi_type[5:])} digits" if abi_type[5:] else " and an even number of digits"
    return f"give 0x{size}{', or a role: ' + ', '.join(ROLES) if abi_type == 'bytes32' else ''}"


def _suggest_name(word: str, known: Any) -> str:
    found = get_close_matches(word, list(known), 1, 0.5)
    return f" (did you mean {found[0]}?)" if found else ""
