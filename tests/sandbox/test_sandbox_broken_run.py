"""The sandbox beside a file that is no run."""

from pathlib import Path

from tests.command_line import run_here


def test_sandbox_goes_on_beside_a_broken_run(tmp_path: Path) -> None:
    folder = tmp_path / "orgmfa-sandbox-runs" / "runs" / "2026" / "03" / "02"
    folder.mkdir(parents=True)
    (folder / "20260302T120000Z-aaaaaaaa.json.gz").write_bytes(b"broken")

    done = run_here("plan", "--sandbox", "-q", folder=tmp_path)

    assert done.returncode == 1, done.stderr
    assert "would be enforced" in done.stdout
