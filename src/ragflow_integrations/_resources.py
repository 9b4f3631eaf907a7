# Generated from `_async_resources.py` by `tools/generate_sync.py`; `make format` writes it again.
"""The resources of `RAGFlowClient`: one short method for each call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragflow_integrations import _waiting
from ragflow_integrations._protocol.calls import agents, chats, chunks, datasets, documents, sessions

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ragflow_integrations._http.sync_transport import Transport
    from ragflow_integrations.models import (
        Agent,
        Chat,
        Chunk,
        Dataset,
        Document,
        File,
        JsonValue,
        LLMSettings,
        ParsingProgress,
        PromptSettings,
        Session,
    )


class _Resource:
    """Calls on one kind of object of the server.

    Args:
        transport: Runs the calls.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport


class Chats(_Resource):
    """Chat assistants.

    Attributes:
        sessions: Their sessions.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.sessions = Sessions(transport)

    def create(
        self,
        name: str,
        *,
        dataset_ids: Sequence[str] = (),
        description: str | None = None,
        llm: LLMSettings | None = None,
        prompt: PromptSettings | None = None,
    ) -> Chat:
        """Create a chat assistant.

        Args:
            name: Unique name.
            dataset_ids: Datasets to answer from; none for a plain LLM chat.
            description: Free text.
            llm: Settings of its LLM.
            prompt: Settings of its prompt and its retrieval.

        Raises:
            InvalidRequestError: The name is taken, or a dataset has no parsed document.
        """
        return self._transport.run(
            chats.create_chat(name, dataset_ids=dataset_ids, description=description, llm=llm, prompt=prompt)
        )

    def get(self, chat_id: str) -> Chat:
        """Get a chat assistant.

        Raises:
            ChatNotFoundError: There is none with this id.
        """
        return self._transport.run(chats.get_chat(chat_id))

    def find(self, name: str) -> Chat:
        """Get a chat assistant by its exact name.

        Raises:
            ChatNotFoundError: There is none with this name.
        """
        return self._transport.run(chats.find_chat(name))

    def list(self, *, name: str | None = None) -> Iterator[Chat]:
        """Iterate over the chat assistants, the newest first, asking for pages as they are needed."""
        return self._transport.iterate(chats.list_chats(name=name))

    def update(
        self,
        chat_id: str,
        *,
        name: str | None = None,
        dataset_ids: Sequence[str] | None = None,
        description: str | None = None,
        llm: LLMSettings | None = None,
        prompt: PromptSettings | None = None,
    ) -> Chat:
        """Change a chat assistant; what is not named stays, its datasets too (RAGFlow 0.22–0.24 would detach them).

        Args:
            chat_id: The assistant.
            name: New name.
            dataset_ids: Datasets to answer from instead; none for a plain LLM chat.
            description: Free text.
            llm: See `create`.
            prompt: See `create`.
        """
        return self._transport.run(
            chats.update_chat(
                self._transport.profile,
                chat_id,
                name=name,
                dataset_ids=dataset_ids,
                description=description,
                llm=llm,
                prompt=prompt,
            )
        )

    def delete(self, chat_ids: Sequence[str] | None = None, *, delete_all: bool = False) -> None:
        """Delete chat assistants and their sessions: those named, or all of them when told so."""
        self._transport.run(chats.delete_chats(chat_ids, delete_all=delete_all))


class Sessions(_Resource):
    """Sessions of chat assistants: conversations the server keeps."""

    def create(self, chat_id: str, name: str = "New session") -> Session:
        """Create a session.

        Raises:
            ChatNotFoundError: There is no such assistant.
        """
        return self._transport.run(sessions.create_session(chat_id, name))

    def get(self, chat_id: str, session_id: str) -> Session:
        """Get a session with its messages and their references.

        Raises:
            SessionNotFoundError: The assistant has no such session.
        """
        return self._transport.run(sessions.get_session(chat_id, session_id))

    def list(self, chat_id: str, *, name: str | None = None) -> Iterator[Session]:
        """Iterate over the sessions of an assistant, the newest first, asking for pages as they are needed."""
        return self._transport.iterate(sessions.list_sessions(chat_id, name=name))

    def update(self, chat_id: str, session_id: str, *, name: str) -> Session:
        """Rename a session."""
        return self._transport.run(sessions.update_session(chat_id, session_id, name=name))

    def delete_message(self, chat_id: str, session_id: str, message_id: str) -> None:
        """Delete a turn, question and answer (RAGFlow ≥ 0.25).

        Raises:
            UnsupportedByServerError: The server is older.
        """
        self._transport.run(sessions.delete_message(self._transport.profile, chat_id, session_id, message_id))

    def feedback(self, chat_id: str, session_id: str, message_id: str, *, helpful: bool, comment: str | None = None) -> None:
        """Rate an answer (RAGFlow ≥ 0.25).

        Raises:
            UnsupportedByServerError: The server is older.
        """
        self._transport.run(
            sessions.rate_message(self._transport.profile, chat_id, session_id, message_id, helpful=helpful, comment=comment)
        )

    def delete(self, chat_id: str, session_ids: Sequence[str] | None = None, *, delete_all: bool = False) -> None:
        """Delete sessions: those named, or all of the assistant's when told so."""
        self._transport.run(sessions.delete_sessions(chat_id, session_ids, delete_all=delete_all))


class Datasets(_Resource):
    """Datasets: parsed documents to answer from."""

    def create(
        self,
        name: str,
        *,
        description: str | None = None,
        embedding_model: str | None = None,
        chunk_method: str | None = None,
    ) -> Dataset:
        """Create a dataset.

        Args:
            name: Unique name.
            description: Free text.
            embedding_model: Model of its vectors, as `name@factory`; default the tenant's.
            chunk_method: How documents are cut: `"naive"`, `"qa"`, `"book"` …
        """
        return self._transport.run(
            datasets.create_dataset(name, description=description, embedding_model=embedding_model, chunk_method=chunk_method)
        )

    def get(self, dataset_id: str) -> Dataset:
        """Get a dataset.

        Raises:
            DatasetNotFoundError: There is none with this id.
        """
        return self._transport.run(datasets.get_dataset(dataset_id))

    def find(self, name: str) -> Dataset:
        """Get a dataset by its exact name.

        Raises:
            DatasetNotFoundError: There is none with this name.
        """
        return self._transport.run(datasets.find_dataset(name))

    def list(self, *, name: str | None = None) -> Iterator[Dataset]:
        """Iterate over the datasets, the newest first, asking for pages as they are needed."""
        return self._transport.iterate(datasets.list_datasets(name=name))

    def update(
        self,
        dataset_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        embedding_model: str | None = None,
    ) -> Dataset:
        """Change a dataset; what is not named stays."""
        return self._transport.run(
            datasets.update_dataset(dataset_id, name=name, description=description, embedding_model=embedding_model)
        )

    def delete(self, dataset_ids: Sequence[str] | None = None, *, delete_all: bool = False) -> None:
        """Delete datasets with their documents: those named, or all of them when told so."""
        self._transport.run(datasets.delete_datasets(dataset_ids, delete_all=delete_all))


class Documents(_Resource):
    """Documents of datasets: files, parsed into chunks."""

    def upload(self, dataset_id: str, files: Sequence[File]) -> builtins.list[Document]:
        """Upload files; parse them next.

        Args:
            dataset_id: Dataset to add them to.
            files: Paths, or `(file name, bytes)` pairs.

        Returns:
            The documents made, in the order of the files.
        """
        return self._transport.run(documents.upload_files(dataset_id, files))

    def get(self, dataset_id: str, document_id: str) -> Document:
        """Get a document.

        Raises:
            DocumentNotFoundError: The dataset has no such document.
        """
        return self._transport.run(documents.get_document(dataset_id, document_id))

    def list(self, dataset_id: str, *, name: str | None = None, keywords: str | None = None) -> Iterator[Document]:
        """Iterate over the documents of a dataset, the newest first, asking for pages as they are needed."""
        return self._transport.iterate(documents.list_documents(dataset_id, name=name, keywords=keywords))

    def update(
        self, dataset_id: str, document_id: str, *, name: str | None = None, metadata: Mapping[str, JsonValue] | None = None
    ) -> Document:
        """Change a document; what is not named stays.

        Args:
            dataset_id: Its dataset.
            document_id: The document.
            name: New file name, of the same extension.
            metadata: User metadata, instead of what it has; see `metadata_condition` of `retrieve`.
        """
        return self._transport.run(documents.update_document(dataset_id, document_id, name=name, metadata=metadata))

    def download(self, dataset_id: str, document_id: str) -> bytes:
        """Get the file of a document."""
        return self._transport.run(documents.download_document(dataset_id, document_id))

    def delete(self, dataset_id: str, document_ids: Sequence[str] | None = None, *, delete_all: bool = False) -> None:
        """Delete documents with their chunks: those named, or all of the dataset's when told so."""
        self._transport.run(documents.delete_documents(dataset_id, document_ids, delete_all=delete_all))

    def parse(self, dataset_id: str, document_ids: Sequence[str]) -> None:
        """Start parsing documents; `wait` for its end."""
        self._transport.run(documents.parse_documents(dataset_id, document_ids))

    def stop(self, dataset_id: str, document_ids: Sequence[str]) -> None:
        """Stop parsing documents."""
        self._transport.run(documents.stop_parsing(dataset_id, document_ids))

    def wait(
        self,
        dataset_id: str,
        document_ids: Sequence[str],
        *,
        progress: Callable[[ParsingProgress], None] | bool = False,
        timeout: float | None = None,
    ) -> builtins.list[Document]:
        """Wait until documents are parsed.

        Args:
            dataset_id: Their dataset.
            document_ids: The documents.
            progress: Called after each look at the server; True shows a progress bar (needs the `cli` extra).
            timeout: Seconds to wait at most; None waits for ever.

        Returns:
            The documents, parsed, in the server's order.

        Raises:
            DocumentParsingError: A document failed or was stopped; the message gives the server's log.
            RequestTimeoutError: They were not parsed in time.
        """
        return self._transport.run(_waiting.wait(dataset_id, document_ids, progress=progress, timeout=timeout))


class Chunks(_Resource):
    """Chunks of documents."""

    def list(self, dataset_id: str, document_id: str, *, keywords: str | None = None) -> Iterator[Chunk]:
        """Iterate over the chunks of a document, asking for pages as they are needed."""
        return self._transport.iterate(chunks.list_chunks(dataset_id, document_id, keywords=keywords))

    def get(self, dataset_id: str, document_id: str, chunk_id: str) -> Chunk:
        """Get a chunk.

        Raises:
            NotFoundError: The document has no such chunk.
        """
        return self._transport.run(chunks.get_chunk(dataset_id, document_id, chunk_id))

    def create(
        self,
        dataset_id: str,
        document_id: str,
        content: str,
        *,
        important_keywords: Sequence[str] | None = None,
        questions: Sequence[str] | None = None,
    ) -> Chunk:
        """Add a chunk to a document."""
        return self._transport.run(
            chunks.create_chunk(dataset_id, document_id, content, important_keywords=important_keywords, questions=questions)
        )

    def update(
        self,
        dataset_id: str,
        document_id: str,
        chunk_id: str,
        *,
        content: str | None = None,
        important_keywords: Sequence[str] | None = None,
        available: bool | None = None,
    ) -> Chunk:
        """Change a chunk; what is not named stays.

        Args:
            dataset_id: Its dataset.
            document_id: Its document.
            chunk_id: The chunk.
            content: New text.
            important_keywords: New keywords.
            available: Whether retrieval finds it.
        """
        return self._transport.run(
            chunks.update_chunk(
                dataset_id,
                document_id,
                chunk_id,
                content=content,
                important_keywords=important_keywords,
                available=available,
            )
        )

    def delete(self, dataset_id: str, document_id: str, chunk_ids: Sequence[str]) -> None:
        """Delete chunks of a document."""
        self._transport.run(chunks.delete_chunks(dataset_id, document_id, chunk_ids))


class AgentSessions(_Resource):
    """Sessions of agents: conversations the server keeps."""

    def create(self, agent_id: str, *, inputs: Mapping[str, JsonValue] | None = None) -> Session:
        """Create a session of an agent.

        Args:
            agent_id: The agent.
            inputs: Values of its begin form, by name; up to 0.19.1 a session needs those that must be given.

        Raises:
            AgentNotFoundError: There is no such agent.
            UnsupportedByServerError: The server is a 0.22, which runs no agent.
        """
        return self._transport.run(agents.create_agent_session(self._transport.profile, agent_id, inputs))

    def get(self, agent_id: str, session_id: str) -> Session:
        """Get a session of an agent with its messages.

        Raises:
            SessionNotFoundError: The agent has no such session.
        """
        return self._transport.run(agents.get_agent_session(agent_id, session_id))

    def list(self, agent_id: str) -> Iterator[Session]:
        """Iterate over the sessions of an agent, the newest first, asking for pages as they are needed."""
        return self._transport.iterate(agents.list_agent_sessions(agent_id))

    def delete(self, agent_id: str, session_ids: Sequence[str] | None = None, *, delete_all: bool = False) -> None:
        """Delete sessions of an agent: those named, or all of them when told so."""
        self._transport.run(agents.delete_agent_sessions(agent_id, session_ids, delete_all=delete_all))


class Agents(_Resource):
    """Agents. They are asked with `client.ask(question, agent_id=…)` and `client.stream`.

    Attributes:
        sessions: Their sessions.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.sessions = AgentSessions(transport)

    def get(self, agent_id: str) -> Agent:
        """Get an agent.

        Raises:
            AgentNotFoundError: There is none with this id.
        """
        return self._transport.run(agents.get_agent(agent_id))

    def find(self, title: str) -> Agent:
        """Get an agent by its exact title.

        Raises:
            AgentNotFoundError: There is none with this title.
        """
        return self._transport.run(agents.find_agent(title))

    def list(self, *, title: str | None = None) -> Iterator[Agent]:
        """Iterate over the agents, asking for pages as they are needed."""
        return self._transport.iterate(agents.list_agents(title=title))

    def create_session(self, agent_id: str, *, inputs: Mapping[str, JsonValue] | None = None) -> Session:
        """Create a session of an agent; the same as `sessions.create`."""
        return self.sessions.create(agent_id, inputs=inputs)

    def get_session(self, agent_id: str, session_id: str) -> Session:
        """Get a session of an agent; the same as `sessions.get`."""
        return self.sessions.get(agent_id, session_id)

    def list_sessions(self, agent_id: str) -> Iterator[Session]:
        """Iterate over the sessions of an agent; the same as `sessions.list`."""
        return self.sessions.list(agent_id)

    def delete_sessions(self, agent_id: str, session_ids: Sequence[str] | None = None, *, delete_all: bool = False) -> None:
        """Delete sessions of an agent; the same as `sessions.delete`."""
        self.sessions.delete(agent_id, session_ids, delete_all=delete_all)
