"""What is remembered of what models said, and what is said to them: stored completions, conversations, prompts."""
