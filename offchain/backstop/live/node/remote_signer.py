"""A signer in another process: Web3Signer, or what else has its JSON-RPC.

Keys stay there. What comes back is believed no more than a node is: it has to be the transaction that was
asked for, signed by the account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from backstop.errors import BackstopError
from backstop.hosts.rpc import Client, NodeGone, RpcError, never

_NUMBERS = ("chainId", "nonce", "value", "gas", "maxFeePerGas", "maxPriorityFeePerGas")


class SignerGone(BackstopError):
    """An error: the signer cannot be asked now, or answers wrongly; nothing was signed."""


class RemoteSigner:
    """The accounts of a signer at an http:// or https:// address, which are asked for now."""

    def __init__(self, url: str, timeout: float, stop: Callable[[], bool] = never) -> None:
        self._client = Client(url, timeout, stop)
        self.accounts = frozenset(each.lower() for each in self._ask("eth_accounts"))

    def sign(self, address: str, transaction: Mapping[str, Any]) -> str:
        """Return the signed raw transaction, in hex."""
        asked = {name: hex(transaction[name]) for name in _NUMBERS if name != "chainId"}
        asked |= {"from": address, "to": transaction["to"], "data": transaction["data"]}
        raw = str(self._ask("eth_signTransaction", asked))
        problem = _difference(address, transaction, raw)
        if problem is not None:
            raise SignerGone(f"the signer at {self._client.where} is not believed: {problem}")
        return raw

    def _ask(self, method: str, *params: Any) -> Any:
        where = self._client.where
        try:
            return self._client.request(method, *params)
        except RpcError as error:
            raise SignerGone(f"the signer at {where} refuses: {error.reason}") from None
        except NodeGone as error:
            raise SignerGone(f"the signer cannot be asked: {error}") from None


def _difference(address: str, transaction: Mapping[str, Any], raw: str) -> str | None:
    """Return in words what a signed transaction has that was not asked for; None if nothing."""
    try:
        told = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        sender = str(Account.recover_transaction(raw)).lower()
        for name in _NUMBERS:
            if int(told[name]) != transaction[name]:
                return f"it signed {name} {told[name]} instead of {transaction[name]}"
        if "0x" + bytes(told["to"]).hex() != transaction["to"].lower():
            return "it signed for another receiver"
        if "0x" + bytes(told["data"]).hex() != transaction["data"].lower() or told["accessList"]:
            return "it signed other data"
    except (KeyError, TypeError, ValueError) as error:  # another type, or none at all
        return f"what it signed cannot be read ({type(error).__name__})"
    return None if sender == address.lower() else f"it signed as {sender}"
