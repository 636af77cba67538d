"""Files and uploads over HTTP, in OpenAI's shapes. Bytes go straight into the object store and out of it; what is
known of them is kept by the files service.

- `form.py`: multipart/form-data, read as it comes
- `fields.py`: what stands in it beside the bytes
- `asking.py`: the files service
- `transfers.py`: how many transfers there may be at once
- `receiving.py`: the two routes that take bytes, past FastAPI: it would read the whole body first
- `routes.py`: files; `uploads.py`: uploads
- `content.py`, `ranges.py`: bytes to the client
"""
