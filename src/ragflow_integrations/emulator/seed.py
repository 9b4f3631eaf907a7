"""What the emulator holds when it starts: a dataset of the documents, a chat assistant over it, and two agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ragflow_integrations.emulator import ingestion, parsing
from ragflow_integrations.emulator.defaults import CHAT_MODEL, LLM_SETTING, default_parser_config, default_prompt_config
from ragflow_integrations.emulator.store import Agent, Chat, Dataset

if TYPE_CHECKING:
    from pathlib import Path

    from ragflow_integrations.emulator.eras import Era
    from ragflow_integrations.emulator.store import Store

_DATASET: Final = "Emulator documents"
_CHAT: Final = "Emulator assistant"
_AGENT: Final = "Emulator agent"
_FORM_AGENT: Final = "Emulator form agent"


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """The ids of the objects that the emulator starts with.

    Attributes:
        dataset_id: The dataset of the documents.
        chat_id: The chat assistant over the dataset.
        agent_id: The agent that retrieves and answers.
        form_agent_id: The agent that asks the user for a ``topic`` first.
    """

    dataset_id: str
    chat_id: str
    agent_id: str
    form_agent_id: str


def seed(store: Store, era: Era, docs: Path) -> Seeded:
    """Make the objects that the emulator starts with, except for those that the store already holds by their names.

    Args:
        store: The store.
        era: The era, whose default settings the chat assistant gets.
        docs: A folder, or one file.

    Returns:
        Their ids.
    """
    dataset_id = _dataset(store, docs)
    return Seeded(
        dataset_id=dataset_id,
        chat_id=_chat(store, era, dataset_id),
        agent_id=_agent(store, Agent(title=_AGENT, dataset_ids=[dataset_id])),
        form_agent_id=_agent(store, Agent(title=_FORM_AGENT, dataset_ids=[dataset_id], asks="topic")),
    )


def _dataset(store: Store, docs: Path) -> str:
    datasets = {dataset.name: dataset for dataset in store.all(Dataset)}
    if _DATASET in datasets:
        return datasets[_DATASET].id
    dataset = Dataset(name=_DATASET, parser_config=default_parser_config())
    store.put(dataset)
    for path in _files(docs):
        document = ingestion.add_file(store, dataset, path.name, path.read_bytes())
        ingestion.parse(store, document)
    return dataset.id


def _files(docs: Path) -> list[Path]:
    if docs.is_file():
        return [docs]
    return sorted(path for path in docs.rglob("*") if path.suffix.lower() in parsing.SUFFIXES)


def _chat(store: Store, era: Era, dataset_id: str) -> str:
    for chat in store.all(Chat):
        if chat.name == _CHAT:
            return chat.id
    chat = Chat(
        name=_CHAT,
        dataset_ids=[dataset_id],
        llm_id=CHAT_MODEL,
        llm_setting=dict(LLM_SETTING),
        prompt_config=default_prompt_config(era),
    )
    store.put(chat)
    return chat.id


def _agent(store: Store, new: Agent) -> str:
    """Store an agent, unless there is one of that title; return the id of the stored one."""
    for agent in store.all(Agent):
        if agent.title == new.title:
            return agent.id
    store.put(new)
    return new.id
