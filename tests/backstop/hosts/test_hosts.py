"""All hosts run the same bytecode to the same effect, block time included."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from backstop.contract_base import Log, RevertError
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.anvil import AnvilHost, AnvilProcess, RpcHost
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.hosts.host_interface import CHAIN_ID, GENESIS
from backstop.hosts.host_registry import new_host as open_by_name
from backstop.hosts.revm import CallHaltedError
from backstop.hosts.rpc_client import NodeClient
from backstop.system import Action
from tests.support.condition_wait import wait_until_true
from tests.support.storage_fixture_contract import SENDER

ALL = ("revm", "py-evm", pytest.param("anvil", marks=pytest.mark.anvil))


def call(shelf, method, *args, sender=SENDER):
    return shelf.apply(Action("Shelf", method, args, sender))


@pytest.fixture(params=ALL)
def shelf(request, shelf_on):
    return shelf_on(request.param)


def test_value_events_and_storage_come_back(shelf):
    outcome = call(shelf, "store", 7, "seven", b"\x01\x02", (-1, 2**255 - 1))
    assert outcome.value == 1
    assert outcome.logs[0] == Log("Shelf", "Stored", (7, "seven", SENDER, b"\x01\x02", (-1, 2**255 - 1)))
    assert outcome.logs[1].event == "Anonymous"
    shelf.track_slot("Shelf", "count", (), 0)
    shelf.track_slot("Shelf", "amounts", 7, 0)
    shelf.track_slot("Shelf", "nested", (7, SENDER, bytes(32)), 0)
    shelf.track_slot("Shelf", "labels.marked", 7, False)
    assert shelf.snapshot()["Shelf"] == {
        "count": {(): 1},
        "amounts": {7: GENESIS},
        "nested": {(7, SENDER, bytes(32)): 2**256 - 1},
        "labels.marked": {7: True},
    }


@pytest.mark.parametrize(
    ("kind", "reason"), [(0, "shelf: refused"), (1, ""), (2, ""), (3, ""), (4, "0x1234")]
)
def test_a_revert_gives_its_reason_and_changes_nothing(shelf, kind, reason):
    assert call(shelf, "fail", kind) == (reason, None, ())
    assert shelf.view("Shelf", "count") == 0


def test_a_view_reverts_with_its_reason(shelf):
    with pytest.raises(RevertError) as caught:
        shelf.view("Shelf", "refuse")
    assert caught.value.reason == "shelf: no view"


def test_time_passes_only_when_told_to(shelf):
    assert shelf.view("Shelf", "now") == (GENESIS, CHAIN_ID)
    call(shelf, "store", 1, "", b"", ())
    call(shelf, "store", 2, "", b"", ())
    shelf.advance(5)
    assert shelf.view("Shelf", "now") == (GENESIS + 5, CHAIN_ID)
    call(shelf, "fail", 0)
    call(shelf, "store", 3, "", b"", ())
    shelf.advance(0)
    call(shelf, "store", 4, "", b"", ())
    for key in (1, 2, 3, 4):
        shelf.track_slot("Shelf", "amounts", key, 0)
    times = shelf.snapshot()["Shelf"]["amounts"]
    assert times == {1: GENESIS, 2: GENESIS, 3: GENESIS + 5, 4: GENESIS + 5}


def test_the_calls_of_a_block_keep_their_order(shelf):
    senders = [get_account(role) for role in ("saver", "keeper", "borrower")]
    for length in (2, 20, 200):
        actions = [
            Action("Shelf", "store", (i, "x", b"", ()), senders[i * i % 3] if i % 7 else SENDER)
            for i in range(length)
        ]
        before = shelf.view("Shelf", "count")
        results = shelf.apply_all_with_changed_slots(actions)
        assert [outcome.value for outcome, _ in results] == [before + 1 + i for i in range(length)]


@pytest.mark.anvil
def test_anvil_foresees_what_the_calls_of_a_block_take(shelf_on):
    shelf = shelf_on("anvil")
    # The second finds the slots that the first fills; the third is refused.
    actions = [Action("Shelf", "store", (n, "a", b"", (1, n)), SENDER) for n in (1, 2)]
    actions.append(Action("Shelf", "refuse", (), SENDER))
    foreseen = shelf.dry_run_gas(actions)
    assert foreseen == shelf.dry_run_gas(actions), "looking changes nothing"
    shelf.apply_all_with_changed_slots(actions)
    assert shelf.spent == foreseen and foreseen[1] < foreseen[0]


def test_other_hosts_foresee_nothing(shelf_on):
    for name in ("revm", "py-evm"):
        assert shelf_on(name).dry_run_gas([Action("Shelf", "refuse", (), SENDER)]) == []


@pytest.mark.anvil
def test_a_block_of_calls_takes_two_exchanges(shelf_on, monkeypatch):
    shelf = shelf_on("anvil")
    call(shelf, "store", 1, "x", b"", ())
    asked = []
    exchange = NodeClient._send_request_and_parse_answer

    def counted(self, method, request):
        asked.append(method)
        return exchange(self, method, request)

    monkeypatch.setattr(NodeClient, "_send_request_and_parse_answer", counted)
    shelf.advance(1)
    shelf.apply_all_with_changed_slots(
        [Action("Shelf", "store", (i, "x", b"", ()), SENDER) for i in range(20)]
    )
    assert len(asked) == 2


@pytest.mark.anvil
def test_anvil_does_not_hash_the_whole_state_for_each_block(shelf_on):
    """Hashing would soon take longer than running the calls: its cost grows with the state."""
    shelf = shelf_on("anvil")
    call(shelf, "store", 1, "x", b"", ())
    block = shelf.host.client.request("eth_getBlockByNumber", "latest", False)
    assert int(block["stateRoot"], 16) == 0


def test_time_never_goes_back(shelf):
    with pytest.raises(BackstopError, match="cannot go back"):
        shelf.advance(-1)


def test_transient_storage_ends_with_the_call(shelf):
    assert call(shelf, "visit").value == 1
    assert call(shelf, "visit").value == 1


@pytest.mark.deep(cases=2)
def test_thousands_of_slots_are_read_in_order(shelf):
    for start in range(0, 4_500, 150):
        call(shelf, "fill", start, 150)
    keys = list(range(0, 4_500, 2)) + list(range(1, 4_500, 2))
    slots = [(shelf.addresses["Shelf"], shelf.compute_slot("Shelf", "amounts", key)) for key in keys]
    assert shelf.host.read_slots(slots) == [key * key for key in keys]
    slots.append((shelf.addresses["Shelf"], shelf.compute_slot("Shelf", "amounts", 5_000)))
    assert shelf.host.read_slots(slots) == [*(key * key for key in keys), 0]
    assert shelf.host.read_slots(slots[:3]) == [0, 4, 16]


def test_the_whole_storage_can_be_listed(shelf):
    call(shelf, "store", 7, "seven", b"", ())
    address = shelf.addresses["Shelf"]
    assert shelf.host.read_nonzero_slots([address]) == {
        (address, shelf.compute_slot("Shelf", "count", ())): 1,
        (address, shelf.compute_slot("Shelf", "amounts", 7)): GENESIS,
        (address, shelf.compute_slot("Shelf", "nested", (7, SENDER, bytes(32)))): 2**256 - 1,
        (address, shelf.compute_slot("Shelf", "labels.marked", 7)): 1,
    }


def test_addresses_follow_from_the_nonce(shelf):
    bytecode = shelf.artifacts["Shelf"].bytecode
    assert shelf.host.deploy_contract(bytecode, get_account("admin")) == compute_contract_address(
        get_account("admin"), 0
    )
    assert shelf.host.deploy_contract(bytecode, get_account("admin")) == compute_contract_address(
        get_account("admin"), 1
    )
    assert shelf.host.get_code_size(
        compute_contract_address(get_account("admin"), 1)
    ) == shelf.host.get_code_size(shelf.addresses["Shelf"])
    assert shelf.host.get_code_size(compute_contract_address(get_account("admin"), 2)) == 0


def test_an_unknown_method_is_named(shelf):
    with pytest.raises(BackstopError, match=r"Shelf.store with 1 arguments: it has store\(uint256,"):
        call(shelf, "store", 1)
    with pytest.raises(BackstopError, match="no function of that name"):
        call(shelf, "sell")


def test_a_value_that_does_not_fit_is_named(shelf):
    with pytest.raises(BackstopError, match="not a uint256"):
        call(shelf, "fail", 2**256)


@pytest.mark.parametrize("name", ["revm", "py-evm"])
def test_a_call_out_of_gas_is_no_revert(name, new_host):
    """It would be one of the setting: contracts are compared by their reasons, which it has none of."""
    host = new_host(name)
    # Deploys a contract that writes to memory beyond all gas.
    wasteful = host.deploy_contract(bytes.fromhex("665f63ffffffff525f5260076019f3"), SENDER)
    assert host.get_code_size(wasteful) == 7
    with pytest.raises(BackstopError, match=f"the call to {wasteful} could not run: .*OutOfGas"):
        host.run_transaction(SENDER, wasteful, b"")


def test_an_unknown_host_is_named():
    with pytest.raises(BackstopError, match="anvil, revm, py-evm"):
        open_by_name("geth")


def test_revm_runs_cancun(shelf_on):
    """The name of the rules is case-sensitive, and any other word silently means the latest."""
    assert "spec: CANCUN" in shelf_on("revm").host._evm.journal_str


def test_revm_takes_other_code_and_the_old_one_back(shelf_on):
    shelf = shelf_on("revm")
    host, address = shelf.host, shelf.addresses["Shelf"]
    call(shelf, "store", 7, "seven", b"", (0, 0))
    own, stored = host.get_code(address), host.read_nonzero_slots([address])
    host.set_code(address, bytes.fromhex("5b5f56"))
    with pytest.raises(CallHaltedError, match=r"could not run: .*OutOfGas"):
        call(shelf, "store", 8, "eight", b"", (0, 0))
    host.set_code(address, own)
    assert host.read_nonzero_slots([address]) == stored
    assert call(shelf, "store", 8, "eight", b"", (0, 0)).value == 2


# ----------------------------------------------------------------------- anvil


@pytest.mark.anvil
def test_slots_are_read_one_by_one_where_nothing_can_be_replaced(shelf_on):
    shelf = shelf_on("anvil")
    call(shelf, "fill", 0, 150)
    slots = [(shelf.addresses["Shelf"], shelf.compute_slot("Shelf", "amounts", key)) for key in range(450)]
    at_once = shelf.host.read_slots(slots)
    reader = shelf.host._reader
    assert reader._overrides, "Anvil takes overridden code"
    reader._overrides = False
    assert reader.read_slot_words_in_batch(slots) == at_once == [i * i for i in range(150)] + [0] * 300


@pytest.mark.anvil
def test_a_node_over_http_is_a_host_too(shelf_artifacts):
    port = find_free_non_ephemeral_port()
    process = AnvilProcess("--port", str(port))
    try:
        host = RpcHost(process.connect_client(f"http://127.0.0.1:{port}"))
        start = host.timestamp
        address = host.deploy_contract(shelf_artifacts["Shelf"].bytecode, SENDER)
        shelf = ChainSystem(host, shelf_artifacts, {"Shelf": "Shelf"}, {"Shelf": address})
        shelf.advance(1_000)
        call(shelf, "store", 7, "seven", b"", ())
        shelf.track_slot("Shelf", "amounts", 7, 0)
        assert shelf.snapshot()["Shelf"]["amounts"] == {7: start + 1_000}
        assert call(shelf, "fail", 0).reason == "shelf: refused"
        host.close()
    finally:
        process.stop_process()


@pytest.mark.anvil
def test_a_node_that_has_taken_the_port_first_is_not_connected_to():
    """It answers at once there, before the later one has found out, which then would be of another chain."""
    port = str(find_free_non_ephemeral_port())
    first = AnvilProcess("--port", port)
    try:
        first.connect_client(f"http://127.0.0.1:{port}").close()
        with pytest.raises(BackstopError, match=r"anvil did not start: .*[Aa]ddress already in use"):
            AnvilProcess("--port", port).connect_client(f"http://127.0.0.1:{port}")
    finally:
        first.stop_process()


@pytest.mark.anvil
def test_a_dead_anvil_is_one_clear_error(shelf_on):
    shelf = shelf_on("anvil")
    shelf.host.process._process.kill()
    shelf.host.process._process.wait()
    with pytest.raises(BackstopError, match="is gone"):
        call(shelf, "visit")


def test_a_missing_anvil_is_one_clear_error(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *args, **kwargs: None)
    with pytest.raises(BackstopError, match="make setup"):
        AnvilHost()


@pytest.mark.anvil
def test_an_anvil_that_stops_at_once_says_why():
    with pytest.raises(BackstopError, match="unexpected argument"):
        AnvilHost(timestamp=-1)


def test_nobody_listening_is_one_clear_error():
    with pytest.raises(BackstopError, match="no node listens"):
        NodeClient("/nowhere.ipc").request("eth_chainId")
    with pytest.raises(BackstopError, match="is gone"):
        RpcHost(NodeClient("http://127.0.0.1:1"))


@pytest.mark.anvil
def test_old_states_are_no_burden(tmp_path, monkeypatch):
    """Anvil writes them to a disk; they are not left there, and not in the home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    process = AnvilProcess("--port", "0", throw_away=False)
    try:
        client = process.connect_client(process.socket)
        client.request("anvil_mine", 1_000)  # the newest are in memory
        states = list(process.folder.glob("anvil-state-*/*.json"))
        client.close()
    finally:
        process.stop_process()
    assert states and not process.folder.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.anvil
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_anvil_ends_with_its_process(number, monkeypatch):
    # Temporary files of its own: any other node that begins would remove what a killed process leaves.
    own = tempfile.mkdtemp(prefix="own-")
    monkeypatch.setenv("TMPDIR", own)
    monkeypatch.setattr(tempfile, "tempdir", own)
    program = textwrap.dedent(
        """
        import time
        from backstop.hosts.anvil import AnvilHost
        process = AnvilHost().process
        print(process.pid, process.folder, flush=True)
        time.sleep(60)
        """
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # A shell's background jobs ignore SIGINT, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert parent.stdout is not None
    pid, folder = parent.stdout.readline().split()
    child = int(pid)
    assert Path(folder).exists()
    parent.send_signal(number)
    parent.wait(20)
    wait_until_true(lambda: not _runs(child))
    # What a killed process leaves goes when another begins.
    assert Path(folder).exists() == (number == signal.SIGKILL)
    AnvilProcess("--port", "0").stop_process()
    assert not Path(folder).exists()
    shutil.rmtree(own)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
