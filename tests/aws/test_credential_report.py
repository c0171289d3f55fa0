from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.aws.credential_report import ROOT_ROW, ReportRow, read_credential_report
from orchestrator.domain.errors import Malformed

COLUMNS = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,"
    "access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,"
    "access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,cert_1_last_rotated,cert_2_active,"
    "cert_2_last_rotated"
)
"""The header as IAM writes it (IAM User Guide, 'Getting credential reports')."""
NEVER = "N/A"
MARCH, MAY = "2026-03-01T10:00:00+00:00", "2026-05-01T10:00:00+00:00"


def make_row(
    user: str = "alice",
    *,
    arn: str = NEVER,
    mfa: str = "false",
    console: str = "true",
    keys: tuple[str, str] = ("false", "false"),
    used: tuple[str, str] = (NEVER, NEVER),
    signed_in: str = NEVER,
) -> str:
    values = {
        "user": user,
        "arn": arn,
        "password_enabled": console,
        "password_last_used": signed_in,
        "mfa_active": mfa,
        "access_key_1_active": keys[0],
        "access_key_1_last_used_date": used[0],
        "access_key_2_active": keys[1],
        "access_key_2_last_used_date": used[1],
    }
    return ",".join(values.get(column, NEVER) for column in COLUMNS.split(","))


def read(*rows: str) -> dict[str, ReportRow]:
    return read_credential_report("\n".join([COLUMNS, *rows]).encode())


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (make_row(), ReportRow(False, True, 0, None)),
        (make_row(mfa="true"), ReportRow(True, True, 0, None)),
        (make_row(console="false"), ReportRow(False, False, 0, None)),
        (make_row(console="not_supported"), ReportRow(False, None, 0, None)),
        (make_row(console="no_information"), ReportRow(False, None, 0, None)),
        (make_row(mfa=""), ReportRow(None, True, 0, None)),
        (make_row(mfa="TRUE"), ReportRow(None, True, 0, None)),
        (make_row(keys=("true", "false")), ReportRow(False, True, 1, None)),
        (make_row(keys=("true", "true")), ReportRow(False, True, 2, None)),
        (make_row(keys=("true", "N/A")), ReportRow(False, True, None, None)),
    ],
)
def test_cell_that_is_neither_true_nor_false_is_not_known(row: str, expected: ReportRow) -> None:
    assert read(row) == {"alice": expected}


@pytest.mark.parametrize(
    ("keys", "used", "last_used"),
    [
        (("true", "true"), (MARCH, MAY), datetime(2026, 5, 1, 10, tzinfo=UTC)),
        (("true", "true"), (MAY, MARCH), datetime(2026, 5, 1, 10, tzinfo=UTC)),
        (("true", "true"), (NEVER, MARCH), datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (("true", "false"), (MARCH, MAY), datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (("false", "false"), (MARCH, MAY), None),
        (("true", "true"), (NEVER, "no_information"), None),
        (("true", "true"), ("", NEVER), None),
    ],
)
def test_last_use_is_that_of_the_active_keys(
    keys: tuple[str, str], used: tuple[str, str], last_used: datetime | None
) -> None:
    assert read(make_row(keys=keys, used=used))["alice"].keys_last_used == last_used


@pytest.mark.parametrize(
    ("keys", "used", "expected"),
    [
        (("true", "false"), ("not_told", NEVER), None),
        (("true", "false"), ("", NEVER), None),
        (("true", "true"), (MARCH, "not_told"), None),
        (("true", "false"), (MARCH, "not_told"), 1),
        (("false", "false"), ("not_told", ""), 0),
        (("true", "true"), (NEVER, "no_information"), 2),
    ],
)
def test_active_key_of_which_no_last_use_is_told_leaves_open_how_many_keys_there_are(
    keys: tuple[str, str], used: tuple[str, str], expected: int | None
) -> None:
    assert read(make_row(keys=keys, used=used))["alice"].active_access_keys == expected


@pytest.mark.parametrize(("number", "expected"), [(1, None), (2, 1)])
def test_report_without_the_column_of_last_use_says_nothing_of_an_active_key(number: int, expected: int | None) -> None:
    column = f"access_key_{number}_last_used_date"
    content = f"{COLUMNS.replace(column, 'renamed')}\n{make_row(keys=('true', 'false'), used=(MARCH, NEVER))}"

    assert read_credential_report(content.encode())["alice"].active_access_keys == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (MARCH, datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("no_information", "never"),
        ("N/A", None),
        ("not_supported", None),
        ("", None),
        # What is no time spoils no report: no decision depends on it.
        ("2026-13-45", None),
        ("1 March", None),
        ("2026-03-01T10:00:00", None),
    ],
)
def test_last_sign_in_is_a_time_or_never_or_not_known(cell: str, expected: object) -> None:
    assert read(make_row(signed_in=cell))["alice"].password_last_used == expected


def test_every_user_and_the_root_user_has_a_row() -> None:
    rows = read(make_row(ROOT_ROW, console="not_supported", mfa="true"), make_row("alice"), make_row("=bob@x.org"))

    assert list(rows) == ["<root_account>", "alice", "=bob@x.org"]
    assert rows[ROOT_ROW].has_mfa is True


def test_name_may_hold_what_csv_quotes() -> None:
    assert list(read(make_row('"a,b"'), make_row('"say ""hi"""'))) == ["a,b", 'say "hi"']


def test_columns_may_stand_in_another_order_and_be_more() -> None:
    content = (
        b"new_column,access_key_2_active,access_key_1_last_used_date,access_key_1_active,mfa_active,password_enabled,user"
        b"\r\nx,false,N/A,true,true,false,alice\r\n"
    )

    assert read_credential_report(content) == {"alice": ReportRow(True, False, 1, None)}


def test_row_that_breaks_off_is_not_known_where_it_lacks_cells() -> None:
    assert read("alice,arn") == {"alice": ReportRow(None, None, None, None)}


UNKNOWN = ReportRow(None, None, None, None)
NO_MFA = ReportRow(False, True, 0, None)
ARN = "arn:aws:iam::111122223333:user/"


@pytest.mark.parametrize("cut", range(1, 22))
def test_row_with_fewer_cells_than_columns_says_nothing(cut: int) -> None:
    cells = make_row(mfa="true", console="false").split(",")[:-cut]

    assert read(",".join(cells), make_row("bob")) == {"alice": UNKNOWN, "bob": NO_MFA}


@pytest.mark.parametrize("more", ["", "x", "true", "x,y,z"])
def test_row_with_more_cells_than_columns_says_nothing(more: str) -> None:
    assert read(make_row(mfa="true") + "," + more, make_row("bob")) == {"alice": UNKNOWN, "bob": NO_MFA}


@given(
    st.lists(
        st.sampled_from(["alice", "x", "true", "false", "N/A", "2026", MARCH, ARN + "bob"]), min_size=2, max_size=25
    )
)
@settings(deadline=None)
def test_name_with_commas_that_are_not_quoted_tells_nothing_of_anybody(parts: list[str]) -> None:
    named = make_row(",".join(parts), mfa="true", console="false", keys=("true", "true"))

    found = read(make_row("bob", mfa="true"), named)

    expected = {parts[0]: UNKNOWN, "bob": ReportRow(True, True, 0, None)}
    assert found == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (make_row("alice"), make_row("alice", mfa="true")),
        (make_row("alice", mfa="true"), make_row("alice")),
        (make_row("alice", arn=ARN + "alice"), make_row("alice", arn=ARN + "path/alice", mfa="true")),
        (make_row("alice", mfa="true"), make_row("ALICE")),
        (make_row("alice", arn=ARN + "alice"), make_row("carol", arn=ARN + "alice", mfa="true")),
        (make_row("alice", mfa="true"), "alice,arn"),
        ("alice,arn", make_row("alice", mfa="true")),
    ],
)
def test_rows_that_share_a_name_or_an_arn_say_nothing(first: str, second: str) -> None:
    found = read(first, make_row("bob", arn=ARN + "bob"), second)

    assert found.pop("bob") == NO_MFA
    assert set(found.values()) == {UNKNOWN}


def test_report_of_an_account_without_users_has_no_rows() -> None:
    assert read() == {}


@pytest.mark.parametrize(
    "missing", ["user", "mfa_active", "password_enabled", "access_key_1_active", "access_key_2_active"]
)
def test_report_without_a_column_it_must_have_is_malformed(missing: str) -> None:
    content = f"{COLUMNS}\n{make_row()}".replace(missing, "renamed", 1).encode()

    with pytest.raises(Malformed, match="lacks one of the columns") as caught:
        read_credential_report(content)

    assert (caught.value.code, caught.value.operation) == ("MalformedReport", "GetCredentialReport")


UNREADABLE = {
    "not UTF-8": f"{COLUMNS}\n".encode() + b"\xff",
    "a date that is none": "\n".join([COLUMNS, make_row(keys=("true", "false"), used=("2026-13-01", NEVER))]).encode(),
    "a date without a zone": "\n".join(
        [COLUMNS, make_row(keys=("true", "true"), used=("2026-03-01T10:00:00", MAY))]
    ).encode(),
    "a cell without an end": f'{COLUMNS}\n"'.encode() + b"x" * 140_000,
}


@pytest.mark.parametrize("content", [b"", b"\n\n", b"<html>", b"{}"])
def test_text_that_is_no_report_is_malformed(content: bytes) -> None:
    with pytest.raises(Malformed):
        read_credential_report(content)


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in UNREADABLE.items()])
def test_report_that_cannot_be_read_is_malformed(content: bytes) -> None:
    with pytest.raises(Malformed):
        read_credential_report(content)


CELLS = st.sampled_from(["true", "false", "N/A", "no_information", "not_supported", "", MARCH, MAY]) | st.text(
    st.characters(exclude_categories=["C", "N"], exclude_characters=',"'), max_size=8
)


@given(st.lists(st.lists(CELLS, max_size=24), max_size=4))
@settings(deadline=None)
def test_whatever_stands_in_the_cells_nobody_gets_mfa_by_accident(rows: list[list[str]]) -> None:
    lines = [",".join(row) for row in rows]
    column = COLUMNS.split(",").index("mfa_active")
    claimed = {row[0] for row in rows if len(row) > column and row[column] == "true"}

    found = read(*lines)

    assert {user for user, row in found.items() if row.has_mfa} <= claimed
