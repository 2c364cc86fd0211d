"""The wires we call: the official platform and the studio web wire."""
