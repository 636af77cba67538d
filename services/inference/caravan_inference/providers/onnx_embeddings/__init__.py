"""Sentence embeddings inside the worker's process: an ONNX model on onnxruntime.

A call goes through these rooms, in this order:

- :mod:`provider`: takes the call, writes the answer
- :mod:`inputs`: the client's JSON, checked
- :mod:`turns`, :mod:`batches`: the texts of all calls, merged into runs of the model
- :mod:`model`: tokens in, vectors out (the only module that imports numpy and the runtimes; loaded at the start)
- :mod:`answer`: vectors as OpenAI's JSON

and :mod:`options` and :mod:`weights` serve the start. `data/` holds the tokenizer, see its NOTICE.
"""

from caravan_inference.providers.onnx_embeddings.provider import OnnxEmbeddings

__all__ = ["OnnxEmbeddings"]
