from pathlib import Path

import pytest

from aesexpert.data.folders import new_folder


def is_ours(folder: Path) -> bool:
    return (folder / "ours").exists()


def write(out: Path, text: str) -> None:
    with new_folder(out, is_ours) as folder:
        (folder / "ours").write_text(text)


def test_makes_and_replaces(tmp_path: Path):
    out = tmp_path / "deep" / "out"
    for text in ("one", "two"):
        write(out, text)
        assert (out / "ours").read_text() == text
        assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("existing", [False, True])
def test_failure_leaves_everything_as_it_was(tmp_path: Path, error: type[BaseException], existing: bool):
    out = tmp_path / "out"
    if existing:
        write(out, "old")
    with pytest.raises(error), new_folder(out, is_ours) as folder:
        (folder / "ours").write_text("new")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if existing else [])
    assert not existing or (out / "ours").read_text() == "old"


def test_other_folders_and_files_are_not_touched(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("years")
    (tmp_path / "file").write_text("more years")
    for name in ("folder", "file"):
        with pytest.raises(FileExistsError, match=rf"{name} exists and was not written by this command"):
            write(tmp_path / name, "new")
    assert (tmp_path / "folder" / "thesis.tex").read_text() == "years"


def test_an_empty_folder_is_filled(tmp_path: Path):
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", "new")


def test_leftovers_of_a_killed_process_are_cleared(tmp_path: Path):
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "half").write_text("a")
    (tmp_path / ".out.old").mkdir()
    (tmp_path / ".out.old" / "ours").write_text("saved")
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out", is_ours) as folder:
        assert not list(folder.iterdir())
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "ours").read_text() == "saved"


def test_a_link_stays_a_link(tmp_path: Path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    write(tmp_path / "out", "new")
    assert (tmp_path / "out").is_symlink() and (tmp_path / "disk" / "ours").read_text() == "new"
