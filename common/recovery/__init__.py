"""Reading the features back out of the hidden space."""
