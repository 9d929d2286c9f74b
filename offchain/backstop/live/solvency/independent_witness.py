"""An audit's second witness: the sources of its figures, read by web3.py and decoded by eth-abi.

An audit reads a chain by the keepers' own client, and decodes by their own codec: a mistake of either could
be in every figure. Here web3.py reads, and eth-abi encodes and decodes, the same slots, views and code at the
same block. It asks the node that the audit asked; the audit's proofs show whether that node tells the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple

from backstop.contract_base import RevertError
from backstop.errors import BackstopError
from backstop.hosts.abi_codec import AbiDecodingError, Function, decode_revert
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.rpc_client import RpcError
from backstop.hosts.world_storage_json import parse_key
from backstop.live.node.live_host import revert_data
from backstop.live.node.rpc_node import Node
from backstop.live.node.storage_proofs import TrieNodes
from backstop.live.solvency.proven_statement import list_figure_differences, load_audited_model
from backstop.live.solvency.recorded_view_calls import ViewCall, start_recording_view_calls
from backstop.live.solvency.recording_and_proven_tables import refuse_reads_of_missing_slots
from backstop.live.solvency.solvency_statement import build_statement

if TYPE_CHECKING:
    from web3 import Web3

_CALLS_AT_ONCE = 200
_ABI_TYPES = {int: "uint256", str: "address", bytes: "bytes32"}
"""The types of arguments that keys of storage can be."""


class WitnessReport(NamedTuple):
    """Result of a second reading of an audit by web3.py: counts, and a line for each difference."""

    client: str
    contracts: int
    slots: int
    calls: int
    figures: int
    differences: tuple[str, ...]


class _AskedView(NamedTuple):
    """Call of a view function, with the function's entry in the ABI."""

    contract: str
    address: str
    function: Function
    entry: dict[str, Any]
    args: tuple[Any, ...]

    @property
    def text(self) -> str:
        return f"{self.contract}.{self.function.name}({', '.join(map(_format_value, self.args))})"


def compare_audit_with_web3(
    audit: dict[str, Any],
    node: Node,
    w3: Web3,
    artifacts: Artifacts,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> WitnessReport:
    """Read the sources of an audit's figures once more, by web3.py, and report all differences.

    The sources are the code of each contract, each storage slot of the evidence, and views. The views are
    those that the statement calls. Views without arguments, or with a key of a slot of their contract in the
    evidence, are added. Each answer to web3.py is compared with the answer to the node's own client, and with
    the statement's. Raise BackstopError if web3.py reads another block at that height, before or after.
    """
    from backstop.live.solvency.web3_reader import Web3Reader

    block = audit["block"]
    reader = Web3Reader(w3, block["number"])
    model, deployment, header = load_audited_model(audit)
    refuse_reads_of_missing_slots(model.world)
    told = start_recording_view_calls(model.world)
    figures = build_statement(model, deployment, audit.get("gap_bps"))
    figure_count, differences = list_figure_differences(figures, audit["statement"])
    kinds = {name: contract.KIND for name, contract in model.world.contracts.items()}
    addresses = {name: contract.address for name, contract in model.world.contracts.items()}
    views = list(_iter_views(kinds, addresses, audit["evidence"]["slots"], told, artifacts))
    slots = list(_iter_slots(kinds, addresses, audit["evidence"]["slots"], artifacts))
    total = len(addresses) + len(slots) + len(views)

    _require_same_block(reader, block, differences)
    nodes = TrieNodes(bytes.fromhex(each[2:]) for each in audit["evidence"]["nodes"])
    for (name, address), code_hash in zip(
        addresses.items(), reader.read_code_hashes(list(addresses.values())), strict=True
    ):
        proven = "0x" + nodes.get_account(header.state_root, address).code_hash.hex()
        if code_hash != proven:
            differences.append(f"{name} code: {code_hash} by web3.py, {proven} in the audit")
    progress(len(addresses), total)
    for each, word in zip(slots, reader.read_slots([each.place for each in slots]), strict=True):
        if word != each.word:
            differences.append(f"{each.text}: {word:#x} by web3.py, {each.word:#x} in the audit")
    for start in range(0, len(views), _CALLS_AT_ONCE):
        progress(len(addresses) + len(slots) + start, total)
        differences += _compare_views(reader, node, block, views[start : start + _CALLS_AT_ONCE], told)
    _require_same_block(reader, block, [])
    return WitnessReport(
        f"web3.py {metadata.version('web3')}",
        len(addresses),
        len(slots),
        len(views),
        figure_count,
        tuple(differences),
    )


def _require_same_block(reader: Any, block: dict[str, Any], differences: list[str]) -> None:
    """Raise BackstopError if web3.py reads another block; add a line if its time differs."""
    header = reader.read_header()
    if header.block_hash.lower() != block["hash"].lower():
        raise BackstopError(
            f"block {block['number']} is {header.block_hash} by web3.py, {block['hash']} in the audit: "
            "if the chain was reorganised, run it again"
        )
    if header.timestamp != block["timestamp"]:
        differences.append(
            f"the block's time: {header.timestamp} by web3.py, {block['timestamp']} in the audit"
        )


# ---------------------------------------------------------------------- what is read


class _AskedSlot(NamedTuple):
    """Storage slot to read again: its name, its address and number, and the audit's word."""

    text: str
    place: tuple[str, int]
    word: int


def _iter_slots(
    kinds: dict[str, str], addresses: dict[str, str], evidence: Any, artifacts: Artifacts
) -> Iterator[_AskedSlot]:
    """Yield each slot of the evidence, at the number that eth-abi and the compiler's layout give."""
    from backstop.live.solvency.web3_reader import compute_slot_by_eth_abi

    for name, paths in evidence.items():
        layout = artifacts[kinds[name]].storage
        for path, words in paths.items():
            for text, word in words.items():
                slot = compute_slot_by_eth_abi(*layout[path], parse_key(text))
                label = f"{name} {path}" + (f"[{text}]" if text else "")
                yield _AskedSlot(label, (addresses[name], slot), int(word, 16))


def _iter_views(
    kinds: dict[str, str],
    addresses: dict[str, str],
    evidence: Any,
    told: dict[ViewCall, Any],
    artifacts: Artifacts,
) -> Iterator[_AskedView]:
    """Yield each view call that the statement makes, and each that the evidence has arguments for.

    The latter are views without arguments, and views that take a storage key of their contract.
    """
    wanted: dict[ViewCall, None] = {}
    for name, kind in kinds.items():
        keys: dict[tuple[str, ...], dict[tuple[Hashable, ...], None]] = {(): {(): None}}
        for words in evidence[name].values():
            for key in map(parse_key, words):
                parts = key if isinstance(key, tuple) else (key,)
                keys.setdefault(tuple(_ABI_TYPES[type(part)] for part in parts), {})[parts] = None
        for function in artifacts[kind].contract_abi.functions.values():
            if function.view:
                for args in keys.get(tuple(each.type for each in function.inputs), ()):
                    wanted[name, function.name, args] = None
    wanted |= dict.fromkeys(told)
    for name, method, args in wanted:
        artifact = artifacts[kinds[name]]
        function = artifact.contract_abi.get_function(method, len(args))
        entry = next(
            each
            for each in artifact.abi_json
            if each.get("name") == method and each["type"] == "function" and len(each["inputs"]) == len(args)
        )
        yield _AskedView(name, addresses[name], function, entry, args)


# ---------------------------------------------------------------------- comparing


def _compare_views(
    reader: Any, node: Node, block: dict[str, Any], views: Sequence[_AskedView], told: dict[ViewCall, Any]
) -> Iterator[str]:
    """Yield a line for each view on which web3.py, the own client and the audit do not agree."""
    from backstop.live.solvency.web3_reader import decode_result_by_eth_abi, encode_call_by_eth_abi

    encoded = [encode_call_by_eth_abi(each.entry, each.args) for each in views]
    own = [each.function.encode_call(each.args) for each in views]
    calls = [(each.address, data) for each, data in zip(views, encoded, strict=True)]
    theirs = reader.call_views(calls)
    asked = [
        ("eth_call", ({"to": each.address, "data": "0x" + data.hex()}, hex(block["number"])))
        for each, data in zip(views, own, strict=True)
    ]
    answers = node.client.request_batch_keeping_errors(asked)
    for each, data, own_data, raw, answer in zip(views, encoded, own, theirs, answers, strict=True):
        if data != own_data:
            yield f"{each.text}: called with 0x{data.hex()} by eth-abi, 0x{own_data.hex()} by the own codec"
        second = raw if isinstance(raw, str) else decode_result_by_eth_abi(each.entry, raw)
        first = _decode_own_answer(each.function, answer)
        audited = told.get((each.contract, each.function.name, each.args), second)
        if isinstance(audited, RevertError):
            audited = f"reverts: {audited.reason}"
        witness, client, statement = map(_format_value, (second, first, audited))
        if client != witness:
            yield f"{each.text}: {witness} by web3.py, {client} by the own client"
        if statement != witness:
            yield f"{each.text}: {witness} by web3.py, {statement} in the audit"


def _decode_own_answer(function: Function, answer: Any) -> Any:
    """Return the value of an answer to the own client; a text if the call reverted or is malformed."""
    if isinstance(answer, RpcError):
        data = revert_data(answer)
        if data is None:
            raise answer
        return f"reverts: {decode_revert(data)}"
    try:
        return function.decode_result(bytes.fromhex(answer[2:]))
    except AbiDecodingError as error:
        return f"no answer by the own codec: {error}"


def _format_value(value: Any) -> str:
    """Return an ABI value as text, in the same form for tuples, lists and records."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_format_value, value))})"
    return str(value)
