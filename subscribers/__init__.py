"""Who asked for the letter, and who must not get it."""
