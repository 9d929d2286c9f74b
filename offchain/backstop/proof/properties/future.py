"""Steps of a future, played on both sides, and readings of the present state for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, cast

from backstop.deployment.contract_names import STABLECOIN_POOLS
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD, div_up
from backstop.model.bounds import MAX_DEBT_CEILING, MAX_GLOBAL_DEBT_CEILING, MIN_FLOW_WINDOW
from backstop.model.interfaces import CAUTION, EMERGENCY
from backstop.model.listing import ids_of
from backstop.model.roles import GUARDIAN, STAGE
from backstop.proof.properties.both import Both
from backstop.proof.properties.registry import Violation
from backstop.system import Action, Outcome

if TYPE_CHECKING:
    from backstop.model.circuit_breaker import CircuitBreaker
    from backstop.model.domain import Domain
    from backstop.model.risk_policy import RiskPolicy
    from backstop.model.workouts import Workouts


VISITOR = get_account("visitor")
YEAR = 365 * 86_400


def break_the_feed(both: Both, c: int, random: Random) -> None:
    """Let time pass; at times make the price leap, or come back, or halt the market."""
    feed = contract_of(both, "PriceFeed")
    admin, config = feed.admins[()], feed.configs[c]
    both.advance(random.choice((0, 1, 86_400, YEAR)))
    if config.reporters == 0:
        return
    if random.random() < 0.5:
        guards = random.choice((1, 10_000)), 3, random.choice((1, 604_800)), random.choice((0, 1, 86_400))
        outcome = apply(both, "PriceFeed", "set_guards", c, *guards, by=admin)
        # Guards stay as they are while a final price is made, which property 148 bounds.
        if not outcome.ok and outcome.reason != "price_feed: is closing":
            raise Violation(f"PriceFeed.set_guards{(c, *guards)} fails: {outcome.reason!r}")
        report(both, c, 1 + feed.prices[c].current // random.choice((1, 2, 100)))
    if random.random() < 0.5:
        must(both, "PriceFeed", "set_halted", c, True, by=admin)


def accrue(both: Both, c: int) -> None:
    """Charge a type's fee up to now."""
    must(both, "VaultEngine", "accrue", c, by=VISITOR)


def raise_mode(both: Both, random: Random) -> None:
    """Raise the mode to one that a guardian may name, where there are modes and guardians."""
    breaker = cast("CircuitBreaker | None", both.model.world.contracts.get("CircuitBreaker"))
    if breaker is None:
        return
    mode, now = random.choice((CAUTION, EMERGENCY)), breaker.states[()].mode
    guardians = [who for (role, who), held in breaker.roles.items() if role == GUARDIAN and held]
    if guardians and mode > now:
        must(both, "CircuitBreaker", "raise_to", mode, by=guardians[0])


def calm_down(both: Both) -> None:
    """Lower the mode to normal, where there are modes: the admin turns all triggers off for it."""
    breaker = cast("CircuitBreaker | None", both.model.world.contracts.get("CircuitBreaker"))
    if breaker is None or not 0 < both.view("CircuitBreaker", "mode") <= EMERGENCY:
        return
    must(both, "CircuitBreaker", "set_triggers", *([(0, 0)] * 4), by=breaker.admins[()])
    for _ in range(breaker.states[()].mode):
        both.advance(breaker.states[()].calm_period)
        must(both, "CircuitBreaker", "calm", by=VISITOR)


def announce_loss(both: Both, c: int, random: Random) -> Domain | None:
    """Announce a loss of a type's domain and wait for its delay; None without a domain, or a debt."""
    domain = issuer(both, c)
    if domain is None:
        return None
    engine = contract_of(both, "VaultEngine")
    debt = engine.vaults[c, domain.address].normalized_debt * engine.debts[c].accumulated_rate
    if debt < RAD:
        return None
    loss = random.choice((1, random.randint(1, debt // RAY), div_up(debt, RAY), debt))
    must(both, domain.label, "announce_loss", min(loss, 2**128 - 1), by=domain.admins[()])
    both.advance(domain.delay)
    return domain


def collapse(both: Both, c: int) -> list[int]:
    """Let a type's price fall to nothing and liquidate its vaults; return the auctions that can be closed."""
    engine, auction = contract_of(both, "VaultEngine"), contract_of(both, "CollateralAuction")
    if not report(both, c, 1):
        return []
    for at, owner in [key for key, vault in engine.vaults.items() if vault.normalized_debt]:
        if at == c:
            apply(both, "LiquidationEngine", "liquidate", c, owner, VISITOR, by=VISITOR)
    for id in open_workouts(both):
        apply(both, "Workouts", "foreclose", id, VISITOR, by=VISITOR)
    both.advance(auction.terms[c].tail + auction.block_time + 1)
    # A close needs a fresh price, and the time-weighted one has to follow.
    for _ in range(3):
        both.advance(contract_of(both, "PriceFeed").configs[c].window)
        if not report(both, c, 1):
            return []
    lots = [id for id, lot in auction.lots.items() if lot.target and lot.collateral_type == c]
    return [id for id in lots if both.model.dry_run(Action("CollateralAuction", "close", (id,), VISITOR)).ok]


def borrow(both: Both, c: int, amount: int) -> bool:
    """Return whether the visitor has drawn stablecoin [wad] on a type, at four times its margin.

    The admin lifts modes, ceilings and limits for it, and reporters repeat the price. Not where
    a halt or the token stands against it.
    """
    engine, contracts = contract_of(both, "VaultEngine"), both.model.world.contracts
    admin, terms, price = engine.admins[()], engine.terms[c], contract_of(both, "PriceFeed").prices[c].current
    if token_of(both, c).KIND not in ("Token", "SilentToken") or terms.settling:
        return False
    calm_down(both)
    if not price or not report(both, c, price):
        return False
    for setter, most in (("debt_ceiling", MAX_DEBT_CEILING), ("auction_limit", MAX_DEBT_CEILING)):
        must(both, "VaultEngine", f"set_{setter}", c, most, by=admin)
    for setter in ("global_debt_ceiling", "global_auction_limit"):
        must(both, "VaultEngine", f"set_{setter}", MAX_GLOBAL_DEBT_CEILING, by=admin)
    asked = terms.initial_ratio
    if policy := cast("RiskPolicy | None", contracts.get("RiskPolicy")):
        guard = policy.admins[()]
        must(both, "RiskPolicy", "set_flow_limit", c, MAX_DEBT_CEILING, MIN_FLOW_WINDOW, by=guard)
        must(both, "RiskPolicy", "set_growth_cap", c, 0, 0, by=guard)
        asked += policy.modes[()].caution_margin + sum(policy.terms[c][1:8:2])
    drawn = max(amount, terms.debt_floor * WAD + 1)
    raw = -(-4 * drawn * RAY * asked // (price * BASIS_POINTS * terms.unit))
    if raw * terms.unit >= 2**100:
        return False
    token = token_of(both, c).label
    must(both, token, "mint", VISITOR, raw, by=VISITOR)
    must(both, token, "approve", engine.address, raw, by=VISITOR)
    call = "deposit_and_draw", c, VISITOR, raw * terms.unit, drawn, VISITOR
    return apply(both, "VaultEngine", *call, by=VISITOR).ok


def lose(both: Both, random: Random, amount: int, before: Callable[[], None] = lambda: None) -> int | None:
    """Return a type that has a deficit, of a debt of so much [wad] drawn for it; None if no type takes one.

    The price falls to nothing. `before` is played between the draw and the fall.
    """
    for c in random.sample(types(both), len(types(both))):
        if not borrow(both, c, amount):
            continue
        before()
        auction = contract_of(both, "CollateralAuction")
        if auction.terms[c].stop:
            must(both, "CollateralAuction", "set_stop", c, 0, by=auction.admins[()])
        for id in collapse(both, c):
            apply(both, "CollateralAuction", "close", id, by=VISITOR)
        if deficit(both, c):
            return c
    return None


def give(both: Both, who: str, amount: int, token: str = "Stablecoin") -> bool:
    """Collect a token from people until somebody has so much; False if they have not enough."""
    balances = contract_of(both, token).balances
    for holder, held in sorted(balances.items()):
        missing = amount - balances[who]
        if missing <= 0:
            break
        if holder != who and held and holder not in both.model.world.addresses:
            must(both, token, "transfer", who, min(held, missing), by=holder)
    return bool(balances[who] >= amount)


def report(both: Both, c: int, price: int) -> bool:
    """Report a price by all reporters until it is the current and the next one; False if it is not."""
    feed = contract_of(both, "PriceFeed")
    config = feed.configs[c]
    for _ in range(2 + (config.confirmations if config.deviation else 0)):
        both.advance(max(0, feed.averages[c].stepped_at + config.step - both.timestamp))
        for reporter in feed.reporters_of(VISITOR, c):
            if reporter in both.model.world.addresses:
                continue  # an adapter: the others are enough
            if not apply(both, "PriceFeed", "report", c, price, by=reporter).ok:
                return False
        if not apply(both, "PriceFeed", "poke", c, by=VISITOR).ok:
            return False
    return bool(feed.prices[c].current == price)


# ------------------------------------------------------------ the present state


def contract_of(both: Both, name: str) -> Any:
    return both.model.world.contracts[name]


def types(both: Both) -> list[int]:
    return ids_of(contract_of(both, "VaultEngine").listing[()])


def issuer(both: Both, c: int) -> Domain | None:
    """Return the domain that a type is, if it is one."""
    found = both.model.world.addresses.get(contract_of(both, "PriceFeed").issuers[c])
    return cast("Domain", found) if found is not None and found.KIND == "Domain" else None


def token_of(both: Both, c: int) -> Any:
    return both.model.world.addresses[contract_of(both, "VaultEngine").terms[c].token]


def deficit(both: Both, c: int) -> int:
    return int(contract_of(both, "VaultEngine").deficit[c])


def payer_names(both: Both) -> list[str]:
    """Name who pays at once: the buffer, the reserve, the pools with their unvested income, borrowers."""
    return ["buffer", "reserve", *stablecoin_pools(both), "borrowers"]


def payers(both: Both, c: int) -> list[int]:
    """Return what each of them has; borrowers lose what their debt grows by [rad]."""
    engine = contract_of(both, "VaultEngine")
    return [
        engine.income[c].buffer,
        engine.system[()].reserve,
        *(contract_of(both, name).assets[()].booked * RAY for name in stablecoin_pools(both)),
        -engine.debts[c].performing,
    ]


def stablecoin_pools(both: Both) -> list[str]:
    """Name the pools of stablecoin."""
    return [name for name in STABLECOIN_POOLS if name in both.model.world.contracts]


def all_pools(both: Both) -> list[str]:
    staked = ["StakedEquity"] if "StakedEquity" in both.model.world.contracts else []
    return [*stablecoin_pools(both), *staked]


def pools_can_pay(both: Both) -> bool:
    """Return whether no pool lacks its role: the clawback names what it cannot take of one that does."""
    pools = [contract_of(both, name).address for name in stablecoin_pools(both)]
    return all(both.view("VaultEngine", "has_role", STAGE, pool) for pool in pools)


def given_up(outcome: Outcome) -> int:
    """Return what pools that lost all in a call gave up, mostly to the reserve [wei]."""
    return sum(log.values[2] for log in outcome.logs if log.event == "NewGeneration")


def open_workouts(both: Both) -> list[int]:
    """Return the ids of workouts that have something left to pay."""
    workouts = cast("Workouts | None", both.model.world.contracts.get("Workouts"))
    return [] if workouts is None else [id for id, each in workouts.balances.items() if each.left]


def pick(random: Random, choices: Sequence[Any] | Iterator[Any]) -> Any:
    """Choose one of them; None of none."""
    found = list(choices)
    return random.choice(found) if found else None


def apply(both: Both, contract: str, method: str, *args: Any, by: str) -> Outcome:
    return both.apply(Action(contract, method, args, by))


def must(both: Both, contract: str, method: str, *args: Any, by: str) -> Any:
    """Take a step on the way that cannot fail; what it answers."""
    outcome = apply(both, contract, method, *args, by=by)
    if not outcome.ok:
        raise Violation(f"{contract}.{method}{args} from {by} fails: {outcome.reason!r}")
    return outcome.value


def ask_to_leave(both: Both, name: str, *members: str) -> int:
    """Have members commit all shares, cut the batch, let its cooldown pass; 0 where there is none."""
    pool = contract_of(both, name)
    if not pool.cooldown:
        return 0
    for who in members:
        if pool.held(who):
            must(both, name, "requestRedeem", pool.held(who), who, who, by=who)
    settle(both, name)
    batch = int(pool.line[()].collecting)
    if not pool.batches[batch].units:
        return batch
    both.advance(max(0, pool.cut_from() - both.timestamp))
    if apply(both, name, "cut", by=VISITOR).ok:
        both.advance(pool.matures_at(batch) - both.timestamp)
    return batch


def claim(both: Both, name: str, who: str, batch: int) -> int:
    """Have somebody claim all that a batch was paid, after what older ones were; what came of it [wei]."""
    got = 0
    for id in [id for id in contract_of(both, name).requests_of(who) if id <= batch]:
        shares = both.view(name, "claimableRedeemRequest", id, who)
        assets = must(both, name, "redeem", shares, who, who, by=who)
        got = int(assets) if id == batch else 0
    return got


def settle(both: Both, name: str) -> None:
    """Have the batches of a pool paid, as far as they may be."""
    apply(both, name, "settle", by=VISITOR)
