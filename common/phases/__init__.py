"""The phase diagrams of two and three features, their transitions, and the map of compression."""
