"""The codecs against eth_abi, over every type that Vyper's ABI has."""

import eth_abi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.errors import BackstopError
from backstop.hosts.abi import ContractAbi, Parameter, _codec, _tuple, decode_revert

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


@given(arguments.flatmap(lambda parts: st.tuples(st.just(parts), st.tuples(*(v for _, v in parts)))))
def test_every_type_is_encoded_and_decoded_as_by_eth_abi(drawn):
    parts, values = drawn
    codec = _tuple([_codec(parameter) for parameter, _ in parts])
    encoded = codec.encode(values)
    assert encoded == eth_abi.encode([type_name(parameter) for parameter, _ in parts], values)
    assert codec.decode(encoded, 0) == values


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
    function = ContractAbi("Shop", [entry("sell", [kind])]).function("sell", 1)
    with pytest.raises(BackstopError, match="cannot take"):
        function.encode((value,))


def test_a_wrong_number_of_arguments_is_refused():
    shop = ContractAbi("Shop", [entry("sell", ["uint256"]), entry("sell", ["uint256", "bool"])])
    assert shop.function("sell", 2).signature == "sell(uint256,bool)"
    with pytest.raises(BackstopError, match=r"it has sell\(uint256\), sell\(uint256,bool\)"):
        shop.function("sell", 3)


def test_too_short_an_answer_is_refused():
    function = ContractAbi("Shop", [entry("stock", [], ["uint256", "uint256"])]).function("stock", 0)
    with pytest.raises(BackstopError, match="returned 32 bytes"):
        function.decode(bytes(32))


def test_an_unknown_type_is_named():
    with pytest.raises(BackstopError, match="fixed168x10"):
        ContractAbi("Shop", [entry("sell", ["fixed168x10"])])


def test_revert_data():
    reason = bytes.fromhex("08c379a0") + eth_abi.encode(["string"], ["shop: closed"])
    panic = bytes.fromhex("4e487b71") + eth_abi.encode(["uint256"], [17])
    assert decode_revert(reason) == "shop: closed"
    assert decode_revert(b"") == decode_revert(panic) == ""
    assert decode_revert(b"\xde\xad\xbe\xef") == "0xdeadbeef"
