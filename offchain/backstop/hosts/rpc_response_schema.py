"""Schema of a node's answers: the type, the length and the name of every field that is read, by method.

Later code reads an accepted answer without another check. So a check requires the fields that this program
reads and ignores the others, as nodes of many makers add fields of their own. Methods that only a node of our
own has (`anvil_`, `evm_` ...) are not checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eth_hash.auto import keccak

from backstop.files.json_nesting import is_nested_too_deep

Check = Callable[[Any], None]

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DATA = re.compile(r"0x[0-9a-fA-F]*")
_MOST_BRACKETS = 1 << 23
_TEXT = 80
_MOST_TOPICS = 4


class TooNestedError(ValueError):
    """Error: a JSON answer has too deeply nested brackets, or too many of them."""


def parse_json_refusing_deep_nesting(body: bytes) -> Any:
    """Return the parsed JSON of an answer.

    Raises TooNestedError for too deep nesting, ValueError for invalid JSON.
    """
    told = body.decode()
    if is_nested_too_deep(body, _MOST_BRACKETS):
        raise TooNestedError
    return json.loads(told)


def check_result(method: str, params: Sequence[Any], result: Any) -> None:
    """Raise ValueError with a description if a result is not valid for this RPC method and parameters."""
    found = _CHECKS.get(method)
    if found is not None:
        found(params, result)


def shorten_value(value: Any) -> str:
    """Return a short text of a value for an error message."""
    text = repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return text if len(text) <= _TEXT else text[:_TEXT] + "..."


# ---------------------------------------------------------------------- values


def make_quantity_check(bits: int) -> Check:
    """Return a check that raises ValueError unless a value is a hex number of at most `bits` bits."""
    digits, most = bits // 4, 1 << bits

    def check_it(value: Any) -> None:
        if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
            raise ValueError(f"{shorten_value(value)} is not a number in hex")
        if len(value) > 2 + digits and int(value, 16) >= most:
            raise ValueError(f"{shorten_value(value)} has more than {bits} bits")

    return check_it


def make_data_check(size: int | None = None) -> Check:
    """Return a check that raises ValueError unless a value is bytes in hex, of `size` bytes if given."""
    length = None if size is None else 2 + 2 * size
    what = "are no bytes in hex" if size is None else f"are no {size} bytes in hex"

    def check_it(value: Any) -> None:
        if not isinstance(value, str) or not _DATA.fullmatch(value) or len(value) % 2:
            raise ValueError(f"{shorten_value(value)} {what}")
        if length is not None and len(value) != length:
            raise ValueError(f"{shorten_value(value)} {what}")

    return check_it


def check_value_is_string(value: Any) -> None:
    """Raise ValueError unless the value is a string."""
    if not isinstance(value, str):
        raise ValueError(f"{shorten_value(value)} is not text")


def make_list_check(each: Check, most: int | None = None) -> Check:
    """Return a check that raises ValueError unless a value is a list and each item passes `each`.

    With `most` the list may have at most this number of items.
    """

    def check_it(value: Any) -> None:
        if not isinstance(value, list) or (most is not None and len(value) > most):
            raise ValueError(
                f"{shorten_value(value)} is not a list" + (f" of {most} at most" if most else "")
            )
        for item in value:
            each(item)

    return check_it


def make_optional_check(each: Check) -> Check:
    """Return a check that accepts None, and passes any other value to `each`."""
    return lambda value: None if value is None else each(value)


def make_object_fields_check(
    required_fields: Mapping[str, Check], optional_fields: Mapping[str, Check] | None = None
) -> Check:
    """Return a check that raises ValueError unless a value is an object with valid fields.

    Optional fields may be missing or null. Other fields are ignored.
    """
    optional = optional_fields or {}

    def check_it(value: Any) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{shorten_value(value)} is not an object")
        name = ""
        try:
            for name, each in required_fields.items():
                each(value[name])
            for name, each in optional.items():
                if value.get(name) is not None:
                    each(value[name])
        except KeyError:
            raise ValueError(f"{name} is missing") from None
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    return check_it


# --------------------------------------------------------------------- objects

_q64, _q256 = make_quantity_check(64), make_quantity_check(256)
_word, _address, _bytes = make_data_check(32), make_data_check(20), make_data_check()

_HEADER = {"number": _q64, "hash": _word, "parentHash": _word, "timestamp": _q64}
_REST_OF_HEADER = {
    **{name: _word for name in ("sha3Uncles", "stateRoot", "transactionsRoot", "receiptsRoot", "mixHash")},
    **{name: _word for name in ("withdrawalsRoot", "parentBeaconBlockRoot", "requestsHash")},
    **{name: _q64 for name in ("gasLimit", "gasUsed", "blobGasUsed", "excessBlobGas")},
    **{"difficulty": _q256, "baseFeePerGas": make_quantity_check(128)},
    **{
        "miner": _address,
        "logsBloom": make_data_check(256),
        "extraData": _bytes,
        "nonce": make_data_check(8),
    },
}
_TRANSACTION = make_object_fields_check(
    {"hash": _word, "from": _address, "to": make_optional_check(_address), "input": _bytes},
    {"blockHash": _word},
)
_LOG = make_object_fields_check(
    {"address": _address, "topics": make_list_check(_word, _MOST_TOPICS), "data": _bytes},
    {"blockNumber": _q64, "blockHash": _word, "transactionHash": _word},
)
_MINED_LOG = make_object_fields_check({"blockNumber": _q64, "blockHash": _word})
_RECEIPT = make_object_fields_check(
    {
        **{"transactionHash": _word, "blockNumber": _q64, "blockHash": _word, "from": _address},
        **{
            "status": make_quantity_check(1),
            "gasUsed": _q64,
            "logs": make_list_check(_LOG),
            "contractAddress": make_optional_check(_address),
        },
    },
    {"effectiveGasPrice": make_quantity_check(128), "cumulativeGasUsed": _q64}
    | {"to": _address, "type": make_quantity_check(8), "logsBloom": make_data_check(256)},
)
_PROOF = make_object_fields_check(
    {
        **{"address": _address, "accountProof": make_list_check(_bytes)},
        "storageProof": make_list_check(
            make_object_fields_check(
                {"key": make_quantity_check(256), "value": _q256, "proof": make_list_check(_bytes)}
            )
        ),
    }
)
_FRAME = make_object_fields_check(
    {"type": check_value_is_string, "from": _address, "input": _bytes},
    {"to": _address, "error": check_value_is_string, "calls": make_list_check(lambda _: None)},
)
_FEES = make_object_fields_check(
    {"oldestBlock": _q64, "baseFeePerGas": make_list_check(make_quantity_check(128))},
    {"reward": make_list_check(make_list_check(make_quantity_check(128)))},
)


# ------------------------------------------------------------------- questions


def _make_params_ignoring_check(value_check: Check) -> Callable[[Sequence[Any], Any], None]:
    """Return a check of a result that ignores the parameters of the request."""
    return lambda _params, result: value_check(result)


def _check_same_value(what: str, asked: Any, told: Any) -> None:
    if isinstance(asked, str) and asked.startswith("0x") and asked.lower() != told.lower():
        raise ValueError(f"{what} {shorten_value(told)} was not asked for, {shorten_value(asked)} was")


def _check_same_number(asked: Any, told: str) -> None:
    if isinstance(asked, str) and asked.startswith("0x") and int(asked, 16) != int(told, 16):
        raise ValueError(f"block {int(told, 16)} was not asked for, block {int(asked, 16)} was")


def _check_block(params: Sequence[Any], result: Any) -> None:
    if result is None:
        if params and params[0] == "latest":
            raise ValueError("the newest block is missing")
        return
    whole = len(params) > 1 and params[1] is True
    content = {"transactions": make_list_check(_TRANSACTION if whole else _word)}
    if params and params[0] == "pending":  # it has no number and no hash yet
        make_object_fields_check({"timestamp": _q64}, {**_HEADER, **_REST_OF_HEADER})(result)
        return
    make_object_fields_check(_HEADER | content, _REST_OF_HEADER)(result)


def _check_block_by_number(params: Sequence[Any], result: Any) -> None:
    _check_block(params, result)
    if result is not None and params:
        _check_same_number(params[0], result.get("number") or params[0])


def _check_block_hash_as_requested(params: Sequence[Any], result: Any) -> None:
    _check_block(params, result)
    if result is not None and params:
        _check_same_value("block", params[0], result["hash"])


def _check_receipts(params: Sequence[Any], result: Any) -> None:
    if result is None:
        return
    make_list_check(_RECEIPT)(result)
    for each in result:
        _check_same_number(params[0], each["blockNumber"])


def _check_receipt(params: Sequence[Any], result: Any) -> None:
    if result is not None:
        _RECEIPT(result)
        _check_same_value("transaction", params[0], result["transactionHash"])


def _check_transaction(params: Sequence[Any], result: Any) -> None:
    if result is not None:
        _TRANSACTION(result)
        _check_same_value("transaction", params[0], result["hash"])


def _check_sent_transaction_hash(params: Sequence[Any], result: Any) -> None:
    _word(result)
    raw = params[0] if params else None
    if isinstance(raw, str) and _DATA.fullmatch(raw) and not len(raw) % 2:
        _check_same_value("transaction", "0x" + keccak(bytes.fromhex(raw[2:])).hex(), result)


def _check_sent_private_transaction_hash(params: Sequence[Any], result: Any) -> None:
    _check_sent_transaction_hash([params[0]["tx"]], result)


def _check_logs(params: Sequence[Any], result: Any) -> None:
    make_list_check(_LOG)(result)
    wanted = params[0] if params and isinstance(params[0], dict) else {}
    first, last = (_parse_hex_block_number_or_none(wanted.get(end)) for end in ("fromBlock", "toBlock"))
    addresses = wanted.get("address")
    known = {each.lower() for each in ([addresses] if isinstance(addresses, str) else addresses or ())}
    topics = (wanted.get("topics") or [None])[0]
    events = {each.lower() for each in ([topics] if isinstance(topics, str) else topics or ())}
    for log in result:
        _MINED_LOG(log)
        number = int(log["blockNumber"], 16)
        if (first is not None and number < first) or (last is not None and number > last):
            raise ValueError(f"a log of block {number} was not asked for")
        if known and log["address"].lower() not in known:
            raise ValueError(f"a log of {log['address']} was not asked for")
        if events and (not log["topics"] or log["topics"][0].lower() not in events):
            raise ValueError("a log of another event was not asked for")


def _parse_hex_block_number_or_none(requested_block: Any) -> int | None:
    return (
        int(requested_block, 16)
        if isinstance(requested_block, str) and _QUANTITY.fullmatch(requested_block)
        else None
    )


def _check_proof(params: Sequence[Any], result: Any) -> None:
    _PROOF(result)
    _check_same_value("the account", params[0], result["address"])
    keys, told = list(params[1]), [each["key"] for each in result["storageProof"]]
    if [int(key, 16) for key in keys] != [int(key, 16) for key in told]:
        raise ValueError("the proof is of other slots than were asked for")


def _check_fee_history_rewards(params: Sequence[Any], result: Any) -> None:
    _FEES(result)
    rewards, count = result.get("reward"), len(params[2]) if len(params) > 2 else 0
    if count and (not rewards or any(len(each) != count for each in rewards)):
        raise ValueError("rewards are missing")


def _check_call_trace_frames(params: Sequence[Any], result: Any) -> None:
    waiting = [result]
    while waiting:
        frame = waiting.pop()
        _FRAME(frame)
        waiting += frame.get("calls") or ()


_SIMULATED = make_list_check(
    make_object_fields_check(
        {
            "calls": make_list_check(
                make_object_fields_check(
                    {"status": make_quantity_check(1), "gasUsed": _q64, "returnData": _bytes}
                )
            )
        }
    )
)


def _check_simulated_calls(params: Sequence[Any], result: Any) -> None:
    _SIMULATED(result)
    asked = [len(each["calls"]) for each in params[0]["blockStateCalls"]]
    if [len(each["calls"]) for each in result] != asked:
        raise ValueError("results of other calls than were asked for")


_CHECKS: dict[str, Callable[[Sequence[Any], Any], None]] = {
    **{
        f"eth_{name}": _make_params_ignoring_check(_q64)
        for name in ("chainId", "blockNumber", "estimateGas", "getTransactionCount")
    },
    **{
        f"eth_{name}": _make_params_ignoring_check(_q256)
        for name in ("getBalance", "gasPrice", "maxPriorityFeePerGas")
    },
    **{f"eth_{name}": _make_params_ignoring_check(_bytes) for name in ("call", "getCode")},
    "eth_getStorageAt": _make_params_ignoring_check(_q256),
    "eth_getBlockByNumber": _check_block_by_number,
    "eth_getBlockByHash": _check_block_hash_as_requested,
    "eth_getBlockReceipts": _check_receipts,
    "eth_getTransactionReceipt": _check_receipt,
    "eth_getTransactionByHash": _check_transaction,
    "eth_accounts": _make_params_ignoring_check(make_list_check(_address)),
    "eth_signTransaction": _make_params_ignoring_check(_bytes),
    "eth_sendRawTransaction": _check_sent_transaction_hash,
    "eth_sendTransaction": _make_params_ignoring_check(_word),
    "eth_sendPrivateTransaction": _check_sent_private_transaction_hash,
    "eth_sendBundle": _make_params_ignoring_check(make_object_fields_check({"bundleHash": _word})),
    "eth_getLogs": _check_logs,
    "eth_getProof": _check_proof,
    "eth_feeHistory": _check_fee_history_rewards,
    "web3_clientVersion": _make_params_ignoring_check(check_value_is_string),
    "eth_simulateV1": _check_simulated_calls,
    "debug_traceTransaction": _check_call_trace_frames,
}
