"""What stands between us and S3 answers in its place, with status 200 and a page of its own."""

from collections.abc import Callable

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.file_store import BucketStore
from orchestrator.domain.errors import ArchiveError
from tests.aws_server import Answer, AwsServer

PAGES = {
    "a page in XML": Answer(200, "<html><body><p>Sign in to the guest network</p></body></html>"),
    "an empty answer": Answer(200, ""),
}
OPERATIONS: dict[str, Callable[[BucketStore], object]] = {
    "write": lambda store: store.write("releases/a.json", b"a note"),
    "create": lambda store: store.create("locks/run", b"a lease"),
    "list": lambda store: list(store.list_files("releases/")),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("page", PAGES)
def test_page_of_a_proxy_is_neither_a_file_that_was_written_nor_an_empty_list(
    aws: AwsServer, operation: str, page: str
) -> None:
    aws.client("s3").create_bucket(Bucket="reports")
    store = BucketStore("s3://reports/orgmfa", make_clients(connections=1).s3)
    aws.faults.append(lambda _: PAGES[page])

    with pytest.raises(ArchiveError, match=r"the archive: cannot (write|list) s3://reports/orgmfa/"):
        OPERATIONS[operation](store)
