"""Files in vector stores, and batches of them: what is known of each, and how far it has been read."""
