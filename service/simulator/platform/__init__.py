"""The official platform: Chat Completions, Messages, Responses, models, speech (mimo-api.md, section 1)."""
