"""The answer in short, of answers whose meaning a reader would not doubt."""

import time

from rest_react.tasks.search_qa.judging.short_answer import short_answer

RELEASED = "Which film came out first, Red Sun or Black Sea?"


def test_the_short_answer_is_what_the_last_claim_adds() -> None:
    cases = {
        ("When was Ada Mell born?", "Ada Mell was born on 12 May 1890 [link_id=2]."): "12 May 1890",
        ("How many mills does Vell have?", "Vell has 7 mills."): "7",
        (
            "Who founded the town where Ada Mell was born?",
            "Ada Mell was born in Vell. Bob Lin founded Vell. Therefore, Bob Lin founded the town of Ada Mell.",
        ): "Bob Lin",
        ("When was Vell founded?", "Vell was founded in 1874. Thus, the answer is 1874."): "1874",
        ("What is her album?", "Her album is Therefore."): "Therefore",
        ("When was the bridge of Vell built?", "The bridge was built in 1861, by Ada Mell."): "1861",
        ("Who is the father of Ada Mell?", "The father of Ada Mell is Bob Mell."): "Bob Mell",
        ("Who is Ada Bach's son?", "Her son is Richard Bach Lin [link_id=1]."): "Richard Bach Lin",
        ("Who wrote Middlemarch?", "George Eliot wrote Middlemarch [link_id=1]."): "George Eliot",
        ("Is Vell a town?", "Vell has a mayor. Yes, it is a town."): "yes",
        ("Is Vell a town?", "No. Vell is a village."): "no",
        ("Who is older, Ada Mell or Bob Lin?", "Ada was born in 1850. Ada Mell is older."): "Ada Mell",
        ("Who is older, Ada Mell or Bob Lin?", "The older one is Ada Mell."): "Ada Mell",
        ("Who is older, Ada Mell or Bob Lin?", "Ada Mell was born first, in 1800 [link_id=1]; the other in 1806."): (
            "Ada Mell"
        ),
        ("Who is older, Ada Mell or Bob Lin?", "Bob Lin was born first, in 1800; the other in 1806."): "Bob Lin",
        (
            "Who was born first, the mayor of Vell or the teacher of Gar?",
            "Ada Mell was born first, in 1800; she was 5.",
        ): ("Ada Mell"),
        ("In which town or city was Ada Mell born?", "Ada Mell was born in Vell."): "Vell",
        (
            "In which town or city was Ada Mell's teacher born?",
            "Bob Lin, the first teacher of Ada, was born in Vell.",
        ): ("Vell"),
        ("When was the war between Vell and Gar?", "Vell and Gar fought in 1840."): "1840",
        (RELEASED, "Red Sun: the publication date is 1971 [link_id=3], that of the other is 2014."): "Red Sun",
        (RELEASED, "Black Sea: the publication date is 2014, that of the other is 1971."): "Black Sea",
        ("What is the population of Vell?", "Vell: 2,000 people."): "2,000",
        ("Which song was first?", "No. 1 was Hey Jude."): "Hey Jude",
        ("Is Vell a town or a village?", "No link says who founded Vell."): "",
        ("Who founded Vell?", "The founder of Vell is Bob Lin. The father of Bob Lin is unknown."): "",
        ("Who founded Vell?", "I do not know."): "",
        ("Who founded Vell?", "Unknown."): "",
        ("Is it known when Vell was founded?", "No. It is not known."): "no",
        ("Was Vell founded in 1850?", "No, the links do not say."): "",
        ("Was Vell founded in 1850?", "Yes. Who founded it is not known."): "yes",
        ("How many people live in Vell?", "Vell has 1.2 million people."): "1.2 million",
        ("What did the bridge cost?", "The bridge cost US$5 million."): "US$5 million",
        ("How much of Vell is water?", "5% of it is."): "5%",
        ("How cold is Vell?", "It is -5 degrees there."): "-5 degrees",
        ("How long is the bridge?", "The bridge is 5 km long."): "5 km",
        ("How old is Ada Mell?", "She is 45 years old."): "45",
        ("In which language is it written?", "It is written in C++."): "C++",
        ("Who wrote it?", "It was written by J. Smith."): "J. Smith",
        ("Who wrote it?", "J.R.R. Tolkien wrote it."): "J.R.R. Tolkien",
        ("Where was she born?", "She was born in St. Malo."): "St. Malo",
        ("Where is she from?", "She is from the U.S."): "U.S",
        ("Where is it?", "It is in Washington, D.C."): "Washington, D.C",
        ("Which band is it?", "The band is R.E.M."): "R.E.M",
        ("Who wrote it?", "J.K.Rowling wrote it."): "J.K.Rowling",
        ("Who led it?", "George W. Bush led it."): "George W. Bush",
        ("Who founded Vell?", "The founder is Ada Mell, but the links do not say when."): "Ada Mell",
        ("Is Vell a town?", "Yes, Vell is a town, though the links do not say how large."): "yes",
        ("Who directed it?", "It was directed by Joel and Ethan Coen, but the links do not mention the year."): (
            "Joel and Ethan Coen"
        ),
        ("Where did he die?", "He was born in Vell and died in Gar, but the links do not mention the date."): "Gar",
        (
            "Who was her spouse?",
            "Bob Lin, the director, was married to Ada Mell, but the date is not known.",
        ): "Ada Mell",
        ("Is Vell a town?", "Yes, but the links do not say how large."): "yes",
        ("Who founded Vell?", "The founder was Ada Mell, whose birth date is not known."): "Ada Mell",
        ("What did the sequel earn?", "The film earned $30 million. The sequel earned $50 million."): "$50 million",
        ("When were the protests?", "In 2011 thousands of people protested."): "2011",
        ("Who lived there?", "The capital is Washington, D.C. Barack Obama lived there."): "Barack Obama",
        ("Who won the league?", "The league is Serie A. Juventus won it."): "Juventus",
        ("Which song is it?", "The song is I Don't Know How to Love Him."): "Love Him",
        ("Who succeeded her husband?", "Her husband was Edward V. Richard III succeeded him."): "Richard III",
        ("Is Ada older?", "Her plan is plan B. No, she is younger."): "no",
        ("How cold is it?", "It is -40 °C."): "-40 °C",
        ("What did it cost?", "It cost 5€."): "5€",
        ("How many km long is the bridge?", "The bridge is 5 km long."): "5",
        ("Is Vell a town?", "No it is a village."): "no",
        ("What was Ada Mell?", "Ada Mell was a painter."): "painter",
        ("Who wrote it?", "The author is Ada Mell. The writer of the book is Ada Mell."): "Ada Mell",
        (
            "Where is the school of Bob?",
            "Bob went to the University of New Kent, Vell.",
        ): "University of New Kent, Vell",
        ("Is it so?", "it is so"): "it is so",
        ("Who?", "[link_id=1]."): "",
    }
    assert {asked: short_answer(*asked) for asked in cases} == cases


def test_a_long_answer_is_shortened_within_two_seconds() -> None:
    began = time.process_time()
    for piece in ("5 km, ", "but no link says. ", "Ada. ", "J. Smith ", "5 "):
        short_answer("How many?", piece * 4000)
    assert time.process_time() - began < 2
