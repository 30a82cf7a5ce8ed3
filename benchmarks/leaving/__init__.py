"""One-click unsubscribes under load, while an edition is being sent from the same database."""
