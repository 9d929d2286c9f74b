"""Terms of each collateral type, and the right to change them."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

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
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, mul_uint256
from backstop.model.interfaces import (
    IERC20,
    MAX_DECIMALS,
    Debts,
    ICollateralAuction,
    ILiquidationEngine,
    Terms,
)
from backstop.model.ledger import Ledger
from backstop.model.listed_types import decode_listed_types, encode_listed_types
from backstop.model.policy_calls import PolicyCalls
from backstop.model.roles import CEILINGS

ALL_TYPES = MAX_UINT256
DAY = 86_400


@declare_record_slot_bit_widths(66, 32)
class FeeDay(NamedTuple):
    """Day on which a type's fee first rose above FEE_MOVE, and its fee before [ray a second above RAY]."""

    fee: int = 0
    day: int = 0


class Governed(Ledger):
    """Parameters of collateral types and their setters (model of contracts/modules/terms.vy)."""

    # Where auctions of the collateral take place.
    collateral_auction = immutable("COLLATERAL_AUCTION", str)
    # May seize, and note margin calls; asks the risk policy what it may not depend on.
    liquidation_engine = immutable("LIQUIDATION_ENGINE", str)
    # The risk policy at deployment; the zero address is none, for good.
    first_policy = immutable("RISK_POLICY", str)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        stablecoin: str,
        loss_waterfall: str,
        collateral_auction: str,
        risk_policy: str,
        admin: str,
        *others: Any,
    ) -> None:
        super().__init__(world, name, address, stablecoin, loss_waterfall, admin, *others)
        self.listing = self.table("terms.listed")
        self.collateral_auction = collateral_auction
        self.first_policy = risk_policy
        self.policies = self.table("terms.risk_policy", ZERO_ADDRESS)
        self.policies[()] = risk_policy
        self.fee_days = self.table("terms.fee_days", FeeDay())
        self.type_count = self.table("terms.collateral_types")
        self.auction_limit = self.table("terms.global_auction_limit")
        self.terms = self.table("terms.of_types", Terms())

    # ----------------------------------------------------------------- setters

    @external
    def add_collateral_type(self, sender: str, token: str, liquidation_ratio: int, initial_ratio: int) -> int:
        """List a token as a new collateral type and return its id; the ratios are in basis points.

        One whole token is taken from the caller and returned, to prove that transfers are exact. Only the
        admin may call.
        """
        self._only_admin(sender)
        self._check_live()
        new = int(self.type_count[()])
        listed = self._list_types()
        free = len(listed) < bounds.MAX_COLLATERAL_TYPES
        require(free and new < bounds.MAX_TYPES, "terms: too many types")
        require(token != self.stablecoin_address, "terms: own token")
        _check_ratios(liquidation_ratio, initial_ratio)
        require(token != self.address, "")  # the ledger has no such function
        decimals = self._get_token_contract(token).decimals(self.address)
        require(decimals <= MAX_DECIMALS, "terms: token decimals")

        whole = 10**decimals
        ours = self._get_token_balance(token, self.address)
        theirs = self._get_token_balance(token, sender)
        self._pull_collateral(sender, token, whole)
        require(self._get_token_balance(token, self.address) == ours + whole, "terms: inexact pull")
        self._push_collateral(token, sender, whole)
        require(self._get_token_balance(token, sender) == theirs, "terms: inexact push")

        self.type_count[()] = new + 1
        self.listing[()] = encode_listed_types([*listed, new])
        self._open_type(new)
        self._note_global_auction_limit(new, int(self.auction_limit[()]))
        self.terms[new] = Terms(
            token=token,
            liquidation_ratio=liquidation_ratio,
            initial_ratio=initial_ratio,
            decimals=decimals,
            replaced=self.policies[()] != self.first_policy,
        )
        self.emit("CollateralTypeAdded", new, token, decimals)
        return new

    @external
    def retire_collateral_type(self, sender: str, collateral_type: int) -> None:
        """Remove a collateral type from the list permanently; only the admin may call.

        Raises RevertError while debt, a deficit or collateral on sale is left in the type.
        """
        self._check_admin_and_type(sender, collateral_type)
        self._check_not_settled(collateral_type)
        on_sale = self._auction.salvage_on_sale(self.address, collateral_type)
        self._move_retired_buffer_to_reserve(collateral_type, on_sale)
        self._mark_settling(collateral_type)
        self.listing[()] = encode_listed_types([c for c in self._list_types() if c != collateral_type])
        self.emit("CollateralTypeRetired", collateral_type)

    @external
    def set_debt_ceiling(self, sender: str, collateral_type: int, new: int) -> None:
        """Set a type's debt ceiling [whole stablecoins], which limits new draws only.

        The admin or an account with the role CEILINGS may call.
        """
        self._only_admin_or(sender, CEILINGS)
        terms = self._load_terms(collateral_type)
        self._emit_parameter(collateral_type, "debt_ceiling", new, bounds.MAX_DEBT_CEILING)
        if terms.debt_ceiling == 0 and new != 0:
            self._check_auctions(collateral_type, terms.liquidation_ratio)
        self.terms[collateral_type] = terms._replace(debt_ceiling=new)

    @external
    def set_debt_floor(self, sender: str, collateral_type: int, new: int) -> None:
        """Set the smallest allowed debt of a vault of a type [whole stablecoins]; only the admin may call."""
        terms = self._terms_for_admin(sender, collateral_type)
        self._emit_parameter(collateral_type, "debt_floor", new, bounds.MAX_DEBT_FLOOR)
        self.terms[collateral_type] = terms._replace(debt_floor=new)
        self._auction.set_minimum(self.address, collateral_type, new)

    @external
    def set_ratios(
        self, sender: str, collateral_type: int, liquidation_ratio: int, initial_ratio: int
    ) -> None:
        """Set a type's liquidation and initial collateral ratio [basis points]; only the admin may call."""
        terms = self._terms_for_admin(sender, collateral_type)
        _check_ratios(liquidation_ratio, initial_ratio)
        self._check_auctions(collateral_type, liquidation_ratio)
        self.terms[collateral_type] = terms._replace(
            liquidation_ratio=liquidation_ratio, initial_ratio=initial_ratio
        )
        self._emit_parameter(collateral_type, "liquidation_ratio", liquidation_ratio, bounds.MAX_RATIO)
        self._emit_parameter(collateral_type, "initial_ratio", initial_ratio, bounds.MAX_RATIO)

    @external
    def set_stability_fee(self, sender: str, collateral_type: int, new: int) -> None:
        """Set a type's stability fee [ray a second above RAY], after charging the old fee up to now.

        Only the admin may call.
        """
        self._check_admin_and_type(sender, collateral_type)
        self._check_live()
        self._emit_parameter(collateral_type, "stability_fee", new, bounds.MAX_STABILITY_FEE)
        self._accrue_fees(collateral_type)
        self._store_stability_fee(collateral_type, new)

    @external
    def set_fee_dynamic(self, sender: str, collateral_type: int, dynamic: bool) -> None:
        """Let the risk policy set a type's fee at each change of its debt, or keep the present fee.

        Only the admin may call.
        """
        terms = self._terms_for_admin(sender, collateral_type)
        self._check_not(terms.settling)
        self._check_has_risk_policy()
        self.terms[collateral_type] = terms._replace(dynamic=dynamic)
        self._emit_parameter(collateral_type, "fee_dynamic", int(dynamic), 1)
        if dynamic:
            debts = self._accrue_fees(collateral_type)
            self._update_dynamic_fee(collateral_type, terms.replaced, debts, debts.normalized_debt)

    @external
    def set_risk_policy(self, sender: str, new: str) -> None:
        """Replace the risk policy by another contract; only the admin may call.

        Raises RevertError unless the contract answers for every collateral type.
        """
        self._only_admin(sender)
        self._check_live()
        self._check_has_risk_policy()
        engine = cast(ILiquidationEngine, self.world.at(self.liquidation_engine))
        require(engine.is_policy(self.address, new), "terms: not a policy")
        self.policies[()] = new
        for c in self._list_types():
            self.terms[c] = self.terms[c]._replace(replaced=new != self.first_policy)
        self._emit_parameter(ALL_TYPES, "risk_policy", int(new, 16), MAX_UINT256)

    @external
    def set_buffer_share(self, sender: str, collateral_type: int, new: int) -> None:
        """Set the share of a type's future fees that fills its buffer [basis points].

        Only the admin may call.
        """
        self._check_admin_and_type(sender, collateral_type)
        self._emit_parameter(collateral_type, "buffer_share", new, bounds.MAX_BUFFER_SHARE)
        self._set_buffer_share(collateral_type, new)

    @external
    def set_auction_limit(self, sender: str, collateral_type: int, new: int) -> None:
        """Set the maximum principal of a type under auction [whole stablecoins]; only the admin may call."""
        self._check_admin_and_type(sender, collateral_type)
        self._emit_parameter(collateral_type, "auction_limit", new, bounds.MAX_DEBT_CEILING)
        self._store_auction_limit(collateral_type, new)

    @external
    def set_redistribution_cap(self, sender: str, collateral_type: int, new: int) -> None:
        """Set how much redistribution may raise a type's rate in an epoch's time [basis points].

        Redistribution charges a loss to all vaults of the type. Only the admin may call.
        """
        self._check_admin_and_type(sender, collateral_type)
        self._emit_parameter(collateral_type, "redistribution_cap", new, BASIS_POINTS)
        self._store_redistribution_cap(collateral_type, new)

    @external
    def set_global_debt_ceiling(self, sender: str, new: int) -> None:
        """Set the debt ceiling of all types together [whole stablecoins]; only the admin may call."""
        self._only_admin(sender)
        self._check_live()
        self._emit_parameter(ALL_TYPES, "global_debt_ceiling", new, bounds.MAX_GLOBAL_DEBT_CEILING)
        self._store_global_debt_ceiling(new)

    @external
    def set_global_auction_limit(self, sender: str, new: int) -> None:
        """Set the maximum principal of all types under auction [whole stablecoins].

        Only the admin may call.
        """
        self._only_admin(sender)
        self._emit_parameter(ALL_TYPES, "global_auction_limit", new, bounds.MAX_GLOBAL_DEBT_CEILING)
        self.auction_limit[()] = new
        for c in self._list_types():
            self._note_global_auction_limit(c, new)

    # ------------------------------------------------------------------- views

    @view
    def collateral_types(self, sender: str) -> int:
        """Return the number of collateral types ever listed, including retired ones."""
        return int(self.type_count[()])

    @view
    def global_auction_limit(self, sender: str) -> int:
        """Return the maximum principal of all types under auction [whole stablecoins]."""
        return int(self.auction_limit[()])

    @view
    def terms_of(self, sender: str, collateral_type: int) -> Terms:
        """Return a collateral type's token, debt limits, ratios and flags; raise RevertError if unknown."""
        return self._load_terms(collateral_type)

    @view
    def unit_of(self, sender: str, collateral_type: int) -> int:
        """Return the value of one raw unit of a type's token [wad]."""
        return self._load_terms(collateral_type).unit

    @view
    def debt_floor_of(self, sender: str, collateral_type: int) -> int:
        """Return the smallest allowed debt of a vault of a type [whole stablecoins]."""
        return self._load_terms(collateral_type).debt_floor

    @view
    def risk_policy(self, sender: str) -> str:
        """Return the address of the risk policy; the zero address if there is none."""
        return str(self.policies[()])

    @view
    def listed(self, sender: str) -> int:
        """Return the ids of the listed (not retired) types as one integer: 8 bits of id + 1 for each."""
        return int(self.listing[()])

    # ----------------------------------------------------------------- records

    def _load_terms(self, collateral_type: int) -> Terms:
        terms: Terms = self.terms[collateral_type]
        require(terms.token != ZERO_ADDRESS, "terms: unknown type")
        return terms

    def _terms_for_admin(self, sender: str, collateral_type: int) -> Terms:
        self._check_admin_and_type(sender, collateral_type)
        return self._load_terms(collateral_type)

    def _check_admin_and_type(self, sender: str, collateral_type: int) -> None:
        """Raise RevertError unless the caller is the admin and the collateral type is known."""
        self._only_admin(sender)
        self._load_terms(collateral_type)

    def _list_types(self) -> list[int]:
        return decode_listed_types(self.listing[()])

    def _check_auctions(self, collateral_type: int, liquidation_ratio: int) -> None:
        """Raise RevertError unless the auction parameters of a type fit its liquidation ratio."""
        self._auction.check_terms(self.address, collateral_type, liquidation_ratio)

    def _check_not_settled(self, collateral_type: int) -> None:
        self._check_not(bool(self.terms[collateral_type].settling))

    def _mark_settling(self, collateral_type: int) -> None:
        """Mark a collateral type as in settlement or retired."""
        self.terms[collateral_type] = self.terms[collateral_type]._replace(settling=True)

    # ---------------------------------------------------------- other contracts

    @property
    def _auction(self) -> ICollateralAuction:
        return cast(ICollateralAuction, self.world.at(self.collateral_auction))

    def _get_policy(self, replaced: bool) -> str:
        """Return the address of the present risk policy.

        `replaced` is the flag stored with a type's terms.
        """
        return str(self.policies[()]) if replaced else self.first_policy

    def _check_has_risk_policy(self) -> None:
        require(self.first_policy != ZERO_ADDRESS, "terms: no risk policy")

    def _get_steepest(self, collateral_type: int) -> int:
        """Return the maximum extra margin per unit of additional debt [basis points]; 0 without a policy."""
        if self.first_policy == ZERO_ADDRESS:
            return 0
        engine = cast(ILiquidationEngine, self.world.at(self.liquidation_engine))
        return engine.max_marginal_add_on_of(self.address, collateral_type)

    def _update_dynamic_fee(self, collateral_type: int, replaced: bool, debts: Debts, before: int) -> None:
        """Set a type's stability fee to the fee that the risk policy requests for its debt.

        `before` is the type's normalized debt before the change.
        """
        rate = debts.accumulated_rate
        policy = PolicyCalls(self.world, self.address, self._get_policy(replaced))
        self._set_fee_from_policy(
            collateral_type, policy.fee(collateral_type, debts.performing, before * rate)
        )

    def _set_fee_from_policy(self, collateral_type: int, asked: int) -> None:
        """Set a type's stability fee to the requested one [ray a second above RAY].

        A fee above FEE_MOVE may rise by at most FEE_MOVE a day. A request out of bounds changes nothing.
        """
        if asked > bounds.MAX_POLICY_FEE:
            self.emit("PolicyFailed", collateral_type)
            return
        fee = asked
        if fee > bounds.FEE_MOVE:
            today = self.world.timestamp // DAY
            day: FeeDay = self.fee_days[collateral_type]
            if day.day != today:
                day = FeeDay(self._get_stored_stability_fee(collateral_type), today)
                self.fee_days[collateral_type] = day
            fee = min(fee, day.fee + bounds.FEE_MOVE)
        self._store_stability_fee(collateral_type, fee)

    # ------------------------------------------------------------------ limits

    def _compute_auction_room(self, collateral_type: int, factor: int) -> int:
        """Return how much more principal of a type may go under auction [rad].

        The limits of the type and of all types apply, each multiplied by `factor` [basis points].
        """
        used = sum(int(self.auctions[c].in_auction) for c in self._list_types())
        auctions = self.auctions[collateral_type]
        return min(
            _compute_limit_left(auctions.limit, factor, auctions.in_auction),
            _compute_limit_left(int(self.auction_limit[()]), factor, used),
        )

    # ----------------------------------------------------------------- helpers

    def _emit_parameter(self, collateral_type: int, parameter: str, new: int, most: int) -> None:
        """Emit an event for a parameter's new value; raise RevertError if the value exceeds `most`."""
        require(new <= most, "terms: out of bounds")
        self.emit("ParameterChanged", collateral_type, parameter, new)

    def _get_token_contract(self, token_address: str) -> IERC20:
        return cast(IERC20, self.world.at(token_address))

    def _get_token_balance(self, token: str, owner: str) -> int:
        return self._get_token_contract(token).balanceOf(self.address, owner)

    def _pull_collateral(self, sender: str, token: str, amount: int) -> None:
        """Transfer collateral from the caller to this contract, in raw token units."""
        moved = self._get_token_contract(token).transferFrom(self.address, sender, self.address, amount)
        require(moved is not False, "terms: pull failed")

    def _deliver_collateral(self, of_type: Terms, amount: int, receiver: str) -> None:
        """Transfer collateral to a receiver [wad]."""
        self._push_collateral(of_type.token, receiver, amount // of_type.unit)

    def _push_collateral(self, token: str, receiver: str, amount: int) -> None:
        """Transfer collateral to a receiver, in raw token units."""
        moved = self._get_token_contract(token).transfer(self.address, receiver, amount)
        require(moved is not False, "terms: push failed")


def _check_ratios(liquidation_ratio: int, initial_ratio: int) -> None:
    require(bounds.MIN_RATIO <= liquidation_ratio <= initial_ratio <= bounds.MAX_RATIO, "terms: ratio bounds")


def _compute_limit_left(limit: int, factor: int, used: int) -> int:
    """Return limit*factor - used [rad]; 0 if that is negative."""
    return max(0, mul_uint256(mul_uint256(limit, factor), RAD // BASIS_POINTS) - used)
