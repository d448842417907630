import pytest
import regex

from rest_react.judges.answer_matching.word_forms_by_script import left_end, right_end, word_pattern


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("東京", "東京です", True),
        ("東京", "東京都庁", False),
        ("京都", "東京都", False),
        ("パリ", "首都はパリ。", True),
        ("パリ", "パリス", False),
        ("北京", "首都是北京", True),
        ("서울", "서울입니다", True),
        ("서울", "서울역", False),
        ("กรุงเทพ", "เมืองหลวงคือกรุงเทพ", True),
        ("москва", "в москве", True),
        ("москва", "москвич", False),
        ("александр", "александра", False),
        ("лондон", "из лондона", True),
        ("محمد", "مُحَمَّد", True),
        ("كَتَبَ", "كُتُب", False),
        ("كَتَبَ", "كتب", True),
        ("paris", "parisville", False),
    ],
)
def test_a_word_matches_with_its_own_particles_and_endings_only(word, text, found):
    pattern = left_end(word[0]) + word_pattern(word) + right_end(word[-1])
    assert (regex.search(pattern, text) is not None) is found
