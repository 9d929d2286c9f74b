"""A soak: keepers, a mirror and its page under load for hours, with the resources that each uses.

Prices go down and up again without end. Owners of a fixed number of vaults open new ones after liquidations,
and draw as far as rising prices allow, so that each price drop liquidates some vaults. Readers come to the
page and go. Keepers keep their earnings, and a patron's vault replaces these in the markets. So only the
chain's own history, which the node keeps, has a reason to grow; a load that ends before the soak does is a
fault of the soak.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

from backstop.deployment.role_accounts import get_account
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.live.chaos.anvil_chain import AnvilChain, prepare_chain
from backstop.live.chaos.chaos_environment import BIDDERS, CAPITAL, ChaosEnvironment
from backstop.live.chaos.fault_injection_run import pause_run
from backstop.live.chaos.leak_detection import (
    ProcessUsage,
    read_memory_and_descriptor_usage,
    summarise_process_usage,
)
from backstop.live.chaos.price_and_liquidity_actors import MarketActors, create_random
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.simulation.scenario import Scenario

OWNERS = 12
"""Owners of vaults, for each collateral type."""
FASTER = 6, 5, 4
"""How much faster prices move than on the scenario's day, by type in turn: some fall while others rise."""
SAMPLE = 30.0
"""Seconds between two samples."""
READERS = 3
_STAYS = 20.0  # seconds that a reader listens
_ABOVE = 300  # basis points above the initial ratio at which a vault is opened
_LEAST, _MOST = 10_000, 40_000  # stablecoins that one draws
_PLENTY = 10**30
# A patron's vault, [basis points] over what its type asks for at first: no fall of the day reaches it.
_PATRON = 100_000


class CyclicMarketActors(MarketActors):
    """Market actors with prices that fall and rise again without end, and vault owners that reopen vaults."""

    def __init__(
        self,
        chain: AnvilChain,
        scenario: Scenario,
        seed: int,
        refilled: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        super().__init__(chain, scenario, seed, refilled)
        self.chance: Random = create_random(seed, "owners")
        self.opened: list[int] = []
        """Blocks in which vaults were opened."""
        self._ready: set[tuple[int, str]] = set()

    @property
    def cycle_length_in_blocks(self) -> int:
        """Number of blocks that the slowest price takes to fall and to rise again."""
        return max(2 * len(path) - 2 for path in self.paths.values()) // min(FASTER)

    def get_price(self, symbol: str, at: int) -> int:
        """Return the external market price of a collateral at a time [ray], in the endless cycle."""
        path, speed = self.paths[symbol], FASTER[self.scenario.symbols.index(symbol) % len(FASTER)]
        place = max(0, at - self.begins) * speed // self.scenario.block_time % (2 * len(path) - 2)
        return path[min(place, 2 * len(path) - 2 - place)]

    def send_block_actions(self) -> None:
        """Send the transactions for the next block, including those of a random vault owner.

        The owner opens a vault or draws more debt. A patron's vault refills the market maker's stablecoin.
        """
        super().send_block_actions()
        head = self.chain.head_block
        c = self.chance.randrange(len(self.scenario.symbols))
        owner = f"owner {self.chance.randrange(OWNERS)}"
        if self._ensure_owner_has_collateral(c, owner):
            locked, debt, *_ = self.system.view("VaultEngine", "vault", c, get_account(owner))
            # One that was taken keeps the mark of it, and maybe a rest.
            if not debt:
                draw = self.chance.randint(_LEAST, _MOST) * WAD
                if self._open_vault(c, owner, draw, _ABOVE, head.timestamp):
                    self.opened.append(head.number + 1)
            else:
                self._draw_more(c, owner, locked, debt, head.timestamp)
        depth = sum(market.depth for market in self.scenario.markets.values())
        if self.read_stablecoin_balance("market_maker") < depth and self._ensure_owner_has_collateral(
            c, "patron"
        ):
            self._open_vault(c, "patron", depth, _PATRON, head.timestamp)

    def _ensure_owner_has_collateral(self, collateral_type: int, owner: str) -> bool:
        """Return whether an owner has collateral; if not, mint some in the next block."""
        if (collateral_type, owner) in self._ready:
            return True
        symbol, engine = self.scenario.symbols[collateral_type], self.system.addresses["VaultEngine"]
        self.send_call_for_hash(owner, symbol, "mint", get_account(owner), _PLENTY)
        self.send_call_for_hash(owner, symbol, "approve", engine, 2**256 - 1)
        self._ready.add((collateral_type, owner))
        return False

    def _open_vault(self, collateral_type: int, owner: str, amount: int, above: int, now: int) -> bool:
        """Let an owner open a vault with debt `amount`; return whether the call would succeed.

        The collateral ratio is `above` basis points over the initial ratio.
        """
        terms = self.chain.deployment.parameters.collateral_types[collateral_type]
        price = self.get_price(terms.symbol, now)
        deposit = amount * (terms.initial_ratio + above) // BASIS_POINTS * RAY // price
        return self._deposit_and_draw_if_allowed(collateral_type, owner, deposit, amount)

    def _deposit_and_draw_if_allowed(
        self, collateral_type: int, owner: str, collateral_deposit: int, amount: int
    ) -> bool:
        """Let an owner deposit collateral and draw debt, if the call would succeed; return whether.

        The market maker receives the stablecoin.
        """
        call = (
            "VaultEngine",
            "deposit_and_draw",
            collateral_type,
            get_account(owner),
            collateral_deposit,
            amount,
            get_account("market_maker"),
        )
        would = self._would_succeed(owner, *call)
        if would:
            self.send_call_for_hash(owner, *call)
        return would

    def _draw_more(self, collateral_type: int, owner: str, locked: int, debt: int, now: int) -> None:
        """Let an owner draw the debt that a risen price allows, if it is at least a vault's first debt."""
        terms = self.chain.deployment.parameters.collateral_types[collateral_type]
        # The feed's price is behind the one outside.
        price = min(
            self.get_price(terms.symbol, now), self.system.view("PriceFeed", "last_price", collateral_type)
        )
        most = locked * price // RAY * BASIS_POINTS // (terms.initial_ratio + _ABOVE)
        if most - debt >= _LEAST * WAD:
            self._deposit_and_draw_if_allowed(collateral_type, owner, 0, most - debt)


class PageReaders:
    """Threads that read the mirror's status page and event stream, and disconnect without closing."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.counts: Counter[str] = Counter()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._read_pages, daemon=True) for _ in range(READERS)]
        for thread in self._threads:
            thread.start()

    def stop_reader_threads(self) -> None:
        """Stop the reader threads and wait for their end."""
        self._over.set()
        for thread in self._threads:
            thread.join(_STAYS)

    def _read_pages(self) -> None:
        while not self._over.is_set():
            try:
                for path in ("/", "/metrics", "/health"):
                    self.counts["pages"] += bool(self._open_page_response(path, 5.0).read())
                stream = self._open_page_response("/events", 10.0)
                leaves = time.monotonic() + _STAYS
                while time.monotonic() < leaves and not self._over.is_set():
                    self.counts["events"] += stream.readline().startswith(b"data:")
                stream.close()
            except (OSError, HTTPException):
                self.counts["failures"] += 1
                self._over.wait(1.0)

    def _open_page_response(self, path: str, timeout: float) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request("GET", path)
        answer = connection.getresponse()  # which closes the connection when it is closed itself
        return answer


def run_soak(
    folder: Path,
    scenario: Scenario,
    seed: int,
    minutes: float,
    *,
    block: float,
    sample: float = SAMPLE,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Run keepers, a mirror and page readers under load; return resource figures and violated rules.

    The run takes `minutes`, with a block every `block` seconds and a sample of each process every `sample`
    seconds. Violations are listed in `faults`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    prepare_chain(folder, scenario, seed, dict.fromkeys(BIDDERS, CAPITAL))
    page = find_free_non_ephemeral_port()
    scene = ChaosEnvironment(folder, scenario, seed, world=CyclicMarketActors, mirror=("--page", str(page)))
    scene.chain.keeps = False  # nobody kills it
    uses: dict[str, list[ProcessUsage]] = {}
    readers = None
    try:
        scene.start_followers()
        readers = PageReaders(page)
        began, sampled, mined = time.monotonic(), 0.0, 0
        with (folder / "samples.jsonl").open("a", encoding="utf-8") as file:
            for mined in count():
                at = time.monotonic() - began
                progress(int(at), int(minutes * 60), f"{mined:,} blocks")
                if at >= minutes * 60 or stop():
                    break
                scene.wait_for_followers()
                if at >= sampled:
                    sampled = at + sample
                    for name, pid in scene.list_pids().items():
                        if (use := read_memory_and_descriptor_usage(pid, at)) is not None:
                            uses.setdefault(name, []).append(use)
                            file.write(json.dumps({"name": name, **use._asdict()}) + "\n")
                    file.flush()
                scene.world.send_block_actions()
                scene.chain.mine_block()
                pause_run(began + at + block - time.monotonic(), stop)
        lasted = time.monotonic() - began
        scene.wait_for_followers()
        readers.stop_reader_threads()
        scene.settle_and_stop_followers()
        return _build_figures(scene, uses, readers, mined, lasted)
    finally:
        if readers is not None:
            readers.stop_reader_threads()
        scene.close()


def list_vault_opening_lull_faults(
    opened_blocks: Sequence[int], head_block: int, mined_blocks: int, cycle_blocks: int
) -> list[str]:
    """Return a violation if no vault was opened in the last price cycle, since the load has ended then.

    The list is empty for a run shorter than two cycles.
    """
    last = max(opened_blocks, default=head_block - mined_blocks)
    if mined_blocks < 2 * cycle_blocks or last >= head_block - cycle_blocks:
        return []
    return [f"the load ended: no vault was opened in the {head_block - last:,} blocks after block {last:,}"]


def _build_figures(
    scene: ChaosEnvironment,
    uses: Mapping[str, list[ProcessUsage]],
    readers: PageReaders,
    mined: int,
    lasted: float,
) -> dict[str, Any]:
    differences = 0
    for line in (scene.folder / "mirror.jsonl").read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            differences += len(json.loads(line)["differences"])
    did = Counter(line.get("event") for keeper in scene.keepers for line in keeper.iter_json_log_records())
    processes = [summarise_process_usage(name, of) for name, of in uses.items()]
    faults = list(scene.faults)
    faults += [f"the mirror found {differences} differences"] * bool(differences)
    for each in processes:
        if each["name"] != "node":  # it keeps the chain's history
            faults += [
                f"{what} of {each['name']} grows by {each[what]['an_hour'][0]:,.0f} an hour"
                for what in ("memory", "open")
                if each[what]["verdict"] == "grows"
            ]
    assert isinstance(scene.world, CyclicMarketActors)
    faults += list_vault_opening_lull_faults(
        scene.world.opened, scene.chain.head_block.number, mined, scene.world.cycle_length_in_blocks
    )
    return {
        "minutes": round(lasted / 60, 1),
        "blocks": mined,
        "opened": len(scene.world.opened),
        "transactions": did["sent"],
        "readers": dict(readers.counts),
        "differences": differences,
        "processes": processes,
        "faults": faults,
    }
