"""Signed orders in a file of JSON lines, which grows while a matcher reads it.

    {"schema_version": 1, "account": "0x...", "market": 0, "size": "-10", "price": "20000000000000000000",
     "expiry": "1797044400", "nonce": "1", "reduce_only": false, "signature": "0x..."}

One order a line; whole numbers that may be large are strings of digits. Lots above zero buy; the price is wei
a lot, the expiry seconds of the epoch. A line that is no order is logged once, and skipped for good.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from backstop.errors import BackstopError
from backstop.evm_crypto import ORDER, recover_signer_or_none
from backstop.keepers.json_line_parsing import parse_hex_string_to_lowercase, parse_number, parse_object
from backstop.keepers.keeper_group_settings import KeeperGroup
from backstop.model.account_owner import has_same_first_19_bytes
from backstop.model.arithmetic import MAX_UINT256
from backstop.model.margin_orders import Order, order_digest

SCHEMA_VERSION = 1
_FIELDS = (
    *("schema_version", "account", "market", "size", "price", "expiry", "nonce", "reduce_only"),
    "signature",
)


class SignedOrder(NamedTuple):
    """Order with its signature, its EIP-712 digest, and its place in the file (0 for the oldest)."""

    order: Order
    signature: bytes
    digest: bytes
    place: int

    @property
    def hex_digest(self) -> str:
        """Digest of the order in hex, which identifies the order in a keeper's memory."""
        return self.digest.hex()

    @property
    def buys(self) -> bool:
        return self.order.size > 0


class OrderFile:
    """File of signed orders for one contract, read incrementally.

    `say` receives a log line for each line of the file that is no valid order.
    """

    def __init__(self, path: Path, chain_id: int, contract: str, say: Callable[[str], None]) -> None:
        self._path = path
        self._chain_id = chain_id
        self._contract = contract
        self._say = say
        self._at = 0  # bytes that were read
        self._lines = 0
        self._known: dict[bytes, SignedOrder] = {}
        self._told_missing = False

    def read_all_known_orders(self) -> list[SignedOrder]:
        """Read new lines of the file, and return all distinct orders so far, the oldest first."""
        for line in self._read_new_lines():
            self._lines += 1
            if not line.strip():
                continue
            try:
                found = self._parse_signed_order(line)
            except BackstopError as error:
                self._say(f"{self._path}:{self._lines}: {error}; the line is skipped")
                continue
            self._known.setdefault(found.digest, found)
        return list(self._known.values())

    def _read_new_lines(self) -> list[bytes]:
        """Return the lines added since the last read; a line without line feed is left for the next read.

        Empty if the file cannot be read; this is logged once.
        """
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._at:
                    # It is another file now.
                    self._at = self._lines = 0
                file.seek(self._at)
                added = file.read()
        except OSError as error:
            if not self._told_missing:
                self._say(f"there are no orders in {self._path} yet: {error.strerror}")
            self._told_missing = True
            return []
        self._told_missing = False
        *whole, rest = added.split(b"\n")
        self._at += len(added) - len(rest)
        return whole

    def _parse_signed_order(self, line: bytes) -> SignedOrder:
        order, signature = parse_order(line)
        digest = order_digest(order, self._chain_id, self._contract)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        signer = recover_signer_or_none(digest, signature[64], r, s) if s <= ORDER // 2 else None
        if signer is None or not has_same_first_19_bytes(signer, order.account):
            raise BackstopError(f"{order.account} has not signed it for {self._contract}")
        return SignedOrder(order, signature, digest, len(self._known))


def open_matcher_order_file(
    group: KeeperGroup, addresses: Mapping[str, str], chain_id: int, say: Callable[[str], None]
) -> OrderFile | None:
    """Open the order file of a group of matchers.

    None for other roles, or if the deployment has no margin market.
    """
    if group.role != "matcher" or "MarginOrders" not in addresses:
        return None
    return OrderFile(Path(group.orders), chain_id, addresses["MarginOrders"], say)


def format_order(order: Order, signature: bytes) -> str:
    """Return a signed order as one line of JSON, without line feed."""
    return json.dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "account": order.account,
            "market": order.market,
            "size": str(order.size),
            "price": str(order.price),
            "expiry": str(order.expiry),
            "nonce": str(order.nonce),
            "reduce_only": order.reduce_only,
            "signature": "0x" + signature.hex(),
        }
    )


def parse_order(line: bytes) -> tuple[Order, bytes]:
    """Parse a line of JSON into an order and its signature, without checking the signer.

    Raises BackstopError that names the first invalid field.
    """
    content = parse_object(line, SCHEMA_VERSION, _FIELDS, "an order")
    market, reduce_only = content["market"], content["reduce_only"]
    if type(market) is not int or not 0 <= market < 256:
        raise BackstopError("'market' is the number of a market")
    if type(reduce_only) is not bool:
        raise BackstopError("'reduce_only' is true or false")
    size = parse_number(content, "size", 2**63 - 1, signed=True)
    if size == 0:
        raise BackstopError("'size' is not a number of lots")
    order = Order(
        parse_hex_string_to_lowercase(content, "account", 20),
        market,
        size,
        parse_number(content, "price", 2**96 - 1),
        parse_number(content, "expiry", MAX_UINT256),
        parse_number(content, "nonce", MAX_UINT256),
        reduce_only,
    )
    if order.price == 0:
        raise BackstopError("'price' is zero")
    return order, bytes.fromhex(parse_hex_string_to_lowercase(content, "signature", 65)[2:])
