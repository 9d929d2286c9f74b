"""A signer in another process: Web3Signer, or another service with its JSON-RPC.

Keys stay there. The answer of a signer is trusted no more than a node's: it has to be the requested
transaction, signed by the account.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from backstop.errors import BackstopError
from backstop.hosts.rpc_client import NodeClient, NodeUnavailableError, RpcError, never_stop
from backstop.live.node.backoff import Backoff

_NUMBERS = ("chainId", "nonce", "value", "gas", "maxFeePerGas", "maxPriorityFeePerGas")
_TYPE = b"\x02"  # that of EIP-1559: others have fields that nobody asked for
_LONGEST_REST = 60.0  # seconds; nothing of its accounts is sent meanwhile


class SignerUnavailableError(BackstopError):
    """Error raised if the remote signer does not answer or answers wrongly; nothing was signed."""


class RemoteSigner:
    """Client of a signer in another process (Web3Signer or the like), which holds its accounts' keys.

    The list of accounts is read at the start. A signer that does not answer is not asked for a while, since
    other transactions would wait for it, too.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        stop: Callable[[], bool] = never_stop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = NodeClient(url, timeout, stop)
        self._failures = 0
        self._problem = ""  # of the last failure
        self._rest = Backoff(_LONGEST_REST, clock)
        self.accounts = frozenset(each.lower() for each in self._request_signer("eth_accounts"))

    def sign_transaction(self, address: str, transaction: Mapping[str, Any]) -> str:
        """Return the signed raw transaction as hex.

        Raise SignerUnavailableError if the signer fails, or returns another transaction than the given one.
        """
        asked = {name: hex(transaction[name]) for name in _NUMBERS if name != "chainId"}
        asked |= {"from": address, "to": transaction["to"], "data": transaction["data"]}
        raw = str(self._request_signer("eth_signTransaction", asked))
        problem = _describe_difference(address, transaction, raw)
        if problem is not None:
            raise SignerUnavailableError(f"the signer at {self._client.where} is not believed: {problem}")
        return raw

    def _request_signer(self, method: str, *params: Any) -> Any:
        if not self._rest.over:
            raise SignerUnavailableError(self._problem)
        try:
            answer = self._client.request(method, *params)
        except (RpcError, NodeUnavailableError) as error:
            self._note_failure(error)
            raise SignerUnavailableError(self._problem) from None
        self._failures = 0
        return answer

    def _note_failure(self, error: RpcError | NodeUnavailableError) -> None:
        """Record the failure's text, and back off unless the signer has only refused the request."""
        wanted = error.retry_after if isinstance(error, NodeUnavailableError) else 0.0
        if isinstance(error, RpcError):
            self._problem = f"the signer at {self._client.where} refuses: {error.reason}"
            if not wanted:
                self._failures = 0
                return
        else:
            self._problem = f"the signer cannot be asked: {error}"
        self._failures += 1
        self._rest.start_pause(self._failures, wanted)


def _describe_difference(address: str, transaction: Mapping[str, Any], raw: str) -> str | None:
    """Return how a signed transaction differs from the requested one; None if it does not."""
    try:
        signed = HexBytes(raw)
        if signed[:1] != _TYPE:
            return "it signed a transaction of another type"
        told = TypedTransaction.from_bytes(signed).as_dict()
        sender = str(Account.recover_transaction(signed)).lower()
        for name in _NUMBERS:
            if int(told[name]) != transaction[name]:
                return f"it signed {name} {told[name]} instead of {transaction[name]}"
        if "0x" + bytes(told["to"]).hex() != transaction["to"].lower():
            return "it signed for another receiver"
        if "0x" + bytes(told["data"]).hex() != transaction["data"].lower() or told["accessList"]:
            return "it signed other data"
    except Exception as error:  # whatever libraries say of bytes that are no transaction
        return f"what it signed cannot be read ({type(error).__name__})"
    return None if sender == address.lower() else f"it signed as {sender}"
