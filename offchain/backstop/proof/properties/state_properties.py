"""Properties of a state: each looks at one snapshot, with its own arithmetic instead of the model's.

Lockstep asserts them on the chain's own values.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from backstop.model.arithmetic import RAD, RAY
from backstop.model.equity_pool import Due
from backstop.model.exit_batches import SCALE, ExitRun
from backstop.model.ledger import DISTRESSED, Auctions, Balance, Income
from backstop.model.listed_types import decode_listed_types
from backstop.model.recovery_claims import Series
from backstop.model.redeem_queue import Batch, Claimed, Line, Queue, Request
from backstop.model.series_token import State as SeriesState
from backstop.model.settlement import Progress
from backstop.model.shares import Balance as ShareBalance
from backstop.model.shares import State as ShareState
from backstop.model.vesting_assets import Assets
from backstop.proof.properties.incremental_table_sums import get_table_sums
from backstop.proof.properties.independent_arithmetic.batch_figures import (
    STEP,
    convert_shares,
    list_open_batch_groups,
)
from backstop.proof.properties.property_registry import (
    OCCASIONS,
    STATE_PROPERTIES,
    PropertyViolationError,
    check_chosen_properties_in_order,
    state_property,
)
from backstop.system import Snapshot

# What sums are of: lots and the principal left.
_AUCTIONS = "CollateralAuction", "lots", "tops"
_WORKOUTS = "Workouts", "balances", "sums"
# The pools, and what they hold.
_ASSETS = {"Junior": "Stablecoin", "Senior": "Stablecoin", "Savings": "Stablecoin", "StakedEquity": "Equity"}

# Storage that nothing was written to reads as these.
_NO_TABLE: Mapping[Hashable, Any] = {}
_NO_CONTRACT: Mapping[str, Mapping[Hashable, Any]] = {}
_NO_INCOME, _NO_AUCTIONS, _NO_BALANCE, _NO_PROGRESS = Income(), Auctions(), Balance(), Progress()


# What each reads, of which every change is an occasion to ask it.
_LEDGER = [f"ledger.{path}" for path in ("income", "auctions", "deficit", "system", "settled", "debts")]
_EXITS = [
    *(f"line.{path}" for path in ("queue", "batches", "requests", "claimed", "lines")),
    *(f"exit_batches.{path}" for path in ("index", "bases", "ceilings", "levels", "runs", "first_run")),
    *("due", "rounds", "generations"),
]
_HELD = ["funds.assets", "token.state", "token.balances", "erc20.balanceOf", "balanceOf", "sales"]


def check_state_properties(
    snapshot: Snapshot, addresses: Mapping[str, str], written_paths: Iterable[str] | None = None
) -> None:
    """Check the state properties, or only those that read one of the written storage paths.

    Raises PropertyViolationError with the number of the first violated property.
    """
    numbers: Iterable[int] = STATE_PROPERTIES
    if written_paths is not None:
        writes, none = frozenset(written_paths), frozenset[str]()
        numbers = [n for n in STATE_PROPERTIES if OCCASIONS[n].is_match(writes, none, none)]
    check_chosen_properties_in_order(STATE_PROPERTIES, numbers, snapshot, addresses)


@state_property(1, writes=[*_LEDGER, "erc20.totalSupply", "progress"])
def ledger_balances_to_zero(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """Check that the two sides of the ledger are equal, to 0 rad (property 1).

    The equation is supply*RAY + reserve + buffers == performing + in_auction + deficit + settled. The stored
    total of buffers and the types' marks of distress must match as well. Once settlement has closed the
    books, only the supply and the settled debt remain. Raises PropertyViolationError otherwise.
    """
    engine = snapshot["VaultEngine"]
    incomes, auctions = _get_table(engine, "ledger.income"), _get_table(engine, "ledger.auctions")
    deficits = _get_table(engine, "ledger.deficit")
    system = _get_table(engine, "ledger.system").get((), _NO_BALANCE)
    held = _get_table(snapshot["Stablecoin"], "erc20.totalSupply").get((), 0) * RAY + system.reserve
    supply = held - system.reserve
    owed, coins = _get_table(engine, "ledger.settled").get((), 0), 0
    for c, debts in _get_table(engine, "ledger.debts").items():
        buffer = incomes.get(c, _NO_INCOME).buffer
        distress = auctions.get(c, _NO_AUCTIONS).in_auction + deficits.get(c, 0)
        held += buffer
        coins -= -buffer // RAD  # rounded up
        owed += debts.normalized_debt * debts.accumulated_rate + distress
        if debts.distressed & DISTRESSED != (distress > 0):
            raise PropertyViolationError(
                f"type {c}: distressed is {debts.distressed}, {distress} rad are in distress"
            )
    if held != owed:
        raise PropertyViolationError(f"the two sides differ by {held - owed} rad")
    closed = _get_table(snapshot["Settlement"], "progress").get((), _NO_PROGRESS).fixed_at
    if closed and not held == owed == supply == _get_table(engine, "ledger.settled").get((), 0):
        raise PropertyViolationError(
            f"the books are closed, but {held - supply} rad are left beside the supply"
        )
    if system.buffers != coins:
        raise PropertyViolationError(f"buffers are {coins} whole stablecoins, {system.buffers} are counted")


@state_property(
    2,
    writes=[
        *_EXITS,
        *_HELD,
        *("vaults", "ledger.debts", "ledger.salvage", "terms.of_types"),
        *(*_AUCTIONS[1:], *_WORKOUTS[1:], "cash", "paid_per_token", "series"),
    ],
)
def holdings_cover_booked_collateral(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """Check that contracts hold at least the collateral, assets and cash that are booked (property 2).

    The normalized debt of a type is the sum over its vaults. Pools hold their assets, and the shares of
    withdrawal requests. Claim series hold their cash, and auctions their equity. Raises
    PropertyViolationError otherwise.
    """
    engine = snapshot["VaultEngine"]
    owed: dict[int, int] = defaultdict(int)
    booked: dict[int, int] = defaultdict(int, _get_table(engine, "ledger.salvage"))
    for c, (locked, normalized) in get_table_sums(snapshot, "VaultEngine", "vaults").items():
        booked[c] += locked
        owed[c] += normalized
    for sums in (get_table_sums(snapshot, *_AUCTIONS), get_table_sums(snapshot, *_WORKOUTS)):
        for c, (lots, *_) in sums.items():
            booked[c] += lots
    debts = _get_table(engine, "ledger.debts")
    needed: dict[str, int] = defaultdict(int)
    for c, terms in _get_table(engine, "terms.of_types").items():
        if debts[c].normalized_debt != owed[c]:
            raise PropertyViolationError(
                f"type {c}: the vaults owe {owed[c]}, the type {debts[c].normalized_debt}"
            )
        raw, rest = divmod(booked[c], terms.unit)
        if rest:
            raise PropertyViolationError(f"type {c}: booked collateral is not a multiple of the token's unit")
        needed[terms.token] += raw
    holder = addresses["VaultEngine"]
    for name, address in addresses.items():
        if address in needed:
            # A facilitator's note keeps its balances as the stablecoin does.
            held = _get_table(snapshot[name], "balanceOf").get(holder, 0) or _read_token_balance(
                snapshot, name, holder
            )
            if held < needed[address]:
                raise PropertyViolationError(f"{name}: {needed[address]} booked, {held} held")
    for name, asset in _ASSETS.items():
        if name not in addresses:
            continue
        pool, address = snapshot[name], addresses[name]
        queue = _get_table(pool, "line.queue").get((), Queue())
        assets = _get_table(pool, "funds.assets").get((), Assets()).booked + queue.owed
        if assets > _read_token_balance(snapshot, asset, address):
            raise PropertyViolationError(f"{name}: {assets} assets booked, less held")
        _check_batches(name, pool, address, queue)
        _check_request_lists(name, pool)
        if f"{name}.Claims" in addresses:
            _check_claim_cash(snapshot, f"{name}.Claims", addresses)
    if "StakeAuction" in addresses:
        selling = sum(sale.lot for sale in _get_table(snapshot["StakeAuction"], "sales").values())
        if selling > _read_token_balance(snapshot, "Equity", addresses["StakeAuction"]):
            raise PropertyViolationError(f"StakeAuction: {selling} equity under auction, less held")


def _check_batches(name: str, pool: Mapping[str, Any], address: str, queue: Queue) -> None:
    """Check that exit batches hold their members' shares and assets.

    The pool must owe the batches at least the amounts that members can still claim. Raises
    PropertyViolationError otherwise.
    """
    state, rounds = _get_table(pool, "token.state").get((), ShareState()), _get_table(pool, "rounds")
    committed: dict[int, int] = defaultdict(int)
    owed, found = Fraction(0), _get_table(pool, "line.batches")
    claimed = _get_table(pool, "line.claimed")
    for (batch_id, owner), request in _get_table(pool, "line.requests").items():
        cut = max(found[batch_id].generation, request.generation)
        shares = convert_shares(request.shares, request.generation, cut)
        committed[batch_id] += (
            convert_shares(shares, cut, state.generation) if batch_id >= queue.collecting else shares
        )
        paid = (
            _compute_equity_request_payment(pool, found[batch_id], request)
            if rounds
            else _compute_stablecoin_batch_payment(pool, batch_id, queue, shares)
        )
        owed += max(0, paid - claimed.get((batch_id, owner), Claimed()).assets)
    if owed > queue.owed:
        raise PropertyViolationError(f"{name}: {float(owed)} wei can be claimed, {queue.owed} are owed")
    present = {
        batch_id: convert_shares(each.units, each.generation, state.generation)
        for batch_id, each in found.items()
    }
    for batch_id, batch in found.items():
        units = present[batch_id] if batch_id >= queue.collecting else batch.units
        if committed[batch_id] > units:
            raise PropertyViolationError(
                f"{name}: {committed[batch_id]} shares of {units} in batch {batch_id}"
            )
    # Live until they are cut, and in a pool of equity until they are paid.
    escrow = present.get(queue.collecting, 0)
    if "due" in pool:
        due = _get_table(pool, "due").get((), Due())
        escrow += sum(present[batch_id] for batch_id in range(queue.unsettled, queue.collecting))
        escrow += convert_shares(due.shares, due.generation, state.generation)
    balance = _get_table(pool, "token.balances").get(address, ShareBalance())
    balance_now = convert_shares(balance.shares, balance.generation, state.generation)
    # Each is rounded down by itself where shares are divided.
    if not escrow <= balance_now <= escrow + (64 * state.generation if "due" in pool else 0):
        raise PropertyViolationError(f"{name}: {escrow} shares requested, {balance_now} in escrow")
    index, last, held = _get_table(pool, "exit_batches.index").get((), 0), 0, 0
    for group in list_open_batch_groups(_build_slot_reader(pool), ""):
        if group.ceiling < max(last, index):
            raise PropertyViolationError(f"{name}: batch {group.id} is over before one ahead of it")
        last = group.ceiling
        held += group.units * (last - index) // SCALE
    if state.open and held != queue.held:
        raise PropertyViolationError(f"{name}: its batches hold {held}, {queue.held} are held for them")


def _build_slot_reader(pool_tables: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a function that reads a pool's storage slots from a snapshot, with defaults."""
    empty = {
        "token.state": ShareState(),
        "line.queue": Queue(),
        "line.batches": Batch(),
        "exit_batches.runs": ExitRun(),
    }

    def read(_: str, path: str, key: Any = ()) -> Any:
        return _get_table(pool_tables, path).get(key, empty.get(path, 0))

    return read


def _compute_stablecoin_batch_payment(
    pool_tables: Mapping[str, Any], batch_id: int, queue: Queue, shares: int
) -> int:
    """Return the amount that `shares` of a stablecoin pool's exit batch were paid [wei].

    It is the batch's ceiling at its closing less the ceiling of its settled group. It is 0 for a batch that
    is not settled.
    """
    if batch_id >= queue.unsettled:
        return 0
    read = _build_slot_reader(pool_tables)
    first = batch_id
    while 0 < (link := read("", "line.batches", first).link) < first:
        first = link
    run: ExitRun = read("", "exit_batches.runs", first)
    if run == ExitRun():
        return 0
    ceiling, cut = read("", "exit_batches.levels", first), read("", "line.batches", batch_id).generation
    for at in reversed(range(cut, run.generation)):
        ceiling = -(-ceiling // STEP) + read("", "exit_batches.bases", at)
    paid = shares * max(0, read("", "exit_batches.ceilings", batch_id) - ceiling) // SCALE
    return int(max(0, paid - (run.generation != cut)))


def _compute_equity_request_payment(
    pool_tables: Mapping[str, Any], batch: Batch, request: Request
) -> Fraction:
    """Return the payment of a withdrawal request from an equity pool [wei].

    It is the request's share of the payment round, or 0 before the round.
    """
    record = _get_table(pool_tables, "rounds").get(batch.link)
    if record is None or not batch.link or not record.shares:
        return Fraction(0)
    counted = _get_table(pool_tables, "generations").get(batch.link, 0)
    shares = convert_shares(request.shares, request.generation, counted)
    return Fraction(record.paid * shares, record.shares)


def _check_request_lists(name: str, pool: Mapping[str, Any]) -> None:
    """Check that each controller's linked list holds exactly its unfinished withdrawal requests.

    The list is in the order of batches. Raises PropertyViolationError otherwise.
    """
    requests, lines = _get_table(pool, "line.requests"), _get_table(pool, "line.lines")
    mine: dict[str, list[int]] = defaultdict(list)
    for (batch_id, controller), request in requests.items():
        if request != Request():
            mine[controller].append(batch_id)
    for controller in {*mine, *lines}:
        ids, line = sorted(mine[controller]), lines.get(controller, Line())
        following = [line.first, *(requests[batch_id, controller].next for batch_id in ids)]
        if following != [*ids, 0] or line.last != max(ids, default=0):
            raise PropertyViolationError(
                f"{name}: {controller} has requests in {ids}, listed {line}, {following}"
            )


def _check_claim_cash(snapshot: Snapshot, name: str, addresses: Mapping[str, str]) -> None:
    """Check that a claim series holds its credited cash and all uncollected payments.

    Members have no more claim tokens than their losses created. Raises PropertyViolationError otherwise.
    """
    series, paid = snapshot[name], _get_table(snapshot[name], "paid_per_token")
    issued = _get_table(series, "token.state").get((), SeriesState()).supply
    if issued > (all_tokens := _get_table(series, "series").get((), Series()).tokens):
        raise PropertyViolationError(f"{name}: {issued} tokens are issued of {all_tokens}")
    due = sum(_get_table(series, "cash").values())
    for (generation, _), balance in _get_table(series, "token.balances").items():
        due += balance.shares * (paid.get(generation, 0) - balance.mark) // RAY
    if due > _read_token_balance(snapshot, "Stablecoin", addresses[name]):
        raise PropertyViolationError(f"{name}: {due} wei can be collected, less is held")


@state_property(
    3,
    writes=[
        *(*_AUCTIONS[1:], *_WORKOUTS[1:], "in_workouts"),
        *("ledger.auctions", "owners", "schedules", "vaults"),
    ],
)
def auction_limits_count_open_principal(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """Check that auction limits count the unpaid principal of open auctions and workouts (property 3).

    Each type's count and each vault's number of open lots must match. Raises PropertyViolationError
    otherwise.
    """
    auctions, workouts = snapshot["CollateralAuction"], snapshot.get("Workouts", _NO_CONTRACT)
    lots, schedules = _get_table(auctions, "lots"), _get_table(workouts, "schedules")
    owned = [
        (lots[auction_id].collateral_type, each.owner)
        for auction_id, each in _get_table(auctions, "owners").items()
    ]
    for workout_id, balance in _get_table(workouts, "balances").items():
        if balance.left:
            owned.append((balance.collateral_type, schedules[workout_id].owner))
    open_lots = Counter((c, owner) for c, owner in owned if int(owner, 16))
    vaults = _get_table(snapshot["VaultEngine"], "vaults")
    if +Counter({key: vault.open_lots for key, vault in vaults.items()}) != open_lots:
        raise PropertyViolationError("a vault counts other lots than its own")
    live: dict[int, int] = defaultdict(int)
    left = {c: principal for c, (_, principal, _) in get_table_sums(snapshot, *_WORKOUTS).items()}
    for c, counted in _get_table(snapshot.get("Workouts", _NO_CONTRACT), "in_workouts").items():
        if counted != left.get(c, 0):
            raise PropertyViolationError(
                f"type {c}: {counted} rad counted in workouts, {left.get(c, 0)} are there"
            )
    for c, (_, principal) in get_table_sums(snapshot, *_AUCTIONS).items():
        live[c] += principal
    for c, principal in left.items():
        live[c] += principal
    for c, auctions in _get_table(snapshot["VaultEngine"], "ledger.auctions").items():
        if auctions.in_auction != live.pop(c, 0):
            raise PropertyViolationError(f"type {c}: {auctions.in_auction} rad counted, not what is live")
    if any(live.values()):
        raise PropertyViolationError(f"types {sorted(live)} have live auctions that are not counted")


@state_property(
    4,
    writes=[
        *("created", "carried_in", "carried_out", "recovered", "covered", "losses", "books", "reservations"),
        *(
            "ledger.deficit",
            "vault_flags.of_vaults",
            "vault_flags.of_types",
            "vault_flags.flagged",
            "flagged_principal",
            *_WORKOUTS[1:],
        ),
    ],
)
def loss_events_are_conserved(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """Check that the amounts of each loss event add up (property 4).

    The equation is created + carried_in == recovered + covered + carried_out + outstanding. Deficits that
    fell without a stage's payment are recorded only at the next cover. The stored set of types with open
    losses and the totals of flagged debt must match. Reservations never exceed the deficit. Raises
    PropertyViolationError otherwise.
    """
    waterfall = snapshot["LossWaterfall"]
    left: dict[Hashable, int] = defaultdict(int, _get_table(waterfall, "created"))
    carried: dict[int, int] = defaultdict(int)
    for key, amount in _get_table(waterfall, "carried_in").items():
        left[key] += amount
        carried[key[0]] += amount
    for key, amount in _get_table(waterfall, "carried_out").items():
        left[key] -= amount
        carried[key[0]] -= amount
    for key, amount in _get_table(waterfall, "recovered").items():
        left[key] -= amount
    for (c, epoch, _), amount in _get_table(waterfall, "covered").items():
        left[c, epoch] -= amount
    unresolved: dict[int, int] = {}
    for c, loss in _get_table(waterfall, "losses").items():
        left[c, loss.epoch] -= loss.unresolved
        unresolved[c] = loss.unresolved
    if any(left.values()):
        wrong = {event: amount for event, amount in left.items() if amount}
        raise PropertyViolationError(f"events do not add up, by rad: {wrong}")
    if any(carried.values()):
        raise PropertyViolationError(
            f"what is carried out of an event does not come in to the next: {dict(carried)}"
        )
    deficits = _get_table(snapshot["VaultEngine"], "ledger.deficit")
    for c, deficit in deficits.items():
        if deficit > unresolved.get(c, 0):
            raise PropertyViolationError(
                f"type {c}: the deficit is {deficit}, its event {unresolved.get(c, 0)}"
            )
    reserved: dict[int, int] = defaultdict(int)
    for (c, _), reservation in _get_table(waterfall, "reservations").items():
        reserved[c] += reservation.amount
    for c, amount in reserved.items():
        if amount > deficits.get(c, 0):
            raise PropertyViolationError(
                f"type {c}: stages have reserved {amount} of a deficit of {deficits.get(c, 0)}"
            )

    _check_flag_sums(snapshot)
    pending = {c for c, amount in unresolved.items() if amount}
    for books in _get_table(waterfall, "books").values():
        if books.open != sum(1 << c for c in pending):
            raise PropertyViolationError(f"types {sorted(pending)} have losses, others are counted")


def _check_flag_sums(snapshot: Snapshot) -> None:
    """Check that each type's stored total of flagged debt is the sum over its vaults and workouts.

    The stored set of flagged types must match. Raises PropertyViolationError otherwise.
    """
    flags, workouts = "LiquidationEngine", snapshot.get("Workouts", _NO_CONTRACT)
    of_vaults = {c: sum(each) for c, each in get_table_sums(snapshot, flags, "vault_flags.of_vaults").items()}
    of_workouts = {c: each[2] for c, each in get_table_sums(snapshot, "Workouts", "balances", "sums").items()}
    for kept, found in (
        (_get_table(snapshot[flags], "vault_flags.of_types"), of_vaults),
        (_get_table(workouts, "flagged_principal"), of_workouts),
    ):
        for c in {*kept, *found}:
            if kept.get(c, 0) != found.get(c, 0):
                raise PropertyViolationError(
                    f"type {c}: {kept.get(c, 0)} are counted as flagged, {found.get(c, 0)} are"
                )
    types = _get_table(snapshot[flags], "vault_flags.flagged").get((), 0)
    if types != sum(1 << c for c, amount in of_vaults.items() if amount):
        raise PropertyViolationError(f"types with flags are {of_vaults}, the bits of those flagged {types:b}")


@state_property(
    17,
    writes=[
        *("progress", "bag_of", "cashed_of", "share_of", "erc20.totalSupply"),
        *("ledger.settled", "ledger.salvage", "terms.of_types"),
    ],
)
def settlement_pays_all_holders_equally(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """Check that settlement can pay all holders their share of collateral (property 17).

    The settled debt equals the supply at the end. For any order and split of redemptions, the amount still to
    be paid of a type is at most its remaining collateral. Raises PropertyViolationError otherwise.
    """
    settlement, engine = snapshot["Settlement"], snapshot["VaultEngine"]
    if not _get_table(settlement, "progress").get((), _NO_PROGRESS).fixed_at:
        return
    supply = _get_table(snapshot["Stablecoin"], "erc20.totalSupply").get((), 0)
    settled = _get_table(engine, "ledger.settled").get((), 0)
    if settled != supply * RAY:
        raise PropertyViolationError(f"{settled} rad are settled for a supply of {supply}")
    bags = _get_table(settlement, "bag_of")
    entitled, units = supply + sum(bags.values()), _get_table(engine, "terms.of_types")
    cashed: dict[int, int] = defaultdict(int)
    for (c, owner), amount in _get_table(settlement, "cashed_of").items():
        if amount > bags.get(owner, 0):
            raise PropertyViolationError(f"{owner} has cashed {amount} of a bag of {bags.get(owner, 0)}")
        share, unit = _get_table(settlement, "share_of").get(c, 0), units[c].unit
        cashed[c] += amount * share // RAY // unit * unit
    left = _get_table(engine, "ledger.salvage")
    for c, share in _get_table(settlement, "share_of").items():
        most = entitled * share // RAY - cashed[c]
        if most > left.get(c, 0):
            raise PropertyViolationError(f"type {c}: holders can cash {most}, {left.get(c, 0)} are left")


@state_property(155, writes=[*_LEDGER, "terms.listed"])
def no_money_stays_in_retired_types(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """Check that an unlisted collateral type has no debt, auction, deficit or buffer (property 155).

    Later payments for the type belong to the reserve. Raises PropertyViolationError otherwise.
    """
    engine = snapshot["VaultEngine"]
    listed = decode_listed_types(_get_table(engine, "terms.listed").get((), 0))
    figures = (
        ("debts", "normalized_debt"),
        ("auctions", "in_auction"),
        ("income", "buffer"),
        ("deficit", ""),
    )
    for path, field in figures:
        for c, record in _get_table(engine, f"ledger.{path}").items():
            amount = getattr(record, field) if field else record
            if amount and c not in listed:
                raise PropertyViolationError(f"type {c} is retired and has {amount} of {field or path}")


def _read_token_balance(snapshot: Snapshot, token: str, who: str) -> int:
    return int(_get_table(snapshot[token], "erc20.balanceOf").get(who, 0))


def _get_table(tables: Mapping[str, Mapping[Hashable, Any]], path: str) -> Mapping[Any, Any]:
    return tables.get(path, _NO_TABLE)
