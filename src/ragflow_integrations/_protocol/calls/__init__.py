"""API calls: operations that yield steps and return values, each written once for both clients.

Arguments are checked before the first step. A listing is checked when it is made, and then asks for one page at a time.
"""
