"""An allow-list: which calls accounts may sign, whatever keepers decide.

It is looked at where things are signed, and knows nothing of why: a keeper that goes wrong, or is made to,
can send what is on the list and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eth_hash.auto import keccak

from backstop.errors import BackstopError

Call = tuple[str, bytes]
"""An address in lower case, and a selector."""


def _selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


_APPROVE = _selector("approve(address,uint256)")
# What hands money or power to whomever it names: no keeper does that.
_GIVES = {
    _selector(each)
    for each in (
        *("transfer(address,uint256)", "transferFrom(address,address,uint256)"),
        *("approve_operator(address,bool)", "setOperator(address,bool)"),
        "grant_role(bytes32,address)",
    )
}


class NotAllowed(BackstopError):
    """An error: the allow-list does not have it."""


class Allowed:
    """The allow-list of accounts: of each that `calls` names those calls, of others a deployment's calls.

    Nothing that others may call sends coins, hands over tokens, or lets anybody else do so. An account may
    always send nothing to itself, which withdraws a transaction.
    """

    def __init__(
        self, chain_id: int, contracts: Iterable[str], calls: Mapping[str, Iterable[Call]] | None = None
    ) -> None:
        self._chain_id = chain_id
        self._contracts = {each.lower() for each in contracts}
        self._calls = {account.lower(): set(each) for account, each in (calls or {}).items()}

    def check(self, account: str, transaction: Mapping[str, Any]) -> None:
        """Raise NotAllowed for a transaction that the account may not sign."""
        problem = self._problem(account.lower(), transaction)
        if problem is not None:
            raise NotAllowed(f"the allow-list of {account} refuses it: {problem}")

    def _problem(self, account: str, transaction: Mapping[str, Any]) -> str | None:
        to, data = str(transaction["to"]).lower(), bytes.fromhex(transaction["data"][2:])
        if transaction["chainId"] != self._chain_id:
            return f"it is for chain {transaction['chainId']}"
        if transaction["value"]:
            return f"it sends {transaction['value']} wei"
        if to == account and not data:
            return None
        if to not in self._contracts:
            return f"{to} is no contract of the deployment"
        selector, calls = data[:4], self._calls.get(account)
        if calls is not None and (to, selector) not in calls:
            return f"0x{selector.hex()} of {to} is not on it"
        if selector in _GIVES:
            return f"0x{selector.hex()} of {to} hands something over"
        if selector == _APPROVE and "0x" + data[16:36].hex() not in self._contracts:
            return f"it lets 0x{data[16:36].hex()} take tokens"
        return None
