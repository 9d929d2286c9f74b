"""A draw is the same for a seed, reads nothing twice, and is written once before anything is tried."""

import json

import pytest
import yaml
from click.testing import CliRunner

from backstop.cli.mutants import cli
from backstop.errors import BackstopError
from backstop.proof.mutation.contract_mutants import FILES, list_mutants
from backstop.proof.mutation.correlated_mutant_draw import draw_mutants, read_drawn_mutant_ids, write_draw
from backstop.proof.mutation.correlated_mutants import (
    DRAWN,
    PAIRS,
    read_mutant_pair_file,
    read_mutant_pairs_from_yaml_files,
)

# Folders of pairs and the first word of their draws.
DRAWS = ("practice", "fresh")


@pytest.fixture
def root(tmp_path):
    """Contracts of which each file has one mutant or two."""
    folder = tmp_path / "contracts"
    for files in FILES.values():
        for file in files:
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("# pragma version 0.4.3\n\nA: constant(uint256) = 7\n")
    return folder


def test_a_seed_draws_the_same_without_what_was_read_before(root):
    drawn = draw_mutants(2, 5, (), root)
    assert drawn == draw_mutants(2, 5, (), root) != draw_mutants(2, 6, (), root)
    assert len(drawn) == 12
    read = [mutant.id for mutant in drawn[:3]]
    assert not {*read} & {mutant.id for mutant in draw_mutants(99, 5, read, root)}
    assert not {"Stablecoin.vy", "modules/roles.vy"} & {
        mutant.file for mutant in draw_mutants(99, 5, (), root)
    }


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("name", DRAWS)
def test_what_was_drawn_before_is_known(name):
    drawn = {pair.origin for pair in read_mutant_pairs_from_yaml_files() if pair.source == DRAWN}
    files = sorted((PAIRS.parent / "draws").glob(f"{name}_*.yaml"))
    assert files
    for file in files:
        ids = [each["id"] for each in yaml.safe_load(file.read_text())["mutants"]]
        assert drawn | {*ids} < read_drawn_mutant_ids()
        assert len({*ids}) == len(ids) == 180


def test_a_draw_is_written_once(tmp_path):
    file = tmp_path / "draws" / "seed_5.yaml"
    mutants = list_mutants("LedgerStage")[:2]
    write_draw(mutants, 1, 5, file)
    content = yaml.safe_load(file.read_text())
    assert (content["seed"], content["pairs"]) == (5, 1)
    assert [each["id"] for each in content["mutants"]] == [mutant.id for mutant in mutants]
    assert content["mutants"][0]["diff"] == mutants[0].make_diff()
    with pytest.raises(BackstopError, match="the draw is made already"):
        write_draw(mutants, 1, 5, file)


def test_a_draw_needs_a_file():
    result = CliRunner().invoke(cli, ["--draw", "3"])
    assert result.exit_code == 1 and result.output == "Error: --draw: no file to write; expected --out FILE\n"


@pytest.mark.parametrize("name", DRAWS)
def test_pairs_of_a_file_are_of_its_draw(name):
    files = sorted((PAIRS / name).glob("*.yaml"))
    assert files
    for file in files:
        ids = {
            each["id"]
            for draw in (PAIRS.parent / "draws").glob("*.yaml")
            for each in yaml.safe_load(draw.read_text())["mutants"]
        }
        pairs = read_mutant_pair_file(file)
        assert {pair.origin for pair in pairs if pair.source == DRAWN} <= ids
        assert json.loads(str(pairs[0]))["name"] == pairs[0].name
