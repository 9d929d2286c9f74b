"""A pool with its assets in one account of the markets; see contracts/PerpetualLiquidityVault.vy.

With V the cash of the account at rest and S the shares, entry creates floor(a*(S + 1e6) / (V + 1)) shares and
exit pays floor(s*(V + 1) / (S + 1e6)). An entry that would meet a price driven towards zero divides all
shares first; where less than LEAST_ASSETS is left it voids them. Amounts in wad, sizes in lots, prices in wei
a lot.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.contract_base import (
    RevertError,
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.evm_crypto import keccak256
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, WAD, add_uint256, div_up, mul_uint256, sub
from backstop.model.denominations import (
    LEAST_ASSETS,
    VIRTUAL_ASSETS,
    VIRTUAL_SHARES,
    VOID,
    convert_shares,
    count_generation_steps,
)
from backstop.model.interfaces import IERC20, IAccounts, IMarginPolicy, IPerpetualMarket, MarginAccount
from backstop.model.margin_orders import Order, order_digest
from backstop.model.roles import Administered
from backstop.model.shares import Shares
from backstop.model.signature_check import IS_VALID

KEEPER = keccak256(b"KEEPER")
"""May have the pool take risk."""
VALID, NOT_VALID = IS_VALID[:4], b"\xff" * 4
CRUMBS = 10**4
"""A request of less than this part of all shares makes no other request wait."""


class Wiring(NamedTuple):
    """Addresses of the market, trading and order contracts and of the vault's admin.

    The admin names keepers and sets limits.
    """

    market: str
    trading: str
    orders: str
    admin: str


class Rules(NamedTuple):
    """Constant rules of a liquidity vault: withdrawal notice, leverage and terms of its quotes."""

    notice: int  # seconds in a batch, and from its end until it is due
    leverage: int  # basis points of what it has, that all positions may be together
    spread: int  # basis points off the mark that it quotes at least
    share: int  # basis points of a position that one quote offers
    quote_time: int  # seconds that a quote runs


@declare_record_slot_bit_widths(64, 32, 32)
class Batch(NamedTuple):
    """Batch of withdrawal requests in a linked list: the number of open requests, and its neighbours.

    Requests of less than 1/`CRUMBS` of all shares are not counted.
    """

    requests: int = 0
    next: int = 0  # 0 is none
    previous: int = 0


@declare_record_slot_bit_widths(152, 1, 32)
class Request(NamedTuple):
    """Shares that a controller has committed to a withdrawal batch.

    `counts` tells whether the batch's number of requests includes this request. Requests of less than
    1/`CRUMBS` of all shares are not counted.
    """

    shares: int = 0
    counts: bool = False
    generation: int = 0  # of the shares


@declare_record_slot_bit_widths(64, 64)
class Quote(NamedTuple):
    """Offer of lots from the vault's position, down to `down_to` lots, and its expiry [seconds]."""

    down_to: int = 0  # lots
    until: int = 0  # seconds


def encode_offer(market: int, size: int, price: int, expiry: int, nonce: int) -> bytes:
    """Return the signature bytes by which the vault signs an order; they encode the order's fields."""
    return b"".join((each % 2**256).to_bytes(32, "big") for each in (market, size, price, expiry, nonce))


class PerpetualLiquidityVault(Administered, Shares):
    """Pool of stablecoin that takes over liquidated positions in perpetual markets.

    Members share its gains and losses. Model of contracts/PerpetualLiquidityVault.vy.
    """

    KIND = "PerpetualLiquidityVault"

    asset_address = immutable("asset", str)
    market_address = immutable("MARKET", str)
    trading_address = immutable("TRADING", str)
    orders_address = immutable("ORDERS", str)
    policy_address = immutable("POLICY", str)
    mark_age = immutable("MARK_AGE", int)
    notice = immutable("NOTICE", int)
    leverage = immutable("LEVERAGE", int)
    spread = immutable("SPREAD", int)
    share = immutable("SHARE", int)
    quote_time = immutable("QUOTE_TIME", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        token_name: str,
        token_symbol: str,
        wiring: Wiring,
        rules: Rules,
    ) -> None:
        wired, terms = Wiring(*wiring), Rules(*rules)
        super().__init__(world, name, address, wired.admin, token_name, token_symbol)
        require(
            bounds.MIN_BATCH_TIME <= terms.notice <= bounds.MAX_BATCH_TIME, "liquidity_vault: notice bounds"
        )
        require(0 < terms.leverage <= bounds.MAX_LEVERAGE, "liquidity_vault: leverage bounds")
        require(terms.spread <= bounds.MAX_BAND, "liquidity_vault: spread bounds")
        require(0 < terms.share <= BASIS_POINTS, "liquidity_vault: share bounds")
        quoted = bounds.MIN_QUOTE_TIME <= terms.quote_time <= bounds.MAX_QUOTE_TIME
        require(quoted, "liquidity_vault: quote bounds")
        self.market_address = wired.market
        self.trading_address = wired.trading
        self.orders_address = wired.orders
        self.asset_address = self.accounts.STABLECOIN(address)
        self.policy_address = self.accounts.POLICY(address)
        self.mark_age = self.accounts.MARK_AGE(address)
        self.notice = terms.notice
        self.leverage = terms.leverage
        self.spread = terms.spread
        self.share = terms.share
        self.quote_time = terms.quote_time
        self.limits = self.table("limit")
        self.quotes = self.table("quotes", Quote())
        self.era = self.table("era")
        self.batches = self.table("batches", Batch())
        self.requests = self.table("requests", Request())
        self.coin.approve(address, wired.market, MAX_UINT256)

    @property
    def accounts(self) -> IAccounts:
        """Perpetual markets contract, with the functions for account owners."""
        return cast(IAccounts, self.world.at(self.market_address))

    @property
    def market(self) -> IPerpetualMarket:
        """Perpetual markets contract, with the functions for its trading contract."""
        return cast(IPerpetualMarket, self.world.at(self.market_address))

    @property
    def trading(self) -> IAccounts:
        """Trading contract of the perpetual markets, with the functions for account owners."""
        return cast(IAccounts, self.world.at(self.trading_address))

    @property
    def coin(self) -> IERC20:
        """Stablecoin that the vault's margin account holds."""
        return cast(IERC20, self.world.at(self.asset_address))

    @property
    def policy(self) -> IMarginPolicy:
        """Margin policy, which provides the mark prices."""
        return cast(IMarginPolicy, self.world.at(self.policy_address))

    # ------------------------------------------------------------------ entry

    @external
    def deposit(self, sender: str, assets: int, receiver: str) -> int:
        """Deposit stablecoin [wad], and return the shares minted to the receiver, rounded down.

        Reverts while the vault has a position.
        """
        supply, held = self._begin_entry()
        minted = mul_uint256(assets, supply) // held
        self._enter_pool(sender, assets, minted, receiver)
        return minted

    @external
    def mint(self, sender: str, shares: int, receiver: str) -> int:
        """Mint a number of shares to the receiver, and return the stablecoin taken [wad, rounded up].

        Reverts while the vault has a position.
        """
        supply, held = self._begin_entry()
        assets = div_up(mul_uint256(shares, held), supply)
        self._enter_pool(sender, assets, shares, receiver)
        return assets

    # ------------------------------------------------------------------- exit

    @external
    def requestRedeem(self, sender: str, shares: int, controller: str, owner: str) -> int:
        """Commit an owner's shares to the current withdrawal batch permanently, and return its number.

        The controller is paid after the notice. A caller other than the owner spends an allowance.
        """
        require(shares != 0, "liquidity_vault: empty request")
        self._check_receiver(controller)
        if sender != owner:
            self._spend_allowance(owner, sender, shares)
        self._renew_record(owner, 0)
        self._renew_record(self.address, 0)
        self._transfer_shares(owner, self.address, shares)
        number = self.world.timestamp // self.notice
        request = self._load_request(number, controller)
        asked = request.shares + shares
        counts = request.counts or asked * CRUMBS >= self.state[()].supply
        if counts and not request.counts:
            self._add_request_to_batch_list(number)
        self.requests[self.era[()], number, controller] = request._replace(shares=asked, counts=counts)
        self.emit("RedeemRequest", controller, owner, number, sender, shares)
        return int(number)

    @external
    def leave(self, sender: str, batch: int, controller: str) -> int:
        """Pay a withdrawal request whose notice is over, and return the stablecoin paid and locked [wad].

        Deposits are paid at once, profit is locked until it vests. Any account may call this, but while the
        markets have late losses (losses that no gain could pay) only the controller may. Reverts while the
        vault has a position.
        """
        key = self.era[()], batch, controller
        require(self.requests[key] != Request(), "liquidity_vault: no request")
        request = self._load_request(batch, controller)
        shares = request.shares
        require(self.world.timestamp >= self._compute_due_time(batch), "liquidity_vault: notice runs")
        self.market.update_account(self.address, self.address)
        require(self._has_no_position(), "liquidity_vault: at work")
        late = self.accounts.late(self.address)
        require(late == 0 or sender == controller, "liquidity_vault: losses are late")
        held = self._get_account_cash()
        assets = shares * (held + VIRTUAL_ASSETS) // (self.state[()].supply + VIRTUAL_SHARES)
        self.requests[key] = Request()
        if request.counts:
            self._remove_request_from_batch_list(batch)
        self._renew_record(self.address, 0)
        self._burn_shares(self.address, shares)
        self.emit("Withdraw", sender, controller, controller, assets, shares)
        if assets == 0:
            return 0
        paid_in = min(self.accounts.paid_in(self.address, self.address), held)
        profit = div_up(assets * (held - paid_in), held)
        if profit == 0 or late != 0:
            return self.accounts.withdraw(self.address, assets, controller)
        # Deposits come first: once they are out, what follows is profit, of whoever it is for.
        own = assets - profit
        if paid_in != 0:
            self.accounts.withdraw(self.address, paid_in, self.address)
        self.accounts.withdraw(self.address, profit, controller)
        if paid_in != own:
            self.accounts.deposit(self.address, self.address, paid_in - own)
        if own != 0:
            self.coin.transfer(self.address, controller, own)
        return int(assets)

    # ------------------------------------------------------------------- risk

    @external
    def take(self, sender: str, market: int, lots: int) -> None:
        """Take over unassigned lots of insolvent accounts in a market. Only a keeper may call this.

        Reverts if the new position breaks the vault's limits.
        """
        self._check_role(sender, KEEPER)
        waiting = self._has_due_members_after_update()
        before = self._get_size(market)
        self.trading.take(self.address, market, lots)
        self._check_risk(market, before, waiting)

    @external
    def liquidate(self, sender: str, owner: str, market: int, lots: int) -> int:
        """Take over lots of an account under its maintenance margin, and return the reward [wad].

        Only a keeper may call this. Reverts if the new position breaks the vault's limits.
        """
        self._check_role(sender, KEEPER)
        waiting = self._has_due_members_after_update()
        before = self._get_size(market)
        reward = self.trading.liquidate(self.address, owner, market, lots)
        self._check_risk(market, before, waiting)
        return reward

    # ----------------------------------------------------------------- quotes

    @external
    def quote(self, sender: str, market: int) -> None:
        """Offer a share of the vault's position in a market for sale, for the quote time.

        Any account may call this. Reverts without a position, or while the last quote is valid.
        """
        require(self.world.timestamp >= self.quotes[market].until, "liquidity_vault: quote runs")
        size = self._get_size(market)
        require(size != 0, "liquidity_vault: none to quote")
        down_to = abs(size) - div_up(abs(size) * self.share, BASIS_POINTS)
        until = self.world.timestamp + self.quote_time
        self.quotes[market] = Quote(down_to, until)
        self.emit("Quoted", market, size, down_to, until)

    @view
    def isValidSignature(self, sender: str, digest: bytes, signature: bytes) -> bytes:
        """Return the ERC-1271 magic value if the vault accepts this order, else 0xffffffff.

        `signature` encodes the order (see `encode_offer`). The order must be within the market's quote and
        reduce the position. Its price must be better than the mark price by at least the spread.
        """
        if len(signature) != 160:
            raise RevertError("")
        market, size, price, expiry, nonce = (
            int.from_bytes(signature[32 * i : 32 * i + 32], "big") for i in range(5)
        )
        size -= 2**256 if size >= 2**255 else 0
        order = Order(self.address, market, size, price, expiry, nonce, True)
        if digest != order_digest(order, self.world.chain_id, self.orders_address):
            return NOT_VALID
        found, held = self.quotes[market], self._get_size(market)
        if self.world.timestamp >= found.until or abs(held) <= found.down_to:
            return NOT_VALID
        left = abs(held) - found.down_to
        mark = self.policy.mark_price(self.address, market, self.mark_age)
        if mark.price == 0:
            return NOT_VALID
        if held > 0:
            least = div_up(mark.high * (BASIS_POINTS + self.spread), BASIS_POINTS)
            good = 0 > size >= -left and price >= least
        else:
            most = mark.low * (BASIS_POINTS - self.spread) // BASIS_POINTS
            good = 0 < size <= left and price <= most
        return VALID if good else NOT_VALID

    # ------------------------------------------------------------- parameters

    @external
    def set_limit(self, sender: str, market: int, new: int) -> None:
        """Set the largest position in a market [whole stablecoins of notional value].

        Only the admin may call this.
        """
        self._only_admin(sender)
        require(new <= bounds.MAX_GLOBAL_DEBT_CEILING, "liquidity_vault: limit bounds")
        self.limits[market] = new
        self.emit("LimitSet", market, new)

    # ------------------------------------------------------------------ views

    @view
    def is_idle(self, sender: str) -> bool:
        """Return True if the vault has no position and no debt, so that members may enter and leave.

        The result is that of the account's last update.
        """
        return self._has_no_position()

    @view
    def totalAssets(self, sender: str) -> int:
        """Return the cash of the vault's margin account at its last update [wad]; 0 if it is negative."""
        return self._get_account_cash()

    @view
    def convertToShares(self, sender: str, assets: int) -> int:
        """Return the shares for an amount of stablecoin [wad], rounded down, as if no position were open."""
        supply, held, _ = self._entry_terms()
        return mul_uint256(assets, supply) // held

    @view
    def convertToAssets(self, sender: str, shares: int) -> int:
        """Return the stablecoin [wad] for a number of shares, rounded down, as if no position were open."""
        return mul_uint256(shares, self._get_account_cash() + VIRTUAL_ASSETS) // (
            int(self.state[()].supply) + VIRTUAL_SHARES
        )

    @view
    def request_of(self, sender: str, batch: int, controller: str) -> int:
        """Return the shares of a withdrawal request that is not paid yet, after all share divisions."""
        return self._load_request(batch, controller).shares

    @view
    def batch_of(self, sender: str, batch: int) -> Batch:
        """Return the number of unpaid requests of a withdrawal batch, and its neighbours in the list."""
        return cast(Batch, self.batches[self.era[()], batch])

    @view
    def due_at(self, sender: str, batch: int) -> int:
        """Return the time from which the requests of a withdrawal batch can be paid [seconds]."""
        return self._compute_due_time(batch)

    @view
    def first_batch(self, sender: str) -> int:
        """Return the number of the oldest withdrawal batch with unpaid requests; 0 if there is none."""
        return int(self.state[()].mark % 2**32)

    @view
    def quote_of(self, sender: str, market: int) -> Quote:
        """Return the vault's last offer of lots in a market, with its expiry [seconds]."""
        return cast(Quote, self.quotes[market])

    @view
    def limit(self, sender: str, market: int) -> int:
        """Return the largest position allowed in a market [whole stablecoins of notional value]."""
        return int(self.limits[market])

    @view
    def room(self, sender: str, market: int) -> int:
        """Return the lots that the vault may add to its position in a market, at the current mark price.

        0 without a mark price, or while due withdrawals go first.
        """
        mark = self.policy.mark_price(self.address, market, self.mark_age).price
        if mark == 0 or self._is_due():
            return 0
        most, held = self.limits[market] * WAD // mark, abs(self._get_size(market))
        free = self._compute_value_without_unfinal_gains()
        if free <= 0 or most <= held:
            return 0
        by_money = free * self.leverage // BASIS_POINTS
        return int(min(most - held, max(0, by_money - self._compute_notional()) // mark))

    # ---------------------------------------------------------------- helpers

    def waiting(self) -> list[tuple[int, str, Request]]:
        """Return (batch, controller, request) of all unpaid withdrawal requests.

        Shares are counted after all share divisions.
        """
        return [
            (batch, who, self._load_request(batch, who))
            for (era, batch, who), each in self.requests.items()
            if era == self.era[()] and each.shares
        ]

    def _begin_entry(self) -> tuple[int, int]:
        """Divide or void shares if a deposit needs it, and return the shares and assets that price it."""
        self.market.update_account(self.address, self.address)
        require(self._has_no_position(), "liquidity_vault: not idle")
        supply, held, steps = self._entry_terms()
        if steps:
            state = self.state[()]
            begun = self._advance_share_generations(steps)
            if steps == VOID:
                self.era[()] += 1
                self.emit("NewGeneration", begun.generation, state.supply)
            else:
                self._set_mark(state.mark)
                self.emit("SharesDivided", begun.generation, steps)
        return supply, held

    def _enter_pool(self, sender: str, assets: int, shares: int, receiver: str) -> None:
        require(shares != 0, "liquidity_vault: no shares")
        self._check_receiver(receiver)
        self._renew_record(receiver, 0)
        self._mint_shares(receiver, shares)
        self.emit("Deposit", sender, receiver, assets, shares)
        self.coin.transferFrom(self.address, sender, self.address, assets)
        self.accounts.deposit(self.address, self.address, assets)

    def _move_tokens(self, owner: str, to: str, amount: int) -> None:
        self._check_receiver(to)
        self._renew_record(owner, 0)
        self._renew_record(to, 0)
        self._transfer_shares(owner, to, amount)

    def _load_margin_account(self) -> MarginAccount:
        return self.accounts.account_of(self.address, self.address)

    def _has_no_position(self) -> bool:
        account = self._load_margin_account()
        return account.markets == 0 and account.cash >= 0

    def _get_account_cash(self) -> int:
        return max(0, int(self._load_margin_account().cash))

    def _entry_terms(self) -> tuple[int, int, int]:
        """Return the shares and assets that price a deposit, and the number of share divisions before it."""
        supply, held = self.state[()].supply, self._get_account_cash()
        steps = VOID if supply and held < LEAST_ASSETS else count_generation_steps(supply, held)
        return convert_shares(supply, 0, steps) + VIRTUAL_SHARES, held + VIRTUAL_ASSETS, steps

    def _compute_due_time(self, batch: int) -> int:
        return mul_uint256(add_uint256(batch, 2), self.notice)

    def _is_due(self) -> bool:
        """Return True if due withdrawals must be paid before the vault takes new risk."""
        first = self.state[()].mark % 2**32
        if first == 0 or self.world.timestamp < self._compute_due_time(first):
            return False
        if self.accounts.late(self.address) != 0:
            return False
        return self.world.timestamp >= self._compute_due_time(first + 1) or self._has_no_position()

    def _has_due_members_after_update(self) -> bool:
        """Update the vault's margin account, and return True if due withdrawals go before new risk."""
        self.market.update_account(self.address, self.address)
        return self._is_due()

    def _check_risk(self, market: int, before: int, waiting: bool) -> None:
        """Revert if a position that has grown breaks a limit of the vault, or if due withdrawals wait.

        `before` is the size of the position in lots before the change.
        """
        size = self._get_size(market)
        if abs(size) <= abs(before) and size * before >= 0:
            return
        require(not waiting, "liquidity_vault: members are due")
        used = 0
        for held in self.market.holdings_of(self.address, self.address):
            notional = abs(held.size) * held.price
            if held.market == market:
                require(notional <= self.limits[market] * WAD, "liquidity_vault: above its limit")
            used += notional
        require(
            used * BASIS_POINTS <= self._compute_value_without_unfinal_gains() * self.leverage,
            "liquidity_vault: too little cash",
        )

    def _get_size(self, market: int) -> int:
        held = self.market.holdings_of(self.address, self.address)
        return next((each.size for each in held if each.market == market), 0)

    def _compute_notional(self) -> int:
        held = self.market.holdings_of(self.address, self.address)
        return sum(abs(each.size) * each.price for each in held)

    def _compute_value_without_unfinal_gains(self) -> int:
        """Return the margin account's value less known haircuts and gains that are not final [wei].

        A haircut is the part of a gain that pays other accounts' losses.
        """
        standing = self.market.standing_of(self.address, self.address)
        return standing.own - standing.haircut - standing.unfinal

    def _load_request(self, number: int, controller: str) -> Request:
        """Return a withdrawal request, with its shares after all share divisions, rounded down."""
        request: Request = self.requests[self.era[()], number, controller]
        generation = self.state[()].generation
        return Request(
            convert_shares(request.shares, request.generation, generation), request.counts, generation
        )

    def _add_request_to_batch_list(self, number: int) -> None:
        """Add a request to the count of the current batch, and append the batch to the list if it is new."""
        era = self.era[()]
        batch, mark = self.batches[era, number], self.state[()].mark
        first, last = mark % 2**32, mark >> 32
        if last != number:
            if last == 0:
                first = number
            else:
                batch = batch._replace(previous=last)
                self.batches[era, last] = self.batches[era, last]._replace(next=number)
            self._set_mark(first | number << 32)
        self.batches[era, number] = batch._replace(requests=batch.requests + 1)

    def _remove_request_from_batch_list(self, number: int) -> None:
        """Subtract a request from a batch's count, and remove an empty batch from the list."""
        era = self.era[()]
        batch = self.batches[era, number]
        left = sub(batch.requests, 1)
        if left != 0:
            self.batches[era, number] = batch._replace(requests=left)
            return
        mark = self.state[()].mark
        first, last = mark % 2**32, mark >> 32
        if batch.previous == 0:
            first = batch.next
        else:
            before = self.batches[era, batch.previous]
            self.batches[era, batch.previous] = before._replace(next=batch.next)
        if batch.next == 0:
            last = batch.previous
        else:
            after = self.batches[era, batch.next]
            self.batches[era, batch.next] = after._replace(previous=batch.previous)
        self.batches[era, number] = Batch()
        self._set_mark(first | last << 32)
