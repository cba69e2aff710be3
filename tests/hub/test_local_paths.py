"""Paths of this machine: taken out where it is known how, refused elsewhere."""

import json
from pathlib import Path

import pytest

from aesexpert.hub.errors import HubError
from aesexpert.hub.local_paths import last_parts, refuse_local_paths, without_local_paths


def write(folder: Path, name: str, content: object) -> Path:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_notes_of_from_pretrained_go(tmp_path: Path):
    config = {"_name_or_path": "/home/someone/model", "text_config": {"_name_or_path": "start", "layers": [{"a": 1}]}}
    cleaned = json.loads(without_local_paths(write(tmp_path, "config.json", config)))
    assert cleaned == {"text_config": {"layers": [{"a": 1}]}}


def test_files_without_paths_keep_their_bytes(tmp_path: Path):
    text = '{"a":   "b/c", "url": "https://example.com/a/b", "template": "{{ a }}/{{ b }}/c"}'
    assert without_local_paths(write(tmp_path, "config.json", text)) == text.encode()


@pytest.mark.parametrize("path", ["/home/someone/images", "~/images/x", "C:\\Users\\someone", "/mnt/data/x.json"])
def test_other_paths_are_refused_by_name(tmp_path: Path, path: str):
    file = write(tmp_path, "config.json", {"vision": {"teacher": path}})
    with pytest.raises(HubError, match="a path of this machine") as error:
        without_local_paths(file)
    assert repr(path) in str(error.value) and str(file) in str(error.value)


def test_folders_of_this_machine_in_code(tmp_path: Path):
    with pytest.raises(HubError, match="a path of this machine"):
        refuse_local_paths(write(tmp_path, "modeling.py", f"open('{tmp_path}/weights')"))
    refuse_local_paths(write(tmp_path, "modeling.py", "open('weights')"))


def test_paths_in_tables(tmp_path: Path):
    with pytest.raises(HubError, match=r"'/data/me/1\.jpg'"):
        refuse_local_paths(write(tmp_path, "sources.csv", "image_id,from\n1,/data/me/1.jpg\n"))
    refuse_local_paths(write(tmp_path, "sources.csv", "image_id,from\n1,https://example.com/1.jpg\n"))


def test_recipes_keep_the_last_part():
    recipe = {"model": "/home/someone/start", "kinds": ["vqa"], "rate": 0.1, "nested": ["C:\\a\\b"], "id": "acme/x"}
    assert last_parts(recipe) == {"model": "start", "kinds": ["vqa"], "rate": 0.1, "nested": ["b"], "id": "acme/x"}


def test_no_json(tmp_path: Path):
    with pytest.raises(HubError, match="is not JSON"):
        without_local_paths(write(tmp_path, "config.json", "{"))
