"""A relay that has transactions mined without showing them: its JSON-RPC, as Flashbots documents it.

Each request is signed in a header, by a key that holds no money: it is only a name, a new one at every start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_hash.auto import keccak

from backstop.errors import BackstopError
from backstop.hosts.rpc import Client, never

SIGNATURE = "X-Flashbots-Signature"
WAYS = ("private", "bundle")


@dataclass(frozen=True)
class RelaySettings:
    """A relay, the roles whose transactions go there, and the blocks that it has for each."""

    url: str
    roles: tuple[str, ...]
    blocks: int = 3
    way: str = "private"  # eth_sendPrivateTransaction, or "bundle", eth_sendBundle


class Relay:
    """A relay. It is asked for one thing at a time, since relays take no batches."""

    def __init__(self, settings: RelaySettings, timeout: float, stop: Callable[[], bool] = never) -> None:
        self.settings = settings
        self._key: Any = Account.create()
        self._client = Client(settings.url, timeout, stop, headers=self._headers)

    def send(self, raw: str, height: int) -> int:
        """Hand over a transaction after block `height`; return the last block that may have it.

        Raises BackstopError if the relay does not take it.
        """
        last = height + self.settings.blocks
        if self.settings.way == "private":
            self._client.request("eth_sendPrivateTransaction", {"tx": raw, "maxBlockNumber": hex(last)})
            return last
        for block in range(height + 1, last + 1):  # one nonce: whichever block has it, the others cannot
            self._client.request("eth_sendBundle", {"txs": [raw], "blockNumber": hex(block)})
        return last

    def _headers(self, body: bytes) -> dict[str, str]:
        message = encode_defunct(text="0x" + keccak(body).hex())
        signed = Account.sign_message(message, self._key.key)
        return {SIGNATURE: f"{self._key.address}:0x{bytes(signed.signature).hex()}"}

    def why(self, error: BackstopError) -> str:
        """Say why the relay did not take a transaction."""
        return f"the relay at {self._client.where} does not take it ({error})"
