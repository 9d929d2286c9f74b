"""Broken contracts as EVM code: a few bytes each, put in the place of a part's own."""

from __future__ import annotations

from eth_hash.auto import keccak

from backstop.hosts.revm import RevmHost

REVERTS = bytes.fromhex("5f5ffd")
"""revert(0, 0)"""

EATS = bytes.fromhex("5b5f56")
"""An endless loop: all gas that it is given."""

SAYS_NOTHING = bytes.fromhex("00")
"""stop: the call succeeds and returns no data."""

NO_CODE = b""

# What a reason may weigh: its copy costs each caller some 150,000 gas.
_LONG = 2**18
REASONS = b"".join(
    (
        bytes.fromhex("6308c379a060e01b5f52"),  # mem[0] = the selector of Error(string)
        bytes.fromhex("6020600452"),  # mem[4] = 32
        bytes.fromhex("62") + (_LONG - 68).to_bytes(3, "big") + bytes.fromhex("602452"),  # mem[36] = length
        bytes.fromhex("62") + _LONG.to_bytes(3, "big") + bytes.fromhex("5ffd"),  # revert(0, 256 KiB)
    )
)
"""revert with a reason of 256 KiB."""

_WORDS = 32


def make_constant_answer(word: bytes) -> bytes:
    """Return EVM code that answers each call with 32 copies of the word that the code `word` pushes."""
    stores = b"".join(word + bytes([0x61, *(32 * i).to_bytes(2, "big"), 0x52]) for i in range(_WORDS))
    return stores + bytes([0x61, *(32 * _WORDS).to_bytes(2, "big"), 0x5F, 0xF3])


SAYS_ONE = make_constant_answer(bytes.fromhex("6001"))
"""Every answer is 1, or true: a transfer that moves nothing and says it did."""

SAYS_MOST = make_constant_answer(bytes.fromhex("5f19"))
"""Every answer is 2**256 - 1: of a stage, that it is busy for ever."""

_ABSORB = keccak(b"absorb(uint256,uint256)")[:4]
# Of a call of absorb: the amount.
_AMOUNT = bytes.fromhex("602435")


def _make_false_answer_stage_code(absorb_answer_code: bytes) -> bytes:
    """Return EVM code of a stage that claims a capacity of 2**180 rad and pays nothing.

    Its `absorb` answers with the two words that `absorb_answer_code` writes to memory.
    """
    held = bytes.fromhex("600160b41b5f5260205ff3")
    head = bytes.fromhex("5f3560e01c63") + _ABSORB + bytes.fromhex("14")
    return (
        head
        + bytes([0x60, len(head) + 3 + len(held), 0x57])
        + held
        + b"\x5b"
        + absorb_answer_code
        + b"\x60\x40\x5f\xf3"
    )


CLAIMS_TO_PAY = _make_false_answer_stage_code(_AMOUNT + bytes.fromhex("5f52"))
"""A stage that says it has paid all it was asked for, and pays nothing."""

PAYS_MORE = _make_false_answer_stage_code(_AMOUNT + bytes.fromhex("6001015f52"))
"""A stage that says it has paid one more than it was asked for."""

KEEPS = _make_false_answer_stage_code(_AMOUNT + bytes.fromhex("602052"))
"""A stage that says it has reserved everything, though it may not be one that needs time."""

_PROBE = "0x00000000000000000000000000000000faa17001"
_ORIGINAL = "0x00000000000000000000000000000000faa17002"
# A transient word: fails where nothing may be written.
_PROBES = bytes.fromhex("60015f5d00")
_PROBE_GAS, _INNER_GAS = 5_000, 8_000_000
# Where the data of the inner call lies: behind whatever a contract here is called with or answers.
_FAR = 2**14


def make_reentrant_code(host: RevmHost, original: bytes, target: str, call_data: bytes) -> bytes:
    """Return EVM code that runs the original code and re-enters `target` before and after it.

    The results of the two calls are ignored. In a static call no call is made. The original code is stored at
    a helper address of the host.
    """
    host.set_code(_PROBE, _PROBES)
    host.set_code(_ORIGINAL, original)
    code = _append_call_instructions(b"", target, call_data)
    code += bytes.fromhex("365f5f37")  # mem = call data
    code += bytes.fromhex("5f5f365f73") + bytes.fromhex(_ORIGINAL[2:]) + bytes.fromhex("5af4")  # delegatecall
    code += bytes.fromhex("3d5f5f3e3d")  # mem = answer; its size stays on the stack
    code = _append_call_instructions(code, target, call_data)
    code += bytes([0x90, 0x61, *(len(code) + 7).to_bytes(2, "big"), 0x57])
    return code + bytes.fromhex("5ffd") + bytes.fromhex("5b5ff3")


def build_target_call_bytecode(host: RevmHost, target: str, call_data: bytes) -> bytes:
    """Return EVM code that calls `target` on each call, ignores the result, and returns no data."""
    host.set_code(_PROBE, _PROBES)
    return _append_call_instructions(b"", target, call_data) + b"\x00"


def _append_call_instructions(code: bytes, target: str, call_data: bytes) -> bytes:
    """Return `code` with instructions for one call added, which is skipped in a static context.

    The result of the call is dropped.
    """
    code += _encode_call_instructions(_PROBE, _PROBE_GAS, 0)
    size = len(call_data)
    padded = call_data + bytes(-size % 32)
    call = b"".join(
        b"\x7f" + padded[i : i + 32] + bytes([0x61, *(_FAR + i).to_bytes(2, "big"), 0x52])
        for i in range(0, size, 32)
    )
    call += _encode_call_instructions(target, _INNER_GAS, size) + b"\x50"
    after = len(code) + 5 + len(call)
    return code + bytes([0x15, 0x61, *after.to_bytes(2, "big"), 0x57]) + call + b"\x5b"


def _encode_call_instructions(target: str, gas: int, data_size: int) -> bytes:
    """Return EVM code for a call with data at memory offset _FAR.

    The code leaves the call's success flag on the stack.
    """
    arguments = bytes([0x5F, 0x5F, 0x61, *data_size.to_bytes(2, "big"), 0x61, *_FAR.to_bytes(2, "big"), 0x5F])
    return arguments + b"\x73" + bytes.fromhex(target[2:]) + b"\x62" + gas.to_bytes(3, "big") + b"\xf1"
