"""Vaults, ceilings, fees and the one ledger. Collateral in wad, debt in rad, prices in ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, add, div_up, mul, sub
from backstop.model.ledger import (
    DISTRESSED,
    NO_CEILING,
    Auctions,
    Balance,
    Debts,
    Income,
    Ledger,
    Redistribution,
    rate_room,
)
from backstop.model.risk_policy import NewRisk, RiskPolicy
from backstop.model.roles import CEILINGS, STAGE
from backstop.model.state import ZERO_ADDRESS, World, external, require, slot, view

if TYPE_CHECKING:
    from backstop.model.collateral_auction import CollateralAuction
    from backstop.model.erc20 import ERC20
    from backstop.model.liquidation_engine import LiquidationEngine
    from backstop.model.price_feed import PriceFeed

ALL_TYPES = MAX_UINT256
MAX_LOCKED = 2**103 - 1
DYNAMIC, SETTLING = 32, 64
"""Beside a type's decimals."""


@slot(160, 32, 20, 16, 16, 7)
class Terms(NamedTuple):
    """A collateral type's token, ceilings (whole stablecoins) and ratios (basis points)."""

    token: str = ZERO_ADDRESS
    debt_ceiling: int = 0
    debt_floor: int = 0
    liquidation_ratio: int = 0
    initial_ratio: int = 0
    decimals: int = 0  # + DYNAMIC if the fee is; + SETTLING once settlement has begun

    @property
    def unit(self) -> int:
        """One raw unit of the token, in wad."""
        return int(10 ** (18 - self.decimals % DYNAMIC))

    @property
    def settling(self) -> bool:
        """Whether settlement has begun."""
        return self.decimals >= SETTLING

    @property
    def dynamic(self) -> bool:
        """Whether the fee follows utilisation."""
        return self.decimals & DYNAMIC != 0


@slot(104, 104, 32, 1)
class Vault(NamedTuple):
    """Locked collateral and normalized debt, wad; when it was called for more margin."""

    locked_collateral: int = 0
    normalized_debt: int = 0
    called_at: int = 0
    liquidated: int = 0


class VaultState(NamedTuple):
    """All that a liquidation needs to know."""

    locked_collateral: int
    normalized_debt: int
    accumulated_rate: int
    liquidation_ratio: int
    debt_floor: int
    room: int
    unit: int
    called_at: int


class VaultEngine(Ledger):
    """See contracts/VaultEngine.vy."""

    KIND = "VaultEngine"

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        stablecoin: str,
        price_feed: str,
        liquidation_engine: str,
        collateral_auction: str,
        loss_waterfall: str,
        treasury: str,
        settlement: str,
        risk_policy: str,
        admin: str,
    ) -> None:
        super().__init__(world, name, address, stablecoin, loss_waterfall, admin)
        self.price_feed_address = price_feed
        self.liquidation_engine = liquidation_engine
        self.collateral_auction = collateral_auction
        self.treasury = treasury
        self.settlement = settlement
        self.risk_policy = risk_policy
        self.type_count = self.table("collateral_types")
        self.auction_limit = self.table("global_auction_limit")
        self.terms = self.table("terms", Terms())
        self.vaults = self.table("vaults", Vault())
        self.approvals = self.table("operators", False)

    # ------------------------------------------------------------------ vaults

    @external
    def deposit_and_draw(
        self, sender: str, collateral_type: int, owner: str, deposit: int, draw: int, receiver: str
    ) -> None:
        """Lock collateral (floored to the unit) and draw stablecoin (debt rounded up)."""
        terms = self._terms(collateral_type)
        _check_live(terms.settling)
        debts = self._post_accrual(collateral_type)
        vault: Vault = self.vaults[collateral_type, owner]

        moved = deposit // terms.unit
        if deposit != 0:
            vault = vault._replace(locked_collateral=add(vault.locked_collateral, moved * terms.unit))
            require(vault.locked_collateral <= MAX_LOCKED, "vault_engine: vault is full")

        dust = 0
        if draw != 0:
            self._check_consent(sender, owner)
            require(draw < 2**128, "vault_engine: draw too large")
            rate, distress = debts.accumulated_rate, 0
            if debts.distressed:
                distress = self._distress(collateral_type)
                # Whoever left before a redistribution and comes back in its epoch pays it as well.
                added = self._redistribution(collateral_type).added
                rate -= added
                if added == 0:
                    debts = debts._replace(distressed=debts.distressed & DISTRESSED)
            drawn = div_up(draw * RAY, rate)
            vault = vault._replace(normalized_debt=vault.normalized_debt + drawn)
            debts = debts._replace(normalized_debt=debts.normalized_debt + drawn)
            require(debts.performing + distress <= terms.debt_ceiling * RAD, "vault_engine: debt ceiling")
            debt = vault.normalized_debt * debts.accumulated_rate
            require(debt >= terms.debt_floor * RAD, "vault_engine: debt floor")
            if self.risk_policy == ZERO_ADDRESS:
                self._check_margin(collateral_type, vault.locked_collateral, debt, terms.initial_ratio)
            else:
                self._ask_policy(collateral_type, vault, terms, debts, draw, 0, -drawn)
            dust = drawn * debts.accumulated_rate - draw * RAY

        elif vault.called_at != 0:
            vault = self._answered(collateral_type, vault, debts.accumulated_rate)
        self.debts[collateral_type] = debts
        self._store_vault(collateral_type, owner, vault)

        if moved != 0:
            self._pull(terms.token, sender, moved)
        if draw != 0:
            supply = self.stablecoin.mint(self.address, receiver, draw)
            # The global ceiling: all debt, by the balance, is supply*RAY + reserve + buffers (rounded up).
            balance: Balance = self.system[()]
            self.system[()] = balance = balance._replace(reserve=balance.reserve + dust)
            everything = supply * RAY + balance.reserve + balance.buffers * RAD
            require(everything <= balance.global_debt_ceiling * RAD, "vault_engine: over the ceiling")

    @external
    def repay_and_withdraw(
        self, sender: str, collateral_type: int, owner: str, repay: int, withdraw: int, receiver: str
    ) -> None:
        """Repay stablecoin (at most the whole debt, rounded up; debt taken off rounded down) and withdraw."""
        terms = self._terms(collateral_type)
        debts = self._post_accrual(collateral_type)
        vault: Vault = self.vaults[collateral_type, owner]
        if vault.normalized_debt != 0:
            _check_live(terms.settling)

        burned = repaid = 0
        if repay != 0 and vault.normalized_debt != 0:
            debt = vault.normalized_debt * debts.accumulated_rate
            whole = div_up(debt, RAY)
            burned = min(repay, whole)
            repaid = vault.normalized_debt
            if burned != whole:
                repaid = burned * RAY // debts.accumulated_rate
                require(repaid != 0, "vault_engine: repays nothing")
            vault = vault._replace(normalized_debt=vault.normalized_debt - repaid)
            debts = debts._replace(normalized_debt=debts.normalized_debt - repaid)
            least = terms.debt_floor * RAD
            rest = vault.normalized_debt * debts.accumulated_rate
            require(rest == 0 or rest >= least or debt < least, "vault_engine: rest under floor")
            self._post_to_reserve(burned * RAY - repaid * debts.accumulated_rate)

        moved = 0
        if withdraw != 0:
            self._check_consent(sender, owner)
            moved = withdraw // terms.unit
            amount = moved * terms.unit
            require(amount <= vault.locked_collateral, "vault_engine: not enough locked")
            vault = vault._replace(locked_collateral=vault.locked_collateral - amount)
            if vault.normalized_debt != 0:
                debt = vault.normalized_debt * debts.accumulated_rate
                if self.risk_policy == ZERO_ADDRESS:
                    self._check_margin(collateral_type, vault.locked_collateral, debt, terms.initial_ratio)
                else:
                    self._ask_policy(collateral_type, vault, terms, debts, 0, amount, repaid)
        if repaid != 0 and terms.dynamic:
            self._reprice(collateral_type, debts, repaid)

        if vault.called_at != 0:
            vault = self._answered(collateral_type, vault, debts.accumulated_rate)
        self.debts[collateral_type] = debts
        self._store_vault(collateral_type, owner, vault)

        if burned != 0:
            self.stablecoin.burn(self.address, sender, burned)
        if moved != 0:
            self._push(terms.token, receiver, moved)

    @external
    def approve_operator(self, sender: str, operator: str, approved: bool) -> None:
        """Let an account draw and withdraw for the caller's vaults, or stop it."""
        self.approvals[sender, operator] = approved
        self.emit("OperatorApproved", sender, operator, approved)

    @external
    def accrue(self, sender: str, collateral_type: int) -> int:
        """Charge the stability fee up to now; the accumulated rate (ray, rounded down)."""
        self._terms(collateral_type)
        return self._accrue(collateral_type).accumulated_rate

    # ------------------------------------------------- liquidation and auctions

    @external
    def accrue_and_read(
        self, sender: str, collateral_type: int, owner: str, limits_factor: int
    ) -> VaultState:
        """Charge the fee and read all that a liquidation needs; limits count times a factor."""
        terms = self._terms(collateral_type)
        debts = self._accrue(collateral_type)
        vault: Vault = self.vaults[collateral_type, owner]
        return VaultState(
            locked_collateral=vault.locked_collateral,
            normalized_debt=vault.normalized_debt,
            accumulated_rate=debts.accumulated_rate,
            liquidation_ratio=terms.liquidation_ratio,
            debt_floor=terms.debt_floor * RAD,
            room=0 if terms.settling else self._room(collateral_type, limits_factor),
            unit=terms.unit,
            called_at=vault.called_at,
        )

    @external
    def set_called(self, sender: str, collateral_type: int, owner: str) -> None:
        """Note a margin call: until it is met the vault takes no new risk."""
        require(sender == self.liquidation_engine, "vault_engine: only margin calls")
        _check_live(self._settling())
        vault: Vault = self.vaults[collateral_type, owner]
        self._store_vault(collateral_type, owner, vault._replace(called_at=self.world.timestamp))

    @external
    def seize(
        self,
        sender: str,
        collateral_type: int,
        owner: str,
        collateral: int,
        normalized_debt: int,
        receiver: str,
        reward: int,
    ) -> None:
        """Move debt from performing to in_auction and take its collateral; pay the liquidator."""
        require(sender == self.liquidation_engine, "vault_engine: only liquidation")
        debts: Debts = self.debts[collateral_type]
        vault: Vault = self.vaults[collateral_type, owner]
        vault = vault._replace(
            locked_collateral=sub(vault.locked_collateral, collateral),
            normalized_debt=sub(vault.normalized_debt, normalized_debt),
            liquidated=1,
        )
        if vault.normalized_debt == 0:
            vault = vault._replace(called_at=0)
        debts = debts._replace(
            normalized_debt=sub(debts.normalized_debt, normalized_debt),
            distressed=debts.distressed | DISTRESSED,
        )
        if self.terms[collateral_type].dynamic:
            self._reprice(collateral_type, debts, normalized_debt)
        self.debts[collateral_type] = debts
        self._store_vault(collateral_type, owner, vault)
        self._post_liquidation(collateral_type, normalized_debt * debts.accumulated_rate)
        self._post_reward(collateral_type, receiver, reward)

    @external
    def release(self, sender: str, collateral_type: int, amount: int, receiver: str) -> None:
        """Deliver auctioned collateral."""
        self._only_auction(sender)
        terms = self._terms(collateral_type)
        _check_live(terms.settling)
        self._push(terms.token, receiver, amount // terms.unit)

    @external
    def settle_take(
        self,
        sender: str,
        collateral_type: int,
        payer: str,
        paid: int,
        principal: int,
        surplus: int,
        owner: str,
        returned: int,
    ) -> None:
        """Burn a taker's payment (wad) and book it; give what is left to the vault, or to salvage."""
        self._only_auction(sender)
        self._post_repaid_principal(collateral_type, principal)
        self._post_to_buffer(collateral_type, surplus)
        if returned != 0 and owner == ZERO_ADDRESS:
            self.salvage[collateral_type] = self.salvage[collateral_type] + returned
        elif returned != 0:
            vault: Vault = self.vaults[collateral_type, owner]
            vault = vault._replace(locked_collateral=vault.locked_collateral + returned)
            require(vault.locked_collateral < 2**104, "vault_engine: too much returned")
            self._store_vault(collateral_type, owner, vault)
        self.stablecoin.burn(self.address, payer, paid)

    @external
    def write_off(self, sender: str, collateral_type: int, principal: int, salvage: int) -> None:
        """Turn the principal of a closed auction into a deficit; keep what is left of its lot."""
        self._only_auction(sender)
        if salvage != 0:
            self.salvage[collateral_type] = self.salvage[collateral_type] + salvage
        self._post_write_off(collateral_type, principal)

    @external
    def reward(self, sender: str, collateral_type: int, receiver: str, amount: int) -> None:
        """Pay the reward of an auction's reset."""
        self._only_auction(sender)
        _check_live(self._settling())
        self._post_reward(collateral_type, receiver, amount)

    @external
    def take_salvage(self, sender: str, collateral_type: int, amount: int) -> None:
        """Hand salvage over to be auctioned."""
        self._only_auction(sender)
        _check_live(self._settling())
        self.salvage[collateral_type] = sub(self.salvage[collateral_type], amount)

    # ---------------------------------------------------------------- coverage

    @external
    def cover_from_buffer(self, sender: str, collateral_type: int, amount: int) -> None:
        """Cover a deficit from the type's buffer, exactly."""
        self._only(sender, STAGE)
        self._post_from_buffer(collateral_type, amount)
        self._post_cover(collateral_type, amount)

    @external
    def cover_from_reserve(self, sender: str, collateral_type: int, amount: int) -> None:
        """Cover a deficit from the reserve, exactly."""
        self._only(sender, STAGE)
        self._post_from_reserve(amount)
        self._post_cover(collateral_type, amount)

    @external
    def cover_from_tokens(self, sender: str, collateral_type: int, payer: str, amount: int) -> int:
        """Burn stablecoin (rad, rounded up to the wei) of a stage or of who allows it; rad covered."""
        self._only(sender, STAGE)
        return self._cover_from_tokens(collateral_type, payer, sender, amount)

    @external
    def cover_from_buyer(self, sender: str, collateral_type: int, payer: str, stage: str, amount: int) -> int:
        """The same for a stage that has reserved what it pays now."""
        require(sender == self.loss_waterfall_address, "vault_engine: only waterfall")
        return self._cover_from_tokens(collateral_type, payer, stage, amount)

    def _cover_from_tokens(self, collateral_type: int, payer: str, stage: str, amount: int) -> int:
        burned = div_up(amount, RAY)
        covered = min(int(self.deficit[collateral_type]), amount)
        self._post_cover(collateral_type, covered)
        self._post_to_reserve(sub(mul(burned, RAY), covered))
        if payer == stage:
            self.stablecoin.burn(self.address, payer, burned)
        else:
            self.stablecoin.burn_allowed(self.address, payer, stage, burned)
        return covered

    @external
    def cover_by_redistribution(self, sender: str, collateral_type: int, amount: int) -> int:
        """Cover from the type's own borrowers: all debts grow alike; rad covered, rounded down."""
        self._only(sender, STAGE)
        terms = self._terms(collateral_type)
        _check_live(terms.settling)
        return self._post_redistribution(collateral_type, amount, *self._gap(collateral_type, terms))

    @external
    def spend_reserve(self, sender: str, amount: int, receiver: str) -> None:
        """Pay out of the reserve (wad)."""
        require(sender == self.treasury, "vault_engine: only treasury")
        _check_live(self._settling())
        self._post_from_reserve(mul(amount, RAY))
        self.stablecoin.mint(self.address, receiver, amount)

    # -------------------------------------------------------------- settlement

    @external
    def begin_settlement(self, sender: str) -> None:
        """Charge fees a last time; from now on rates stand still, and vaults with debt."""
        self._only_settlement(sender)
        self.system[()] = self.system[()]._replace(global_debt_ceiling=NO_CEILING)
        for c in range(self.type_count[()]):
            self._accrue(c)
            self.income[c] = self.income[c]._replace(stability_fee=0)
            self.terms[c] = self.terms[c]._replace(decimals=self.terms[c].decimals | SETTLING)
        self.loss_waterfall.wind_up(self.address)

    @external
    def unwind(self, sender: str, collateral_type: int, owner: str, lot: int, principal: int) -> None:
        """Give what is left of an auction back to its vault: collateral and debt (rounded up)."""
        self._only_auction(sender)
        vault: Vault = self.vaults[collateral_type, owner]
        if owner == ZERO_ADDRESS or vault.locked_collateral + lot >= 2**104:
            self.salvage[collateral_type] = self.salvage[collateral_type] + lot
        else:
            vault = vault._replace(locked_collateral=vault.locked_collateral + lot)
        if owner != ZERO_ADDRESS:
            debt = vault.normalized_debt + self._post_unwound(collateral_type, principal)
            self._store_vault(collateral_type, owner, vault._replace(normalized_debt=debt))

    @external
    def skim(self, sender: str, collateral_type: int, owner: str, taken: int, worth: int) -> None:
        """Settle all of a vault's debt (rad) with collateral (wad); what it is not worth is a loss."""
        self._only_settlement(sender)
        debts: Debts = self.debts[collateral_type]
        vault: Vault = self.vaults[collateral_type, owner]
        debt = vault.normalized_debt * debts.accumulated_rate
        self.debts[collateral_type] = debts._replace(
            normalized_debt=debts.normalized_debt - vault.normalized_debt
        )
        locked = sub(vault.locked_collateral, taken)
        self.salvage[collateral_type] = self.salvage[collateral_type] + taken
        self._store_vault(collateral_type, owner, vault._replace(locked_collateral=locked, normalized_debt=0))
        self._post_settled(collateral_type, debt, worth)

    @external
    def net(self, sender: str) -> int:
        """Close the books; the supply (wad), which is what is settled from now on."""
        self._only_settlement(sender)
        self.loss_waterfall.close_books(self.address)
        return self._post_netted(int(self.type_count[()]))

    @external
    def redeem(self, sender: str, owner: str, amount: int) -> None:
        """Burn stablecoin (wad) against what was settled."""
        self._only_settlement(sender)
        self.settled_debt[()] = sub(self.settled_debt[()], mul(amount, RAY))
        self.stablecoin.burn(self.address, owner, amount)

    @external
    def pay_out(self, sender: str, collateral_type: int, amount: int, receiver: str) -> None:
        """Pay collateral (wad) out of salvage."""
        self._only_settlement(sender)
        terms = self._terms(collateral_type)
        self.salvage[collateral_type] = sub(self.salvage[collateral_type], amount)
        self._push(terms.token, receiver, amount // terms.unit)

    # -------------------------------------------------------------- parameters

    @external
    def add_collateral_type(self, sender: str, token: str, liquidation_ratio: int, initial_ratio: int) -> int:
        """List a token; one whole token goes in and out to prove that its transfers are exact."""
        self._only_admin(sender)
        _check_live(self._settling())
        new = int(self.type_count[()])
        require(new < bounds.MAX_COLLATERAL_TYPES, "vault_engine: too many types")
        require(token != self.stablecoin_address, "vault_engine: own token")
        _check_ratios(liquidation_ratio, initial_ratio)
        contract = self._token(token)
        decimals = contract.decimals(self.address)
        require(decimals <= 18, "vault_engine: token decimals")

        ours = contract.balanceOf(self.address, self.address)
        theirs = contract.balanceOf(self.address, sender)
        self._pull(token, sender, 10**decimals)
        after = contract.balanceOf(self.address, self.address)
        require(after == ours + 10**decimals, "vault_engine: inexact pull")
        self._push(token, sender, 10**decimals)
        after = contract.balanceOf(self.address, sender)
        require(after == theirs, "vault_engine: inexact push")

        self.type_count[()] = new + 1
        self.debts[new] = Debts(accumulated_rate=RAY, accrued_at=self.world.timestamp)
        self.terms[new] = Terms(
            token=token, liquidation_ratio=liquidation_ratio, initial_ratio=initial_ratio, decimals=decimals
        )
        self.emit("CollateralTypeAdded", new, token, decimals)
        return new

    @external
    def set_debt_ceiling(self, sender: str, collateral_type: int, new: int) -> None:
        """Whole stablecoins; binds draws only. Also for whoever has the role CEILINGS."""
        self._only_admin_or(sender, CEILINGS)
        terms = self._terms(collateral_type)
        require(new <= bounds.MAX_DEBT_CEILING, "vault_engine: ceiling bounds")
        self.terms[collateral_type] = terms._replace(debt_ceiling=new)
        self.emit("ParameterChanged", collateral_type, "debt_ceiling", new)

    @external
    def set_debt_floor(self, sender: str, collateral_type: int, new: int) -> None:
        """Whole stablecoins."""
        terms = self._terms_for_admin(sender, collateral_type)
        require(new <= bounds.MAX_DEBT_FLOOR, "vault_engine: floor bounds")
        self.terms[collateral_type] = terms._replace(debt_floor=new)
        self.emit("ParameterChanged", collateral_type, "debt_floor", new)
        auction = cast("CollateralAuction", self.world.at(self.collateral_auction))
        auction.set_minimum(self.address, collateral_type, new)

    @external
    def set_ratios(
        self, sender: str, collateral_type: int, liquidation_ratio: int, initial_ratio: int
    ) -> None:
        """Basis points."""
        terms = self._terms_for_admin(sender, collateral_type)
        _check_ratios(liquidation_ratio, initial_ratio)
        self.terms[collateral_type] = terms._replace(
            liquidation_ratio=liquidation_ratio, initial_ratio=initial_ratio
        )
        self.emit("ParameterChanged", collateral_type, "liquidation_ratio", liquidation_ratio)
        self.emit("ParameterChanged", collateral_type, "initial_ratio", initial_ratio)

    @external
    def set_stability_fee(self, sender: str, collateral_type: int, new: int) -> None:
        """Ray a second above RAY; the old fee is charged first."""
        _check_live(self._terms_for_admin(sender, collateral_type).settling)
        require(new <= bounds.MAX_STABILITY_FEE, "vault_engine: fee bounds")
        self._accrue(collateral_type)
        income: Income = self.income[collateral_type]
        self.income[collateral_type] = income._replace(stability_fee=new)
        self.emit("ParameterChanged", collateral_type, "stability_fee", new)

    @external
    def set_fee_dynamic(self, sender: str, collateral_type: int, dynamic: bool) -> None:
        """Have the risk policy set a type's fee whenever its debt changes, or leave it as it is now."""
        terms = self._terms_for_admin(sender, collateral_type)
        _check_live(terms.settling)
        require(self.risk_policy != ZERO_ADDRESS, "vault_engine: no risk policy")
        kept = terms.decimals & ~DYNAMIC
        self.terms[collateral_type] = terms._replace(decimals=kept | DYNAMIC if dynamic else kept)
        self.emit("ParameterChanged", collateral_type, "fee_dynamic", int(dynamic))
        if dynamic:
            debts = self._accrue(collateral_type)
            self._reprice(collateral_type, debts, 0)

    @external
    def set_buffer_share(self, sender: str, collateral_type: int, new: int) -> None:
        """Basis points of fees; fees up to now are shared at the old value."""
        self._terms_for_admin(sender, collateral_type)
        require(new <= bounds.MAX_BUFFER_SHARE, "vault_engine: share bounds")
        self.debts[collateral_type] = self._post_accrual(collateral_type)._replace(buffer_share=new)
        self.emit("ParameterChanged", collateral_type, "buffer_share", new)

    @external
    def set_auction_limit(self, sender: str, collateral_type: int, new: int) -> None:
        """Whole stablecoins of principal under auction."""
        self._terms_for_admin(sender, collateral_type)
        require(new <= bounds.MAX_DEBT_CEILING, "vault_engine: limit bounds")
        auctions: Auctions = self.auctions[collateral_type]
        self.auctions[collateral_type] = auctions._replace(limit=new)
        self.emit("ParameterChanged", collateral_type, "auction_limit", new)

    @external
    def set_redistribution_cap(self, sender: str, collateral_type: int, new: int) -> None:
        """Basis points of the rate for each epoch."""
        self._terms_for_admin(sender, collateral_type)
        require(new <= BASIS_POINTS, "vault_engine: cap bounds")
        self.redistributions[collateral_type] = self._redistribution(collateral_type)._replace(cap=new)
        self.emit("ParameterChanged", collateral_type, "redistribution_cap", new)

    @external
    def set_global_debt_ceiling(self, sender: str, new: int) -> None:
        """Whole stablecoins."""
        self._only_admin(sender)
        _check_live(self._settling())
        require(new <= bounds.MAX_GLOBAL_DEBT_CEILING, "vault_engine: global ceiling")
        self.system[()] = self.system[()]._replace(global_debt_ceiling=new)
        self.emit("ParameterChanged", ALL_TYPES, "global_debt_ceiling", new)

    @external
    def set_global_auction_limit(self, sender: str, new: int) -> None:
        """Whole stablecoins of principal under auction."""
        self._only_admin(sender)
        require(new <= bounds.MAX_GLOBAL_DEBT_CEILING, "vault_engine: global limit")
        self.auction_limit[()] = new
        self.emit("ParameterChanged", ALL_TYPES, "global_auction_limit", new)

    # ------------------------------------------------------------------- views

    @view
    def STABLECOIN(self, sender: str) -> str:
        """The debt token."""
        return self.stablecoin_address

    @view
    def LOSS_WATERFALL(self, sender: str) -> str:
        """Where deficits are recognised."""
        return self.loss_waterfall_address

    @view
    def PRICE_FEED(self, sender: str) -> str:
        """Where prices come from."""
        return self.price_feed_address

    @view
    def LIQUIDATION_ENGINE(self, sender: str) -> str:
        """Who may seize."""
        return self.liquidation_engine

    @view
    def COLLATERAL_AUCTION(self, sender: str) -> str:
        """Who sells."""
        return self.collateral_auction

    @view
    def RISK_POLICY(self, sender: str) -> str:
        """Who refuses new risk; zero if nobody does."""
        return self.risk_policy

    @view
    def collateral_types(self, sender: str) -> int:
        """How many there are."""
        return int(self.type_count[()])

    @view
    def global_auction_limit(self, sender: str) -> int:
        """Whole stablecoins of principal of all types."""
        return int(self.auction_limit[()])

    @view
    def operators(self, sender: str, owner: str, operator: str) -> bool:
        """Whether an operator may draw and withdraw for an owner."""
        return bool(self.approvals[owner, operator])

    @view
    def vault(self, sender: str, collateral_type: int, owner: str) -> Vault:
        """A vault: locked collateral and normalized debt in wad."""
        found: Vault = self.vaults[collateral_type, owner]
        return found

    @view
    def debts_of(self, sender: str, collateral_type: int) -> Debts:
        """A type's debt, its rate (as of the last accrual) and how fees are shared."""
        debts: Debts = self.debts[collateral_type]
        return debts

    @view
    def terms_of(self, sender: str, collateral_type: int) -> Terms:
        """A type's token, ceilings and ratios."""
        return self._terms(collateral_type)

    @view
    def unit_of(self, sender: str, collateral_type: int) -> int:
        """One raw unit of the type's token, in wad."""
        return self._terms(collateral_type).unit

    @view
    def debt_floor_of(self, sender: str, collateral_type: int) -> int:
        """The smallest debt of a vault, whole stablecoins."""
        return self._terms(collateral_type).debt_floor

    @view
    def stability_fee_of(self, sender: str, collateral_type: int) -> int:
        """Ray a second above RAY."""
        return int(self.income[collateral_type].stability_fee)

    @view
    def buffer_of(self, sender: str, collateral_type: int) -> int:
        """The type's own first-loss buffer, rad."""
        return int(self.income[collateral_type].buffer)

    @view
    def in_auction_of(self, sender: str, collateral_type: int) -> int:
        """Principal under auction, rad."""
        return int(self.auctions[collateral_type].in_auction)

    @view
    def auction_limit_of(self, sender: str, collateral_type: int) -> int:
        """How much principal of a type may be under auction, whole stablecoins."""
        return int(self.auctions[collateral_type].limit)

    @view
    def deficit_of(self, sender: str, collateral_type: int) -> int:
        """Recognised, uncovered loss, rad."""
        return int(self.deficit[collateral_type])

    @view
    def salvage_of(self, sender: str, collateral_type: int) -> int:
        """Collateral left over from closed auctions, wad."""
        return int(self.salvage[collateral_type])

    @view
    def redistribution_of(self, sender: str, collateral_type: int) -> Redistribution:
        """What redistribution added to a type's rate in this epoch, and its cap."""
        return self._redistribution(collateral_type)

    @view
    def redistribution_room(self, sender: str, collateral_type: int) -> int:
        """What a type's borrowers can still bear in this epoch, rad, at the rate of the last accrual."""
        debts: Debts = self.debts[collateral_type]
        terms = self._terms(collateral_type)
        if debts.normalized_debt == 0 or terms.settling:
            return 0
        present = self._redistribution(collateral_type)
        return debts.normalized_debt * rate_room(debts, present, *self._gap(collateral_type, terms))

    @view
    def TREASURY(self, sender: str) -> str:
        """Who spends the reserve."""
        return self.treasury

    @view
    def SETTLEMENT(self, sender: str) -> str:
        """Who winds the protocol up."""
        return self.settlement

    @view
    def reserve(self, sender: str) -> int:
        """The insurance fund of all types, rad."""
        return int(self.system[()].reserve)

    @view
    def settled(self, sender: str) -> int:
        """Debt that settlement has settled, or owes holders once the books are closed, rad."""
        return int(self.settled_debt[()])

    @view
    def in_settlement(self, sender: str) -> bool:
        """Whether settlement has begun."""
        return self._settling()

    @view
    def total_debt(self, sender: str) -> int:
        """Performing, in auction and in deficit, of all types, rad."""
        return sum(
            self.debts[collateral_type].performing + self._distress(collateral_type)
            for collateral_type in range(self.type_count[()])
        )

    # ----------------------------------------------------------------- helpers

    def _accrue(self, collateral_type: int) -> Debts:
        debts = self._post_accrual(collateral_type)
        self.debts[collateral_type] = debts
        return debts

    def _terms(self, collateral_type: int) -> Terms:
        terms: Terms = self.terms[collateral_type]
        require(terms.token != ZERO_ADDRESS, "vault_engine: unknown type")
        return terms

    def _terms_for_admin(self, sender: str, collateral_type: int) -> Terms:
        self._only_admin(sender)
        return self._terms(collateral_type)

    def _check_consent(self, sender: str, owner: str) -> None:
        require(sender == owner or self.approvals[owner, sender], "vault_engine: not approved")

    def _check_margin(self, collateral_type: int, locked_collateral: int, debt: int, ratio: int) -> None:
        """New risk: value at the lower of current and next price, against the initial ratio."""
        feed = cast("PriceFeed", self.world.at(self.price_feed_address))
        price = feed.risk_price(self.address, collateral_type)
        require(price != 0, "vault_engine: no price")
        require(locked_collateral * price * BASIS_POINTS >= debt * ratio, "vault_engine: unsafe")

    def _ask_policy(
        self,
        collateral_type: int,
        vault: Vault,
        terms: Terms,
        debts: Debts,
        draw: int,
        withdrawn: int,
        gone: int,
    ) -> None:
        """New risk: what the risk policy says; a dynamic fee follows. `gone` is normalized debt less."""
        require(vault.called_at == 0, "vault_engine: margin call")
        distress = self._distress(collateral_type) if debts.distressed else 0
        risk = NewRisk(
            collateral_type=collateral_type,
            locked_collateral=vault.locked_collateral,
            debt=vault.normalized_debt * debts.accumulated_rate,
            initial_ratio=terms.initial_ratio,
            drawn=draw,
            withdrawn=withdrawn,
            type_debt=debts.performing + distress,
            performing=debts.performing,
            performing_before=(debts.normalized_debt + gone) * debts.accumulated_rate,
        )
        fee = self._policy.check_new_risk(self.address, risk)
        if terms.dynamic:
            self.income[collateral_type] = self.income[collateral_type]._replace(stability_fee=fee)

    def _gap(self, collateral_type: int, terms: Terms) -> tuple[int, int]:
        """Both ratios, each with all that a growing debt may need beyond it."""
        more = 0
        if self.risk_policy != ZERO_ADDRESS:
            more = self._policy.steepest(self.address, collateral_type)
        return terms.initial_ratio + more, terms.liquidation_ratio + more

    def _reprice(self, collateral_type: int, debts: Debts, gone: int) -> None:
        """Have a dynamic fee follow debt that is gone, normalized."""
        before = (debts.normalized_debt + gone) * debts.accumulated_rate
        fee = self._policy.reprice(self.address, collateral_type, debts.performing, before)
        self.income[collateral_type] = self.income[collateral_type]._replace(stability_fee=fee)

    def _answered(self, collateral_type: int, vault: Vault, rate: int) -> Vault:
        """A called vault, no longer called once the call is met."""
        engine = cast("LiquidationEngine", self.world.at(self.liquidation_engine))
        debt = vault.normalized_debt * rate
        met = engine.meets_call(self.address, collateral_type, vault.locked_collateral, debt)
        return vault._replace(called_at=0) if met else vault

    @property
    def _policy(self) -> RiskPolicy:
        return cast("RiskPolicy", self.world.at(self.risk_policy))

    def _room(self, collateral_type: int, factor: int) -> int:
        """Rad of principal that may still go under auction: of the type, and of all types."""
        auctions: Auctions = self.auctions[collateral_type]
        limit = mul(mul(auctions.limit, factor), RAD // BASIS_POINTS)
        used = sum(int(self.auctions[c].in_auction) for c in range(self.type_count[()]))
        total = mul(mul(int(self.auction_limit[()]), factor), RAD // BASIS_POINTS)
        return min(max(0, limit - auctions.in_auction), max(0, total - used))

    def _only_settlement(self, sender: str) -> None:
        require(sender == self.settlement, "vault_engine: only settlement")

    def _only_auction(self, sender: str) -> None:
        require(sender == self.collateral_auction, "vault_engine: only auction")

    def _token(self, token: str) -> ERC20:
        return cast("ERC20", self.world.at(token))

    def _pull(self, token: str, sender: str, amount: int) -> None:
        moved = self._token(token).transferFrom(self.address, sender, self.address, amount)
        require(moved is not False, "vault_engine: pull failed")

    def _push(self, token: str, receiver: str, amount: int) -> None:
        moved = self._token(token).transfer(self.address, receiver, amount)
        require(moved is not False, "vault_engine: push failed")

    def _store_vault(self, collateral_type: int, owner: str, vault: Vault) -> None:
        self.vaults[collateral_type, owner] = vault
        self.emit("VaultChanged", collateral_type, owner, vault.locked_collateral, vault.normalized_debt)


def _check_live(settling: bool) -> None:
    require(not settling, "vault_engine: in settlement")


def _check_ratios(liquidation_ratio: int, initial_ratio: int) -> None:
    require(liquidation_ratio >= bounds.MIN_RATIO, "vault_engine: ratio too low")
    require(initial_ratio >= liquidation_ratio, "vault_engine: initial ratio low")
    require(initial_ratio <= bounds.MAX_RATIO, "vault_engine: ratio too high")
