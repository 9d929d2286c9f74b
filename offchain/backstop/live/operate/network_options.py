"""Options that the commands on a lasting chain share, and their effects."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from backstop.deployment.deployment_file import read_deployment
from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.files.installation import format_command_as_started
from backstop.files.output_directories import hash_value_repr
from backstop.hosts.rpc_client import NodeUnavailableError, never_stop
from backstop.live.monitor.status_publisher import StatusPublisher
from backstop.live.node.failover import Failover
from backstop.live.node.gas_fees import FEE_CAP, GWEI
from backstop.live.node.log_lines import Line
from backstop.live.node.remote_signer import RemoteSigner
from backstop.live.node.rpc_node import LOCAL, TIMEOUT, Node, sleep_in_short_naps
from backstop.live.node.signers import Signers, parse_accounts
from backstop.live.operate.live_system import LiveSystem

P = ParamSpec("P")
T = TypeVar("T")

# Seconds between two looks for a node that is gone.
_AGAIN = 1.0


def add_network_url_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add the repeatable option `--network URL` to a click command and return the command."""
    return click.option(
        "--network",
        multiple=True,
        metavar="URL",
        help="Address of a node (http://... or the path of its socket), or a network of Ape with a `uri` in "
        "ape-config.yaml; repeatable, each further node takes over from a failed one; required, unless "
        "--config names a node.",
    )(command)


def network_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add the option `--network URL`, for a single node, to a click command and return the command."""
    return click.option(
        "--network",
        metavar="URL",
        help=f"Address of a node, as {LOCAL}, the path of its socket, or a network of Ape; required to "
        "read a chain.",
    )(command)


def deployment_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add the option `--deployment FILE` to a click command and return the command."""
    return click.option(
        "--deployment",
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path("deployment.json"),
        show_default=True,
        help="Deployment file that `deploy` wrote.",
    )(command)


def describe_chain_inputs(node: Node, deployment: Path) -> dict[str, Any]:
    """Return the chain and the deployment that a result folder depends on, by label.

    Hashes of blocks are included, since another devnet with the same chain id has other blocks.
    """
    read = read_deployment(deployment)
    return {
        "chain": node.chain_id,
        "content of the chain": hash_value_repr((node.get_block_hash(0), node.get_block_hash(read.block))),
        "content of the deployment": hash_value_repr(read),
    }


def account_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add the repeatable option `--account ROLE=ALIAS` to a click command and return the command."""
    return click.option(
        "--account",
        multiple=True,
        metavar="ROLE=ALIAS",
        help="Account of a role: an alias of Ape (unlocked by APE_ACCOUNTS_<alias>_PASSPHRASE), or "
        "ROLE=0xADDRESS for a role that does not sign; "
        "repeatable.  [default: an account of the node on a test chain, else none]",
    )(command)


def fee_cap_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add the option `--fee-cap GWEI` to a click command and return the command; its value is in wei."""
    return click.option(
        "--fee-cap",
        type=click.IntRange(1),
        default=FEE_CAP // GWEI,
        show_default=True,
        callback=lambda _context, _option, value: value * GWEI,
        help="Highest price of a unit of gas, in gwei.",
    )(command)


def resolve_node_url(network: str) -> str:
    """Return the node's URL for a network name of Ape, such as `ethereum:mainnet:node`.

    Any other text, and a `local` network of Ape, is returned unchanged. Raise BackstopError if Ape's
    configuration has no `uri` for the name.
    """
    match = re.fullmatch(r"([a-z][\w-]*):([\w-]+)(?::(\w+))?", network)
    if match is None or match[2] == "local":  # what Ape starts ends with the command
        return network
    import ape

    ecosystem, name, provider = match[1], match[2], match[3] or "node"
    settings = ape.config.get_config(provider).model_dump()
    uri = ((settings.get(ecosystem) or {}).get(name) or {}).get("uri")
    if not uri:
        raise BackstopError(
            f"Ape has no address for {network!r}: put `{provider}: {{{ecosystem}: {{{name}: "
            "{uri: ...}}}` into ape-config.yaml, or name an address"
        )
    return str(uri)


def connect_node(
    network: str | None, timeout: float = TIMEOUT, stop: Callable[[], bool] = never_stop
) -> Node:
    """Connect to the node of a URL or of a network of Ape, and check that it answers.

    `timeout` is for each request [seconds]. Once `stop` returns true no answer is waited for. Raise
    BackstopError if `network` is None.
    """
    if network is None:
        raise BackstopError(
            "no --network: a deployment needs a chain that stays; start one with "
            f"`{format_command_as_started('devnet')}` and name it, --network {LOCAL}"
        )
    node = Node(resolve_node_url(network), timeout, stop=stop)
    _ = node.chain_id
    return node


def connect_node_with_failover(
    networks: Sequence[str],
    say: Callable[[str], None],
    timeout: float = TIMEOUT,
    stop: Callable[[], bool] = never_stop,
) -> Node:
    """Connect to the first of some nodes; further nodes take over when it fails.

    `say` receives a line whenever the client switches from one node to another. With fewer than two networks
    it is `connect_node`.
    """
    if len(networks) < 2:
        return connect_node(networks[0] if networks else None, timeout, stop)
    urls = [resolve_node_url(each) for each in networks]
    return Node(urls[0], client=Failover(urls, timeout, lambda text: say(Line(text, "node")), stop=stop))


def connect_to_deployment_node(
    networks: Sequence[str],
    deployment: Deployment,
    say: Callable[[str], None],
    observer: StatusPublisher | None,
    patience: float,
    timeout: float = TIMEOUT,
    stop: Callable[[], bool] = never_stop,
) -> Node:
    """Connect to nodes of the deployment's chain; raise NodeUnavailableError if none answers.

    Without an observer, the error is raised at once, for the user at the terminal. A watched process waits up
    to `patience` seconds. Otherwise a supervisor would restart the process again and again, and each start
    would end with an alert.
    """
    began, node = time.monotonic(), None
    while True:
        try:
            node = node or connect_node_with_failover(networks, say, timeout, stop)
            node.require_deployment(deployment)
            if observer is not None and observer.board.gone:
                say(Line("the node is back", "node back"))
            return node
        except NodeUnavailableError as error:
            if observer is None or stop() or time.monotonic() - began > patience:
                raise
            if not observer.board.gone:
                say(Line(f"{error}; waiting up to {patience:.0f} s", "node gone"))
            observer.note_node_gone(str(error))
            sleep_in_short_naps(max(_AGAIN, error.retry_after), stop)


def build_signers_and_named_accounts(
    node: Node, accounts: tuple[str, ...], remote: RemoteSigner | None = None
) -> tuple[Signers, dict[str, str]]:
    """Return the signers of this process, and the address of each named account by role.

    `accounts` are options of the form ROLE=ALIAS or ROLE=0xADDRESS. `remote` is a remote signer, if any.
    """
    signers = Signers(test_accounts=node.is_test_chain, remote=remote)
    return signers, parse_accounts(accounts, signers)


def open_system_and_named_accounts(
    node: Node,
    file: Path,
    accounts: tuple[str, ...] = (),
    fee_cap: int = FEE_CAP,
    impersonate: bool = False,
) -> tuple[LiveSystem, dict[str, str]]:
    """Open a deployment file on a node; return the LiveSystem and the named accounts by role.

    `accounts` are options of the form ROLE=ALIAS or ROLE=0xADDRESS. `fee_cap` is in wei per gas.
    `impersonate` lets a test node send for any account.
    """
    deployment = read_deployment(file)
    node.require_deployment(deployment)
    signers, named = build_signers_and_named_accounts(node, accounts)
    return LiveSystem(node, deployment, signers, fee_cap=fee_cap, impersonate=impersonate), named
