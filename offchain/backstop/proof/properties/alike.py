"""Properties of equals: who does the same ends with the same, whatever is split, repeated or done first."""

from __future__ import annotations

from random import Random
from typing import Any

from backstop.deployment.role_accounts import get_account
from backstop.proof.properties.both import Both
from backstop.proof.properties.figures.arithmetic import RAY
from backstop.proof.properties.future import (
    VISITOR,
    accrue,
    apply,
    ask_to_leave,
    claim,
    collapse,
    contract_of,
    deficit,
    give,
    given_up,
    must,
    pick,
    pools_can_pay,
    settle,
    stablecoin_pools,
    types,
)
from backstop.proof.properties.registry import Violation, counterfactual_property

_OTHER, _SELF = get_account("visitor_2"), get_account("visitor_3")
_EVER = 2**256 - 1
_GIFTS = 1, 10**6, 10**18


@counterfactual_property(45)
def equal_members_end_alike(both: Both, random: Random) -> bool:
    """Assert that two who enter a pool alike leave it alike, though one of them fidgets; claims included.

    Losses, income and time pass meanwhile. A wei each for every time that one of them was settled.
    """
    if both.parameters is None or both.parameters.has_stage("scripted"):
        return False
    name = pick(random, stablecoin_pools(both))
    if name is None:
        return False
    pool = contract_of(both, name)
    with both.fork_state():
        amount = max(contract_of(both, "Stablecoin").balances.values(), default=0) // random.choice(
            (10, 1_000)
        )
        for who in (VISITOR, _OTHER):
            if not amount or not give(both, who, amount):
                return False
            must(both, "Stablecoin", "approve", pool.address, _EVER, by=who)
            if not apply(both, name, "deposit", amount, who, by=who).ok:
                return False
        fidgets = 0
        for _ in range(random.randrange(1, 5)):
            random.choice((_lose, _earn, _wait))(both, name, random)
            fidgets += _fidget(both, name, random)
        ends = [_ends(both, name, who) for who in (VISITOR, _OTHER)]
    slack = 4 * (fidgets + 4)
    for what, one, other in zip(("assets", "claims", "cash"), *ends, strict=True):
        if abs(one - other) > slack:
            raise Violation(f"{name}: of two equal members one ends with {one} of {what}, one with {other}")
    return True


@counterfactual_property(46)
def it_does_not_matter_who_goes_first(both: Both, random: Random) -> bool:
    """Assert that two members of a pool are paid the same in either order of their exits, to 2 wei.

    The last exit may be paid more, up to the income that the first forfeits: the reserve, which pays losses
    before the pool, has that income then.
    """
    name = pick(random, stablecoin_pools(both))
    if name is None or (both.parameters and both.parameters.has_stage("scripted")):
        return False
    pool = contract_of(both, name)
    members = [who for who in pool.holders() if who not in both.model.world.addresses]
    if len(members) < 2:
        return False
    pair = random.sample(members, 2)
    with both.fork_state():
        batch = ask_to_leave(both, name, *pair)
        settle(both, name)
        first, last, forfeited = dict[str, int](), dict[str, int](), dict[str, int]()
        for one, other in (pair, pair[::-1]):
            with both.fork_state():
                before = _reserve(both)
                first[one] = _out(both, name, one, batch)
                forfeited[one] = -(-(_reserve(both) - before) // RAY)
                last[other] = _out(both, name, other, batch)
    for who, other in (pair, pair[::-1]):
        if not -2 <= last[who] - first[who] <= 2 + forfeited[other]:
            raise Violation(f"{name}: {who} gets {first[who]} or {last[who]} as he is first or last")
    return True


def _reserve(both: Both) -> int:
    """Return the reserve [rad]."""
    return int(contract_of(both, "VaultEngine").system[()].reserve)


@counterfactual_property(47)
def a_gift_harms_nobody(both: Both, random: Random) -> bool:
    """Assert that whatever a stranger gives, what somebody could do goes on to work, and brings no less."""
    found = list(_ways_out(both))
    if not found:
        return False
    contract, method, args, who = pick(random, found)
    coins = contract_of(both, "Stablecoin").balances
    with both.fork_state():
        if not give(both, VISITOR, _GIFTS[-1]):
            return False
        if method == "repay_and_withdraw":
            accrue(both, args[0])
            debt = contract_of(both, "VaultEngine").vaults[args[:2]].normalized_debt
            owed = debt * contract_of(both, "VaultEngine").debts[args[0]].accumulated_rate
            if not give(both, who, -(-owed // RAY)):
                return False
        elif method == "requestRedeem":
            ask_to_leave(both, contract, who)
        ends = []
        for given in (False, True):
            with both.fork_state():
                if given and not _give_something(both, contract, who, random):
                    return False
                call, what = method, args
                if method == "requestRedeem":
                    settle(both, contract)
                    call, what = "redeem", (both.view(contract, "maxRedeem", who), who, who)
                outcome = apply(both, contract, call, *what, by=who)
                ends.append((outcome.ok, coins[who], outcome.reason))
    (ok, before, _), (still, after, reason) = ends
    if ok and (not still or after < before - 1):
        raise Violation(f"{who}'s {contract}.{method}: {before} before a gift, {after} after it, {reason!r}")
    return ok


@counterfactual_property(48)
def charging_twice_costs_as_much_as_once(both: Both, random: Random) -> bool:
    """Assert that a fee and a pool's income are the same whether anybody looked in between or not."""
    c = pick(random, types(both))
    engine = contract_of(both, "VaultEngine")
    if c is None or engine.terms[c].dynamic:
        return False
    span = random.choice((3_600, 86_400, 200 * 86_400))
    ends = []
    with both.fork_state():
        accrue(both, c)
        for parts in (1, random.choice((2, 3))):
            with both.fork_state():
                for i in range(parts):
                    both.advance(span // parts if i else span - (parts - 1) * (span // parts))
                    must(both, "VaultEngine", "accrue", c, by=VISITOR)
                    for name in stablecoin_pools(both):
                        apply(both, name, "collect_claims", VISITOR, by=VISITOR)
                pools = [both.view(name, "totalAssets") for name in stablecoin_pools(both)]
                ends.append((engine.debts[c].accumulated_rate, pools))
    (once, whole), (often, parts_of_it) = ends
    if abs(once - often) > once * span // RAY + 4 or whole != parts_of_it:
        raise Violation(f"type {c}: {ends} after {span} s in one part and in some")
    return True


@counterfactual_property(49)
def what_is_split_brings_no_more(both: Both, random: Random) -> bool:
    """Assert that a deposit, a way out, a draw, a payment or a take in two parts is no better than in one.

    Without a cooldown the second part of an exit may be paid more, up to the income that the first forfeits.
    """
    found = list(_splits(both))
    if not found:
        return False
    contract, method, place, args, who = pick(random, found)
    half = args[place] // random.choice((2, 3, 1_000))
    parts = [half, args[place] - half]
    ends, forfeited = [], 0
    with both.fork_state():
        if method == "deposit":
            must(both, "Stablecoin", "approve", contract_of(both, contract).address, _EVER, by=who)
        before = _reserve(both)
        for amounts in ([args[place]], parts):
            with both.fork_state():
                for amount in amounts:
                    call = (*args[:place], amount, *args[place + 1 :])
                    if not apply(both, contract, method, *call, by=who).ok:
                        return False
                ends.append(_wealth(both, who))
                if method == "redeem":
                    forfeited = -(-(_reserve(both) - before) // RAY)
    for what, one in ends[0].items():
        unit = {"debt": 2, "Stablecoin": 1 + forfeited}.get(what, 1)
        if ends[1][what] > one + unit and all(ends[1][other] >= ends[0][other] for other in ends[0]):
            raise Violation(f"{who}'s {contract}.{method}{args} in parts {parts}: {ends}")
    return True


# ------------------------------------------------------------------ what happens


def _lose(both: Both, name: str, random: Random) -> None:
    """Have a type collapse, and its loss covered; nothing once all are retired."""
    c = pick(random, types(both))
    if c is None:
        return
    for id in collapse(both, c):
        must(both, "CollateralAuction", "close", id, by=VISITOR)
    if deficit(both, c):
        apply(both, "LossWaterfall", "cover", c, by=_SELF)


def _earn(both: Both, name: str, random: Random) -> None:
    """Give the pool some income."""
    if give(both, _SELF, 10**18):
        must(both, "Stablecoin", "approve", contract_of(both, name).address, _EVER, by=_SELF)
        apply(both, name, "add_income", random.randint(1, 10**18), by=_SELF)


def _wait(both: Both, name: str, random: Random) -> None:
    both.advance(random.choice((1, 3_600, 86_400)))


def _fidget(both: Both, name: str, random: Random) -> int:
    """Have the one of two equals do what changes nothing; return how often it was settled."""
    pool = contract_of(both, name)
    shares = pool.held(VISITOR)
    if not shares:
        return 0
    what = random.choice(("nothing", "collect", "move", "settle"))
    if what == "collect":
        apply(both, name, "collect_claims", VISITOR, by=VISITOR)
    elif what == "move":
        part = random.randint(1, shares)
        must(both, name, "transfer", _SELF, part, by=VISITOR)
        must(both, name, "transfer", VISITOR, part, by=_SELF)
    elif what == "settle":
        settle(both, name)
    return int(what != "nothing")


def _ends(both: Both, name: str, who: str) -> tuple[int, int, int]:
    """Return what somebody gets out of a pool, who is alone in leaving it: assets, claims, cash."""
    claims = both.model.world.contracts.get(f"{name}.Claims")
    with both.fork_state():
        apply(both, name, "collect_claims", who, by=who)
        tokens = cash = 0
        if claims is not None:
            tokens = both.view(claims.label, "balanceOf", who)
            generation = contract_of(both, claims.label).state[()].generation
            cash = both.view(claims.label, "cash_of", who, generation)
        batch = ask_to_leave(both, name, who)
        settle(both, name)
        return _out(both, name, who, batch), tokens, cash


def _out(both: Both, name: str, who: str, batch: int) -> int:
    """Have somebody leave with all that may; return what came of it [wei]."""
    if batch:
        return claim(both, name, who, batch)
    shares = both.view(name, "maxRedeem", who)
    outcome = apply(both, name, "redeem", shares, who, who, by=who)
    return int(outcome.value) if outcome.ok else 0


# --------------------------------------------------------------- what one may do

_Call = tuple[str, str, tuple[Any, ...], str]


def _ways_out(both: Both) -> list[_Call]:
    """Return calls by which people take out what is theirs."""
    engine, found = contract_of(both, "VaultEngine"), list[_Call]()
    strangers = both.model.world.addresses
    if not engine.in_settlement(VISITOR):
        for (c, owner), vault in engine.vaults.items():
            if vault.locked_collateral and owner not in strangers:
                everything = c, owner, _EVER, vault.locked_collateral, owner
                found.append(("VaultEngine", "repay_and_withdraw", everything, owner))
    for name in stablecoin_pools(both):
        pool = contract_of(both, name)
        for who in pool.holders():
            if who in strangers:
                continue
            if pool.cooldown:
                found.append((name, "requestRedeem", (pool.held(who), who, who), who))
            else:
                found.append((name, "redeem", (pool.held(who), who, who), who))
    return found


def _give_something(both: Both, contract: str, who: str, random: Random) -> bool:
    """Have a stranger give a little to somebody, or to a contract; False if it is not taken."""
    amount = random.choice(_GIFTS)
    target = contract_of(both, contract).address
    if contract == "VaultEngine" or random.random() < 0.3:
        return apply(both, "Stablecoin", "transfer", target, amount, by=VISITOR).ok
    must(both, "Stablecoin", "approve", target, _EVER, by=VISITOR)
    if random.random() < 0.5:
        return apply(both, contract, "add_income", amount, by=VISITOR).ok
    return apply(both, contract, "deposit", amount, who, by=VISITOR).ok


def _splits(both: Both) -> list[tuple[str, str, int, tuple[Any, ...], str]]:
    """Return calls with an amount at some place that could be made in parts."""
    found = list[tuple[str, str, int, tuple[Any, ...], str]]()
    coins, strangers = contract_of(both, "Stablecoin").balances, both.model.world.addresses
    rich = [who for who, held in coins.items() if held > 10**18 and who not in strangers]
    engine = contract_of(both, "VaultEngine")
    for who in rich[:4]:
        for name in stablecoin_pools(both):
            found.append((name, "deposit", 0, (coins[who] // 2, who), who))
        for id, lot in contract_of(both, "CollateralAuction").lots.items():
            if lot.target:
                found.append(("CollateralAuction", "take", 1, (id, lot.lot // 3, _EVER, who, b""), who))
        for (c, owner), vault in engine.vaults.items():
            if owner == who and vault.normalized_debt:
                found.append(("VaultEngine", "repay_and_withdraw", 2, (c, who, coins[who] // 2, 0, who), who))
                found.append(("VaultEngine", "deposit_and_draw", 3, (c, who, 0, coins[who], who), who))
    for name in stablecoin_pools(both):
        pool = contract_of(both, name)
        if not pool.cooldown:
            for who in pool.holders():
                if who not in strangers:
                    found.append((name, "redeem", 0, (pool.held(who), who, who), who))
    return found


def _wealth(both: Both, who: str) -> dict[str, int]:
    """Return what somebody has of everything; less what is owed [wei, and debt in normalized units]."""
    contracts = both.model.world.contracts
    found = {
        name: int(contract_of(both, name).balances[who])
        for name, contract in contracts.items()
        if not {"erc20.balanceOf", "balanceOf"}.isdisjoint(contract.tables)
    }
    for name in stablecoin_pools(both):
        pool = contract_of(both, name)
        found[name] = pool.held(who)
    vaults = contract_of(both, "VaultEngine").vaults
    mine = [vaults[c, who] for c in types(both)]
    found["locked"] = sum(vault.locked_collateral for vault in mine)
    found["debt"] = -sum(vault.normalized_debt for vault in mine)
    return found


@counterfactual_property(101)
def a_cover_is_foreseen(both: Both, random: Random) -> bool:
    """Assert that what was to reach a stage before a cover is what it bears of it, and what reaches it yet.

    More only by what others pay that it could not count on: later ones, for what it leaves under its cap, and
    accounts of types. For every stage that has one account for all types; one that needs time bears what it
    reserves. Not where any fails or owes, or a pool lacks its role. A wei for each stage, the ray for each
    unit of debt that borrowers' part is rounded by, and what void pools leave to the reserve.
    """
    waterfall, engine = contract_of(both, "LossWaterfall"), contract_of(both, "VaultEngine")
    if both.parameters is None or waterfall.KIND != "LossWaterfall" or engine.in_settlement(VISITOR):
        return False
    c = pick(random, [each for each in types(both) if deficit(both, each)] or types(both))
    if c is None or not pools_can_pay(both):
        return False
    with both.fork_state():
        if not deficit(both, c):
            for id in collapse(both, c):
                must(both, "CollateralAuction", "close", id, by=VISITOR)
        # Debts count at the rate of their last accrual.
        for each in types(both):
            accrue(both, each)
        slots = [waterfall.stages[k] for k in waterfall.lineup[()].ids]
        stages = [slot.stage for slot in slots]
        debts = engine.debts[c].normalized_debt
        reach = [[both.view("LossWaterfall", "losses_beyond", stage) for stage in stages]]
        if any(waterfall.owed[k] for k in waterfall.lineup[()].ids):
            return False
        outcome = apply(both, "LossWaterfall", "cover", c, by=VISITOR)
        if not outcome.ok or any(log.event == "StageFailed" for log in outcome.logs):
            return False
        reach.append([both.view("LossWaterfall", "losses_beyond", stage) for stage in stages])
        paid, kept = [0] * len(stages), [0] * len(stages)
        for log in outcome.logs:
            if log.event in ("LossCovered", "LossReserved"):
                place = waterfall.lineup[()].ids.index(log.values[2])
                (paid if log.event == "LossCovered" else kept)[place] += log.values[3]
        slack = (len(stages) + 1) * (RAY + debts) + given_up(outcome) * RAY
        for place, (before, after) in enumerate(zip(*reach, strict=True)):
            if not slots[place].pooled:
                continue
            least = after + paid[place] + kept[place]
            others = (k for k, slot in enumerate(slots) if k > place or not slot.pooled)
            most = least + sum(paid[k] for k in others)
            if not least - slack <= before <= most + slack:
                raise Violation(
                    f"{before} rad were to reach stage {place}; when type {c} is covered it bears "
                    f"{least - after}, others {most - least}, and {after} reach it yet"
                )
    return bool(sum(paid) + sum(kept))
