"""Addresses of nodes: the accepted forms, and that messages contain no secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli import deploy, keeper, mirror
from backstop.errors import BackstopError
from backstop.hosts.endpoint import mask_url
from backstop.hosts.rpc_client import NodeClient
from backstop.live.node.rpc_node import require_lasting_node_address

SECRETS = ("me", "word", "key", "token")
COMMANDS = {
    "keeper": (keeper.cli, ("--roles", "accruer", "--once")),
    "mirror": (mirror.cli, ("--once",)),
    "deploy": (deploy.cli, ()),
}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://me:word@node.example:8545/v3/key?token=1", "https://node.example:8545"),
        ("https://node.example?token=1", "https://node.example"),
        ("http://[::1]:8545/key", "http://[::1]:8545"),
        ("wss://me:word@node.example/key", "wss://node.example"),
        ("me:word@node.example/key", "node.example"),
        ("node.example/v3/key", "node.example"),
        ("http://me:wo/rd@node.example/key", "http://..."),
        ("http://[::1/key", "http://[::1"),
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("/run/node.ipc", "/run/node.ipc"),
        ("ethereum:sepolia:node", "ethereum:sepolia:node"),
    ],
)
def test_only_the_host_of_an_address_is_told(url: str, told: str) -> None:
    assert mask_url(url) == told


@pytest.mark.parametrize("scheme", ["ws", "wss", "WSS", "ipc"])
@pytest.mark.parametrize("end", ["", "/node.ipc"])
def test_websockets_are_refused_in_one_line(scheme: str, end: str) -> None:
    url = f"{scheme}://me:word@node.example:8546/key{end}"
    line = (
        f"{scheme}://node.example:8546: {scheme}:// is not supported: use the node's http:// or https:// "
        "address, or the path of its IPC socket"
    )
    for refusing in (NodeClient, require_lasting_node_address):
        with pytest.raises(BackstopError) as raised:
            refusing(url)
        assert str(raised.value) == line


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "url",
    [
        "wss://me:word@node.invalid/v3/key?token=1",
        "http://me:word@127.0.0.1:1/v3/key?token=1",
        "http://me:word@127.0.0.1:port/v3/key?token=1",
        "http://me:wo rd@127.0.0.1:1/v3/key?token=1",
        "http://127.0.0.1:1/v3/key\u00e9?token=1",
        "me:word@node.invalid/v3/key?token=1",
        "node.invalid/v3/key?token=1",
    ],
)
def test_no_command_tells_a_key(command: str, url: str, tmp_path: Path) -> None:
    cli, flags = COMMANDS[command]
    result = CliRunner(mix_stderr=False).invoke(cli, ["--network", url, *flags])
    assert result.exit_code != 0 and result.stderr.count("\n") == 1 and result.stdout == ""
    words = result.stderr.replace("APE_ACCOUNTS", "")
    assert not [each for each in SECRETS if f"{each}:" in words or f"/{each}" in words or f"{each}=" in words]
    assert "word" not in words and "wo rd" not in words and "v3" not in words
