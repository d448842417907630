"""Opens a file for reading bytes, gzipped or not, and finds files that are not UTF-8 as a whole.

    with open_bytes(Path("set.jsonl.gz")) as file:
        first = file.readline().removeprefix(BOM)

Not here: a single line that is not UTF-8, which the reader of the format reports with its number.
"""

import gzip
from pathlib import Path
from typing import BinaryIO, cast

BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_UTF16_START = (b"\xff\xfe", b"\xfe\xff")  # UTF-16 and UTF-32 begin like this


def open_bytes(path: Path) -> BinaryIO:
    """Opens the file for reading bytes; decompresses gzip, whatever the file's name."""
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP
    return cast("BinaryIO", gzip.open(path, "rb")) if compressed else path.open("rb")


def is_utf16(path: Path, problems: list[str]) -> bool:
    """Whether the file is UTF-16 or UTF-32, which is then one of the `problems`."""
    with open_bytes(path) as file:
        start = file.read(4)
    found = start.startswith(_UTF16_START) or b"\0" in start
    if found:
        problems.append(f"{path}: the text is UTF-16, not UTF-8; convert it (iconv -f UTF-16 -t UTF-8)")
    return found
