"""OpenAI Chat Completions, both roles."""
