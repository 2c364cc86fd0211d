"""The studio web chat: one prompt, no tool channel, a session of cookies. Source: mimo-api.md, section 5."""
