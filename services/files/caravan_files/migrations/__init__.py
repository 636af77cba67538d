"""Tables of the files service, one numbered file per change (see :mod:`caravan_storage.migrations`)."""
