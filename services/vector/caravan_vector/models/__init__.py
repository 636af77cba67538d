"""Models that are asked over the bus: for vectors, for words, for an order."""
