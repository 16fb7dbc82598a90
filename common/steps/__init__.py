"""Training steps of stacks of toy models, compiled."""
