"""From the model's tables to raw storage and back: which slot, which word."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from operator import lshift, rshift
from typing import Any, NamedTuple

from eth_hash.auto import keccak

from backstop.errors import BackstopError

_WORDS = 2**256


class SlotOverflowError(BackstopError):
    """Error: a value of the model does not fit its storage slot or the record's `field`."""

    def __init__(self, value: Any, room: str, field: str = "", record: Any = None) -> None:
        of = "" if record is None else f" of {record}"
        super().__init__(f"{value}{of} does not fit {room}")
        self.value = value
        self.room = room
        self.field = field


class StorageLevel(NamedTuple):
    """One step on the path from a variable's base slot to a value's slot.

    "slot_first" (Vyper), "key_first" and "text_key" (Solidity) are mappings; "index" is an array with items
    of `size` slots. Each takes one part of the key. "member" adds `size` slots, "data" goes to the data of a
    dynamic Solidity array; these take no key.
    """

    kind: str
    size: int = 0

    @property
    def takes_key(self) -> bool:
        return self.kind not in ("member", "data")


class StorageVariable(NamedTuple):
    """Storage variable of a contract: base slot and number of key parts.

    Without `levels` the variable is a scalar or nested mappings of Vyper.
    """

    slot: int
    depth: int
    levels: tuple[StorageLevel, ...] = ()

    def add_level(self, kind: str, size: int = 0) -> StorageVariable:
        """Return the variable with one more step on the path to its values."""
        level = StorageLevel(kind, size)
        return StorageVariable(self.slot, self.depth + level.takes_key, (*self.levels, level))


def find_variable(kind: str, path: str, storage: Mapping[str, tuple[int, str]]) -> StorageVariable:
    """Return the storage variable at a path of the compiler's layout.

    Raises BackstopError if the path is unknown, or if its values do not fit one slot.
    """
    try:
        slot, type_ = storage[path]
    except KeyError:
        known = ", ".join(sorted(storage)) or "nothing"
        raise BackstopError(f"{kind} stores no {path!r}; it stores {known}") from None
    depth = 0
    while mapping := re.fullmatch(r"HashMap\[(\w+), (.*)\]", type_):
        if mapping[1] == "String" or mapping[1] == "Bytes":
            raise BackstopError(f"{kind}.{path}: keys of type {mapping[1]} are not supported")
        depth, type_ = depth + 1, mapping[2]
    if re.match(r"HashMap|DynArray|String|Bytes\[", type_):
        raise BackstopError(f"{kind}.{path}: a {type_} is not one slot")
    return StorageVariable(slot, depth)


def compute_slot(place: StorageVariable, key: Hashable) -> int:
    """Return the storage slot of a key of a variable.

    Each level hashes slot and key part with keccak-256; Vyper puts the slot first.
    """
    if place.depth == 0:
        keys: tuple[Any, ...] = ()
        matches = key == ()
    elif place.depth == 1:
        keys = (key,)
        matches = not isinstance(key, tuple)
    else:
        matches = isinstance(key, tuple) and len(key) == place.depth
        keys = key if isinstance(key, tuple) else ()
    if not matches:
        raise BackstopError(f"{key!r} is not a key of a variable with {place.depth} mapping levels")
    slot = place.slot
    if place.levels:
        return _follow_levels(place, keys)
    for part in keys:
        slot = _hash_slot_key(slot, _encode_scalar(part))
    return slot


def _follow_levels(place: StorageVariable, keys: Sequence[Any]) -> int:
    slot, waiting = place.slot, iter(keys)
    for level in place.levels:
        if level.kind == "slot_first":
            slot = _hash_slot_key(slot, _encode_scalar(next(waiting)))
        elif level.kind == "key_first":
            slot = _hash_slot_key(_encode_scalar(next(waiting)), slot)
        elif level.kind == "text_key":
            key = next(waiting)
            text = key.encode() if isinstance(key, str) else key
            slot = int.from_bytes(keccak(text + slot.to_bytes(32, "big")), "big")
        elif level.kind == "index":
            slot = (slot + int(next(waiting)) * level.size) % _WORDS
        elif level.kind == "data":
            slot = int.from_bytes(keccak(slot.to_bytes(32, "big")), "big")
        else:
            slot = (slot + level.size) % _WORDS
    return slot


@lru_cache(maxsize=2**14)
def _hash_slot_key(slot: int, key: int) -> int:
    """Return the keccak-256 hash of slot and key as an integer; cached, since deployments share slots."""
    return int.from_bytes(keccak(slot.to_bytes(32, "big") + key.to_bytes(32, "big")), "big")


def encode_word(value: Any) -> int:
    """Return the storage word of a value: an int, bool, address, bytes32 or record.

    Raises SlotOverflowError if the value does not fit.
    """
    widths = getattr(value, "WIDTHS", None)
    if widths is None:
        return _encode_scalar(value)
    parts = [*map(_encode_signed_field, value, widths, value._fields)] if value.IS_SIGNED else value
    try:
        return _pack_fields(value, parts)
    except TypeError:  # not all are numbers
        return _pack_fields(value, [*map(_encode_scalar, parts)])


def _pack_fields(value: Any, parts: Sequence[int]) -> int:
    if any(map(rshift, parts, value.BITS)):  # also of what is negative
        each = zip(parts, value.BITS, value._fields, strict=True)
        part, width, field = next(one for one in each if one[0] >> one[1])
        raise SlotOverflowError(part, f"{width} bits", field, value)
    return sum(map(lshift, parts, value.SHIFTS))


def _encode_signed_field(part: Any, width: int, field: str) -> Any:
    """Return a record field as an unsigned integer: two's complement if `width` is negative."""
    if width > 0:
        return part
    if not -1 << -width - 1 <= part < 1 << -width - 1:
        raise SlotOverflowError(part, f"{-width} signed bits", field)
    return part & ((1 << -width) - 1)


def decode_word(word: int, type_example: Any) -> Any:
    """Return the value in a storage word, decoded to the type of `type_example`."""
    widths = getattr(type_example, "WIDTHS", None)
    if widths is None:
        return _decode_scalar(word, type_example)
    parts = []
    for part, width in zip(type_example, widths, strict=True):
        bits = word & ((1 << abs(width)) - 1)
        if width < 0 and bits >> -width - 1:
            bits -= 1 << -width
        parts.append(_decode_scalar(bits, part))
        word >>= abs(width)
    return type(type_example)(*parts)


def count_fields(value: Any) -> int:
    """Return the number of fields of a record; 1 for a plain value."""
    return len(value) if hasattr(value, "WIDTHS") else 1


def list_field_differences(
    type_example: Any, first_word: int, second_word: int
) -> list[tuple[str, Any, Any]]:
    """Return name and both values of each field in which two storage words differ.

    For a plain value the name is "". If only bits outside the record differ, the name is "unused bits".
    """
    values = decode_word(first_word, type_example), decode_word(second_word, type_example)
    names = getattr(type_example, "_fields", None)
    if names is None:
        return [("", *values)]
    found = [each for each in zip(names, *values, strict=True) if each[1] != each[2]]
    # If no field differs, the bits above the record do.
    return found or [("unused bits", f"{first_word:#x}", f"{second_word:#x}")]


def _encode_scalar(value: Any) -> int:
    if isinstance(value, int):
        if not -1 << 255 <= value < 1 << 256:
            raise SlotOverflowError(value, "a storage slot")
        return value & ((1 << 256) - 1)  # two's complement
    if isinstance(value, str):
        return int(value, 16)
    if isinstance(value, bytes) and len(value) == 32:
        return int.from_bytes(value, "big")
    raise BackstopError(f"{value!r} is not a value of one slot")


def _decode_scalar(word: int, default: Any) -> Any:
    if isinstance(default, bool):
        return bool(word) if word < 2 else word
    if isinstance(default, str):
        return f"0x{word:040x}"
    if isinstance(default, bytes):
        return word.to_bytes(32, "big")
    return word
