import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rest_react.judges.answer_matching.rule_grader import rule_verdict
from rest_react.records import LabelledQuestion, Question
from tests.judges.answer_matching.labelled import OLDER, PLACE, YES, gold, is_right

SAME = "Are both Kurram Garhi and Trojkrsti located in the same country?"
BORN, MANY = "Where was the director of film Dusk born?", "How many children did Ada Mell have?"


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Paris", True),
        ("According to [link_id=3], she was born in PARIS [link_id=4].", True),
        ("It is Paris, not Lyon.", True),
        ("Not Lyon but Paris.", True),
        ("She wasn't born in Lyon. She was born in Paris.", True),
        ("", False),
        ("[link_id=3]", False),
        ("She was born in Parisville.", False),
        ("It is not Paris.", False),
        ("It isn’t Paris.", False),
        ("Lyon, not Paris.", False),
        ("Lyon rather than Paris.", False),
        ("Paris is not her birthplace.", False),
        ("Many think it is Paris, but it is not Paris.", False),
        ("Paris or Lyon.", False),
        ("Either Lyon or Paris.", False),
        ("It might be Paris.", False),
        ("I do not know whether it was Paris.", False),
        ("Although it is often said to be Paris, the capital is Lyon.", False),
        ("Though some believe that it was in Paris, she was born in Lyon.", False),
        ("Despite claims that she comes from Paris [link_id=2], it is Lyon.", False),
        ("Contrary to the belief that it was Paris, it was Lyon.", False),
        ("She was born in Lyon, although many sources say Paris.", False),
        ("Although small, Paris is the capital.", True),
        ("Although it is often said to be Lyon, the capital is Paris.", True),
        ("Although often thought to be small, Paris is the capital.", True),
        ("Although Paris is small, it is the capital.", True),
        ("Although Paris is said to be dirty, it is the capital.", True),
        ("Though she grew up in Lyon, she was born in Paris.", True),
        ("Despite rumours, she was born in Paris.", True),
        ("Contrary to popular belief, it was Paris.", True),
        ("It was Paris, although some say that Paris came later.", True),
        ("She is said to be from Paris.", True),
    ],
)
def test_an_open_question_is_right_only_if_the_answer_asserts_the_gold_answer(answer, right):
    assert is_right(PLACE, answer) is right


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        (gold("320 km/h"), "Its top speed is 200 mph (320 kph) [link_id=4].", True),
        (gold("320 km/h"), "320 kilometres per hour or 200 mph", True),
        (gold("320 km/h"), "320 mph", False),
        (gold("320 km/h"), "1,320 km/h", False),
        (gold("1204"), "It has 1,204 inhabitants.", True),
        (gold("1,204"), "1204", True),
        (gold("204"), "1,204", False),
        (gold("5"), "5.5", False),
        (gold("5 million dollars"), "It cost $5,000,000.", True),
        (gold("-5 °C"), "minus 5 degrees Celsius", True),
        (gold("12"), "The town has twelve bridges.", True),
        (gold("1", "one"), "It has one bridge.", True),
        (gold("1", "one"), "Two; the one in Lund is closed.", False),
        (gold("1973"), "He died on March 12, 1973.", True),
        (gold("1973"), "It was not until 1973 that it opened.", True),
        (gold("1973"), "1973 or 1974", False),
        (gold("1980"), "in the 1980s", False),
        (gold("12 March 1931"), "on March 12th, 1931", True),
        (gold("12 March 1931"), "1931-03-12", True),
        (gold("12 March 1931"), "in March 1931", False),
        (gold("March 1973"), "It opened on 12 March 1973.", True),
        (gold("March 1973"), "1973-03-12", True),
        (gold("March 1973"), "It opened on 12 April 1973.", False),
        (gold("Mumbai", "Bombay"), "Mumbai or Bombay, as it was called.", True),
        (gold("Washington, D.C."), "Washington DC", True),
        (gold("J. K. Rowling"), "JK Rowling wrote it.", True),
        (gold("José"), "Jose", True),
        (gold("The Lord of the Rings"), "Lord of the Rings", True),
        (gold("vitamin A"), "vitamin C", False),
        (gold("C++"), "C", False),
    ],
)
def test_numbers_dates_units_and_names_match_in_every_notation(question, answer, right):
    assert is_right(question, answer) is right


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        (gold("CO2", text="Which gas?"), "It is CO₂.", True),
        (gold("H3O+", text="Which ion?"), "It is H2O.", False),
        (gold("H3O+", text="Which ion?"), "The ion is H₃O⁺.", True),
        (gold("CO"), "It is CO2.", False),
        (gold("H2O"), "It is H₂O.", True),
        (gold("M1"), "the M11", False),
        (gold("A-1"), "the A-2", False),
        (gold("A-1"), "the A1 [link_id=3]", True),
        (gold("F-15"), "F-16", False),
        (gold("B-52"), "It is the B52.", True),
        (gold("B-52"), "the B 52 bomber", True),
        (gold("MI6"), "MI 6", True),
        (gold("Python 3.1"), "Python 3.10", False),
        (gold("Python 3.10"), "Python 3.1", False),
        (gold("Python 2"), "Python 3", False),
        (gold("3.1"), "version 3.10", False),
        (gold("3.10"), "It is version 3.10.", True),
        (gold("10²"), "102", False),
        (gold("102"), "10²", False),
        (gold("10^2"), "10²", True),
        (gold("x²"), "x₂", False),
        (gold("10⁻³"), "10³", False),
        (gold("$5"), "€5", False),
        (gold("£5"), "$5", False),
        (gold("$5"), "A$5", False),
        (gold("US$5"), "$5", True),
        (gold("5 euros"), "€5", True),
        (gold("5 EUR"), "5€", True),
        (gold("£5 million"), "5 million pounds", True),
        (gold("+5"), "-5", False),
        (gold("−5"), "minus 5", True),
        (gold("5"), "-5", False),
        (gold("C"), "It is C++.", False),
        (gold("C++"), "C#", False),
        (gold("C#"), "It is C#.", True),
        (gold("C"), "The language is C.", True),
        (gold("5", text="How many?"), "5%", False),
        (gold("5", text="What percentage?"), "It is 5 percent.", True),
        (gold("5%"), "5", False),
        (gold("5%"), "five percent", True),
        (gold("5 km"), "5 m", False),
        (gold("5 mW"), "5 MW", False),
        (gold("Louis XIV"), "Louis XV", False),
        (gold("Louis XIV"), "Louis the Fourteenth", True),
        (gold("Louis XIV"), "King Louis the 14th of France", True),
        (gold("Louis the Fourteenth"), "Louis XIV", True),
        (gold("Louis 14"), "Louis XIV", True),
        (gold("World War II"), "World War 2", True),
        (gold("World War II"), "World War I", False),
        (gold("World War II"), "the Second World War", True),
        (gold("WWII"), "World War II", True),
        (gold("World War 1"), "World War One", True),
        (gold("Malcolm X"), "Malcolm 10", False),
        (gold("Malcolm X"), "It was Malcolm X.", True),
        (gold("1"), "I think so.", False),
        (gold("Henry V"), "Henry the Fifth", True),
        (gold("Henry V"), "Henry VI", False),
        (gold("Henry V"), "Henry V was king.", True),
        (gold("Louis"), "Louis XIV", False),
        (gold("louis xiv"), "It was Louis XIV.", True),
        (gold("Pope John Paul II"), "Pope John Paul 2", True),
        (gold("21st"), "twenty-second", False),
        (gold("twenty-first"), "It was the 21st.", True),
        (gold("3rd"), "third", True),
        (gold("first"), "1st", True),
        (gold("21"), "twenty-one", True),
        (gold("21"), "twenty-first", False),
        (gold("1914–1918"), "1914 to 1918", True),
        (gold("1914–1918"), "1914-18", True),
        (gold("1914–1918"), "between 1914 and 1918", True),
        (gold("1914–1918"), "1914–1919", False),
        (gold("1914"), "1914–1918", False),
        (gold("44 BC"), "AD 44", False),
        (gold("44 BC"), "44 B.C.E.", True),
        (gold("44"), "44 BC", False),
        (gold("79 AD"), "in AD 79", True),
        (gold("79 CE"), "79 A.D.", True),
        (gold("1,000,000"), "one million", True),
        (gold("12,34,567"), "12,34,568", False),
        (gold("1234567"), "12,34,567", True),
        (gold("1 million"), "half a million", False),
        (gold("two million"), "2,000,000", True),
        (gold("123"), "1,234", False),
        (gold("Mt. Everest"), "Mount Everest", True),
        (gold("St. Petersburg"), "It is Saint Petersburg.", True),
        (gold("Mount Everest"), "Mt Everest", True),
        (gold("Tom & Jerry"), "Tom and Jerry", True),
        (gold("Ærø"), "Aero", True),
        (gold("Straße"), "Strasse", True),
        (gold("café"), "café", True),
        (gold("Never Let Me Go", text="Who wrote it?"), "It is Never Let Me Go.", True),
        (gold("Unknown Pleasures", text="Which film?"), "The answer is Unknown Pleasures.", True),
        (gold("12", text="How many?"), "It opened on March 12.", False),
        (gold("2", text="Which?"), "World War 2", False),
        (gold("3", text="How many?"), "3,5", False),
        (gold("1931", text="When?"), "On 12/3/1931", True),
        (gold("12 March 1931", text="When?"), "1931/03/12", True),
        (gold("12 March 1931", text="When?"), "12.3.1931", True),
        (gold("March 25, 1931", text="When?"), "3/25/1931", True),
        (gold("12 March 1931", text="When?"), "13 March 1931", False),
        (gold("12 March 1931", text="When?"), "12 March 1932", False),
        (gold("5 hours", text="How long?"), "five hours", True),
        (gold("1990s"), "the 1980s", False),
        (gold("Rocky"), "Rocky II", False),
        (gold("George VI"), "the answer is george vi", True),
        (gold("Margrethe II"), "margrethe iii", False),
        (gold("William IV"), "william vi", False),
        (gold("O+"), "O-", False),
        (gold("A+"), "A", False),
        (gold("A"), "A+", False),
        (gold("Alien", text="Which series?"), "Alien 3", False),
        (gold("Disney"), "Disney+", False),
        (gold("50"), "more than 50", False),
        (gold("1973"), "after 1973", False),
        (gold("-5 °C"), "−5°C", True),
        (gold("5 °C"), "5 °F", False),
        (gold("red"), "red, blue, green", False),
        (gold("red"), "It is red, a warm colour.", True),
        (gold("a spirit"), "a spirit, a demon, a god", False),
        (gold("a spirit"), "Lilu is a spirit.", True),
        (gold("Georgia"), "Georgia, Texas, Ohio", False),
        (gold("France"), "France, Germany, Italy", False),
        (gold("Austin"), "Austin, Texas", True),
        (gold("AC/DC"), "AC/DC", True),
        (gold("Yahoo!"), "Yahoo! was it.", True),
        (gold("3 a.m."), "3 AM", True),
        (gold("Elizabeth II", text="Who?"), "Queen Elizabeth the Second", True),
        (gold("Elizabeth II", text="Who?"), "Elizabeth I", False),
        (gold("Fe2+"), "Fe3+", False),
        (gold("Fe2+"), "Fe²⁺", True),
        (gold("U-235"), "U-238", False),
        (gold("1/2"), "1/3", False),
        (gold("½"), "1/2", True),
        (gold("3.5"), "3½", True),
        (gold("9/11"), "9/12", False),
        (gold("10:30"), "10:35", False),
        (gold("№ 5"), "No. 5", True),
        (gold("#1"), "number one", True),
        (gold("iPhone 4"), "iPhone 4S", False),
        (gold("4G"), "5G", False),
        (gold("R&B"), "R and B", True),
        (gold("60 years"), "60 months", False),
    ],
)
def test_other_letters_digits_and_signs_are_wrong_and_other_spellings_are_right(question, answer, right):
    assert is_right(question, answer) is right


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        (gold("Đà Nẵng"), "Da Nang", True),
        (gold("東京", text="日本の首都は？"), "東京です", True),
        (gold("東京"), "東京都庁です", False),
        (gold("京都"), "東京都です", False),
        (gold("東京"), "東京ではありません。", False),
        (gold("東京"), "東京か大阪です。", False),
        (gold("東京"), "東京、大阪、名古屋です。", False),
        (gold("東京"), "大阪ではなく、東京です。", True),
        (gold("東京"), "答えは「東京」です。", True),
        (gold("パリ"), "パリです。", True),
        (gold("パリ"), "バリです。", False),
        (gold("パリ"), "首都はﾊﾟﾘです", True),
        (gold("が"), "か", False),
        (gold("東京"), "東京かもしれません", False),
        (gold("東京"), "東京", True),
        (gold("大阪"), "彼女は大阪で生まれました。", True),
        (gold("北京"), "不是北京。", False),
        (gold("北京"), "可能是北京。", False),
        (gold("北京"), "北京或上海", False),
        (gold("北京"), "她在北京出生。", True),
        (gold("北京"), "答案是北京", True),
        (gold("北京"), "北京大学", False),
        (gold("1937年"), "1937年", True),
        (gold("กรุงเทพ"), "ไม่ใช่กรุงเทพ", False),
        (gold("กรุงเทพ"), "กรุงเทพครับ", True),
        (gold("서울"), "서울이 아니다.", False),
        (gold("서울"), "서울입니다.", True),
        (gold("서울"), "서울대학교", False),
        (gold("서울"), "부산, 서울, 대구", False),
        (gold("दिल्ली"), "दिल्ली नहीं है।", False),
        (gold("दिल्ली"), "दिल्ल", False),
        (gold("القاهرة"), "العاصمة هي القاهرة.", True),
        (gold("القاهرة"), "ليست القاهرة", False),
        (gold("محمد"), "مُحَمَّد", True),
        (gold("Москва"), "не Москва", False),
        (gold("Москва"), "Она родилась в Москве.", True),
        (gold("Александр"), "Александра", False),
        (gold("Йод"), "Иод", False),
        (gold("Королёв"), "Королев", True),
        (gold("１２３"), "123", True),
        (gold("12"), "١٢", True),
        (gold("서울"), "서울", True),
        (gold("C♯"), "C♭", False),
    ],
)
def test_gold_answers_in_other_scripts_match_with_particles_and_endings(question, answer, right):
    assert is_right(question, answer) is right


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        (gold("May", text="When?"), "It may be June.", False),
        (gold("May", text="When?"), "In May.", True),
        (gold("May", text="When?"), "may", True),
        (gold("Norway", "NO", "NOR", "no", text="Where?"), "The answer is Norway.", True),
        (gold("Norway", "NO", "NOR", "no", text="Where?"), "No one knows.", False),
        (gold("Norway", "NO", "NOR", "no", text="Where?"), "It has no link.", False),
        (gold("Norway", "NO", "no", text="Where?"), "It is in Norway.", True),
        (gold("Italy", "IT", "it", text="Where?"), "It was found in the search results.", False),
        (gold("Italy", "IT", "it", text="Where?"), "The answer is Italy [link_id=1].", True),
        (gold("India", "IN", "in", text="Where?"), "She was born in Lund.", False),
        (gold("United States", "US", "us", text="Where?"), "They told us so.", False),
        (gold("United States", "US", "us", text="Where?"), "She moved to the US.", True),
        (gold("United States", "US", text="Where?"), "She moved to the U.S. in 1950.", True),
        (gold("It", text="Which novel?"), "The novel is It.", True),
        (gold("It", text="Which novel?"), "It is a novel.", False),
        (gold("yes", text="Are they alike?"), "Yes.", True),
        (gold("Yes", "yes", "true", text="Are they alike?"), "No.", False),
        (gold("no", "No", text="Are they alike?"), "No, they are not.", True),
        (gold("NO", text="Which country code?"), "NO", True),
        (gold("Mumbai", "Bombay"), "Mumbai, Bombay", True),
        (gold("Mumbai", "Bombay"), "Mumbai (Bombay)", True),
    ],
)
def test_an_alias_that_is_also_a_common_word_does_not_match_the_common_word(question, answer, right):
    assert is_right(question, answer) is right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Paris (wrong)", False),
        ("Paris. No, Lyon.", False),
        ("Paris, as well as Lyon.", False),
        ("Paris -> Lyon", False),
        ("a. Paris b. Lyon", False),
        ("Paris Hilton", False),
        ("Conceivably Paris.", False),
        ("She was almost born in Paris.", False),
        ("['Paris', 'Lyon']", False),
        ("Paris/France", True),
        ("Ada Mell was born in Paris. It is not known when she died.", True),
        ("1. The director is Ada Mell.\n2. She was born in Paris.", True),
        ("The director is Ada Mell.\nParis", True),
        ("I highly doubt that it is Paris.", False),
        ("It's hardly Paris.", False),
        ("It is unlikely to be Paris.", False),
        ("Anything but Paris.", False),
        ("It is far from Paris.", False),
        ("Paris can be ruled out.", False),
        ("Paris has been ruled out.", False),
        ("It cannot be Paris.", False),
        ("It can't be Paris.", False),
        ("Any city other than Paris.", False),
        ("Paris? Lyon? Nice?", False),
        ("Paris?", False),
        ("1) Paris\n2) Lyon", False),
        ("- Paris\n- Lyon", False),
        ("* Lyon\n* Paris", False),
        ("Either Paris, or Lyon.", False),
        ("Paris / Lyon / Nice", False),
        ("Paris/Lyon/Nice", False),
        ("It could be Paris, Lyon or Nice.", False),
        ("Could be Paris.", False),
        ("Lyon, Paris, Nice", False),
        ("Paris, Lyon", False),
        ("Paris and Lyon", False),
        ("Paris, Lyon, and Nice.", False),
        ("Lyon; Paris; Nice", False),
        ("Paris | Lyon | Nice", False),
        ("Paris vs Lyon", False),
        ("Paris. Lyon. Nice.", False),
        ("paris, lyon, nice", False),
        ("It is one of Paris, Lyon and Nice.", False),
        ("Option A: Paris. Option B: Lyon.", False),
        ("(a) Paris (b) Lyon", False),
        ("Some say Paris, others Lyon.", False),
        ("It is Paris. No wait, it is Lyon.", False),
        ("I don't think it is Paris.", False),
        ("Not in Paris.", False),
        ("Nobody says Paris.", False),
        ("It is not the case that she was born in Paris.", False),
        ("It is not, however, Paris.", False),
        ("Paris is the wrong answer.", False),
        ("Paris? No.", False),
        ("Not sure, maybe Paris.", False),
        ("If it was Paris, then I would know.", False),
        ("Paris perhaps.", False),
        ("Paris, but that is wrong.", False),
        ("The links rule out Paris.", False),
        ("All but Paris.", False),
        ("Everywhere except Paris.", False),
        ("Paris is a possibility.", False),
        ("near Paris", False),
        ("She was born 15 km north of Paris.", False),
        ("A city larger than Paris.", False),
        ("Unlike Paris, Lyon.", False),
        ("Paris is unlikely.", False),
        ("The claim that she was born in Paris is false.", False),
        ("She wasn't born in Paris but in Lyon.", False),
        ("She was born in either Paris or Lyon.", False),
        ("Paris is nice. The answer is Lyon.", False),
        ("It is doubtful whether it is Paris.", False),
        ("There's no proof she was born in Paris.", False),
        ("Paris, I guess? Or Lyon.", False),
        ("Paris or possibly Lyon", False),
        ("I can't say whether it was Paris", False),
        ("It is said to be Paris, but in fact it is Lyon.", False),
        ("Possibly Paris", False),
        ("She denied being born in Paris.", False),
        ("Paris was excluded.", False),
        ("Nice, or Paris.", False),
        ("Was it Paris?", False),
        ("Paris (or Lyon)", False),
        ("Paris, maybe Lyon", False),
        ("Born in Lyon and Paris.", False),
        ("Lyon & Paris", False),
        ("Paris - Lyon - Nice", False),
        ("Paris — Lyon — Nice", False),
        ("Paris\n\nLyon\n\nNice", False),
        ("Answer 1: Paris\nAnswer 2: Lyon", False),
        ("Paris, Lyon, Nice, Lille, Nantes", False),
        ("Lyon, Nice, Lille, Nantes, Paris", False),
        ("First Paris, then Lyon.", False),
        ("It was never Paris.", False),
        ("neither Paris nor Lyon", False),
        ("Paris would be wrong.", False),
        ("It's either Paris or it's Lyon", False),
        ("Paris, the capital of France, founded in the 3rd century BC by the Parisii.", True),
        ("Paris, France", True),
        ("She was born in Paris, France, in 1950.", True),
        ("Paris (France)", True),
        ("She was born in Paris and grew up in Lyon.", True),
        ("Paris, not Lyon.", True),
        ("No doubt Paris.", True),
        ("It is none other than Paris.", True),
        ("She was born in Paris, where Bo Tarn also lived.", True),
        ("Paris, which is also known as the City of Light.", True),
        ("Ada Mell was born in Paris, and Bo Tarn was born in Lyon.", True),
        ("1. Paris", True),
        ("Answer: Paris", True),
        ("**Paris**", True),
        ('The answer is "Paris".', True),
        ("In 1950, Ada Mell was born in Paris.", True),
        ("Ada Mell, a singer, was born in Paris [link_id=1]. Lyon is her home.", True),
        ("She was born in Paris, Île-de-France, France.", True),
        ("No, she was born in Paris.", True),
        ("She was born in Paris. Lyon is not her birthplace.", True),
        ("Paris is where she was born.", True),
        ("It is Paris, home of the Louvre and the Seine.", True),
        ("Paris!", True),
        ("Yes, Paris.", True),
        ("According to Wikipedia, Paris.", True),
        ("She was not only born in Paris but died there.", True),
        ("Ada Mell (born 1950 in Paris) is a singer.", True),
        ("It is probably Paris.", True),
        ("I think it is Paris.", True),
        ("Ada Mell was born\nin Paris.", True),
        ("Paris - the capital of France", True),
        ("The mother of Bo Tarn, Ada Mell, was born in Paris.", True),
        ("It was Paris, and not Lyon, as Bo Tarn wrote.", True),
        ("Ada Mell was born in Paris to Bo Tarn and Cy Orr.", True),
        ("Born in Paris, Ada Mell moved to Lyon.", True),
        ("Before moving to Lyon, she was born in Paris.", True),
        ("From Lyon? No, from Paris.", True),
        ("The search results show that Ada Mell was born in Paris, while Bo Tarn was born in Lyon.", True),
        ("She was born in the city of Paris.", True),
    ],
)
def test_denials_hedges_and_lists_are_wrong_and_context_is_not_a_list(answer, right):
    assert is_right(PLACE, answer) is right


@pytest.mark.parametrize(
    ("text", "answer", "right"),
    [
        ("Who wrote Never Let Me Go?", "Never Let Me Go was written by Ada Mell.", True),
        ("who wrote never let me go", "never let me go was written by ada mell", True),
        ("Who directed The Wrong Man?", "The Wrong Man was directed by Ada Mell.", True),
        ("Who recorded Unknown Pleasures?", "The album Unknown Pleasures is by Ada Mell.", True),
        ("Who wrote Not Without My Daughter?", "Not Without My Daughter was written by Ada Mell.", True),
        ("Who directed May?", "May was directed by Ada Mell.", True),
        ("Who directed Doubt?", "Doubt was directed by Ada Mell.", True),
        ("Who directed Doubt?", "I doubt it was Ada Mell.", False),
        ("Who wrote Never Let Me Go?", "It was never Ada Mell.", False),
        ("Who directed The Wrong Man?", "It is wrong to say Ada Mell.", False),
        ("Who sang Maybe?", "Maybe Ada Mell.", False),
        ("Who founded Nobody's Records?", "Nobody Records was founded by Ada Mell.", True),
        ("Who directed If?", "If was directed by Ada Mell.", True),
        ("Who wrote No Country for Old Men?", "No Country for Old Men was written by Ada Mell.", True),
        ("Who was in Everything but the Girl?", "Everything but the Girl had Ada Mell.", True),
        ("Who did not win?", "Ada Mell did not win.", True),
        ("Who wrote Neither Here Nor There?", "Neither Here nor There is by Ada Mell.", True),
        ("Who is it named after?", "It is named after Ada Mell.", True),
        ("Who reigned after Bo Tarn?", "After Bo Tarn reigned Ada Mell.", True),
        ("Who founded it?", "Ada Mell, Bo Tarn and Cy Orr founded it.", False),
        ("Who founded it?", "Ada Mell, President of Lund University, founded it.", True),
        ("Who founded it?", "Ada Mell, an American singer, founded it in 1950.", True),
        ("Who wrote it?", "It was written by Ada Mell and published by Bo Tarn.", True),
        ("Who wrote it?", "Bo Tarn or Ada Mell", False),
        ("Who wrote it?", "ada mell", True),
        ("Who wrote it?", "Bo Tarn, not Ada Mell", False),
    ],
)
def test_a_word_of_denial_inside_a_title_of_the_question_denies_nothing(text, answer, right):
    assert is_right(gold("Ada Mell", text=text), answer) is right


CITIES = ["Paris", "Lyon", "Nice", "Lille", "Nantes", "Le Havre", "Saint Malo"]
YEARS = ["1931", "1932", "12 March 1930", "May 1940", "1 June 1822"]
WORDS = ["red", "green", "blue", "dark yellow", "grey"]
SEPARATORS = [", ", "; ", " / ", " or ", " and ", "\n", "\n- ", " | ", "? ", ", or ", ", and ", ". ", " vs "]


@given(
    st.sampled_from([CITIES, YEARS, WORDS]).flatmap(
        lambda names: st.lists(st.sampled_from(names), min_size=2, unique=True)
    ),
    st.sampled_from(SEPARATORS),
    st.sampled_from(["{}", "{}.", "It is {}.", "The answer is {} [link_id=1].", "Candidates: {}", "- {}"]),
)
@example(["Paris", "Lyon"], "? ", "It is {}.")
def test_a_list_of_several_answers_is_never_right(names, separator, form):
    for right in names:
        assert not is_right(gold(right), form.format(separator.join(names)))


@given(
    st.lists(st.sampled_from(CITIES), min_size=2, unique=True),
    st.sampled_from(["{}. {} ", "{}) {} ", "({}) {} ", "{}. {}\n"]),
)
def test_a_numbered_list_of_answers_is_never_right(names, form):
    assert not is_right(gold(names[0]), "".join(form.format(n, name) for n, name in enumerate(names, start=1)))


@given(
    st.sampled_from(CITIES),
    st.sampled_from(
        [
            "{}", "{}.", "It is {}.", "The answer is {} [link_id=1].", "In 1931, she was born in {}.",
            "{}, the capital, which was founded by Bo Tarn.", "She was born in {} and died in Rennes.", "{} (France)",
            "{}, France.", "According to [link_id=2], {} is her birthplace, not Rennes.", "**{}**", "1. {}", "- {}",
        ]
    ),
)  # fmt: skip
def test_an_asserted_answer_is_right_whatever_else_the_text_says(name, form):
    assert is_right(gold(name), form.format(name))


def test_a_question_without_a_gold_answer_is_unscored():
    assert rule_verdict(gold(), "Paris").verdict == "unscored"


@given(st.text(), st.text(min_size=1), st.lists(st.text(), max_size=2))
def test_no_answer_raises(answer, right, options):
    question = LabelledQuestion(Question("q", f"{answer} or {right}?"), (right,), tuple(options))
    assert rule_verdict(question, answer).verdict in ("correct", "incorrect", "unscored")


@given(st.sampled_from([PLACE, OLDER, gold("320 km/h"), gold("12 March 1931")]))
def test_the_gold_answer_itself_is_right(question):
    assert is_right(question, question.answers[0])


@pytest.mark.parametrize(
    "piece",
    [
        *("Paris not ", "[link_id=1] ", "1,", "((", "a.", "twelve ", "Ada Mell or ", "12 may ", "although said paris "),
        *("Paris, Lyon? ", "- Paris\n", "1. Paris ", "東京か", "**a", "not , x , ", "2 to ", "x²", "e\u0301"),
    ],
)
def test_a_long_repetitive_answer_is_graded_within_two_seconds(piece):
    answer = piece * (60_000 // len(piece))
    for question in (PLACE, YES, OLDER):
        began = time.process_time()
        rule_verdict(question, answer)
        assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("question", "gold", "answer", "verdict"),
    [
        (SAME, "no", "No, the search results do not provide enough information to tell whether both are.", "incorrect"),
        (SAME, "no", "No, I cannot determine this from the information provided.", "incorrect"),
        (SAME, "no", "No. The sources do not say where Trojkrsti is.", "incorrect"),
        (SAME, "no", "No, there is no information about Trojkrsti in the search results.", "incorrect"),
        (SAME, "yes", "Yes, possibly.", "incorrect"),
        (SAME, "no", "No, they are not: Kurram Garhi is in Pakistan [link_id=1].", "correct"),
        (SAME, "yes", "Yes, the results say that both are in Pakistan [link_id=1].", "correct"),
        (BORN, "Canada", "Ada Mell was born in Toronto, Ontario, Canada [link_id=2].", "correct"),
        (BORN, "United States", "She was born in Boston, Massachusetts, United States.", "correct"),
        (BORN, "France", "She was born in Paris, France, in 1950.", "correct"),
        (BORN, "France", "She was born in Spain, France.", "incorrect"),
        (BORN, "Paris", "The provided information does not specify where, only that she was in Paris.", "incorrect"),
        (BORN, "Paris", "I don't have enough information to answer. Paris is mentioned in link 3.", "incorrect"),
        (BORN, "Paris", "There isn't any information about her birthplace. She worked in Paris.", "incorrect"),
        (BORN, "Paris", "The available results lack information about it; she worked in Paris.", "incorrect"),
        (BORN, "Paris", "More information is needed to determine it. The film was shot in Paris.", "incorrect"),
        (MANY, "3", "She had 4 children [3].", "incorrect"),
        (MANY, "4", "She had 4 children [3].", "correct"),
    ],
)  # fmt: skip
def test_answers_in_words_of_common_models(question: str, gold: str, answer: str, verdict: str) -> None:
    labelled = LabelledQuestion(Question("q", question), (gold,))
    assert rule_verdict(labelled, answer).verdict == verdict
