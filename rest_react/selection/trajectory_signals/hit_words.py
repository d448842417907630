"""The words of a search result, for signals that look for words of the question or the answer in it.

    words_of_hit(Hit("p3", "Vell", "It has 7 mills."))         # {"vell", "has", "7", "mills"}

BM25 does not index numbers of one digit in a passage's text, but they are the answer to "How many?" and a part of most
dates.
Not here: splitting a text into words (search.word_tokenizer).
"""

from rest_react.records import Hit
from rest_react.search.word_tokenizer import passage_words, query_words


def words_of_hit(hit: Hit) -> frozenset[str]:
    """The words of title and snippet, with all numbers."""
    return frozenset((*passage_words(hit.title, hit.snippet), *query_words(hit.snippet)))
