"""Bus subjects to calls of the service."""

from __future__ import annotations

from typing import Final

from caravan_bus.control.verbs import Verbs
from caravan_contracts import files as f

from caravan_files.joining import UploadService
from caravan_files.service import FileService

FILES: Final[Verbs] = {
    "begin_file": (f.BeginFile, FileService.begin),
    "finish_file": (f.FinishFile, FileService.finish),
    "abandon_file": (f.Abandon, FileService.abandon),
    "list_files": (f.ListFiles, FileService.list),
    "get_file": (f.GetFile, FileService.get),
    "locate_file": (f.LocateFile, FileService.locate),
    "locate_files": (f.LocateFiles, FileService.locate_many),
    "delete_file": (f.DeleteFile, FileService.delete),
}
UPLOADS: Final[Verbs] = {
    "create_upload": (f.CreateUpload, UploadService.create),
    "begin_part": (f.BeginPart, UploadService.begin_part),
    "finish_part": (f.FinishPart, UploadService.finish_part),
    "abandon_part": (f.Abandon, UploadService.abandon_part),
    "complete_upload": (f.CompleteUpload, UploadService.complete),
    "cancel_upload": (f.CancelUpload, UploadService.cancel),
}
