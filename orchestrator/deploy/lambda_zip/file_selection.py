"""Chooses what goes into the zip: of our own modules those that the functions import, of each package what it needs.

Pure but for reading our own sources. What is left out of a package is here and nowhere else, with the reason.
"""

from fnmatch import fnmatchcase
from modulefinder import ModuleFinder
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

PACKAGE = "orchestrator"
ENTRY_POINTS = ("orchestrator.handler", "orchestrator.lambdas.step")
"""The modules that the Lambda functions name."""

SERVICES = frozenset({"iam", "organizations", "s3", "secretsmanager", "securityhub", "ssm", "sts"})
"""The AWS services that a run calls. botocore brings the data of all there are, most of what pip fetches."""

_SLACK_APIS = ("audit_logs", "oauth", "rtm", "rtm_v2", "scim", "socket_mode")
_NEEDLESS = (
    # Commands and the like.
    "*.data/*",
    *("*/__pycache__/*", "*/test/*", "*/tests/*", "*/test_*.py"),
    # Nobody checks types there.
    *("*.pyi", "*/py.typed"),
    # Examples for the documentation, and boto3's resources, which the program does not use.
    *("botocore/data/*/examples-1.json", "boto3/examples/*", "boto3/data/*"),
    # C sources of what is in the wheel, compiled.
    *("*.c", "*.h", "*.pyx"),
    # The package's old name, and other ways to speak to Slack than to post a message.
    *("slack/*", *(f"slack_sdk/{name}/*" for name in _SLACK_APIS)),
    # Everything but metrics, and the logging and tracing that importing them imports.
    *(f"aws_lambda_powertools/{name}/*" for name in ("event_handler", "middleware_factory", "utilities/*")),
)
_NEEDED = "aws_lambda_powertools/utilities/jmespath_utils/*"
"""Wins over what is needless."""

_SAID_OF_A_PACKAGE = ("METADATA", "LICEN[CS]E*", "COPYING*", "NOTICE*", "AUTHORS*", "licenses/*", "sboms/*")
"""Of a .dist-info folder: what its licence wants along, and its version. RECORD would be wrong after the cuts."""

_DATA = frozenset({".css", ".html", ".js"})


def is_needed(path: PurePath) -> bool:
    """Return whether a file of a third-party package goes into the zip."""
    match path.parts:
        case [info, *rest] if info.endswith(".dist-info"):
            return any(fnmatchcase("/".join(rest), pattern) for pattern in _SAID_OF_A_PACKAGE)
        case ["botocore", "data", service, _, *_] if service not in SERVICES:
            return False
    name = path.as_posix()
    return fnmatchcase(name, _NEEDED) or not any(fnmatchcase(name, pattern) for pattern in _NEEDLESS)


def select_modules(package: Path) -> dict[str, Path]:
    """Return the files of our package that the entry points import, at import or later, by their names in the zip.

    The files that a package among them reads (a page, its style and its script) come along.
    """
    with TemporaryDirectory(prefix="orgmfa-") as alone:  # other packages, installed beside ours, are not looked at
        Path(alone, PACKAGE).symlink_to(package)
        start = Path(alone, "start.py")
        start.write_text("".join(f"import {module}\n" for module in ENTRY_POINTS), encoding="utf-8")
        finder = ModuleFinder(path=[alone])
        finder.run_script(str(start))
        modules: list[Any] = [*finder.modules.values()]
        found = [Path(module.__file__) for module in modules if module.__file__]
        names = [path.relative_to(start.parent / PACKAGE) for path in found if path != start]
    folders = [package / name.parent for name in names if name.name == "__init__.py"]
    beside = [path.relative_to(package) for folder in folders for path in folder.iterdir() if path.suffix in _DATA]
    return {f"{PACKAGE}/{name.as_posix()}": package / name for name in [*names, *beside]}
