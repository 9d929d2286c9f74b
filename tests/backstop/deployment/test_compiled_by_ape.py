"""Ape compiles the contracts to the bytes that lockstep tests."""

from __future__ import annotations

import pytest

from backstop.hosts.artifacts import ROOT

BRIEF = "tests/backstop/deployment/test_compiled_by_ape.py::test_some_contracts"
SOME = ("Stablecoin", "Token")


def check_same(project, artifacts, kinds) -> None:
    """Ape compiles afresh: after an edit of a module it does not notice that its importers changed."""
    artifacts.load(kinds)
    sources = {kind: artifacts.paths[kind].relative_to(ROOT).as_posix() for kind in kinds}
    found = project.load_contracts(*sources.values(), use_cache=False)
    for kind in kinds:
        compiled = str(found[kind].contract_type.deployment_bytecode.bytecode).removeprefix("0x")
        assert compiled == artifacts[kind].bytecode_hex, kind


def test_some_contracts(project, artifacts) -> None:
    check_same(project, artifacts, SOME)


@pytest.mark.deep(brief=BRIEF)
def test_every_contract(project, artifacts) -> None:
    check_same(project, artifacts, tuple(artifacts.paths))
