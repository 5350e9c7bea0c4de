"""Find the charset of text that may not say it.

A byte order mark tells it, or else that the bytes are UTF-8. Otherwise it is guessed: the language of the text, if known,
leaves few charsets to choose from, and the statistics of chardet choose.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# Charsets of the 1990s that switch between sets of characters, and what gives them away.
_SWITCHING = ((b"\x1b$)C", "iso2022_kr"), (b"\x1b$B", "iso2022_jp"), (b"\x1b$@", "iso2022_jp"))
_WIDE = ("utf-16-le", "utf-16-be")
_HZ, _HZ_TEXT = "hz", re.compile(rb"~\{(?:[!-w][!-~])+~\}")  # Chinese in pairs of ASCII (RFC 1843)
_SIGNS = ("-->", "[Script Info]")  # one of them is near the beginning of every file in a text format
# Each charset that is looked for, and what chardet calls it.
_SINGLE: Mapping[str, str] = {
    "cp1252": "cp1252",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1253": "cp1253",
    "cp1254": "cp1254",
    "cp1255": "cp1255",
    "cp1256": "cp1256",
    "cp1257": "cp1257",
    "cp1258": "cp1258",
    "cp874": "cp874",
    "tis_620": "tis-620",
    "cp852": "cp852",
    "cp866": "cp866",
    "koi8_r": "koi8-r",
    "koi8_u": "koi8-u",
    "iso8859_2": "iso8859-2",
    "iso8859_5": "iso8859-5",
    "iso8859_7": "iso8859-7",
    "iso8859_9": "iso8859-9",
    "iso8859_13": "iso8859-13",
    "iso8859_15": "iso8859-15",
    "iso8859_16": "iso8859-16",
    **{name: name for name in ("cp737", "cp850", "cp857", "cp862", "cp720", "cp775")},
}
# Charsets of DOS that have letters where others have punctuation, and how many of a text's bytes must lie there.
_LOW, _LOW_BYTES, _LOW_SHARE = ("cp737", "cp850", "cp857", "cp862"), bytes(range(0x80, 0xB0)), 0.5
_MULTI: Mapping[str, str] = {
    "gb18030": "gb18030",
    "big5hkscs": "big5hkscs",
    "cp932": "cp932",
    "euc_jp": "euc_jis_2004",
    "cp949": "cp949",
}
_KNOWN = {**_SINGLE, **_MULTI}
# The charsets of languages, the likeliest first.
_WRITTEN_IN: Mapping[str, str] = {
    "cs ces cze sk slk slo pl pol hu hun hr hrv scr sl slv bs bos": "cp1250 iso8859_2 iso8859_16 cp852",
    "ro ron rum mo mol": "cp1250 iso8859_16 cp852",
    "sr srp scc": "cp1251 cp1250 iso8859_2 iso8859_5",
    "tr tur az aze": "cp1254 iso8859_9 cp857",
    "lt lit lv lav": "cp1257 iso8859_13 cp775",
    "et est": "cp1257 cp1252 iso8859_15 iso8859_13 cp775 cp850",
    "ru rus be bel bg bul mk mkd mac kk kaz mn mon": "cp1251 koi8_r iso8859_5 cp866",
    "uk ukr": "cp1251 koi8_u iso8859_5 cp866",
    "el ell gre": "cp1253 iso8859_7 cp737",
    "he heb iw yi yid": "cp1255 cp862",
    "ar ara fa fas per ur urd": "cp1256 cp720",
    "th tha": "cp874 tis_620",
    "vi vie": "cp1258",
    "ja jpn": "cp932 euc_jp",
    "ko kor": "cp949",
    "zh zho chi yue cmn": "gb18030 big5hkscs",
    "sq sqi alb": "cp1252 cp1250 iso8859_15",
    "en eng fr fra fre de deu ger es spa it ita pt por nl nld dut sv swe da dan nb nob no nor nn nno fi fin is isl ice "
    "ca cat gl glg eu eus baq ga gle gd gla cy cym wel af afr id ind ms msa may la lat lb ltz fo fao br bre oc oci co cos "
    "sw swa tl tgl": "cp1252 iso8859_15 cp850",
}
_CHARSETS: Mapping[str, Sequence[str]] = {
    language: charsets.split() for languages, charsets in _WRITTEN_IN.items() for language in languages.split()
}
_LATIN = frozenset({"cp1250", "cp1252", "cp1254", "cp1257", "cp1258", "cp852", "cp850", "cp857", "cp775"}) | {
    f"iso8859_{n}" for n in (2, 9, 13, 15, 16)
}
_NO_LETTERS = bytes(letter for letter in range(128) if not chr(letter).isalpha())
_SAMPLE_BYTES = 1 << 16
_BROKEN_SHARE = 0.1  # of the lines that are not ASCII; where a charset cannot read more, the text is in another one
# Of the words that are not ASCII: so many that mix Latin letters with others tell that a charset is the wrong one. Cyrillic and
# Greek letters that look like Latin ones are mixed up with them, others are not.
_MIXED_SHARE, _NEVER_MIXED_SHARE = 0.5, 0.05
_NEVER_MIXED = ("cp1255", "cp1256", "cp874", "tis_620")
_LATIN_LETTERS, _OTHER_LETTERS = re.compile("[A-Za-z\u00c0-\u024f]"), re.compile("[\u0370-\u0eff]")
_ACCENTED_SHARE = 0.5  # of the letters: languages in Latin letters have fewer that are not ASCII


_WORD = re.compile(r"[^\W\d_]+")
HEAD_BYTES = 4096
"""The beginning of a file, which shows whether it is text of subtitles."""


@dataclass(frozen=True)
class TextEncoding:
    """Python's name of a text's charset; whether it was `guessed`; how many characters are `broken`, which become U+FFFD."""

    charset: str
    guessed: bool = False
    broken: int = 0


def marked_charset(head: bytes) -> str:
    """Return the charset that a text's beginning gives away: by a byte order mark, or as UTF-16 without one; else nothing."""
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), "")
    marked = marked or next((name for switch, name in _SWITCHING if switch in head), "")
    return marked or next((name for name in _WIDE if any(sign in head.decode(name, "ignore") for sign in _SIGNS)), "")


def looks_like_subtitles(head: bytes) -> bool:
    """Return whether a file that begins with `head` is text of subtitles."""
    charset = marked_charset(head) or ("" if b"\0" in head else "latin-1")
    return bool(charset) and any(sign in head.decode(charset, "ignore") for sign in _SIGNS)


def in_utf8(data: bytes) -> bytes:
    """Return a text in UTF-8, whatever charset it is in; bytes that are no text become U+FFFD."""
    return data.decode(find_encoding(data, marked_charset(data[:HEAD_BYTES])).charset, "replace").encode()


def find_encoding(data: bytes, marked: str = "", language: str = "") -> TextEncoding:
    """Return how a text is encoded: `marked` as its beginning says, or as its bytes and `language` (ISO 639) suggest."""
    if not marked and _is_hz(data):
        return TextEncoding(_HZ, True, data.decode(_HZ, "replace").count("\ufffd"))
    charset = marked or "utf-8"
    text = data.decode(charset, "replace")
    broken = text.count("\ufffd") - data.decode(charset, "ignore").count("\ufffd")
    # No text in another charset has half as many sequences that are UTF-8 by chance as ones that are not.
    if marked or sum(letter > "\x7f" for letter in text) - broken > broken or not broken:
        return TextEncoding(charset, broken=broken)
    charset = _guess(data, _CHARSETS.get(language.lower().replace("_", "-").split("-")[0], ()))
    return TextEncoding(charset, True, data.decode(charset, "replace").count("\ufffd"))


def _is_hz(data: bytes) -> bool:
    """Return whether a text is ASCII in which each pair of braces that HZ would have holds characters of it."""
    spans = _HZ_TEXT.findall(data) if data.isascii() else ()
    return bool(spans) and all(_fits(_HZ, span) for span in spans)


def _guess(data: bytes, expected: Sequence[str]) -> str:
    lines = [line for line in data.split(b"\n") if _is_text(line)]
    if _LATIN.issuperset(expected) and not _is_latin(lines):
        expected = ()  # the language that was named is not that of the text
    possible = _SINGLE.keys() - (() if _is_low(lines) else _LOW) | _MULTI.keys()
    fitting = [name for name in expected if name in possible and _fits(name, data)]
    if not fitting:
        broken = next((name for name in expected or _MULTI if _nearly_fits(name, lines)), "")
        if broken:
            return broken
        fitting = [name for name in _KNOWN if name in possible and _fits(name, data)]  # those of DOS and KOI8 fit anything
    fitting = [name for name in fitting if not _mixes_letters(name, lines)] or fitting
    return fitting[0] if len(fitting) == 1 else _likeliest(lines, fitting)


def _is_latin(lines: Sequence[bytes]) -> bool:
    """Return whether most letters are those of ASCII, as in every language that is written in Latin letters."""
    text = b"".join(lines)
    accented = len(text.translate(None, bytes(range(128))))
    return accented < len(text.translate(None, _NO_LETTERS)) * _ACCENTED_SHARE


def _is_low(lines: Sequence[bytes]) -> bool:
    """Return whether so many bytes lie where charsets of DOS have their letters that others would be mostly punctuation."""
    accented = b"".join(lines).translate(None, bytes(range(0x80)))
    return len(accented.translate(None, _LOW_BYTES)) < len(accented) * (1 - _LOW_SHARE)


def _mixes_letters(name: str, lines: Sequence[bytes]) -> bool:
    """Return whether words would be of Latin letters and others, as no language has them."""
    words = [word for line in lines for word in _WORD.findall(line.decode(name, "ignore")) if not word.isascii()]
    mixed = sum(bool(_LATIN_LETTERS.search(word) and _OTHER_LETTERS.search(word)) for word in words)
    return mixed > len(words) * (_NEVER_MIXED_SHARE if name in _NEVER_MIXED else _MIXED_SHARE)


def _is_text(line: bytes) -> bool:
    line = line.strip()
    return bool(line) and b"-->" not in line and not line.isdigit()


def _fits(name: str, data: bytes) -> bool:
    """Return whether the data are text in a charset, without control characters."""
    try:
        text = (bytes(set(data)) if name in _SINGLE else data).decode(name)
    except UnicodeDecodeError:
        return False
    return not any("\x80" <= letter <= "\x9f" for letter in set(text))


def _nearly_fits(name: str, lines: Sequence[bytes]) -> bool:
    """Return whether nearly all lines are text in a charset of several bytes per character, and look like it."""
    if name in _SINGLE:
        return False
    telling = [line for line in lines if not line.isascii()]
    whole = [line for line in telling if _fits(name, line)]
    broken = len(telling) - len(whole)
    return bool(whole) and 0 < broken <= max(1, len(telling) * _BROKEN_SHARE) and _likeliest(whole, _KNOWN) == name


def _likeliest(lines: Sequence[bytes], candidates: Iterable[str]) -> str:
    # Imported here: most children never need it, and its tables are large.
    from chardet import detect

    names = {_KNOWN[name]: name for name in candidates}
    # ASCII lines say nothing of the charset, but something of the language.
    telling = [line for line in lines if not line.isascii()]
    sample = b"\n".join([*telling, *(line for line in lines if line.isascii())])[:_SAMPLE_BYTES]
    detected = detect(sample, include_encodings=names, compat_names=False)["encoding"] or ""
    return names.get(detected, next(iter(names.values())))
