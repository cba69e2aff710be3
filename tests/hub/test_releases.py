"""From a published archive, on the Hub or on this machine, to the folders that data loading and benchmark read."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset
from PIL import Image

from aesexpert.data.source import read_bench
from archives import aesbench_members, aesmmit_members, encrypt_zipcrypto, flip_byte, write_zip
from hub import Hub


Client = Callable[..., subprocess.CompletedProcess[str]]

PATCHED = """
import time
from pathlib import Path
import aesexpert.data.released as released
from aesexpert.cli import main
original, unpacked = released.extract, []
def extract(archive, info, target):
    done = original(archive, info, target)
    if done:
        unpacked.append(str(target))
    if len(unpacked) >= {after}:
        {then}
    return done
released.extract = extract
main(["pull", "AesMMIT.zip", "aesmmit"])
Path("unpacked.txt").write_text("\\n".join(unpacked))
"""
"""A pull that notes what it unpacks, and does something after so many pictures."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("pictures")
    contents = {}
    for number, name in enumerate(["baid_1.jpg", "para_2.jpg", "agiqa-3k_3.jpg", "made_4.jpg"]):
        pixels = np.random.default_rng(number).integers(0, 255, (48, 48, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name)
        contents[name] = (folder / name).read_bytes()
    return contents


def check_aesmmit(folder: Path, pictures: dict[str, bytes]) -> None:
    feedback = load_dataset(str(folder), "feedback")
    rows = {row["image_id"]: row for split in feedback.values() for row in split}
    assert set(rows) == {name.removesuffix(".jpg") for name in pictures}
    assert [entry["critique"] for entry in rows["baid_1"]["feedbacks"]] == ["The picture baid_1.jpg is calm."]
    assert rows["made_4"]["source"] is None and rows["baid_1"]["feedbacks"][0]["part"] is None
    questions = {
        row["image_id"]: row["questions"] for split in load_dataset(str(folder), "vqa").values() for row in split
    }
    assert [entry["answer"] for entry in questions["para_2"]] == ["Because it is blue.", "Yes"]
    assert "qtype=Where" in (folder / "sources.csv").read_text()


def test_aesmmit_from_a_file(command: Client, pictures: dict[str, bytes], tmp_path: Path):
    write_zip(tmp_path / "AesMMIT.zip", aesmmit_members(pictures))
    result = command("pull", "AesMMIT.zip", "aesmmit", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "unknown label, kept in sources.csv: qtype=Where (1 rows)" in result.stderr
    check_aesmmit(tmp_path / "aesmmit", pictures)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["AesMMIT.zip", "aesmmit"]


def test_aesmmit_from_the_hub_is_read_in_place(
    server: Hub, command: Client, client: Client, pictures: dict[str, bytes], tmp_path: Path
):
    members = aesmmit_members(pictures)
    table = tmp_path / "table.json"
    table.write_bytes(members.pop("AesMMIT/AesMMIT.json"))
    archive = write_zip(tmp_path / "images.zip", {**members, "AesMMIT/not-needed.bin": os.urandom(30_000_000)})
    script = f"""
from huggingface_hub import HfApi
api = HfApi()
api.create_repo("acme/released", repo_type="dataset", private=True)
for name, file in (("images.zip", {str(archive)!r}), ("AesMMIT.json", {str(table)!r})):
    api.upload_file(path_or_fileobj=file, path_in_repo=name, repo_id="acme/released", repo_type="dataset")
"""
    client(script, cwd=tmp_path)
    before = len(server.log)
    result = command("pull", "acme/released", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    check_aesmmit(tmp_path / "released", pictures)
    ranges = [entry["range"] for entry in server.log[before:] if "images.zip" in entry["path"] and entry["range"]]
    fetched = sum(1 + int(end) - int(start) for start, end in (r.removeprefix("bytes=").split("-") for r in ranges))
    assert ranges and fetched < 25_000_000, "the member of 30 MB that no row names is not fetched"
    log = len(server.log)
    assert command("pull", "acme/released", cwd=tmp_path).returncode == 0
    assert not any(entry["range"] for entry in server.log[log:]), "nothing is unpacked twice"


def test_killed_while_unpacking_it_goes_on(command: Client, environment, pictures: dict[str, bytes], tmp_path: Path):
    many = {
        f"para_{number}.jpg": content for number in range(300) for content in [list(pictures.values())[number % 4]]
    }
    write_zip(tmp_path / "AesMMIT.zip", aesmmit_members(many))
    line = [sys.executable, "-c", PATCHED.format(then="time.sleep(120)", after=20)]
    process = subprocess.Popen(line, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
    images = tmp_path / ".aesmmit.unpacked" / "images"
    while process.poll() is None and len(list(images.rglob("para_*.jpg"))) < 20:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "aesmmit").exists()
    before = {path: path.stat().st_ino for path in images.rglob("para_*.jpg")}
    assert before
    # as killed inside a picture: too short, under its final name
    torn = next(iter(before))
    torn.write_bytes(torn.read_bytes()[:100])
    line = [sys.executable, "-c", PATCHED.format(then="pass", after=1000)]
    result = subprocess.run(line, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stderr
    again = {Path(path) for path in (tmp_path / "unpacked.txt").read_text().split("\n")}
    assert again & set(before) == {torn}, "what was whole is not unpacked again"
    assert sum(split.num_rows for split in load_dataset(str(tmp_path / "aesmmit")).values()) == 300


@pytest.mark.slow
def test_aesbench_with_its_password_runs_unscored_and_is_exported(
    command: Client, pictures: dict[str, bytes], tiny_model: Path, tmp_path: Path
):
    encrypt_zipcrypto(tmp_path / "AesBench.zip", aesbench_members(pictures), b"open sesame")
    refused = command("pull", "AesBench.zip", "aesbench-data", cwd=tmp_path)
    assert refused.returncode == 1 and "set AESBENCH_PASSWORD" in refused.stderr
    wrong = command("pull", "AesBench.zip", "aesbench-data", cwd=tmp_path, AESBENCH_PASSWORD="open barley")
    assert wrong.returncode == 1 and "password" in wrong.stderr and "barley" not in wrong.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["AesBench.zip"]
    pulled = command("pull", "AesBench.zip", "aesbench-data", cwd=tmp_path, AESBENCH_PASSWORD="open sesame")
    assert pulled.returncode == 0, pulled.stderr
    assert not any(b"sesame" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    records = read_bench(tmp_path / "aesbench-data" / "bench.jsonl")
    assert [record.image_id for record in records] == ["baid_1", "para_2", "agiqa-3k_3", "made_4"]
    assert records[0].perception.options == ("Blue", "Red", "Green", "Grey") and records[0].perception.answer == ""
    run = command("bench", "run", "--model", tiny_model, "--data", "aesbench-data", "--out", "run", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    report = command("bench", "report", "run", cwd=tmp_path)
    assert report.returncode == 0, report.stderr
    assert (
        "12 choice questions have no reference answer and are not scored" in (tmp_path / "run/report.md").read_text()
    )
    exported = command("bench", "export", "run", cwd=tmp_path)
    assert exported.returncode == 0, exported.stderr
    answers = {path.name: json.loads(path.read_text()) for path in (tmp_path / "run" / "submission").iterdir()}
    assert len(answers) == 4
    assert set(answers["AesP.json"]) == set(pictures)
    assert all(isinstance(entry["AesP_response"], str) for entry in answers["AesP.json"].values())


def test_a_damaged_picture_is_named_and_nothing_looks_whole(
    command: Client, pictures: dict[str, bytes], tmp_path: Path
):
    write_zip(tmp_path / "AesMMIT.zip", aesmmit_members(pictures))
    flip_byte()(tmp_path / "AesMMIT.zip", "AesMMIT/images/para_2.jpg")
    result = command("pull", "AesMMIT.zip", "aesmmit", cwd=tmp_path)
    assert result.returncode == 1
    assert "'AesMMIT/images/para_2.jpg' is damaged" in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "aesmmit").exists()


def test_an_existing_folder_is_not_written_into(command: Client, pictures: dict[str, bytes], tmp_path: Path):
    write_zip(tmp_path / "AesMMIT.zip", aesmmit_members(pictures))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("keep me")
    result = command("pull", "AesMMIT.zip", "mine", cwd=tmp_path)
    assert result.returncode == 1 and "mine exists" in result.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["note.txt"]


def test_the_password_is_asked_for_at_a_terminal_and_not_shown(
    environment: Callable[..., dict[str, str]], pictures: dict[str, bytes], tmp_path: Path
):
    encrypt_zipcrypto(tmp_path / "AesBench.zip", aesbench_members(pictures), b"open sesame")
    line = [sys.executable, "-m", "aesexpert", "pull", "AesBench.zip", "aesbench-data"]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execvpe(line[0], line, environment())
    shown = b""
    while b"password of" not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, b"open sesame\n")
    with contextlib.suppress(OSError):  # what a terminal reports when its program has ended
        while more := os.read(terminal, 1024):
            shown += more
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown.decode()
    assert b"sesame" not in shown
    assert len(read_bench(tmp_path / "aesbench-data" / "bench.jsonl")) == 4
