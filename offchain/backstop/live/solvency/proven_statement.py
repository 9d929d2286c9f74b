"""An audit: the statement of one block, and the proofs that it follows from the block's hash.

The file is whole by itself: the block's header, the nodes of the state's tries on the way to every slot
that a figure depends on, the slots by their names, and the deployment with its parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from eth_utils.crypto import keccak

from backstop.contract_base import Written
from backstop.deployment.deployment_file import deployment_from_json, deployment_to_json
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json
from backstop.hosts.artifacts import Artifacts, ArtifactSource
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.contract_creation import Creation, deploy_at_planned_address
from backstop.hosts.host_interface import GENESIS
from backstop.hosts.model_system import ModelSystem
from backstop.hosts.revm import RevmHost
from backstop.hosts.rpc_client import RpcError
from backstop.hosts.world_storage_json import (
    Words,
    encode_nonzero_storage_words,
    format_table_key,
    load_words,
    parse_key,
)
from backstop.live.mirror.chain_mirror import Mirror
from backstop.live.mirror.successor_policies import (
    convert_creations_to_json,
    create_policy_model,
    parse_successor_policy_creations,
)
from backstop.live.node.rpc_node import Node
from backstop.live.node.storage_proofs import Header, TrieNodes, UnprovenError, encode_header, read_header
from backstop.live.solvency.recording_and_proven_tables import (
    refuse_reads_of_missing_slots,
    start_recording_reads_into_list,
)
from backstop.live.solvency.solvency_statement import build_statement

SCHEMA_VERSION = 1
_SLOTS_AT_ONCE = 200


class VerificationResult(NamedTuple):
    """Result of a verified audit: the block's header, and counts of figures, slots and contracts."""

    header: Header
    figures: int
    slots: int
    contracts: int


def build_proven_statement(mirror: Mirror, price_jump_bps: int | None = None) -> dict[str, Any]:
    """Return an audit of the mirror's newest block: the solvency statement with storage proofs.

    The mirror's state must have been compared with the chain at that block. `price_jump_bps` is the stress
    jump of perpetual markets [basis points]. The audit is verified before it is returned. Raise BackstopError
    if the node cannot prove the block's state.
    """
    deployment, node = mirror.deployment, mirror.node
    block = node.request("eth_getBlockByNumber", hex(mirror.block), False)
    if block is None or block["hash"] != mirror.hash:
        raise BackstopError(f"block {mirror.block} is no longer part of the chain: run it again")
    if not int(block["stateRoot"], 16):
        raise BackstopError("the node has no state roots, as a fork of another chain: nothing can be proven")
    words = encode_nonzero_storage_words(mirror.model.world)
    copy = _build_empty_model(deployment, mirror.later, mirror.model.timestamp, mirror.block)
    load_words(copy.world, words)
    reads = start_recording_reads_into_list(copy.world)
    figures = build_statement(copy, deployment, price_jump_bps)
    slots = dict.fromkeys(reads)
    evidence: dict[str, dict[str, dict[str, str]]] = {
        name: {path: {} for path in contract.tables} for name, contract in copy.world.contracts.items()
    }
    for read in slots:
        text = format_table_key(read.key)
        evidence[read.contract][read.path][text] = words[read.contract][read.path].get(text, "0x0")
    content = {
        "schema_version": SCHEMA_VERSION,
        "block": {"number": mirror.block, "hash": mirror.hash, "timestamp": mirror.model.timestamp},
        "deployment": deployment_to_json(deployment),
        "later": convert_creations_to_json(mirror.later),
        "gap_bps": price_jump_bps,
        "statement": figures,
        "mirror": {"fields_compared": mirror.fields_compared, "differences": len(mirror.differences)},
        "evidence": {
            "header": "0x" + encode_header(block).hex(),
            "nodes": [
                "0x" + each.hex()
                for each in _collect_trie_nodes(node, mirror.chain, list(slots), mirror.block)
            ],
            "slots": evidence,
        },
    }
    recompute_audit_from_proofs(content, mirror.hash, mirror.chain.artifacts)
    return content


def _collect_trie_nodes(node: Node, chain: ChainSystem, slots: Sequence[Written], block: int) -> list[bytes]:
    """Return the trie nodes that prove these slots and every contract's account, each once."""
    found: dict[str, None] = {}
    wanted: dict[str, list[str]] = {name: [] for name in chain.kinds}
    for slot in slots:
        wanted[slot.contract].append(f"{chain.compute_slot(*slot):#066x}")
    for name, numbers in wanted.items():
        for start in range(0, max(1, len(numbers)), _SLOTS_AT_ONCE):
            part = numbers[start : start + _SLOTS_AT_ONCE]
            try:
                proof = node.request("eth_getProof", chain.addresses[name], part, hex(block))
            except RpcError as error:
                raise BackstopError(
                    f"the node proves nothing of block {block} ({error.reason}): an archive node can"
                ) from None
            found |= dict.fromkeys(proof["accountProof"])
            for each in proof["storageProof"]:
                found |= dict.fromkeys(each["proof"])
    return [bytes.fromhex(each[2:]) for each in found]


# ---------------------------------------------------------------------- verifying


def read_audit(path: Path) -> dict[str, Any]:
    """Return the content of an audit file; raise BackstopError if it is missing or of another version."""
    return read_versioned_json(path, "audit", SCHEMA_VERSION, "check the path", "make it again")


def recompute_audit_from_proofs(
    audit: dict[str, Any], block_hash: str, artifacts: ArtifactSource
) -> VerificationResult:
    """Verify an audit: recompute each figure from storage slots that are proven for the block.

    The code at the contracts' addresses must be the compiled code of these sources. Raise UnprovenError if a
    figure, a slot or code is not proven, and BackstopError if the file is not a valid audit.
    """
    try:
        deployment = deployment_from_json(audit["deployment"])
        evidence = audit["evidence"]
        header = read_header(bytes.fromhex(evidence["header"][2:]), block_hash)
        told = audit["block"]
        if (told["number"], told["hash"].lower(), told["timestamp"]) != (
            header.number,
            block_hash.lower(),
            header.timestamp,
        ):
            raise UnprovenError("the file says another block, or another time, than its header")
        nodes = TrieNodes(bytes.fromhex(each[2:]) for each in evidence["nodes"])
        later = parse_successor_policy_creations(audit.get("later", []))  # without in files of old
        slots = _verify_and_count_slots(
            deployment, later, nodes, header.state_root, evidence["slots"], artifacts
        )
        model = _build_empty_model(deployment, later, header.timestamp, header.number)
        load_words(model.world, evidence["slots"])
        claimed = audit["statement"]
        gap = audit.get("gap_bps")  # without in files of old
        if gap is not None and type(gap) is not int:
            raise TypeError("gap_bps")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackstopError(f"this is not a valid audit ({error!r}): make it again") from None
    figures = _verify_and_count_figures(model, deployment, claimed, gap)
    return VerificationResult(header, figures, slots, len(deployment.creations) + len(later))


def load_audited_model(audit: dict[str, Any]) -> tuple[ModelSystem, Deployment, Header]:
    """Return a model that holds the slots of an audit, the deployment, and the block's header.

    The proofs are not checked. Raise BackstopError if the file is not a valid audit.
    """
    try:
        deployment = deployment_from_json(audit["deployment"])
        block, evidence = audit["block"], audit["evidence"]
        header = read_header(bytes.fromhex(evidence["header"][2:]), block["hash"])
        later = parse_successor_policy_creations(audit.get("later", []))
        model = _build_empty_model(deployment, later, block["timestamp"], block["number"])
        load_words(model.world, evidence["slots"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackstopError(f"this is not a valid audit ({error!r}): make it again") from None
    return model, deployment, header


def list_figure_differences(figures: Any, claimed_statement: Any) -> tuple[int, list[str]]:
    """Return the number of figures in a statement, and a line for each that an audit claims otherwise."""
    pairs = list(_iter_figure_pairs("", figures, claimed_statement))
    return len(pairs), [
        f"{place}: {mine!r} by its own slots, {theirs!r} in the audit"
        for place, mine, theirs in pairs
        if mine != theirs
    ]


def _build_empty_model(
    deployment: Deployment, later_creations: Sequence[Creation], timestamp: int, block_number: int
) -> ModelSystem:
    """Return a model with all contracts of a deployment created, at a block's time and number."""
    model = create_model(deployment, timestamp)
    model.world.block_number = block_number
    for creation in later_creations:
        create_policy_model(model.world, creation)
    return model


def _verify_and_count_slots(
    deployment: Deployment,
    later_creations: Sequence[Creation],
    trie_nodes: TrieNodes,
    state_root: bytes,
    claimed_words: Words,
    artifacts: ArtifactSource,
) -> int:
    """Verify each contract's code and each claimed storage word; return the number of slots.

    Raise UnprovenError for other code than the sources compile to, or another word.
    """
    hosted = _deploy_on_fresh_revm(deployment, artifacts)
    chain = ChainSystem(hosted, artifacts, deployment.contract_kinds, deployment.addresses)
    count = 0
    codes = {each.address: hosted.get_code(each.address) for each in deployment.creations}
    for creation in later_creations:
        artifact = artifacts[creation.kind]
        data = artifact.bytecode + artifact.contract_abi.constructor.encode(creation.args)
        codes[creation.address] = hosted.get_code(hosted.deploy_contract(data, deployment.deployer))
        chain.add_contract(creation.name, creation.kind, creation.address)
    for creation in (*deployment.creations, *later_creations):
        account = trie_nodes.get_account(state_root, creation.address)
        if account.code_hash != keccak(codes[creation.address]):
            raise UnprovenError(
                f"the {creation.name} at {creation.address} has other code than these sources"
            )
        for path, keys in claimed_words[creation.name].items():
            for text, word in keys.items():
                proven = trie_nodes.get_word(
                    account.storage_root, chain.compute_slot(creation.name, path, parse_key(text))
                )
                count += 1
                if proven != int(word, 16):
                    where = f"[{text}]" if text else ""
                    raise UnprovenError(
                        f"{creation.name} {path}{where} is {proven:#x} in the block's state, "
                        f"the file says {word}"
                    )
    return count


def _deploy_on_fresh_revm(deployment: Deployment, artifacts: ArtifactSource) -> RevmHost:
    """Return an EVM with the same contracts at the same addresses.

    Their code is needed for comparison, since it contains the constructors' arguments.
    """
    host = RevmHost(GENESIS, deployment.chain_id)
    host.set_nonce(deployment.deployer, deployment.first_nonce)
    if isinstance(artifacts, Artifacts):  # two at a time, where they are not compiled yet
        artifacts.load(creation.kind for creation in deployment.creations)
    for creation in deployment.creations:
        deploy_at_planned_address(host, artifacts, creation, deployment.deployer)
    return host


def _verify_and_count_figures(
    model: ModelSystem, deployment: Deployment, claimed_statement: Any, price_jump_bps: int | None
) -> int:
    """Check that the statement follows from the slots and is complete; return its number of figures.

    Raise UnprovenError if a figure differs or a completeness check is not zero.
    """
    refuse_reads_of_missing_slots(model.world)
    follows = build_statement(model, deployment, price_jump_bps)
    for place, mine, theirs in _iter_figure_pairs("", follows, claimed_statement):
        if mine != theirs:
            raise UnprovenError(f"{place} is {mine!r} by the block's state, the file says {theirs!r}")
    open_ends = {name: gap for name, gap in follows["checks"].items() if int(gap)}
    if open_ends:
        raise UnprovenError(f"the statement leaves something out: {open_ends}")
    return sum(1 for _ in _iter_figure_pairs("", follows, claimed_statement))


def _iter_figure_pairs(place: str, mine: Any, theirs: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield each figure of two statements: its path, and the values of the two statements."""
    if isinstance(mine, dict) and isinstance(theirs, dict) and mine.keys() == theirs.keys():
        for name in mine:
            yield from _iter_figure_pairs(f"{place}.{name}" if place else name, mine[name], theirs[name])
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for i, pair in enumerate(zip(mine, theirs, strict=True)):
            yield from _iter_figure_pairs(f"{place}[{i}]", *pair)
    else:
        yield place, mine, theirs
