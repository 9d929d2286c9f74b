"""Fee and auction arithmetic that anyone can recompute, on the contracts.

The figures are those of dss's own tests, and logarithms. The ledger's power function is compiled alone from
its module, as the vault engine refuses a fee of 5% a day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction

from backstop.deployment.parameter_dataclasses import (
    EXPONENTIAL,
    STAIRSTEP,
    AuctionParameters,
    CollateralParameters,
    Parameters,
    StageParameters,
)
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.abi_codec import ContractAbi
from backstop.hosts.artifacts import ROOT
from backstop.hosts.host_registry import open_host
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.studies.reproductions.figure_comparison import (
    EXACT,
    FigureRow,
    Reproduction,
    build_absolute_tolerance,
    build_row,
)
from backstop.studies.reproductions.lockstep_deployment import LockstepDeployment, open_lockstep_deployment

DAY = 86_400
FIVE_PERCENT_A_DAY = 1_000_000_564_701_133_626_865_910_626
THREE_DAYS_AT_A_LOSS = 999_999_706_969_857_929_985_428_567
WEI = Fraction(1, WAD)

SOURCES = (
    "makerdao/dss, src/test/jug.t.sol: 5% a day and -2.5% a day on 100",
    "makerdao/dss, src/test/clip.t.sol: a vault of 40 with a debt of 100, buf 1.25",
    "by hand: ln(1/1.1)/ln(0.997) = 31.7 steps of 30 s to the market's price, ln(0.6)/ln(0.997) = 170.02 "
    "to 60%",
)

_POWER = """
# pragma version 0.4.3
# pragma evm-version cancun
from contracts.modules import units

@external
@pure
def rpow(base: uint256, exponent: uint256) -> uint256:
    return units._rpow(base, exponent)
"""


def reproduce_result(seed: int) -> Reproduction:
    """Compare fees and auction prices of the contracts with figures that can be computed by hand.

    Nothing is drawn, so that `seed` has no effect.
    """
    rows = [
        *_iter_stability_fee_rows(),
        *_iter_auction_price_decay_rows(),
        *_iter_dss_example_auction_rows(),
        *_iter_stairstep_timing_rows(),
    ]
    return Reproduction("arithmetic", "Fee and auction arithmetic", SOURCES, rows)


def _iter_stability_fee_rows() -> Iterator[FigureRow]:
    """Yield rows that compare the fee on a debt of 100 after one to three days at 5% a day."""
    with _compile_vyper_power_function() as rpow:
        for days, published in ((1, "5"), (2, "10.25"), (3, "15.7625")):
            owed = Fraction(100 * (rpow(FIVE_PERCENT_A_DAY, days * DAY) - RAY), RAY)
            name = f"fee on 100 after {days} day{'s' if days > 1 else ''}"
            yield build_row(
                name, owed, Fraction(published), build_absolute_tolerance(WEI), places=18, source=1
            )


def _iter_auction_price_decay_rows() -> Iterator[FigureRow]:
    """Yield a row that compares the price of an exponential auction after three days at -2.5% a day."""
    terms = AuctionParameters(EXPONENTIAL, 1, THREE_DAYS_AT_A_LOSS, 4 * DAY, cusp=1, buf=10_000)
    with open_lockstep_deployment(_build_parameters(terms, ratio=15_000)) as here:
        auction_id = _start_liquidation_auction(
            here, collateral=151 * WAD // 10, debt=1_000 * WAD, price_before=100 * RAY, price_after=99 * RAY
        )
        top = Fraction(here.read_view("CollateralAuction", "status", auction_id)[1], RAY)
        here.advance_time(3 * DAY)
        price = Fraction(here.read_view("CollateralAuction", "status", auction_id)[1], RAY)
        name = "what is left of 100 after 3 days at -2.5%, as an auction's price"
        yield build_row(
            name,
            100 * price / top,
            Fraction("92.6859375"),
            build_absolute_tolerance(WEI),
            places=18,
            source=1,
        )


def _iter_dss_example_auction_rows() -> Iterator[FigureRow]:
    """Yield rows that compare the auction of a vault of 40 with a debt of 100, the example of dss."""
    terms = AuctionParameters(STAIRSTEP, 90, 99 * RAY // 100, 8_400, buf=12_500, penalty=11_000)
    with open_lockstep_deployment(_build_parameters(terms, ratio=17_500)) as here:
        auction_id = _start_liquidation_auction(
            here, collateral=40 * WAD, debt=100 * WAD, price_before=5 * RAY, price_after=4 * RAY
        )
        _, price, lot, target = here.read_view("CollateralAuction", "status", auction_id)
        yield build_row("lot of the vault with 40 of collateral", Fraction(lot, WAD), 40, EXACT, source=2)
        yield build_row("target for 100 with a penalty of 1.1", Fraction(target, RAD), 110, EXACT, source=2)
        yield build_row("first price at 4 with buf 1.25", Fraction(price, RAY), 5, EXACT, source=2)


def _iter_stairstep_timing_rows() -> Iterator[FigureRow]:
    """Yield rows with the time at which a stairstep auction reaches the market's price and 60%."""
    terms = AuctionParameters(STAIRSTEP, 30, 997 * RAY // 1_000, 8_400, cusp=1, buf=11_000)
    with open_lockstep_deployment(_build_parameters(terms, ratio=15_000)) as here:
        market = 99 * RAY
        auction_id = _start_liquidation_auction(
            here, collateral=151 * WAD // 10, debt=1_000 * WAD, price_before=100 * RAY, price_after=market
        )
        top = here.read_view("CollateralAuction", "status", auction_id)[1]
        found = {market: 0, top * 6 // 10: 0}
        for second in range(0, 8_400, 30):
            price = here.read_view("CollateralAuction", "status", auction_id)[1]
            for level, at in found.items():
                if price <= level and not at:
                    found[level] = second
            here.advance_time(30)
        at_market, at_60 = found.values()
        yield build_row("steps until the market's price", at_market // 30, 32, EXACT, source=3)
        yield build_row("time until the market's price", at_market, 960, EXACT, unit="s", source=3)
        yield build_row("time until 60% of the first price", at_60, 5_130, EXACT, unit="s", source=3)


def _build_parameters(terms: AuctionParameters, ratio: int) -> Parameters:
    """Return parameters with one collateral type, without fees or rewards."""
    free = AuctionParameters(
        terms.curve, terms.period, terms.cut, terms.tail, terms.cusp, terms.buf, terms.penalty, tip=0, chip=0
    )
    only = CollateralParameters("ETH", 18, 1_000_000, 100, ratio, ratio + 100, 0, 1_000_000, auction=free)
    return Parameters((only,), stages=(StageParameters("buffer"), StageParameters("reserve")), equity=None)


def _start_liquidation_auction(
    deployment: LockstepDeployment, collateral: int, debt: int, price_before: int, price_after: int
) -> int:
    """Open a vault at `price_before`, liquidate it at `price_after`, and return the auction's id."""
    for _ in range(2):
        deployment.report_price(0, price_before)
    deployment.open_vault("borrower", 0, collateral, debt)
    for _ in range(2):
        deployment.report_price(0, price_after)
    return deployment.liquidate_vault("borrower", 0)


@contextmanager
def _compile_vyper_power_function() -> Iterator[Callable[[int, int], int]]:
    """Context manager that yields the ledger's compiled power function, rpow(base, exponent) [ray]."""
    # The compiler is slow to load, and no other reproduction needs it.
    from vyper.compiler import compile_code
    from vyper.compiler.input_bundle import FilesystemInputBundle

    path = ROOT / "Power.vy"  # not on disk: imports are resolved from there
    bundle = FilesystemInputBundle([ROOT])
    made = compile_code(
        _POWER, path, resolved_path=path, output_formats=["abi", "bytecode"], input_bundle=bundle
    )
    function = ContractAbi("Power", made["abi"]).get_function("rpow", 2)
    caller = get_account("stranger")
    with open_host("revm") as host:
        address = host.deploy_contract(bytes.fromhex(made["bytecode"][2:]), caller)

        def rpow(base: int, exponent: int) -> int:
            result = host.static_call(caller, address, function.encode_call((base, exponent)))
            if not result.ok:
                raise BackstopError("the ledger's power reverted")
            return int(function.decode_result(result.data))

        yield rpow
