"""Vector stores: a handbook read into one, questions answered from it, and only from a part of it.

Python 3.11+, `pip install openai`. Needs a model for embeddings; `make up` brings one along.
"""

from __future__ import annotations

import os
from typing import Any

from openai import OpenAI

SERVER = os.environ.get("CARAVAN_URL", "http://localhost:8321").rstrip("/").removesuffix("/v1")
HANDBOOK = {
    "travel.md": "# Travel\n\nBook trains and flights two weeks ahead. A hotel may cost 120 euros for a night.",
    "laptops.md": "# Laptops\n\nA laptop is replaced after four years. Tell the help desk at once when it is stolen.",
    "holidays.md": "# Holidays\n\nEverybody has 30 days of holidays in a year, and may keep five of them for the next.",
}
AREAS = {"travel.md": "money", "laptops.md": "equipment", "holidays.md": "time"}
QUESTIONS = ("What may a hotel cost?", "When is a laptop replaced?", "How many days of holidays do I have?")


def main() -> None:
    """Everything is as at OpenAI."""
    client = OpenAI(base_url=f"{SERVER}/v1", api_key=os.environ.get("CARAVAN_API_KEY", "none"))
    store = client.vector_stores.create(name="handbook", expires_after={"anchor": "last_active_at", "days": 1})
    ids = {
        name: client.files.create(file=(name, text.encode()), purpose="assistants").id
        for name, text in HANDBOOK.items()
    }
    files: Any = [{"file_id": ids[name], "attributes": {"area": area}} for name, area in AREAS.items()]
    batch = client.vector_stores.file_batches.create(store.id, files=files)
    batch = client.vector_stores.file_batches.poll(batch.id, vector_store_id=store.id, poll_interval_ms=100)
    print(f"{batch.status}: {batch.file_counts.completed} of {batch.file_counts.total} files")

    for question in QUESTIONS:
        best = client.vector_stores.search(store.id, query=question, max_num_results=1).data[0]
        print(question, "->", best.filename)

    only: Any = {"type": "ne", "key": "area", "value": "money"}
    best = client.vector_stores.search(store.id, query=QUESTIONS[0], filters=only, max_num_results=3).data
    print("without what is about money:", *sorted({hit.filename for hit in best}))

    for file in ids.values():
        client.files.delete(file)
    print("forgotten:", client.vector_stores.delete(store.id).deleted)


if __name__ == "__main__":
    main()
