"""Standard output that cannot encode all that a command has to say, with a process of `orgmfa` each."""

import json

import pytest

from tests.cli.calling import ORGMFA, Cli, Sample

REASON = "gr\u00f6\u00dfer \u00a4 \u2192 \U0001f511"

pytestmark = pytest.mark.thorough


@pytest.fixture(autouse=True)
def configured(cli: Cli) -> None:
    """Have an exemption whose reason most encodings lack, as they lack the word joiner in messages to users."""
    cli.configure(f'exemptions: [{{user: alice, accounts: ["*"], reason: "{REASON}", until: 2099-01-01}}]\n')


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "iso8859-15", "utf-8"])
@pytest.mark.parametrize("command", ["config", "plan"])
def test_json_is_utf_8_whatever_the_encoding_of_standard_output(
    cli: Cli, sample: Sample, command: str, encoding: str
) -> None:
    done = cli.process(command, "--output", "json", PYTHONIOENCODING=encoding)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert REASON in done.stdout


@pytest.mark.parametrize("encoding", ["latin-1", "iso8859-15"])
@pytest.mark.parametrize(
    ("command", "code", "said"), [("config", 0, "gr\u00f6\u00dfer"), ("plan --sandbox", 1, "User ")]
)
def test_words_that_standard_output_cannot_encode_are_escapes(
    cli: Cli, sample: Sample, command: str, code: int, said: str, encoding: str
) -> None:
    line = f"{' '.join(ORGMFA)} {command} >words.txt"
    done = cli.run("bash", "-c", line, PYTHONIOENCODING=encoding)

    assert done.returncode == code, done.stderr
    words = (cli.folder / "words.txt").read_text(encoding)
    assert said in words
    assert "\\u2" in words
