"""A Chainlink aggregator with scripted answers."""

from __future__ import annotations

from backstop.contract_base import Contract, World, external, require, view

WORD = 2**256


class ScriptedAggregator(Contract):
    """Chainlink price aggregator with scripted answers for tests (model of devnet/ScriptedAggregator.vy)."""

    KIND = "ScriptedAggregator"

    def __init__(self, world: World, name: str, address: str, decimals: int) -> None:
        super().__init__(world, name, address)
        self.answer_decimals = decimals
        self.round_ids = self.table("round_id")
        # As the slot holds it, of two's complement.
        self.answers = self.table("answer")
        self.starts = self.table("started_at")
        self.updates = self.table("updated_at")
        self.answered_in_rounds = self.table("answered_in_round")

    @external
    def set_answer(
        self,
        sender: str,
        round_id: int,
        answer: int,
        started_at: int,
        updated_at: int,
        answered_in_round: int,
    ) -> None:
        """Set the data of the only round, which later queries return."""
        self.round_ids[()] = round_id
        self.answers[()] = answer % WORD
        self.starts[()] = started_at
        self.updates[()] = updated_at
        self.answered_in_rounds[()] = answered_in_round

    @view
    def decimals(self, sender: str) -> int:
        """Return the number of decimals of the aggregator's answers."""
        return self.answer_decimals

    @view
    def description(self, sender: str) -> str:
        """Return the constant text "scripted aggregator"."""
        return "scripted aggregator"

    @view
    def version(self, sender: str) -> int:
        """Return 4, the version of Chainlink's interface."""
        return 4

    @view
    def getRoundData(self, sender: str, round_id: int) -> tuple[int, int, int, int, int]:
        """Return the last round; raise RevertError for any other round id."""
        require(round_id == self.round_ids[()], "scripted_aggregator: no data")
        return self.latestRoundData(sender)

    @view
    def latestRoundData(self, sender: str) -> tuple[int, int, int, int, int]:
        """Return the last round: id, answer, started_at, updated_at, answered_in_round."""
        word = self.answers[()]
        answer = word - WORD if word >= WORD // 2 else word
        return (
            self.round_ids[()],
            answer,
            self.starts[()],
            self.updates[()],
            self.answered_in_rounds[()],
        )
