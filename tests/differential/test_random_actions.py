"""The whole protocol under random actions: model and chain agree on everything, every property holds."""

import pytest

from tests.differential.actions import Player
from tests.protocol import PRICES


@pytest.mark.parametrize("seed", range(8))
def test_model_and_chain_agree(protocol, seed):
    player = Player(protocol, seed)
    player.play(250)
    for call in ("VaultEngine.deposit_and_draw", "VaultEngine.repay_and_withdraw", "Savings.deposit"):
        assert player.succeeded.get(call), f"seed {seed} never got {call} to succeed"
    assert len(player.reasons) > 10
    # Slots that the model does not know would show here.
    assert protocol.lockstep.audit() > 0


def test_together_they_go_through_the_whole_life_of_a_loss(new_protocol):
    reached: dict[str, int] = {}
    for seed in range(20, 28):
        protocol = new_protocol(check_every=50)
        for symbol, price in PRICES.items():
            protocol.post_price(symbol, price)
        player = Player(protocol, seed)
        player.play(400)
        for call, count in player.succeeded.items():
            reached[call] = reached.get(call, 0) + count
    for call in (
        "LiquidationEngine.liquidate",
        "CollateralAuction.take",
        "CollateralAuction.reset",
        "CollateralAuction.close",
        "LossWaterfall.cover",
        "Savings.redeem",
    ):
        assert reached.get(call), f"nobody got {call} to succeed: {reached}"
