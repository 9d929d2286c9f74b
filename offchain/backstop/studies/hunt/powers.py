"""What a call may do to whom: everything else that it does is a story of the alarm *books*.

A role and a sign: "named -" is somebody in the call's arguments who ends with less. Roles are the caller, who
is named, the owner of what is sold, other people, and the parts of the house; "it" is the contract itself.
"""

from __future__ import annotations

CALLER, NAMED, OWNER, OTHER, IT = "caller", "named", "owner", "other", "it"
POOL, CLAIMS, DOMAIN, INCOME = "a pool", "claims", "a domain", "income"
LEDGER, LOTS, WORKOUTS, FUND, MARKET = "the ledger", "auctions", "workouts", "MarginFund", "PerpetualMarket"

# Somebody gives of his own to whom he names; what loses have brought members is handed out on the way.
_GIFT = ("caller -", "named +", "claims -")
# On an allowance, or as an operator, what somebody else has.
_ON_BEHALF = ("caller +", "other +")
_GIVEN_BACK = ("income -", "the ledger +")
_BY_LOSSES = (
    "income -",
    "caller -",
    "named -",
    "other -",
    "a pool -",
    "the ledger +",
    "StakeAuction +",
    "it -",
)
_INSURED = ("MarginFund +", "MarginFund -")
_SOLD = ("owner +", "owner -", "auctions +", "auctions -", "the ledger +", "caller +", "caller -", "named +")
_EQUITY_SOLD = ("a pool +", "caller +", "caller -", "named +", "other +", "it -", "the ledger +")

MAY: dict[str, tuple[str, ...]] = {
    "nobody.time": (
        *("other +", "other -", "income -", "a pool +", "the ledger +", "a domain -"),
        *("PerpetualMarket +", "PerpetualMarket -"),
    ),
    "Pool.deposit": _GIFT,
    "Pool.mint": _GIFT,
    "Pool.requestRedeem": (*_GIFT, *_ON_BEHALF),
    # Who leaves gives back what has not vested.
    "Pool.cut": _GIVEN_BACK,
    "Pool.redeem": (*_GIFT, *_ON_BEHALF, *_GIVEN_BACK, "it +"),
    "Pool.withdraw": (*_GIFT, *_ON_BEHALF, *_GIVEN_BACK, "it +"),
    "Pool.transfer": _GIFT,
    "Pool.transferFrom": (*_GIFT, *_ON_BEHALF),
    "Pool.collect_claims": ("claims -", "named +", "caller +"),
    "Pool.add_income": ("caller -", "income +"),
    "StakedEquity.deposit": (*_GIFT, "other +", "it +"),
    "StakedEquity.mint": (*_GIFT, "other +", "it +"),
    "Claims.repay": ("caller -", "it +", "other +"),
    "Claims.convert": ("caller +", "named +"),
    "Stablecoin.transfer": _GIFT,
    "Stablecoin.transferFrom": (*_GIFT, *_ON_BEHALF),
    "Equity.transfer": _GIFT,
    "Equity.transferFrom": (*_GIFT, *_ON_BEHALF),
    "Equity.burn": ("caller -",),
    "VaultEngine.deposit_and_draw": (*_GIFT, "caller +", "the ledger +"),
    "VaultEngine.repay_and_withdraw": (*_GIFT, "caller +", "a domain +"),
    "VaultEngine.give_to_reserve": ("caller -", "the ledger +"),
    "LiquidationEngine.liquidate": (
        *("named +", "named -", "caller +", "caller -", "auctions +", "auctions -", "the ledger -"),
    ),
    "CollateralAuction.take": (*_SOLD, "the ledger -"),
    "CollateralAuction.reset": ("caller +", "named +", "the ledger -"),
    "CollateralAuction.close": ("auctions +", "the ledger -", "the ledger +"),
    "CollateralAuction.unwind": (*_SOLD, "the ledger -"),
    "CollateralAuction.sell_salvage": ("auctions +", "the ledger -"),
    "LossWaterfall.cover": _BY_LOSSES,
    "LossWaterfall.make_good": _BY_LOSSES,
    "Settlement.cover_last": _BY_LOSSES,
    "Settlement.skim": ("named +", "the ledger +", "the ledger -", "a domain +"),
    "Domain.draw": ("it -", "caller +", "named +"),
    "Domain.repay": ("it +", "caller -"),
    "Domain.realise_loss": ("it +", "the ledger -"),
    "Domain.recover": ("caller -", "the ledger +"),
    "Domain.redeem": ("it -", "caller +", "named +"),
    "MarginOrders.fill": ("owner +", "owner -", "PerpetualMarket +"),
    "PerpetualMarket.deposit": _GIFT,
    "PerpetualMarket.withdraw": (*_GIFT, "it +"),
    # What is booked is the haircuts of others and in the books of the house; once it was paid in it is less.
    "PerpetualMarket.meet": ("other -", "other +", "named -", "caller +", "caller -", "it +", "it -"),
    "PerpetualMarket.meet_all": ("other -", "other +", "named -", "caller +", "caller -", "it +", "it -"),
    # Insurance pays for haircuts; what is late, for the house; what was booked is given.
    "PerpetualMarket.roll": ("other +", "other -", "caller +", "caller -", "it +", "it -", *_INSURED),
    "PerpetualMarket.sweep": ("it -", *_INSURED),
    "PerpetualMarket.post_shortfall": ("it +", "a domain -", "the ledger -"),
    "PerpetualMarket.end_market": ("other +", "other -", "caller +", "caller -", "it +", "it -"),
    "PerpetualDesk.take": ("caller -", "caller +", "it -", "PerpetualMarket +"),
    "PerpetualBackstop.deposit": _GIFT,
    "PerpetualBackstop.mint": _GIFT,
    "PerpetualBackstop.requestRedeem": (*_GIFT, *_ON_BEHALF),
    "PerpetualBackstop.transfer": _GIFT,
    "PerpetualBackstop.transferFrom": (*_GIFT, *_ON_BEHALF),
    "PerpetualCloser.execute": ("it -", "other +", "caller +", "PerpetualMarket -", "PerpetualMarket +"),
    "PerpetualCloser.share": ("it -", "caller +", "PerpetualMarket -", "PerpetualMarket +"),
    "PerpetualDesk.liquidate": ("caller +", "named -", "PerpetualMarket +"),
    "MarginFund.insure": ("caller -", "it +"),
    "Treasury.distribute": ("the ledger -", "income +", "claims +", "other +", "caller +", "MarginFund +"),
    "SurplusAuction.start": ("the ledger -", "it +"),
    "SurplusAuction.take": ("caller +", "caller -", "named +", "the ledger -", "it -"),
    "StakeAuction.take": _EQUITY_SOLD,
    "MintAuction.take": _EQUITY_SOLD,
    "StakeAuction.end": ("a pool +", "it -", "other +", "caller +", "named +"),
    "Workouts.enter": ("named -", "caller -", "workouts +", "workouts -", "named +", "caller +"),
    "Workouts.pay": ("caller -", "owner +", "workouts -", "workouts +", "the ledger +"),
    "Workouts.top_up": ("caller -", "owner +", "workouts +"),
    "Workouts.foreclose": (*_SOLD, "workouts +", "workouts -", "the ledger -"),
    "Workouts.unwind": (*_SOLD, "workouts +", "workouts -", "the ledger -"),
}
"""Calls that move money, and what they may do."""
