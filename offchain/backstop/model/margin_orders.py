"""Matches orders that their accounts have signed (EIP-712), and has the margin market book the trade."""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.contract_base import Contract, RevertError, World, external, immutable, require, view
from backstop.evm_crypto import keccak256
from backstop.model.account_owner import is_own_or_subaccount
from backstop.model.arithmetic import MAX_UINT256, add_uint256
from backstop.model.erc20 import domain_separator, encode_words
from backstop.model.interfaces import IPerpetualTrading
from backstop.model.signature_check import is_signed

DOMAIN_NAME, DOMAIN_VERSION = "Backstop Margin", "1"
NANOSECONDS = 10**9
"""In a second, as nonces count."""
_ORDER_TYPE = keccak256(
    b"Order(address account,uint256 market,int256 size,uint256 price,uint256 expiry,uint256 nonce,"
    b"bool reduceOnly)"
)


class Order(NamedTuple):
    """Signed order in a perpetual market: lots (above 0 to buy), price limit [wei a lot], expiry.

    The nonce is the time of signing in nanoseconds since 1970. Of two matched orders, the one with the lower
    nonce is the maker's.
    """

    account: str
    market: int
    size: int
    price: int
    expiry: int
    nonce: int
    reduce_only: bool = False


def order_digest(order: Order, chain_id: int, contract: str) -> bytes:
    """Return the EIP-712 digest that the account signs for an order; it is also the order's id."""
    domain = domain_separator(DOMAIN_NAME, DOMAIN_VERSION, chain_id, contract)
    size = order.size % 2**256
    content = encode_words(
        _ORDER_TYPE, order.account, order.market, size, order.price, order.expiry, order.nonce, order[6]
    )
    return keccak256(b"\x19\x01" + domain + keccak256(content))


class MarginOrders(Contract):
    """Contract that matches signed orders of perpetual markets (model of contracts/MarginOrders.vy)."""

    KIND = "MarginOrders"

    trading_address = immutable("TRADING", str)

    def __init__(self, world: World, name: str, address: str, trading: str) -> None:
        super().__init__(world, name, address)
        self.trading_address = trading
        self.fills = self.table("filled")
        self.floors = self.table("nonce_floor")

    @external
    def fill(
        self,
        sender: str,
        maker: Order,
        maker_signature: bytes,
        taker: Order,
        taker_signature: bytes,
        lots: int,
    ) -> None:
        """Match two signed orders of different accounts for a number of lots, at the maker's limit price.

        The maker's order is the one that was signed first. Any account may call this. Reverts if an order is
        invalid or expired, or has fewer lots left.
        """
        maker, taker = Order(*maker), Order(*taker)
        require(maker.account != taker.account, "margin_orders: same account")
        require(maker.market == taker.market, "margin_orders: other market")
        require((maker.size > 0) != (taker.size > 0), "margin_orders: same side")
        meets = maker.price == taker.price or (maker.price < taker.price) == (taker.size > 0)
        require(meets, "margin_orders: taker's limit")
        maker_order = self._use_order(maker, maker_signature, lots)
        taker_order = self._use_order(taker, taker_signature, lots)
        first = maker.nonce < taker.nonce or (maker.nonce == taker.nonce and maker.price == taker.price)
        require(first, "margin_orders: taker was first")
        signed = maker.price == taker.price or taker.nonce // NANOSECONDS <= self.world.timestamp
        require(signed, "margin_orders: not signed yet")
        self.emit(
            "Filled",
            maker.account,
            taker.account,
            maker.market,
            lots,
            maker.price,
            maker_order,
            taker_order,
        )
        trading = cast(IPerpetualTrading, self.world.at(self.trading_address))
        trading.trade(
            self.address,
            maker.market,
            maker.account,
            taker.account,
            lots if maker.size > 0 else -lots,
            maker.price,
            maker.reduce_only,
            taker.reduce_only,
        )

    @external
    def cancel(self, sender: str, order: Order) -> None:
        """Cancel an order permanently. Only the order's account or its owner may call this."""
        order = Order(*order)
        require(is_own_or_subaccount(self.world, order.account, sender), "margin_orders: not its account")
        digest = self._compute_order_digest(order)
        self.fills[digest] = MAX_UINT256
        self.emit("Cancelled", order.account, digest)

    @external
    def raise_nonce(self, sender: str, new: int, account: str | None = None) -> None:
        """Cancel all orders of an account with a nonce below `new`, which must exceed the present floor.

        The account is by default the caller's; the owner of a sub-account may name it.
        """
        account = account or sender
        require(is_own_or_subaccount(self.world, account, sender), "margin_orders: not its owner")
        require(new > self.floors[account], "margin_orders: floor only rises")
        self.floors[account] = new
        self.emit("NonceRaised", account, new)

    @view
    def digest_of(self, sender: str, order: Order) -> bytes:
        """Return the EIP-712 digest that the account signs for an order; it is also the order's id."""
        return self._compute_order_digest(Order(*order))

    @view
    def filled(self, sender: str, digest: bytes) -> int:
        """Return the lots of an order that were filled; 2**256 - 1 if the order was cancelled."""
        return int(self.fills[digest])

    @view
    def nonce_floor(self, sender: str, account: str) -> int:
        """Return the lowest nonce with which an account's orders are valid."""
        return int(self.floors[account])

    @view
    def eip712Domain(self, sender: str) -> tuple[bytes, str, str, int, str, bytes, list[int]]:
        """Return the fields of the contract's EIP-712 domain, in the order of EIP-5267."""
        return b"\x0f", DOMAIN_NAME, DOMAIN_VERSION, self.world.chain_id, self.address, bytes(32), []

    def _use_order(self, order: Order, signature: bytes, lots: int) -> bytes:
        """Check an order's signature, expiry and nonce, count `lots` of it as filled, and return its digest.

        Reverts if fewer lots of the order are left.
        """
        digest = self._compute_order_digest(order)
        signed = is_signed(self, order.account, digest, signature)
        require(signed, "margin_orders: not its signer")
        require(self.world.timestamp <= order.expiry, "margin_orders: expired")
        require(order.nonce >= self.floors[order.account], "margin_orders: nonce is void")
        used, size = self.fills[digest], abs(order.size)
        if size == 2**255:
            raise RevertError("")
        left = lots != 0 and lots <= size and used <= size - lots
        require(left, "margin_orders: not so much left")
        self.fills[digest] = add_uint256(used, lots)
        return digest

    def _compute_order_digest(self, order: Order) -> bytes:
        return order_digest(order, self.world.chain_id, self.address)
