from hypothesis import given
from hypothesis import strategies as st

from rest_react.weights.common_prefix import common_prefix_length

FEW = st.lists(st.integers(0, 2), max_size=12)


@given(FEW, FEW, FEW)
def test_the_length_is_that_of_the_longest_beginning_that_both_share(start, one, other):
    one, other = [*start, *one], [*start, *other]
    length = common_prefix_length(one, other)
    assert len(start) <= length == common_prefix_length(other, one)
    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or length == len(one) == len(other)
