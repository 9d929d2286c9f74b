// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.20;

import "./Interfaces.sol";

/// The deployment, read from deployment.json, the accounts that act, and what has been noticed.
abstract contract World {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant WAD = 1e18;
    uint256 internal constant RAY = 1e27;
    uint256 internal constant RAD = 1e45;
    uint256 internal constant EQUITY = 224;
    uint256 internal constant TYPES = 3;
    uint256 internal constant MEMBERS = 5;
    uint256 internal constant SAME_TIME = 600;

    IEngine public engine;
    IFeed public feed;
    ILiquidation public liquidation;
    IAuction public auction;
    IWaterfall public waterfall;
    IERC20 public coin;
    IERC20 public equity;
    ITreasury public treasury;
    IEquityAuction public stakeAuction;
    IEquityAuction public mintAuction;
    ISurplus public surplus;
    IPool public staked;
    IPool[3] public pools; // Junior, Senior, Savings
    IClaims[3] public claims;
    uint256[3] public poolStage = [uint256(3), 5, 7];
    address public settlement;
    address public admin;
    address public whale = address(0xAA01);
    address public keeper = address(0xAA02);
    address[] public people;
    address[] internal holders;
    address[][4] internal reporters;
    uint256[4] public price; // ray, as the reporters see it
    uint256[4] public base = [2000 * RAY, 60000 * RAY, 2500 * RAY, 2 * RAY];
    uint256 public time;

    // what was noticed
    uint256 public mask; // bit p: property p failed
    string public firstMessage;
    uint256[13] public checked; // property -> how often its condition occurred
    mapping(uint256 => uint256) public failedCount;

    function broken(uint256 p, string memory why) internal {
        if (mask == 0) firstMessage = string.concat("P", vm.toString(p), ": ", why);
        mask |= 1 << p;
        failedCount[p]++;
    }

    function check(uint256 p, bool holds, string memory why) internal {
        checked[p]++;
        if (!holds) broken(p, why);
    }

    function forget() external {
        mask = 0;
        firstMessage = "";
    }

    function market(uint256 i) internal pure returns (uint256) {
        return i == 3 ? EQUITY : i;
    }

    function load() internal {
        string memory j = vm.readFile("deployment.json");
        engine = IEngine(at(j, "VaultEngine"));
        feed = IFeed(at(j, "PriceFeed"));
        liquidation = ILiquidation(at(j, "LiquidationEngine"));
        auction = IAuction(at(j, "CollateralAuction"));
        waterfall = IWaterfall(at(j, "LossWaterfall"));
        coin = IERC20(at(j, "Stablecoin"));
        equity = IERC20(at(j, "Equity"));
        treasury = ITreasury(at(j, "Treasury"));
        stakeAuction = IEquityAuction(at(j, "StakeAuction"));
        mintAuction = IEquityAuction(at(j, "MintAuction"));
        surplus = ISurplus(at(j, "SurplusAuction"));
        staked = IPool(at(j, "StakedEquity"));
        settlement = at(j, "Settlement");
        pools[0] = IPool(at(j, "Junior"));
        pools[1] = IPool(at(j, "Senior"));
        pools[2] = IPool(at(j, "Savings"));
        admin = engine.admin();
        for (uint256 i; i < MEMBERS; i++) people.push(address(uint160(0xBB00 + i)));
        for (uint256 i; i < MEMBERS; i++) holders.push(people[i]);
        holders.push(whale);
        holders.push(keeper);
        holders.push(admin);
        holders.push(address(treasury));
        holders.push(address(engine));
        holders.push(address(surplus));
        for (uint256 i; i < 3; i++) {
            claims[i] = IClaims(pools[i].CLAIMS());
            holders.push(address(pools[i]));
            holders.push(address(claims[i]));
        }
        for (uint256 i; i < 4; i++) {
            reporters[i] = feed.reporters_of(market(i));
            price[i] = base[i];
        }
    }

    function at(string memory j, string memory name) internal pure returns (address) {
        return vm.parseJsonAddress(j, string.concat(".contracts.", name, ".address"));
    }

    function tick(uint256 seconds_) internal {
        time += seconds_;
        vm.warp(time);
    }

    /// An hour passes, all reporters report and any account steps each market.
    function post() internal {
        tick(3600);
        for (uint256 i; i < 4; i++) {
            for (uint256 k; k < 3; k++) {
                vm.prank(reporters[i][k]);
                feed.report(market(i), price[i]);
            }
            feed.poke(market(i));
        }
        afterPrices();
    }

    function afterPrices() internal virtual {}

    function call_(address who, address to, bytes memory data) internal returns (bool ok, bytes memory ret) {
        vm.prank(who);
        (ok, ret) = to.call(data);
    }

    function min(uint256 a, uint256 b) internal pure returns (uint256) {
        return a < b ? a : b;
    }

    function ceil(uint256 a, uint256 b) internal pure returns (uint256) {
        return a == 0 ? 0 : (a - 1) / b + 1;
    }

    /// "rpow rounds half up at each step" (vaults.html)
    function rpow(uint256 x, uint256 n) internal pure returns (uint256 z) {
        z = n % 2 == 1 ? x : RAY;
        for (n /= 2; n > 0; n /= 2) {
            x = (x * x + RAY / 2) / RAY;
            if (n % 2 == 1) z = (z * x + RAY / 2) / RAY;
        }
    }

    function reason(bytes memory ret) internal pure returns (string memory) {
        if (ret.length < 68) return "no reason";
        bytes memory text = new bytes(ret.length - 4);
        for (uint256 i; i < text.length; i++) text[i] = ret[i + 4];
        return abi.decode(text, (string));
    }
}
