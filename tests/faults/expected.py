"""What each fault must come to, for every call.

A fault strikes a call that waits for one JSON object (`ask`, `complete`, `retrieve`, a listing) and one that reads a stream.
That is all there is to tell apart, but for who may ask again: a read always may, a stateless answer where no reply to it has
begun, a turn of a session where it cannot have been stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from ragflow_integrations import (
    ConnectionFailedError,
    ProtocolError,
    RAGFlowError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    StreamInterruptedError,
)
from tests.faults import faults
from tests.faults.replies import TEXT

if TYPE_CHECKING:
    from tests.faults.calls import Call, Effect

#: The right text; or text without end, which its reader leaves; or an error.
Result: TypeAlias = Literal["answer", "endless text"] | type[RAGFlowError]
#: Who asks again, once, before the error is raised. `unsent`: nobody, and the server sees no request at all.
Again: TypeAlias = Literal["unsent", "nobody", "reads", "stateless", "everybody"]

_AGAIN: dict[Again, tuple[Effect, ...]] = {
    "unsent": (),
    "nobody": (),
    "reads": ("read",),
    "stateless": ("read", "stateless"),
    "everybody": ("read", "stateless", "turn"),
}
FIRST, UP_TO_MARKER, UP_TO_EMOJI = "Batteries last ", "Batteries last a year ", "Batteries last a year [1]"
ANSWER: Final = "answer"
ENDLESS: Final = "endless text"


@dataclass(frozen=True)
class Expected:
    """What a fault must come to.

    Attributes:
        whole: For a call that waits for one JSON object.
        streamed: For a call that reads a stream.
        kept: Text that a stream shows before its error.
        again: Who asks again.
    """

    whole: Result
    streamed: Result
    kept: str = ""
    again: Again = "nobody"

    def result(self, call: Call) -> Result:
        return self.of(streamed=call.streamed)

    def of(self, *, streamed: bool) -> Result:
        return self.streamed if streamed else self.whole

    def text(self, call: Call) -> str:
        """The text that the caller has in the end."""
        if self.result(call) == ANSWER:
            return call.right
        return self.kept if call.streamed else ""

    def sent(self, call: Call) -> int:
        """The requests that the server sees."""
        return self.sends(call.effect)

    def sends(self, effect: Effect) -> int:
        return 0 if self.again == "unsent" else 1 + (effect in _AGAIN[self.again])


_CUT = StreamInterruptedError
TABLE: dict[str, Expected] = {
    #                                     one object             a stream               text kept     asks again
    faults.REFUSED: Expected(             ConnectionFailedError, ConnectionFailedError, "",           "unsent"),
    "reset before headers": Expected(     ConnectionFailedError, ConnectionFailedError, "",           "stateless"),
    "reset after headers": Expected(      ConnectionFailedError, _CUT,                  "",           "reads"),
    "stall before the body": Expected(    RequestTimeoutError,   RequestTimeoutError,   "",           "reads"),
    "stall in the body": Expected(        RequestTimeoutError,   _CUT,                  FIRST,        "reads"),
    "stall after the body": Expected(     RequestTimeoutError,   ANSWER,                "",           "reads"),
    "slow drip": Expected(                ANSWER,                ANSWER),
    "cut inside a frame": Expected(       ConnectionFailedError, _CUT,                  FIRST,        "reads"),
    "cut inside a character": Expected(   ConnectionFailedError, _CUT,                  UP_TO_EMOJI,  "reads"),
    "cut inside a marker": Expected(      ConnectionFailedError, _CUT,                  UP_TO_MARKER, "reads"),
    "missing terminator": Expected(       ProtocolError,         _CUT,                  TEXT),
    "terminator twice": Expected(         ProtocolError,         ANSWER),
    "data after the terminator": Expected(ANSWER,                ANSWER),
    "garbage": Expected(                  ProtocolError,         ProtocolError,         FIRST),
    "HTML 200": Expected(                 ProtocolError,         ProtocolError),
    "HTML 502": Expected(                 ServerError,           ServerError,           "",           "stateless"),
    "HTML 504": Expected(                 ServerError,           ServerError,           "",           "stateless"),
    "429 with Retry-After": Expected(     RateLimitError,        RateLimitError,        "",           "everybody"),
    "429 without Retry-After": Expected(  RateLimitError,        RateLimitError,        "",           "everybody"),
    "wrong Content-Type": Expected(       ANSWER,                ANSWER),
    "two Content-Types": Expected(        ANSWER,                ANSWER),
    "gzip": Expected(                     ANSWER,                ANSWER),
    "huge frame": Expected(               ProtocolError,         ProtocolError,         FIRST),
    "endless stream": Expected(           ProtocolError,         ENDLESS),
    faults.REDIRECT: Expected(            ProtocolError,         ProtocolError),
    faults.TLS: Expected(                 ConnectionFailedError, ConnectionFailedError, "",           "unsent"),
}  # fmt: skip
