from typing import Any

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from rest_react.config.compose import compose
from rest_react.config.groups import CONFIGS, spell_out
from rest_react.config.overrides import as_text, as_typed, split, text
from rest_react.errors import ConfigError

# What a user types, less what OmegaConf takes for an interpolation and what cannot be typed.
TYPED = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1).filter(
    lambda typed: "${" not in typed and typed != "???"
)
TRICKY = st.sampled_from(
    [
        "007", "1e3", "1_000", "0x10", "1.5b", "true", "No", "null", "NULL", "nan", "inf", "-1", "3.10", "2024-01-31",
        "a,b", "a, b", "[a]",
        "a\\,b", "{a: b}", "a=b", "~/x y", "~x", "it's", 'say "hi"', "'a' and 'b'", "C:\\new\\", "\\'",
        "qwen2.5:7b", "org/model@main", "100%", "(x)", "glob(*)", "choice(a,b)", "naïve", "日本語", " x ", "a\tb", "#1",
        "\\", "$HOME", "$", "a$b", "!x", "&y", "*z", "|", ">", "-", "--flag", "...", "a..b", "a'", '"', "’", "🦜",
    ]
)  # fmt: skip
# Not policy.base_url, which may be a list.
KEYS = ("policy.model", "policy.api_key_env", "cache", "tracking.project", "grow.reuse", "agent.prompts")


def is_plain(typed: str) -> bool:
    """Whether a text means itself: it is not in quotes and not null."""
    word = typed.strip()
    return not (len(word) > 1 and word[0] == word[-1] and word[0] in "'\"") and word.casefold() != "null"


def composed(*overrides: str) -> Any:
    """What Hydra makes of the overrides, composed as a run does it."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return hydra_compose("config", overrides=["llm@policy=openai", *map(spell_out, overrides)])


@settings(max_examples=12, deadline=None)
@given(st.lists((TYPED | TRICKY).filter(is_plain), min_size=len(KEYS), max_size=len(KEYS)))
def test_a_text_setting_is_exactly_the_typed_text(typed: list[str]) -> None:
    # Several settings at once: composing takes a tenth of a second, however many there are.
    config = composed(*(f"{key}={one}" for key, one in zip(KEYS, typed, strict=True)))
    assert [OmegaConf.select(config, key) for key in KEYS] == typed


@given(typed=TYPED | TRICKY)
def test_a_text_is_quoted_once(typed: str) -> None:
    once = as_typed(f"run={typed}")
    assert as_typed(once) == once
    assert as_typed(as_text("run", typed)) == as_text("run", typed)
    assert text(as_text("", typed)[1:]) == typed


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("cache=null", "cache", None),
        ("cache=NULL", "cache", None),
        ("run=null", "run", "null"),
        ("cache=", "cache", ""),
        ("run='a,b'", "run", "a,b"),
        ('run="007"', "run", "007"),
        ("run=mine_${seed}", "run", "mine_0"),
        ("++run=007", "run", "007"),
        ("iteration=1_0", "iteration", 10),
        ("students=[007,1e3,'a,b',it's]", "students", ["007", "1e3", "a,b", "it's"]),
        ("students=[]", "students", []),
        ("students=[007,{model: 1e3, samples: 16}]", "students", ["007", {"model": "1e3", "samples": 16}]),
        ("+grow.questions.fields={question: q 1,answer: 007}", "grow.questions.fields",
         {"question": "q 1", "answer": "007"}),
        ("+grow.questions.fields.question=1e3", "grow.questions.fields.question", "1e3"),
        ("+policy.extra_args=[--max-model-len,4096,--rope,{\"a\":[1,2]}]", "policy.extra_args",
         ["--max-model-len", "4096", "--rope", '{"a":[1,2]}']),
    ],
)  # fmt: skip
def test_null_quotes_interpolation_and_lists_keep_their_meaning(override: str, key: str, value: object) -> None:
    assert OmegaConf.select(composed(override), key) == value


def test_the_texts_of_a_sweep_are_exactly_the_typed_texts() -> None:
    for typed, told in {
        "policy.model=1.5b,0x10, 1e3": "policy.model='1.5b','0x10','1e3'",
        "policy.model='a,b',it's": "policy.model='a,b','it\\'s'",
        "run=mine_${oc.env:USER,me}": "run='mine_${oc.env:USER,me}'",
        "run=glob(*)": "run=glob(*)",
        "run=choice(a,b)": "run=choice(a,b)",
        "cache=null,x": "cache=null,'x'",
        "students=[007],[1e3,b]": "students=['007'],['1e3','b']",
        "seed=1,2": "seed=1,2",
    }.items():
        assert as_typed(typed, multirun=True) == told


@pytest.mark.parametrize("typed", ["007", "1e3", "true", "a,b", "it's mine", "x=y", "~x", "#1 (new)", "日本語", "2"])
def test_a_run_may_have_any_folder_name(typed: str) -> None:
    assert compose([f"run={typed}"]).run == typed


def test_a_text_that_is_not_utf8_or_too_long_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        compose(["run=a\udcff", "cache=b\udcfe"])
    assert refused.value.problems == (
        "run: 'a\\udcff' is not valid UTF-8; write it in UTF-8",
        "cache: 'b\\udcfe' is not valid UTF-8; write it in UTF-8",
    )
    with pytest.raises(ConfigError) as refused:
        compose([f"run={'ü' * 130}"])
    (told,) = refused.value.problems
    assert told.startswith("run: ")
    assert "260" in told


def test_split_ignores_commas_inside_quotes_and_brackets() -> None:
    assert split("a,b") == ["a", "b"]
    assert split("") == [""]
    assert split(" 'a,b' , \"c,d\" , [e,f],{g: h,i: j},(k,l),${m:n,o}") == [
        "'a,b'", '"c,d"', "[e,f]", "{g: h,i: j}", "(k,l)", "${m:n,o}"
    ]  # fmt: skip
    assert split("]a,it's,b") == ["]a", "it's", "b"]
