"""A language model over HTTP. One emulator plays the model of another: it has an OpenAI-compatible API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations.emulator import FaultPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator.api import Api

QUESTION = "When is the boiler serviced?"


@pytest.fixture
def apis(serve: Callable[..., Api]) -> tuple[Api, Api]:
    """The model, and the emulator whose answers it writes."""
    model = serve()
    url = f"{model.server.base_url}/api/v1/openai/{model.direct_chat()}"
    return model, serve(llm_base_url=url, llm_api_key=model.server.api_key, llm_model="model")


def test_the_model_writes(apis: tuple[Api, Api]) -> None:
    _, api = apis
    events = api.ask(QUESTION)
    assert "".join(event["answer"] for event in events) == f"Echo: {QUESTION}"
    assert events[-1]["reference"]["chunks"][0]["document_name"] == "heating.md"


def test_reasoning_of_the_model_is_kept_apart(apis: tuple[Api, Api]) -> None:
    _, api = apis
    flags = [key for event in api.ask("Think: boiler?") for key in ("start_to_think", "end_to_think") if key in event]
    assert flags == ["start_to_think", "end_to_think"]


def test_a_model_that_refuses_is_an_error_text(apis: tuple[Api, Api]) -> None:
    model, api = apis
    kinds = {400: "INVALID_REQUEST", 401: "AUTH_ERROR", 429: "MAX_RETRIES_EXCEEDED", 503: "MAX_RETRIES_EXCEEDED"}
    for status, kind in kinds.items():
        model.server.faults = FaultPlan(status=status)
        assert api.ask(QUESTION)[0]["answer"].startswith(f"**ERROR**: {kind} - Error code: {status} - ")


def test_a_model_that_breaks_off_is_an_error_text(apis: tuple[Api, Api]) -> None:
    model, api = apis
    model.server.faults = FaultPlan(cut_after=1)
    text = "".join(event["answer"] for event in api.ask(f"{QUESTION} [[LONG=90]]"))
    assert text.startswith("Echo:")
    assert "**ERROR**: CONNECTION_ERROR" in text


def test_a_model_that_is_not_there(serve: Callable[..., Api]) -> None:
    api = serve(llm_base_url="http://127.0.0.1:9")
    assert api.ask(QUESTION)[0]["answer"].startswith("**ERROR**: CONNECTION_ERROR")
    api.server.faults = FaultPlan(llm_error="no")
    assert "GENERIC_ERROR - no" in api.ask(QUESTION)[0]["answer"]


def test_the_model_is_told_what_was_found(serve: Callable[..., Api], monkeypatch: pytest.MonkeyPatch) -> None:
    from ragflow_integrations.emulator import model as module  # noqa: PLC0415 - only to look at what is sent

    sent: list[dict[str, Any]] = []
    original = module.RemoteModel._request

    def request(self: module.RemoteModel, task: module.ModelRequest) -> dict[str, Any]:
        sent.append(original(self, task))
        return sent[-1]

    monkeypatch.setattr(module.RemoteModel, "_request", request)
    api = serve(llm_base_url="http://127.0.0.1:9")
    session = api.session()
    api.ask(QUESTION, session_id=session)
    system, *_, last = sent[0]["messages"]
    assert "serviced every October" in system["content"]
    assert "[ID:0]" in system["content"]
    assert last == {"role": "user", "content": QUESTION}
    assert "{knowledge}" not in system["content"]
    assert [message["role"] for message in sent[0]["messages"]] == ["system", "user"]  # without the opener
