"""The statement: obligations, their backing, and the bearers of a loss, all from storage alone.

Every figure is computed by the model from the words of one block, so a proof of the words proves the figures.
Debts are as booked, which is up to each type's last accrual; `unbooked_fees_rad` are the fees due since.
Collateral counts at the feed's current price, fresh or not, without any discount; notes of a facilitator
count at its own report, so an announced loss is short. Ratios are rounded down, losses never. Amounts are
decimal strings, as in a run's summary.

Mappings cannot be listed, so a statement could leave something out: `checks` are the sums over vaults,
auctions, workouts and accounts against the books' own totals, all zero for a complete statement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

from backstop.contract_base import RevertError
from backstop.deployment.contracts_by_parameter_name import POOLS, STAGES, list_pools
from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.hosts.model_system import ModelSystem
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.view_records import MarketData
from backstop.live.solvency.admin_rights import build_admin_rights_statement
from backstop.live.solvency.margin_statement import build_margin_statement
from backstop.live.solvency.stage_and_policy_changes import (
    build_policy_in_force_statement,
    describe_pending_stages_and_settlement,
    describe_removed_stages,
    describe_stage_debts,
    stages_in_order,
)
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY
from backstop.model.interfaces import Debts
from backstop.model.ledger import Balance
from backstop.model.liquidation_engine import LiquidationEngine
from backstop.model.loss_waterfall import LossWaterfall
from backstop.model.member_pool import MemberPool
from backstop.model.recovery_claims import RecoveryClaims

_NOBODY = "0x" + "00" * 20
_LARGEST = (1, 5, 10)
MODES = ("normal", "caution", "emergency")


class Exposure(NamedTuple):
    """Debt of a vault, an auction or a workout [rad], and the worth of its collateral [rad].

    A workout is the repayment of a called vault in instalments.
    """

    collateral_type: int
    owner: str
    locked: int
    debt: int
    worth: int

    @property
    def backed(self) -> int:
        """Part of the debt that the collateral would repay [rad]."""
        return min(self.debt, self.worth)

    @property
    def unbacked_debt(self) -> int:
        """Part of the debt that the collateral would not repay [rad]."""
        return self.debt - self.backed


def build_statement(
    model: ModelSystem, deployment: Deployment, price_jump_basis_points: int | None = None
) -> dict[str, Any]:
    """Return the whole solvency statement at the model's time, as JSON figures.

    `price_jump_basis_points` is the stress jump of perpetual markets; without it each market's jump is twice
    its initial margin.
    """
    whole, margin = (
        _StatementBuilder(model, deployment).build_statement(),
        build_margin_statement(model, deployment, price_jump_basis_points),
    )
    whole["checks"]["margin_gap_wad"] = "0" if margin is None else margin["gap_wad"]
    return whole | {"margin": margin}


def build_view(model: ModelSystem, deployment: Deployment) -> KeeperView:
    """Return the state as keepers see it, with the feed's prices, fresh or stale, as market prices."""
    contracts = model.world.contracts.items()
    tables = {name: contract.tables for name, contract in contracts}
    addresses = {name: contract.address for name, contract in contracts}
    types = range(len(deployment.parameters.collateral_types))
    prices = tuple(tables["PriceFeed"]["prices"][c].current for c in types)
    outside = MarketData(prices, 0, 0)
    return KeeperView(
        tables, addresses, model.timestamp, outside, deployment.parameters, number=model.next_block_number
    )


class _StatementBuilder:
    def __init__(self, model: ModelSystem, deployment: Deployment) -> None:
        self.model = model
        self.deployment = deployment
        self.parameters = deployment.parameters
        self.symbols = deployment.parameters.collateral_and_facilitator_names
        self.types = range(len(self.symbols))
        world = model.world
        self.engine: Mapping[str, Mapping[Any, Any]] = world.contracts["VaultEngine"].tables
        self._require_known_tokens_and_stages(deployment)
        self.waterfall = cast(LossWaterfall, world.contracts["LossWaterfall"])
        self.stage_names = stages_in_order(self.waterfall, deployment)
        self.liquidations = cast(LiquidationEngine, world.contracts["LiquidationEngine"])
        self.view = build_view(model, deployment)
        early = self.view.get_seconds_before_last_accrual()
        if early:
            raise BackstopError(
                f"block {model.world.block_number} is {early} s before a fee was last charged: the chain's "
                "time stepped back; wait until it is there again, or start the devnet anew"
            )
        self.prices = tuple(world.contracts["PriceFeed"].tables["prices"][c].current for c in self.types)
        self.debts: list[Debts] = [self.engine["ledger.debts"][c] for c in self.types]
        self.vaults = sorted(
            self._iter_vault_debt_exposures(), key=lambda each: (-each.debt, each.collateral_type, each.owner)
        )
        self.auctions = [
            Exposure(
                each.collateral_type,
                world.contracts["CollateralAuction"].tables["owners"][each.id].owner,
                each.lot,
                each.principal,
                each.lot * self.prices[each.collateral_type],
            )
            for each in self.view.auctions
        ]
        self.workouts = [
            Exposure(
                each.collateral_type,
                each.owner,
                each.lot,
                each.principal,
                each.lot * self.prices[each.collateral_type],
            )
            for each in self.view.workouts
        ]

    def _require_known_tokens_and_stages(self, deployment: Deployment) -> None:
        """Raise BackstopError if the chain's collateral types are not those of the deployment file."""
        count = self.model.view("VaultEngine", "collateral_types")
        listed = [self.engine["terms.of_types"][c].token for c in range(count)]
        if listed != [deployment.addresses[symbol] for symbol in self.symbols]:
            raise BackstopError(
                "the collateral types are not those of the deployment file: types that were added later are "
                "not supported"
            )

    def _iter_vault_debt_exposures(self) -> Iterator[Exposure]:
        for (c, owner), vault in self.engine["vaults"].items():
            locked = vault.locked_collateral
            if locked or vault.normalized_debt:
                debt = vault.normalized_debt * self.debts[c].accumulated_rate
                yield Exposure(c, owner, locked, debt, locked * self.prices[c])

    @property
    def exposures_in_auction_or_workout(self) -> list[Exposure]:
        """Exposures with principal that the ledger counts as under auction: auctions and workouts.

        Any other mechanism that moves principal out of vaults belongs here.
        """
        return [*self.auctions, *self.workouts]

    def list_vault_and_auction_exposures(self, collateral_type: int) -> list[Exposure]:
        return [
            each
            for each in (*self.vaults, *self.exposures_in_auction_or_workout)
            if each.collateral_type == collateral_type
        ]

    def build_statement(self) -> dict[str, Any]:
        stages, uncovered = self.describe_stages_and_uncovered_loss()
        return {
            "timestamp": self.model.timestamp,
            "mode": MODES[self.view.mode],
            "settling": bool(self.view.settlement.begun_at),
            "balance_sheet": self.balance_sheet(),
            "coverage": self.build_coverage(uncovered),
            "collateral_types": [self.describe_type(c) for c in self.types],
            "concentration": self.build_debt_concentration(),
            "maturity": [
                {"due": due, "due_at": at, "rad": str(rad)}
                for due, at, rad in iter_debts_by_due_time(self.view)
            ],
            "stages": stages,
            "stages_left_out": describe_removed_stages(self.waterfall, self.deployment, self.types),
            "risk_policy": build_policy_in_force_statement(self.model, self.deployment),
            "pending": describe_pending_stages_and_settlement(
                self.waterfall, self.view.settlement.announced_for, self.model
            ),
            "pools": self.describe_pools(),
            "claims": self.describe_claims(),
            "facilitators": self.describe_facilitators(),
            "auctions": self.open_auctions(),
            "workouts": self.open_workouts(),
            "sales": self.describe_equity_sales(),
            "calls": self.describe_margin_calls(),
            "flags": self.list_flagged_vaults_and_workouts(),
            "vaults": [self.describe_vault(each) for each in self.vaults],
            "powers": build_admin_rights_statement(self.model),
            "checks": self.compute_check_gaps(),
        }

    # ---------------------------------------------------------------------- sums

    def balance_sheet(self) -> dict[str, str]:
        system: Balance = self.engine["ledger.system"][()]
        supply = self.view.get_stablecoin_supply()
        buffers = sum(self.view.get_buffer(c) for c in self.types)
        performing = sum(debts.performing for debts in self.debts)
        in_auction = sum(self.view.get_principal_in_auction(c) for c in self.types)
        deficit, settled = sum(self.view.get_deficit(c) for c in self.types), self.view.get_settled_debt()
        return {
            "supply_wad": str(supply),
            "reserve_rad": str(system.reserve),
            "buffers_rad": str(buffers),
            "liabilities_rad": str(supply * RAY + system.reserve + buffers),
            "performing_rad": str(performing),
            "in_auction_rad": str(in_auction),
            "deficit_rad": str(deficit),
            "settled_rad": str(settled),
            "claims_on_others_rad": str(performing + in_auction + deficit + settled),
        }

    def build_coverage(self, uncovered: int) -> dict[str, Any]:
        """Return the backing of the stablecoin: debts as far as their collateral covers them [rad].

        The amount to cover is the unbacked debt and every deficit that no stage of the loss waterfall has
        reserved.
        """
        exposures = [*self.vaults, *self.exposures_in_auction_or_workout]
        backed, short = (
            sum(getattr(each, name) for each in exposures) for name in ("backed", "unbacked_debt")
        )
        debt = sum(each.debt for each in exposures)
        worth, supply = sum(each.worth for each in exposures), self.view.get_stablecoin_supply() * RAY
        needed = short + sum(self.compute_unreserved_deficit(c) for c in self.types)
        return {
            "collateral_rad": str(worth),
            "backed_rad": str(backed),
            "short_rad": str(short),
            "reserved_rad": str(sum(self.waterfall.reserved_of(_NOBODY, c) for c in self.types)),
            "to_cover_rad": str(needed),
            "uncovered_rad": str(uncovered),
            "collateral_bps": _compute_optional_share_in_bps(worth, debt),
            "backing_bps": _compute_optional_share_in_bps(backed, supply),
            "coverage_bps": _compute_optional_share_in_bps(needed - uncovered, needed),
        }

    def describe_type(self, collateral_type: int) -> dict[str, Any]:
        debts, view = self.debts[collateral_type], self.view
        exposures = self.list_vault_and_auction_exposures(collateral_type)
        unsafe = view.get_terms(collateral_type).liquidation_ratio
        vaults = [each for each in self.vaults if each.collateral_type == collateral_type]
        worth, debt = sum(each.worth for each in exposures), sum(each.debt for each in exposures)
        total = sum(each.performing for each in self.debts)
        return {
            "symbol": self.symbols[collateral_type],
            "price_ray": str(self.prices[collateral_type]),
            "fresh": self.model.timestamp <= view.get_feed_price_record(collateral_type).fresh_until,
            "vaults": sum(each.debt > 0 for each in vaults),
            "unsafe_vaults": sum(
                each.worth * BASIS_POINTS
                < each.debt * unsafe + view.compute_margin_add_on(collateral_type, each.debt)
                for each in vaults
            ),
            "locked_wad": str(sum(each.locked for each in vaults)),
            "performing_rad": str(debts.performing),
            "unbooked_fees_rad": str(
                debts.normalized_debt
                * max(0, view.get_current_rate(collateral_type) - debts.accumulated_rate)
            ),
            "in_auction_rad": str(view.get_principal_in_auction(collateral_type)),
            "deficit_rad": str(view.get_deficit(collateral_type)),
            "doubt_rad": str(view.sum_deficit_auctions_and_flags(collateral_type)),
            "buffer_rad": str(view.get_buffer(collateral_type)),
            "short_rad": str(sum(each.unbacked_debt for each in exposures)),
            "ceiling_rad": str(view.get_terms(collateral_type).debt_ceiling * RAD),
            "collateral_bps": _compute_optional_share_in_bps(worth, debt),
            "of_debt_bps": _compute_optional_share_in_bps(debts.performing, total),
        }

    def build_debt_concentration(self) -> dict[str, Any]:
        """Return the concentration of performing debt by owner, over all collateral types.

        The figures are the shares of the largest owners and the Herfindahl index [basis points]; 10,000 is a
        single owner.
        """
        by_owner: dict[str, int] = {}
        for each in self.vaults:
            if each.debt:
                by_owner[each.owner] = by_owner.get(each.owner, 0) + each.debt
        debts = sorted(by_owner.values(), reverse=True)
        total = sum(debts)
        return {
            "owners": len(debts),
            "largest": [
                {"owners": n, "bps": _compute_optional_share_in_bps(sum(debts[:n]), total)} for n in _LARGEST
            ],
            "herfindahl_bps": _compute_optional_share_in_bps(
                sum(debt * debt for debt in debts), total * total
            ),
        }

    def compute_check_gaps(self) -> dict[str, str]:
        """Return the differences between the books' totals and the sums over vaults, auctions and flags.

        Each difference is 0 in a complete statement.
        """
        sheet = self.balance_sheet()
        vaults = auctions = flags = 0
        of_vaults, kept = (
            self.view.get_flagged_debt_by_vault(),
            self.liquidations.tables["vault_flags.of_types"],
        )
        for c in self.types:
            owed = sum(each.debt for each in self.vaults if each.collateral_type == c)
            vaults += abs(self.debts[c].performing - owed)
            selling = sum(
                each.debt for each in self.exposures_in_auction_or_workout if each.collateral_type == c
            )
            auctions += abs(self.view.get_principal_in_auction(c) - selling)
            flagged = sum(debt for (of, _), debt in of_vaults.items() if of == c)
            flags += abs(int(kept[c]) - flagged)
        gap = int(sheet["liabilities_rad"]) - int(sheet["claims_on_others_rad"])
        return {
            "balance_gap_rad": str(gap),
            "vaults_gap_rad": str(vaults),
            "auctions_gap_rad": str(auctions),
            "flags_gap_wad": str(flags),
        }

    # --------------------------------------------------------------------- losses

    def compute_unreserved_deficit(self, collateral_type: int) -> int:
        """Return the part of a type's deficit that no stage of the loss waterfall has reserved yet [rad]."""
        return max(
            0, self.view.get_deficit(collateral_type) - self.waterfall.reserved_of(_NOBODY, collateral_type)
        )

    def describe_stages_and_uncovered_loss(self) -> tuple[list[dict[str, Any]], int]:
        """Return balance and payments of each stage of the loss waterfall, and the uncovered loss [rad].

        The allowed payment is per collateral type, under the stage's caps. The full-loss payment assumes that
        all shortfalls were lost now, in the order of the waterfall, each type's in turn. A stage that sells
        equity counts at the floor of its auctions. While the stage is selling for a type, its allowed payment
        for that type is None.
        """
        view, waterfall = self.view, self.waterfall
        left = [
            self.compute_unreserved_deficit(c)
            + sum(each.unbacked_debt for each in self.list_vault_and_auction_exposures(c))
            for c in self.types
        ]
        settling = view.settlement.begun_at != 0
        rows = []
        for k, name in self.stage_names.items():
            kind, spent = STAGES[name], 0
            has: list[int] = []
            may: list[str | None] = []
            for c in self.types:
                if waterfall.reserved(_NOBODY, c, k):
                    may.append(None)
                    continue
                capacity = waterfall._read_stage_answer_and_capacity(k, c)[1]
                has.append(capacity)
                may.append(str(waterfall._compute_room(c, k, capacity, settling=settling)))
                more = spent if kind.pooled else 0
                room = waterfall._compute_room(c, k, capacity - min(capacity, more), more, settling)
                amount = min(left[c], room)
                left[c] -= amount
                spent += amount
            terms = waterfall.stage_terms(_NOBODY, k)
            rows.append(
                {
                    "stage": name,
                    "contract": kind.contract,
                    "capacity_rad": str(max(has, default=0) if kind.pooled else sum(has)),
                    "payable_rad": may,
                    "cap_bps": terms.cap_bps,
                    "would_pay_rad": str(spent),
                    **describe_stage_debts(waterfall, k, self.types),
                }
            )
        return rows, sum(left)

    def describe_pools(self) -> list[dict[str, Any]]:
        """Return the assets and shares of each pool [wad], and the losses that it will bear.

        Losses are None for a pool of equity that never had a price.
        """
        names = [POOLS[name][0] for name in (*list_pools(self.parameters), "staked_equity")]
        rows = []
        for name in names:
            pool = self.model.world.contracts.get(name)
            if not isinstance(pool, MemberPool):
                continue
            try:
                pending: str | None = str(pool.pending_losses(_NOBODY))
            except RevertError:  # equity that never had a price
                pending = None
            rows.append(
                {
                    "pool": name,
                    "assets_wad": str(pool.totalAssets(_NOBODY)),
                    "unvested_wad": str(pool.unvested(_NOBODY)),
                    "pending_losses_wad": pending,
                    "shares_wad": str(pool.totalSupply(_NOBODY)),
                }
            )
        return rows

    def describe_claims(self) -> list[dict[str, Any]]:
        """Return the recovery claims that pool members hold for losses they bore [wad], by pool."""
        return [
            {
                "series": name,
                "outstanding_wad": str(contract.outstanding(_NOBODY)),
                "tokens_wad": str(contract.tokens(_NOBODY)),
            }
            for name, contract in self.model.world.contracts.items()
            if isinstance(contract, RecoveryClaims)
        ]

    # ------------------------------------------------------------------ one by one

    def describe_vault(self, each: Exposure) -> dict[str, Any]:
        return {
            "symbol": self.symbols[each.collateral_type],
            "owner": each.owner,
            "locked_wad": str(each.locked),
            "debt_rad": str(each.debt),
            "collateral_bps": _compute_optional_share_in_bps(each.worth, each.debt),
            "short_rad": str(each.unbacked_debt),
        }

    def open_auctions(self) -> list[dict[str, Any]]:
        return [
            {
                "id": auction.id,
                "symbol": self.symbols[auction.collateral_type],
                "owner": exposure.owner,
                "lot_wad": str(auction.lot),
                "target_wad": str(auction.target),
                "principal_rad": str(auction.principal),
                "price_ray": str(auction.price),
                "started_at": auction.started_at,
                "needs_reset": auction.needs_reset,
                "short_rad": str(exposure.unbacked_debt),
            }
            for auction, exposure in zip(self.view.auctions, self.auctions, strict=True)
        ]

    def open_workouts(self) -> list[dict[str, Any]]:
        """Return the open workouts: called vaults with a postponed auction, repaid in instalments.

        `left_wad` is the remaining principal and premium.
        """
        view = self.view
        return [
            {
                "id": workout.id,
                "symbol": self.symbols[workout.collateral_type],
                "owner": workout.owner,
                "lot_wad": str(workout.lot),
                "principal_rad": str(workout.principal),
                "left_wad": str(workout.left),
                "instalments": workout.instalments,
                "met": workout.met,
                "due_at": workout.next_due_time,
                "good_standing": workout.is_in_good_standing(
                    view.timestamp, view.get_liquidation_price(workout.collateral_type)
                ),
                "short_rad": str(exposure.unbacked_debt),
            }
            for workout, exposure in zip(view.workouts, self.workouts, strict=True)
        ]

    def describe_facilitators(self) -> list[dict[str, Any]]:
        """Return the debt, the credit line, and the booked and announced losses of each bridge facilitator.

        An announced loss is booked from `ready_at` on.
        """
        return [
            {
                "symbol": name,
                "debt_rad": str(self.debts[facilitator.collateral_type].performing),
                "line_rad": str(self.view.get_terms(facilitator.collateral_type).debt_ceiling * RAD),
                "lost_wad": str(facilitator.lost),
                "announced_wad": str(facilitator.announced),
                "ready_at": facilitator.ready_at or None,
            }
            for name, facilitator in self.view.facilitators_by_name.items()
        ]

    def describe_equity_sales(self) -> list[dict[str, Any]]:
        """Return the open auctions of equity that raise stablecoin for deficits."""
        return [
            {
                "contract": sale.contract,
                "symbol": self.symbols[sale.collateral_type],
                "lot_wad": str(sale.lot),
                "target_wad": str(sale.target),
                "price_ray": str(sale.price),
                "over": sale.over,
            }
            for sale in self.view.equity_auctions
        ]

    def describe_margin_calls(self) -> list[dict[str, Any]]:
        """Return the margin calls that are neither met nor expired."""
        return [
            {
                "symbol": symbol,
                "owner": call.owner,
                "called_at": call.called_at,
                "due_at": call.due,
                "expires_at": call.expires,
            }
            for c, symbol in enumerate(self.symbols)
            for call in self.view.list_margin_calls(c)
        ]

    def list_flagged_vaults_and_workouts(self) -> list[dict[str, Any]]:
        """Return the vaults and workouts with debt that is flagged as doubtful [rad].

        The debt is as of the last update of each flag.
        """
        rates = [debts.accumulated_rate for debts in self.debts]
        rows: list[dict[str, Any]] = [
            {"symbol": self.symbols[c], "owner": owner, "workout": None, "rad": str(debt * rates[c])}
            for (c, owner), debt in sorted(self.view.get_flagged_debt_by_vault().items())
        ]
        rows += [
            {
                "symbol": self.symbols[each.collateral_type],
                "owner": each.owner,
                "workout": each.id,
                "rad": str(each.principal),
            }
            for each in self.view.workouts
            if each.flagged
        ]
        return rows


def iter_debts_by_due_time(view: KeeperView) -> Iterator[tuple[str, int | None, int]]:
    """Yield debts by due time: kind, timestamp and amount [rad].

    The timestamp is None for debt without a due time, which the owner repays at will unless the vault becomes
    unsafe. A vault with a margin call counts at the time from which it may be liquidated. The remainder of a
    workout counts at its instalments, the premium included. Any other mechanism that gives debts a due date
    belongs here.
    """
    called: Counter[int] = Counter()
    for c in view.types:
        rate = view.get_debts(c).accumulated_rate
        for call in view.list_margin_calls(c):
            called[call.due] += view.get_vault(c, call.owner).normalized_debt * rate
    instalments: Counter[int] = Counter()
    for workout in view.workouts:
        for k in range(workout.met + 1, workout.instalments + 1):
            instalments[workout.get_due_time(k)] += (
                workout.compute_arrears(k) - workout.compute_arrears(k - 1)
            ) * RAY
    for what, due in (("margin call", called), ("instalment", instalments)):
        yield from ((what, at, rad) for at, rad in sorted(due.items()) if rad)
    performing = sum(view.get_debts(c).performing for c in view.types)
    yield "on demand", None, performing - called.total()


def _compute_optional_share_in_bps(part: int, whole: int) -> int | None:
    """Return a share in basis points, rounded down; None if the whole is 0."""
    return part * BASIS_POINTS // whole if whole else None
