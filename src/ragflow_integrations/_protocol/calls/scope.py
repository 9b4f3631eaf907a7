"""Which documents a filter lets through, when the server is not to decide it: their metadata are read and compared here.

An access filter must hold whatever release the server is and whatever else is asked. So a condition that the server would drop,
widen or compare otherwise becomes a list of document ids, which every release honours.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from ragflow_integrations._protocol import fields
from ragflow_integrations._protocol.calls import datasets, documents
from ragflow_integrations._protocol.compat import pairs, server_version
from ragflow_integrations.errors import DocumentNotFoundError, UnsupportedByServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragflow_integrations._protocol.calls.metadata_filters import Group
    from ragflow_integrations._protocol.compat.server_version import ServerProfile
    from ragflow_integrations._protocol.steps import Operation
    from ragflow_integrations.models import Chat

#: Documents whose metadata are read for one question; a page of the listing has 100.
MAX_DOCUMENTS: Final = 10_000
#: The id by which the server itself says "no document": sent when a filter lets nothing through, since no id would mean all.
NO_DOCUMENT: Final = "-999"


def documents_matching(
    dataset_ids: Sequence[str], condition: Group, document_ids: Sequence[str] | None, *, must_exist: bool = False
) -> Operation[list[str]]:
    """List the documents that fulfil a condition.

    Args:
        dataset_ids: Datasets to look in.
        condition: What their metadata must be.
        document_ids: Only these; None for all of the datasets.
        must_exist: Whether ids that the datasets do not have are an error.

    Returns:
        Their ids.

    Raises:
        DocumentNotFoundError: The datasets do not have one of `document_ids`, and `must_exist`.
        UnsupportedByServerError: There are more than `MAX_DOCUMENTS` to look at.
    """
    unseen = None if document_ids is None else set(document_ids)
    matching: list[str] = []
    count = 0
    for dataset_id in dataset_ids:
        fetch_page = documents.list_documents(dataset_id)
        for number in itertools.count(1):
            if unseen is not None and not unseen:
                return matching
            page = yield from fetch_page(number)
            count += len(page.items)
            for document in page.items:
                if unseen is None or document.id in unseen:
                    matching += [document.id] if condition.matches(document.metadata) else []
                if unseen is not None:
                    unseen.discard(document.id)
            if page.last:
                break
            if count >= MAX_DOCUMENTS:
                raise UnsupportedByServerError(
                    f"`metadata_condition` needs the metadata of all documents here, and the datasets have more than "
                    f"{MAX_DOCUMENTS}. Name fewer datasets, or filter by `document_ids` alone.",
                    feature="`metadata_condition` over so many documents",
                )
    if unseen and must_exist:
        raise DocumentNotFoundError(
            f"The datasets {', '.join(dataset_ids)} have no document {', '.join(sorted(unseen))}. Check `document_ids`."
        )
    return matching


def documents_of_chat(
    profile: ServerProfile, chat: Chat, condition: Group | None, document_ids: Sequence[str] | None
) -> Operation[list[str]]:
    """List the documents that a question to a chat assistant may be answered from.

    Args:
        profile: What is known of the server.
        chat: The assistant.
        condition: What their metadata must be; None for no condition.
        document_ids: Only these; None for all of its datasets.

    Returns:
        Their ids, or `[NO_DOCUMENT]`.

    Raises:
        UnsupportedByServerError: The assistant's own settings would add other documents.
    """
    yield from refuse_wider_answers(profile, chat)
    if condition is None:
        return list(document_ids or [NO_DOCUMENT])
    matching = yield from documents_matching(chat.dataset_ids, condition, document_ids)
    return matching or [NO_DOCUMENT]


def refuse_wider_answers(profile: ServerProfile, chat: Chat) -> Operation[None]:
    """Refuse a filter if the assistant's own settings make the server answer from other documents too.

    Raises:
        UnsupportedByServerError: It uses a knowledge graph, has a metadata filter of its own (the server adds its documents to
            those of the question), or answers from tables by SQL, which ignores the filter before 0.27.0.
    """
    prompt = fields.mapping(chat.raw, "prompt_config", "prompt")
    if prompt.get("use_kg"):
        raise _wider(chat, "uses the knowledge graph, made of whole datasets", "Turn it off")
    if fields.text(fields.mapping(chat.raw, "meta_data_filter"), "method") in ("auto", "semi_auto", "manual"):
        raise _wider(chat, "has a metadata filter of its own, whose documents the server adds", "Remove that filter")
    if (yield from server_version.supports_feature(profile, pairs.SQL_WITHIN_DOCUMENTS)):
        return
    for dataset_id in chat.dataset_ids:
        dataset = yield from datasets.get_dataset(dataset_id)
        if fields.mapping(dataset.raw, "parser_config").get("field_map"):
            raise _wider(
                chat, f"answers from tables of the dataset {dataset.name!r} by SQL, before RAGFlow 0.27.0", "Detach it"
            )


def _wider(chat: Chat, reason: str, remedy: str) -> UnsupportedByServerError:
    return UnsupportedByServerError(
        f"A filter (`document_ids`, `metadata_condition`) would not hold: the chat assistant {chat.name!r} {reason}. "
        f"{remedy}, or ask an assistant without it.",
        feature="a filter of a question beside the assistant's own settings",
    )
