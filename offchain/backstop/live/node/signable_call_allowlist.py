"""An allow-list: the calls that accounts may sign, independent of the keepers' decisions.

The list is checked where transactions are signed, and does not depend on their reasons. A keeper that goes
wrong, or is made to, can send the calls on the list and no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from eth_hash.auto import keccak

from backstop.errors import BackstopError
from backstop.hosts.abi_codec import Function, Parameter

Call = tuple[str, bytes]
"""An address in lower case, and a selector."""


def _compute_selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


# What hands money or power to whomever it names: no keeper does that.
_GIVES = {
    _compute_selector(each)
    for each in (
        *("transfer(address,uint256)", "transferFrom(address,address,uint256)"),
        *("approve_operator(address,bool)", "setOperator(address,bool)"),
        *("grant_role(bytes32,address)", "transfer_admin(address)"),
        "propose((address,bytes)[],bytes32)",  # any call at all, for later
    )
}
# The addresses by which a call's money goes on: contracts of the deployment, which do with it what they do.
_THROUGH = ("spender", "auction", "market")
# The addresses that say whom a call is about: it may be anybody, and gets nothing of the account's. Any other
# address may be one that gets something, and keeps it. By a function's name, or its signature.
_ABOUT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("call", "flag", "liquidate", "enter", "skim", "seize_insolvent", "update_account"), ("owner",)
    ),
    **dict.fromkeys(("liquidate_and_buy", "liquidate_and_sell"), ("owner",)),
    **dict.fromkeys(("share", "submit", "execute"), ("accounts",)),
    **dict.fromkeys(("update_and_seize", "liquidate_many"), ("owners",)),
    # Of stability pools alone.
    "liquidate(address[],address)": ("owners",),
    "withdraw(address)": ("owner",),
    "leave": ("controller",),
    "fill": ("maker.account", "taker.account"),
}


class CallNotAllowedError(BackstopError):
    """Error raised if an account may not sign a transaction by the allow-list."""


class CallAllowlist:
    """Allow-list of the calls that accounts may sign, independent of the keepers' decisions.

    An account that is a key of `calls` may sign only the calls listed there. Any other account may sign all
    calls of the deployment's `contracts`, which are given with their functions by selector. No call sends
    coins, transfers tokens, or approves an address other than a contract of the deployment. The receiver of
    funds is always the account itself, or an address that `named` lists for it. An account may always send an
    empty transaction to itself, which withdraws a transaction.
    """

    def __init__(
        self,
        chain_id: int,
        contracts: Mapping[str, Mapping[bytes, Function]],
        calls: Mapping[str, Iterable[Call]] | None = None,
        named: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self._chain_id = chain_id
        self._contracts = {address.lower(): functions for address, functions in contracts.items()}
        self._calls = {account.lower(): set(each) for account, each in (calls or {}).items()}
        self._named = {
            account.lower(): {address.lower() for address in each} for account, each in (named or {}).items()
        }

    def check_call(self, account: str, transaction: Mapping[str, Any]) -> None:
        """Raise CallNotAllowedError if the account may not sign the transaction."""
        problem = self._find_problem(account.lower(), transaction)
        if problem is not None:
            raise CallNotAllowedError(f"the allow-list of {account} refuses it: {problem}")

    def _find_problem(self, account: str, transaction: Mapping[str, Any]) -> str | None:
        to, data = str(transaction["to"]).lower(), bytes.fromhex(transaction["data"][2:])
        if transaction["chainId"] != self._chain_id:
            return f"it is for chain {transaction['chainId']}"
        if transaction["value"]:
            return f"it sends {transaction['value']} wei"
        if to == account and not data:
            return None
        if to not in self._contracts:
            return f"{to} is not a contract of the deployment"
        selector, calls = data[:4], self._calls.get(account)
        if calls is not None and (to, selector) not in calls:
            return f"0x{selector.hex()} of {to} is not on it"
        if selector in _GIVES:
            return f"0x{selector.hex()} of {to} hands something over"
        function = self._contracts[to].get(selector)
        if function is None:
            return f"0x{selector.hex()} is not a function of {to}"
        args = _decode_arguments(function, data)
        if args is None:
            return f"the arguments of {function.name} cannot be read"
        may_get = {account, *self._named.get(account, ())}
        for parameter, value in zip(function.inputs, args, strict=True):
            for name, address in _iter_addresses(parameter, value, parameter.name):
                if name in (*_ABOUT.get(function.name, ()), *_ABOUT.get(function.signature, ())):
                    continue
                if address not in (self._contracts if name in _THROUGH else may_get):
                    return f"the {name} of {function.name} is {address}"
        return None


def _decode_arguments(function: Function, data: bytes) -> tuple[Any, ...] | None:
    """Return the arguments in call data; None if the data is not their exact encoding."""
    try:
        args = function.decode_arguments(data)
        return args if function.encode_call(args) == data else None
    except (BackstopError, ArithmeticError, LookupError, MemoryError, ValueError):
        return None


def _iter_addresses(parameter: Parameter, value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield the name and value of each address in an argument; a struct's field is `struct.field`."""
    if parameter.type.endswith("]"):
        item = parameter._replace(type=parameter.type.rpartition("[")[0])
        for each in value:
            yield from _iter_addresses(item, each, name)
    elif parameter.type == "tuple":
        for member, each in zip(parameter.components, value, strict=True):
            yield from _iter_addresses(member, each, f"{name}.{member.name}")
    elif parameter.type == "address":
        yield name, value
