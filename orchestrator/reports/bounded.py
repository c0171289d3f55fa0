"""Files that anybody who can write the archive may have written, read in bounded memory. Pure.

What is longer than anything orgmfa writes is refused before it is whole in memory: a gzip file of 13 MB can hold 13 GB,
and a JSON text of 8 MB objects that take 8 GB.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

MAX_UNPACKED_BYTES = 640 * 1024 * 1024
"""Six times the report of 10,000 accounts with 20 users each."""
MAX_LINE_BYTES = 40 * 1024 * 1024
"""Sixteen times the line of an account with 5,000 users, which is IAM's quota."""
MAX_JSON_VALUES = 720_000
"""Six times what the line of such an account holds; counted from the signs between values, so never too few."""


def unpack_lines(packed: bytes) -> Iterator[bytes]:
    """Yield the lines of a gzip file. Raises ValueError where it is none, or longer than anything orgmfa writes."""
    left = MAX_UNPACKED_BYTES
    try:
        with gzip.open(BytesIO(packed)) as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                left -= len(line)
                if len(line) > MAX_LINE_BYTES or left < 0:
                    raise ValueError("the file is longer than anything orgmfa writes")
                yield line
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"the file cannot be unpacked: {error}") from error


def unpack(packed: bytes) -> bytes:
    """Return the content of a gzip file. Raises ValueError as `unpack_lines` does."""
    return b"".join(unpack_lines(packed))


def load_json(text: bytes) -> Any:  # noqa: ANN401 - whatever the text holds
    """Return the value of a JSON text. Raises ValueError where it is none, or has more values than orgmfa writes."""
    if len(text) > MAX_LINE_BYTES or sum(map(text.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES:
        raise ValueError("the JSON has more values than any that orgmfa writes")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the text is no valid JSON: {error}") from error
