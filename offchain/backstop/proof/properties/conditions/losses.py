"""Conditions under which calls to the waterfall, pools, equity, claims, treasury and settlement revert."""

from __future__ import annotations

from typing import Any

from backstop.model.bounds import (
    EQUITY_MARKET,
    FINAL_DEADLINE,
    LOOK,
    MAX_LOOK,
    MAX_RESERVATION,
)
from backstop.proof.properties import stages
from backstop.proof.properties.conditions.call import (
    CLOSED,
    FEED,
    RAD,
    WAD,
    WATERFALL,
    Call,
    is_nobody,
    refuses,
)
from backstop.proof.properties.figures import batches
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.figures.claimable import claimed
from backstop.proof.properties.figures.doubt import in_doubt
from backstop.proof.properties.guards import _level, _levels

_MOST_ASSETS = 2**96 - 1


# ---------------------------------------------------------------------- waterfall


def _books(call: Call) -> Any:
    return call.read(WATERFALL, "books")


def _has_fallen(call: Call) -> bool:
    """Return whether a price has fallen within ten minutes, in a row of falls of less than a day."""
    falls = call.read(FEED, "falls.times")
    return bool(call.now < min(falls.last + LOOK, falls.began + MAX_LOOK))


def _held_up(call: Call, *args: Any) -> bool:
    """Return whether payments wait for a fall: they do while nothing is wound up."""
    return not _books(call).settlement and _has_fallen(call)


def _reservation(call: Call, c: int, stage: int) -> Any:
    return call.own("reservations", (c, call.own("stages", stage).stage))


def _is_reserved(call: Call, c: int) -> bool:
    known = call.own("lineup").known
    return any(_reservation(call, c, k).amount for k in range(known))


def _differs(field: str) -> Any:
    """Return whether a stage that is known already is listed with another property."""

    def condition(call: Call, terms: Any) -> bool:
        for stage, pooled, asynchronous, lifted, owes, _, _ in terms:
            id, said = (
                call.own("ids", stage),
                dict(pooled=pooled, asynchronous=asynchronous, lifted=lifted, owes=owes),
            )
            if id and bool(getattr(call.own("stages", id - 1), field)) != bool(said[field]):
                return True
        return False

    return condition


def _doubts(call: Call, terms: Any) -> bool:
    return any(in_doubt(call.step, call.read, c) for c in call.types)


def _is_other_order(call: Call, terms: Any) -> bool | None:
    """Return whether stages that are in the list now are to be in another order, or one is listed again."""
    place = {k: at for at, k in enumerate(call.own("lineup").ids)}
    known = [call.own("ids", each[0]) - 1 for each in terms if call.own("ids", each[0])]
    if any(k not in place for k in known):
        return True
    new = [each[0] for each in terms if not call.own("ids", each[0])]
    if len(set(new)) != len(new):
        return None
    places = [place[k] for k in known]
    return places != sorted(set(places))


refuses(
    WATERFALL,
    "set_stages",
    "loss_waterfall: ",
    stages_are_set=lambda x, terms: any(x.own("order_hash")),
)
refuses(
    WATERFALL,
    "propose_stages",
    "loss_waterfall: ",
    none_are_set=lambda x, terms: not any(x.own("order_hash")),
)
refuses(
    WATERFALL,
    "apply_stages",
    "loss_waterfall: ",
    too_early=lambda x, terms: x.now < x.own("stages_ready_at"),
    losses_open=lambda x, terms: bool(x.own("books").open or x.own("books").settlement),
    not_proposed=lambda x, terms: None if any(x.own("proposed_hash")) else True,
    in_doubt=lambda x, terms: _doubts(x, terms) and None,
)
refuses(
    WATERFALL,
    "set_stages propose_stages apply_stages",
    "loss_waterfall: ",
    no_stages=lambda x, terms: not terms,
    zero_stage=lambda x, terms: any(is_nobody(each[0]) for each in terms),
    other_kind=_differs("pooled"),
    other_pace=_differs("asynchronous"),
    other_end=_differs("lifted"),
    other_debt=_differs("owes"),
    other_order=_is_other_order,
)
refuses(
    WATERFALL,
    "set_stages apply_stages",
    "loss_waterfall: ",
    cap_bounds=lambda x, terms: any(each[6] > 10_000 for each in terms),
    owes_and_waits=lambda x, terms: any(each[4] and each[2] for each in terms),
)
refuses(
    WATERFALL,
    "cover",
    "loss_waterfall: ",
    no_deficit=lambda x, c: x.engine("ledger.deficit", c) == 0 and not x.own("books").open >> c & 1,
)
refuses(
    WATERFALL,
    "make_good",
    "loss_waterfall: ",
    nothing_missed=lambda x, c, stage: x.own("missed", (stage, c)) == 0,
    cover_first=lambda x, c, stage: bool(x.own("books").open or x.own("books").settlement),
)
refuses(
    WATERFALL,
    "force_release",
    "loss_waterfall: ",
    nothing_reserved=lambda x, c, stage: _reservation(x, c, stage).amount == 0,
    not_overdue=lambda x, c, stage: (
        not x.own("books").settlement and x.now <= _reservation(x, c, stage).since + MAX_RESERVATION
    ),
)


# -------------------------------------------------------------------------- pools


def _acts(call: Call, owner: str) -> bool:
    return owner == call.sender or bool(call.own("line.isOperator", (owner, call.sender)))


def _held(call: Call, owner: str) -> int:
    """Return an account's shares after all divisions of shares up to now [shares]."""
    balance = call.own("token.balances", owner)
    return batches.convert(balance.shares, balance.generation, call.own("token.state").generation)


def _may_not_spend(call: Call, owner: str, amount: int) -> bool:
    allowed = call.own("token.permits.allowance", (owner, call.sender))
    return bool(amount > allowed)


def _lacks_shares(call: Call, *args: Any) -> bool | None:
    if call.contract.cooldown and call.method in ("redeem", "withdraw"):
        return False
    if call.method == "redeem":
        return bool(args[0] > _held(call, args[2]))
    if call.method == "withdraw":
        return None  # what it costs is not looked at here
    owner = {"transfer": call.sender, "transferFrom": args[0], "requestRedeem": args[-1]}[call.method]
    amount = args[0] if call.method == "requestRedeem" else args[-1]
    return bool(amount > _held(call, owner))


def _is_bad(call: Call, receiver: str) -> bool:
    return is_nobody(receiver) or receiver == call.contract.address


def _is_too_soon(call: Call) -> bool:
    cooldown = call.contract.cooldown
    since = call.own("line.batches", call.own("line.queue").collecting).since
    return bool(call.now < since + max(min(cooldown, batches.DAY), cooldown // 8))


def _collects_nothing(call: Call) -> bool:
    batch = call.own("line.batches", call.own("line.queue").collecting)
    return not batches.convert(batch.units, batch.generation, call.own("token.state").generation)


def _is_ripe(call: Call, id: int) -> bool:
    batch = call.own("line.batches", id)
    return bool(call.now >= batch.since + call.contract.cooldown + LOOK)


def _has_too_many(call: Call) -> bool | None:
    queue = call.own("line.queue")
    waiting = queue.collecting - queue.unsettled
    if call.contract.KIND == "EquityPool":
        # Those whose time is over make room first.
        while waiting and _is_ripe(call, queue.collecting - waiting):
            waiting -= 1
    return bool(waiting >= 12)


def _pays_for_a_fall(call: Call) -> bool | None:
    return _held_up(call) if _bears_ours(call) else None


def _covers_first(call: Call) -> bool | None:
    """Return whether a pool could cover some of a loss that reaches it, under a cap that is a share."""
    address = call.contract.address
    if call.contract.KIND == "EquityPool":
        return None
    k, order = call.read(WATERFALL, "ids", address) - 1, call.read(WATERFALL, "lineup").ids
    if k not in order or not _bears_ours(call) or _books(call).settlement:
        return False
    terms, found = call.read(WATERFALL, "stages", k), False
    if terms.cap_bps == BASIS_POINTS:
        return False
    for c in call.types:
        deficit = call.engine("ledger.deficit", c)
        if deficit and not _is_busy(call, c):
            held = stages.capacity(call.step, k, c)
            free = min(held, max(0, stages.room(call.step, k, c, held)) // RAY * RAY)
            if free > held * terms.cap_bps // BASIS_POINTS // BASIS_POINTS:
                found = True
                if deficit > sum(stages.capacity(call.step, j, c) for j in order[: order.index(k)]):
                    return True
    # Where earlier stages may cover all, nothing has to reach this one.
    return None if found else False


def _bears_ours(call: Call) -> bool:
    return bool(call.contract.loss_waterfall_address == call.step.contract(WATERFALL).address)


def _has_no_request(call: Call) -> bool | None:
    """Return whether no batch waits whose time has come, and none that has may still be owed anything."""
    queue = call.own("line.queue")
    found = [_is_ripe(call, id) for id in range(queue.unsettled, queue.collecting)]
    runs = call.own("token.state").open - len(found)
    return None if runs or any(found) else True


def _has_nothing_due(call: Call) -> bool:
    queue, generation = call.own("line.queue"), call.own("token.state").generation
    due = call.own("due")
    total = batches.convert(due.shares, due.generation, generation)
    for id in range(queue.unsettled, queue.collecting):
        if not _is_ripe(call, id):
            break
        batch = call.own("line.batches", id)
        total += batches.convert(batch.units, batch.generation, generation)
    return total == 0


def _loses(call: Call) -> bool | None:
    """Return True if a pool of equity has anything under auction; None if that depends on earlier stages."""
    stage = call.step.model.world.addresses[call.contract.stage_address]
    if stage.KIND != "EquityAuction" or not _bears_ours(call):
        return None
    if any(call.read(stage.label, "sales", c).target for c in call.types):
        return True
    books = _books(call)
    if books.settlement:
        return bool(books.settlement != CLOSED)
    may_lose = books.open or call.read(WATERFALL, "lineup").owing or _doubts(call, ())
    return None if may_lose else False


def _is_more_than_paid(call: Call, amount: int, to: str, controller: str) -> bool | None:
    if not call.contract.cooldown:
        return False
    most = (amount, 2**256 - 1) if call.method == "redeem" else (2**256 - 1, amount)
    found = claimed(call.read, call.name, call.contract.KIND, controller, *most)
    if found is None or (call.method == "redeem" and not amount):
        return None
    return not found[2]


_BOTH = "Pool EquityPool"
refuses(
    _BOTH,
    "deposit mint",
    "shares: ",
    bad_receiver=lambda x, amount, to: _is_bad(x, to),
)
refuses(
    _BOTH,
    "deposit",
    "pool: ",
    too_many_assets=lambda x, assets, to: assets > _MOST_ASSETS - x.own("funds.assets").booked,
)
refuses(_BOTH, "mint", "pool: ", no_shares=lambda x, shares, to: shares == 0)
refuses(
    _BOTH,
    "requestRedeem",
    "pool: ",
    no_request_needed=lambda x, *_: x.contract.cooldown == 0,
    empty_request=lambda x, shares, controller, owner: shares == 0,
    not_for_this_controller=lambda x, shares, controller, owner: (
        controller != owner and not _acts(x, controller)
    ),
)
refuses(
    _BOTH,
    "requestRedeem",
    "shares: ",
    bad_receiver=lambda x, shares, controller, owner: _is_bad(x, controller),
    allowance_too_small=lambda x, shares, controller, owner: (
        not _acts(x, owner) and _may_not_spend(x, owner, shares)
    ),
    balance_too_small=_lacks_shares,
)
refuses(
    _BOTH,
    "cut",
    "pool: ",
    no_requests=_collects_nothing,
    batch_collects=_is_too_soon,
    too_many_batches=_has_too_many,
)
refuses(
    _BOTH,
    "settle",
    "loss_waterfall: ",
    price_has_fallen=_pays_for_a_fall,
    not_covered_yet=_covers_first,
)
refuses("Pool", "settle", "pool: ", nothing_to_settle=_has_no_request)
refuses("EquityPool", "settle", "pool: ", nothing_to_settle=_has_nothing_due, losses_are_open=_loses)
refuses(
    _BOTH,
    "redeem withdraw",
    "pool: ",
    not_controller=lambda x, amount, to, owner: x.contract.cooldown > 0 and not _acts(x, owner),
)
refuses(_BOTH, "redeem withdraw", "pool: ", more_than_max=_is_more_than_paid)
refuses(_BOTH, "redeem", "shares: ", balance_too_small=_lacks_shares)
refuses(
    _BOTH,
    "redeem",
    "shares: ",
    allowance_too_small=lambda x, shares, to, owner: (
        x.contract.cooldown == 0 and x.sender != owner and _may_not_spend(x, owner, shares)
    ),
)
refuses(
    _BOTH,
    "add_income",
    "pool: ",
    no_income=lambda x, assets: assets == 0,
    too_many_assets=lambda x, assets: assets > _MOST_ASSETS - x.own("funds.assets").booked,
)
refuses("Pool", "collect_claims", "pool: ", no_member=lambda x, owner: owner == x.contract.address)
refuses(
    _BOTH,
    "transfer",
    "shares: ",
    bad_receiver=lambda x, to, amount: _is_bad(x, to),
    balance_too_small=_lacks_shares,
)
refuses(
    _BOTH,
    "transferFrom",
    "shares: ",
    bad_receiver=lambda x, owner, to, amount: _is_bad(x, to),
    allowance_too_small=lambda x, owner, to, amount: _may_not_spend(x, owner, amount),
    balance_too_small=_lacks_shares,
)


# ------------------------------------------------------------- equity and surplus


def _sale(call: Call, c: int) -> Any:
    return call.own("sales", c)


def _price(call: Call, top: int, floor: int, started_at: int) -> int:
    """Return a price that falls in a straight line, rounded up [ray]."""
    elapsed, whole = call.now - started_at, call.contract.duration
    return -((floor * elapsed + top * (whole - elapsed)) // -whole)


def _price_of_equity(call: Call, c: int) -> int:
    sale = _sale(call, c)
    return _price(call, sale.top_units * 10**14, sale.floor_units * 10**14, sale.started_at)


def _leaves_too_little(call: Call, c: int, most: int, most_price: int, to: str, data: bytes) -> bool:
    sale, price = _sale(call, c), _price_of_equity(call, c)
    lot = -(-sale.target * RAY // (sale.floor_units * 10**14)) if sale.target else 0
    paid = min(sale.target, -(-min(lot, most) * price // RAY))
    return 0 < sale.target - paid < WAD


_AUCTIONS, _SURPLUS = "EquityAuction", "SurplusAuction"
refuses(
    _AUCTIONS,
    "take end",
    "equity_auction: ",
    no_auction=lambda x, c, *_: _sale(x, c).target == 0,
)
refuses(
    _AUCTIONS,
    "take",
    "equity_auction: ",
    over=lambda x, c, *_: x.now > _sale(x, c).started_at + x.contract.duration,
    price_too_high=lambda x, c, most, most_price, *_: _price_of_equity(x, c) > most_price,
    nothing_taken=lambda x, c, most, *_: most == 0,
    rest_too_small=_leaves_too_little,
)
refuses(
    _AUCTIONS,
    "end",
    "equity_auction: ",
    still_open=lambda x, c: x.now <= _sale(x, c).started_at + x.contract.duration and not x.settles,
)


def _surplus_price(call: Call) -> int:
    prices, lot = call.own("prices"), call.own("lot")
    return _price(call, prices.top, prices.floor, lot.started_at)


def _is_for_sale(call: Call) -> int:
    """Return what of the reserve is offered, above its target and all that may be lost [wad]."""
    plan, reserve = call.read("Treasury", "plan"), call.engine("ledger.system").reserve // RAY
    lost = (
        0 if _books(call).settlement == CLOSED else sum(call.engine("ledger.deficit", c) for c in call.types)
    )
    doubt = -(-(lost + sum(in_doubt(call.step, call.read, c) for c in call.types)) // RAY)
    return int(min(plan.offered, max(0, reserve - doubt - plan.target * WAD)))


refuses(
    _SURPLUS,
    "start",
    "surplus_auction: ",
    under_way=lambda x: x.own("lot").lot > 0 and x.now <= x.own("lot").started_at + x.contract.duration,
    no_price=lambda x: x.risk_price(EQUITY_MARKET) == 0,
    too_little=lambda x: _is_for_sale(x) < x.contract.whole_lot * WAD,
)
refuses(
    _SURPLUS,
    "take",
    "surplus_auction: ",
    no_auction=lambda x, *_: x.own("lot").lot == 0,
    over=lambda x, *_: x.now > x.own("lot").started_at + x.contract.duration,
    price_too_high=lambda x, most, most_price, *_: _surplus_price(x) > most_price,
    nothing_taken=lambda x, most, *_: most == 0,
)
refuses(
    _SURPLUS,
    "take",
    "treasury: ",
    not_for_sale=lambda x, most, *_: min(most, x.own("lot").lot) > _is_for_sale(x),
)


def _is_pending(call: Call, *args: Any) -> bool:
    books = _books(call)
    return bool((books.open or books.settlement) and books.settlement != CLOSED)


def _is_fallen(call: Call, *args: Any) -> bool:
    books = _books(call)
    return not books.open and not books.settlement and _has_fallen(call)


for _kind, _method in (("Treasury", "distribute"), (_SURPLUS, "take")):
    refuses(_kind, _method, "loss_waterfall: ", losses_pending=_is_pending, price_has_fallen=_is_fallen)


# ------------------------------------------------------------------------- claims


def _cash(call: Call, owner: str, generation: int) -> int:
    """Return the cash that an account can collect: what is credited, and due on its claim tokens [wei]."""
    balance, paid = call.own("token.balances", (generation, owner)), call.own("paid_per_token", generation)
    return int(call.own("cash", owner) + balance.shares * (paid - balance.mark) // RAY)


def _is_worth_nothing(call: Call, tokens: int, to: str) -> bool | None:
    series = call.own("series")
    return True if not tokens or not series.outstanding else None


_CLAIMS = "RecoveryClaims"
refuses(_CLAIMS, "collect", "recovery_claims: ", no_cash=lambda x, *args: _cash(x, *args) == 0)
refuses(
    _CLAIMS,
    "convert",
    "recovery_claims: ",
    no_conversion=lambda x, *_: x.contract.set_price == 0,
    no_price=lambda x, *_: not x.has_known_price(EQUITY_MARKET),
)
refuses(
    _CLAIMS,
    "convert",
    "shares: ",
    balance_too_small=lambda x, tokens, to: (
        tokens > x.own("token.balances", (x.own("token.state").generation, x.sender)).shares
    ),
)


# --------------------------------------------------------------------- settlement


def _is_early(call: Call) -> bool:
    """Return whether neither the delay of an announcement is over, nor losses stood for all epochs."""
    progress, length = call.own("progress"), call.step.contract(WATERFALL).epoch_length
    if progress.announced_for and call.now >= progress.announced_for:
        return False
    lost = sum(call.engine("ledger.deficit", c) for c in call.types)
    stood = progress.above_since and call.now // length <= progress.noted_epoch + 1
    stands = lost > call.contract.bound * RAD and stood
    return not (stands and call.now >= progress.above_since + call.contract.epochs * length)


def _is_not_final(call: Call, c: int) -> bool | None:
    begun_at = call.own("progress").begun_at
    if call.now >= begun_at + FINAL_DEADLINE:
        return False
    return False if call.read(FEED, "settlement_price.final_prices", c).is_final else None


def _has_debts(call: Call) -> bool:
    debts = [call.engine("ledger.debts", c) for c in call.types]
    sold = [call.engine("ledger.auctions", c).in_auction for c in call.types]
    return any(each.normalized_debt for each in debts) or any(sold)


def _is_covered_less(call: Call) -> bool:
    found = [(call.engine("ledger.deficit", c), call.own("left_of", c)) for c in call.types]
    return any(deficit not in (0, left) for deficit, left in found)


def _sells_salvage(call: Call) -> bool:
    auction = "CollateralAuction"
    ids = [call.read(auction, "salvage_sales", c) for c in call.types]
    return any(call.read(auction, "lots", id).lot for id in ids)


def _is_busy(call: Call, *types: int) -> bool:
    stages = range(call.read(WATERFALL, "lineup").known)
    holders = [call.read(WATERFALL, "stages", k).stage for k in stages]
    return any(call.read(WATERFALL, "reservations", (c, each)).amount for c in types for each in holders)


_SETTLEMENT = "Settlement"
refuses(
    _SETTLEMENT,
    "announce retract note begin",
    "settlement: ",
    has_begun=lambda x: x.own("progress").begun_at > 0,
)
refuses(_SETTLEMENT, "begin", "settlement: ", too_early=_is_early)
refuses(
    _SETTLEMENT,
    "fix_price cover_last fix",
    "settlement: ",
    not_begun=lambda x, *_: x.own("progress").begun_at == 0,
)
refuses(
    _SETTLEMENT,
    "cover_last fix",
    "settlement: ",
    is_fixed=lambda x, *_: x.own("progress").fixed_at > 0,
)
refuses(
    _SETTLEMENT,
    "fix_price",
    "settlement: ",
    price_is_final=lambda x, c: bool(x.own("final_prices", c).is_final),
    unknown_type=lambda x, c: c >= x.engine("terms.collateral_types"),
    price_is_not_final=_is_not_final,
)
refuses(
    _SETTLEMENT,
    "skim",
    "settlement: ",
    no_final_price=lambda x, c, owner: not x.own("final_prices", c).is_final,
    no_debt=lambda x, c, owner: x.engine("vaults", (c, owner)).normalized_debt == 0,
)
refuses(
    _SETTLEMENT,
    "skim",
    "vault_engine: ",
    lots_are_open=lambda x, c, owner: x.engine("vaults", (c, owner)).open_lots > 0,
)
refuses(_SETTLEMENT, "cover_last", "settlement: ", stages_are_busy=_is_busy)
refuses(
    _SETTLEMENT,
    "cover_last",
    "loss_waterfall: ",
    no_deficit=lambda x, c: x.engine("ledger.deficit", c) == 0 and not _books(x).open >> c & 1,
)
refuses(
    _SETTLEMENT,
    "fix",
    "settlement: ",
    salvage_on_sale=_sells_salvage,
    stages_are_busy=lambda x: _is_busy(x, *x.types),
    cover_a_last_time=_is_covered_less,
    debts_are_left=_has_debts,
)
refuses(_SETTLEMENT, "redeem", "settlement: ", not_fixed=lambda x, amount: x.own("progress").fixed_at == 0)
refuses(
    _SETTLEMENT,
    "cash",
    "settlement: ",
    not_in_the_bag=lambda x, c, amount: (
        x.own("cashed_of", (c, x.sender)) + amount > x.own("bag_of", x.sender)
    ),
)


# ------------------------------------------------------------ domains and the mode


def _type(call: Call) -> int:
    return int(call.contract.collateral_type)


def _is_over_its_line(call: Call, amount: int, to: str) -> bool | None:
    c, found = _type(call), []
    line = call.engine("terms.of_types", c).debt_ceiling * WAD
    for rate in call.rates(c):
        normalized = call.engine("vaults", (c, call.contract.address)).normalized_debt
        debt = -(-(normalized + -(-amount * RAY // rate)) * rate // RAY)
        found += [debt + call.own("lost") + slack // RAY > line for slack in call.slacks(c)]
    return found[0] if len(set(found)) == 1 else None


refuses(
    "Domain",
    "draw",
    "domain: ",
    loss_announced=lambda x, *_: x.own("announced").amount > 0,
    over_its_line=_is_over_its_line,
)
refuses(
    "Domain",
    "announce_loss",
    "domain: ",
    only_raise=lambda x, amount: not x.is_admin and amount <= x.own("announced").amount,
    loss_bounds=lambda x, amount: not 1 <= amount < 2**128,
)
refuses(
    "Domain",
    "realise_loss",
    "domain: ",
    no_loss=lambda x: x.own("announced").amount == 0,
    too_early=lambda x: x.now < x.own("announced").ready_at,
)
refuses(
    "Domain",
    "recover",
    "domain: ",
    in_settlement=lambda x, amount: x.settles,
    stages_are_busy=lambda x, amount: _is_busy(x, _type(x)),
)
refuses("Domain", "redeem", "domain: ", not_settling=lambda x, notes: not x.settles)


def _has_no_cause(call: Call, trigger: int, c: int) -> bool | None:
    if not 1 <= trigger <= 4:
        return None
    level = _level(call.step, trigger, c)
    return level == 0 or level < call.own("state").mode


_BREAKER = "CircuitBreaker"
refuses(_BREAKER, "escalate calm raise_to tell", "circuit_breaker: ", in_settlement=lambda x, *_: x.settles)
refuses(
    _BREAKER,
    "escalate",
    "circuit_breaker: ",
    no_cause=_has_no_cause,
    no_such_trigger=lambda x, trigger, c: not 1 <= trigger <= 4,
    unknown_type=lambda x, trigger, c: trigger != 1 and c >= x.engine("terms.collateral_types"),
)
refuses(
    _BREAKER,
    "calm",
    "circuit_breaker: ",
    is_normal=lambda x: x.own("state").mode == 0,
    too_early=lambda x: x.now < x.own("state").calm_from + x.own("state").calm_period,
    not_calm=lambda x: max(_levels(x.step)) >= x.own("state").mode,
)
refuses(
    _BREAKER,
    "raise_to",
    "circuit_breaker: ",
    no_such_mode=lambda x, mode: mode > 2,
    only_up=lambda x, mode: mode <= x.own("state").mode,
)
refuses(
    "AutoCeiling",
    "adjust",
    "auto_ceiling: ",
    no_terms=lambda x, c: x.own("terms", c).max_line == 0,
    in_settlement=lambda x, c: x.settles,
)
