"""Codecs built once from an ABI: calls, return values, events and revert data.

Values: integers, bools, `bytes`, strings, lower-case addresses; tuples for structs and arrays.

No length and no offset is believed: each is checked against the data that is there. Answers and events are
read as strictly as eth-abi reads them, call data as a contract reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from eth_hash.auto import keccak

from backstop.errors import BackstopError

_REREAD = 2**17
"""Limit of the bytes read out of shorter data with overlapping offsets.

`Timelock.propose` takes the longest arguments of all functions, half of this.
"""
_ZEROS = 2**13
"""Bytes of zeros that a contract may read after the end of call data: twice its longest bytes or array."""
_WORDS = 2**256


class AbiDecodingError(BackstopError, ValueError):
    """Error: bytes are not a valid ABI encoding."""


class Codec(NamedTuple):
    """Encoder and decoder of one ABI type, with the size of its head in bytes.

    A dynamic type stores an offset in the head. `word` decodes a type of exactly one word by itself; tuples
    of words are decoded faster with it. A static `decode` expects `size` bytes of data. A dynamic `decode`
    reads a `DynamicPayload` and checks all offsets and lengths.
    """

    size: int
    dynamic: bool
    encode: Callable[[Any], bytes]
    decode: Callable[[Any, int], Any]
    word: Callable[[bytes], Any] | None = None
    slots: int = 1  # words of a head that eth-abi counts for it: a struct is one, an array its outer length


class DynamicPayload(bytes):
    """Encoded data with dynamic types, while it is decoded.

    `left` is the number of bytes that may still be read: overlapping offsets could turn a megabyte into
    gigabytes. `call` is True for call data, which a contract reads without checks of padding or of the end.
    """

    left: int
    call: bool

    def check_bytes_readable(self, position: int, size: int) -> None:
        """Deduct `size` bytes at a position from the bytes that may still be read.

        Raises AbiDecodingError if the data is too short or too many bytes were read.
        """
        if position + size > len(self):
            raise AbiDecodingError(f"{size} bytes are promised at {position}, and it has {len(self)}")
        self.left -= size
        if self.left < 0:
            raise AbiDecodingError("its offsets overlap")

    def resolve_offset(self, base: int, place: int, head: int) -> int:
        """Return the position to which the offset stored at `place` points, relative to `base`.

        Raises AbiDecodingError if it points into the head or beyond the end. Call data is read leniently, as
        contracts do.
        """
        offset = int.from_bytes(self[place : place + 32])
        if self.call:
            return min((base + offset) % _WORDS, len(self) - _ZEROS)
        if offset < head or base + offset >= len(self):
            raise AbiDecodingError(f"the offset {offset} at {place} leads out of its {len(self)} bytes")
        return base + offset


class Parameter(NamedTuple):
    """One argument or return value of a function in an ABI; `components` are the members of a struct."""

    name: str
    type: str
    components: tuple[Parameter, ...]


class Function:
    """One function of an ABI, with its selector and the codecs of its arguments and results."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.name: str = entry["name"]
        self.inputs = _parse_abi_parameters(entry["inputs"])
        self.outputs = _parse_abi_parameters(entry["outputs"])
        self.view = entry["stateMutability"] in ("view", "pure")
        self.signature = f"{self.name}({','.join(map(_format_type, self.inputs))})"
        self.selector: bytes = keccak(self.signature.encode())[:4]
        arguments = [_make_abi_type_codec(p) for p in self.inputs]
        self._arguments = _make_tuple_codec(arguments)
        self._least = 4 + sum(each.size for each in arguments)
        self._results = _make_tuple_codec([_make_abi_type_codec(p) for p in self.outputs])
        self._read = _make_decoder(self._results)

    def encode_call(self, args: Sequence[Any]) -> bytes:
        """Return the call data for arguments: selector and ABI-encoded arguments.

        Raises BackstopError if the arguments do not fit the function's types.
        """
        try:
            return self.selector + self._arguments.encode(args)
        except (OverflowError, TypeError, ValueError, AttributeError) as error:
            raise BackstopError(f"{self.signature} cannot take {tuple(args)!r}: {error}") from error

    def decode_result(self, data: bytes) -> Any:
        """Return the decoded return value: None, one value, or a tuple of several values.

        Raises AbiDecodingError for data that does not fit the ABI.
        """
        if len(data) < self._results.size:
            raise AbiDecodingError(
                f"{self.signature} returned {len(data)} bytes: is this the right contract?"
            )
        try:
            values = self._read(data, 0)
        except AbiDecodingError as error:
            raise AbiDecodingError(
                f"{self.signature} returned {len(data)} bytes that cannot be read: {error}; "
                "expected what its ABI says: is this the right contract?"
            ) from None
        if not self.outputs:
            return None
        return values[0] if len(self.outputs) == 1 else values

    def has_arguments(self, data: bytes) -> bool:
        """Return True if call data is long enough for all arguments."""
        return len(data) >= self._least

    def decode_arguments(self, data: bytes) -> tuple[Any, ...]:
        """Return the arguments in call data, decoded as a Vyper contract decodes them.

        Everything that a contract accepts is accepted, since any account may send it: non-zero padding,
        trailing bytes, and missing bytes as zeros. Raises AbiDecodingError for data that a contract rejects,
        too.
        """
        if not self.has_arguments(data):
            raise AbiDecodingError(f"{self.signature} is called with {len(data)} bytes of {self._least}")
        return self._arguments.decode(
            _make_dynamic_payload(data, is_call_data=True) if self._arguments.dynamic else data, 4
        )


class Event:
    """One event of an ABI; indexed values are decoded from topics and returned in the ABI's order."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.name: str = entry["name"]
        self.inputs = _parse_abi_parameters(entry["inputs"])
        signature = f"{self.name}({','.join(map(_format_type, self.inputs))})"
        self.topic: bytes = keccak(signature.encode())
        indexed = [bool(item["indexed"]) for item in entry["inputs"]]
        self._data = _make_tuple_codec(
            [_make_abi_type_codec(p) for p, i in zip(self.inputs, indexed, strict=True) if not i]
        )
        # Of what takes more than a word, a topic has the hash.
        self._topics = tuple(
            _make_abi_type_codec(p).word or bytes for p, i in zip(self.inputs, indexed, strict=True) if i
        )
        self._read, self._count = _make_decoder(self._data), len(self._topics) + 1
        # Where each value is: topics first, then data.
        topics, data = iter(range(len(self._topics))), iter(range(len(self._topics), len(indexed)))
        self._order = tuple(next(topics) if i else next(data) for i in indexed)
        self._in_order = self._order == tuple(range(len(indexed)))

    def decode_value_tuple(self, topics: Sequence[bytes], data: bytes) -> tuple[Any, ...]:
        """Return the values of a log in the ABI's order; raise AbiDecodingError if they do not fit."""
        if len(topics) != self._count or len(data) < self._data.size:
            raise AbiDecodingError(
                f"the event {self.name} has {len(topics)} topics and {len(data)} bytes; "
                f"expected {self._count} topics and {self._data.size} bytes or more"
            )
        try:
            values = [read(topic) for read, topic in zip(self._topics, topics[1:], strict=True)]
            values.extend(self._read(data, 0))
        except AbiDecodingError as error:
            raise AbiDecodingError(f"the event {self.name} cannot be read: {error}") from None
        return tuple(values) if self._in_order else tuple([values[i] for i in self._order])


class ContractAbi:
    """Functions, events and constructor of one contract."""

    def __init__(self, kind: str, abi_json: list[dict[str, Any]]) -> None:
        self.kind = kind
        # Default arguments make several functions of one name: by name and number of arguments.
        self.functions: dict[tuple[str, int], Function] = {}
        self.by_selector: dict[bytes, Function] = {}
        self.events: dict[bytes, Event] = {}
        self.constructor_inputs: tuple[Parameter, ...] = ()
        for entry in abi_json:
            if entry["type"] == "function":
                function = Function(entry)
                self.functions[function.name, len(function.inputs)] = function
                self.by_selector[function.selector] = function
            elif entry["type"] == "event":
                event = Event(entry)
                self.events[event.topic] = event
            elif entry["type"] == "constructor":
                self.constructor_inputs = _parse_abi_parameters(entry["inputs"])
        self.constructor = _make_tuple_codec([_make_abi_type_codec(p) for p in self.constructor_inputs])

    def get_function(self, name: str, arguments: int) -> Function:
        """Return the function with a name and a number of arguments; raise BackstopError if there is none."""
        try:
            return self.functions[name, arguments]
        except KeyError:
            known = sorted(f.signature for f in self.functions.values() if f.name == name)
            there = f"it has {', '.join(known)}" if known else "it has no function of that name"
            raise BackstopError(f"{self.kind}.{name} with {arguments} arguments: {there}") from None


def decode_revert(data: bytes) -> str:
    """Return the reason text in revert data.

    Return "" for a revert without data and for a panic, and the data in hex for any other error.
    """
    if data[:4] == b"\x08\xc3\x79\xa0":
        length = int.from_bytes(data[36:68])
        return data[68 : 68 + length].decode("utf-8", "replace")
    if not data or data[:4] == b"\x4e\x48\x7b\x71":
        return ""
    return "0x" + data.hex()


def _make_dynamic_payload(encoded_bytes: bytes, is_call_data: bool) -> DynamicPayload:
    found = DynamicPayload(encoded_bytes + bytes(_ZEROS) if is_call_data else encoded_bytes)
    found.left, found.call = max(len(encoded_bytes), _REREAD), is_call_data
    return found


def _make_decoder(codec: Codec) -> Callable[[bytes, int], Any]:
    """Return a decoder of return data or event data that is at least as long as the head."""
    if not codec.dynamic:
        return codec.decode
    return lambda data, at: codec.decode(_make_dynamic_payload(data, is_call_data=False), at)


def _parse_abi_parameters(abi_items: list[dict[str, Any]]) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(item.get("name", ""), item["type"], _parse_abi_parameters(item.get("components", [])))
        for item in abi_items
    )


def _format_type(parameter: Parameter) -> str:
    """Return a parameter's type as written in a function signature, with structs expanded."""
    if not parameter.type.startswith("tuple"):
        return parameter.type
    return f"({','.join(map(_format_type, parameter.components))}){parameter.type[5:]}"


def _make_abi_type_codec(abi_parameter: Parameter) -> Codec:
    type_ = abi_parameter.type
    if array := re.fullmatch(r"(.*)\[(\d*)\]", type_):
        item = _make_abi_type_codec(abi_parameter._replace(type=array[1]))
        return _make_array_codec(item, int(array[2])) if array[2] else _make_dynamic_array_codec(item)
    if type_ == "tuple":
        return _make_tuple_codec([_make_abi_type_codec(component) for component in abi_parameter.components])
    if word := re.fullmatch(r"(uint|int|bytes)(\d+)", type_):
        return {"uint": _make_uint_codec, "int": _make_int_codec, "bytes": _make_fixed_bytes_codec}[word[1]](
            int(word[2])
        )
    try:
        return {"address": _ADDRESS, "bool": _BOOL, "string": _STRING, "bytes": _BYTES}[type_]
    except KeyError:
        raise BackstopError(f"the ABI type {type_} is not supported") from None


# ----------------------------------------------------------------------- words


def _make_word_codec(encode: Callable[[Any], bytes], word: Callable[[bytes], Any]) -> Codec:
    return Codec(32, False, encode, lambda data, at: word(data[at : at + 32]), word)


def _make_uint_codec(bits: int) -> Codec:
    def encode(value: int) -> bytes:
        if value >> bits:
            raise ValueError(f"{value} is not a uint{bits}")
        return value.to_bytes(32, "big")

    if bits == 256:
        return _make_word_codec(encode, int.from_bytes)

    def word(data: bytes) -> int:
        value = int.from_bytes(data)
        if value >> bits:
            raise AbiDecodingError(f"{value} is not a uint{bits}")
        return value

    return _make_word_codec(encode, word)


def _make_int_codec(bits: int) -> Codec:
    def encode(value: int) -> bytes:
        if not -(1 << bits - 1) <= value < 1 << bits - 1:
            raise ValueError(f"{value} is not an int{bits}")
        return value.to_bytes(32, "big", signed=True)

    def word(data: bytes) -> int:
        value = int.from_bytes(data, signed=True)
        if not -(1 << bits - 1) <= value < 1 << bits - 1:
            raise AbiDecodingError(f"{value} is not an int{bits}")
        return value

    return _make_word_codec(encode, word)


def _make_fixed_bytes_codec(length: int) -> Codec:
    def encode(value: bytes) -> bytes:
        if len(value) != length:
            raise ValueError(f"{len(value)} bytes are no bytes{length}")
        return value.ljust(32, b"\0")

    if length == 32:
        return _make_word_codec(encode, bytes)
    padding = bytes(32 - length)

    def word(data: bytes) -> bytes:
        if data[length:] != padding:
            raise AbiDecodingError(f"0x{data.hex()} is not a bytes{length}")
        return data[:length]

    return _make_word_codec(encode, word)


# The same accounts come again and again.
@lru_cache(maxsize=2**14)
def _encode_address(value: str) -> bytes:
    raw = bytes.fromhex(value[2:])
    if len(raw) != 20 or value[:2] != "0x":
        raise ValueError(f"{value!r} is not an address")
    return bytes(12) + raw


@lru_cache(maxsize=2**14)
def _decode_lower_case_address(word: bytes) -> str:
    if word[:12] != bytes(12):
        raise AbiDecodingError(f"0x{word.hex()} is not an address")
    return "0x" + word[12:].hex()


def _encode_bool(value: bool) -> bytes:
    if value not in (0, 1):
        raise ValueError(f"{value!r} is not a bool")
    return bytes(31) + bytes([value])


def _decode_bool(word: bytes) -> bool:
    value = _BOOLS.get(word)
    if value is None:
        raise AbiDecodingError(f"0x{word.hex()} is not a bool")
    return value


_BOOLS = {bytes(32): False, bytes(31) + b"\1": True}
_ADDRESS = _make_word_codec(_encode_address, _decode_lower_case_address)
_BOOL = _make_word_codec(_encode_bool, _decode_bool)


# --------------------------------------------------------------------- dynamic


def _encode_bytes(value: bytes) -> bytes:
    return len(value).to_bytes(32, "big") + value + bytes(-len(value) % 32)


def _decode_bytes(data: DynamicPayload, at: int) -> bytes:
    length, start = _read_length(data, at, 1)
    end = start + length
    if not data.call:
        padding = data[end : end + -length % 32]
        if len(padding) < -length % 32 or any(padding):
            raise AbiDecodingError(f"the {length} bytes at {at} are not padded with zeros to whole words")
    return data[start:end]


def _decode_string(data: DynamicPayload, at: int) -> str:
    raw = _decode_bytes(data, at)
    try:
        return raw.decode("utf-8", "replace" if data.call else "strict")
    except UnicodeDecodeError:
        raise AbiDecodingError(f"the string at {at} is not UTF-8") from None


def _read_length(data: DynamicPayload, at: int, size: int) -> tuple[int, int]:
    """Return the length of an array or byte string at a position, and the position of its first item.

    Raises AbiDecodingError if not all items are in the data.
    """
    data.check_bytes_readable(at, 32)
    length, start = int.from_bytes(data[at : at + 32]), at + 32
    data.check_bytes_readable(start, length * size)
    return length, start


_BYTES = Codec(32, True, _encode_bytes, _decode_bytes)
_STRING = Codec(32, True, lambda value: _encode_bytes(value.encode()), _decode_string)


def _make_tuple_codec(items: Sequence[Codec]) -> Codec:
    encoders = [item.encode for item in items]
    places = []
    head = 0
    for item in items:
        places.append((head, item.decode))
        head += item.size

    if not any(item.dynamic for item in items):

        def encode_static(values: Sequence[Any]) -> bytes:
            return b"".join([encode(value) for encode, value in zip(encoders, values, strict=True)])

        words = [(32 * i, 32 * i + 32, item.word) for i, item in enumerate(items) if item.word is not None]
        if len(words) == len(items):

            def decode_words(data: bytes, at: int) -> tuple[Any, ...]:
                if at:
                    data = data[at : at + head]
                return tuple([word(data[start:end]) for start, end, word in words])

            return Codec(head, False, encode_static, decode_words)

        def decode_static(data: bytes, at: int) -> tuple[Any, ...]:
            return tuple([decode(data, at + place) for place, decode in places])

        return Codec(head, False, encode_static, decode_static)

    def encode(values: Sequence[Any]) -> bytes:
        heads, tails, tail = [], [], head
        for item, value in zip(items, values, strict=True):
            encoded = item.encode(value)
            if item.dynamic:
                heads.append(tail.to_bytes(32, "big"))
                tails.append(encoded)
                tail += len(encoded)
            else:
                heads.append(encoded)
        return b"".join(heads + tails)

    least = 32 * sum(item.slots for item in items)

    def decode(data: DynamicPayload, at: int) -> tuple[Any, ...]:
        data.check_bytes_readable(at, head)
        values = []
        for item, (place, decode_item) in zip(items, places, strict=True):
            here = at + place
            if item.dynamic:
                here = data.resolve_offset(at, here, least)
            values.append(decode_item(data, here))
        return tuple(values)

    # As a member it is an offset in the head; called with the whole data it starts at its own head.
    return Codec(32, True, encode, decode)


def _make_array_codec(item: Codec, length: int) -> Codec:
    found = _make_tuple_codec([item] * length)
    return found if found.dynamic else found._replace(slots=length)


def _make_dynamic_array_codec(item: Codec) -> Codec:
    def encode(values: Sequence[Any]) -> bytes:
        return len(values).to_bytes(32, "big") + _make_array_codec(item, len(values)).encode(values)

    def decode(data: DynamicPayload, at: int) -> tuple[Any, ...]:
        length, start = _read_length(data, at, item.size)
        places = range(start, start + length * item.size, item.size)
        if not item.dynamic:
            return tuple([item.decode(data, place) for place in places])
        return tuple([item.decode(data, data.resolve_offset(start, place, 32 * length)) for place in places])

    return Codec(32, True, encode, decode)
