"""Replies of completions → answers, whichever route and release they come from.

    bytes ─ EventStream ─ payloads ─ a Decoder (native, OpenAI, agent) ─ AnswerBuilder ─ AnswerEvents

An `AnswerReader` accepts bytes and returns events. A `Decoder` knows the payloads of one route and tells the
`AnswerBuilder` what they mean: more text, more thinking, a whole text that replaces what came before. The builder holds what
all routes share: thinking in front of the text, LLM failures as text, citation markers, and the final answer.
"""
