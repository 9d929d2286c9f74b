"""Evidence that contracts and model do what the rules say: properties, lockstep, fuzzing, mutation."""
