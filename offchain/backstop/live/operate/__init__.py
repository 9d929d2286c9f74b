"""Commands that act on a chain that stays: deploy, run keepers, drive a scenario."""
