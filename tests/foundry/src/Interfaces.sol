// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.20;

// Written from `backstop abi`; only what the harness calls.

struct Log {
    bytes32[] topics;
    bytes data;
    address emitter;
}

interface Vm {
    function prank(address) external;
    function warp(uint256) external;
    function store(address, bytes32, bytes32) external;
    function load(address, bytes32) external view returns (bytes32);
    function record() external;
    function accesses(address) external returns (bytes32[] memory reads, bytes32[] memory writes);
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);
    function mockCall(address, bytes calldata, bytes calldata) external;
    function clearMockedCalls() external;
    function snapshotState() external returns (uint256);
    function revertToState(uint256) external returns (bool);
    function readFile(string calldata) external view returns (string memory);
    function writeLine(string calldata, string calldata) external;
    function parseJsonAddress(string calldata, string calldata) external pure returns (address);
    function toString(uint256) external pure returns (string memory);
    function envOr(string calldata, bool) external view returns (bool);
    function label(address, string calldata) external;
}

struct Debts {
    uint256 normalized;
    uint256 rate;
    uint256 accruedAt;
    uint256 distressed;
    uint256 bufferShare;
}

struct Terms {
    address token;
    uint256 ceiling;
    uint256 floor;
    uint256 liquidationRatio;
    uint256 initialRatio;
    uint256 decimals;
    bool dynamic;
    bool replaced;
    bool settling;
}

struct Vault {
    uint256 locked;
    uint256 normalized;
    uint256 calledAt;
    bool liquidated;
    uint256 openLots;
}

interface IEngine {
    function debts_of(uint256) external view returns (Debts memory);
    function buffer_of(uint256) external view returns (uint256);
    function in_auction_of(uint256) external view returns (uint256);
    function auction_limit_of(uint256) external view returns (uint256);
    function global_auction_limit() external view returns (uint256);
    function deficit_of(uint256) external view returns (uint256);
    function salvage_of(uint256) external view returns (uint256);
    function reserve() external view returns (uint256);
    function settled() external view returns (uint256);
    function terms_of(uint256) external view returns (Terms memory);
    function unit_of(uint256) external view returns (uint256);
    function vault(uint256, address) external view returns (Vault memory);
    function deposit_and_draw(uint256, address, uint256, uint256, address) external;
    function repay_and_withdraw(uint256, address, uint256, uint256, address) external;
    function accrue(uint256) external returns (uint256);
    function admin() external view returns (address);
    function grant_role(bytes32, address) external;
    function set_debt_ceiling(uint256, uint256) external;
}

struct Prices {
    uint256 current;
    uint256 next;
    uint256 freshUntil;
}

interface IFeed {
    function report(uint256, uint256) external;
    function poke(uint256) external;
    function prices_of(uint256) external view returns (Prices memory);
    function reporters_of(uint256) external view returns (address[] memory);
    function liquidation_price(uint256) external view returns (uint256);
    function sale_prices(uint256) external view returns (uint256, uint256);
    function risk_price(uint256) external view returns (uint256);
    function withdrawals_paused_until() external view returns (uint256);
    function time_weighted(uint256) external view returns (uint256);
}

interface ILiquidation {
    function liquidate(uint256, address, address) external returns (uint256);
    function flag(uint256, address) external returns (uint256);
    function flagged_of(uint256) external view returns (uint256);
    function flag_of(uint256, address) external view returns (uint256);
}

struct Lot {
    uint256 collateralType;
    address owner;
    uint256 lot;
    uint256 top;
    uint256 startedAt;
    uint256 target;
    uint256 principal;
    uint256 budget;
}

struct Curve {
    uint256 curve;
    uint256 period;
    uint256 cut;
    uint256 tail;
    uint256 cusp;
    uint256 buf;
    uint256 penalty;
    uint256 minimum;
    uint256 tip;
    uint256 chip;
    uint256 stop;
    uint256 decimals;
    uint256 version;
}

interface IAuction {
    function take(uint256, uint256, uint256, address, bytes calldata) external;
    function reset(uint256, address) external;
    function close(uint256) external;
    function sell_salvage(uint256) external returns (uint256);
    function auction_of(uint256) external view returns (Lot memory);
    function status(uint256) external view returns (bool, uint256, uint256, uint256);
    function terms_of(uint256) external view returns (Curve memory);
    function last_id() external view returns (uint256);
}

struct StageTerms {
    address stage;
    bool pooled;
    bool asynchronous;
    bool lifted;
    bool owes;
    uint256 capAbsolute;
    uint256 capBps;
}

interface IWaterfall {
    function cover(uint256) external returns (uint256);
    function reserved(uint256, uint256) external view returns (uint256);
    function reserved_of(uint256) external view returns (uint256);
    function stage_terms(uint256) external view returns (StageTerms memory);
    function stage_count() external view returns (uint256);
    function losses_reaching(address) external view returns (uint256);
    function losses_at_payment(address) external view returns (uint256);
    function debt_at_risk_at_payment() external view returns (uint256);
    function debt_at_risk_total() external view returns (uint256);
    function pending_total() external view returns (uint256);
    function EPOCH_LENGTH() external view returns (uint256);
    function missed(uint256, uint256) external view returns (uint256);
    function last_epoch(uint256) external view returns (uint256);
    function event_of(uint256, uint256) external view returns (uint256, uint256, uint256, uint256, uint256, uint256);
    function outstanding(uint256) external view returns (uint256);
}

interface IStage {
    function capacity(uint256) external view returns (uint256);
}

interface IERC20 {
    function totalSupply() external view returns (uint256);
    function balanceOf(address) external view returns (uint256);
    function transfer(address, uint256) external returns (bool);
    function approve(address, uint256) external returns (bool);
    function mint(address, uint256) external; // of a devnet's collateral
}

interface IPool is IERC20 {
    function deposit(uint256, address) external returns (uint256);
    function requestRedeem(uint256, address, address) external returns (uint256);
    function cut() external returns (uint256);
    function settle() external;
    function redeem(uint256, address, address) external returns (uint256);
    function maxRedeem(address) external view returns (uint256);
    function maxWithdraw(address) external view returns (uint256);
    function add_income(uint256) external;
    function collect_claims(address) external;
    function capacity(uint256) external view returns (uint256);
    function totalAssets() external view returns (uint256);
    function unvested() external view returns (uint256);
    function convertToAssets(uint256) external view returns (uint256);
    function pendingRedeemRequest(uint256, address) external view returns (uint256);
    function claimableRedeemRequest(uint256, address) external view returns (uint256);
    function batch_of(uint256) external view returns (uint256 shares, uint256 since, uint256 paid, uint256 held, bool over);
    function queue() external view returns (uint256, uint256, uint256);
    function generation() external view returns (uint256);
    function COOLDOWN() external view returns (uint256);
    function CLAIMS() external view returns (address);
}

interface IClaims is IERC20 {
    function outstanding() external view returns (uint256);
    function tokens() external view returns (uint256);
    function generation() external view returns (uint256);
    function record(uint256, uint256, uint256) external returns (uint256);
    function repay(uint256) external returns (uint256);
    function collect(address, uint256) external returns (uint256);
    function cash_of(address, uint256) external view returns (uint256);
    function cash(address) external view returns (uint256);
}

interface ITreasury {
    function distribute() external returns (uint256);
    function for_sale() external view returns (uint256);
    function target() external view returns (uint256);
}

interface IEquityAuction {
    function take(uint256, uint256, uint256, address, bytes calldata) external;
    function end(uint256) external;
    function status(uint256) external view returns (bool, uint256, uint256, uint256);
}

interface ISurplus {
    function start() external;
    function take(uint256, uint256, address, bytes calldata) external;
    function status() external view returns (bool, uint256, uint256);
}
