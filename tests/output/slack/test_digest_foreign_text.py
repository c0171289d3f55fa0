"""Text from outside is shown literally in a digest: it mentions nobody, formats nothing, and forges nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.model import Outcome
from orchestrator.output.slack.mrkdwn import code, literal, plain, prose, raw, size
from orchestrator.reports.report import (
    ReasonReport,
)
from tests.output.slack.digest_samples import (
    HOSTILE,
    LINK,
    assert_safe,
    cells,
    enforced,
    make_account_report,
    make_failed,
    make_problem,
    make_run,
    make_skipped,
    make_user_report,
    render,
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("place", ["alias", "name", "user", "message", "code", "remedy", "note", "run_id", "skip"])
def test_foreign_text_neither_mentions_nor_formats_nor_forges(text: str, place: str) -> None:
    problem = make_problem().model_copy(update={place: text} if place in {"message", "code", "remedy"} else {})
    reason = ReasonReport(code=problem.code, message=problem.message)
    report = make_run(
        make_account_report(1, *enforced(text if place == "user" else "ana"), alias=text if place == "alias" else None),
        make_account_report(2, make_user_report(text if place == "user" else "bob", Outcome.FAILED, error=reason)),
        make_failed(3, error=problem, **({"name": text, "alias": None} if place == "name" else {})),
        make_skipped(4, text if place == "skip" else "suspended"),
        errors=(problem,),
        **({"run_id": text} if place == "run_id" else {}),
    )

    digest = render(report, notes=(text,) if place == "note" else (), link=LINK)

    assert_safe(digest)
    assert len(digest.blocks) == 4 + (place == "note" and bool(text.strip()))
    assert len(digest.thread) == 1


def test_name_in_a_cell_is_shown_as_it_is_and_mentions_nobody() -> None:
    report = make_run(make_account_report(1, *enforced("<!channel> R&D *x*"), alias=None, name="Team\n`a_b`"))

    [_, row] = cells(render(report).thread[0].blocks)

    assert row[0] == "Team `a_b`"
    assert row[3] == "enforced: \u2039!channel\u203a R&D *x*"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("R&D", "R&amp;D"),
        ("a_b", "a_b"),
        ("_a_", "ˍaˍ"),
        ("a*b", "a\N{ASTERISK OPERATOR}b"),
        ("12:30", "12:30"),
        (":fire:", "\N{RATIO}fire:"),
        (" a \n b ", "a b"),
        ("", ""),
    ],
)
def test_a_name_is_shown_as_it_is(text: str, written: str) -> None:
    assert literal(text, 80) == written


@pytest.mark.parametrize("text", ["&lt;!here&gt;", "&amp;lt;", "R&D <Berlin>", "a_b"])
def test_read_back_as_plain_text_a_name_is_the_same(text: str) -> None:
    assert plain(literal(text, 80)) == plain(code(text, 80)) == text


def test_an_arn_in_a_sentence_is_left_whole_to_be_copied() -> None:
    text = "on resource: arn:aws-cn:iam::111122223333:role/x_* because *no* policy allows it"

    assert prose(text, 200) == (
        "on resource: `arn:aws-cn:iam::111122223333:role/x_*` because "
        "\N{ASTERISK OPERATOR}no\N{ASTERISK OPERATOR} policy allows it"
    )


@given(text=st.text(alphabet=st.sampled_from('&<>*`_~:a\N{GRINNING FACE}"\\ \n') | st.characters(), max_size=300))
def test_a_text_is_cut_between_characters_never_inside_an_escape(text: str) -> None:
    for write in (literal, prose, code, raw):
        written = write(text, 60)
        assert size(written) <= 60
        if write is raw:
            assert not re.search("[<>]", written)
            continue
        assert not re.search(r"&(?!(?:amp|lt|gt);)", written)
        assert "\n" not in plain(written)
