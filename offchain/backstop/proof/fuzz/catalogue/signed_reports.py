"""Reports that reporters have signed, brought by anybody: fresh, late, twice, in any order, and false."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.devnet_signing import sign_report
from backstop.deployment.role_accounts import ACCOUNTS
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.signed_reports import SignedReport
from backstop.proof.fuzz.catalogue.prices import draw_span
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action

_KEYS = frozenset(ACCOUNTS.values())


def _signed(s: Scene, reporter: str, c: int, price: int) -> SignedReport:
    """Sign a price: mostly of the last minutes, now and then of the future, or for another feed or market."""
    at = s.now - s.some((0, 0, 1, 30, bounds.MAX_SIGNED_AGE, bounds.MAX_SIGNED_AGE + 1))
    wrong = s.random.randrange(60)
    feed = s.world.contracts["VaultEngine" if wrong == 0 else "PriceFeed"].address
    chain_id = s.world.chain_id + (wrong == 1)
    span = draw_span(s, price)._replace(since=at - s.some((0, 1, 60, bounds.MAX_MARK_AGE, -1)))
    if wrong == 6:
        span = s.some((span._replace(low=price + 1), span._replace(high=16 * price + 1)))
    report = sign_report(reporter, c, price, at + 60 * (wrong == 2), chain_id, feed, span)
    if wrong == 3:
        return report._replace(market=c + 1)
    if wrong == 4:
        return report._replace(signature=report.signature[: s.some((0, 64))])
    if wrong == 5:
        return report._replace(signature=report.signature[:64] + bytes([s.some((0, 29))]))
    return report


@move(weight=0.3)
def bring_reports(s: Scene) -> Iterator[Action | Wait]:
    """Bring what some reporters of a market have signed, and some of it again; step the feed."""
    c = s.market()
    config = s.feed.configs[c]
    signers = [s.feed.reporters[c, index] for index in range(1, config.reporters + 1)]
    signers = [reporter for reporter in signers if reporter in _KEYS]
    if not signers:
        return
    if s.chance(0.5):
        yield Wait(max(0, s.feed.averages[c].stepped_at + config.step - s.now))
    price = max(1, s.published(c)) * s.random.randint(9_500, 10_500) // BASIS_POINTS
    price = min(max(price, 1), bounds.MAX_PRICE)
    chosen = s.random.sample(signers, s.random.randint(1, len(signers)))
    if s.chance(0.02):
        chosen.append(s.guardian)
    reports = [_signed(s, reporter, c, price) for reporter in chosen]
    yield s.call("PriceFeed", "bring", tuple(reports), by=s.somebody())
    if s.chance(0.3):
        again = [*reports, _signed(s, s.some(signers), c, price)]
        s.random.shuffle(again)
        yield s.call("PriceFeed", "bring", tuple(again[: bounds.MAX_REPORTERS]), by=s.somebody())
    yield s.call("PriceFeed", "poke", c, by=s.somebody())
