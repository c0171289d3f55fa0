"""The links by OU and owner: each is the filter that the script of the page reads from its address."""

from urllib.parse import parse_qs

import pytest

from tests.browser.samples import make_account_report, make_run_report
from tests.output.html.page_reader import page_of


@pytest.mark.parametrize("sign", ["\N{NO-BREAK SPACE}", "\N{ZERO WIDTH SPACE}", "\N{LINE SEPARATOR}", " & ", "+", "é"])
def test_link_names_ou_and_owner_as_the_script_knows_them(sign: str) -> None:
    place = {"ou": f"Root/A{sign}B", "owner": f"team{sign}B"}

    page = page_of(make_run_report(make_account_report("111122223333", **place)))

    links = [str(link["href"]).removeprefix("#") for link in page.all("a") if "=" in str(link["href"])]
    asked = {key: texts[-1] for key, texts in parse_qs("&".join(links)).items()}
    [[_, _, _, ou, owner, *_]] = page.data["accounts"]
    assert asked == {"ou": page.data["texts"][ou], "owner": page.data["texts"][owner]}


def test_owners_who_look_the_same_are_one_row() -> None:
    accounts = [make_account_report(str(number), owner=f"team{blank}B") for number, blank in enumerate(" \N{EM SPACE}")]

    page = page_of(make_run_report(*accounts))

    assert [link["href"] for link in page.all("a") if "owner" in str(link["href"])] == ["#owner=team+B"]
