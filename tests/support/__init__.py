"""What the tests share: recordings of real servers, a scripted HTTP server, event builders, leak checks."""
