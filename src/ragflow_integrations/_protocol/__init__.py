"""RAGFlow's protocol without I/O: bytes and JSON in, values out; no sockets, no clock, no framework."""
