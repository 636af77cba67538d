"""Files: upload one, find it again, read a part of it, forget it.

Python 3.11+, `pip install openai`.
"""

from __future__ import annotations

import os

from openai import OpenAI

SERVER = os.environ.get("CARAVAN_URL", "http://localhost:8321").rstrip("/").removesuffix("/v1")
TEXT = "".join(f"line {number} of the log\n" for number in range(1, 100_001)).encode()


def main() -> None:
    """Everything is as at OpenAI; the range is HTTP's, and OpenAI's client passes its header on."""
    client = OpenAI(base_url=f"{SERVER}/v1", api_key=os.environ.get("CARAVAN_API_KEY", "none"))
    file = client.files.create(
        file=("log.txt", TEXT),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    print(f"{file.filename}: {file.bytes} bytes, kept for {(file.expires_at or 0) - file.created_at} s")

    newest = next(iter(client.files.list(purpose="user_data", limit=1)))
    print("it is the newest one:", newest.id == file.id)

    end = client.files.content(file.id, extra_headers={"Range": "bytes=-45"}).read()
    print("its last lines:", *end.decode().splitlines(), sep="\n  ")

    print("forgotten:", client.files.delete(file.id).deleted)


if __name__ == "__main__":
    main()
