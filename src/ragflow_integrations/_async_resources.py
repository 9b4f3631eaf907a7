"""The resources of `AsyncRAGFlowClient`: one short method for each call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragflow_integrations import _waiting
from ragflow_integrations._protocol.calls import agents, chats, chunks, datasets, documents, sessions

if TYPE_CHECKING:
    import builtins
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from ragflow_integrations._http.async_transport import AsyncTransport
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

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport


class AsyncChats(_Resource):
    """Chat assistants.

    Attributes:
        sessions: Their sessions.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        super().__init__(transport)
        self.sessions = AsyncSessions(transport)

    async def create(
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
        return await self._transport.run(
            chats.create_chat(name, dataset_ids=dataset_ids, description=description, llm=llm, prompt=prompt)
        )

    async def get(self, chat_id: str) -> Chat:
        """Get a chat assistant.

        Raises:
            ChatNotFoundError: There is none with this id.
        """
        return await self._transport.run(chats.get_chat(chat_id))

    async def find(self, name: str) -> Chat:
        """Get a chat assistant by its exact name.

        Raises:
            ChatNotFoundError: There is none with this name.
        """
        return await self._transport.run(chats.find_chat(name))

    def list(self, *, name: str | None = None) -> AsyncIterator[Chat]:
        """Iterate over the chat assistants, the newest first, asking for pages as they are needed."""
        return self._transport.iterate(chats.list_chats(name=name))

    async def update(
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
        return await self._transport.run(
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

    async def delete(self, chat_ids: Sequence[str] | None = None, *, delete_all: bool = False) -> None:
        """Delete chat assistants and their sessions: those named, or all of them when told so."""
        await self._transport.run(chats.delete_chats(chat_ids, delete_all=delete_all))


class AsyncSessions(_Resource):
    """Sessions of chat assistants: conversations the server keeps."""

    async def create(self, chat_id: str, name: str = "New session") -> Session:
        """Create a session.

        Raises:
            ChatNotFoundError: There is no such assistant.
        """
        return await self._transport.run(sessions.create_session(chat_id, name))

    async def get(self, chat_id: str, session_id: str) -> Session:
        """Get a session with its messages and their references.

        Raises:
            SessionNotFoundError: The assistant has no such session.
        """
        return await self._transport.run(sessions.get_session(chat_id, session_id))

    def list(self, chat_id: str, *, name: str | None = None) -> AsyncIterator[Session]:
        """Iterate over the sessions of an assistant, the newest first, asking for pages as they are needed."""
        return self._transport.iterate(sessions.list_sessions(chat_id, name=name))

    async def update(self, chat_id: str, session_id: str, *, name: str) -> Session:
        """Rename a session."""
        return await self._transport.run(sessions.update_session(chat_id, session_id, name=name))

    async def delete_message(self, chat_id: str, session_id: str, message_id: str) -> None:
        """Delete a turn, question and answer (RAGFlow ≥ 0.25).

        Raises:
            UnsupportedByServerError: The server is older.
        """
        await self._transport.run(sessions.delete_message(self._transport.profile, chat_id, session_id, message_id))

    async def feedback(
        self, chat_id: str, session_id: str, message_id: str, *, helpful: bool, comment: str | None = None
    ) -> None:
        """Rate an answer (RAGFlow ≥ 0.25).

        Raises:
            UnsupportedByServerError: The server is older.
        """
        await self._transport.run(
            sessions.rate_message(self._transport.profile, chat_id, session_id, message_id, helpful=helpful, comment=comment)
        )

    async def delete(self, chat_id: str, session_ids: Sequence[str] | None = None, *, delete_all: bool = False) -> None:
        """Delete sessions: those named, or all of the assistant's when told so."""
        await self._transport.run(sessions.delete_sessions(chat_id, session_ids, delete_all=delete_all))


class AsyncDatasets(_Resource):
    """Datasets: parsed documents to answer from."""

    async def create(
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
        return await self._transport.run(
            datasets.create_dataset(name, description=description, embedding_model=embedding_model, chunk_method=chunk_method)
        )

    async def get(self, dataset_id: str) -> Dataset:
        """Get a dataset.

        Raises:
            DatasetNotFoundError: There is none with this id.
        """
        return await self._transport.run(datasets.get_dataset(dataset_id))

    async def find(self, name: str) -> Dataset:
        """Get a dataset by its exact name.

        Raises:
            DatasetNotFoundError: There is none with this name.
        """
        return await self._transport.run(datasets.find_dataset(name))

    def list(self, *, name: str | None = None) -> AsyncIterator[Dataset]:
        """Iterate over the datasets, the newest first, asking for pages as they are needed."""
        return self._transport.iterate(datasets.list_datasets(name=name))

    async def update(
        self,
        dataset_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        embedding_model: str | None = None,
    ) -> Dataset:
        """Change a dataset; what is not named stays."""
        return await self._transport.run(
            datasets.update_dataset(dataset_id, name=name, description=description, embedding_model=embedding_model)
        )

    async def delete(self, dataset_ids: Sequence[str] | None = None, *, delete_all: bool = False) -> None:
        """Delete datasets with their documents: those named, or all of them when told so."""
        await self._transport.run(datasets.delete_datasets(dataset_ids, delete_all=delete_all))


class AsyncDocuments(_Resource):
    """Documents of datasets: files, parsed into chunks."""

    async def upload(self, dataset_id: str, files: Sequence[File]) -> builtins.list[Document]:
        """Upload files; parse them next.

        Args:
            dataset_id: Dataset to add them to.
            files: Paths, or `(file name, bytes)` pairs.

        Returns:
            The documents made, in the order of the files.
        """
        return await self._transport.run(documents.upload_files(dataset_id, files))

    async def get(self, dataset_id: str, document_id: str) -> Document:
        """Get a document.

        Raises:
            DocumentNotFoundError: The dataset has no such document.
        """
        return await self._transport.run(documents.get_document(dataset_id, document_id))

    def list(self, dataset_id: str, *, name: str | None = None, keywords: str | None = None) -> AsyncIterator[Document]:
        """Iterate over the documents of a dataset, the newest first, asking for pages as they are needed."""
        return self._transport.iterate(documents.list_documents(dataset_id, name=name, keywords=keywords))

    async def update(
        self, dataset_id: str, document_id: str, *, name: str | None = None, metadata: Mapping[str, JsonValue] | None = None
    ) -> Document:
        """Change a document; what is not named stays.

        Args:
            dataset_id: Its dataset.
            document_id: The document.
            name: New file name, of the same extension.
            metadata: User metadata, instead of what it has; see `metadata_condition` of `retrieve`.
        """
        return await self._transport.run(documents.update_document(dataset_id, document_id, name=name, metadata=metadata))

    async def download(self, dataset_id: str, document_id: str) -> bytes:
        """Get the file of a document."""
        return await self._transport.run(documents.download_document(dataset_id, document_id))

    async def delete(self, dataset_id: str, document_ids: Sequence[str] | None = None, *, delete_all: bool = False) -> None:
        """Delete documents with their chunks: those named, or all of the dataset's when told so."""
        await self._transport.run(documents.delete_documents(dataset_id, document_ids, delete_all=delete_all))

    async def parse(self, dataset_id: str, document_ids: Sequence[str]) -> None:
        """Start parsing documents; `wait` for its end."""
        await self._transport.run(documents.parse_documents(dataset_id, document_ids))

    async def stop(self, dataset_id: str, document_ids: Sequence[str]) -> None:
        """Stop parsing documents."""
        await self._transport.run(documents.stop_parsing(dataset_id, document_ids))

    async def wait(
        self,
        dataset_id: str,
        document_ids: Sequence[str],
        *,
        progress: Callable[[ParsingProgress], None] | bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - as the sync twin
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
        return await self._transport.run(_waiting.wait(dataset_id, document_ids, progress=progress, timeout=timeout))


class AsyncChunks(_Resource):
    """Chunks of documents."""

    def list(self, dataset_id: str, document_id: str, *, keywords: str | None = None) -> AsyncIterator[Chunk]:
        """Iterate over the chunks of a document, asking for pages as they are needed."""
        return self._transport.iterate(chunks.list_chunks(dataset_id, document_id, keywords=keywords))

    async def get(self, dataset_id: str, document_id: str, chunk_id: str) -> Chunk:
        """Get a chunk.

        Raises:
            NotFoundError: The document has no such chunk.
        """
        return await self._transport.run(chunks.get_chunk(dataset_id, document_id, chunk_id))

    async def create(
        self,
        dataset_id: str,
        document_id: str,
        content: str,
        *,
        important_keywords: Sequence[str] | None = None,
        questions: Sequence[str] | None = None,
    ) -> Chunk:
        """Add a chunk to a document."""
        return await self._transport.run(
            chunks.create_chunk(dataset_id, document_id, content, important_keywords=important_keywords, questions=questions)
        )

    async def update(
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
        return await self._transport.run(
            chunks.update_chunk(
                dataset_id,
                document_id,
                chunk_id,
                content=content,
                important_keywords=important_keywords,
                available=available,
            )
        )

    async def delete(self, dataset_id: str, document_id: str, chunk_ids: Sequence[str]) -> None:
        """Delete chunks of a document."""
        await self._transport.run(chunks.delete_chunks(dataset_id, document_id, chunk_ids))


class AsyncAgentSessions(_Resource):
    """Sessions of agents: conversations the server keeps."""

    async def create(self, agent_id: str, *, inputs: Mapping[str, JsonValue] | None = None) -> Session:
        """Create a session of an agent.

        Args:
            agent_id: The agent.
            inputs: Values of its begin form, by name; up to 0.19.1 a session needs those that must be given.

        Raises:
            AgentNotFoundError: There is no such agent.
            UnsupportedByServerError: The server is a 0.22, which runs no agent.
        """
        return await self._transport.run(agents.create_agent_session(self._transport.profile, agent_id, inputs))

    async def get(self, agent_id: str, session_id: str) -> Session:
        """Get a session of an agent with its messages.

        Raises:
            SessionNotFoundError: The agent has no such session.
        """
        return await self._transport.run(agents.get_agent_session(agent_id, session_id))

    def list(self, agent_id: str) -> AsyncIterator[Session]:
        """Iterate over the sessions of an agent, the newest first, asking for pages as they are needed."""
        return self._transport.iterate(agents.list_agent_sessions(agent_id))

    async def delete(self, agent_id: str, session_ids: Sequence[str] | None = None, *, delete_all: bool = False) -> None:
        """Delete sessions of an agent: those named, or all of them when told so."""
        await self._transport.run(agents.delete_agent_sessions(agent_id, session_ids, delete_all=delete_all))


class AsyncAgents(_Resource):
    """Agents. They are asked with `await client.ask(question, agent_id=…)` and `client.stream`.

    Attributes:
        sessions: Their sessions.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        super().__init__(transport)
        self.sessions = AsyncAgentSessions(transport)

    async def get(self, agent_id: str) -> Agent:
        """Get an agent.

        Raises:
            AgentNotFoundError: There is none with this id.
        """
        return await self._transport.run(agents.get_agent(agent_id))

    async def find(self, title: str) -> Agent:
        """Get an agent by its exact title.

        Raises:
            AgentNotFoundError: There is none with this title.
        """
        return await self._transport.run(agents.find_agent(title))

    def list(self, *, title: str | None = None) -> AsyncIterator[Agent]:
        """Iterate over the agents, asking for pages as they are needed."""
        return self._transport.iterate(agents.list_agents(title=title))

    async def create_session(self, agent_id: str, *, inputs: Mapping[str, JsonValue] | None = None) -> Session:
        """Create a session of an agent; the same as `sessions.create`."""
        return await self.sessions.create(agent_id, inputs=inputs)

    async def get_session(self, agent_id: str, session_id: str) -> Session:
        """Get a session of an agent; the same as `sessions.get`."""
        return await self.sessions.get(agent_id, session_id)

    def list_sessions(self, agent_id: str) -> AsyncIterator[Session]:
        """Iterate over the sessions of an agent; the same as `sessions.list`."""
        return self.sessions.list(agent_id)

    async def delete_sessions(
        self, agent_id: str, session_ids: Sequence[str] | None = None, *, delete_all: bool = False
    ) -> None:
        """Delete sessions of an agent; the same as `sessions.delete`."""
        await self.sessions.delete(agent_id, session_ids, delete_all=delete_all)
