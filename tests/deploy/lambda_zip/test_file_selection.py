"""Which files of packages, and which of our modules, go in."""

from pathlib import Path, PurePosixPath

import pytest

from orchestrator.deploy.lambda_zip.build import _lay_out
from orchestrator.deploy.lambda_zip.file_selection import is_needed, select_modules


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("botocore/client.py", True),
        ("botocore/data/endpoints.json", True),
        ("botocore/data/iam/2010-05-08/service-2.json.gz", True),
        ("botocore/data/iam/2010-05-08/examples-1.json", False),
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", False),
        ("boto3/data/iam/2010-05-08/resources-1.json", False),
        ("boto3-1.44.5.dist-info/METADATA", True),
        ("boto3-1.44.5.dist-info/LICENSE", True),
        ("boto3-1.44.5.dist-info/NOTICE.txt", True),
        ("boto3-1.44.5.dist-info/RECORD", False),
        ("boto3-1.44.5.dist-info/WHEEL", False),
        ("structlog-26.1.0.dist-info/licenses/LICENSE-MIT", True),
        ("structlog/testing.py", True),
        ("annotated_types/test_cases.py", False),
        ("package/tests/test_it.py", False),
        ("six.py", True),
        ("pydantic/py.typed", False),
        ("pydantic_core/_pydantic_core.cpython-313-aarch64-linux-gnu.so", True),
        ("slack_sdk/web/client.py", True),
        ("slack_sdk/socket_mode/client.py", False),
        ("slack/__init__.py", False),
        ("aws_lambda_powertools/metrics/metrics.py", True),
        ("aws_lambda_powertools/utilities/__init__.py", True),
        ("aws_lambda_powertools/utilities/jmespath_utils/__init__.py", True),
        ("aws_lambda_powertools/utilities/parser/models/s3.py", False),
    ],
)
def test_of_a_package_goes_in_what_is_needed(path: str, needed: bool) -> None:
    assert is_needed(PurePosixPath(path)) is needed


def test_of_our_modules_go_in_those_that_the_functions_import_now_or_later(tmp_path: Path) -> None:
    sources = {
        "__init__.py": "",
        "handler.py": "from orchestrator.run import go\ndef late():\n    from orchestrator.store import sub\n",
        "run.py": "import orchestrator.words.plain\nimport orchestrator_of_others\n",
        "words/__init__.py": "",
        "words/plain.py": "",
        "words/fancy.py": "",
        "store/__init__.py": "",
        "store/sub.py": "from orchestrator import handler\n",
        "lambdas/__init__.py": "",
        "lambdas/step.py": "from orchestrator.words import spoken\n",
        "words/spoken.py": "",
        "cli.py": "from orchestrator.handler import late\n",
    }
    for name, text in sources.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    chosen = select_modules(tmp_path)

    left_out = {"cli.py", "words/fancy.py"}
    assert set(chosen) == {f"orchestrator/{name}" for name in sources.keys() - left_out}


def test_data_that_modules_read_goes_in_beside_them(tmp_path: Path) -> None:
    _lay_out(tmp_path, [], {})

    data = {path.name for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".py"}
    assert data == {"remedies.ini", "nudge.txt", "page.html", "page.css", "page.js", "template.yaml"}
