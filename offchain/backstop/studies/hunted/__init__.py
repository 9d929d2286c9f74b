"""Whether the hunt for profit finds a wrong rule that contract and model share."""
