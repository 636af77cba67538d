"""What may go wrong with recordings.

CaravanError
├── NotFound 404
│   └── NoRecording        (no recording answers a request)
└── InvalidRequest 400
    └── BadCassette        (a file that cannot be read, or may not be written)
"""

from __future__ import annotations

from caravan_contracts.errors import InvalidRequest, NotFound


class NoRecording(NotFound):
    """No recording answers this request; the message names the nearest one and where it differs."""

    code = "no_recording"


class BadCassette(InvalidRequest):
    """A file of recordings cannot be read, or may not be written; the message names file and line."""

    code = "bad_cassette"
