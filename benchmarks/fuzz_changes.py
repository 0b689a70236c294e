"""How valid files are changed by `fuzz.py`: blindly, and by what their formats consist of.

A change takes the bytes of a file and a generator, and gives other bytes.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import os
import re
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

Generator = np.random.Generator
Change = Callable[[bytes, Generator], bytes]

_BOMB = 100 * 2**20
_INTEGERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000)
_INTEGERS += (0xFFFFFFFE, 0xFFFFFFFF, 2**32, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_TEXTS = (
    b"", b"0", b"-1", b"-0.0", b"1e999", b"-1e400", b"1e-400", b"nan", b"NaN", b"inf", b"Infinity",
    b"9" * 25, b"9" * 5000, b"0x10", b"1_0", b"null", b"None", b"true", b"\xef\xbb\xbf", b"\xff",
    b"\x00", b"\x1b[2J", b"\xe2\x80\xae", b"\xc2\x9b31m", b"\xed\xa0\x80", b"\\ud800", b"\\u0000",
    b"../../etc/passwd", b"/dev/zero", b"a" * 300, b"a" * 100_000, b'"', b"'", b",", b"\t", b";",
    b"\r", b"\n" * 3000, b"[" * 3000, b"{" * 3000, b"a." * 3000, b"<b>" * 500, b"=",
    b"\xe2\x80\xa8",
    b"<<<<<<< HEAD\n", b"'" * 3, b'"""', b"\xd9\xa3", b"e\xcc\x81", b"#", b"%s", b"{0}", b"$HOME",
)  # fmt: skip
_JSON = (
    "null", "true", "0", "-1", "1e999", "-1e400", "1e-400", "NaN", "Infinity", "1.5", "1e308",
    "9" * 30, "9" * 5000, '""', '"a"', '"' + "a" * 100_000 + '"', '"\\ud800"', '"\\u0000"',
    '"\x7f\u009b31m\u202e"', '"\\u001b[2J"', "[]", "{}", "[[]]", "[null]", '{"a": 1}', '"../../x"',
    "[" * 150 + "]" * 150, "[" * 3000 + "]" * 3000, '{"a":' * 150 + "1" + "}" * 150,
    "[0" + ",0" * 50_000 + "]", "{" + ",".join(f'"k{number}":0' for number in range(5000)) + "}",
    "'a'", "01", "+1", ".5", "1.", "[" + "{}," * 300_000 + "{}]",
)  # fmt: skip
_TOML = (
    "true", "0", "-1", "nan", "inf", "-inf", "1e999", "0x10", "9" * 25, "9" * 5000, "1.5", "-0.0",
    '""', '"a"', '"' + "a" * 100_000 + '"', '"\\u001b[2J"', '"\\u202e"', "[]", "{}", "[[]]", "[1]",
    "[" * 100 + "]" * 100, "[" * 3000, "{a=" * 100 + "1" + "}" * 100, "1979-05-27", "07:32:00",
    "1979-05-27T07:32:00Z", '["a", 1]', "{a.b.c = 1}", "'../../x'", '"""', "\x00", '"\\ud800"',
)  # fmt: skip
_HEADERS = (
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2147483647, 2147483647), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 7), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807), }",
    "{'descr': '<f4', 'fortran_order': True, 'shape': (4, 7, 7), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '|V0', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '<U0', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '<U536870911', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '<c16', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '>f8', 'fortran_order': False, 'shape': (), }",
    "{'descr': '<f4', 'fortran_order': 0, 'shape': (True, 7), }",
    "{'descr': '<f4', 'shape': (4,), }",
    "__import__('os').abort()",
    "(" * 500,
    "{" + "'a': 1, " * 400 + "}",
    "-" * 3000 + "1",
)
_DTYPES = ("f2", "f4", "f8", ">f4", "g", "c8", "?", "i1", "u8", "S3", "U5", "M8[s]", "V4")
_NAMES = ("../x.npy", "/x.npy", "x.npy", "map", "MAP.npy", "map.npy/", "\x1b[2J.npy", "a" * 3000)
_TOKEN = re.compile(rb"[^\s,;:=<>\[\]{}()\"']+")
_TAG = re.compile(rb"[A-Za-z][A-Za-z0-9 ]{3}|\xff[\xc0-\xfe]")


def _one(options: Sequence[Any], generator: Generator) -> Any:
    return options[int(generator.integers(len(options)))]


def _span(data: bytes | bytearray, generator: Generator, most: int = 64) -> tuple[int, int]:
    start, stop = sorted(generator.integers(0, len(data) + 1, 2).tolist())
    return start, min(stop, start + most)


def blind(content: bytes, generator: Generator) -> bytes:
    """One to four changes of bytes, blocks, the length, or with a token put in."""
    data = bytearray(content)
    for _ in range(generator.integers(1, 5)):
        start, stop = _span(data, generator)
        match generator.integers(7):
            case 0:
                data[start : start + 1] = generator.bytes(1)
            case 1:
                del data[start:stop]
            case 2:
                del data[start:]
            case 3:
                data[start:start] = data[start:stop] * int(generator.integers(1, 50))
            case 4:
                data[start:stop] = bytes(stop - start)
            case 5:
                data[start:start] = _one(_TEXTS, generator)
            case _:
                data[start:stop] = generator.bytes(stop - start)
    return bytes(data)


def _with_integer(content: bytes, place: int, generator: Generator) -> bytes:
    width = int(_one((1, 2, 4, 8), generator))
    order = _one(("little", "big"), generator)
    number = int(_one(_INTEGERS, generator)) % 256**width
    return content[:place] + number.to_bytes(width, order) + content[place + width :]


def header(content: bytes, generator: Generator) -> bytes:
    """An integer of the first bytes replaced."""
    return _with_integer(content, int(generator.integers(min(len(content), 128))), generator)


def tagged(content: bytes, generator: Generator) -> bytes:
    """An integer beside a tag of four letters, or a marker of JPEG, replaced."""
    places = [found.start() for found in _TAG.finditer(content)]
    if not places:
        return header(content, generator)
    place = _one(places, generator) + int(generator.integers(-4, 24))
    return _with_integer(content, max(0, place), generator)


def png(content: bytes, generator: Generator) -> bytes:
    """A chunk of PNG changed, doubled or put in, with a checksum that is right."""
    chunks, place = [], 8
    while place + 12 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    number = int(generator.integers(len(chunks)))
    kind, data = chunks[number]
    match generator.integers(5):
        case 0:
            chunks[number] = kind, header(data, generator) if data else b"\0"
        case 1:
            chunks[number:number] = [chunks[number]] * int(generator.integers(1, 30))
        case 2:
            del chunks[number]
        case 3:
            names = (b"zTXt", b"iCCP", b"iTXt", b"eXIf", b"tRNS", b"PLTE", b"acTL", b"IDAT")
            bomb = _one((b"a\0\0", b""), generator) + _zeros()
            chunks.insert(1, (_one(names, generator), _one((bomb, b"", b"\xff" * 900), generator)))
        case _:
            sides = struct.pack(">II", *(int(_one(_INTEGERS, generator)) % 2**32 for _ in "wh"))
            depth = bytes([_one((1, 2, 4, 8, 16), generator), _one((0, 2, 3, 4, 6), generator)])
            chunks[0] = b"IHDR", sides + depth + chunks[0][1][10:]
    return content[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@functools.cache
def _zeros() -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(_BOMB // 2**20)) + packer.flush()


def text(content: bytes, generator: Generator) -> bytes:
    """A token replaced, or lines doubled, dropped, exchanged, of other ends or encoding."""
    lines = content.splitlines(keepends=True)
    one, other = (int(generator.integers(max(1, len(lines)))) for _ in "12")
    match generator.integers(10):
        case 0:
            lines[one:one] = lines[one : one + 1] * int(_one((1, 2, 40, 400, 50_000), generator))
        case 1:
            del lines[one:other]
        case 2:
            lines[one : one + 1], lines[other : other + 1] = lines[other:][:1], lines[one:][:1]
        case 3:
            with suppress(UnicodeDecodeError):
                encoding = _one(("utf-16", "utf-32", "utf-8-sig", "cp500"), generator)
                return content.decode().encode(encoding)
        case 4:
            return content.replace(b"\n", _one((b"\r\n", b"\r", b"\x0b", b"\n\n"), generator))
        case _:
            tokens = list(_TOKEN.finditer(content))
            for _ in range(generator.integers(1, 3)):
                if tokens:
                    start, stop = _one(tokens, generator).span()
                    return content[:start] + _one(_TEXTS, generator) + content[stop:]
    return b"".join(lines)


def json_text(content: bytes, generator: Generator) -> bytes:
    """A value of a JSON document replaced, dropped or put in, or a key that comes twice."""
    mark = "\x00here"
    document = {"": json.loads(content)}
    place: Any = document
    while True:
        key = _one(list(place) if isinstance(place, dict) else range(len(place)), generator)
        inside = place[key]
        if not isinstance(inside, dict | list) or not inside or generator.random() < 0.15:
            break
        place = inside
    act = int(generator.integers(6))
    if act == 0 and key != "":
        del place[key]
    elif act == 1 and isinstance(place, dict) and key != "":
        place[mark] = place.pop(key)
    elif act == 2 and isinstance(place, list):
        place[key:key] = [place[key]] * int(generator.integers(1, 500))
    elif act == 3 and isinstance(place, dict) and key != "":
        twice = json.dumps(key) + ": "
        written = json.dumps(document[""])
        found = [each.start() for each in re.finditer(re.escape(twice), written)]
        start = _one(found, generator)
        return (written[:start] + twice + _one(_JSON, generator) + ", " + written[start:]).encode(
            "utf-8", "surrogatepass"
        )
    else:
        place[key] = mark
    raw = _one(_JSON, generator)
    if act == 1 and not raw.startswith('"'):
        raw = '"unknown"'
    return json.dumps(document[""]).replace(json.dumps(mark), raw).encode("utf-8", "surrogatepass")


def toml_text(content: bytes, generator: Generator) -> bytes:
    """A value of a TOML document replaced, or a line put in."""
    lines = content.decode().splitlines()
    keyed = [number for number, line in enumerate(lines) if re.match(r"[\w\"-]+\s*=", line)]
    number = _one(keyed, generator)
    key = lines[number].partition("=")[0]
    raw = _one(_TOML, generator)
    if raw == "[" * 3000 and generator.random() < 0.5:
        raw = "1\n" + "a." * int(_one((50, 3000, 200_000), generator)) + "b = 1"
    match generator.integers(5):
        case 0:
            lines.insert(number, f"{key}= {raw}")
        case 1:
            lines.insert(number, f"unknown = {raw}")
        case 2:
            lines.append(f"[{key.strip()}]\na = {raw}")
        case _:
            lines[number] = f"{key}= {raw}"
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def xml_text(content: bytes, generator: Generator) -> bytes:
    """An element of XML replaced, nested, or an entity declared."""
    found = list(re.finditer(rb"<(\w+)>([^<]*)</\1>", content))
    start, stop = _one(found, generator).span()
    bomb = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    there = content[start:stop]
    raw: bytes = _one(_TEXTS, generator)
    match generator.integers(6):
        case 0:
            return bomb + content.replace(there, b"<x>&b;</x>", 1)
        case 1:
            return b'<?xml version="1.0" encoding="' + raw[:40] + b'"?>' + content
        case 2:
            return content[:start] + b"<x>" * 3000 + there + b"</x>" * 3000 + content[stop:]
        case 3:
            return content[:start] + there * int(generator.integers(2, 60)) + content[stop:]
        case 4:
            return content[:start] + content[stop:]
        case _:
            return (
                content[:start] + there.replace(b">", b">" + raw + b"<i>1</i>", 1) + content[stop:]
            )


def npy(content: bytes, generator: Generator) -> bytes:
    """A numpy array of another type, shape or values, or with a hostile header."""
    if generator.random() < 0.5:
        head = str(_one(_HEADERS, generator)).encode() + b"\n"
        version = int(_one((1, 2, 3, 9), generator))
        length = len(head).to_bytes(2 if version == 1 else 4, "little")
        (old,) = struct.unpack("<H", content[8:10])
        return b"\x93NUMPY" + bytes([version, 0]) + length + head + content[10 + old :]
    array = np.load(io.BytesIO(content))
    match generator.integers(3):
        case 0:
            with np.errstate(all="ignore"), suppress(ValueError, TypeError):
                array = array.astype(_one(_DTYPES, generator))
        case 1:
            shape = _one(((), (0,), (1,), (3, 0), (1, 1, 1, 1, 1), (2000,), (1, 300, 1)), generator)
            array = np.resize(array, shape)
        case _:
            if array.dtype.kind == "U":
                array = array.astype("U200") if array.ndim else array
                strange = ("", "\x1b[2J", "\u202e", "a\0b", "\ud800", "x" * 200, "e\u0301", "t0")
                array.flat[:1] = _one(strange, generator)
            elif array.size:
                value = _one((0, 1, -1, np.nan, np.inf, 1e30, -1e30, 1e300, 1e-320), generator)
                with np.errstate(all="ignore"), suppress(OverflowError, ValueError):
                    array.flat[int(generator.integers(array.size)) :] = value
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def zipped(member: Callable[[str, bytes, Generator], bytes]) -> Change:
    """A change of a zip file: of a member, of which there are, or of what it says of them."""

    def change(content: bytes, generator: Generator) -> bytes:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
        number = int(generator.integers(len(members)))
        name, data = members[number]
        method = _one((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), generator)
        match generator.integers(12):
            case 0:
                members.append(members[number])
            case 1:
                del members[number]
            case 2:
                members[number] = _one(_NAMES, generator), data
            case 3:
                members.append((_one(_NAMES, generator), data))
            case 4:
                members[number] = name, blind(data, generator)
            case 5:
                return _bombed(members, number)
            case 6:
                method = _one((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA), generator)
            case 7 | 8:
                packed = _packed(members, method)
                places = [at.start() for at in re.finditer(rb"PK[\1\3\5][\2\4\6]", packed)]
                place = _one(places, generator) + int(generator.integers(4, 46))
                return _with_integer(packed, place, generator)
            case _:
                members[number] = name, member(name, data, generator)
        return _packed(members, method)

    return change


def _packed(members: Sequence[tuple[str, bytes]], method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members:
            with suppress(UnicodeEncodeError):
                archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


def _bombed(members: Sequence[tuple[str, bytes]], number: int) -> bytes:
    """A member goes on with 2 GiB of zeros, packed to little; its checksum is wrong."""
    with zipfile.ZipFile(stream := io.BytesIO(), "w") as archive:
        for place, (name, data) in enumerate(members):
            if place != number:
                archive.writestr(name, data)
                continue
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            start = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
            archive.writestr(name, start + _million_zeros() * 2048 + b"\x03\0")
            archive.filelist[-1].compress_type = zipfile.ZIP_DEFLATED
            archive.filelist[-1].file_size = len(data) + 2**31
    return stream.getvalue()


@functools.cache
def _million_zeros() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)


def npz_member(name: str, data: bytes, generator: Generator) -> bytes:
    """A member of an npz file changed as an array, or as the JSON that it holds."""
    if name == "meta.npy" and generator.random() < 0.8:
        document = json_text(np.load(io.BytesIO(data)).tobytes(), generator)
        np.save(stream := io.BytesIO(), np.frombuffer(document, np.uint8))
        return stream.getvalue()
    return npy(data, generator)


def torch_member(name: str, data: bytes, generator: Generator) -> bytes:
    """A member of a torch file changed: integers and opcodes of its pickle."""
    if not name.endswith(".pkl"):
        return blind(data, generator)
    return _one((tagged, blind, header), generator)(data, generator)


def safetensors_file(content: bytes, generator: Generator) -> bytes:
    """The JSON header of safetensors changed, with a length that is right or not."""
    (length,) = struct.unpack("<Q", content[:8])
    changed = json_text(content[8 : 8 + length], generator)
    said = len(changed) if generator.random() < 0.9 else int(_one(_INTEGERS, generator)) % 2**64
    return struct.pack("<Q", said) + changed + content[8 + length :]


def gzipped(inside: Change) -> Change:
    """A change of what is compressed, or something that unpacks to much more."""

    def change(content: bytes, generator: Generator) -> bytes:
        if generator.random() < 0.1:
            return _gzip_bomb(bytes(_one((b"\n", b"a", b"\0"), generator)))
        return gzip.compress(inside(gzip.decompress(content), generator), mtime=0)

    return change


@functools.cache
def _gzip_bomb(letter: bytes) -> bytes:
    return gzip.compress(letter * _BOMB, 6, mtime=0)


def put_something_else(path: Path, content: bytes, generator: Generator) -> None:
    """Put a pipe, device, folder, dead link or socket where a file should be, or nothing."""
    match generator.integers(8):
        case 0:
            os.mkfifo(path)
        case 1:
            path.mkdir()
        case 2:
            path.symlink_to(path)
        case 3:
            path.symlink_to("/dev/zero")
        case 4:
            path.symlink_to(path.with_name("absent"))
        case 5:
            with socket.socket(socket.AF_UNIX) as listener, suppress(OSError):
                listener.bind(str(path))
        case 6:
            path.write_bytes(b"")
        case _:
            path.with_name("other").write_bytes(content)
            path.symlink_to("other")


def put_beside(path: Path, content: bytes, generator: Generator) -> None:
    """Put a file beside others of a folder under a name that is hard to read, or that is taken."""
    stem, ending = path.stem, path.suffix
    names = (
        f"{stem}{ending.upper()}", f".{stem}{ending}", f"\udce9{ending}", f"a\nb\x1b[2J{ending}",
        f"{'a' * 240}{ending}", f"\u202e{ending}", f"{stem} {ending}", f"{stem}{ending}{ending}",
        f"e\u0301{ending}", f"%2e%2e{ending}", ending, f"-rf{ending}", f"10{stem}{ending}",
    )  # fmt: skip
    path.write_bytes(content)
    other = path.with_name(_one(names, generator))
    if generator.random() < 0.3:
        put_something_else(other, content, generator)
    else:
        other.write_bytes(content)
