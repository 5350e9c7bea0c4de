"""Which charset text is read in."""

import pytest

from reelmill_server.media.input.charset import TextEncoding, find_encoding, in_utf8, marked_charset

# Language, charset, and some lines as subtitles have them.
TEXTS = (
    (
        "hrv",
        "cp1250",
        ("Gdje si bio sinoć?", "Čekao sam te cijelu večer.", "Žao mi je, zaspao sam na kauču.", "Uđi već jednom!"),
    ),
    ("hrv", "iso8859_2", ("Šteta što nisi došao.", "Čekao sam te cijelu večer.", "Žao mi je, zaspao sam na kauču.", "Uđi!")),
    ("hrv", "iso8859_16", ("Šteta što nisi došao.", "Čekao sam te cijelu večer.", "Žao mi je, zaspao sam.", "Uđi, možeš li?")),
    ("pol", "cp1250", ("Gdzie byłeś wczoraj w nocy?", "Czekałam na ciebie cały wieczór.", "Przepraszam, zasnąłem na łóżku.")),
    ("ces", "iso8859_2", ("Kde jsi byl včera večer?", "Čekala jsem na tebe celý večer.", "Promiň, usnul jsem u televize.")),
    (
        "hun",
        "cp1250",
        ("Hol voltál tegnap este?", "Egész este rád vártam.", "Sajnálom, elaludtam a tévé előtt.", "Gyűlölöm ezt."),
    ),
    (
        "tur",
        "cp1254",
        ("Dün gece neredeydin?", "Bütün akşam seni bekledim.", "Özür dilerim, koltukta uyuyakalmışım.", "İçeri gir!"),
    ),
    (
        "lit",
        "cp1257",
        ("Kur tu buvai vakar vakare?", "Visą vakarą tavęs laukiau.", "Atsiprašau, užmigau ant sofos.", "Užeik čia."),
    ),
    (
        "fin",
        "cp1252",
        ("Missä olit viime yönä?", "Odotin sinua koko illan.", "Anteeksi, nukahdin sohvalle.", "Älä tee tätä enää."),
    ),
    (
        "fra",
        "cp1252",
        ("Où étais-tu hier soir ?", "Je t’ai attendue toute la soirée.", "Désolé, je me suis endormi.", "Ça suffit !"),
    ),
    ("ita", "cp1252", ("Perché è così?", "Più tardi verrà, sì, è là.")),
    ("rus", "cp1251", ("Где ты был вчера вечером?", "Я ждала тебя весь вечер.", "Прости, я уснул на диване.")),
    ("rus", "koi8_r", ("Где ты был вчера вечером?", "Я ждала тебя весь вечер.", "Прости, я уснул на диване.")),
    ("ell", "cp1253", ("Πού ήσουν χθες το βράδυ;", "Σε περίμενα όλο το βράδυ.", "Συγγνώμη, με πήρε ο ύπνος.")),
    ("heb", "cp1255", ("איפה היית אתמול בלילה?", "חיכיתי לך כל הערב.", "סליחה, נרדמתי על הספה.")),
    ("ara", "cp1256", ("أين كنت ليلة أمس؟", "انتظرتك طوال المساء.", "آسف، لقد غفوت على الأريكة.")),
    (
        "fra",
        "cp850",
        ("Où étais-tu hier soir ?", "Je t'ai attendue toute la soirée.", "Désolé, je me suis endormi.", "Ça suffit !"),
    ),
    ("deu", "cp850", ("Wo warst du gestern Nacht?", "Ich hätte dich gern früher gesehen.", "Schön, größer können wir nicht.")),
    ("tur", "cp857", ("Dün gece neredeydin?", "Bütün akşam seni bekledim.", "Özür dilerim, koltukta uyuyakalmışım.")),
    ("heb", "cp862", ("איפה היית אתמול בלילה?", "חיכיתי לך כל הערב.", "סליחה, נרדמתי על הספה.")),
    ("ell", "cp737", ("Πού ήσουν χθες το βράδυ;", "Σε περίμενα όλο το βράδυ.", "Συγγνώμη, με πήρε ο ύπνος.")),
    (
        "lit",
        "cp775",
        ("Kur tu buvai vakar vakare?", "Visą vakarą tavęs laukiau.", "Atsiprašau, užmigau ant sofos.", "Užeik čia."),
    ),
    ("ara", "cp720", ("أين كنت ليلة أمس.", "انتظرتك طوال المساء.", "آسف لقد غفوت على الأريكة.")),
    ("tha", "cp874", ("เมื่อคืนคุณอยู่ที่ไหน", "ฉันรอคุณทั้งคืน", "ขอโทษ ฉันหลับไปบนโซฟา")),
    ("jpn", "cp932", ("昨夜どこにいたの？", "一晩中待っていたのよ。", "ごめん、ソファで寝てしまった。")),
    ("jpn", "euc_jp", ("昨夜どこにいたの？", "一晩中待っていたのよ。", "ごめん、ソファで寝てしまった。")),
    ("kor", "cp949", ("어젯밤에 어디 있었어?", "저녁 내내 널 기다렸어.", "미안해, 소파에서 잠들었어.")),
    ("zho", "gb18030", ("你昨晚去哪儿了？", "我等了你一整晚。", "对不起，我在沙发上睡着了。")),
    ("zho", "big5hkscs", ("你昨晚去哪兒了？", "我等了你一整晚。", "對不起，我在沙發上睡著了。")),
)


def text_of(lines: tuple[str, ...]) -> str:
    """The lines as SubRip."""
    return "".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{line}\n\n" for n, line in enumerate(lines, 1))


@pytest.mark.parametrize(("language", "charset", "lines"), TEXTS)
@pytest.mark.parametrize("named", [True, False])
def test_text_that_says_no_charset_is_read_as_written(language: str, charset: str, lines: tuple[str, ...], named: bool) -> None:
    """By its language, or by its letters; and it says that this is a guess."""
    text = text_of(lines)
    result = find_encoding(text.encode(charset), language=language if named else "")
    assert result.guessed and text.encode(charset).decode(result.charset) == text


def test_escapes_tell_the_charset() -> None:
    """As in mail: every byte of it is ASCII, which is no reason to take it for that."""
    for charset, line in (("iso2022_jp", "昨夜どこにいたの？"), ("iso2022_kr", "어젯밤에 어디 있었어?")):
        data = text_of((line,)).encode(charset)
        assert find_encoding(data, marked_charset(data)).charset == charset
        assert in_utf8(data).decode() == text_of((line,))


def test_chinese_in_pairs_of_ascii_is_found() -> None:
    """HZ, which only what is between its braces gives away; braces of other text do not."""
    text = text_of(("昨晚你在哪里？", "我整晚都在等你。 ~", "OK"))
    data = text.encode("hz")
    assert find_encoding(data).charset == "hz" and find_encoding(data).guessed
    assert in_utf8(data).decode() == text
    for other in ("a ~{b~} c", "~{\\an8}~}", "~{}", "~{xyz!~}"):
        assert find_encoding(text_of((other,)).encode()).charset == "utf-8"


def test_the_language_decides_between_charsets_that_both_fit() -> None:
    """One letter tells nothing else; languages are written in several ways."""
    data = "Hoþ geldin".encode("cp1252")
    for language in ("tur", "tr", "TR-tr", "tr_TR"):
        assert find_encoding(data, language=language).charset == "cp1254"
    assert find_encoding(data, language="isl").charset == "cp1252"


def test_a_language_that_is_not_that_of_the_text_is_ignored() -> None:
    """No text in Latin letters has so few of ASCII."""
    text = text_of(("Где ты был вчера вечером?", "Я ждала тебя весь вечер."))
    assert text.encode("cp1251").decode(find_encoding(text.encode("cp1251"), language="deu").charset) == text


@pytest.mark.parametrize("charset", ["utf-8", "gb18030", "cp932", "cp949"])
def test_a_bad_byte_is_one_bad_character(charset: str) -> None:
    """Neither is all of the text read in another charset, nor is it refused."""
    lines = next(lines for _, name, lines in TEXTS if name == charset or (charset, name) == ("utf-8", "gb18030"))
    text = text_of(lines * 3)
    data = text.encode(charset)
    for broken in (data.rstrip() + b"\xe5", data.replace(lines[0].encode(charset), lines[0].encode(charset) + b"\x81", 1)):
        result = find_encoding(broken)
        assert (result.charset, result.guessed) == (charset, charset != "utf-8")
        assert 1 <= result.broken <= 2 and result.broken == broken.decode(charset, "replace").count("\ufffd")


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be", "utf-16", "utf-32", "utf-8-sig"])
def test_wide_text_tells_its_charset(charset: str) -> None:
    """UTF-16 without a mark, too."""
    text = text_of(TEXTS[0][2])
    data = text.encode(charset)
    result = find_encoding(data, marked_charset(data))
    assert result == TextEncoding(result.charset) and data.decode(result.charset) == text


def test_a_replacement_character_that_was_written_is_not_broken() -> None:
    """The text is as its author left it."""
    for charset in ("utf-8", "utf-16"):
        data = "a \ufffd ü".encode(charset)
        assert find_encoding(data, marked_charset(data)) == TextEncoding(charset)
