"""The compiled contracts in process, on revm: fast enough to compare all state after every step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pyrevm

from backstop.errors import BackstopError
from backstop.hosts.host_interface import CALL_GAS, CHAIN_ID, GENESIS, Call, RawLog, RawResult, Slot

# Case matters: any other spelling silently means the latest rules.
_SPEC = "Cancun"
_REVERTED = re.compile(r"Revert \{ gas_used: \d+, output: 0x([0-9a-f]*) \}")
_HALTED = re.compile(r"Halt \{ reason: (\w+)")
# How an `assert ..., UNREACHABLE` ends; any other halt is a fault of the setting.
_FAILED_ASSERTIONS = ("InvalidFEOpcode", "StateChangeDuringStaticCall")


class CallHaltedError(BackstopError):
    """Error: a call halted without a revert, mostly out of gas; `why` is revm's reason."""

    def __init__(self, to: str, text: str, why: str) -> None:
        super().__init__(f"the call to {to} could not run: {text}")
        self.why = why


class RevmHost:
    """Chain in memory on revm, the fast in-process EVM.

    Memory grows with every call: use a new chain for each sequence of calls.
    """

    name = "revm"

    def __init__(
        self, timestamp: int = GENESIS, chain_id: int = CHAIN_ID, code_limit: int | None = None
    ) -> None:
        """Start an empty chain; `code_limit` replaces the limit on contract code size [bytes]."""
        config = pyrevm.CfgEnv(chain_id=chain_id, limit_contract_code_size=code_limit)
        self._evm = pyrevm.EVM(env=pyrevm.Env(cfg=config), spec_id=_SPEC)
        self._names: dict[str, str] = {}
        self._timestamp = timestamp
        self._number = 1
        self._set_block()

    @property
    def timestamp(self) -> int:
        return self._timestamp

    def set_time(self, timestamp: int) -> None:
        if timestamp < self._timestamp:
            raise BackstopError(f"time cannot go back from {self._timestamp} to {timestamp}")
        self._timestamp = timestamp
        self._set_block()

    @property
    def next_number(self) -> int:
        return self._number

    def skip_blocks(self, blocks: int) -> None:
        self._number += blocks
        self._set_block()

    def deploy_contract(self, bytecode: bytes, sender: str) -> str:
        try:
            return str(self._evm.deploy(sender, bytecode, gas=CALL_GAS)).lower()
        except RuntimeError as error:
            raise BackstopError(f"a constructor failed: {error}") from error
        finally:
            self._evm.reset_transient_storage()

    def run_transaction(self, sender: str, to: str, data: bytes) -> RawResult:
        return self._run_call(sender, to, data, False)

    def run_transactions(self, calls: Sequence[Call]) -> list[RawResult]:
        return [self._run_call(*call, False) for call in calls]

    def list_dry_run_gas_or_empty(self, calls: Sequence[Call]) -> list[int]:
        return []

    def static_call(self, sender: str, to: str, data: bytes) -> RawResult:
        return self._run_call(sender, to, data, True)

    def _run_call(self, sender: str, to: str, data: bytes, static: bool) -> RawResult:
        evm = self._evm
        try:
            returned = evm.message_call(sender, to, data, gas=CALL_GAS, is_static=static)
        except RuntimeError as error:
            text = str(error)
            if reverted := _REVERTED.match(text):
                return RawResult(False, bytes.fromhex(reverted[1]), (), 0)
            halted = _HALTED.match(text)
            if halted and halted[1] in _FAILED_ASSERTIONS:
                return RawResult(False, b"", (), 0)
            raise CallHaltedError(to, text, halted[1] if halted else text) from error
        finally:
            evm.reset_transient_storage()
        result = evm.result
        assert result is not None
        names = self._names
        logs = []
        for log in result.logs:
            topics, payload = log.data
            address = log.address
            # Lower case is wanted, the checksum is given.
            lower = names.get(address) or names.setdefault(address, address.lower())
            logs.append(RawLog(lower, tuple(topics), payload))
        # There is no transaction boundary: slots stay warm, so the gas used means nothing.
        return RawResult(True, returned, tuple(logs), 0)

    def read_slots(self, slots: Sequence[Slot]) -> list[int]:
        storage = self._evm.storage
        return [storage(address, slot) for address, slot in slots]

    def read_nonzero_slots(self, addresses: Sequence[str]) -> dict[Slot, int]:
        state, _, _ = self._evm.journal_str.partition(", transient_storage: {")
        accounts = state.split(": Account { info: ")
        return {
            (before[-42:], int(slot)): int(word)
            for before, account in pairwise(accounts)
            if before[-42:] in addresses
            # After the code, which is long.
            for slot, word in _SLOT.findall(account, account.rindex(" storage: {"))
            if word != "0"
        }

    def write_slots(self, words: Mapping[Slot, int]) -> None:
        for (address, slot), word in words.items():
            self._evm.insert_account_storage(address, slot, word)

    def list_touched_accounts(self) -> list[str]:
        """Return the address of every account that was ever accessed, also by reverted calls."""
        # A revert takes accounts out of the state again, but not out of the database under it.
        return [address.lower() for address in self._evm.db_accounts]

    def snapshot(self) -> Any:
        return self._evm.snapshot(), self._timestamp, self._number

    def restore_snapshot(self, snapshot: Any) -> None:
        checkpoint, self._timestamp, self._number = snapshot
        self._evm.revert(checkpoint)
        self._set_block()

    def get_code(self, address: str) -> bytes:
        """Return the runtime bytecode at an address."""
        # revm keeps 33 zeros behind it, for a PUSH at its end.
        return (self._evm.get_code(address) or b"")[:-33]

    def get_code_size(self, address: str) -> int:
        return len(self.get_code(address))

    def set_code(self, address: str, code: bytes) -> None:
        """Replace the code at an address directly; its storage stays.

        `restore_snapshot` does not bring the old code back, and `get_code` then cuts bytes off the new code.
        So read the old code with `get_code` before.
        """
        nonce = self._evm.basic(address).nonce
        self._evm.insert_account_info(address, pyrevm.AccountInfo(nonce=nonce, code=code))

    def set_nonce(self, address: str, nonce: int) -> None:
        """Set the nonce of an account."""
        self._evm.insert_account_info(address, pyrevm.AccountInfo(nonce=nonce))

    def get_mined_block_or_zero(self) -> int:
        return 0

    def close(self) -> None:
        pass

    def _set_block(self) -> None:
        # This replaces the whole environment: limits fall back to constants.
        self._evm.set_block_env(pyrevm.BlockEnv(timestamp=self._timestamp, number=self._number))


_SLOT = re.compile(r"(\d+): StorageSlot { previous_or_original_value: \d+, present_value: (\d+)")
