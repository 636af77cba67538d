"""Tables of the agents service, one numbered file per change (see :mod:`caravan_storage.migrations`)."""
