"""HTTP over `requests` and `aiohttp`: settings, connections, session locks, streams, logs. What is sent is in `_protocol`."""
