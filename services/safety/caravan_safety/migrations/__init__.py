"""Tables of the safety service, one numbered file per change (see :mod:`caravan_storage.migrations`)."""
