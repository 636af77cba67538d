"""Where bytes are kept that are too big for a database and for the bus: uploaded files and what is made of them.

- `protocol.py`: :class:`Objects`, the one seam, and :class:`Stored`
- `names.py`: what a key may look like
- `opening.py`: :func:`from_url`, the store that ``CARAVAN_OBJECTS_URL`` names
- `bounds.py`: what goes in and out, within its bounds
- `local.py`: a folder, with `threads.py`, `draft.py` (an object on its way), `reading.py`, and
  `walk.py` (what is there)
- `s3.py`: a bucket, with `s3_client.py` (waits, tries, errors) and `s3_upload.py` (an object in parts)
"""

from caravan_storage.objects.names import MAX_KEY, check_key
from caravan_storage.objects.opening import from_url
from caravan_storage.objects.protocol import PIECE, Objects, Stored

__all__ = ["MAX_KEY", "PIECE", "Objects", "Stored", "check_key", "from_url"]
