"""The registry's tables, one numbered file per change (see :mod:`caravan_storage.migrations`)."""
