# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title MarginOrders
@license GNU Affero General Public License v3.0 only
@notice Matches orders that their accounts have signed (EIP-712), and has the margin market book the trade. A
        signature is valid at this contract on this chain only, and once for the order's size: the order's
        hash counts, not the form of the signature.
"""
from snekmate.utils import eip712_domain_separator

from contracts.interfaces import IPerpetualTrading
from contracts.modules import account_owner
from contracts.modules import signature_check

initializes: eip712_domain_separator

exports: eip712_domain_separator.eip712Domain


event Filled:
    maker: indexed(address)
    taker: indexed(address)
    market: indexed(uint256)  # [id]
    lots: uint256  # [lots]
    price: uint256  # [wei a lot]
    maker_order: bytes32
    taker_order: bytes32


event Cancelled:
    account: indexed(address)
    order: indexed(bytes32)


event NonceRaised:
    account: indexed(address)
    new: uint256  # [nonce]


struct Order:
    account: address
    market: uint256
    size: int256  # lots: above zero buys, under zero sells
    price: uint256  # wei a lot: the worst that is accepted
    expiry: uint256  # seconds, the last at which it may be filled
    nonce: uint256  # when it was signed, nanoseconds since 1970; void under the account's floor
    reduce_only: bool


# What an account signs.
ORDER_TYPE: constant(bytes32) = keccak256(
    "Order(address account,uint256 market,int256 size,uint256 price,uint256 expiry,uint256 nonce,bool reduceOnly)"
)

NANOSECONDS: constant(uint256) = 10**9  # in a second

TRADING: public(immutable(IPerpetualTrading))

# hash of an order -> lots that were filled; more than any size once it is cancelled
filled: public(HashMap[bytes32, uint256])
# account -> nonce; orders under it are void
nonce_floor: public(HashMap[address, uint256])


@deploy
def __init__(trading: address):
    """
    @notice The wiring is final.
    @param trading Books the matched trades.
    """
    eip712_domain_separator.__init__("Backstop Margin", "1")
    TRADING = IPerpetualTrading(trading)


@external
@nonreentrant
def fill(
    maker: Order,
    maker_signature: Bytes[signature_check.LONGEST],
    taker: Order,
    taker_signature: Bytes[signature_check.LONGEST],
    lots: uint256,
):
    """
    @notice Match two orders of different accounts. Permissionless: the caller gets nothing. The price is the
            limit of the maker, the order with the lower nonce: the taker keeps any excess of its own limit.
            Protects: no order is filled without its account's signature, beyond its size, after its expiry,
            under its account's floor, at a worse price, or at another market, contract or chain. The caller
            cannot choose which of the two was first.
    @param maker The order that was signed first.
    @param maker_signature Of its account.
    @param taker The order that meets it.
    @param taker_signature Of its account.
    @param lots [lots] How many, above zero.
    """
    assert maker.account != taker.account, "margin_orders: same account"
    assert maker.market == taker.market, "margin_orders: other market"
    assert (maker.size > 0) != (taker.size > 0), "margin_orders: same side"
    assert (
        maker.price == taker.price or (maker.price < taker.price) == (taker.size > 0)
    ), "margin_orders: taker's limit"
    maker_order: bytes32 = self._use_order(maker, maker_signature, lots)
    taker_order: bytes32 = self._use_order(taker, taker_signature, lots)
    assert maker.nonce < taker.nonce or (
        maker.nonce == taker.nonce and maker.price == taker.price
    ), "margin_orders: taker was first"
    # Who says that he comes later than now would be the taker of whatever comes.
    assert (
        maker.price == taker.price or taker.nonce // NANOSECONDS <= block.timestamp
    ), "margin_orders: not signed yet"
    delta: int256 = convert(lots, int256)
    if maker.size < 0:
        delta = -delta
    log Filled(
        maker=maker.account,
        taker=taker.account,
        market=maker.market,
        lots=lots,
        price=maker.price,
        maker_order=maker_order,
        taker_order=taker_order,
    )
    extcall TRADING.trade(
        maker.market,
        maker.account,
        taker.account,
        delta,
        maker.price,
        maker.reduce_only,
        taker.reduce_only,
    )


@external
def cancel(order: Order):
    """
    @notice Void an order for good. Only the order's account may call.
    @param order Of an account of the caller's.
    """
    assert account_owner._is_owner(order.account, msg.sender), "margin_orders: not its account"
    digest: bytes32 = self._compute_order_digest(order)
    self.filled[digest] = max_value(uint256)
    log Cancelled(account=order.account, order=digest)


@external
def raise_nonce(new: uint256, account: address = msg.sender):
    """
    @notice Void all orders of an account with a nonce under a new floor, above the old one. Only the order's
            account may call. Protects: each account has a floor of its own.
    @param new [nonce] The floor.
    @param account One of the caller's.
    """
    assert account_owner._is_owner(account, msg.sender), "margin_orders: not its owner"
    assert new > self.nonce_floor[account], "margin_orders: floor only rises"
    self.nonce_floor[account] = new
    log NonceRaised(account=account, new=new)


@external
@view
def digest_of(order: Order) -> bytes32:
    """
    @notice Return the hash that an order's account signs, which is also the order's id.
    @param order Any.
    @return Its EIP-712 digest in this contract, on this chain.
    """
    return self._compute_order_digest(order)


@internal
def _use_order(order: Order, signature: Bytes[signature_check.LONGEST], lots: uint256) -> bytes32:
    """@dev Count lots of an order as filled, if its account signed it and it is good for as many."""
    digest: bytes32 = self._compute_order_digest(order)
    assert signature_check._is_signed(order.account, digest, signature), "margin_orders: not its signer"
    assert block.timestamp <= order.expiry, "margin_orders: expired"
    assert order.nonce >= self.nonce_floor[order.account], "margin_orders: nonce is void"
    used: uint256 = self.filled[digest]
    size: uint256 = convert(abs(order.size), uint256)
    assert lots != 0 and lots <= size and used <= size - lots, "margin_orders: not so much left"
    self.filled[digest] = used + lots
    return digest


@internal
@view
def _compute_order_digest(order: Order) -> bytes32:
    return eip712_domain_separator._hash_typed_data_v4(
        keccak256(
            abi_encode(
                ORDER_TYPE,
                order.account,
                order.market,
                order.size,
                order.price,
                order.expiry,
                order.nonce,
                order.reduce_only,
            )
        )
    )
