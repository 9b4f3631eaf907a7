"""What both adapters share: clients, targets, steps for both modes, histories, stop sequences, chunks as plain data."""
