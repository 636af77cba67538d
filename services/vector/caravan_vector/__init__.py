"""Vector stores: documents in, passages out."""
