"""What the operation types do."""
