"""A failing trace as a test: in the names of roles and contracts, to be read, kept and run."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backstop.deployment import parameter_dataclasses
from backstop.deployment.configuration_calls import apply_configuration
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.model_and_chain_deployment import add_contract_model, create_model
from backstop.deployment.planned_contracts import plan_deployment
from backstop.deployment.role_accounts import ACCOUNTS, get_account
from backstop.hosts.contract_creation import Creation
from backstop.lockstep.rollback_trace_tester import Failure
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from backstop.proof.fuzz.generation_context import PEOPLE
from backstop.proof.properties import CounterfactualSeed
from backstop.proof.replayable_trace import ProtocolTrace
from backstop.system import Action

UNITS = {"RAD": RAD, "RAY": RAY, "WAD": WAD}
_DATACLASSES = sorted(name for name in vars(parameter_dataclasses) if name.endswith("Parameters"))


def write_regression(trace: ProtocolTrace, failure: Failure, folder: Path) -> Path:
    """Write a pytest file that replays a failing trace, and return its path.

    The test fails as long as the trace fails, and passes once the fault is mended.
    """
    body = list(_iter_test_source_lines(trace))
    last = trace.steps[-1].step if trace.steps else None
    what = f"{last.contract}_{last.method}" if isinstance(last, Action) else failure.kind
    name = re.sub(r"\W+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", what)).lower()
    digest = hashlib.sha256("\n".join(body).encode()).hexdigest()[:8]
    path = folder / f"test_{name}_{digest}.py"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(_render_source(trace, failure, name, body))
    # In the house style, where its tools are installed.
    for command in (["check", "--fix-only", "--exit-zero"], ["format"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, "--quiet", str(path)], check=False)
    return path


def _render_source(trace: ProtocolTrace, failure: Failure, name: str, body: list[str]) -> str:
    usual = trace.parameters == build_standard_parameters()
    code = "\n".join(body) + ("" if usual else repr(trace.parameters))
    imports = []
    if not usual:
        used = ", ".join(each for each in _DATACLASSES if f"{each}(" in code)
        imports.append(f"from backstop.deployment.parameter_dataclasses import {used}")
    words = [word for word in ("MAX_UINT256", *UNITS) if re.search(rf"\b{word}\b", "\n".join(body))]
    if words:
        imports.append(f"from backstop.model.arithmetic import {', '.join(sorted(words))}")
    if "CounterfactualSeed(" in code:
        imports.append("from backstop.proof.properties import CounterfactualSeed")
    if "reverts(" in code:
        imports.append("from tests.support.revert_setter_and_source_helpers import reverts")
    told = "\n".join(line[:100] for line in failure.text.splitlines() if "run it again with: " not in line)
    told = told.replace("\\", "/").replace('"""', "'''")
    given = "" if usual else f"PARAMETERS = {trace.parameters!r}\n\n\n"
    return (
        f'"""A failure that the fuzzer found ({failure.kind}); the model is right until shown otherwise.\n\n'
        f'{told}\n"""\n\n' + "\n".join(imports) + "\n\n" + given + f"def test_{name}(new_protocol):\n"
        f"    protocol = new_protocol({'' if usual else 'PARAMETERS'})\n"
        + "\n".join(f"    {line}" for line in body)
        + "\n"
    )


def _iter_test_source_lines(trace: ProtocolTrace) -> Iterator[str]:
    """Yield the source lines of the test's body, with the reverts that the model expects."""
    deployment = plan_deployment(trace.parameters)
    model = create_model(deployment, trace.started_at)
    apply_configuration(model, deployment)
    names = {get_account(role): role for role in (*ACCOUNTS, *PEOPLE, "visitor")}
    names.update({address: name for name, address in model.addresses.items()})
    produced = 0
    for timestamp, step, blocks in trace.steps:
        passed = None if blocks is None else blocks - produced
        if timestamp != model.timestamp or passed:
            told = "" if passed is None else f", {passed:_}"
            yield f"protocol.advance({timestamp - model.timestamp:_}{told})"
            model.advance(timestamp - model.timestamp, passed)
            produced += passed or 0
        if isinstance(step, Creation):
            add_contract_model(model.world, step)
            names[step.address] = step.name
            args = _render_python_arguments((step.kind, step.name, *step.args), {})
            yield f"protocol.lockstep.create_contract({args})"
            continue
        if isinstance(step, CounterfactualSeed):
            seed = f"CounterfactualSeed({step.number}, {step.seed})"
            yield f"protocol.lockstep.check_counterfactual_property({seed})"
            continue
        assert isinstance(step, Action)  # campaigns load no state
        args = _render_python_arguments(step.args, names)
        sender = names.get(step.sender, step.sender)
        call = f'protocol.do("{step.contract}.{step.method}", {args}{", " if args else ""}sender="{sender}")'
        try:
            reason = model.apply(step).reason
        except Exception:  # the model itself is at fault: its word is worth nothing
            reason = None
        if reason is None:
            yield call
        else:
            yield f"with reverts({reason!r}):"
            yield f"    {call}"


def _render_python_arguments(values: Any, names_by_address: dict[str, str]) -> str:
    return ", ".join(_render_value(value, names_by_address) for value in values)


def _render_value(value: Any, names_by_address: dict[str, str]) -> str:
    if isinstance(value, str):
        return repr(names_by_address.get(value, value))
    if isinstance(value, bool | bytes):
        return repr(value)
    if isinstance(value, int):
        return _render_number(value)
    return f"({_render_python_arguments(value, names_by_address)},)"


def _render_number(value: int) -> str:
    if value == MAX_UINT256:
        return "MAX_UINT256"
    for word, unit in UNITS.items():
        count, rest = divmod(value, unit)
        if count and not rest and count < 10**9:
            return word if count == 1 else f"{count:_} * {word}"
    return f"{value:_}"
