"""Mutants are known by their text; samples are the same every time; arguments name mutants that exist."""

import shutil
from functools import cache

import pytest

from backstop.errors import BackstopError
from backstop.hosts.artifacts import CONTRACTS
from backstop.proof.mutation.contract_mutants import FILES, list_mutants, shuffle_mutants
from backstop.proof.mutation.equivalent_mutants import read_equivalence_arguments
from tests.support.long_test_marks import build_pytest_params_with_deep_marks

# All of a contract, made once.
own = cache(list_mutants)


def test_every_contract_of_the_protocol_is_mutated():
    files = {path.relative_to(CONTRACTS).as_posix() for path in CONTRACTS.rglob("*.vy")}
    # Naive contracts are wrong on purpose.
    mutated = {file for file in files if not file.startswith(("devnet/", "naive/"))}
    assert {file for files in FILES.values() for file in files} == mutated


LARGE = ("LossWaterfall", "VaultEngine", "Pool", "PerpetualMarket", "PriceFeed", "CollateralAuction")


@pytest.mark.parametrize(
    "contract",
    build_pytest_params_with_deep_marks(
        FILES, LARGE, "tests/backstop/proof/mutation/test_mutants.py::test_no_two_mutants_have_the_same_name"
    ),
)
def test_no_two_mutants_have_the_same_name(contract):
    found = own(contract)
    assert len({mutant.id for mutant in found}) == len(found) > 10


def test_a_mutant_outlives_other_edits_of_its_file(tmp_path):
    root = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, root)
    file = root / "LedgerStage.vy"
    file.write_text(file.read_text().replace("@deploy", "\n# a new line\n\n@deploy"))
    old, new = own("LedgerStage"), list_mutants("LedgerStage", root)
    assert [m.id for m in old] == [m.id for m in new]
    assert [m.line for m in old] != [m.line for m in new]


def test_equal_seeds_give_equal_samples():
    assert shuffle_mutants("Equity", 1) == shuffle_mutants("Equity", 1) != shuffle_mutants("Equity", 2)


def test_a_diff_shows_the_fault():
    (mutant,) = [m for m in own("LedgerStage") if m.operator == "comparison" and "!= BUFFER" in m.after][:1]
    changed = [line for line in mutant.make_diff().splitlines()[2:] if line[0] in "+-"]
    assert changed == ["-    if ACCOUNT == BUFFER:", "+    if ACCOUNT != BUFFER:"]


@pytest.mark.deep(
    brief="tests/backstop/proof/mutation/test_mutants.py::test_no_two_mutants_have_the_same_name"
)
def test_every_argument_names_a_mutant_and_a_reason():
    known = {mutant.key for contract in FILES for mutant in own(contract)}
    for key, why in read_equivalence_arguments().items():
        assert key in known, f"the operators do not make {key}: mend or drop its entry in equivalent.yaml"
        assert len(why.split()) >= 5, f"{key}: {why!r} is no argument"


def test_an_unknown_contract_is_named():
    with pytest.raises(BackstopError, match="contract 'Vat' is unknown"):
        list_mutants("Vat")
