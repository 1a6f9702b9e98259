"""Where a number comes from: what git can't say is unknown, never clean."""

from __future__ import annotations

import subprocess

import pytest

from results import provenance


@pytest.fixture
def git(monkeypatch, tmp_path):
    """A source under git, whose answers are those of a test; what it was asked."""
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(provenance, "HOME", tmp_path)
    asked, answers = [], {}

    def run(command, **options):
        asked.append(command)
        answer = answers.get(command[-3] if "status" in command else "rev-parse", "")
        if isinstance(answer, BaseException):
            raise answer
        return subprocess.CompletedProcess(command, 0, stdout=answer, stderr="")

    monkeypatch.setattr(provenance.subprocess, "run", run)
    return asked, answers


@pytest.mark.parametrize(("status", "dirty"), [("", False), (" M file\n", True)])
def test_a_commit_and_whether_it_was_changed(git, status, dirty):
    asked, answers = git
    answers |= {"rev-parse": "abc\n", "status": status}
    assert provenance.commit.__wrapped__() == ("abc", dirty)
    assert all("--no-optional-locks" in command for command in asked)


@pytest.mark.parametrize("question", ["rev-parse", "status"])
@pytest.mark.parametrize(
    "error",
    [
        OSError("no git"),
        subprocess.TimeoutExpired("git", 10),
        subprocess.CalledProcessError(128, "git"),
    ],
)
def test_what_git_can_not_say_is_unknown(git, question, error):
    _, answers = git
    answers |= {"rev-parse": "abc\n", "status": "", question: error}
    assert provenance.commit.__wrapped__() == ("unknown", True)


def test_outside_git_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "HOME", tmp_path)
    assert provenance.commit.__wrapped__() == ("", False)
