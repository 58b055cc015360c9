"""What entities there are and what their columns can hold: data, read from one JSON file an entity."""
