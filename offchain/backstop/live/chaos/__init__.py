"""Tests of keepers and a mirror under disturbances: nodes that die, reorganisations, competitors, kill -9."""
