"""One JSON file an entity: a new file here is a new entity. `schema.reader` describes the format."""
