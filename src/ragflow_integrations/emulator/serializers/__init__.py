"""JSON of stored objects, one module for each kind of object, as each era writes it."""
