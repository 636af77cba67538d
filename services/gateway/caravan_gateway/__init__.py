"""The HTTP edge: OpenAI-compatible routes onto the bus."""
