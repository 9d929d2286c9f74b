"""An audit's second witness: web3.py and eth-abi read the inputs of its figures, and report a mistake."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from backstop.cli.audit import cli
from backstop.contract_base import ZERO_ADDRESS as NOBODY
from backstop.contract_base import RevertError
from backstop.errors import BackstopError
from backstop.hosts import abi_codec
from backstop.hosts.artifacts import Artifacts
from backstop.live.chaos.byzantine_proxy import FAULTS, ByzantineProxy, Fault, RpcExchange
from backstop.live.node.rpc_node import Node
from backstop.live.solvency.independent_witness import WitnessReport, compare_audit_with_web3
from backstop.live.solvency.proven_statement import build_proven_statement, load_audited_model
from backstop.live.solvency.recorded_view_calls import start_recording_view_calls
from backstop.live.solvency.web3_reader import open_web3
from tests.support.deployment_after_price_crash import DeploymentAfterPriceCrash
from tests.support.uncached_artifacts import build_uncached_artifacts

COMPILED = Artifacts()
KINDS = ("LossWaterfall", "Stablecoin", "VaultEngine")


@pytest.fixture(scope="module")
def content(crashed: DeploymentAfterPriceCrash) -> dict[str, Any]:
    return json.loads(json.dumps(build_proven_statement(crashed.open_mirror_at_block())))


@pytest.fixture
def liar(crashed: DeploymentAfterPriceCrash) -> Iterator[ByzantineProxy]:
    proxy = ByzantineProxy(crashed.devnet.port)
    yield proxy
    proxy.close()


def lie(method: str, change: Callable[[Any, Any], Any]) -> Fault:
    def changed(talk: RpcExchange) -> None:
        talk.change_results(method, change)

    return Fault(method, "", changed)


def compare(
    crashed: DeploymentAfterPriceCrash,
    content: dict[str, Any],
    own: str = "",
    theirs: str = "",
    artifacts: Artifacts = COMPILED,
) -> WitnessReport:
    """Compare through one address for the own client and one for web3.py."""
    url = crashed.devnet.url
    return compare_audit_with_web3(content, Node(own or url), open_web3(theirs or url), artifacts)


def test_web3_reads_what_the_audit_has(crashed: DeploymentAfterPriceCrash, content: dict[str, Any]) -> None:
    found = compare(crashed, content)
    assert found.differences == ()
    slots = content["evidence"]["slots"]
    assert found.slots == sum(len(words) for paths in slots.values() for words in paths.values()) > 150
    assert found.contracts == len(slots) >= len(crashed.deployment.creations)
    assert found.figures > 400 and 500 < found.calls < 3_000


@pytest.mark.deep(
    brief="tests/backstop/live/solvency/test_independent_witness.py::test_web3_reads_what_the_audit_has"
)
def test_an_older_block_is_read_as_it_was(crashed: DeploymentAfterPriceCrash) -> None:
    block = crashed.devnet.node.get_head().number - 200
    older = build_proven_statement(crashed.open_mirror_at_block(block))
    assert compare(crashed, older).differences == ()


def _turn_bools(patch: pytest.MonkeyPatch) -> None:
    turned = {word: not value for word, value in abi_codec._BOOLS.items()}
    patch.setattr(abi_codec, "_BOOLS", turned)


def _take_address_from_the_left(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        abi_codec, "_ADDRESS", abi_codec._ADDRESS._replace(word=lambda word: "0x" + word[:20].hex())
    )


def _drop_top_bit(patch: pytest.MonkeyPatch) -> None:
    def one_bit_less(bits: int) -> abi_codec.Codec:
        return abi_codec._make_word_codec(
            lambda value: value.to_bytes(32), lambda word: int.from_bytes(word) % 2**64
        )

    patch.setattr(abi_codec, "_make_uint_codec", one_bit_less)


def _shift_fixed_bytes(patch: pytest.MonkeyPatch) -> None:
    def shifted(length: int) -> abi_codec.Codec:
        return abi_codec._make_word_codec(bytes, lambda word: word[1:] + word[:1])

    patch.setattr(abi_codec, "_make_fixed_bytes_codec", shifted)


@pytest.mark.deep(cases=2)
@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (_turn_bools, "VaultEngine.in_settlement(): False by web3.py, True by the own client"),
        (_take_address_from_the_left, "VaultEngine.STABLECOIN(): 0x"),
        (_drop_top_bit, "Stablecoin.totalSupply(): "),
        (_shift_fixed_bytes, "LossWaterfall.order_hash(): 0x"),
    ],
)
def test_a_wrong_codec_is_told(
    spoil: Callable[[pytest.MonkeyPatch], None],
    line: str,
    crashed: DeploymentAfterPriceCrash,
    content: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoil(monkeypatch)
    found = compare(crashed, content, artifacts=build_uncached_artifacts(KINDS)).differences
    told = [each for each in found if each.startswith(line)]
    assert len(told) == 1 and " by web3.py, " in told[0] and " by the own client" in told[0]


def test_a_call_that_is_encoded_otherwise_is_told(
    crashed: DeploymentAfterPriceCrash, content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first argument of each call is one more."""
    encode = abi_codec.Function.encode_call

    def spoiled(function: abi_codec.Function, args: Any) -> bytes:
        data = encode(function, args)
        return data[:35] + bytes([data[35] ^ 1]) + data[36:] if len(data) > 36 else data

    monkeypatch.setattr(abi_codec.Function, "encode_call", spoiled)
    found = compare(crashed, content).differences
    assert any(each.startswith("VaultEngine.vault(0, 0x") and " by eth-abi, 0x" in each for each in found), (
        found[:3]
    )


def test_a_view_that_is_told_otherwise_to_either_is_a_line(
    crashed: DeploymentAfterPriceCrash, content: dict[str, Any], liar: ByzantineProxy
) -> None:
    supply = int(content["statement"]["balance_sheet"]["supply_wad"])

    def one_more(params: Any, result: str) -> str:
        return f"{supply + 1:#066x}" if int(result, 16) == supply else result

    liar.set_fault(lie("eth_call", one_more))
    to_the_own = compare(crashed, content, own=liar.url).differences
    assert f"Stablecoin.totalSupply(): {supply} by web3.py, {supply + 1} by the own client" in to_the_own
    assert not [each for each in to_the_own if each.endswith("in the audit")]
    to_web3 = compare(crashed, content, theirs=liar.url).differences
    assert f"Stablecoin.totalSupply(): {supply + 1} by web3.py, {supply} by the own client" in to_web3


def test_a_view_that_the_statement_asks_is_compared_with_the_model_too(
    crashed: DeploymentAfterPriceCrash, content: dict[str, Any], liar: ByzantineProxy
) -> None:
    """No slot of the reserve's stage is read: its views' parameters come from the statement alone."""
    stage = crashed.deployment.addresses["ReserveStage"]
    assert not any(content["evidence"]["slots"]["ReserveStage"].values())

    def more(params: Any, result: str) -> str:
        return f"{int(result, 16) + 5:#066x}" if params[0]["to"].lower() == stage else result

    liar.set_fault(lie("eth_call", more))
    found = compare(crashed, content, theirs=liar.url).differences
    told = [each for each in found if each.startswith("ReserveStage.capacity(0): ")]
    assert [each.rpartition(" ")[2] for each in told] == ["client", "audit"]
    assert all(
        re.fullmatch(r"\S+ (\d+) by web3.py, (\d+) (by the own client|in the audit)", each) for each in told
    )
    liar.set_fault(lie("eth_call", more))
    both = compare(crashed, content, own=liar.url, theirs=liar.url).differences
    told = [each for each in both if each.startswith("ReserveStage.capacity(0): ")]
    assert len(told) == 1 and told[0].endswith(" in the audit")


def test_what_a_copy_of_a_contract_answers_is_not_asked_of_the_chain(content: dict[str, Any]) -> None:
    contract: Any = load_audited_model(content)[0].world.contracts["VaultEngine"]
    calls = start_recording_view_calls(contract.world)
    copied = copy.copy(contract)
    assert copied.collateral_types(NOBODY) == 3 and calls == {}
    with pytest.raises(RevertError):
        contract.terms_of(NOBODY, 9)
    assert contract.collateral_types(NOBODY) == 3
    assert calls["VaultEngine", "collateral_types", ()] == 3
    assert calls["VaultEngine", "terms_of", (9,)].reason == "terms: unknown type"


def test_code_time_and_another_block_are_told(
    crashed: DeploymentAfterPriceCrash, content: dict[str, Any], liar: ByzantineProxy
) -> None:
    liar.set_fault(lie("eth_getCode", lambda params, code: f"0x{int(code, 16) ^ 1:0{len(code) - 2}x}"))
    found = compare(crashed, content, theirs=liar.url).differences
    assert len(found) == len(content["evidence"]["slots"]) and found[0].startswith("Stablecoin code: 0x")
    liar.set_fault(lie("eth_getBlockByNumber", lambda params, block: block | {"timestamp": "0x1"}))
    (line,) = compare(crashed, content, theirs=liar.url).differences
    assert line == f"the block's time: 1 by web3.py, {content['block']['timestamp']} in the audit"
    liar.set_fault(lie("eth_getBlockByNumber", lambda params, block: block | {"hash": "0x" + "12" * 32}))
    with pytest.raises(BackstopError, match=r"^block \d+ is 0x1212\w+ by web3.py, 0x\w+ in the audit: if "):
        compare(crashed, content, theirs=liar.url)
    liar.set_fault(lie("eth_getBlockByNumber", lambda params, block: None))
    with pytest.raises(BackstopError, match=r"^web3.py's node has no block \d+"):
        compare(crashed, content, theirs=liar.url)


def test_a_node_that_fails_is_one_line(
    crashed: DeploymentAfterPriceCrash, content: dict[str, Any], liar: ByzantineProxy
) -> None:
    liar.set_fault(next(each for each in FAULTS if each.name == "no JSON"))
    with pytest.raises(BackstopError, match=r"^web3.py gets no answer to eth_getBlockByNumber: "):
        compare(crashed, content, theirs=liar.url)
    liar.set_fault(Fault("", "", lambda talk: talk.refuse_method("eth_call", -32005, "limit exceeded")))
    with pytest.raises(BackstopError, match=r"^web3.py's node refuses eth_call: limit exceeded$"):
        compare(crashed, content, theirs=liar.url)
    liar.set_fault(Fault("", "", lambda talk: talk.told.clear()))
    with pytest.raises(BackstopError, match=r"^web3.py's node does not answer a batch of 1 eth_getBlock"):
        compare(crashed, content, theirs=liar.url)


# ------------------------------------------------------------------------ the command


def run(crashed: DeploymentAfterPriceCrash, *flags: object, url: str = "") -> Result:
    where = ("--network", url or crashed.devnet.url, "--deployment", crashed.file, "--independent")
    return CliRunner(mix_stderr=False).invoke(cli, [str(flag) for flag in (*where, *flags)])


def test_the_command_says_that_nothing_differs(crashed: DeploymentAfterPriceCrash, tmp_path: Path) -> None:
    result = run(crashed, "--out", tmp_path / "audit")
    assert result.exit_code == 0, result.stderr
    (line,) = (each for each in result.stdout.splitlines() if each.startswith("read again by web3.py 7."))
    assert line.endswith(" figures, 0 differences")
    again = json.loads(run(crashed, "--out", tmp_path / "audit", "--json").stdout)
    assert again["independent"]["differences"] == []
    assert f"{again['independent']['slots']} slots and {again['independent']['calls']} views" in line


def test_a_slot_that_is_told_otherwise_ends_the_command(
    crashed: DeploymentAfterPriceCrash, liar: ByzantineProxy, tmp_path: Path
) -> None:
    """web3.py asks for each slot by itself; the own client has a call read many."""
    liar.set_fault(lie("eth_getStorageAt", lambda params, word: f"{int(word, 16) ^ 1:#066x}"))
    result = run(crashed, "--out", tmp_path / "audit", url=liar.url)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: ") and "values differ between" in result.stderr
    found = [
        each for each in result.stdout.splitlines() if each.startswith("Stablecoin erc20.totalSupply: 0x")
    ]
    assert len(found) == 1 and " by web3.py, 0x" in found[0] and found[0].endswith(" in the audit")
    result = run(crashed, "--out", tmp_path / "audit", "--json", url=liar.url)
    assert result.exit_code == 1 and found[0] in json.loads(result.stdout)["independent"]["differences"]


def test_a_figure_that_its_slots_do_not_give_is_told(
    crashed: DeploymentAfterPriceCrash, content: dict[str, Any], tmp_path: Path
) -> None:
    """An audit that was written before, and changed since."""
    changed = copy.deepcopy(content)
    changed["statement"]["coverage"]["short_rad"] = "17"
    short = content["statement"]["coverage"]["short_rad"]
    found = compare(crashed, changed).differences
    assert found == (f"coverage.short_rad: '{short}' by its own slots, '17' in the audit",)


@pytest.mark.parametrize("module", ["web3", "eth_abi"])
def test_without_web3_a_line_says_how_to_install_it(
    module: str, crashed: DeploymentAfterPriceCrash, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "backstop.live.solvency.web3_reader")
    monkeypatch.setitem(sys.modules, module, None)
    result = run(crashed, "--out", tmp_path / "audit")
    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        result.stderr == f"Error: this needs {module}, which is not installed: pip install 'backstop[web3]'\n"
    )
    assert not (tmp_path / "audit").exists()


def test_a_file_that_is_verified_asks_no_node() -> None:
    result = CliRunner(mix_stderr=False).invoke(
        cli, ["--independent", "--verify", "a", "--block-hash", "0x1"]
    )
    assert result.exit_code == 1 and result.stderr.startswith("Error: --independent: given with --verify")
