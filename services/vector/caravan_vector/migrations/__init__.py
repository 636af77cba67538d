"""Tables of the vector service, one numbered file per change (see :mod:`caravan_storage.migrations`)."""
