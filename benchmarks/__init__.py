"""What streaming, retrieval and import cost, beside the frameworks alone and other clients; `python -m benchmarks`."""
