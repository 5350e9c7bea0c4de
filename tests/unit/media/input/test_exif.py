"""How an image is turned is told in more ways than libav reads."""

import io
from collections.abc import Callable
from struct import pack
from typing import Any

import av
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from reelmill_server.media.input.exif import with_plain_exif
from reelmill_server.media.libav.side_data import orientation

XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" {}</x:xmpmeta>'
ATTRIBUTE = XMP.format('tiff:Orientation="6"/>')
ELEMENT = XMP.format("><tiff:Orientation>6</tiff:Orientation></rdf:Description>")
FORMS = {"JPEG": "jpeg_pipe", "PNG": "png_pipe", "WEBP": "webp_pipe", "TIFF": "tiff_pipe"}


def saved(form: str, **more: Any) -> bytes:
    """An image of one color."""
    file = io.BytesIO()
    Image.new("RGB", (24, 16), (90, 200, 30)).save(file, form, **more)
    return file.getvalue()


def exif(kind: int, turned: int, order: str = ">") -> bytes:
    """EXIF with an orientation of a type of TIFF: 3 has 16 bits, 4 has 32."""
    number = pack(f"{order}HH", turned, 0) if kind == 3 else pack(f"{order}I", turned)
    mark = b"MM" if order == ">" else b"II"
    return b"Exif\0\0" + mark + pack(f"{order}HIHHHI", 42, 8, 1, 0x112, kind, 1) + number + bytes(4)


def tagged(tag: int, kind: int, value: Any) -> ImageFileDirectory_v2:
    """An entry of TIFF."""
    entries = ImageFileDirectory_v2()
    entries[tag] = value
    entries.tagtype[tag] = kind
    return entries


def png(keyword: str, text: str, packed: bool = False, old: bool = False) -> bytes:
    """A PNG with a text."""
    info = PngInfo()
    (info.add_text if old else info.add_itxt)(keyword, text, zip=packed)
    return saved("PNG", pnginfo=info)


RAW = exif(3, 6).hex()
CASES: dict[str, Callable[[], bytes]] = {
    "JPEG long": lambda: saved("JPEG", exif=exif(4, 6)),
    "JPEG long, little": lambda: saved("JPEG", exif=exif(4, 6, "<")),
    "JPEG XMP": lambda: saved("JPEG", xmp=ATTRIBUTE.encode()),
    "JPEG XMP beside EXIF": lambda: saved("JPEG", xmp=ATTRIBUTE.encode(), exif=exif(3, 1)),
    "PNG long": lambda: saved("PNG", exif=exif(4, 6)),
    "PNG XMP": lambda: png("XML:com.adobe.xmp", ELEMENT),
    "PNG XMP, packed": lambda: png("XML:com.adobe.xmp", ATTRIBUTE, packed=True),
    "PNG raw": lambda: png("Raw profile type exif", f"\nexif\n      {len(RAW) // 2}\n{RAW}\n", packed=True, old=True),
    "WEBP long": lambda: saved("WEBP", exif=exif(4, 6)[6:]),
    "WEBP XMP": lambda: saved("WEBP", xmp=ELEMENT.encode()),
    "TIFF long": lambda: saved("TIFF", tiffinfo=tagged(0x112, 4, 6)),
    "TIFF XMP": lambda: saved("TIFF", tiffinfo=tagged(700, 1, ATTRIBUTE.encode())),
    "JPEG plain": lambda: saved("JPEG", exif=exif(3, 6)),
    "WEBP without": lambda: saved("WEBP"),
}


@pytest.mark.parametrize("case", CASES)
def test_images_are_turned_as_pillow_turns_them(case: str) -> None:
    """Whatever tells it; EXIF counts before XMP."""
    data = CASES[case]()
    with Image.open(io.BytesIO(data)) as image:
        turned = ImageOps.exif_transpose(image).size == (16, 24)
    plain = with_plain_exif(io.BytesIO(data), FORMS[case.split(maxsplit=1)[0]])
    with av.open(plain or io.BytesIO(data)) as file:
        frame = next(file.decode(video=0))
        told = orientation(frame, file.streams.video[0].codec_context.name)
    assert (told.rotation, told.mirrored) == (90 * turned, False)
    assert turned or case in ("JPEG XMP beside EXIF", "WEBP without")


@pytest.mark.parametrize("form", FORMS)
def test_broken_images_are_left_to_libav(form: str) -> None:
    """Whatever their ends."""
    whole = CASES[f"{form} long"]()
    for length in range(0, len(whole), 7):
        with_plain_exif(io.BytesIO(whole[:length]), FORMS[form])


def test_hostile_images_are_left_to_libav() -> None:
    """An empty header of WebP cannot say that EXIF follows; texts that unpack to gigabytes are not all unpacked."""
    text = exif(4, 6)
    webp = b"WEBPVP8X" + bytes(4) + b"EXIF" + pack("<I", len(text)) + text
    assert with_plain_exif(io.BytesIO(b"RIFF" + pack("<I", len(webp)) + webp), "webp_pipe") is None
    bomb = b"XML:com.adobe.xmp\0\1\0\0\0\0"
    chunks = (pack(">I", len(bomb)) + b"iTXt" + bomb + bytes(4)) * 64
    turned = png("XML:com.adobe.xmp", ELEMENT)
    assert with_plain_exif(io.BytesIO(turned[:33] + chunks[: len(chunks) // 4] + turned[33:]), "png_pipe") is not None
    assert with_plain_exif(io.BytesIO(turned[:33] + chunks + turned[33:]), "png_pipe") is None


def test_a_color_profile_of_megabytes_is_left_out() -> None:
    """libav would take gigabytes for a few hundred kilobytes; what is after it stays, and others stay as they are."""
    profiles = (saved("PNG", exif=exif(4, 6), icc_profile=bytes(size)) for size in (17 << 20, 5000))
    large, small = (with_plain_exif(io.BytesIO(data), "png_pipe") for data in profiles)
    assert large and b"iCCP" not in large.read() and small and b"iCCP" in small.read()
    assert with_plain_exif(io.BytesIO(saved("PNG", icc_profile=bytes(5000))), "png_pipe") is None
    with Image.open(large) as image:
        image.load()
        assert image.getexif()[0x112] == 6
