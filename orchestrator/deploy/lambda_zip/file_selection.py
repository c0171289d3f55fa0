"""Selects the files of the zip: our modules that the functions import, and the needed files of each dependency.

All exclusions are listed here, with the reason.
"""

from fnmatch import fnmatchcase
from modulefinder import ModuleFinder
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

PACKAGE = "orchestrator"
ENTRY_POINTS = ("orchestrator.handler", "orchestrator.lambdas.step")
"""The modules of the handlers in stackset/central.yaml."""

SERVICES = frozenset(
    {"events", "iam", "organizations", "s3", "secretsmanager", "securityhub", "sesv2", "sqs", "ssm", "sts"}
)
"""The AWS services that a run calls. botocore contains the data of all services, most of the downloaded size."""

_SLACK_APIS = ("audit_logs", "oauth", "rtm", "rtm_v2", "scim", "socket_mode")
_NEEDLESS = (
    # Scripts and other files outside of the import path.
    "*.data/*",
    *("*/__pycache__/*", "*/test/*", "*/tests/*", "*/test_*.py"),
    # Types are not checked in the Lambda.
    *("*.pyi", "*/py.typed"),
    # Documentation examples, and boto3's resources, which the program does not use.
    *("botocore/data/*/examples-1.json", "boto3/examples/*", "boto3/data/*"),
    # C sources, which the wheel contains compiled.
    *("*.c", "*.h", "*.pyx"),
    # The old name of slack_sdk, and APIs of Slack other than posting messages.
    *("slack/*", *(f"slack_sdk/{name}/*" for name in _SLACK_APIS)),
    # Everything but metrics, and the logging and tracing modules that metrics imports.
    *(f"aws_lambda_powertools/{name}/*" for name in ("event_handler", "middleware_factory", "utilities/*")),
)
_NEEDED = "aws_lambda_powertools/utilities/jmespath_utils/*"
"""An exception to the needless files."""

_PACKAGE_METADATA = ("METADATA", "LICEN[CS]E*", "COPYING*", "NOTICE*", "AUTHORS*", "licenses/*", "sboms/*")
"""Files kept of a .dist-info folder: licences and version. RECORD is dropped, since it lists the excluded files too."""

_DATA = frozenset({".css", ".html", ".ini", ".js", ".txt"})


def is_needed(path: PurePath) -> bool:
    """Return whether a file of a third-party package goes into the zip."""
    match path.parts:
        case [info, *rest] if info.endswith(".dist-info"):
            return any(fnmatchcase("/".join(rest), pattern) for pattern in _PACKAGE_METADATA)
        case ["botocore", "data", service, _, *_] if service not in SERVICES:
            return False
    name = path.as_posix()
    return fnmatchcase(name, _NEEDED) or not any(fnmatchcase(name, pattern) for pattern in _NEEDLESS)


def select_modules(package: Path) -> dict[str, Path]:
    """Return the files that the entry points import, and data files beside them, by their names in the zip."""
    with TemporaryDirectory(prefix="orgmfa-") as alone:  # other installed packages are not searched
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
