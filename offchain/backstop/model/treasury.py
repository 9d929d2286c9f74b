"""Spends the reserve, in the order of income: claims, its target, insurance, pools, surplus for sale.

Nothing is spent while a loss is open. Amounts in wad.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from backstop.contract_base import (
    ZERO_ADDRESS,
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, add_uint256, div_up
from backstop.model.interfaces import (
    IERC20,
    ILossWaterfall,
    IMarginFund,
    IPool,
    IRecoveryClaims,
    IVaultEngine,
)
from backstop.model.roles import Administered


@declare_record_slot_bit_widths(64, 128)
class Plan(NamedTuple):
    """Target of the reserve [whole stablecoins], and the part of the surplus offered for sale [wad]."""

    target: int = 0
    offered: int = 0


@declare_record_slot_bit_widths(14, 64)
class InsurancePlan(NamedTuple):
    """Share of new surplus that insures the margin market, and the insurance that is enough.

    The share is in basis points, the target in whole stablecoins.
    """

    share: int = 0
    target: int = 0


class Treasury(Administered):
    """Contract that spends the protocol's income in a fixed order (model of contracts/Treasury.vy).

    The order is: recovery claims, target of the reserve, insurance, pools, surplus for sale.
    """

    KIND = "Treasury"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    loss_waterfall_address = immutable("LOSS_WATERFALL", str)
    stablecoin_address = immutable("STABLECOIN", str)
    surplus_auction = immutable("SURPLUS_AUCTION", str)
    # The margin market's; the zero address if there is none.
    fund_address = immutable("FUND", str)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        loss_waterfall: str,
        stablecoin: str,
        surplus_auction: str,
        fund: str,
        admin: str,
        claims: Sequence[str],
        pools: Sequence[str],
    ) -> None:
        super().__init__(world, name, address, admin)
        require(len(claims) <= bounds.MAX_RECIPIENTS, "")
        require(len(pools) <= bounds.MAX_RECIPIENTS, "")
        self.vault_engine_address = vault_engine
        self.loss_waterfall_address = loss_waterfall
        self.stablecoin_address = stablecoin
        self.surplus_auction = surplus_auction
        self.fund_address = fund
        self.claim_addresses = tuple(claims)
        self.pool_addresses = tuple(pools)
        self.plan = self.table("plan", Plan())
        self.shares = self.table("shares")
        self.insuring = self.table("insuring", InsurancePlan())

    @property
    def vault_engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @property
    def waterfall(self) -> ILossWaterfall:
        return cast(ILossWaterfall, self.world.at(self.loss_waterfall_address))

    @external
    def distribute(self, sender: str) -> int:
        """Spend the reserve that cannot be lost any more, and return the amount spent [wad].

        First it repays recovery claims. The surplus above the target then goes to insurance and the pools;
        the rest is offered for sale.
        """
        spent, doubt = 0, self._doubt_at_payment()
        for address in self.claim_addresses:
            claims = cast(IRecoveryClaims, self.world.at(address))
            due = claims.repayable(self.address, self._compute_free_reserve(doubt))
            if due != 0:
                self._draw_and_approve_reserve(due, address)
                claims.repay(self.address, due)
                spent += due
                self.emit("ClaimsRepaid", address, due)

        plan: Plan = self.plan[()]
        # What is only in doubt is offered still: nobody turns it into income of the pools by a flag.
        offered = min(plan.offered, self._compute_surplus(0))
        fresh = max(0, self._compute_surplus(doubt) - offered)
        insured = self._add_insurance(fresh)
        fresh -= insured
        shared = 0
        for i, address in enumerate(self.pool_addresses):
            pool = cast(IPool, self.world.at(address))
            amount = fresh * self.shares[i] // BASIS_POINTS
            if amount != 0 and pool.totalSupply(self.address) != 0:
                self._draw_and_approve_reserve(amount, address)
                pool.add_income(self.address, amount)
                shared += amount
                self.emit("IncomeShared", address, amount)
        self.plan[()] = plan._replace(offered=offered + fresh - shared)
        self.emit("SurplusOffered", fresh - shared, offered + fresh - shared)
        return spent + insured + shared

    @external
    def sell(self, sender: str, amount: int, receiver: str) -> None:
        """Transfer surplus offered for sale to a receiver [wad]; only the surplus auction may call."""
        require(sender == self.surplus_auction, "treasury: not surplus auction")
        doubt = self._doubt_at_payment()
        plan: Plan = self.plan[()]
        require(amount <= min(plan.offered, self._compute_surplus(doubt)), "treasury: not for sale")
        self.plan[()] = plan._replace(offered=plan.offered - amount)
        self.emit("SurplusSold", receiver, amount)
        self.vault_engine.spend_reserve(self.address, amount, receiver)

    @external
    def set_target(self, sender: str, new: int) -> None:
        """Set how much stablecoin the reserve keeps [whole stablecoins]; only the admin may call."""
        self._only_admin(sender)
        require(new <= bounds.MAX_GLOBAL_DEBT_CEILING, "treasury: target bounds")
        self.plan[()] = self.plan[()]._replace(target=new)
        self.emit("TargetSet", new)

    @external
    def set_shares(self, sender: str, shares: Sequence[int]) -> None:
        """Set each pool's share of new surplus [basis points]; the rest is offered for sale.

        Only the admin may call.
        """
        require(len(shares) <= bounds.MAX_RECIPIENTS, "")
        self._only_admin(sender)
        require(len(shares) == len(self.pool_addresses), "treasury: a share for each pool")
        total = 0
        for i, share in enumerate(shares):
            total = add_uint256(total, share)
            self.shares[i] = share
        require(total <= BASIS_POINTS, "treasury: shares above the whole")
        self.emit("SharesSet", tuple(shares))

    @external
    def set_insurance(self, sender: str, share: int, target: int) -> None:
        """Set the share of new surplus that insures the margin market [basis points], and its target.

        No more is added once insurance has reached `target` [whole stablecoins]. Only the admin may call.
        """
        self._only_admin(sender)
        require(share <= BASIS_POINTS, "treasury: insured share bounds")
        require(target <= bounds.MAX_GLOBAL_DEBT_CEILING, "treasury: insurance bounds")
        self.insuring[()] = InsurancePlan(share, target)
        self.emit("InsuranceSet", share, target)

    @view
    def for_sale(self, sender: str) -> int:
        """Return the surplus that can be sold now [wad], after the reserve's pending and possible losses."""
        doubt = div_up(self.waterfall.debt_at_risk_total(self.address), RAY)
        return min(int(self.plan[()].offered), self._compute_surplus(doubt))

    @view
    def target(self, sender: str) -> int:
        """Return how much stablecoin the reserve keeps [whole stablecoins]."""
        return int(self.plan[()].target)

    @view
    def claims(self, sender: str) -> tuple[str, ...]:
        """Return the addresses of the recovery claims, the most senior first."""
        return self.claim_addresses

    @view
    def pools(self, sender: str) -> tuple[str, ...]:
        """Return the addresses of the pools that may share income."""
        return self.pool_addresses

    @view
    def share_of(self, sender: str, index: int) -> int:
        """Return the share of new surplus of the pool at an index [basis points]."""
        return int(self.shares[index])

    @view
    def insurance_plan(self, sender: str) -> InsurancePlan:
        """Return share and target of the margin market's insurance."""
        return cast(InsurancePlan, self.insuring[()])

    def _doubt_at_payment(self) -> int:
        """Return the debt that may still become a loss [wad], rounded up.

        Raises RevertError while a loss is open, or shortly after a large price drop, until unsafe vaults can
        be flagged.
        """
        return div_up(self.waterfall.debt_at_risk_at_payment(self.address), RAY)

    def _compute_free_reserve(self, doubt: int) -> int:
        """Return how much the reserve exceeds possible losses of `doubt` [wad], rounded down."""
        return max(0, self.vault_engine.reserve(self.address) // RAY - doubt)

    def _compute_surplus(self, doubt: int) -> int:
        """Return how much the reserve exceeds its target and possible losses [wad], rounded down."""
        plan: Plan = self.plan[()]
        return max(0, self._compute_free_reserve(doubt) - plan.target * WAD)

    def _add_insurance(self, fresh: int) -> int:
        """Pay a share of new surplus into the margin market's insurance, up to its target.

        Return the amount paid [wad].
        """
        if self.fund_address == ZERO_ADDRESS:
            return 0
        share, target = self.insuring[()]
        most = fresh * share // BASIS_POINTS
        if most == 0:
            return 0
        fund = cast(IMarginFund, self.world.at(self.fund_address))
        amount = min(most, max(0, target * WAD - fund.insurance_of(self.address).amount))
        if amount != 0:
            self._draw_and_approve_reserve(amount, self.fund_address)
            fund.insure(self.address, amount)
            self.emit("FundInsured", self.fund_address, amount)
        return int(amount)

    def _draw_and_approve_reserve(self, amount: int, spender: str) -> None:
        """Withdraw stablecoin from the reserve [wad] and approve the spender to transfer it."""
        self.vault_engine.spend_reserve(self.address, amount, self.address)
        stablecoin = cast(IERC20, self.world.at(self.stablecoin_address))
        stablecoin.approve(self.address, spender, amount)
