"""A relay that has transactions mined without showing them: its JSON-RPC, as Flashbots documents it.

Each request is signed in a header, by a key that holds no money: it is only a name, a new one at every start.
A relay in trouble is left alone for a while, since each try may cost a whole timeout.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_hash.auto import keccak

from backstop.errors import BackstopError
from backstop.hosts.rpc_client import NodeClient, NodeUnavailableError, RpcError, never_stop
from backstop.live.node.backoff import Backoff

SIGNATURE = "X-Flashbots-Signature"
WAYS = ("private", "bundle")
MOST_REFUSED = 3
"""Transactions refused in a row that are the relay's own trouble."""
_LONGEST_REST = 300.0  # seconds, as of a node


@dataclass(frozen=True)
class RelaySettings:
    """Settings of a private relay: its URL, the roles that use it, and the blocks that it has.

    After these blocks a transaction is sent to the public pool.
    """

    url: str
    roles: tuple[str, ...]
    blocks: int = 3
    way: str = "private"  # eth_sendPrivateTransaction, or "bundle", eth_sendBundle


class Relay:
    """Client of a private relay, which has transactions mined without showing them in the public pool.

    Requests are sent one at a time, since relays take no batches.
    """

    def __init__(
        self,
        settings: RelaySettings,
        timeout: float,
        stop: Callable[[], bool] = never_stop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._failures = 0
        self._rest = Backoff(_LONGEST_REST, clock)
        self._pause = 0.0  # how long it was left alone by the last failure
        self._key: Any = Account.create()
        self._client = NodeClient(settings.url, timeout, stop, headers=self._build_ecdsa_signature_headers)

    @property
    def well(self) -> bool:
        """Whether the relay may be asked now; after errors it is not asked for up to five minutes."""
        return self._rest.over

    def send_transaction(self, raw: str, after_block: int) -> int:
        """Send a raw transaction to the relay and return the last block that may include it.

        The blocks after `after_block` may include it. Raise BackstopError if the relay does not take it.
        """
        try:
            last = self._request_inclusion(raw, after_block)
        except BackstopError as error:
            self._start_backoff(error)
            raise
        self._failures = 0
        return last

    def _start_backoff(self, error: BackstopError) -> None:
        """Do not ask the relay for a while, unless it has only refused this transaction."""
        self._failures += 1
        self._pause = 0.0
        wanted = error.retry_after if isinstance(error, NodeUnavailableError) else 0.0
        about_this = isinstance(error, RpcError) and not wanted
        if not about_this or self._failures >= MOST_REFUSED:
            self._pause = self._rest.start_pause(self._failures, wanted)

    def _request_inclusion(self, raw: str, height: int) -> int:
        last = height + self.settings.blocks
        if self.settings.way == "private":
            self._client.request("eth_sendPrivateTransaction", {"tx": raw, "maxBlockNumber": hex(last)})
            return last
        for block in range(height + 1, last + 1):  # one nonce: whichever block has it, the others cannot
            self._client.request("eth_sendBundle", {"txs": [raw], "blockNumber": hex(block)})
        return last

    def _build_ecdsa_signature_headers(self, body: bytes) -> dict[str, str]:
        message = encode_defunct(text="0x" + keccak(body).hex())
        signed = Account.sign_message(message, self._key.key)
        return {SIGNATURE: f"{self._key.address}:0x{bytes(signed.signature).hex()}"}

    def explain_transaction_refusal(self, error: BackstopError) -> str:
        """Return a text on why the relay did not take a transaction, and how long it will not be asked."""
        pause = f", and is left alone for {self._pause:.0f} s" if self._pause else ""
        return f"the relay at {self._client.where} does not take it ({error}){pause}"
