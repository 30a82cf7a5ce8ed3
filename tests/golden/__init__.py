"""Golden letters: awkward editions in every design and language, kept byte for byte."""
