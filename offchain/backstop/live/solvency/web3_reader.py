"""A node's blocks, storage, code and views, carried by web3.py, and encoded and decoded by eth-abi.

Nothing of the keepers' own client or codec is used here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import eth_abi
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.abi import (
    function_abi_to_4byte_selector,
    get_abi_input_types,
    get_abi_output_types,
)
from eth_utils.crypto import keccak
from web3 import Web3

from backstop.errors import BackstopError

if TYPE_CHECKING:
    from collections.abc import Hashable

_BATCH = 200
_ERROR = bytes.fromhex("08c379a0")
"""The selector of Error(string), which a reason comes in."""


class Web3Header(NamedTuple):
    """Hash, timestamp and state root of a block, as web3.py reads them."""

    block_hash: str
    timestamp: int
    state_root: str


class Web3Reader:
    """Reader of code, storage slots and views at one block, by web3.py and eth-abi."""

    def __init__(self, w3: Web3, block_number: int) -> None:
        self.w3 = w3
        self._block = hex(block_number)
        self._number = block_number

    def read_header(self) -> Web3Header:
        """Return the block's hash, timestamp and state root; raise BackstopError if the node lacks it."""
        # By the provider: web3.py's own formatter refuses the long extra data of clique and Polygon.
        ((told, error),) = self._request_all("eth_getBlockByNumber", [(self._block, False)])
        if error is not None or not isinstance(told, dict):
            raise BackstopError(f"web3.py's node has no block {self._number}: {error or told}")
        return Web3Header(told["hash"], int(told["timestamp"], 16), told["stateRoot"])

    def read_slots(self, slots: Sequence[tuple[str, int]]) -> list[int]:
        """Return the words of storage slots, each given as address and slot number."""
        found = []
        asked = [(address, hex(slot), self._block) for address, slot in slots]
        for (address, slot, _), (told, error) in zip(
            asked, self._request_all("eth_getStorageAt", asked), strict=True
        ):
            if error is not None:
                raise BackstopError(f"web3.py's node has no slot {slot} of {address}: {error}")
            found.append(int(told, 16))
        return found

    def read_code_hashes(self, addresses: Sequence[str]) -> list[str]:
        """Return the keccak256 hash of the code at each address, as hex."""
        asked = [(address, self._block) for address in addresses]
        return [
            "0x" + keccak(hexstr=told or "0x").hex() for told, _ in self._request_all("eth_getCode", asked)
        ]

    def call_views(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes | str]:
        """Return the raw result of each view call, given as address and call data.

        The result of a reverted call is the text "reverts: " with the reason.
        """
        asked = [({"to": to, "data": "0x" + data.hex()}, self._block) for to, data in calls]
        return [
            f"reverts: {_read_reason(error)}" if error is not None else bytes.fromhex(told[2:])
            for told, error in self._request_all("eth_call", asked)
        ]

    def _request_all(self, method: str, calls: Sequence[tuple[Any, ...]]) -> list[tuple[Any, Any]]:
        """Return (result, error) for each of many calls of one method, in order; one of the two is None."""
        found: list[tuple[Any, Any]] = []
        for start in range(0, len(calls), _BATCH):
            part = [(method, params) for params in calls[start : start + _BATCH]]
            try:
                answers: Any = self.w3.provider.make_batch_request(part)
            except Exception as error:  # of requests, of json, of the socket: as many as there are providers
                raise BackstopError(
                    f"web3.py gets no answer to {method}: {str(error) or type(error).__name__}"
                ) from None
            if not isinstance(answers, list) or len(answers) != len(part):
                why = answers.get("error") if isinstance(answers, dict) else answers
                raise BackstopError(f"web3.py's node does not answer a batch of {len(part)} {method}: {why}")
            found += [(answer.get("result"), answer.get("error")) for answer in answers]
        return found


def open_web3(url: str) -> Web3:
    """Return a Web3 instance for a node at an http(s):// URL or at a socket's path."""
    http = url.startswith(("http://", "https://"))
    return Web3(Web3.HTTPProvider(url) if http else Web3.IPCProvider(url))


def compute_slot_by_eth_abi(base_slot: int, storage_type: str, key: Hashable) -> int:
    """Return the storage slot of a key of a Vyper variable.

    It is keccak256(slot ++ key), applied once for each nested `HashMap` of the variable's type.
    """
    slot = base_slot
    parts = key if isinstance(key, tuple) else (key,)
    for part in parts:
        found = re.fullmatch(r"HashMap\[(\w+), (.*)\]", storage_type)
        if found is None:
            raise BackstopError(f"a {storage_type} has no key {part!r}")
        key_type, storage_type = found.groups()
        slot = int.from_bytes(keccak(eth_abi.encode(["uint256", key_type], [slot, part])), "big")
    return slot


def encode_call_by_eth_abi(entry: Any, args: Sequence[Any]) -> bytes:
    """Return the call data for a function's ABI entry and its arguments, encoded by eth-abi.

    Raise BackstopError if eth-abi cannot encode the arguments.
    """
    try:
        return function_abi_to_4byte_selector(entry) + eth_abi.encode(get_abi_input_types(entry), args)
    except EncodingError as error:
        raise BackstopError(f"eth-abi cannot encode {tuple(args)!r} for {entry['name']}: {error}") from None


def decode_result_by_eth_abi(entry: Any, data: bytes) -> Any:
    """Return the value of a view's result, decoded by eth-abi; a tuple if there are several.

    Return a text if eth-abi refuses the bytes.
    """
    try:
        values = eth_abi.decode(get_abi_output_types(entry), data)
    except DecodingError as error:
        return f"no answer by eth-abi: {error}"
    return values[0] if len(values) == 1 else values


def _read_reason(error: Any) -> str:
    """Return the reason of a revert, "" if it has none.

    Raise BackstopError for an error that is not a revert.
    """
    data = error.get("data") if isinstance(error, dict) else None
    data = data.get("data") if isinstance(data, dict) else data
    message = str(error.get("message", error) if isinstance(error, dict) else error)
    if not isinstance(data, str) and not re.search("revert|opcode", message, re.IGNORECASE):
        raise BackstopError(f"web3.py's node refuses eth_call: {message}")
    raw = bytes.fromhex((data or "").removeprefix("0x"))
    with suppress(DecodingError, UnicodeDecodeError):
        if raw[:4] == _ERROR:
            return str(eth_abi.decode(["string"], raw[4:])[0])
    return "" if not raw or raw[:4] == bytes.fromhex("4e487b71") else "0x" + raw.hex()
