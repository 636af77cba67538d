"""What is remembered of conversations with models: stored chat completions."""
