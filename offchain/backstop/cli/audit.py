"""A statement of debts and of the assets behind them, at one block, with proofs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    format_repeat_command,
    handle_errors,
    handle_stop_signals,
    json_option,
    open_output,
    output_options,
    show_progress_bar,
)
from backstop.errors import BackstopError
from backstop.live.operate.network_options import deployment_option, network_option

if TYPE_CHECKING:
    from backstop.live.solvency.independent_witness import WitnessReport


@click.command(
    cls=Command,
    old_options={"--gap": "--price-jump"},
    short_help="Audit debts and assets of a deployment at a block, with proofs",
    epilog="""\b
Examples:
  ape run audit --network http://127.0.0.1:8545
  ape run audit --network http://127.0.0.1:8545 --block 1200 --out runs/audit
  ape run audit --network http://127.0.0.1:8545 --independent
  ape run audit --verify runs/audit/audit.json --block-hash 0x...
""",
)
@network_option
@deployment_option
@click.option("--block", type=click.IntRange(0), help="Block number of the audit.  [default: the newest]")
@click.option(
    "--price-jump",
    "gap",
    type=click.IntRange(1, 100_000),
    metavar="BPS",
    help="Assumed price jump of perpetual markets, in basis points.  [default: twice the initial "
    "margin of each]",
)
@click.option(
    "--independent",
    is_flag=True,
    help="Read all values again with web3.py and eth-abi, and compare.",
)
@output_options("Folder for audit.json and audit.html.", "runs/audit-<block>")
@click.option(
    "--verify",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Audit file to verify against --block-hash, without a node.  [default: none]",
)
@click.option(
    "--block-hash",
    metavar="HASH",
    help="With --verify: hash of the audited block, from a source that you trust.  [default: none]",
)
@json_option
@handle_errors
def cli(
    network: str | None,
    deployment: Path,
    block: int | None,
    gap: int | None,
    independent: bool,
    out: Path | None,
    fresh: bool,
    file: Path | None,
    block_hash: str | None,
    as_json: bool,
) -> None:
    """Audit the debts and assets of a deployment at a block, with a proof of every value.

    The history of the deployment is replayed into the model up to the block. --verify checks the proofs of an
    audit against the hash of the block, and computes every figure again. --independent reads all values with
    a second client and codec.

    Reads the deployment file, or the file of --verify. Writes audit.json and audit.html.

    Exit codes: 0 on success, 1 if a proof, a figure or an independent value differs or on an error, 2 on
    invalid options.
    """
    from backstop.deployment.deployment_file import read_deployment
    from backstop.files.atomic_files import write_json
    from backstop.hosts.artifacts import Artifacts
    from backstop.live.mirror.chain_mirror import open_mirror
    from backstop.live.operate.network_options import (
        connect_node,
        describe_chain_inputs,
        resolve_node_url,
    )
    from backstop.live.solvency.proven_statement import (
        build_proven_statement,
        read_audit,
        recompute_audit_from_proofs,
    )
    from backstop.live.solvency.statement_table import print_statement
    from backstop.report.solvency_audit_page import render_solvency_audit_page

    if file is not None:
        if independent:
            raise BackstopError(
                "--independent: given with --verify, which uses no node; expected one of the two"
            )
        if block_hash is None:
            raise BackstopError(
                "--block-hash: missing with --verify; expected the hash of the block, from a trusted node"
            )
        content = read_audit(file)
        verdict = recompute_audit_from_proofs(content, block_hash, Artifacts())
        said = {
            "block": verdict.header.number,
            "state_root": "0x" + verdict.header.state_root.hex(),
            "contracts": verdict.contracts,
            "slots": verdict.slots,
            "figures": verdict.figures,
        }
        print(
            json.dumps(said) if as_json else "\n".join(f"{name:<11}{value}" for name, value in said.items())
        )
        if not as_json:
            print("every figure follows from the block's hash")
        return
    if block_hash is not None:
        raise BackstopError("--block-hash: given without --verify; expected both or neither")
    if independent:  # before anything is replayed: it may not be installed
        from backstop.live.solvency.independent_witness import compare_audit_with_web3
        from backstop.live.solvency.web3_reader import open_web3
    node = connect_node(network)
    last = node.get_head().number if block is None else block
    folder = out or RUNS / f"audit-{last}"
    mirror = open_mirror(node, read_deployment(deployment))
    settings = {**describe_chain_inputs(node, deployment), "block": last} | (
        {} if gap is None else {"gap": gap}
    )
    output = open_output(folder, "audit", settings, fresh=fresh)
    if output.finished:
        content = output.read_result("audit.json")
    else:
        with handle_stop_signals("stopping ...") as stop, show_progress_bar() as progress:
            mirror.replay_to_block(last, lambda done, total: progress(done, total, "replaying"), stop)
        content = build_proven_statement(mirror, gap)
    command = format_repeat_command(
        "audit", **{"verify": folder / "audit.json", "block-hash": content["block"]["hash"]}
    )
    if not output.finished:
        write_json(content, folder / "audit.json")
        (folder / "audit.html").write_text(render_solvency_audit_page(content, command), encoding="utf-8")
        output.mark_finished()
    witness: WitnessReport | None = None
    if independent:
        with show_progress_bar() as progress:
            witness = compare_audit_with_web3(
                content,
                node,
                open_web3(resolve_node_url(network or "")),
                Artifacts(),
                lambda done, total: progress(done, total, "comparing"),
            )
    if as_json:
        files = {"audit": str(folder / "audit.json"), "page": str(folder / "audit.html"), "verify": command}
        second = {} if witness is None else {"independent": witness._asdict()}
        print(json.dumps({**content["statement"], "block": content["block"], **files, **second}, indent=2))
        _refuse_differences(witness)
        return
    print_statement(content["statement"], content["block"])
    print(f"model against chain  {content['mirror']['differences']} differences since the deployment")
    if witness is not None:
        for line in witness.differences:
            print(line)
        print(
            f"read again by {witness.client}: {witness.contracts} contracts, {witness.slots} slots and "
            f"{witness.calls} views behind {witness.figures} figures, {len(witness.differences)} differences"
        )
    print(folder / "audit.json")
    print(folder / "audit.html")
    print(f"verify it with: {command}")
    _refuse_differences(witness)


def _refuse_differences(witness: WitnessReport | None) -> None:
    """Raise BackstopError if the second client has read values that differ from the audit's."""
    if witness is not None and witness.differences:
        raise BackstopError(
            f"{len(witness.differences)} values differ between the audit and {witness.client}: "
            "believe neither, and run it at another node"
        )
