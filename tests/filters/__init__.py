"""Filters hold: on every release, in every call that takes one, beside every other option."""
