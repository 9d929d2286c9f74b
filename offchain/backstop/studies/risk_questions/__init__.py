"""Questions about a book: each is a function that returns a frame; units end the column names.

Amounts are integers: `_wad` where the model gives them to the wei, `_micro` (millionths of a stablecoin)
where they are estimated over paths. docs/how-to/questions.md has them all.
"""
