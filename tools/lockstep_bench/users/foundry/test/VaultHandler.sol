// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity 0.8.37;

import {Test} from "../lib/Forge.sol";

interface IAsset {
    function balanceOf(address owner) external view returns (uint256);
    function approve(address spender, uint256 amount) external returns (bool);
    function transfer(address to, uint256 amount) external returns (bool);
    function mint(address to, uint256 amount) external;
}

interface IVault is IAsset {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
    event Deposit(address indexed sender, address indexed owner, uint256 assets, uint256 shares);
    event Withdraw(
        address indexed sender, address indexed receiver, address indexed owner, uint256 assets, uint256 shares
    );

    function name() external view returns (string memory);
    function symbol() external view returns (string memory);
    function decimals() external view returns (uint8);
    function asset() external view returns (address);
    function totalSupply() external view returns (uint256);
    function totalAssets() external view returns (uint256);
    function allowance(address owner, address spender) external view returns (uint256);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
    function convertToShares(uint256 assets) external view returns (uint256);
    function convertToAssets(uint256 shares) external view returns (uint256);
    function maxDeposit(address receiver) external view returns (uint256);
    function maxMint(address receiver) external view returns (uint256);
    function maxWithdraw(address owner) external view returns (uint256);
    function maxRedeem(address owner) external view returns (uint256);
    function previewDeposit(uint256 assets) external view returns (uint256);
    function previewMint(uint256 shares) external view returns (uint256);
    function previewWithdraw(uint256 assets) external view returns (uint256);
    function previewRedeem(uint256 shares) external view returns (uint256);
    function deposit(uint256 assets, address receiver) external returns (uint256);
    function mint(uint256 shares, address receiver) external returns (uint256);
    function withdraw(uint256 assets, address receiver, address owner) external returns (uint256);
    function redeem(uint256 shares, address receiver, address owner) external returns (uint256);
}

enum Failure {
    None,
    AssetBalance,
    MintReceiver,
    MaxWithdraw,
    MaxRedeem,
    Allowance,
    Approver,
    Spender,
    Receiver,
    Balance
}

/// Calls the vault for three actors and keeps ghosts of what each has.
abstract contract VaultHandler is Test {
    uint256 constant FUNDS = 1e24;
    uint256 constant VIRTUAL_SHARES = 1e3;
    uint256 constant INFINITE = type(uint256).max;

    IAsset public asset;
    IVault public vault;
    address[4] public actors = [address(0xA11CE), address(0xB0B), address(0xCA401), address(0)];
    mapping(address => uint256) public funds;
    mapping(address => uint256) public shares;
    mapping(address => mapping(address => uint256)) public allowed;
    uint256 public supply;
    uint256 public managed;

    constructor() {
        asset = IAsset(deployCode("artifacts/Asset.json", ""));
        vault = IVault(deployCode("artifacts/Vault.json", abi.encode(asset)));
        for (uint256 i; i < 3; ++i) {
            asset.mint(actors[i], FUNDS);
            vm.prank(actors[i]);
            asset.approve(address(vault), INFINITE);
            funds[actors[i]] = FUNDS;
        }
    }

    function _expectRevert(Failure failure) internal virtual;

    function _caller(uint256 seed) internal view returns (address) {
        return actors[seed % 3];
    }

    function _anyone(uint256 seed) internal view returns (address) {
        return actors[seed % 4];
    }

    function _shares(uint256 assets, bool up) internal view returns (uint256) {
        return _divide(assets * (supply + VIRTUAL_SHARES), managed + 1, up);
    }

    function _assets(uint256 amount, bool up) internal view returns (uint256) {
        return _divide(amount * (managed + 1), supply + VIRTUAL_SHARES, up);
    }

    function _divide(uint256 product, uint256 divisor, bool up) internal pure returns (uint256) {
        return product / divisor + (up && product % divisor > 0 ? 1 : 0);
    }

    function _allowanceFailure(address owner, address spender, uint256 amount) internal view returns (Failure) {
        if (allowed[owner][spender] < amount) return Failure.Allowance;
        return owner == address(0) ? Failure.Approver : Failure.None;
    }

    function _spend(address owner, address spender, uint256 amount) internal {
        if (allowed[owner][spender] != INFINITE) allowed[owner][spender] -= amount;
    }

    function _canEnter(address caller, address receiver, uint256 assets, uint256 amount) internal returns (bool) {
        if (assets > funds[caller] || receiver == address(0)) {
            _expectRevert(assets > funds[caller] ? Failure.AssetBalance : Failure.MintReceiver);
            vm.prank(caller);
            return false;
        }
        funds[caller] -= assets;
        managed += assets;
        shares[receiver] += amount;
        supply += amount;
        vm.expectEmit(address(vault));
        emit IVault.Deposit(caller, receiver, assets, amount);
        vm.prank(caller);
        return true;
    }

    function deposit(uint256 callerSeed, uint256 receiverSeed, uint256 amountSeed) external {
        (address caller, address receiver) = (_caller(callerSeed), _anyone(receiverSeed));
        uint256 assets = bound(amountSeed, 0, funds[caller] + 1);
        uint256 amount = _shares(assets, false);
        vm.assertEq(vault.previewDeposit(assets), amount);
        vm.assertEq(vault.convertToShares(assets), amount);
        vm.assertEq(vault.maxDeposit(receiver), INFINITE);
        bool succeeds = _canEnter(caller, receiver, assets, amount);
        uint256 answer = vault.deposit(assets, receiver);
        if (succeeds) vm.assertEq(answer, amount);
    }

    function mint(uint256 callerSeed, uint256 receiverSeed, uint256 amountSeed) external {
        (address caller, address receiver) = (_caller(callerSeed), _anyone(receiverSeed));
        uint256 amount = bound(amountSeed, 0, _shares(funds[caller], false) + 1);
        uint256 assets = _assets(amount, true);
        vm.assertEq(vault.previewMint(amount), assets);
        vm.assertEq(vault.maxMint(receiver), INFINITE);
        bool succeeds = _canEnter(caller, receiver, assets, amount);
        uint256 answer = vault.mint(amount, receiver);
        if (succeeds) vm.assertEq(answer, assets);
    }

    function _canLeave(
        address caller,
        address receiver,
        address owner,
        uint256 assets,
        uint256 amount,
        Failure failure
    ) internal returns (bool) {
        if (failure == Failure.None && caller != owner) failure = _allowanceFailure(owner, caller, amount);
        if (failure == Failure.None && amount > shares[owner]) failure = Failure.Balance;
        if (failure == Failure.None && receiver == address(0)) failure = Failure.Receiver;
        if (failure != Failure.None) {
            _expectRevert(failure);
            vm.prank(caller);
            return false;
        }
        if (caller != owner) _spend(owner, caller, amount);
        shares[owner] -= amount;
        supply -= amount;
        managed -= assets;
        funds[receiver] += assets;
        vm.expectEmit(address(vault));
        emit IVault.Withdraw(caller, receiver, owner, assets, amount);
        vm.prank(caller);
        return true;
    }

    function withdraw(uint256 callerSeed, uint256 receiverSeed, uint256 ownerSeed, uint256 amountSeed) external {
        (address caller, address receiver, address owner) =
            (_caller(callerSeed), _anyone(receiverSeed), _anyone(ownerSeed));
        uint256 limit = _assets(shares[owner], false);
        uint256 assets = bound(amountSeed, 0, limit + 1);
        uint256 amount = _shares(assets, true);
        vm.assertEq(vault.maxWithdraw(owner), limit);
        vm.assertEq(vault.previewWithdraw(assets), amount);
        Failure failure = assets > limit ? Failure.MaxWithdraw : Failure.None;
        bool succeeds = _canLeave(caller, receiver, owner, assets, amount, failure);
        uint256 answer = vault.withdraw(assets, receiver, owner);
        if (succeeds) vm.assertEq(answer, amount);
    }

    function redeem(uint256 callerSeed, uint256 receiverSeed, uint256 ownerSeed, uint256 amountSeed) external {
        (address caller, address receiver, address owner) =
            (_caller(callerSeed), _anyone(receiverSeed), _anyone(ownerSeed));
        uint256 amount = bound(amountSeed, 0, shares[owner] + 1);
        uint256 assets = _assets(amount, false);
        vm.assertEq(vault.maxRedeem(owner), shares[owner]);
        vm.assertEq(vault.previewRedeem(amount), assets);
        vm.assertEq(vault.convertToAssets(amount), assets);
        Failure failure = amount > shares[owner] ? Failure.MaxRedeem : Failure.None;
        bool succeeds = _canLeave(caller, receiver, owner, assets, amount, failure);
        uint256 answer = vault.redeem(amount, receiver, owner);
        if (succeeds) vm.assertEq(answer, assets);
    }

    function _canMove(address caller, address owner, address to, uint256 amount, Failure failure)
        internal
        returns (bool)
    {
        if (failure == Failure.None && to == address(0)) failure = Failure.Receiver;
        if (failure == Failure.None && amount > shares[owner]) failure = Failure.Balance;
        if (failure != Failure.None) {
            _expectRevert(failure);
            vm.prank(caller);
            return false;
        }
        shares[owner] -= amount;
        shares[to] += amount;
        vm.expectEmit(address(vault));
        emit IVault.Transfer(owner, to, amount);
        vm.prank(caller);
        return true;
    }

    function transfer(uint256 callerSeed, uint256 receiverSeed, uint256 amountSeed) external {
        (address caller, address receiver) = (_caller(callerSeed), _anyone(receiverSeed));
        uint256 amount = bound(amountSeed, 0, shares[caller] + 1);
        bool succeeds = _canMove(caller, caller, receiver, amount, Failure.None);
        bool answer = vault.transfer(receiver, amount);
        if (succeeds) vm.assertTrue(answer);
    }

    function transferFrom(uint256 callerSeed, uint256 ownerSeed, uint256 receiverSeed, uint256 amountSeed) external {
        (address caller, address owner, address receiver) =
            (_caller(callerSeed), _anyone(ownerSeed), _anyone(receiverSeed));
        uint256 amount = bound(amountSeed, 0, shares[owner] + 1);
        bool succeeds = _canMove(caller, owner, receiver, amount, _allowanceFailure(owner, caller, amount));
        bool answer = vault.transferFrom(owner, receiver, amount);
        if (!succeeds) return;
        vm.assertTrue(answer);
        _spend(owner, caller, amount);
    }

    function approve(uint256 callerSeed, uint256 spenderSeed, uint256 amountSeed, bool isInfinite) external {
        (address caller, address spender) = (_caller(callerSeed), _anyone(spenderSeed));
        uint256 amount = isInfinite ? INFINITE : bound(amountSeed, 0, FUNDS);
        if (spender == address(0)) {
            _expectRevert(Failure.Spender);
            vm.prank(caller);
            vault.approve(spender, amount);
            return;
        }
        vm.expectEmit(address(vault));
        emit IVault.Approval(caller, spender, amount);
        vm.prank(caller);
        vm.assertTrue(vault.approve(spender, amount));
        allowed[caller][spender] = amount;
    }

    function donate(uint256 callerSeed, uint256 amountSeed) external {
        address caller = _caller(callerSeed);
        uint256 assets = bound(amountSeed, 0, funds[caller]);
        vm.prank(caller);
        asset.transfer(address(vault), assets);
        funds[caller] -= assets;
        managed += assets;
    }
}

abstract contract VaultInvariants is Test {
    VaultHandler internal handler;
    IVault internal vault;

    function _use(VaultHandler made) internal {
        handler = made;
        vault = made.vault();
        targetContract(address(made));
        vm.assertEq(vault.asset(), address(made.asset()));
        vm.assertEq(vault.name(), "Vault");
        vm.assertEq(vault.symbol(), "VLT");
        vm.assertEq(uint256(vault.decimals()), 9);
    }

    function invariant_ghostsAgree() external view {
        vm.assertEq(vault.totalSupply(), handler.supply());
        vm.assertEq(vault.totalAssets(), handler.managed());
        for (uint256 i; i < 3; ++i) {
            address actor = handler.actors(i);
            vm.assertEq(vault.balanceOf(actor), handler.shares(actor));
            vm.assertEq(handler.asset().balanceOf(actor), handler.funds(actor));
            for (uint256 j; j < 3; ++j) {
                address spender = handler.actors(j);
                vm.assertEq(vault.allowance(actor, spender), handler.allowed(actor, spender));
            }
        }
    }
}
