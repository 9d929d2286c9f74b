"""Signing of orders of the margin market, as a matcher reads them."""

from __future__ import annotations

from typing import Any

from eth_account import Account

from backstop.deployment.devnet_trader_signatures import derive_trader_key, test_key
from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import ACCOUNTS
from backstop.errors import BackstopError
from backstop.keepers.signed_order_file import format_order, parse_order
from backstop.live.node.rpc_node import TEST_CHAINS
from backstop.live.node.signers import keystore_key
from backstop.model.account_owner import derive_account
from backstop.model.arithmetic import WAD
from backstop.model.margin_orders import Order, order_digest


def find_order_signing_key(deployment: Deployment, trader: str | None, keystore_alias: str | None) -> bytes:
    """Return the private key that signs a trader's margin orders.

    `keystore_alias` names an account of Ape. `trader` is a role or a free name, from which a public test key
    is derived, and is accepted on test chains only. Raise BackstopError unless exactly one of the two is
    given.
    """
    if (trader is None) == (keystore_alias is None):
        raise BackstopError("no signer, or two; expected one of --trader NAME and --keystore ALIAS")
    if keystore_alias is not None:
        return keystore_key(keystore_alias)
    assert trader is not None
    if deployment.chain_id not in TEST_CHAINS:
        raise BackstopError("everybody knows the keys of a devnet's traders: --keystore ALIAS of your own")
    return test_key(ACCOUNTS[trader]) if trader in ACCOUNTS else derive_trader_key(trader).to_bytes(32, "big")


def sign_order(
    deployment: Deployment,
    key: bytes,
    symbol: str,
    size: int,
    price: int,
    *,
    expiry: int,
    nonce: int,
    reduce_only: bool = False,
    number: int = 0,
) -> str:
    """Sign an order of the margin market and return it as a line of a signed order file.

    `size` is in lots (contract units); above zero buys. `price` is in wad per coin. `expiry` is a timestamp.
    `number` is that of the signer's margin account for the order. Raise BackstopError if the market is
    unknown or the price of a lot is not a whole number of wei.
    """
    margin = deployment.parameters.margin
    if margin is None:
        raise BackstopError("this deployment has no margin market: deploy --params margin")
    symbols = [market.symbol for market in margin.markets]
    if symbol not in symbols:
        raise BackstopError(f"--market {symbol!r} is unknown; expected one of {', '.join(symbols)}")
    market = symbols.index(symbol)
    each, rest = divmod(price * margin.markets[market].lot, WAD)
    if rest:
        raise BackstopError(f"a lot of {symbol} would cost parts of a wei: give a rounder --price")
    signer: Any = Account.from_key(key)
    account = derive_account(str(signer.address).lower(), number)
    order = Order(account, market, size, each, expiry, nonce, reduce_only)
    digest = order_digest(order, deployment.chain_id, deployment.addresses["MarginOrders"])
    line = format_order(order, bytes(signer.unsafe_sign_hash(digest).signature))
    parse_order(line.encode())
    return line
