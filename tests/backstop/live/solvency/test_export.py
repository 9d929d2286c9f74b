"""A live deployment becomes a scenario, and the scenario begins as the chain is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli.export import cli
from backstop.deployment.configuration_calls import build_configuration_calls
from backstop.deployment.example_parameters import build_guarded_parameters, build_standard_parameters
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.revm import RevmHost
from backstop.hosts.world_storage_json import encode_nonzero_storage_words, load_words
from backstop.live.mirror.scenario_export import _build_world_with_throwaway_addresses
from backstop.live.solvency.solvency_statement import build_statement
from backstop.model.arithmetic import RAY
from backstop.proof.lockstep import replay_trace_in_lockstep
from backstop.proof.replayable_trace import read_trace
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import Scenario, load_scenario, scenario_names
from backstop.simulation.scenario.parameters_yaml_writer import (
    build_scenario_yaml_parameters_section,
    build_unsafe_section,
    render_yaml,
)
from backstop.simulation.scenario.scenario_loader import parse_scenario
from backstop.simulation.scenario.yaml_document_reader import read_document
from backstop.simulation.simulator import Simulation, simulate
from backstop.studies.comparison.presets import apply_preset, load_preset
from backstop.studies.stress.columns import MICRO
from backstop.studies.stress.exact_bytecode_engine import ExactEngine
from backstop.studies.stress.parameter_grid import load_grid
from tests.support.deployment_after_price_crash import DeploymentAfterPriceCrash

BRIEF = "tests/backstop/live/solvency/test_export.py::test_a_sweep_opens_the_book_anew"


def run(*flags: object) -> Any:
    return CliRunner(mix_stderr=False).invoke(cli, [str(flag) for flag in flags])


@pytest.fixture(scope="module")
def exported(crashed: DeploymentAfterPriceCrash, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command's folder."""
    folder = tmp_path_factory.mktemp("exported")
    where = ("--network", crashed.devnet.url, "--deployment", crashed.file)
    result = run(*where, "--out", folder, "--duration", "30 min")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{folder / 'scenario.yaml'}\n"
    return folder


@pytest.fixture(scope="module")
def scenario(exported: Path) -> Scenario:
    return load_scenario(exported / "scenario.yaml")


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("host", ["model", "revm", "anvil"])
def test_a_run_begins_as_the_chain_is(
    host: str, crashed: DeploymentAfterPriceCrash, scenario: Scenario
) -> None:
    """To the last slot; and with it every figure of the statement."""
    chain = crashed.open_mirror_at_block()
    assert scenario.opening is not None
    with open_deployment_session(scenario, host, 1) as session:
        simulation = Simulation(scenario, session, 1)
        simulation.restore_storage_state(scenario.opening.state)
        snapshot, figures = (
            session.system.snapshot(),
            build_statement(session.model, plan_deployment(scenario.parameters)),
        )
    for contract, tables in chain.model.snapshot().items():
        for path, table in tables.items():
            default = chain.model.world.contracts[contract].tables[path].default
            mine = {key: value for key, value in snapshot[contract][path].items() if value != default}
            assert mine == {key: value for key, value in table.items() if value != default}, (contract, path)
    assert figures == build_statement(chain.model, crashed.deployment)
    assert session.started_at == chain.model.timestamp == scenario.start


def test_it_simulates_in_lockstep_and_replays(scenario: Scenario, tmp_path: Path) -> None:
    out = tmp_path / "run"
    summary = simulate(scenario, "revm", 1, out).summary
    assert summary["completed"] and summary["differences"] == 0
    assert summary["ledger"]["balance_gap_rad"] == "0"
    assert summary["collateral_types"][0]["opened_vaults"] > 0
    assert load_run(out).frames["auctions"]["auction_id"].min() >= 1
    artifacts = Artifacts()
    trace = read_trace(out / "trace.json", artifacts)
    both = replay_trace_in_lockstep(trace, RevmHost(trace.started_at), artifacts=artifacts, check_every=0)
    both.compare_state()
    assert simulate(scenario, "model", 1).summary["state_hash"] == summary["state_hash"]


@pytest.mark.deep(brief=BRIEF)
def test_a_study_begins_with_it(scenario: Scenario) -> None:
    """Every path starts from the chain's state, in any order of the paths."""
    engine = ExactEngine(scenario, 1)
    rows = [dict(zip(engine.columns.names, engine.run_one_path(path), strict=True)) for path in (1, 0, 1)]
    assert rows[0] == rows[2]
    losses = simulate(scenario, "model", 1, path=0).summary["losses"]
    assert rows[1]["bad_debt"] == int(losses["created_rad"]) // MICRO
    assert rows[1]["outstanding"] == int(losses["outstanding_rad"]) // MICRO


def test_a_sweep_opens_the_book_anew(exported: Path, scenario: Scenario, tmp_path: Path) -> None:
    """The chain's state belongs to its own terms, and a sweep has others."""
    fee = "parameters.collateral_types.ETH.stability_fee"
    content = {
        "schema_version": 1,
        "title": "What owing costs",
        "scenario": str(exported / "scenario.yaml"),
        "gain": "debt",
        "limit": "1 stablecoin",
        "level": "95%",
        "axes": {"fee": {"fields": {fee: ["1% a year", "9% a year"]}}},
    }
    file = tmp_path / "grid.yaml"
    file.write_text(render_yaml(content))
    cheap, dear = (point.scenario for point in load_grid(file).points)
    assert scenario.opening is not None and cheap.opening is dear.opening is None
    fees = [each.parameters.collateral_types[0].stability_fee for each in (cheap, dear)]
    assert fees[0] < fees[1] and cheap.vaults == dear.vaults
    rows = (exported / "book.csv").read_text().splitlines()[1:]
    assert len(cheap.vaults) == len(rows) > 0 == len(scenario.vaults)
    assert (ExactEngine(cheap, 1, on_bytecode=False).run_paths(0, 1)[:, 0] == 0).all()


def test_other_addresses_are_moved(crashed: DeploymentAfterPriceCrash, tmp_path: Path) -> None:
    """A deployment by an account with a history, and with accounts of its own."""
    mirror = crashed.open_mirror_at_block()
    words, own = encode_nonzero_storage_words(mirror.model.world), crashed.deployment.addresses
    plain = {name: tables for name, tables in words.items() if name in own}  # a batch came later
    accounts = {"admin": "0x" + "ab" * 20, "guardian": "0x" + "cd" * 20}
    other = plan_deployment(crashed.deployment.parameters, 7, 31_337, accounts)
    moves = dict(zip(crashed.deployment.addresses.values(), other.addresses.values(), strict=True))
    moves |= {get_account(role): address for role, address in accounts.items()}
    text = json.dumps(plain)
    for old, new in moves.items():
        text = text.replace(old, new).replace(old[2:], new[2:])
    elsewhere = create_model(other, mirror.model.timestamp)
    load_words(elsewhere.world, json.loads(text))
    mirror.deployment, mirror.model = other, elsewhere
    assert encode_nonzero_storage_words(_build_world_with_throwaway_addresses(mirror)) == plain


@pytest.mark.deep(brief=BRIEF)
def test_compare_opens_the_book_anew(exported: Path, crashed: DeploymentAfterPriceCrash) -> None:
    """The same vaults and auctions, at a price at which they may be opened, then at the chain's price."""
    laid = apply_preset(load_preset("maker"), exported / "scenario.yaml")
    assert laid.opening is None and len(laid.vaults) > 10
    chain = build_statement(crashed.open_mirror_at_block().model, crashed.deployment)
    owed = sum(int(row["debt_rad"]) for row in chain["vaults"])
    owed += sum(int(row["principal_rad"]) for row in chain["auctions"])
    drawn = sum(vault.debt for vault in laid.vaults)
    assert owed // 10**27 - len(laid.vaults) <= drawn <= owed // 10**27
    summary = simulate(laid, "model", 1).summary
    assert summary["completed"] and sum(row["opened_vaults"] for row in summary["collateral_types"]) == len(
        laid.vaults
    )
    assert sum(row["liquidations"] for row in summary["collateral_types"]) >= len(chain["auctions"])


@pytest.mark.parametrize("name", ["standard", "guarded", *scenario_names()])
def test_parameters_read_back(name: str, tmp_path: Path) -> None:
    """Every parameter of the library and of the standard deployments survives the file."""
    known = {"standard": build_standard_parameters, "guarded": build_guarded_parameters}
    parameters: Parameters = known[name]() if name in known else load_scenario(name).parameters
    symbols = [each.symbol for each in parameters.collateral_types]
    fees = {each.symbol: each.market.fee for each in parameters.collateral_types if each.market is not None}
    market = {"depth": "1 stablecoin", "every": "1 min", "recovery": "1 h", "tolerance": "0 bps"}
    still = {"assumed": {"00:00": "1 USD", "40:00": "1 USD"}, "volatility": "0 bps"}
    file = tmp_path / "scenario.yaml"
    content = {
        "schema_version": 1,
        "title": "x",
        "description": "x",
        "facts": [],
        "assumptions": [],
        "start": "2020-03-12T00:00Z",
        "duration": "1 h",
        "block_time": "1 min",
        "opened_before": "2 d",
        "parameters": build_scenario_yaml_parameters_section(parameters),
        "prices": {symbol: still for symbol in symbols},
        "equity_price": still,
        "gas_token": symbols[0],
        "vault_book": {"generated": {}},
        "markets": {symbol: {**market, "fee": f"{fees[symbol]} bps"} for symbol in symbols},
        "members": {},
        "keepers": {
            "reporter": {
                "role": "reporter",
                "count": parameters.collateral_types[0].feed.reporters,
                "gas_price": "1 gwei",
            }
        },
        "congestion": {
            "block_gas": "10_000_000 gas",
            "gas_prices": {"assumed": {"00:00": "1 gwei"}},
            "protocol_share": {"assumed": {"00:00": "1%"}},
        },
    } | build_unsafe_section(parameters, dict.fromkeys(symbols, RAY))
    file.write_text(render_yaml(content))
    assert parse_scenario(read_document(file), "x").parameters == parameters


def test_bad_files_are_named(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(exported, folder)
    file, state = folder / "scenario.yaml", folder / "state.json"
    whole, text = json.loads(state.read_text()), file.read_text()

    def said() -> str:
        with pytest.raises(BackstopError) as raised:
            load_scenario(file)
        assert "\n" not in str(raised.value)
        return str(raised.value)

    state.write_text(state.read_text()[:1_000])
    assert "opening.file: " in said() and "is not a valid state" in said()
    state.unlink()
    assert " not found: " in said()
    state.write_text(json.dumps({**whole, "timestamp": whole["timestamp"] + 1}))
    assert "is a state of another time than `start`: take out `opening`" in said()
    state.write_text(json.dumps(whole))
    file.write_text(text.replace("tip: 100 stablecoin", "tip: 99 stablecoin"))
    assert "is a state of other parameters than these: take out `opening`" in said()


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ((), "no --network"),
        (("--network", "http://127.0.0.1:1"), "no node answers at http://127.0.0.1:1"),
        (("--duration", "soon"), "--duration, --block-time: 'soon' is not a duration"),
    ],
)
def test_bad_input_is_one_line(flags: tuple[str, ...], line: str) -> None:
    result = run(*flags)
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.startswith("Error: ") and line in result.stderr and result.stderr.count("\n") == 1


def test_a_deployment_without_vaults_is_refused(crashed: DeploymentAfterPriceCrash, tmp_path: Path) -> None:
    where = ("--network", crashed.devnet.url, "--deployment", crashed.file, "--out", tmp_path)
    first = crashed.deployment.block
    calls = len(crashed.deployment.creations) + len(build_configuration_calls(crashed.deployment))
    # Before the first of them, an empty block took the time.
    result = run(*where, "--block", first + 1 + calls)
    assert "ETH has neither a market nor a price: nothing can be simulated" in result.stderr
