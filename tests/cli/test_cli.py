from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from ragflow_integrations import RAGFlowClient
from ragflow_integrations.cli import app
from ragflow_integrations.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

QUESTION = "How long does a full charge take at a charging station?"


@pytest.fixture(scope="module")
def server() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


def run(server: Emulator, *arguments: str, typed: str | None = None) -> str:
    environment = {"RAGFLOW_BASE_URL": server.base_url, "RAGFLOW_API_KEY": server.api_key}
    result = CliRunner().invoke(app, list(arguments), input=typed, env=environment, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_ask_streams_the_answer_with_numbered_sources(server: Emulator) -> None:
    output = run(server, "ask", QUESTION)
    assert "four hours [1]" in output
    assert re.search(r"^  \[1\] charging-stations\.md: ", output, re.MULTILINE)


def test_chat_keeps_one_session(server: Emulator) -> None:
    output = run(server, "chat", "--chat", "Emulator assistant", typed=f"{QUESTION}\nWho must wear a helmet?\n\n")
    assert "four hours" in output
    with RAGFlowClient(server.base_url, server.api_key) as client:
        newest = next(client.sessions.list(server.chat_id, name="Terminal"))
    assert [message.role for message in newest.messages] == ["assistant", "user", "assistant", "user", "assistant"]


def test_doctor_says_what_it_finds(server: Emulator) -> None:
    output = run(server, "doctor")
    assert "takes the key" in output
    assert "v0.27.0" in output
    assert "Emulator assistant" in output


def test_demo_streams_through_both_frameworks(server: Emulator) -> None:
    output = run(server, "demo", "--delay", "0")
    assert "LangChain" in output
    assert "LlamaIndex" in output
    assert "four hours [1]" in output
    assert output.count("  [1] ") == 2
    assert "the emulator is stopped" in output


def test_an_assistant_must_be_named_where_there_are_several(server: Emulator) -> None:
    with RAGFlowClient(server.base_url, server.api_key) as client:
        other = client.chats.create("Another")
        environment = {"RAGFLOW_BASE_URL": server.base_url, "RAGFLOW_API_KEY": server.api_key}
        result = CliRunner().invoke(app, ["ask", "Hello"], env=environment)
        client.chats.delete([other.id])
    assert result.exit_code != 0
    assert "'Another'" in result.output


def test_an_error_is_one_line(server: Emulator) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "ragflow_integrations.cli", "ask", "Hello", "--base-url", server.base_url, "--api-key", "wrong"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout.startswith("AuthenticationError: ")
    assert "Traceback" not in result.stdout + result.stderr


def test_the_emulator_runs_until_it_is_told_to_stop() -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "ragflow_integrations.cli", "emulator", "--port", "0", "--version", "0.22.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as process:
        assert process.stdout is not None
        found = None
        said = []
        for line in process.stdout:
            said.append(line)
            found = found or re.search(r"http://127\.0\.0\.1:\d+", line)
            if "dataset" in line.lower():
                break
        assert found, said
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0, process.stdout.read()
    assert any("not RAGFlow" in line for line in said)
