"""What is asked differently of different releases, and what their refusals mean.

How the *replies* of releases differ is read where replies are read: `_protocol.decoders` and `_protocol.answers`.
"""
