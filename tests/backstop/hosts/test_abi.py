"""The codecs against eth_abi, over every type that Vyper's ABI has."""

import time
import tracemalloc
from random import Random

import eth_abi
import pytest
from eth_abi.codec import ABICodec
from eth_abi.decoding import UnsignedIntegerDecoder
from eth_abi.encoding import UnsignedIntegerEncoder
from eth_abi.exceptions import DecodingError
from eth_abi.registry import BaseEquals
from eth_abi.registry import registry as shared
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vyper import compile_code

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.abi_codec import AbiDecodingError, ContractAbi, Parameter, decode_revert
from backstop.hosts.revm import RevmHost

WORDS = {
    "uint256": st.integers(0, 2**256 - 1),
    "uint8": st.integers(0, 2**8 - 1),
    "int128": st.integers(-(2**127), 2**127 - 1),
    "int256": st.integers(-(2**255), 2**255 - 1),
    "bool": st.booleans(),
    "address": st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
    "bytes32": st.binary(min_size=32, max_size=32),
    "bytes4": st.binary(min_size=4, max_size=4),
    "string": st.text(max_size=70),
    "bytes": st.binary(max_size=70),
}


def struct(parts):
    return st.tuples(
        st.just(Parameter("", "tuple", tuple(parameter for parameter, _ in parts))),
        st.just(st.tuples(*(values for _, values in parts))),
    )


def array(part, length):
    parameter, values = part
    size = "" if length is None else str(length)
    lists = st.lists(values, min_size=length or 0, max_size=3 if length is None else length).map(tuple)
    return parameter._replace(type=f"{parameter.type}[{size}]"), lists


def grow(parts):
    arrays = st.builds(array, parts, st.one_of(st.none(), st.integers(1, 3)))
    return arrays | st.lists(parts, min_size=1, max_size=4).flatmap(struct)


word = st.sampled_from([(Parameter("", name, ()), values) for name, values in WORDS.items()])
arguments = st.lists(st.recursive(word, grow, max_leaves=6), max_size=5)


def type_name(parameter):
    if not parameter.type.startswith("tuple"):
        return parameter.type
    return f"({','.join(map(type_name, parameter.components))}){parameter.type[5:]}"


def entry_for(parameters):
    outputs = [described(each) for each in parameters]
    return {"type": "function", "name": "f", "inputs": outputs, "outputs": outputs, "stateMutability": "view"}


def described(parameter):
    return {"name": "", "type": parameter.type, "components": [described(c) for c in parameter.components]}


def function_for(parameters):
    return ContractAbi("Shop", [entry_for(parameters)]).get_function("f", len(parameters))


def read_results(function, data):
    """Decode as `Function.decode` does, always into a tuple."""
    value = function.decode_result(data)
    return () if not function.outputs else (value,) if len(function.outputs) == 1 else value


with_values = arguments.flatmap(
    lambda parts: st.tuples(st.just([each for each, _ in parts]), st.tuples(*(v for _, v in parts)))
)


@settings(max_examples=50)
@given(with_values)
def test_every_type_is_encoded_and_decoded_as_by_eth_abi(drawn):
    parameters, values = drawn
    function = function_for(parameters)
    encoded = function.encode_call(values)
    assert encoded[4:] == eth_abi.encode([type_name(parameter) for parameter in parameters], values)
    assert read_results(function, encoded[4:]) == values
    assert function.decode_arguments(encoded) == values


EDGES = (1, 2, 31, 33, 2**24, 2**60, 2**63, 2**64, 2**160, 2**255, 2**256 - 32, 2**256 - 1)


def spoil(data, random):
    """Replace the last bytes of some words, and sometimes cut the data or append something."""
    spoiled = bytearray(data)
    for _ in range(random.randrange(4) if data else 0):
        at, size = random.randrange(0, len(data), 32), random.choice((1, 20, 32, 32, 32))
        value = random.choice((32 * random.randrange(12), random.choice(EDGES), random.randrange(200)))
        spoiled[at + 32 - size : at + 32] = value.to_bytes(32)[32 - size :]
    if random.random() < 0.2:
        del spoiled[max(0, len(spoiled) - random.choice((1, 31, 32, 64))) :]
    return bytes(spoiled) + (random.randbytes(random.randrange(70)) if random.random() < 0.2 else b"")


# Ape, once imported, has eth-abi pad numbers that are cut off: this is eth-abi as it comes.
registry = shared.copy()
registry.unregister("uint")
registry.register(BaseEquals("uint"), UnsignedIntegerEncoder, UnsignedIntegerDecoder, label="uint")
CODEC = ABICodec(registry)


def expect(types, data):
    """Return the values that eth-abi reads; None if it refuses."""
    try:
        return CODEC.decode(types, data)
    except (DecodingError, OverflowError, UnicodeDecodeError):  # the second for a huge length
        return None


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(with_values, st.integers(0, 2**32))
def test_what_eth_abi_refuses_is_refused_and_all_else_is_equal(drawn, seed):
    parameters, values = drawn
    types, function = [type_name(parameter) for parameter in parameters], function_for(parameters)
    encoded, random = eth_abi.encode(types, values), Random(seed)
    for _ in range(20):
        data = spoil(encoded, random)
        try:
            read = read_results(function, data)
        except AbiDecodingError as refused:
            assert "\n" not in str(refused)
            # Of overlapping data eth-abi may make gigabytes, for minutes.
            assert "offsets overlap" in str(refused) or expect(types, data) is None
        else:
            assert read == expect(types, data)


@pytest.mark.parametrize("kind", ["uint256[3]", "uint256[2][3]", "(uint256,uint256)", "bytes4[1]"])
def test_an_offset_into_the_head_is_refused_where_eth_abi_refuses_it(kind):
    """A struct counts as one word of the head there, an array as many as its outer length."""
    parts = [{"name": "", "type": "uint256"}] * 2
    first = {"name": "", "type": "tuple" if kind[0] == "(" else kind, "components": parts}
    outputs = [first, {"name": "", "type": "bytes"}]
    function = ContractAbi("Shop", [entry("stock", []) | {"outputs": outputs}]).get_function("stock", 0)
    before = {"uint256[3]": 3, "uint256[2][3]": 6, "(uint256,uint256)": 2, "bytes4[1]": 1}[kind]
    taken = 0
    for offset in range(0, 352, 32):
        data = words(*[0] * before, offset, *[0] * 3)
        expected = expect([kind, "bytes"], data)
        taken += expected is not None
        if expected is None:
            with pytest.raises(AbiDecodingError):
                function.decode_result(data)
        else:
            assert function.decode_result(data) == expected
    assert 0 < taken < 11


def entry(name, inputs, outputs=(), mutability="nonpayable"):
    return {
        "type": "function",
        "name": name,
        "inputs": [{"name": "", "type": each} for each in inputs],
        "outputs": [{"name": "", "type": each} for each in outputs],
        "stateMutability": mutability,
    }


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256),
        ("uint256", -1),
        ("int128", 2**127),
        ("bool", 2),
        ("address", "0x12"),
        ("bytes32", b"short"),
        ("uint256", "7"),
    ],
)
def test_a_value_that_is_not_of_its_type_is_refused(kind, value):
    function = ContractAbi("Shop", [entry("sell", [kind])]).get_function("sell", 1)
    with pytest.raises(BackstopError, match="cannot take"):
        function.encode_call((value,))


def test_a_wrong_number_of_arguments_is_refused():
    shop = ContractAbi("Shop", [entry("sell", ["uint256"]), entry("sell", ["uint256", "bool"])])
    assert shop.get_function("sell", 2).signature == "sell(uint256,bool)"
    with pytest.raises(BackstopError, match=r"it has sell\(uint256\), sell\(uint256,bool\)"):
        shop.get_function("sell", 3)


def test_too_short_an_answer_is_refused():
    function = ContractAbi("Shop", [entry("stock", [], ["uint256", "uint256"])]).get_function("stock", 0)
    with pytest.raises(BackstopError, match="returned 32 bytes"):
        function.decode_result(bytes(32))


def test_an_unknown_type_is_named():
    with pytest.raises(BackstopError, match="fixed168x10"):
        ContractAbi("Shop", [entry("sell", ["fixed168x10"])])


def test_revert_data():
    reason = bytes.fromhex("08c379a0") + eth_abi.encode(["string"], ["shop: closed"])
    panic = bytes.fromhex("4e487b71") + eth_abi.encode(["uint256"], [17])
    assert decode_revert(reason) == "shop: closed"
    assert decode_revert(b"") == decode_revert(panic) == ""
    assert decode_revert(b"\xde\xad\xbe\xef") == "0xdeadbeef"


def words(*values):
    return b"".join(value.to_bytes(32) for value in values)


@pytest.mark.parametrize("kind", ["uint256[]", "string[]", "bytes", "(address,bytes)[]"])
@pytest.mark.parametrize("promised", [3, 2**24, 2**60, 2**256 - 1])
def test_a_promised_length_costs_nothing(kind, promised):
    """64 bytes that promise 2^24 items took 75 seconds and 4 GB, 2^60 ended in a MemoryError."""
    item = {"name": "", "type": kind}
    if kind.startswith("("):
        parts = [{"name": "", "type": each} for each in ("address", "bytes")]
        item = {"name": "", "type": "tuple[]", "components": parts}
    function = ContractAbi("Shop", [entry("stock", []) | {"outputs": [item]}]).get_function("stock", 0)
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(AbiDecodingError, match=r"64 bytes that cannot be read.* is this the right contract"):
        function.decode_result(words(32, promised))
    assert time.process_time() - began < 0.1 and tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


def test_offsets_that_overlap_make_no_more_than_there_is():
    """Each of 4,000 offsets leads to the same 128,000 bytes, which would be half a gigabyte of strings."""
    function = ContractAbi("Shop", [entry("names", [], ["bytes[]"])]).get_function("names", 0)
    count = 4_000
    data = words(32, count, *[32 * count] * count, 32 * count) + bytes(32 * count)
    with pytest.raises(AbiDecodingError, match="overlap"):
        function.decode_result(data)
    few = words(32, 3, 96, 96, 96, 5) + b"value".ljust(32, b"\0")
    assert function.decode_result(few) == (b"value",) * 3 == eth_abi.decode(["bytes[]"], few)[0]


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        *(("uint8", 256), ("int128", 2**127), ("bool", 2), ("bool", 2**255), ("address", 2**160)),
        *(("bytes4", 1), ("bytes4", 2**223)),
    ],
)
def test_a_word_that_is_not_of_its_type_is_refused(kind, word):
    function = ContractAbi("Shop", [entry("sell", [kind], [kind])]).get_function("sell", 1)
    for decode, data in (
        (function.decode_result, words(word)),
        (function.decode_arguments, bytes(4) + words(word)),
    ):
        with pytest.raises(AbiDecodingError, match=rf"not an? {kind}"):
            decode(data)


def test_an_event_of_another_form_is_refused():
    item = {"name": "", "type": "uint256[]", "indexed": False}
    event = next(
        iter(ContractAbi("Shop", [{"type": "event", "name": "Sold", "inputs": [item]}]).events.values())
    )
    assert event.decode_value_tuple([event.topic], words(32, 2, 7, 8)) == ((7, 8),)
    for topics, data, problem in (
        ([event.topic], words(32, 3, 7, 8), "96 bytes are promised"),
        ([event.topic], b"", "1 topics and 0 bytes"),
        ([event.topic, bytes(32)], words(32, 0), "2 topics"),
    ):
        with pytest.raises(AbiDecodingError, match=problem):
            event.decode_value_tuple(topics, data)


ECHO = """
struct Item:
    owner: address
    note: Bytes[40]

@external
@view
def echo(
    numbers: DynArray[uint256, 5], note: Bytes[70], items: DynArray[Item, 3],
    on: bool, small: uint8, tag: bytes4,
) -> (DynArray[uint256, 5], Bytes[70], DynArray[Item, 3], bool, uint8, bytes4):
    return numbers, note, items, on, small, tag
"""


def test_call_data_is_read_as_a_contract_reads_it():
    """A chain contains call data from strangers: dirty padding, arbitrary offsets, a truncated end."""
    made = compile_code(ECHO, output_formats=["abi", "bytecode"])
    function = ContractAbi("Echo", made["abi"]).get_function("echo", 6)
    values = ((1, 2, 3), b"n" * 33, (("0x" + "ab" * 20, b"i" * 5), ("0x" + "cd" * 20, b"")), True, 7, b"tag!")
    encoded, taken, odd = function.encode_call(values), 0, 0
    types = [type_name(each) for each in function.inputs]
    host = RevmHost(1)
    address = host.deploy_contract(bytes.fromhex(made["bytecode"][2:]), get_account("stranger"))
    for seed in range(3_000):
        data = encoded[:4] + spoil(encoded[4:], Random(seed))
        result = host.static_call(get_account("stranger"), address, data)
        if result.ok:
            assert function.decode_arguments(data) == function.decode_result(result.data), data.hex()
            taken, odd = taken + 1, odd + (expect(types, data[4:]) is None)
    assert taken > 500 and odd > 100, (taken, odd)
    # An offset that leads backwards, over the end of all words: to the length of the list that it is in.
    data, items = bytearray(encoded), 4 + int.from_bytes(encoded[4 + 64 : 4 + 96])
    item = items + 32 + int.from_bytes(encoded[items + 32 : items + 64])
    data[item + 32 : item + 64] = (items - item + 2**256).to_bytes(32)
    found = function.decode_arguments(bytes(data))
    assert found == function.decode_result(
        host.static_call(get_account("stranger"), address, bytes(data)).data
    )
    assert found[2][0][1] == bytes(2)
    host.close()
