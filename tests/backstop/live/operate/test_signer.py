"""A signer in another process, and the allow-list that stands before any key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner
from eth_account import Account
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from backstop.cli.keeper import cli
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.abi_codec import Function, Parameter
from backstop.hosts.artifacts import CONTRACTS, Artifacts
from backstop.live.node.backoff import Backoff
from backstop.live.node.remote_signer import RemoteSigner, SignerUnavailableError, _describe_difference
from backstop.live.node.signable_call_allowlist import CallAllowlist, CallNotAllowedError
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.keeper_settings import KeeperSettings, read_yaml_keeper_settings_by_name
from backstop.live.operate.keeper_setup import build_caught_up_keeper_loop
from backstop.live.operate.live_system import LiveSystem
from backstop.model.arithmetic import WAD
from backstop.system import Action
from tests.support.devnet_process import Devnet
from tests.support.manual_clock import ManualClock
from tests.support.vault_auctions_after_price_drop import BORROWER, ETH
from tests.support.web3signer_stub import CHAIN, Web3SignerStub

NO_TRANSACTION = pytest.mark.deep(
    brief="tests/backstop/live/operate/test_signer.py::test_what_is_no_transaction_is_the_signers_error"
)
LONGER = pytest.mark.deep(
    brief="tests/backstop/live/operate/test_signer.py::test_what_was_not_asked_for_is_not_sent"
)

LIQUIDATOR = get_account("liquidator")


@pytest.fixture
def signer() -> Iterator[Web3SignerStub]:
    made = Web3SignerStub()
    yield made
    made.server.stop()


@pytest.fixture
def keeper(
    fallen: LiveSystem,
    fallen_devnet: Devnet,
    fallen_folder: Path,
    signer: Web3SignerStub,
    said: list[str],
    tmp_path,
) -> Callable[..., KeeperLoop]:
    """Return a function that starts a liquidator with its key in the signer, and a vault to liquidate."""
    fallen_devnet.node.request("anvil_setBalance", signer.address, hex(WAD))
    fallen_devnet.node.request("evm_mine")

    def begin(**settings: Any) -> KeeperLoop:
        return build_caught_up_keeper_loop(
            KeeperSettings(
                networks=(fallen_devnet.url,),
                deployment=fallen_folder / "deployment.json",
                journal=tmp_path / "kept",
                roles=("liquidator",),
                accounts=(f"liquidator={signer.address}",),
                signer=signer.url,
                rpc_timeout=2.0,
                **settings,
            ),
            said.append,
        )

    return begin


def see_through(loop: KeeperLoop) -> None:
    loop.run(interval=0.01, patience=10, once=True)
    loop.close()


def test_the_signer_has_the_key_and_the_keeper_has_none(
    keeper: Callable[..., KeeperLoop], fallen: LiveSystem, signer: Web3SignerStub
) -> None:
    see_through(keeper())
    assert fallen.node.get_nonce(signer.address) == 1
    (asked,) = signer.asked
    assert asked["from"] == signer.address and asked["value"] == "0x0"
    fallen.follow_chain()
    assert not fallen.dry_run(
        Action("LiquidationEngine", "liquidate", (ETH, BORROWER, BORROWER), BORROWER)
    ).ok


# Fields of other types: code for the account of who signs, and a price for what is beside the gas.
DELEGATION = {
    "type": 4,
    "authorizationList": [
        Account.sign_authorization(
            {"chainId": CHAIN, "address": "0x" + "99" * 20, "nonce": 1}, Account.create().key
        )
    ],
    "accessList": [],
}
BLOB = {
    "type": 3,
    "maxFeePerBlobGas": 10**18,
    "blobVersionedHashes": ["0x01" + "00" * 31],
    "accessList": [],
}


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"to": "0x" + "77" * 20}, "it signed for another receiver"),
        pytest.param({"value": 5}, "it signed value 5 instead of 0", marks=LONGER),
        ({"chainId": 1}, "it signed chainId 1 instead of 31337"),
        pytest.param(
            {"maxFeePerGas": 10**12}, "it signed maxFeePerGas 1000000000000 instead of ", marks=LONGER
        ),
        ({"data": "0x00"}, "it signed other data"),
        pytest.param(
            {"accessList": [{"address": "0x" + "77" * 20, "storageKeys": []}]},
            "it signed other data",
            marks=LONGER,
        ),
        (DELEGATION, "it signed a transaction of another type"),
        pytest.param(BLOB, "it signed a transaction of another type", marks=LONGER),
    ],
)
def test_what_was_not_asked_for_is_not_sent(
    keeper: Callable[..., KeeperLoop],
    fallen: LiveSystem,
    signer: Web3SignerStub,
    said: list[str],
    change: dict[str, Any],
    line: str,
) -> None:
    loop = keeper()
    signer.change = lambda transaction: transaction | change
    assert (
        loop.run_round() == 0
        and loop.pending_transaction_count == 0
        and fallen.node.get_nonce(signer.address) == 0
    )
    assert f"the signer at {signer.url} is not believed: {line}" in said[-1]
    assert loop._build_work_done_and_means_left(False).signer_gone
    # It is no failure of the call: as soon as the signer does what it should, it goes.
    signer.change = lambda transaction: transaction
    loop._looked_at = None
    assert loop.run_round() == 1 and not loop._build_work_done_and_means_left(False).signer_gone
    loop.close()


def test_what_another_key_signed_is_not_sent(
    keeper: Callable[..., KeeperLoop], fallen: LiveSystem, signer: Web3SignerStub, said: list[str]
) -> None:
    loop = keeper()
    signer.key = Account.create()
    assert loop.run_round() == 0 and fallen.node.get_nonce(signer.address) == 0
    assert f"is not believed: it signed as {signer.key.address.lower()}" in said[-1]
    loop.close()


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize(
    "raw",
    [
        *("", "hello", "0x02f8", "0x02" + "c1" * 5_000, None),
        *(
            pytest.param(each, marks=NO_TRANSACTION)
            for each in ("0x", "0x0", "0xc0", "0x02", "0x02c0", "0x02f86f" + "00" * 16, ["0x02"])
        ),
    ],
)
def test_what_is_no_transaction_is_the_signers_error(
    keeper: Callable[..., KeeperLoop], signer: Web3SignerStub, said: list[str], raw: Any
) -> None:
    loop = keeper()
    signer.answer = lambda call: {"result": raw}
    assert loop.run_round() == 0 and loop._build_work_done_and_means_left(False).signer_gone
    assert "the signer " in said[-1] and "\n" not in said[-1]
    loop.close()


def test_no_bytes_get_further_than_the_check(signer: Web3SignerStub) -> None:
    """Neither a part of a signed transaction nor one with other bytes in it, a wrong signature among them."""
    asked, random = transaction(to=to_checksum_address(CONTRACT)), Random(1)
    remote = RemoteSigner(signer.url, 2.0)
    good = bytes.fromhex(remote.sign_transaction(signer.address, asked)[2:])
    assert _describe_difference(signer.address, asked, "0x" + good.hex()) is None
    for _ in range(300):
        changed = bytearray(good)
        for _ in range(random.choice((1, 2, 5))):
            changed[random.randrange(len(changed))] ^= random.randrange(1, 256)
        part = changed[: random.randrange(len(changed))] if random.random() < 0.3 else changed
        assert bytes(part) == good or _describe_difference(signer.address, asked, "0x" + bytes(part).hex())


def test_a_silent_signer_is_left_alone_longer_and_longer(signer: Web3SignerStub) -> None:
    """Each try costs a whole timeout, and all accounts' transactions wait for it."""
    clock, asked = ManualClock(), transaction(to=to_checksum_address(CONTRACT))
    remote = RemoteSigner(signer.url, 2.0, clock=clock)
    calls: list[object] = []

    def silent(call: dict[str, Any]) -> dict[str, Any]:
        calls.append(call)
        raise ConnectionResetError

    def left_alone() -> list[float]:
        found: list[float] = []
        for _ in range(6):
            with pytest.raises(SignerUnavailableError, match="the signer cannot be asked: ") as first:
                remote.sign_transaction(signer.address, asked)
            before, tries = clock.now, len(calls)
            while not remote._rest.over:
                with pytest.raises(SignerUnavailableError) as caught:
                    remote.sign_transaction(signer.address, asked)
                assert str(caught.value) == str(first.value) and len(calls) == tries
                clock.now += 5.0
            found.append(clock.now - before)
        return found

    def refused() -> None:
        signer.answer, signer.refuses = signer.answer_documented_call, "the vault is sealed"
        for _ in range(3):  # which costs no timeout
            with pytest.raises(SignerUnavailableError, match="refuses: the vault is sealed"):
                remote.sign_transaction(signer.address, asked)

    def signed() -> None:
        signer.answer, signer.refuses = signer.answer_documented_call, ""
        assert remote.sign_transaction(signer.address, asked).startswith("0x02")

    for answers in (signed, refused, signed):  # with one that answers it begins anew
        signer.answer = silent
        assert left_alone() == [5, 10, 20, 40, 60, 60] and calls
        answers()


def test_who_asks_for_a_time_is_left_alone_as_long() -> None:
    clock = ManualClock()
    rest = Backoff(60.0, clock)
    assert rest.start_pause(1, wanted=90.0) == 90
    clock.now += 89
    assert not rest.over
    clock.now += 1
    assert rest.over


def test_while_the_signer_is_away_its_accounts_wait(
    keeper: Callable[..., KeeperLoop], fallen: LiveSystem, signer: Web3SignerStub, said: list[str]
) -> None:
    loop = keeper()
    signer.refuses = "the vault is sealed"
    assert loop.run_round() == 0 and f"the signer at {signer.url} refuses: the vault is sealed" in said[-1]
    assert loop._build_work_done_and_means_left(False).signer_gone
    # Once somebody else has done it, nobody waits for the signer.
    decide, loop.keepers[0] = loop.keepers[0], dataclasses.replace(loop.keepers[0], index=5)
    loop._looked_at = None
    assert loop.run_round() == 0 and not loop._build_work_done_and_means_left(False).signer_gone
    loop.keepers[0] = decide
    signer.refuses = ""
    loop._looked_at = None
    fallen.node.request("evm_setAutomine", False)
    assert loop.run_round() == 1
    # Nor does a keeper end that cannot replace what waits.
    signer.refuses = "the vault is sealed"
    (box,) = loop.boxes.values()
    (entry,) = box.waiting
    fallen.node.request("anvil_setNextBlockBaseFeePerGas", hex(entry.attempts[0].most * 2))
    fallen.node.request("evm_mine")
    loop._follow_chain_and_note_mined()
    box._last_sent[entry.nonce].at = -1e9
    box.push_waiting(fallen.node.offer_fees(), lambda entry, block: True)
    assert f"could not be signed again: the signer at {signer.url} refuses: the vault" in said[-1], said
    loop.close()


def test_a_signer_that_is_not_there_is_one_line(
    keeper: Callable[..., KeeperLoop], signer: Web3SignerStub, fallen_devnet: Devnet, fallen_folder: Path
) -> None:
    signer.server.stop()
    flags = ["--network", fallen_devnet.url, "--deployment", str(fallen_folder / "deployment.json")]
    flags += ["--roles", "liquidator", "--signer", signer.url]
    result = CliRunner(mix_stderr=False).invoke(cli, flags)
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert result.stderr.startswith("Error: the signer cannot be asked: ")


def test_it_signs_no_reports(signer: Web3SignerStub) -> None:
    remote = RemoteSigner(signer.url, 2.0)
    signers = Signers(test_accounts=True, remote=remote)
    assert signers.can_sign(signer.address) and signers.can_sign(LIQUIDATOR)
    with pytest.raises(Exception, match="signs transactions only"):
        signers.sign_digest(signer.address, bytes(32))
    with pytest.raises(SignerUnavailableError, match="does not match an available account"):
        remote.sign_transaction(LIQUIDATOR, transaction())


# ---------------------------------------------------------------------- allow-list

CONTRACT, STRANGER = "0x" + "11" * 20, "0x" + "99" * 20
CALL = "0x" + keccak(b"accrue(uint256)")[:4].hex() + "00" * 32
KINDS = sorted(path.stem for path in [*CONTRACTS.glob("*.vy"), *CONTRACTS.glob("devnet/*Taker.vy")])
MARKET = "ConstantProductMarket"
TAKE = "take(uint256,uint256,uint256,address,bytes)"


@pytest.fixture(scope="module")
def functions(artifacts: Artifacts) -> dict[str, dict[bytes, Function]]:
    """Those of all contracts, each under an address of its own; `CONTRACT` has all of them."""
    places = {
        f"0x{i:040x}": artifacts[kind].contract_abi.by_selector for i, kind in enumerate([*KINDS, MARKET], 1)
    }
    return {**places, CONTRACT: {k: f for each in places.values() for k, f in each.items()}}


def transaction(**changed: Any) -> dict[str, Any]:
    """A call of a contract of the deployment."""
    fees = {"gas": 100_000, "maxFeePerGas": 10**9, "maxPriorityFeePerGas": 1, "nonce": 0}
    return {"type": 2, "chainId": 31_337, "to": CONTRACT, "value": 0, "data": CALL, **fees, **changed}


def approval(spender: str) -> str:
    return "0x095ea7b3" + spender[2:].rjust(64, "0") + "f" * 64


def endless() -> str:
    """A list that says it has more members than there are bytes in the world."""
    return "0x" + (keccak(b"update_and_seize(address[])")[:4] + (32).to_bytes(32, "big") + b"\xff" * 32).hex()


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"to": STRANGER}, "is not a contract of the deployment"),
        ({"to": LIQUIDATOR}, "is not a contract of the deployment"),  # more than nothing to itself
        ({"value": 1}, "it sends 1 wei"),
        ({"chainId": 1}, "it is for chain 1"),
        ({"data": "0xa9059cbb" + "00" * 64}, "hands something over"),
        ({"data": "0x23b872dd" + "00" * 96}, "hands something over"),
        ({"data": approval(STRANGER)}, f"the spender of approve is {STRANGER}"),
        ({"data": approval(LIQUIDATOR)}, f"the spender of approve is {LIQUIDATOR}"),
        ({"data": "0x"}, f"0x is not a function of {CONTRACT}"),
        ({"data": "0x12345678"}, f"0x12345678 is not a function of {CONTRACT}"),
        ({"data": CALL[:-2]}, "the arguments of accrue cannot be read"),
        ({"data": CALL + "00"}, "the arguments of accrue cannot be read"),
        ({"data": approval("0x01" + CONTRACT[2:])}, "the arguments of approve cannot be read"),
        ({"data": endless()}, "the arguments of update_and_seize cannot be read"),
        ({"data": approval(CONTRACT)}, None),
        ({"to": LIQUIDATOR, "data": "0x"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("key", ["here", "elsewhere"])
def test_what_no_account_signs(
    functions: dict[str, dict[bytes, Function]],
    signer: Web3SignerStub,
    changed: dict[str, Any],
    line: str | None,
    key: str,
) -> None:
    signers = Signers(test_accounts=True, remote=RemoteSigner(signer.url, 2.0))
    signers.allowed = CallAllowlist(31_337, functions)
    who = signer.address if key == "elsewhere" else LIQUIDATOR
    changed = changed | ({"to": to_checksum_address(who)} if changed.get("to") == LIQUIDATOR else {})
    if line is None:
        assert signers.sign_transaction(who, transaction(**changed)).startswith("0x02")
        return
    with pytest.raises(CallNotAllowedError, match=line):
        signers.sign_transaction(who, transaction(**changed))
    assert signer.asked == []


def filled(parameter: Parameter, name: str, addresses: Callable[[str], str]) -> Any:
    """A value for a parameter, with the addresses that its names have."""
    if parameter.type.endswith("]"):
        item, _, size = parameter.type[:-1].rpartition("[")
        return (filled(parameter._replace(type=item), name, addresses),) * int(size or 1)
    if parameter.type == "tuple":
        return tuple(filled(each, f"{name}.{each.name}", addresses) for each in parameter.components)
    if parameter.type == "address":
        return addresses(name)
    if parameter.type.startswith("bytes"):
        return b"\x01" * int(parameter.type[5:] or 40)
    return {"bool": True, "string": ""}.get(parameter.type, 1)


def call_of(function: Function, addresses: Callable[[str], str]) -> str:
    args = [filled(each, each.name, addresses) for each in function.inputs]
    return "0x" + function.encode_call(args).hex()


GIVES = (
    *("transfer", "transferFrom", "approve_operator", "setOperator", "grant_role", "transfer_admin"),
    "propose",
)
ABOUT = {
    *("LiquidationEngine.call owner", "LiquidationEngine.flag owner", "LiquidationEngine.liquidate owner"),
    *("LiquidationEngine.liquidate_and_buy owner", "FlashTaker.liquidate_and_sell owner"),
    *("PerpetualTrading.liquidate owner", "PerpetualLiquidityVault.liquidate owner"),
    *("StabilityPool.liquidate owners", "StabilityPool.withdraw owner"),
    "PerpetualLiquidityVault.leave controller",
    *(
        "PerpetualMarket.seize_insolvent owner",
        "PerpetualMarket.update_and_seize owners",
        "PerpetualMarket.update_account owner",
    ),
    *("RankedDeleveraging.submit accounts", "RankedDeleveraging.execute accounts"),
    "ProRataDeleveraging.share accounts",
    *("MarginOrders.fill maker.account", "MarginOrders.fill taker.account"),
    *("Settlement.skim owner", "VaultEngine.skim owner", "Workouts.enter owner"),
}


THROUGH = {"spender", "market", "auction"}


@pytest.mark.parametrize("who", [STRANGER, CONTRACT])
def test_nobody_else_gets_anything_by_any_function(
    functions: dict[str, dict[bytes, Function]], who: str
) -> None:
    """Over the functions of all contracts, only the subjects of a call remain, as the owner of an unsafe
    vault.

    A contract of the deployment may only pass money on: the money that it keeps may be any account's.
    """
    allowed, passed = CallAllowlist(31_337, functions), set()
    for kind, (address, own) in zip([*KINDS, MARKET], functions.items(), strict=False):
        for function in own.values():
            names: set[str] = set()

            def to_itself(name: str, names: set[str] = names) -> str:
                names.add(name)
                return CONTRACT if name in THROUGH else LIQUIDATOR

            call = call_of(function, to_itself)
            if function.name in GIVES:
                with pytest.raises(CallNotAllowedError, match="hands something over"):
                    allowed.check_call(LIQUIDATOR, transaction(to=address, data=call))
                continue
            allowed.check_call(LIQUIDATOR, transaction(to=address, data=call))
            for name in names:
                only = partial(lambda name, each: who if each == name else to_itself(each), name)
                with suppress(CallNotAllowedError):
                    allowed.check_call(LIQUIDATOR, transaction(to=address, data=call_of(function, only)))
                    passed.add(f"{kind}.{function.name} {name}")
    through = {each for each in passed if each.rpartition(" ")[2] in THROUGH}
    assert passed - through == ABOUT and bool(through) == (who == CONTRACT)


@pytest.mark.parametrize("name", GIVES)
def test_what_hands_over_is_refused_whoever_gets_it(
    functions: dict[str, dict[bytes, Function]], name: str
) -> None:
    """The call is refused even if a list names the function."""
    found = [each for each in functions[CONTRACT].values() if each.name == name]
    assert found
    for function in found:
        allowed = CallAllowlist(31_337, functions, {LIQUIDATOR: [(CONTRACT, function.selector)]})
        for who in (LIQUIDATOR, CONTRACT):
            with pytest.raises(CallNotAllowedError, match="hands something over"):
                allowed.check_call(
                    LIQUIDATOR, transaction(data=call_of(function, partial(lambda who, _: who, who)))
                )


def test_who_is_named_for_an_account_gets_what_it_sends(
    functions: dict[str, dict[bytes, Function]],
) -> None:
    allowed = CallAllowlist(31_337, functions, named={LIQUIDATOR: [STRANGER.upper().replace("X", "x")]})
    (draw,) = (each for each in functions[CONTRACT].values() if each.signature == "draw(uint256,address)")
    call = transaction(data=call_of(draw, lambda name: STRANGER))
    allowed.check_call(LIQUIDATOR, call)
    with pytest.raises(CallNotAllowedError, match=f"the receiver of draw is {STRANGER}"):
        allowed.check_call(get_account("bidder"), call)
    with pytest.raises(CallNotAllowedError, match=f"the spender of approve is {STRANGER}"):
        allowed.check_call(LIQUIDATOR, transaction(data=approval(STRANGER)))


def test_what_is_bought_goes_to_nobody_else(functions: dict[str, dict[bytes, Function]]) -> None:
    """Not even by a function that the account's list has."""
    (take,) = (each for each in functions[CONTRACT].values() if each.signature == TAKE)
    allowed = CallAllowlist(31_337, functions, {LIQUIDATOR: [(CONTRACT, take.selector)]})
    allowed.check_call(
        LIQUIDATOR, transaction(data="0x" + take.encode_call((1, 1, 1, LIQUIDATOR, b"data")).hex())
    )
    # Nor to a contract of the deployment, where it might be anybody's.
    for who in (STRANGER, CONTRACT):
        with pytest.raises(CallNotAllowedError, match=f"the receiver of take is {who}"):
            allowed.check_call(
                LIQUIDATOR, transaction(data="0x" + take.encode_call((1, 1, 1, who, b"")).hex())
            )


def test_a_keeper_signs_what_it_was_given(
    keeper: Callable[..., KeeperLoop], fallen: LiveSystem, signer: Web3SignerStub, said: list[str]
) -> None:
    loop = keeper(may_sign={"liquidator": ("LiquidationEngine.flag",)})
    assert loop.run_round() == 0 and signer.asked == []
    assert " was not taken: the allow-list of 0x" in said[-1] and "is not on it" in said[-1]
    loop.close()
    see_through(keeper(may_sign={"liquidator": ("LiquidationEngine.liquidate",)}))
    assert fallen.node.get_nonce(signer.address) == 1


def test_a_keeper_with_an_empty_list_signs_nothing(
    keeper: Callable[..., KeeperLoop], signer: Web3SignerStub, said: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "keeper.yaml"
    file.write_text("schema_version: 1\nmay_sign: {liquidator: []}\n")
    loop = keeper(may_sign=read_yaml_keeper_settings_by_name(file)["may_sign"])
    assert loop.run_round() == 0 and signer.asked == []
    assert " was not taken: the allow-list of 0x" in said[-1] and "is not on it" in said[-1]
    loop.close()


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("", "may_sign: is empty: give a keeper `[]`"),
        (" null", "may_sign: is empty: give a keeper `[]`"),
        (" {}", "may_sign: is empty: give a keeper `[]`"),
        (" []", "may_sign: is a list: "),
        (" {liquidator: }", "may_sign.liquidator: is empty: write a list"),
    ],
)
def test_a_list_that_says_nothing_is_refused(tmp_path: Path, written: str, line: str) -> None:
    file = tmp_path / "keeper.yaml"
    file.write_text(f"schema_version: 1\nmay_sign:{written}\n")
    with pytest.raises(BackstopError) as caught:
        read_yaml_keeper_settings_by_name(file)
    assert str(caught.value).startswith(f"keeper.yaml:2: {line}")


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize(
    ("name", "call", "line"),
    [
        ("baker", "LiquidationEngine.flag", "keeper 'baker' is unknown; expected one of liquidator"),
        ("liquidator", "Bakery.bake", "contract 'Bakery' is unknown"),
        ("liquidator", "LiquidationEngine.bake", "LiquidationEngine has no function 'bake'"),
    ],
)
def test_a_mistake_in_the_list_is_one_line(
    keeper: Callable[..., KeeperLoop], name: str, call: str, line: str
) -> None:
    with pytest.raises(Exception, match=line):
        keeper(may_sign={name: (call,)})
