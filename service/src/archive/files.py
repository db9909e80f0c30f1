"""The archive's files: one compressed file of JSON lines per day, in the data bucket."""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.s3.transfer import TransferConfig

from trading import fields

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_FOLDER = "trades/dt="
_FILE = "trades.ndjson.gz"
_KEY = re.compile(rf"{_FOLDER}(\d{{4}}-\d\d-\d\d)/{re.escape(_FILE)}")
_GZIP = 31  # tells zlib to write gzip's header and checksum
_PART_BYTES = 8 * 1024 * 1024
# One thread, because each thread holds a part in memory.
_TRANSFER = TransferConfig(
    multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, use_threads=False
)


class Archive:
    """The archived days under a prefix of a bucket. A day's file is complete, or absent."""

    def __init__(self, s3: S3Client, bucket: str, key_arn: str, prefix: str = "") -> None:
        self._s3 = s3
        self._bucket = bucket
        self._key_arn = key_arn
        self._prefix = prefix

    def days(self) -> Set[date]:
        """The days that have a file."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._prefix}{_FOLDER}"
        )
        keys = [
            found["Key"].removeprefix(self._prefix)
            for page in pages
            for found in page.get("Contents", [])
        ]
        return {date.fromisoformat(match[1]) for key in keys if (match := _KEY.fullmatch(key))}

    def write(self, day: date, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write a day's file, and replace an existing one.

        Parts are uploaded while rows are read. The file appears after its last part.

        Raises:
            botocore.exceptions.ClientError, boto3.exceptions.S3UploadFailedError: S3 refused.
        """
        stream = io.BufferedReader(_Stream(_compressed(rows)), _PART_BYTES)
        self._s3.upload_fileobj(
            stream,
            self._bucket,
            f"{self._prefix}{_FOLDER}{day}/{_FILE}",
            ExtraArgs={
                "ContentType": "application/gzip",
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": self._key_arn,
            },
            Config=_TRANSFER,
        )


def _compressed(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    # The header has no time, so that the same trades give the same bytes.
    compressor = zlib.compressobj(wbits=_GZIP)
    for row in rows:
        line = json.dumps(row, default=_text, separators=(",", ":"))
        yield compressor.compress(f"{line}\n".encode())
    yield compressor.flush()


def _text(value: datetime | Decimal) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + "Z"
    return fields.amount(value)


class _Stream(io.RawIOBase):
    """A readable file over the bytes of an iterator."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
