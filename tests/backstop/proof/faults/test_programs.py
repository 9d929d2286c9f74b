"""Each broken contract fails in the way that its name states."""

import pytest
from eth_utils.crypto import keccak

from backstop.hosts.revm import CallHaltedError
from backstop.model.arithmetic import MAX_UINT256
from backstop.proof.faults.broken_contract_bytecode import (
    CLAIMS_TO_PAY,
    EATS,
    KEEPS,
    NO_CODE,
    PAYS_MORE,
    REASONS,
    REVERTS,
    SAYS_MOST,
    SAYS_NOTHING,
    SAYS_ONE,
    build_target_call_bytecode,
    make_reentrant_code,
)
from tests.backstop.proof.faults.conftest import COUNTER

AT = "0x" + "44" * 20


def word(number):
    return number.to_bytes(32, "big")


@pytest.fixture
def answer(counting):
    """Return a function that runs code on some data and returns its answer."""

    def ask(code, data=b""):
        counting.host.set_code(AT, code)
        return counting.call(AT, data)[:2]

    return ask


def test_what_fails(answer):
    assert answer(REVERTS) == (False, b"")
    ok, reason = answer(REASONS)
    assert not ok and reason[:4] == keccak(text="Error(string)")[:4] and len(reason) == 2**18
    with pytest.raises(CallHaltedError, match="OutOfGas"):
        answer(EATS)


def test_what_lies(answer):
    assert answer(SAYS_NOTHING) == answer(NO_CODE) == (True, b"")
    assert answer(SAYS_ONE) == (True, word(1) * 32)
    assert answer(SAYS_MOST) == (True, word(MAX_UINT256) * 32)


@pytest.mark.parametrize(
    ("code", "paid", "kept"), [(CLAIMS_TO_PAY, 700, 0), (PAYS_MORE, 701, 0), (KEEPS, 0, 700)]
)
def test_stages_that_lie(answer, code, paid, kept):
    absorb = keccak(text="absorb(uint256,uint256)")[:4] + word(2) + word(700)
    assert answer(code, absorb) == (True, word(paid) + word(kept))
    assert answer(code, keccak(text="capacity(uint256)")[:4] + word(2)) == (True, word(2**180))


def test_what_re_enters_does_its_work_and_calls_before_and_after(counting):
    """The inner calls count in the counter; the original counts in its own storage, and answers."""
    host = counting.host
    host.set_code(AT, make_reentrant_code(host, COUNTER, counting.COUNTER, b""))
    assert counting.call(AT)[:2] == (True, word(1))
    assert counting.count == 2 and host.read_slots([(AT, 0)]) == [1]


def test_what_re_enters_passes_a_revert_on(counting):
    host = counting.host
    host.set_code(AT, make_reentrant_code(host, REASONS, counting.COUNTER, b""))
    ok, reason, *_ = counting.call(AT)
    assert not ok and len(reason) == 2**18 and counting.count == 0


def test_what_re_enters_calls_nobody_where_nothing_may_be_written(counting):
    host = counting.host
    reads = bytes.fromhex("5f545f5260205ff3")
    host.set_code(AT, make_reentrant_code(host, reads, counting.COUNTER, b""))
    assert host.static_call(counting.STRANGER, AT, b"")[:2] == (True, word(0))
    assert counting.count == 0


def test_what_is_called_back_calls_once(counting):
    host = counting.host
    host.set_code(AT, build_target_call_bytecode(host, counting.COUNTER, b""))
    assert counting.call(AT, b"anything")[:2] == (True, b"")
    assert counting.count == 1
