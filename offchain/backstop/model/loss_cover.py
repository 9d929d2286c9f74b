"""Payment of losses, and spending of the reserve. Figures in rad."""

from __future__ import annotations

from typing import Any

from backstop.contract_base import World, external, immutable, require, view
from backstop.model.arithmetic import RAY, div_up, mul_uint256, sub
from backstop.model.interfaces import Debts
from backstop.model.ledger import _compute_max_redistribution_rate_rise
from backstop.model.roles import STAGE
from backstop.model.terms import Governed


class Coverage(Governed):
    """Part of the vault engine by which stages pay losses and the treasury spends the reserve.

    Model of contracts/modules/loss_cover.vy.
    """

    # Spends the reserve, in the order of income.
    treasury = immutable("TREASURY", str)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        stablecoin: str,
        loss_waterfall: str,
        collateral_auction: str,
        risk_policy: str,
        treasury: str,
        admin: str,
        *others: Any,
    ) -> None:
        super().__init__(
            world,
            name,
            address,
            stablecoin,
            loss_waterfall,
            collateral_auction,
            risk_policy,
            admin,
            *others,
        )
        self.treasury = treasury

    @external
    def cover_from_buffer(self, sender: str, collateral_type: int, amount: int) -> None:
        """Cover a type's deficit [rad] from its first-loss buffer.

        Only a stage of the loss waterfall may call this. Reverts if the amount exceeds the buffer or the
        deficit.
        """
        self._only_stage(sender)
        self._subtract_from_buffer(collateral_type, amount)
        self._post_cover(collateral_type, amount)

    @external
    def cover_from_reserve(self, sender: str, collateral_type: int, amount: int) -> None:
        """Cover a type's deficit [rad] from the reserve.

        Only a stage of the loss waterfall may call this. Reverts if the amount exceeds the reserve or the
        deficit.
        """
        self._only_stage(sender)
        self._post_from_reserve(amount)
        self._post_cover(collateral_type, amount)

    @external
    def cover_from_tokens(self, sender: str, collateral_type: int, payer: str, amount: int) -> int:
        """Cover a type's deficit by burning the payer's stablecoin, and return the amount covered [rad].

        The amount [rad] is rounded up to whole wei. A surplus over the deficit goes to the reserve. A payer
        other than the calling stage must have approved the stage.
        """
        self._only_stage(sender)
        return self._cover_from_tokens(collateral_type, payer, sender, amount)

    @external
    def cover_from_buyer(self, sender: str, collateral_type: int, payer: str, stage: str, amount: int) -> int:
        """Cover a type's deficit by burning a buyer's stablecoin, and return the amount covered [rad].

        The stage has reserved this part of the deficit, and sold assets to the buyer. Only the loss waterfall
        may call this.
        """
        require(sender == self.loss_waterfall_address, "loss_cover: only waterfall")
        return self._cover_from_tokens(collateral_type, payer, stage, amount)

    @external
    def cover_by_redistribution(self, sender: str, collateral_type: int, amount: int) -> int:
        """Cover a deficit by raising all debts of the type pro rata, and return the amount covered [rad].

        The result is rounded down. Only a stage of the waterfall may call this.
        """
        self._only_stage(sender)
        terms = self._load_terms(collateral_type)
        self._check_not(terms.settling)
        more = self._get_steepest(collateral_type)
        return self._post_redistribution(
            collateral_type, amount, terms.initial_ratio + more, terms.liquidation_ratio + more
        )

    @external
    def give_to_reserve(self, sender: str, amount: int) -> None:
        """Burn a stage's own stablecoin [wad], and add its value to the reserve."""
        self._only_stage(sender)
        self._add_to_reserve(mul_uint256(amount, RAY))
        self._burn_stablecoin(sender, amount)

    @external
    def spend_reserve(self, sender: str, amount: int, receiver: str) -> None:
        """Mint stablecoin [wad] to the receiver at the cost of the reserve.

        Only the treasury may call this. Reverts in settlement.
        """
        require(sender == self.treasury, "loss_cover: only treasury")
        self._check_live()
        self._pay_receiver_from_reserve(receiver, amount)

    # ------------------------------------------------------------------- views

    @view
    def deficit_when_idle(self, sender: str, collateral_type: int) -> int:
        """Return a type's deficit, the recognised and uncovered loss [rad].

        The contract reverts if another call of it is running; the model does not.
        """
        return int(self.deficit[collateral_type])

    @view
    def redistribution_room(self, sender: str, collateral_type: int) -> int:
        """Return the loss that a type's borrowers can still bear in this epoch [rad].

        The result uses the accumulated rate of the last accrual.
        """
        debts: Debts = self.debts[collateral_type]
        terms = self._load_terms(collateral_type)
        if debts.normalized_debt == 0 or terms.settling:
            return 0
        more = self._get_steepest(collateral_type)
        return debts.normalized_debt * _compute_max_redistribution_rate_rise(
            debts,
            self._compute_current_redistribution(collateral_type),
            terms.initial_ratio + more,
            terms.liquidation_ratio + more,
        )

    # ----------------------------------------------------------------- helpers

    def _only_stage(self, sender: str) -> None:
        self._check_role(sender, STAGE)

    def _cover_from_tokens(self, collateral_type: int, payer: str, stage: str, amount: int) -> int:
        burned = div_up(amount, RAY)
        covered = min(int(self.deficit[collateral_type]), amount)
        self._post_cover(collateral_type, covered)
        self._add_to_reserve(sub(mul_uint256(burned, RAY), covered))
        if payer == stage:
            self._burn_stablecoin(payer, burned)
        else:
            self.stablecoin.burn_allowed(self.address, payer, stage, burned)
        return covered
