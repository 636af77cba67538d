"""The store that a URL names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from caravan_contracts.errors import CaravanError
from caravan_storage.objects import from_url
from caravan_storage.objects.local import LocalObjects
from caravan_storage.objects.s3 import S3Objects

KEYS = {"AWS_ACCESS_KEY_ID": "the-key", "AWS_SECRET_ACCESS_KEY": "the-secret"}


def test_a_folder_is_not_made_before_it_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    objects = from_url(folder.as_uri(), {})
    assert isinstance(objects, LocalObjects)
    assert objects._folder == folder
    assert not folder.exists()


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "objects",
            "/var/objects",
            "http://a/b",
            "file://objects",
            "file:objects",
            "file:///a?b=c",
            "file:///a#b",
        ),
        *("file:///a%00b", "s3:///objects", "s3://B", "s3://bucket/a b", "s3://bucket/../a", "s3://bucket/a//b"),
        *("s3://bucket?endpoint=ftp://x", "s3://bucket?endpoint=http://x/y", "s3://bucket?endpoint=http://x:y"),
        *("s3://bucket?endpoint=http://u:p@x", "s3://bucket?endpoint=", "s3://bucket?what=x", "s3://bucket?region"),
        *("s3://bucket?region=a&region=b", "s3://bucket?region=a/b", "s3://bucket?style=x", "s3://bucket#x"),
        *("s3://the-key:the-secret@bucket", "http://[x"),
    ],
)
def test_a_url_that_names_no_store_is_refused_without_what_it_holds(url: str) -> None:
    with pytest.raises(CaravanError, match="CARAVAN_OBJECTS_URL cannot be used: ") as caught:
        from_url(url, KEYS)
    assert "the-secret" not in str(caught.value)


@pytest.mark.parametrize("name", KEYS)
def test_a_bucket_needs_both_keys(name: str) -> None:
    with pytest.raises(CaravanError, match="needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        from_url("s3://bucket", KEYS | {name: ""})


def test_a_bucket_of_amazons_own() -> None:
    objects = from_url("s3://bucket?region=eu-central-1", KEYS | {"AWS_SESSION_TOKEN": "the-token"})
    assert isinstance(objects, S3Objects)
    bucket = objects._bucket
    assert (bucket.name, bucket.prefix, bucket.endpoint, bucket.region) == ("bucket", "", "", "eu-central-1")
    assert not bucket.path_style
    assert (bucket.access_key, bucket.secret_key, bucket.session_token) == ("the-key", "the-secret", "the-token")
    assert "the-" not in repr(bucket)


def test_a_bucket_of_another_server() -> None:
    objects = from_url("s3://bucket/a/b/?endpoint=http://minio:9000", KEYS | {"AWS_REGION": "here"})
    assert isinstance(objects, S3Objects)
    bucket = objects._bucket
    assert (bucket.prefix, bucket.endpoint, bucket.region) == ("a/b/", "http://minio:9000", "here")
    assert bucket.path_style
    other = from_url("s3://bucket?endpoint=https://s3.example.org&style=virtual", KEYS)
    assert isinstance(other, S3Objects)
    assert not other._bucket.path_style


def test_the_client_of_s3_is_imported_only_by_its_first_use() -> None:
    code = (
        "import sys; from caravan_storage.objects import from_url; from_url('file:///a', {});"
        f"print('caravan_storage.objects.s3' in sys.modules); from_url('s3://bucket', {KEYS});"
        "print(any(name in sys.modules for name in ('botocore', 'aiobotocore', 'aiohttp')))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=110, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
