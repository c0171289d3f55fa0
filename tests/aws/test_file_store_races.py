"""Files that others delete while they are listed: two runs on one folder."""

from pathlib import Path
from threading import Event, Thread

from orchestrator.aws.file_store import FolderStore

FILES, ROUNDS = 500, 8


def test_file_that_is_deleted_while_the_folder_is_listed_is_left_out(tmp_path: Path) -> None:
    for number in range(ROUNDS):
        store = FolderStore(str(tmp_path / str(number)))
        names = [f"nudges/{name:04}" for name in range(FILES)]
        (tmp_path / str(number) / "nudges").mkdir(parents=True)
        for name in names:
            (tmp_path / str(number) / name).touch()
        listing = store.list_files("nudges/")
        found = {next(listing).name}
        begun = Event()

        def delete_all(store: FolderStore = store, names: list[str] = names, begun: Event = begun) -> None:
            begun.set()
            for name in names:
                store.delete(name)

        other = Thread(target=delete_all)
        other.start()
        begun.wait()
        found |= {file.name for file in listing}
        other.join()

        assert found <= set(names)
