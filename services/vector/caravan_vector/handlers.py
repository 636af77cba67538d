"""Bus subjects to calls of the services."""

from __future__ import annotations

from typing import Final

from caravan_bus.control.verbs import Verbs
from caravan_contracts import vectors as v

from caravan_vector.attached.service import FileService
from caravan_vector.raw import RawService
from caravan_vector.searching.service import SearchService
from caravan_vector.stores.service import StoreService

STORES: Final[Verbs] = {
    "create_store": (v.CreateStore, StoreService.create),
    "get_store": (v.GetStore, StoreService.get),
    "list_stores": (v.ListStores, StoreService.page),
    "update_store": (v.UpdateStore, StoreService.update),
    "delete_store": (v.DeleteStore, StoreService.delete),
}
ATTACHED: Final[Verbs] = {
    "attach_file": (v.AttachFile, FileService.attach),
    "get_store_file": (v.GetStoreFile, FileService.get),
    "list_store_files": (v.ListStoreFiles, FileService.page),
    "update_store_file": (v.UpdateStoreFile, FileService.update),
    "detach_file": (v.DetachFile, FileService.detach),
    "read_store_file": (v.ReadStoreFile, FileService.read),
    "create_batch": (v.CreateBatch, FileService.create_batch),
    "get_batch": (v.GetBatch, FileService.get_batch),
    "cancel_batch": (v.CancelBatch, FileService.cancel_batch),
}
SEARCHES: Final[Verbs] = {"search_store": (v.SearchStore, SearchService.search)}
RAW: Final[Verbs] = {
    "insert_chunks": (v.InsertChunks, RawService.insert),
    "query_chunks": (v.QueryChunks, RawService.query),
    "delete_chunks": (v.DeleteChunks, RawService.delete),
}
VERBS: Final = (*STORES, *ATTACHED, *SEARCHES, *RAW)
