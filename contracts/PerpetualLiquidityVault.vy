# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title PerpetualLiquidityVault
@license GNU Affero General Public License v3.0 only
@notice A pool with its money in one account in the perpetual markets. It takes over unassigned lots and
        positions of accounts under their maintenance margin, before any account is deleveraged, and sells
        them again at the mark or better. Members enter and leave while the account is at rest: it has no
        position, no gain that is not final, no bond and no debt (docs/reference/backstop-pool.md).
@dev With V the cash of the account at rest, and S the shares:
     entry   shares = floor(a * (S + 1e6) / (V + 1))
     exit    x = floor(s * (V + 1) / (S + 1e6))
     An entry that would meet a price driven towards zero divides all shares first (see denominations); where
     less than LEAST_ASSETS is left it voids them, and a new era of requests begins.
     No money stays here. Batches with requests are a list in the order of their days: its ends are the mark
     of the shares' state (see shares). A batch counts requests, not shares: parts that are divided one by one
     differ from their sum. Packed by hand: one record is one slot, the first field at bit 0.
"""
from ethereum.ercs import IERC20
from ethereum.ercs import IERC4626

from contracts.interfaces import IAccounts
from contracts.interfaces import IMarginPolicy
from contracts.interfaces import IPerpetualMarket
from contracts.modules import bounds
from contracts.modules import denominations
from contracts.modules import roles
from contracts.modules import shares as token
from contracts.modules import units

implements: IERC20

initializes: roles
initializes: token

exports: (
    roles.admin,
    roles.pending_admin,
    roles.transfer_admin,
    roles.accept_admin,
    roles.grant_role,
    roles.revoke_role,
    roles.has_role,
    token.name,
    token.symbol,
    token.decimals,
    token.totalSupply,
    token.balanceOf,
    token.allowance,
    token.approve,
    token.permit,
    token.nonces,
    token.DOMAIN_SEPARATOR,
    token.eip712Domain,
    token.generation,
)


event RedeemRequest:
    controller: indexed(address)
    owner: indexed(address)
    requestId: indexed(uint256)  # [id] the batch
    sender: address
    shares: uint256  # [shares]


event Quoted:
    market: indexed(uint256)  # [id]
    size: int256  # [lots] of the position
    down_to: uint256  # [lots] that it keeps at least
    until: uint256  # [timestamp]


event LimitSet:
    market: indexed(uint256)  # [id]
    limit: uint256  # [whole stablecoins]


event NewGeneration:
    generation: indexed(uint256)  # [generation]
    voided: uint256  # [shares] the supply of the last one: every balance is 0 from here on


event SharesDivided:
    generation: indexed(uint256)  # [generation]
    steps: uint256  # [count] a share is now worth STEP to the power of that of the last generation


struct Wiring:
    market: address
    trading: address
    orders: address
    admin: address


struct Rules:
    notice: uint256  # seconds in a batch, and from its end until it is due
    leverage: uint256  # basis points of what it has, that all positions may be together
    spread: uint256  # basis points off the mark that it quotes at least
    share: uint256  # basis points of a position that one quote offers
    quote_time: uint256  # seconds that a quote runs


struct Batch:
    requests: uint256  # that are no crumbs and have not left, 64 bits
    next: uint256  # batch with requests; 0 is none, 32 bits
    previous: uint256  # 32 bits


struct Request:
    shares: uint256  # 152 bits
    counts: bool  # whether it is no crumb, 1 bit
    generation: uint256  # of the shares, 32 bits


struct Quote:
    down_to: uint256  # lots that the position keeps at least, 64 bits
    until: uint256  # seconds, 64 bits


# May have the pool take risk.
KEEPER: constant(bytes32) = keccak256("KEEPER")
# `isValidSignature(bytes32,bytes)`, which is also what it answers.
IS_VALID: constant(bytes4) = 0x1626ba7e
NOT_VALID: constant(bytes4) = 0xffffffff
# What an account signs, and where, as MarginOrders says.
ORDER_TYPE: constant(bytes32) = keccak256(
    "Order(address account,uint256 market,int256 size,uint256 price,uint256 expiry,uint256 nonce,bool reduceOnly)"
)
DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
VIRTUAL_SHARES: constant(uint256) = denominations.VIRTUAL_SHARES
VIRTUAL_ASSETS: constant(uint256) = denominations.VIRTUAL_ASSETS
# Where less is left, wad, shares are void when somebody enters.
LEAST_ASSETS: constant(uint256) = 10**6
# A request of less than this part of all shares is a crumb: it is paid as others, and keeps nobody waiting.
CRUMBS: constant(uint256) = 10**4

MASK_32: constant(uint256) = 2**32 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_152: constant(uint256) = 2**152 - 1

asset: public(immutable(address))
MARKET: public(immutable(IPerpetualMarket))
TRADING: public(immutable(IAccounts))
ORDERS: public(immutable(address))
POLICY: public(immutable(IMarginPolicy))
# [seconds] The oldest report that makes a mark.
MARK_AGE: public(immutable(uint256))
# [seconds] In a batch, and from its end until it is due.
NOTICE: public(immutable(uint256))
# [basis points] Of what it has, that all positions may be together.
LEVERAGE: public(immutable(uint256))
# [basis points] Off the mark, that it quotes at least.
SPREAD: public(immutable(uint256))
# [basis points] Of a position, that one quote offers.
SHARE: public(immutable(uint256))
# [seconds] That a quote runs.
QUOTE_TIME: public(immutable(uint256))
# Where orders are signed.
ORDERS_FACILITATOR: immutable(bytes32)

# market -> [whole stablecoins] that a position may be
limit: public(HashMap[uint256, uint256])
# market -> Quote
quotes: HashMap[uint256, uint256]
# How often all shares were void: requests of an era end with it
era: uint256
# era -> batch -> Batch
batches: HashMap[uint256, HashMap[uint256, uint256]]
# era -> batch -> controller -> Request
requests: HashMap[uint256, HashMap[uint256, HashMap[address, uint256]]]


@deploy
def __init__(token_name: String[25], token_symbol: String[5], wiring: Wiring, rules: Rules):
    """
    @notice The wiring and the rules are final.
    @param token_name The shares' name, also of their EIP-712 domain.
    @param token_symbol The shares' symbol.
    @param wiring The contracts that it works with, and the admin of keepers and limits.
    @param rules Notice, leverage, and how it quotes.
    """
    token.__init__(token_name, token_symbol)
    roles.__init__(wiring.admin)
    assert (
        rules.notice >= bounds.MIN_BATCH_TIME and rules.notice <= bounds.MAX_BATCH_TIME
    ), "liquidity_vault: notice bounds"
    assert rules.leverage != 0 and rules.leverage <= bounds.MAX_LEVERAGE, "liquidity_vault: leverage bounds"
    assert rules.spread <= bounds.MAX_BAND, "liquidity_vault: spread bounds"
    assert rules.share != 0 and rules.share <= units.BASIS_POINTS, "liquidity_vault: share bounds"
    assert (
        rules.quote_time >= bounds.MIN_QUOTE_TIME and rules.quote_time <= bounds.MAX_QUOTE_TIME
    ), "liquidity_vault: quote bounds"
    market: IAccounts = IAccounts(wiring.market)
    asset = staticcall market.STABLECOIN()
    POLICY = IMarginPolicy(staticcall market.POLICY())
    MARK_AGE = staticcall market.MARK_AGE()
    MARKET = IPerpetualMarket(wiring.market)
    TRADING = IAccounts(wiring.trading)
    ORDERS = wiring.orders
    NOTICE = rules.notice
    LEVERAGE = rules.leverage
    SPREAD = rules.spread
    SHARE = rules.share
    QUOTE_TIME = rules.quote_time
    ORDERS_FACILITATOR = keccak256(
        abi_encode(DOMAIN_TYPE, keccak256("Backstop Margin"), keccak256("1"), chain.id, wiring.orders)
    )
    extcall IERC20(asset).approve(wiring.market, max_value(uint256))


# -------------------------------------------------------------------- entry


@external
@nonreentrant
def deposit(assets: uint256, receiver: address) -> uint256:
    """
    @notice Put assets in, into the pool's account. Anyone, for anyone, at rest. Protects: the pool's assets
            are known to the wei, so no depositor gains by amounts that are not final; the price is rounded
            against the depositor.
    @param assets [wad] Pulled from the caller.
    @param receiver Receiver of the shares.
    @return [shares] Created, rounded down.
    """
    supply: uint256 = 0
    held: uint256 = 0
    supply, held = self._begin_entry()
    minted: uint256 = units._mul_div(assets, supply, held)
    self._enter_pool(assets, minted, receiver)
    return minted


@external
@nonreentrant
def mint(shares: uint256, receiver: address) -> uint256:
    """
    @notice Put assets in for a number of shares, into the pool's account. Anyone, for anyone, at rest.
            Protects: as `deposit` does.
    @param shares [shares] To be created.
    @param receiver Receiver of the shares.
    @return [wad] Assets pulled from the caller, rounded up.
    """
    supply: uint256 = 0
    held: uint256 = 0
    supply, held = self._begin_entry()
    assets: uint256 = units._div_up(shares * held, supply)
    self._enter_pool(assets, shares, receiver)
    return assets


# --------------------------------------------------------------------- exit


@external
@nonreentrant
def requestRedeem(shares: uint256, controller: address, owner: address) -> uint256:
    """
    @notice Commit shares to the batch of today. The owner, or a spender of the owner's shares; there is no
            way back. They move into escrow here, and stay members' until they leave. Protects: a member with
            a request has no choice left, neither whether nor when; dust delays no other request.
    @param shares [shares] Moved into escrow.
    @param controller Controller of the request, and receiver of its payment.
    @param owner Owner of the shares.
    @return [id] The batch.
    """
    assert shares != 0, "liquidity_vault: empty request"
    token._check_receiver(controller)
    if msg.sender != owner:
        token.permits._spend_allowance(owner, msg.sender, shares)
    state: token.State = token._load()
    token._renew_record(owner, state.generation, 0)
    token._renew_record(self, state.generation, 0)
    token._transfer_shares(owner, self, shares)
    id: uint256 = block.timestamp // NOTICE
    era: uint256 = self.era
    request: Request = self._load_request(era, id, controller, state.generation)
    # At most all shares.
    request.shares += shares
    if not request.counts and request.shares * CRUMBS >= state.supply:
        request.counts = True
        self._add_request_to_batch_list(state, era, id)
    self._store_request(era, id, controller, request)
    log RedeemRequest(controller=controller, owner=owner, requestId=id, sender=msg.sender, shares=shares)
    return id


@external
@nonreentrant
def leave(batch: uint256, controller: address) -> uint256:
    """
    @notice Pay a request of a batch that is due, at rest. Anyone, for anyone; the controller alone while
            losses are late, since the market cuts withdrawals then. Protects: all of a batch leave at one
            price; a leaving member takes a part of the account's deposits and of its profit, and the profit
            vests. A request without a rest is paid nothing and delays no other request any more.
    @param batch [id] The batch.
    @param controller Controller of the request.
    @return [wad] The amount paid and the amount locked.
    """
    state: token.State = token._load()
    era: uint256 = self.era
    assert self.requests[era][batch][controller] != 0, "liquidity_vault: no request"
    request: Request = self._load_request(era, batch, controller, state.generation)
    assert block.timestamp >= self._compute_due_time(batch), "liquidity_vault: notice runs"
    accounts: IAccounts = IAccounts(MARKET.address)
    extcall MARKET.update_account(self)
    assert self._has_no_position(), "liquidity_vault: at work"
    late: uint256 = staticcall accounts.late()
    assert late == 0 or msg.sender == controller, "liquidity_vault: losses are late"
    held: uint256 = self._get_account_cash()
    assets: uint256 = units._mul_div(request.shares, held + VIRTUAL_ASSETS, state.supply + VIRTUAL_SHARES)
    self.requests[era][batch][controller] = 0
    if request.counts:
        self._remove_request_from_batch_list(state, era, batch)
    token._renew_record(self, state.generation, 0)
    token._burn_shares(self, request.shares)
    log IERC4626.Withdraw(
        sender=msg.sender, receiver=controller, owner=controller, assets=assets, shares=request.shares
    )
    if assets == 0:
        return 0
    paid_in: uint256 = min(staticcall accounts.paid_in(self), held)
    profit: uint256 = units._div_up(assets * (held - paid_in), held)
    if profit == 0 or late != 0:
        return extcall accounts.withdraw(assets, controller)
    # Deposits come first: once they are out, what follows is profit, of whoever it is for.
    own: uint256 = assets - profit
    if paid_in != 0:
        extcall accounts.withdraw(paid_in, self)
    extcall accounts.withdraw(profit, controller)
    if paid_in != own:
        extcall accounts.deposit(self, paid_in - own)
    if own != 0:
        extcall IERC20(asset).transfer(controller, own)
    return assets


# --------------------------------------------------------------------- risk


@external
@nonreentrant
def take(market: uint256, lots: uint256):
    """
    @notice Take over unassigned lots, as the trading contract's `take` does. KEEPER only. Protects: due
            requests go first; each market's limit; no more risk than the pool's money allows; a reduction
            alone needs none of it.
    @param market [id] The market.
    @param lots [lots] How many, of the side that lacks them.
    """
    roles._check_role(KEEPER)
    waiting: bool = self._has_due_members_after_update()
    before: int256 = self._get_size(market)
    extcall TRADING.take(market, lots)
    self._check_risk(market, before, waiting)


@external
@nonreentrant
def liquidate(owner: address, market: uint256, lots: uint256) -> uint256:
    """
    @notice Take over lots of an account that is under its maintenance margin, as the trading contract's
            `liquidate` does. KEEPER only. Protects: as `take` does.
    @param owner Owner of the account.
    @param market [id] The market.
    @param lots [lots] How many, above zero.
    @return [wad] The reward, rounded down; a share of it is the fund's.
    """
    roles._check_role(KEEPER)
    waiting: bool = self._has_due_members_after_update()
    before: int256 = self._get_size(market)
    reward: uint256 = extcall TRADING.liquidate(owner, market, lots)
    self._check_risk(market, before, waiting)
    return reward


# ------------------------------------------------------------------- quotes


@external
def quote(market: uint256):
    """
    @notice Offer a share of the pool's position in a market, for some time. Anyone, once the quote before is
            over. Protects: no more than that is sold until then, even to a trader that knows more than the
            mark.
    @param market [id] The market.
    """
    assert block.timestamp >= self.quotes[market] >> 64, "liquidity_vault: quote runs"
    size: int256 = self._get_size(market)
    assert size != 0, "liquidity_vault: none to quote"
    whole: uint256 = convert(abs(size), uint256)
    down_to: uint256 = whole - units._div_up(whole * SHARE, units.BASIS_POINTS)
    until: uint256 = block.timestamp + QUOTE_TIME
    self.quotes[market] = down_to | (until << 64)
    log Quoted(market=market, size=size, down_to=down_to, until=until)


@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[1_024]) -> bytes4:
    """
    @notice Return whether the pool signs an order (ERC-1271): one of its account that may only reduce, within
            a quote that runs, at the current mark less or more the spread, or better, and at the better end
            of its range. Protects: it never sells under the mark, and reads that mark itself; no caller picks
            the worst second for it.
    @param digest Of the order, as MarginOrders has it.
    @param signature The order's market, size, price, expiry and nonce, `abi_encode`d.
    @return 0x1626ba7e if it does.
    """
    market: uint256 = 0
    size: int256 = 0
    price: uint256 = 0
    expiry: uint256 = 0
    nonce: uint256 = 0
    market, size, price, expiry, nonce = abi_decode(signature, (uint256, int256, uint256, uint256, uint256))
    order: bytes32 = keccak256(abi_encode(ORDER_TYPE, self, market, size, price, expiry, nonce, True))
    if digest != keccak256(concat(0x1901, ORDERS_FACILITATOR, order)):
        return NOT_VALID
    found: Quote = self._load_quote(market)
    held: int256 = self._get_size(market)
    whole: uint256 = convert(abs(held), uint256)
    if block.timestamp >= found.until or whole <= found.down_to:
        return NOT_VALID
    left: int256 = convert(whole - found.down_to, int256)
    mark: IMarginPolicy.Mark = staticcall POLICY.mark_price(market, MARK_AGE)
    if mark.price == 0:
        return NOT_VALID
    good: bool = False
    if held > 0:
        least: uint256 = units._div_up(mark.high * (units.BASIS_POINTS + SPREAD), units.BASIS_POINTS)
        good = size < 0 and size >= -left and price >= least
    else:
        most: uint256 = mark.low * (units.BASIS_POINTS - SPREAD) // units.BASIS_POINTS
        good = size > 0 and size <= left and price <= most
    return IS_VALID if good else NOT_VALID


# --------------------------------------------------------------- parameters


@external
def set_limit(market: uint256, new: uint256):
    """
    @notice Set how large the pool's position in a market may be. Admin only. A position beyond it stays.
    @param market [id] The market.
    @param new [whole stablecoins] Of notional at the mark; 0: it takes no risk there.
    """
    roles._only_admin()
    assert new <= bounds.MAX_GLOBAL_DEBT_CEILING, "liquidity_vault: limit bounds"
    self.limit[market] = new
    log LimitSet(market=market, limit=new)


# ------------------------------------------------------------------- ERC-20


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move the caller's shares. Owner.
    @param to Receiver of the shares; neither this contract nor the zero address.
    @param amount [shares] Moved.
    @return Always true.
    """
    self._move(msg.sender, to, amount)
    return True


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    """
    @notice Move shares on an allowance. Spender.
    @param owner Owner of the shares.
    @param to Receiver of the shares; neither this contract nor the zero address.
    @param amount [shares] Moved.
    @return Always true.
    """
    token.permits._spend_allowance(owner, msg.sender, amount)
    self._move(owner, to, amount)
    return True


# -------------------------------------------------------------------- views


@external
@view
def is_idle() -> bool:
    """
    @notice Whether members may enter and leave, by the account as it was touched last.
    @return True if it has no position, no gain that is not final, no bond and no debt.
    """
    return self._has_no_position()


@external
@view
def totalAssets() -> uint256:
    """
    @notice Return the cash of the pool's account, as it was touched last: all assets, if the account is at
            rest.
    @return [wad] 0 if it owes.
    """
    return self._get_account_cash()


@external
@view
def convertToShares(assets: uint256) -> uint256:
    """
    @notice Return shares for assets, as if the pool were at rest: a depositor's shares, of the generation
            that then begins.
    @param assets [wad] To be converted.
    @return [shares] Rounded down.
    """
    supply: uint256 = 0
    held: uint256 = 0
    steps: uint256 = 0
    supply, held, steps = self._entry_terms()
    return units._mul_div(assets, supply, held)


@external
@view
def convertToAssets(shares: uint256) -> uint256:
    """
    @notice Return assets for shares, as if the pool were at rest: a leaving member's payment.
    @param shares [shares] To be converted.
    @return [wad] Rounded down.
    """
    return units._mul_div(
        shares, self._get_account_cash() + VIRTUAL_ASSETS, token._load().supply + VIRTUAL_SHARES
    )


@external
@view
def request_of(batch: uint256, controller: address) -> uint256:
    """
    @notice A request that has not left yet.
    @param batch [id] The batch.
    @param controller Controller of the request.
    @return [shares] In escrow, as they are counted now, rounded down; none once all shares were void.
    """
    return self._load_request(self.era, batch, controller, token._load().generation).shares


@external
@view
def batch_of(batch: uint256) -> Batch:
    """
    @notice How many requests of a batch have not left yet, crumbs left out, and its neighbours in the list of
            such batches.
    @param batch [id] The batch.
    @return The record; empty once all shares were void.
    """
    return self._load_batch(self.era, batch)


@external
@view
def due_at(batch: uint256) -> uint256:
    """
    @notice When a batch may leave at rest; NOTICE seconds later the pool takes no risk until it has left.
    @param batch [id] The batch.
    @return [timestamp] The first second.
    """
    return self._compute_due_time(batch)


@external
@view
def first_batch() -> uint256:
    """
    @notice The oldest batch that has not left, crumbs left out.
    @return [id] 0 is none.
    """
    return token._load().mark & MASK_32


@external
@view
def quote_of(market: uint256) -> Quote:
    """
    @notice The last quote in a market.
    @param market [id] The market.
    @return Down to how many lots the position may be reduced, and until when.
    """
    return self._load_quote(market)


@external
@view
def room(market: uint256) -> uint256:
    """
    @notice Return how many lots more the pool may take on the side that it is on, or on either if on none, at
            the current mark, by the account as it was touched last. The trading contract may ask for more
            margin.
    @param market [id] The market.
    @return [lots] Rounded down; 0 without a mark, or while members that are due go first.
    """
    mark: uint256 = (staticcall POLICY.mark_price(market, MARK_AGE)).price
    if mark == 0 or self._is_due():
        return 0
    most: uint256 = self.limit[market] * units.WAD // mark
    free: int256 = self._compute_value_without_unfinal_gains()
    held: uint256 = convert(abs(self._get_size(market)), uint256)
    used: uint256 = self._compute_notional()
    if free <= 0 or most <= held:
        return 0
    by_money: uint256 = convert(free, uint256) * LEVERAGE // units.BASIS_POINTS
    return min(most - held, (by_money - min(by_money, used)) // mark)


# ------------------------------------------------------------------ helpers


@internal
def _begin_entry() -> (uint256, uint256):
    """@dev The shares and assets of the entry terms, after shares were divided, or voided."""
    extcall MARKET.update_account(self)
    assert self._has_no_position(), "liquidity_vault: not idle"
    supply: uint256 = 0
    held: uint256 = 0
    steps: uint256 = 0
    supply, held, steps = self._entry_terms()
    if steps != 0:
        state: token.State = token._load()
        begun: token.State = token._advance_share_generations(state, steps)
        if steps == denominations.VOID:
            self.era += 1
            log NewGeneration(generation=begun.generation, voided=state.supply)
        else:
            # Whoever asked to leave still does.
            token._set_mark(state.mark)
            log SharesDivided(generation=begun.generation, steps=steps)
    return supply, held


@internal
def _enter_pool(assets: uint256, shares: uint256, receiver: address):
    assert shares != 0, "liquidity_vault: no shares"
    token._check_receiver(receiver)
    token._renew_record(receiver, token._load().generation, 0)
    token._mint_shares(receiver, shares)
    log IERC4626.Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)
    extcall IERC20(asset).transferFrom(msg.sender, self, assets)
    extcall IAccounts(MARKET.address).deposit(self, assets)


@internal
def _move(owner: address, to: address, amount: uint256):
    token._check_receiver(to)
    generation: uint256 = token._load().generation
    token._renew_record(owner, generation, 0)
    token._renew_record(to, generation, 0)
    token._transfer_shares(owner, to, amount)


@internal
@view
def _load_margin_account() -> IAccounts.MarginAccount:
    return staticcall IAccounts(MARKET.address).account_of(self)


@internal
@view
def _has_no_position() -> bool:
    """@dev Of the account as it was touched last. It is in a market as long as anything there is not final.
    """
    account: IAccounts.MarginAccount = self._load_margin_account()
    return account.markets == 0 and account.cash >= 0


@internal
@view
def _get_account_cash() -> uint256:
    """@dev Of the account as it was touched last, wad."""
    return convert(max(0, self._load_margin_account().cash), uint256)


@internal
@view
def _entry_terms() -> (uint256, uint256, uint256):
    """
    @dev Shares and assets, the virtual ones included, that an entry is priced by, and how many generations it
         goes on by first.
    """
    supply: uint256 = token._load().supply
    held: uint256 = self._get_account_cash()
    steps: uint256 = denominations._steps(supply, held)
    if supply != 0 and held < LEAST_ASSETS:
        steps = denominations.VOID
    return denominations._convert(supply, 0, steps) + VIRTUAL_SHARES, held + VIRTUAL_ASSETS, steps


@internal
@view
def _compute_due_time(batch: uint256) -> uint256:
    return (batch + 2) * NOTICE


@internal
@view
def _is_due() -> bool:
    """@dev Whether members that are due go before new risk, by the account as it was touched last."""
    first: uint256 = token._load().mark & MASK_32
    if first == 0 or block.timestamp < self._compute_due_time(first):
        return False
    if staticcall IAccounts(MARKET.address).late() != 0:
        return False
    return block.timestamp >= self._compute_due_time(first + 1) or self._has_no_position()


@internal
def _has_due_members_after_update() -> bool:
    """@dev The same, of the account of now."""
    extcall MARKET.update_account(self)
    return self._is_due()


@internal
@view
def _check_risk(market: uint256, before: int256, waiting: bool):
    """@dev Whether the pool's last action is allowed."""
    size: int256 = self._get_size(market)
    # Of the same side or none, and not larger; sizes are under 2**63.
    if abs(size) <= abs(before) and size * before >= 0:
        return
    assert not waiting, "liquidity_vault: members are due"
    mark: uint256 = 0
    used: uint256 = 0
    for held: IPerpetualMarket.Holding in staticcall MARKET.holdings_of(self):
        notional: uint256 = convert(abs(held.size), uint256) * held.price
        if held.market == market:
            assert notional <= self.limit[market] * units.WAD, "liquidity_vault: above its limit"
        used += notional
    assert convert(
        used * units.BASIS_POINTS, int256
    ) <= self._compute_value_without_unfinal_gains() * convert(
        LEVERAGE, int256
    ), "liquidity_vault: too little cash"


@internal
@view
def _get_size(market: uint256) -> int256:
    """@dev Of the pool's position, lots."""
    for held: IPerpetualMarket.Holding in staticcall MARKET.holdings_of(self):
        if held.market == market:
            return held.size
    return 0


@internal
@view
def _compute_notional() -> uint256:
    """@dev Of all positions at the last marks, wei."""
    found: uint256 = 0
    for held: IPerpetualMarket.Holding in staticcall MARKET.holdings_of(self):
        found += convert(abs(held.size), uint256) * held.price
    return found


@internal
@view
def _compute_value_without_unfinal_gains() -> int256:
    """
    @dev The worth of the account at the last marks less known haircuts and gains that are not final, wei.
    """
    standing: IPerpetualMarket.Standing = staticcall MARKET.standing_of(self)
    return standing.own - convert(standing.haircut, int256) - convert(standing.unfinal, int256)


@internal
def _add_request_to_batch_list(state: token.State, era: uint256, id: uint256):
    """@dev A request of the batch of today is no crumb; the batch is the last one of the list then."""
    batch: Batch = self._load_batch(era, id)
    last: uint256 = state.mark >> 32
    if last != id:
        first: uint256 = id
        if last != 0:
            first = state.mark & MASK_32
            batch.previous = last
            # It is the last one: nothing follows it yet.
            self.batches[era][last] |= id << 64
        token._set_mark(first | (id << 32))
    batch.requests += 1
    self._store_batch(era, id, batch)


@internal
def _remove_request_from_batch_list(state: token.State, era: uint256, id: uint256):
    """@dev A request of a batch leaves; a batch without any leaves the list."""
    batch: Batch = self._load_batch(era, id)
    batch.requests -= 1
    if batch.requests != 0:
        self._store_batch(era, id, batch)
        return
    first: uint256 = state.mark & MASK_32
    last: uint256 = state.mark >> 32
    if batch.previous == 0:
        first = batch.next
    else:
        before: Batch = self._load_batch(era, batch.previous)
        before.next = batch.next
        self._store_batch(era, batch.previous, before)
    if batch.next == 0:
        last = batch.previous
    else:
        after: Batch = self._load_batch(era, batch.next)
        after.previous = batch.previous
        self._store_batch(era, batch.next, after)
    self.batches[era][id] = 0
    token._set_mark(first | (last << 32))


# ------------------------------------------------------------------ records


@internal
@view
def _load_batch(era: uint256, batch: uint256) -> Batch:
    word: uint256 = self.batches[era][batch]
    return Batch(requests=word & MASK_64, next=(word >> 64) & MASK_32, previous=word >> 96)


@internal
def _store_batch(era: uint256, batch: uint256, record: Batch):
    self.batches[era][batch] = record.requests | (record.next << 64) | (record.previous << 96)


@internal
@view
def _load_request(era: uint256, batch: uint256, controller: address, generation: uint256) -> Request:
    """@dev Its shares as they are counted in a generation, rounded down."""
    word: uint256 = self.requests[era][batch][controller]
    return Request(
        shares=denominations._convert(word & MASK_152, word >> 153, generation),
        counts=(word >> 152) & 1 != 0,
        generation=generation,
    )


@internal
def _store_request(era: uint256, batch: uint256, controller: address, record: Request):
    self.requests[era][batch][controller] = (
        record.shares | (convert(record.counts, uint256) << 152) | (record.generation << 153)
    )


@internal
@view
def _load_quote(market: uint256) -> Quote:
    word: uint256 = self.quotes[market]
    return Quote(down_to=word & MASK_64, until=word >> 64)
