"""The list of earlier versions follows the tags of the repository."""

from __future__ import annotations

import subprocess

import pytest

import versions


@pytest.fixture
def repository(tmp_path):
    """Return a repository with three commits. The first has the tag v0.9.0, the second v0.10.0 and the last v1.0.0."""
    folder = tmp_path / "repository"
    folder.mkdir()
    _git(folder, "init", "--quiet")
    for number, tag in enumerate(["v0.9.0", "v0.10.0", "v1.0.0"]):
        (folder / "file").write_text(str(number))
        _git(folder, "add", "file")
        _git(folder, "commit", "--quiet", "-m", tag)
        _git(folder, "tag", tag)
    _git(folder, "tag", "nightly", "HEAD~1")
    return folder


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "versions.txt"
    path.write_text("# A comment.\n0123abc the first\n\n")
    return path


def test_every_tag_before_the_present_commit_is_an_earlier_version(repository, listed):
    assert ["0123abc", "v0.9.0", "v0.10.0"] == versions.known(repository, listed)


def test_a_tag_of_the_present_commit_is_earlier_from_the_next_commit_on(repository, listed):
    _git(repository, "commit", "--quiet", "--allow-empty", "-m", "next")
    assert "v1.0.0" == versions.known(repository, listed)[-1]


def test_the_files_are_those_of_the_version(repository, tmp_path):
    folder = versions.unpacked("v0.9.0", tmp_path / "files", repository)
    assert "0" == (folder / "file").read_text()


def test_a_shallow_clone_says_that_it_has_no_history(repository, listed, tmp_path):
    shallow = tmp_path / "shallow"
    _git(tmp_path, "clone", "--quiet", "--depth", "1", repository.as_uri(), str(shallow))
    first = subprocess.check_output(["git", "-C", repository, "rev-parse", "HEAD~2"], text=True).strip()
    with pytest.raises(pytest.skip.Exception, match=r"this clone is shallow, so .* the recordings stand for it"):
        versions.unpacked(first, tmp_path / "files", shallow)
    assert ["0123abc"] == versions.known(shallow, listed)


def test_a_copy_without_git_says_so(listed, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    with pytest.raises(pytest.skip.Exception, match="this folder is no git repository"):
        versions.unpacked("v0.9.0", tmp_path / "files", folder)
    assert ["0123abc"] == versions.known(folder, listed)


def test_a_wrong_commit_in_the_list_fails(repository, tmp_path):
    with pytest.raises(pytest.fail.Exception, match=r"0123abc is no commit of this repository; mend .*versions\.txt"):
        versions.unpacked("0123abc", tmp_path / "files", repository)


def _git(folder, *arguments):
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True)
