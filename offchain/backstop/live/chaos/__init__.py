"""Keepers and a mirror under disturbances: nodes that die, chains that go back, competitors, kill -9."""
