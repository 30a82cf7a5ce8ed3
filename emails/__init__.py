"""What a reader sees, and how it leaves."""
