"""labkit.workspace: made once, opened often, never overwritten."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.artifacts import Kind, Subject
from labkit.errors import LabError
from labkit.workspace import Settings, Workspace, course, user

NAME = "labs/0-overview/first.ipynb"
NOTEBOOK = json.dumps({"metadata": {"labkit": {"id": "the-first"}}}).encode()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Make a workspace with one lab."""
    return Workspace.create(tmp_path / "mine", notebooks={NAME: NOTEBOOK})


def git(repository: Path, *arguments: str) -> str:
    """Return what git prints in a repository, with the user's own configuration."""
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_workspace_has_notebooks_the_shop_and_its_own_folder(workspace: Workspace) -> None:
    """Everything a learner needs is there, and the shop is a system that can be read."""
    assert (workspace.root / NAME).read_bytes() == NOTEBOOK
    assert workspace.system.name == "shop"
    assert workspace.settings == Settings(
        artifacts=None, approval=False, approvers=(user(),), approval_timeout_s=86400
    )
    assert len(bytes.fromhex(workspace.id)) == 6


def test_the_shops_repository_stands_clean_on_version_1(workspace: Workspace) -> None:
    """The main branch is at tag v1, each other tag stands on what it changes, and only the cart differs."""
    assert git(workspace.shop, "status", "--porcelain") == ""
    assert (
        git(workspace.shop, "rev-parse", "main", "HEAD").split()
        == [git(workspace.shop, "rev-parse", "v1")] * 2
    )
    assert git(workspace.shop, "rev-parse", "v2^") == git(workspace.shop, "rev-parse", "v1")
    changed = git(workspace.shop, "diff", "--name-only", "v1", "v2").split()
    assert changed == ["cart/openapi.json", "cart/pricing.py", "cart/tests/test_pricing.py"]
    bases = {"toggled": "v1", "pinned": "toggled", "tagged-1": "v1", "tagged-2": "tagged-1"}
    for tag, base in bases.items():
        assert git(workspace.shop, "rev-parse", f"{tag}^") == git(workspace.shop, "rev-parse", base)
        changed = git(workspace.shop, "diff", "--name-only", base, tag).split()
        assert "cart/rules.py" in changed
        assert all(name.startswith("cart/") for name in changed)
    assert not {"versions", "wheelhouse.lock"} & {path.name for path in workspace.shop.iterdir()}


def test_commit_ids_are_the_same_for_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither time nor place nor the user's own git configuration changes a commit's id."""
    plain = Workspace.create(tmp_path / "plain")
    home = tmp_path / "home"
    home.mkdir()
    home.joinpath(".gitconfig").write_text(
        "[user]\nname = Ada\nemail = ada@example.org\n[core]\nautocrlf = true\nhooksPath = /nowhere\n"
        "excludesFile = ~/ignored\n[commit]\ngpgSign = true\n[init]\ndefaultBranch = trunk\n"
    )
    home.joinpath("ignored").write_text("*.lock\n*.json\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    other = Workspace.create(tmp_path / "other")
    monkeypatch.delenv("GIT_DIR")
    for tag in ("v1", "v2", "toggled", "pinned", "tagged-1", "tagged-2"):
        assert git(plain.shop, "rev-parse", tag) == git(other.shop, "rev-parse", tag)
    assert git(other.shop, "status", "--porcelain") == ""
    assert git(other.shop, "config", "user.name") == "Ada"


def test_a_learner_can_commit_without_any_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repository has an identity of its own, and its hook names the next command and starts nothing."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    shop = Workspace.create(tmp_path / "mine").shop
    shop.joinpath("README.md").write_text("changed\n")
    command = ["git", "-C", str(shop), "commit", "--all", "--message", "Change"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert git(shop, "log", "-1", "--format=%an <%ae>") == "Learner <learner@localhost>"
    assert (
        f"labkit pipeline run --commit {git(shop, 'rev-parse', '--short', 'HEAD')}"
        in done.stdout + done.stderr
    )


def test_creating_again_completes_and_overwrites_nothing(workspace: Workspace) -> None:
    """A second create keeps the id, the learner's notebook and commits, and adds what is missing."""
    workspace.root.joinpath(NAME).write_bytes(b"mine")
    workspace.shop.joinpath("cart", "pricing.py").write_text("mine")
    workspace.root.joinpath(".labkit", "settings.toml").unlink()
    again = Workspace.create(workspace.root, notebooks={NAME: NOTEBOOK, "labs/new.ipynb": b"{}"})
    assert again.id == workspace.id
    assert again.root.joinpath(NAME).read_bytes() == b"mine"
    assert again.root.joinpath("labs/new.ipynb").read_bytes() == b"{}"
    assert again.shop.joinpath("cart", "pricing.py").read_text() == "mine"
    assert again.root.joinpath(".labkit", "settings.toml").exists()


def test_two_workspaces_have_two_ids(tmp_path: Path) -> None:
    """Each sweeps only its own, so no two may be taken for one."""
    assert Workspace.create(tmp_path / "a").id != Workspace.create(tmp_path / "b").id


def test_a_workspace_is_found_from_inside_and_by_the_environment(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a path, open() takes the folder that $LABKIT_WORKSPACE names, else the nearest one upwards."""
    monkeypatch.delenv("LABKIT_WORKSPACE", raising=False)
    monkeypatch.chdir(workspace.shop / "cart")
    assert Workspace.open().id == workspace.id
    monkeypatch.chdir("/")
    monkeypatch.setenv("LABKIT_WORKSPACE", str(workspace.root))
    assert Workspace.open().root == workspace.root


def test_without_a_workspace_the_command_that_makes_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a wrong name nor a wrong place ends in a traceback."""
    monkeypatch.delenv("LABKIT_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    for root in (None, tmp_path / "none"):
        with pytest.raises(LabError, match="labkit start"):
            Workspace.open(root)


@pytest.mark.parametrize("place", ["inside the course", "a file", "shop in the way"])
def test_a_place_that_cannot_be_a_workspace_is_refused(place: str, tmp_path: Path) -> None:
    """The course's folder, a file, and the learner's own folder `shop` are left alone, with a next step."""
    tmp_path.joinpath("file").write_text("mine")
    tmp_path.joinpath("taken", "shop").mkdir(parents=True)
    tmp_path.joinpath("taken", "shop", "file").write_text("mine")
    places = {
        "inside the course": course() / "labs" / "mine",
        "a file": tmp_path / "file",
        "shop in the way": tmp_path / "taken",
    }
    with pytest.raises(LabError) as caught:
        Workspace.create(places[place])
    assert caught.value.next_step
    assert tmp_path.joinpath("taken", "shop", "file").read_text() == "mine"


def test_a_missing_git_is_named_with_its_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git there is no traceback but the command that installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="apt-get install git"):
        Workspace.create(tmp_path / "mine")


def test_a_broken_start_is_completed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that ended half-way leaves no half of a repository, and the next one finishes."""
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError):
        Workspace.create(tmp_path / "mine")
    assert not (tmp_path / "mine" / "shop").exists()
    monkeypatch.setenv("PATH", path)
    assert Workspace.create(tmp_path / "mine").system.name == "shop"


def test_a_reset_lab_is_as_new_and_the_learners_copy_is_kept(workspace: Workspace) -> None:
    """The notebook is put back by the lab's slug; the old one lies beside it; the shop stays as it is."""
    head = git(workspace.shop, "rev-parse", "HEAD")
    workspace.root.joinpath(NAME).write_bytes(b"mine")
    kept = workspace.reset("the-first", notebooks={NAME: NOTEBOOK})
    assert kept is not None
    assert (kept.parent, kept.read_bytes()) == (workspace.root.joinpath(NAME).parent, b"mine")
    assert workspace.root.joinpath(NAME).read_bytes() == NOTEBOOK
    assert workspace.reset("the-first", notebooks={NAME: NOTEBOOK}) is None
    assert git(workspace.shop, "rev-parse", "HEAD") == head


def test_an_unknown_lab_is_answered_with_those_there_are(workspace: Workspace) -> None:
    """A slug that no lab has is no traceback."""
    with pytest.raises(LabError, match="the-first"):
        workspace.reset("the-last", notebooks={NAME: NOTEBOOK})


def test_a_held_lock_is_refused_and_names_its_holder(workspace: Workspace) -> None:
    """Nobody else can hold it, in this process or another, and it is free again after the block."""
    with workspace.lock("pipeline"):
        with pytest.raises(LabError, match=str(os.getpid())), workspace.lock("pipeline"):
            pass
        with workspace.lock("something else"):
            pass
    with workspace.lock("pipeline"):
        pass


def test_a_lock_goes_with_its_process(workspace: Workspace) -> None:
    """A process that was killed holds nothing."""
    code = (
        "import sys, time; from labkit.workspace import Workspace\n"
        f"with Workspace.open({str(workspace.root)!r}).lock('pipeline'):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LabError, match=str(child.pid)), workspace.lock("pipeline"):
            pass
        child.kill()
        child.wait()
        with workspace.lock("pipeline"):
            pass


@pytest.mark.parametrize("text", ["artifacts = \n", 'approvers = "me"\n', "aproval = true\n"])
def test_settings_that_cannot_be_read_name_the_file(workspace: Workspace, text: str) -> None:
    """A broken file, a setting of the wrong type and an unknown one are errors that name the file."""
    workspace.root.joinpath(".labkit", "settings.toml").write_text(text)
    with pytest.raises(LabError, match=r"settings\.toml"):
        _ = workspace.settings


def test_the_artifact_database_is_opened_once_and_notes_its_head_in_the_shop(workspace: Workspace) -> None:
    """Facts recorded in a workspace are noted in its repository and found when it is opened again."""
    assert workspace.artifacts is workspace.artifacts
    workspace.artifacts.record(Kind.CHECKED, Subject("a lab", "sha256:" + 64 * "0"), by="Ada")
    assert workspace.artifacts.verify().ok
    assert git(workspace.shop, "notes", "--ref=labkit", "list")
    with Workspace.open(workspace.root).artifacts as again:
        assert len(again.history()) == 1
    workspace.artifacts.close()


def test_labkits_own_folder_is_the_users_alone(tmp_path: Path) -> None:
    """Nobody else reads predictions, answers or the key; a workspace of an older labkit is put right."""
    made = Workspace.create(tmp_path / "mine")
    made.artifacts.close()
    own = made.root / ".labkit"
    assert own.stat().st_mode & 0o777 == 0o700
    assert (own / "artifacts.db").stat().st_mode & 0o777 == 0o600
    own.chmod(0o755)
    Workspace.create(made.root)
    assert own.stat().st_mode & 0o777 == 0o700


def test_a_link_in_the_place_of_a_lock_is_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    """What the link leads to stays as it is; the error says what to remove."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    lock = workspace.root / ".labkit" / "locks" / "pipeline.lock"
    lock.symlink_to(precious)
    with pytest.raises(LabError) as caught, workspace.lock("pipeline"):
        pass
    assert caught.value.next_step.endswith(f"rm {lock}")
    assert precious.read_text() == "precious"
