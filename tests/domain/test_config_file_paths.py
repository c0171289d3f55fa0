"""How paths are expanded: what comes out holds neither home sign nor variable, or is refused."""

import os
import pwd
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.domain.config_file import expand_path, has_folder, show_path

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
PLAIN = st.text(st.characters(exclude_characters="$~", exclude_categories=["Cs"]), max_size=10)
HOME = {"HOME": "/home/ana"}


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("./orgmfa-runs", {}, "./orgmfa-runs"),
        ("~", HOME, "/home/ana"),
        ("~/stop", HOME, "/home/ana/stop"),
        ("~/stop", {"HOME": "/"}, "/stop"),
        ("a~/~b", HOME, "a~/~b"),
        ("$DIR/stop", {"DIR": "/srv"}, "/srv/stop"),
        ("/srv/${TEAM}-a/stop", {"TEAM": "sec"}, "/srv/sec-a/stop"),
        ("$DIR/stop", {"DIR": "~/switches"} | HOME, "/home/ana/switches/stop"),
        ("$A/stop", {"A": "$B", "B": "x"}, "$B/stop"),
        ("/srv/a$$b", {"b": "no"}, "/srv/a$b"),
    ],
)
def test_path_is_expanded(text: str, environment: dict[str, str], expected: str) -> None:
    assert expand_path(text, environment) == expected


def test_home_is_that_of_the_user_where_no_variable_names_it() -> None:
    me = pwd.getpwuid(os.getuid())

    assert expand_path("~/stop", {"HOME": ""}) == f"{me.pw_dir}/stop"
    assert expand_path(f"~{me.pw_name}/stop", HOME) == f"{me.pw_dir}/stop"


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        ("$DIR/stop", {}, "the variable DIR is not set, or empty"),
        ("$DIR/stop", {"DIR": ""}, "the variable DIR is not set, or empty"),
        ("/srv/${DIR}", {"dir": "/srv"}, "the variable DIR is not set, or empty"),
        ("${DIR:-/srv}/stop", {"DIR": "/srv"}, "a variable is written"),
        ("${DIR/stop", {"DIR": "/srv"}, "a variable is written"),
        ("/srv/share$", {}, "a dollar sign $$"),
        ("~nobody-of-this-name/stop", HOME, "~nobody-of-this-name: no such user"),
        ("~/stop", {"HOME": "home"}, "no such user with a home folder"),
    ],
)
def test_path_that_cannot_be_expanded_is_refused(text: str, environment: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=r"writ(e|ten) ") as caught:
        expand_path(text, environment)

    assert words in str(caught.value)


@given(NAMES, PLAIN, PLAIN, st.booleans())
def test_variable_gives_its_value_or_a_refusal(name: str, value: str, rest: str, is_set: bool) -> None:
    assume(name != "HOME")
    try:
        found = expand_path(f"${{{name}}}/{rest}", {name: value} if is_set else {})
    except ValueError:
        assert not (is_set and value)
    else:
        assert found == f"{value}/{rest}"


@given(PLAIN)
def test_path_without_signs_stays_as_it_is(text: str) -> None:
    assert expand_path(text, {}) == text


def test_place_is_shown_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert show_path("./runs") == f"{tmp_path}/runs"
    assert show_path("s3://bucket/archive") == "s3://bucket/archive"


def test_folder_of_a_file_is_there_or_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    assert has_folder(str(tmp_path / "stop"))
    assert not has_folder(str(tmp_path / "nowhere" / "stop"))
    assert not has_folder(str(tmp_path / "file" / "stop"))
    assert not has_folder(str(tmp_path / "link" / "stop"))
    assert not has_folder(f"/{'x' * 300}/stop")
