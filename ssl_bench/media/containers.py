"""What kind of sound file lies there, and whether it is as long as its headers say.

Decoders play what is left of a truncated file, and rely on lengths that programs which write into a
pipe cannot know. Both are settled here, from the headers alone.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, Literal

_Order = Literal["little", "big"]
Kind = Literal["wav", "w64", "aiff", "au", "flac", "ogg", "matroska", "mp4", "other"]

# Beginnings of files of other formats, and their names.
_OTHERS = (
    (b"caff", "CAF"),
    (b"#!AMR", "AMR"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA or WMV"),
    (b"\x0b\x77", "AC-3"),
    (b"FLV\x01", "FLV"),
    (b"MThd", "MIDI"),
    (b"MAC ", "APE"),
    (b"wvpk", "WavPack"),
    (b"DSD ", "DSF"),
    (b".RMF", "RealMedia"),
    (b"\0\0\x01\xba", "MPEG-PS"),
)
_TS_SYNC, _TS_PACKET = b"G", 188  # each packet of MPEG-TS begins so, and is so long

# Lengths from here on stand for "unknown" where less is there: SoX leaves 0x7FFFF000 or 0x7F000000,
# others the largest value that fits, or a little less.
_UNKNOWN = 0x7F000000
_W64_RIFF = b"riff\x2e\x91\xcf\x11"
_W64_DATA = b"data\xf3\xac\xd3\x11"
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT, _CLUSTER, _GROUP = 0x18538067, 0x1F43B675, 0xA0
_LAST_PAGE = 4  # of the flags of an Ogg page
_MOST_HEADERS = 1_000_000  # far more than an hour of sound has
_MOST_MENDED = 2**30  # bytes of a file that is copied to give it a length


@dataclass(frozen=True)
class Contents:
    """What the headers of a sound file say.

    Attributes
    ----------
    kind
        Its format, whatever its name; ``other`` for what has no header of these, such as MP3.
    damage
        ``truncated`` where the file ends before it should, ``gap`` where parts of it are missing,
        ``several`` where it holds more than one sound.
    mended
        The whole file as decoders read it, where its header does not say its length or where odd
        chunks are not padded; None otherwise.
    odd_length
        Whether its header says no length, or a wrong one.
    spare
        Bytes behind everything that the headers of a WAV file tell of.
    """

    kind: Kind
    damage: Literal["truncated", "gap", "several"] | None = None
    mended: bytes | None = None
    odd_length: bool = False
    spare: int = 0


def other_format(path: Path) -> str | None:
    """Name of a format of sounds or films that is not read, by its first bytes; else None."""
    with path.open("rb") as stream:
        head = stream.read(2 * _TS_PACKET + 1)
    if head[::_TS_PACKET] == 3 * _TS_SYNC:
        return "MPEG-TS"
    return next((name for sign, name in _OTHERS if head.startswith(sign)), None)


class _Headers(io.BufferedReader):
    """A file that refuses to be searched for ever: zeros read as headers of empty parts."""

    left = _MOST_HEADERS

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise ValueError("too many headers")
        return super().read(size)


def contents_of(path: Path) -> Contents:
    """Kind and completeness of a sound file; reads headers, never samples.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cut.au"
    >>> _ = path.write_bytes(b".snd" + struct.pack(">5I", 24, 400, 3, 16000, 1) + bytes(100))
    >>> contents_of(path)
    Contents(kind='au', damage='truncated', mended=None, odd_length=False, spare=0)
    """
    with _Headers(io.FileIO(path)) as stream:
        try:
            return _contents(stream, path.stat().st_size)
        except ValueError:
            return Contents("other", "gap")


def _contents(stream: BinaryIO, size: int) -> Contents:
    head = stream.read(24)
    stream.seek(0)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        if head[8:12] == b"WAVE":
            return _wav(stream, size)
        length = int.from_bytes(head[4:8], "little")
        short = size < length + 8 < _UNKNOWN
        return Contents("other", "truncated" if short else None)
    if head[:8] == _W64_RIFF:
        return _w64(stream, size)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(stream, size)
    if head[:4] == b".snd":
        begin, length = struct.unpack(">2I", head[4:12].ljust(8, b"\0"))
        return _judged("au", length, size - begin)
    if head[:4] == b"OggS":
        return Contents("ogg", _ogg_damage(stream, size))
    if head[:4] == b"fLaC":
        return Contents("flac")
    if head[:4] == _EBML:
        return Contents("matroska", _matroska_damage(stream, size))
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return Contents("mp4", _mp4_damage(stream, size))
    return Contents("other")


def _judged(kind: Kind, length: int, there: int) -> Contents:
    """A file by the length that its header gives and the one that it has."""
    if length <= there:
        return Contents(kind)
    if length >= _UNKNOWN:
        return Contents(kind, odd_length=True)
    return Contents(kind, "truncated")


def _wav(stream: BinaryIO, size: int) -> Contents:
    head = stream.read(12)
    order: _Order = "big" if head[:4] == b"RIFX" else "little"
    outer, wide = int.from_bytes(head[4:8], order), None
    unpadded: list[int] = []
    odd_end = 0  # of the last chunk
    chunks = _chunks(stream, order)
    for name, begin, length in chunks:
        if begin - 8 == odd_end:
            unpadded.append(odd_end)
        odd_end = begin + length if length % 2 else 0
        if name == b"ds64" and head[:4] in (b"RF64", b"BW64"):
            outer, wide = struct.unpack("<2Q", stream.read(16).ljust(16, b"\0"))
        if name != b"data":
            continue
        there = size - begin
        if wide is not None and length == 0xFFFFFFFF:
            length = wide
        if length == 0 and there and not _is_chunks(stream, size, order):
            length = _UNKNOWN  # not known when it was written
        wrong = length > there
        # A length beyond the end of a file that is as long as its first header says is wrong.
        if wrong and length < _UNKNOWN and not 8 < outer + 8 <= size:
            return Contents("wav", "truncated")
        end = begin + length
        for each, start, more in () if wrong else takewhile(lambda it: _is_name(it[0]), chunks):
            if each == b"data" and more:
                return Contents("wav", "several")
            end = start + more
        spare = max(0, size - end)
        # What is too long is refused in any case.
        if not (wrong or unpadded) or size > _MOST_MENDED:
            return Contents("wav", odd_length=wrong, spare=spare)
        stream.seek(0)
        whole = bytearray(stream.read())
        whole[begin - 4 : begin] = min(length, there).to_bytes(4, order)
        for place in reversed(unpadded):
            whole.insert(place, 0)
        first = b"RIFX" if order == "big" else b"RIFF"
        whole[:8] = first + (len(whole) - 8).to_bytes(4, order)
        return Contents("wav", mended=bytes(whole), odd_length=wrong, spare=spare)
    return Contents("wav", "truncated")


def _chunks(stream: BinaryIO, order: _Order) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of each chunk; one of odd length may lack the byte that pads it."""
    while len(chunk := stream.read(8)) == 8:
        begin, length = stream.tell(), int.from_bytes(chunk[4:], order)
        yield chunk[:4], begin, length
        stream.seek(begin + length)
        padded = length % 2 and not _is_name(stream.read(4))
        stream.seek(begin + length + padded)


def _is_name(text: bytes) -> bool:
    return len(text) == 4 and text.isascii() and text.decode().isprintable()


def _is_chunks(stream: BinaryIO, size: int, order: _Order) -> bool:
    """Whether whole chunks follow, up to the end."""
    for name, _, _ in _chunks(stream, order):
        if not name.isascii():
            return False
    return size <= stream.tell() <= size + 1


def _w64(stream: BinaryIO, size: int) -> Contents:
    stream.seek(40)
    while len(chunk := stream.read(24)) == 24:
        length = max(24, int.from_bytes(chunk[16:], "little"))
        begin = stream.tell()
        if chunk[:8] == _W64_DATA:
            return _judged("w64", length - 24, size - begin)
        if begin + length > size:
            break
        stream.seek(begin - 24 + length + -length % 8)
    return Contents("w64", "truncated")


def _aiff(stream: BinaryIO, size: int) -> Contents:
    stream.seek(12)
    for name, begin, length in _chunks(stream, "big"):
        if name == b"SSND":
            return _judged("aiff", length, size - begin)
    return Contents("aiff", "truncated")


def _ogg_damage(stream: BinaryIO, size: int) -> Literal["truncated", "gap"] | None:
    """Whether pages are missing, at the end (which the last page of a stream marks) or before."""
    last: dict[int, tuple[int, int]] = {}  # number and flags of the last page of each stream
    place, gap = 0, False
    while place < size:
        stream.seek(place)
        head = stream.read(27)
        if head[:4] != b"OggS"[: len(head)]:
            break  # what follows is no page
        lengths = stream.read(head[26]) if len(head) == 27 else b""
        place += 27 + len(lengths) + sum(lengths)
        if len(head) < 27 or len(lengths) < head[26] or place > size:
            return "truncated"
        serial, number = struct.unpack("<2I", head[14:22])
        gap |= serial in last and number != last[serial][0] + 1 and not head[5] & 2
        last[serial] = number, head[5]
    if not all(flags & _LAST_PAGE for _, flags in last.values()):
        return "truncated" if place == size else "gap"
    return "gap" if gap else None


def _matroska_damage(stream: BinaryIO, size: int) -> Literal["truncated"] | None:
    """Whether an element ends after the file; those of unknown length are looked into."""
    place = 0
    while place < size:
        stream.seek(place)
        head = stream.read(12)
        width = 9 - head[0].bit_length()
        if width > 4:
            return None  # what follows is no element
        name = int.from_bytes(head[:width], "big")
        rest = head[width:]
        wide = 9 - rest[0].bit_length() if rest else 9
        if wide > 8 and rest:
            return None
        if len(rest) < wide:
            return "truncated"
        length = int.from_bytes(rest[:wide], "big") & (1 << 7 * wide) - 1
        place += width + wide
        if name in (_SEGMENT, _CLUSTER, _GROUP) and length == (1 << 7 * wide) - 1:
            continue
        place += length
    return "truncated" if place > size else None


def _mp4_damage(stream: BinaryIO, size: int) -> Literal["truncated"] | None:
    place = 0
    while place < size:
        stream.seek(place)
        head = stream.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:
            return None  # it reaches to the end
        if length < 8 or not head[4:8].isascii():
            return None  # what follows is no box
        place += length
    return "truncated" if place > size else None
