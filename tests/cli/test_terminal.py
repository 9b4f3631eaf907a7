"""A terminal obeys control characters, so the server's are not written to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from ragflow_integrations import RAGFlowClient
from ragflow_integrations.cli import app
from ragflow_integrations.cli import main as command
from ragflow_integrations.emulator import Emulator
from tests.support.wire import Exchange, WireServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Clears the screen, sets the title, goes back in the line, colours by a C1 code.
EVIL = "\x1b[2J\x1b]0;owned\x07\r\x08\x9b31m[bold]"
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    docs: Path = tmp_path_factory.mktemp("docs")
    (docs / f"{EVIL}\nforged.txt").write_text(f"The boiler {EVIL} is serviced in May.", encoding="utf-8", newline="")
    with Emulator(docs) as emulator:
        with RAGFlowClient(emulator.base_url, emulator.api_key) as client:
            client.chats.update(emulator.chat_id, name=f"{EVIL}\nforged")
        yield emulator


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [(["ask", "When is the boiler serviced?"], None), (["chat"], "When is the boiler serviced?\n\n"), (["doctor"], None)],
    ids=["ask", "chat", "doctor"],
)
def test_control_characters_are_not_shown(arguments: list[str], typed: str | None, server: Emulator) -> None:
    environment = {"RAGFLOW_BASE_URL": server.base_url, "RAGFLOW_API_KEY": server.api_key}
    result = CliRunner().invoke(app, arguments, input=typed, env=environment, catch_exceptions=False)
    assert result.exit_code == 0
    assert "[bold]" in result.output
    assert "forged" in result.output
    assert not CONTROLS.search(result.output)
    assert not any(line.startswith("forged") for line in result.output.splitlines())


def test_nor_where_an_assistant_must_be_named(server: Emulator) -> None:
    environment = {"RAGFLOW_BASE_URL": server.base_url, "RAGFLOW_API_KEY": server.api_key}
    with RAGFlowClient(server.base_url, server.api_key) as client:
        other = client.chats.create("Another")
        result = CliRunner().invoke(app, ["ask", "Hello"], env=environment)
        client.chats.delete([other.id])
    assert result.exit_code != 0
    assert "forged" in result.output
    assert not CONTROLS.search(result.output)


def test_nor_in_errors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(exchange: Exchange) -> None:
        exchange.reply(json={"code": 101, "message": f"{EVIL}\nforged"})

    with WireServer(refuse) as server:
        monkeypatch.setattr("sys.argv", ["x", "doctor", "--base-url", server.base_url, "--api-key", "k"])
        with pytest.raises(SystemExit):
            command()
    output = "".join(capsys.readouterr())
    assert "forged" in output
    assert len(output.splitlines()) == 1
    assert not CONTROLS.search(output)
