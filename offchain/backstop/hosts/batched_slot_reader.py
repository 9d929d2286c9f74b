"""Many storage slots of a node in one request."""

from __future__ import annotations

from collections.abc import Sequence

from backstop.hosts.host_interface import CALL_GAS, Slot
from backstop.hosts.rpc_client import NodeRefusedError, RpcClient, RpcError

# Many slots in one call: the contracts' code is replaced, for that call only, by one that returns the
# slot it is asked for, and a reader is put beside them that asks for (address, slot) after (address, slot).
_READER_ADDRESS = "0x00000000000000000000000000000000000e0f10"
# sload(calldata[0])
_SLOAD = "0x5f35545f5260205ff3"
_READER = "0x" + "".join(
    (
        "5f",  # i = 0
        "5b803614602657",  # loop: while i != calldatasize
        "8060200135",  # slot = calldata[i + 32]
        "5f52",  # mem[0] = slot
        "6020",  # 32 bytes back
        "8160011c602001",  # to mem[32 + i / 2]
        "60205f",  # argument mem[0:32]
        "8435",  # address = calldata[i]
        "5afa50",  # staticcall
        "604001600156",  # i += 64, loop
        "5b60011c6020f3",  # return mem[32 : 32 + i / 2]
    )
)
_SLOTS_A_CALL = 2_000


class SlotReader:
    """Reader of many storage slots of a node in one request.

    It uses a call with overridden code if the node supports this, otherwise batches of eth_getStorageAt.
    """

    def __init__(self, client: RpcClient) -> None:
        self._client = client
        self._overrides = True
        self._slots: Sequence[Slot] = ()
        self._encoded: list[list[str]] = []

    def read_slot_words_in_batch(self, slots: Sequence[Slot], block: str = "latest") -> list[int]:
        """Return the words of storage slots at a block, in order.

        The reader caches a sequence: if it is passed again, items may only have been appended.
        """
        if self._overrides:
            try:
                return self._read_in_one_call(slots, block)
            except RpcError as error:
                # In trouble, it is asked for the same in another way this time; else it takes no such code.
                self._overrides = isinstance(error, NodeRefusedError)
        words = self._client.call_method_in_batches(
            "eth_getStorageAt", [(a, hex(slot), block) for a, slot in slots]
        )
        return [int(word, 16) for word in words]

    def _read_in_one_call(self, slots: Sequence[Slot], block: str) -> list[int]:
        if self._slots is not slots:
            self._slots, self._encoded = slots, []
        known = sum(map(len, self._encoded))
        if len(slots) < known:
            known, self._encoded = 0, []
        for address, slot in slots[known:] if known else slots:
            if not self._encoded or len(self._encoded[-1]) == _SLOTS_A_CALL:
                self._encoded.append([])
            self._encoded[-1].append(f"{address[2:]:0>64}{slot:064x}")
        override: dict[str, dict[str, str]] = {address: {"code": _SLOAD} for address, _ in slots}
        override[_READER_ADDRESS] = {"code": _READER}
        words: list[int] = []
        for part in self._encoded:
            call = {"to": _READER_ADDRESS, "data": "0x" + "".join(part), "gas": hex(CALL_GAS)}
            told = self._client.request("eth_call", call, block, override, size=32 * len(part))
            answer = bytes.fromhex(told[2:])
            words += [int.from_bytes(answer[i : i + 32], "big") for i in range(0, len(answer), 32)]
        return words
