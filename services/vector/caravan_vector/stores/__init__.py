"""Vector stores: what clients say of them, and what is counted in them."""
