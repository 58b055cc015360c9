"""Records, their schema, and imports of them."""
