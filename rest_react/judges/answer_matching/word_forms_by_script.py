"""Regular expressions for a gold answer's word in other scripts: its inflected forms and its word boundaries.

    >>> regex.search(left_end("東") + word_pattern("東京") + right_end("京"), "答えは東京です。")[0]
    '東京'

Japanese, Chinese and Thai have no spaces between words, so a word counts only beside a particle, a copula or a
punctuation mark: 東京です is Tokyo, 東京都庁 is not. Korean particles and Russian case endings are part of the word.
Not here: other inflected languages, and dictionaries. A form that is not in the lists does not match.
"""

import regex

_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}ー々\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
_IS_UNSPACED = regex.compile(_UNSPACED)
_IS_HANGUL = regex.compile(r"\p{Hangul}")
_IS_CYRILLIC = regex.compile(r"[а-яёіїєґ]+")
_LEFT = (
    # Japanese particles, Chinese "is", "in", "by" and the like, Thai, Lao and Khmer "is", "at", "named"
    "[はがをにでのへ]|から|[是为為在于於叫即到由从從称稱的]|位于|位於|คือ|เป็น|ที่|ใน|ชื่อ|ว่า|จาก|โดย|แห่ง|ແມ່ນ|ຄື|ຢູ່|គឺជា|គឺ|ជា|នៅ"
)
_RIGHT = (
    "です|でした|でございます|だ(?!ろう)|である|であり|であった|にあ|にい|に住|に生|に位|に建|に移|は(?!な)|が|を|へ|から|まで"
    "|さん|氏|という|といい|と言|という|と呼|と答|となり|となる|出身|で生|で開|で行|により|によって|によれ"
    "|了|也|就|出生|长大|長大|去世|逝世|成立|建立|创立|創立|创办|創辦|举行|舉行|举办|舉辦|工作|生活|居住|执导|執導|创作|創作"
    "|写|寫|所写|所寫|演唱|担任|擔任|发明|發明"
    "|ครับ|ค่ะ|เป็น|คือ|ซึ่ง|เมื่อ|ใน|ที่|ဖြစ်|တွင်|သည်"
)
_KOREAN = (
    "이다|다|입니다|이에요|예요|이었다|였다|이었습니다|였습니다|이며|이고|은|는|이|가|을|를|에|에서|에게|로|으로|까지|부터|라고|이라고"
    "|이라는|라는|인데|임|에서는|에는"
)
# Case endings, by the ending of the nominative. "-а" after a consonant counts only after a preposition, since it also
# makes other names (Александр, Александра).
_RUSSIAN = [
    ("а", "[аыиеу]|ой|ою"),
    ("я", "[яиею]|ей|ею"),
    ("ий", "ий|ого|его|ому|ему|ым|им|ом|ем"),
    ("ый", "ый|ого|ому|ым|ом"),
    ("ь", "[ьяюеи]|ем|ью"),
    ("й", "[йяюе]|ем"),
    ("о", "[оауе]|ом"),
    ("е", "[еяю]|ем"),
]
_OF = r"(?:из|от|до|с|у|около|близ|возле) "
_POINTS = "[\u064b-\u0652\u0670\u05b0-\u05bd\u05bf\u05c1\u05c2\u05c7]"
_IS_POINTED_SCRIPT = regex.compile(r"[\p{Arabic}\p{Hebrew}]")


def left_end(first: str) -> str:
    """A look-behind for what may precede a word that begins with this character."""
    if not _IS_UNSPACED.match(first):
        return r"(?<!\S)"
    return r"(?<=^|[^\p{L}\p{N}\p{M}・]" + (")" if regex.match(r"\p{Hiragana}", first) else f"|{_LEFT})")


def right_end(last: str) -> str:
    """A look-ahead for what may follow a word that ends with this character."""
    if _IS_HANGUL.match(last):
        return rf"(?=(?:{_KOREAN})?(?!\S))"
    return rf"(?=$|[^\p{{L}}\p{{N}}\p{{M}}・]|{_RIGHT})" if _IS_UNSPACED.match(last) else r"(?!\S)"


def word_pattern(word: str) -> str:
    """A regular expression for the word (in lower case) and its inflected forms."""
    if _IS_CYRILLIC.fullmatch(word) and len(word) >= 3:
        return _russian(word)
    if not _IS_POINTED_SCRIPT.search(word):
        return str(regex.escape(word))
    # Vowel points are usually omitted; if both sides have them, they must agree.
    if not regex.search(_POINTS, word):
        return "".join(rf"{regex.escape(letter)}{_POINTS}{{0,3}}" for letter in word)
    return "".join(f"{char}?" if regex.match(_POINTS, char) else regex.escape(char) for char in word)


def _russian(word: str) -> str:
    for ending, cases in _RUSSIAN:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return f"{word.removesuffix(ending)}(?:{cases})"
    return word if word[-1] in "уюыиэ" else rf"(?:(?<={_OF}){word}а|{word}(?:у|е|ом|ем|ым)?)"
