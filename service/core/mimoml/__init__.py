"""The MiMoML side: the streaming sieve, its grammar, argument coercion, and the prompt renderer."""
