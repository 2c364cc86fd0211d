"""The APIs that clients speak, one package each, none knowing another."""
