"""Rows of the table of channels that have one shape: a verb of a service, JSON there and back."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pydantic import BaseModel

from caravan_contracts import conversations as co
from caravan_contracts import files as f
from caravan_contracts import prompts as p
from caravan_contracts import safety as sa
from caravan_contracts import subjects as s
from caravan_contracts import vectors as v
from caravan_contracts.channel import Channel, Pattern
from caravan_contracts.users import AGENTS, FILES, GATEWAY, GUARDED, OPERATOR, READERS, REGISTRY, SAFETY, VECTOR


def row(
    verb: str,
    publishers: tuple[str, ...],
    request: type[BaseModel],
    reply: type[BaseModel],
    summary: str,
    service: str = REGISTRY,
) -> Channel:
    """A verb of `service`, which any of its processes answers."""
    return Channel(
        name=f"{service}.{verb}",
        address=s.request(service, verb),
        pattern=Pattern.REQUEST,
        publishers=publishers,
        subscribers=(service,),
        queue=service,
        request=request,
        reply=reply,
        summary=summary,
    )


def _of(
    service: str,
    verb: str,
    request: type[BaseModel],
    reply: type[BaseModel],
    summary: str,
    publishers: tuple[str, ...] = (GATEWAY,),
) -> Channel:
    return row(verb, publishers, request, reply, summary, service)


agents = partial(_of, AGENTS)
"""A verb of the agents service, which the gateway asks."""


def conversations() -> list[Channel]:
    """Those of conversations."""
    return [
        agents("create_conversation", co.CreateConversation, co.Conversation, "a new conversation"),
        agents("get_conversation", co.GetConversation, co.Conversation, "one conversation, without its items"),
        agents("update_conversation", co.UpdateConversation, co.Conversation, "replace its metadata"),
        agents("delete_conversation", co.DeleteConversation, co.ConversationDeleted, "forget it and its items"),
        agents("create_conversation_items", co.CreateConversationItems, co.ConversationItems, "add items at the end"),
        agents("list_conversation_items", co.ListConversationItems, co.ConversationItems, "its items, page by page"),
        agents("get_conversation_item", co.GetConversationItem, co.ConversationItems, "one item"),
        agents("delete_conversation_item", co.DeleteConversationItem, co.Conversation, "take one item out of it"),
    ]


def prompts() -> list[Channel]:
    """Those of prompts."""
    return [
        agents("create_prompt", p.CreatePrompt, p.Prompt, "a new prompt"),
        agents("get_prompt", p.GetPrompt, p.Prompt, "one version of a prompt"),
        agents("update_prompt", p.UpdatePrompt, p.Prompt, "a new version of a prompt"),
        agents("delete_prompt", p.DeletePrompt, p.PromptDeleted, "forget it with all its versions"),
        agents("list_prompts", p.ListPrompts, p.PromptPage, "every prompt, page by page"),
        agents("list_prompt_versions", p.ListPromptVersions, p.PromptPage, "every version of a prompt, page by page"),
        agents(
            "set_default_prompt_version", p.SetDefaultPromptVersion, p.Prompt, "which version is given who names none"
        ),
    ]


def files() -> list[Channel]:
    """Those of the files service."""
    one = partial(_of, FILES)

    return [
        one("begin_file", f.BeginFile, f.Place, "a place in the object store for a new file"),
        one("finish_file", f.FinishFile, f.File, "its bytes are there: make the file"),
        one("abandon_file", f.Abandon, f.Abandoned, "nothing will come of a place"),
        one("list_files", f.ListFiles, f.FilePage, "files, page by page"),
        one("get_file", f.GetFile, f.File, "one file"),
        one("locate_file", f.LocateFile, f.LocatedFile, "one file, and where its bytes lie", READERS),
        one("locate_files", f.LocateFiles, f.LocatedFiles, "those of some files that are there", READERS),
        one("delete_file", f.DeleteFile, f.FileDeleted, "forget it"),
        one("create_upload", f.CreateUpload, f.Upload, "a file that will come in parts"),
        one("begin_part", f.BeginPart, f.Place, "a place for a part of an upload"),
        one("finish_part", f.FinishPart, f.UploadPart, "its bytes are there"),
        one("abandon_part", f.Abandon, f.Abandoned, "nothing will come of the place of a part"),
        one("complete_upload", f.CompleteUpload, f.Upload, "make a file of its parts"),
        one("cancel_upload", f.CancelUpload, f.Upload, "no parts any more"),
    ]


def vectors() -> list[Channel]:
    """Those of the vector service."""
    one = partial(_of, VECTOR)

    return [
        one("create_store", v.CreateStore, v.VectorStore, "a new vector store"),
        one("get_store", v.GetStore, v.VectorStore, "one vector store", (GATEWAY, AGENTS)),
        one("list_stores", v.ListStores, v.StorePage, "vector stores, page by page"),
        one("update_store", v.UpdateStore, v.VectorStore, "change what was said of it"),
        one("delete_store", v.DeleteStore, v.Deleted, "forget it with its chunks"),
        one("attach_file", v.AttachFile, v.StoreFile, "read a file into a vector store"),
        one("get_store_file", v.GetStoreFile, v.StoreFile, "one file of a vector store"),
        one("list_store_files", v.ListStoreFiles, v.StoreFilePage, "the files of a vector store or batch"),
        one("update_store_file", v.UpdateStoreFile, v.StoreFile, "replace the attributes of a file"),
        one("detach_file", v.DetachFile, v.Deleted, "take a file out of a vector store"),
        one("read_store_file", v.ReadStoreFile, v.ChunkTexts, "the chunks of a file"),
        one("create_batch", v.CreateBatch, v.FileBatch, "read many files into a vector store"),
        one("get_batch", v.GetBatch, v.FileBatch, "one batch of files"),
        one("cancel_batch", v.CancelBatch, v.FileBatch, "read no further file of it"),
        one("search_store", v.SearchStore, v.SearchPage, "passages that answer a query", (GATEWAY, AGENTS)),
        one("insert_chunks", v.InsertChunks, v.Inserted, "chunks with vectors of their own"),
        one("query_chunks", v.QueryChunks, v.ChunkPage, "chunks near a text or a vector"),
        one("delete_chunks", v.DeleteChunks, v.Deleted, "take documents out"),
    ]


def safety() -> list[Channel]:
    """Those of the safety service."""
    one = partial(_of, SAFETY, publishers=(GATEWAY, OPERATOR))

    def entry(verb: str, request: type[BaseModel], reply: type[BaseModel], summary: str) -> Channel:
        row = one(verb, request, reply, f"{summary}; for any NATS client", publishers=(OPERATOR,))
        address = f"{row.address}.{{tenant}}.{{user}}"
        return replace(row, name=f"{row.name}.entry", address=address, foreign=True)

    return [
        one("check", sa.Check, sa.Verdicts, "what shields find in texts; for enforcers", publishers=GUARDED),
        one("run_shield", sa.RunShield, sa.ShieldAnswer, "what one shield says of messages"),
        one("moderate", sa.Moderate, sa.Moderation, "what a shield says of each input, in OpenAI's shape"),
        entry("run_shield", sa.RunShield, sa.ShieldAnswer, "what one shield says of messages"),
        entry("moderate", sa.Moderate, sa.Moderation, "what a shield says of each input, in OpenAI's shape"),
        entry("list_shields", sa.ListShields, sa.ShieldPage, "the shields that the caller may use, or one of them"),
        one("try_shield", sa.TryShield, sa.ShieldUsable, "whether a shield of these settings could be used"),
        one("list_verdicts", sa.ListVerdicts, sa.VerdictPage, "the audit, page by page"),
    ]
