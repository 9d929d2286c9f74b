"""Sign an order of the margin market."""

from __future__ import annotations

import time
from pathlib import Path

import click

from backstop.cli.command_helpers import Command, handle_errors
from backstop.live.operate.network_options import deployment_option


@click.command(
    cls=Command,
    short_help="Sign an order of the margin market",
    epilog="""\b
Examples:
  ape run order --trader ann --market WETH --buy 100 --price 2000 --out orders.jsonl
  ape run order --trader margin_liquidator --market WETH --sell 40 --price 1995.5 --reduce-only
  ape run order --keystore me --market WBTC --sell 5 --price 60000 --expiry 1797044400
  ape run order --keystore me --account 1 --market WETH --buy 5 --price 2000
""",
)
@deployment_option
@click.option(
    "--trader",
    metavar="NAME",
    help="Trader on a test chain: a role, or any name, which gives a publicly known key.  [default: none]",
)
@click.option(
    "--keystore",
    metavar="ALIAS",
    help="Alias of Ape's account that signs, unlocked by APE_ACCOUNTS_<alias>_PASSPHRASE.  [default: none]",
)
@click.option(
    "--account",
    type=click.IntRange(0, 255),
    default=0,
    show_default=True,
    metavar="NUMBER",
    help="Margin account of the signer; 0 is its own address.",
)
@click.option("--market", required=True, metavar="SYMBOL", help="Symbol of the market's price feed.")
@click.option(
    "--buy",
    type=click.IntRange(1),
    metavar="LOTS",
    help="Lots to buy at most; either --buy or --sell.  [default: none]",
)
@click.option(
    "--sell",
    type=click.IntRange(1),
    metavar="LOTS",
    help="Lots to sell at most; either --buy or --sell.  [default: none]",
)
@click.option("--price", required=True, help="Limit price in stablecoins for a whole coin.")
@click.option("--reduce-only", is_flag=True, help="Only reduce the account's position.")
@click.option(
    "--expiry",
    type=click.IntRange(0),
    metavar="TIMESTAMP",
    help="Unix time after which the order is void.  [default: never]",
)
@click.option(
    "--nonce",
    type=click.IntRange(0),
    help="Time of the signature, in nanoseconds since 1970.  [default: now]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of orders to append to, for a matcher.  [default: none, the order is printed]",
)
@handle_errors
def cli(
    deployment: Path,
    trader: str | None,
    keystore: str | None,
    account: int,
    market: str,
    buy: int | None,
    sell: int | None,
    price: str,
    reduce_only: bool,
    expiry: int | None,
    nonce: int | None,
    out: Path | None,
) -> None:
    """Sign an order to buy or sell lots of a perpetual market, for `ape run keeper --roles matcher`.

    Nothing is sent. Reads the deployment file. Prints the order as a line of JSON, or appends it to --out.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
    """
    from backstop.deployment.deployment_file import read_deployment
    from backstop.errors import BackstopError
    from backstop.live.operate.order_signing import find_order_signing_key, sign_order
    from backstop.model.arithmetic import MAX_UINT256
    from backstop.simulation.scenario import quantity_units

    if (buy is None) == (sell is None):
        raise BackstopError("order: no side, or both; expected one of --buy LOTS and --sell LOTS")
    try:
        wad = quantity_units.read_amount(price)
    except ValueError as error:
        raise BackstopError(f"--price: {error}") from None
    read = read_deployment(deployment)
    line = sign_order(
        read,
        find_order_signing_key(read, trader, keystore),
        market,
        buy or -(sell or 0),
        wad,
        expiry=MAX_UINT256 if expiry is None else expiry,
        nonce=time.time_ns() if nonce is None else nonce,
        reduce_only=reduce_only,
        number=account,
    )
    if out is None:
        click.echo(line)
        return
    try:
        with out.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise BackstopError(f"{out} cannot be written: {error.strerror}") from None
