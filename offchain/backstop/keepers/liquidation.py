"""Keepers that call vaults for margin and liquidate those that are unsafe."""

from __future__ import annotations

from functools import partial

from backstop.keepers.keeper import Decisions, Keeper, Memory, role
from backstop.keepers.view import View
from backstop.model import dutch
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY


def _has_unsafe(view: View) -> bool:
    return any(view.has_unsafe(c) for c in range(len(view.symbols))) or bool(view.foreclosable())


@role("liquidator", occasion=_has_unsafe)
def liquidator(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Liquidate unsafe vaults while there is room, and foreclose workouts, if the reward pays for the gas."""
    least = view.cost("LiquidationEngine", "liquidate", gas_price) + me.group.minimum_profit
    for c in range(len(view.symbols)):
        yield from _liquidations(me, view, c, least)
    cost = view.cost("Workouts", "foreclose", gas_price)
    for workout in view.foreclosable():
        reward = _reward(view.auction_terms(workout.collateral_type), workout.principal)
        if me.mine(workout.id) and reward >= cost + me.group.minimum_profit:
            foreclosure = (workout.id, me.address)
            yield me.intent("Workouts", "foreclose", *foreclosure, about=workout.id, gain=reward)


def _liquidations(me: Keeper, view: View, c: int, least: int) -> Decisions:
    room, terms, floor = view.room(c), view.auction_terms(c), view.terms(c).debt_floor * RAD

    def fits(debt: int) -> bool:
        """Tell whether all of a debt (rad) may go under auction, or a part that is not under the floor."""
        return room >= floor or debt < room + floor

    # No part of a debt brings more than all of it, and no smaller debt either.
    enough, share = partial(_pays, terms, least), (me.group.count, me.index)
    for vault in view.each_unsafe(c, enough, fits=fits, share=share) if room > 0 else ():
        principal = vault.debt if vault.debt - room < floor else room
        reward = _reward(terms, principal)
        if reward >= least:
            room -= principal
            args = (c, vault.owner, me.address)
            yield me.intent("LiquidationEngine", "liquidate", *args, about=args[:2], gain=reward)
            if room <= 0:
                break


@role("caller")
def caller(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Call vaults under the call ratio for more margin; liquidators then act when the call is due."""
    for c in range(len(view.symbols)):
        for vault in view.callable(c):
            yield me.intent("LiquidationEngine", "call", c, vault.owner, about=(c, vault.owner))


def _pays(terms: dutch.Terms, least: int, principal: int) -> bool:
    return _reward(terms, principal) >= least


def _reward(terms: dutch.Terms, principal: int) -> int:
    """Return the reward for starting an auction of a principal (rad) [wad]."""
    penalty = principal * (terms.penalty - BASIS_POINTS) // BASIS_POINTS
    return min(terms.reward((principal + penalty) // RAY), penalty // RAY)
