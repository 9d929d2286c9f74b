"""Random actions on a whole deployment: meaningful ones and, as often as a user errs, invalid ones."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from offchain.model.arithmetic import MAX_UINT256, RAY, WAD
from offchain.model.state import Revert
from tests.protocol import PRICES, Protocol

PEOPLE = ("borrower", "saver", "stranger", "owner_1", "owner_2", "owner_3")
SYMBOLS = tuple(PRICES)


class Player:
    """Plays one seeded sequence; remembers how often each call succeeded, and the reasons it met."""

    def __init__(self, protocol: Protocol, seed: int) -> None:
        self.protocol = protocol
        self.random = Random(seed)
        self.prices = dict(PRICES)
        self.succeeded: dict[str, int] = {}
        self.reasons: set[str] = set()
        self.moves: list[tuple[int, Callable[[], None]]] = [
            (20, self.open_or_draw),
            (12, self.repay_or_withdraw),
            (14, self.move_price),
            (12, self.liquidate),
            (14, self.take),
            (4, self.reset_or_close),
            (4, self.cover),
            (8, self.save),
            (8, self.leave),
            (4, self.transfer),
            (3, self.administer),
            (10, self.wait),
        ]
        for who in PEOPLE:
            for symbol in SYMBOLS:
                protocol.fund(symbol, who, 10**6 * WAD)
            protocol.do("Stablecoin.approve", "Savings", MAX_UINT256, sender=who)

    def play(self, steps: int) -> None:
        """So many moves; every call is compared by lockstep, whatever comes of it."""
        weights = [weight for weight, _ in self.moves]
        for _ in range(steps):
            self.random.choices([move for _, move in self.moves], weights)[0]()

    # ------------------------------------------------------------------- moves

    def open_or_draw(self) -> None:
        c, symbol = self.some_type()
        owner = self.some(PEOPLE)
        debt = self.some((0, 2_000, 5_000, 50_000, 400_000)) * WAD + self.dust()
        ratio = self.some((90, 140, 151, 151, 155, 170, 250))
        collateral = debt * ratio // 100 * RAY // self.prices[symbol]
        sender = owner if self.random.random() < 0.95 else "stranger"
        self.call("VaultEngine.deposit_and_draw", c, owner, collateral, debt, owner, sender=sender)

    def repay_or_withdraw(self) -> None:
        c, _ = self.some_type()
        owner = self.some(PEOPLE)
        vault = self.read("VaultEngine.vault", c, owner)
        repay = self.some((0, 1, vault[1] // 3, vault[1], MAX_UINT256))
        withdraw = self.some((0, 1, vault[0] // 10, vault[0], vault[0] + 1))
        self.call("VaultEngine.repay_and_withdraw", c, owner, repay, withdraw, owner, sender=owner)

    def move_price(self) -> None:
        _, symbol = self.some_type()
        factor = self.some((35, 60, 80, 95, 100, 105, 150))
        low, high = PRICES[symbol] // 20, PRICES[symbol] * 4
        self.prices[symbol] = min(max(self.prices[symbol] * factor // 100, low), high)
        for each, price in self.prices.items():
            self.protocol.post_next(each, price)

    def liquidate(self) -> None:
        c, _ = self.some_type()
        for owner in PEOPLE:
            self.call("LiquidationEngine.liquidate", c, owner, "liquidator", sender="liquidator")

    def take(self) -> None:
        auction = self.some_auction()
        amount = self.some((0, 1, 10**10, WAD // 10, WAD, 20 * WAD, MAX_UINT256))
        limit = self.some((0, 1_500 * RAY, MAX_UINT256, MAX_UINT256))
        taker = max(PEOPLE, key=lambda who: self.read("Stablecoin.balanceOf", who))
        if self.random.random() < 0.2:
            taker = self.some(PEOPLE)
        if self.random.random() < 0.5:
            self.call("CollateralAuction.reset", auction, "liquidator", sender="stranger")
            self.protocol.advance(self.some((0, 600, 1_800, 7_000)))
        self.call("CollateralAuction.take", auction, amount, limit, taker, b"", sender=taker)

    def reset_or_close(self) -> None:
        auction = self.some_auction()
        self.call("CollateralAuction.reset", auction, "liquidator", sender="stranger")
        self.call("CollateralAuction.close", auction, sender="stranger")

    def cover(self) -> None:
        self.call("LossWaterfall.cover", self.some_type()[0], sender="stranger")

    def save(self) -> None:
        who = self.some(PEOPLE)
        held = self.read("Stablecoin.balanceOf", who)
        self.call("Savings.deposit", self.some((0, 1, held // 2, held, held + 1)), who, sender=who)

    def leave(self) -> None:
        who = self.some(PEOPLE)
        shares = self.read("Savings.balanceOf", who)
        self.call("Savings.request_redeem", self.some((0, shares // 3, shares)), sender=who)
        self.call("Savings.redeem", self.read("Savings.maxRedeem", who), who, who, sender=who)
        if self.random.random() < 0.2:
            self.call("Savings.cancel_request", sender=who)

    def transfer(self) -> None:
        token = self.some(("Stablecoin", "Savings", *SYMBOLS))
        who, to = self.some(PEOPLE), self.some((*PEOPLE, "VaultEngine", "Savings"))
        self.call(f"{token}.transfer", to, self.read(f"{token}.balanceOf", who) // 4, sender=who)

    def administer(self) -> None:
        c, _ = self.some_type()
        sender = self.some(("admin", "admin", "stranger"))
        setter, value = self.some(
            (
                ("set_stability_fee", self.some((0, 10**18, 7 * 10**19))),
                ("set_buffer_share", self.some((0, 5_000, 10_000))),
                ("set_auction_limit", self.some((1_000, 10**7))),
                ("set_debt_ceiling", self.some((10**6, 5 * 10**7, 10**9 + 1))),
            )
        )
        self.call(f"VaultEngine.{setter}", c, value, sender=sender)

    def wait(self) -> None:
        self.protocol.advance(self.some((1, 12, 600, 3_600, 90_000)))

    # ----------------------------------------------------------------- helpers

    def call(self, name: str, *args: Any, sender: str) -> None:
        try:
            self.protocol.do(name, *args, sender=sender)
            self.succeeded[name] = self.succeeded.get(name, 0) + 1
        except Revert as revert:
            self.reasons.add(revert.reason)

    def read(self, name: str, *args: Any) -> Any:
        return self.protocol.read(name, *args)

    def some(self, choices: Any) -> Any:
        return self.random.choice(choices)

    def some_type(self) -> tuple[int, str]:
        symbol = self.some(SYMBOLS)
        return self.protocol.type_of(symbol), symbol

    def some_auction(self) -> int:
        last = int(self.read("CollateralAuction.last_id"))
        return self.random.randint(max(0, last - 8), last + 1)

    def dust(self) -> int:
        return int(self.some((0, 0, 1, 123_456_789)))
