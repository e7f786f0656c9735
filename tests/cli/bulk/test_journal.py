"""The journal of an import: what it records survives a crash, and what it cannot read it does not guess."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from punctual.cli.bulk.sending.journal import Disk, Header, Journal, JournalFault, Range

HEADER = Header("arn:stack", {"PartitionCount": "4"}, 1_893_456_000_000, "ndjson")
FIRST, SECOND = Range(1, 0, 100, "a" * 64), Range(2, 100, 250, "b" * 64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.ndjson.journal"


@pytest.fixture
def written(path):
    """A journal with one finished batch and one that was begun."""
    with Journal(path) as journal:
        journal.start(HEADER)
        journal.begin(FIRST)
        journal.begin(SECOND)
        journal.finish(1)
    return path


def test_a_new_journal_has_no_run(path):
    with Journal(path) as journal:
        assert (journal.header, journal.ranges, journal.done) == (None, [], set())


def test_a_journal_says_later_what_was_sent_and_what_is_done(written):
    with Journal(written) as journal:
        assert (HEADER, [FIRST, SECOND], {1}) == (journal.header, journal.ranges, journal.done)
        assert [SECOND] == journal.begun


def test_only_its_owner_may_read_it(written):
    """It names the stack. A looser mode from elsewhere is tightened."""
    assert 0o600 == stat.S_IMODE(written.stat().st_mode)
    written.chmod(0o644)
    Journal(written).close()
    assert 0o600 == stat.S_IMODE(written.stat().st_mode)


def test_two_imports_cannot_use_it_at_once(written):
    with Journal(written), pytest.raises(JournalFault, match="another import uses"):
        Journal(written)
    Journal(written).close()


def test_a_torn_last_line_is_ignored_and_cut_off(written):
    """The crash came while `done 2` was written, after any of its bytes."""
    before = written.read_bytes()
    with Journal(written) as journal:
        journal.finish(2)
    whole = written.read_bytes()
    for length in range(len(before), len(whole)):
        written.write_bytes(whole[:length])
        with Journal(written) as journal:
            assert [SECOND] == journal.begun
            journal.finish(2)
        assert whole == written.read_bytes()


def test_a_last_line_with_a_wrong_checksum_counts_as_torn(written):
    """Blocks of a file may reach the disk out of order."""
    with written.open("ab") as file:
        file.write(b"done 2 00000000\n")
    with Journal(written) as journal:
        assert [SECOND] == journal.begun


def test_a_journal_cut_at_any_byte_of_its_header_begins_anew(path):
    """No batch is sent before the header is on the disk."""
    with Journal(path) as journal:
        journal.start(HEADER)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with Journal(path) as journal:
            assert journal.header is None


def test_a_changed_line_in_the_middle_is_an_error(written):
    lines = written.read_text().splitlines(keepends=True)
    written.write_text("".join([lines[0], lines[1].replace("100", "101"), *lines[2:]]))
    with pytest.raises(JournalFault, match=r"line 2 of the journal .* is damaged .*--new-run"):
        Journal(written)


def test_a_lost_line_in_the_middle_is_an_error(written):
    lines = written.read_text().splitlines(keepends=True)
    written.write_text("".join([lines[0], *lines[2:]]))
    with pytest.raises(JournalFault, match=r"line 2 .* do not follow each other"):
        Journal(written)


def test_a_file_that_is_no_journal_stays_as_it_is(tmp_path):
    """Somebody may name the data itself as the journal."""
    other = tmp_path / "data.ndjson"
    other.write_text('{"delay": 1}\n')
    with pytest.raises(JournalFault, match="is no journal"):
        Journal(other)
    assert '{"delay": 1}\n' == other.read_text()


def test_a_folder_that_does_not_exist_is_an_error_with_a_way_out(tmp_path):
    with pytest.raises(JournalFault, match="No such file or directory; name another place with --journal"):
        Journal(tmp_path / "missing" / "journal")


def test_a_new_run_forgets_the_old_one(written):
    other = Header("arn:stack", {}, 1, "csv")
    with Journal(written) as journal:
        journal.start(other)
    with Journal(written) as journal:
        assert (other, []) == (journal.header, journal.ranges)
        assert HEADER.run != other.run


def test_a_new_run_needs_nothing_of_a_damaged_journal(written):
    written.write_text(written.read_text().replace("begin 1", "begin 9"))
    with Journal(written, forget=True) as journal:
        assert journal.header is None
        journal.start(HEADER)
    with Journal(written) as journal:
        assert (HEADER, []) == (journal.header, journal.ranges)


class FullDisk(Disk):
    """Writes a part of a line, and then there is no room."""

    def __init__(self) -> None:
        self.is_full = False

    def append(self, file: int, content: bytes) -> None:
        if self.is_full:
            os.write(file, content[:7])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().append(file, content)


def test_a_full_disk_leaves_no_half_line(path):
    """When there is room again, the next line stands alone."""
    disk = FullDisk()
    with Journal(path, disk) as journal:
        journal.start(HEADER)
        journal.begin(FIRST)
        disk.is_full = True
        with pytest.raises(JournalFault, match=r"cannot write the journal .*: No space left on device; make room"):
            journal.begin(SECOND)
        disk.is_full = False
        journal.finish(1)
    with Journal(path) as journal:
        assert ([FIRST], {1}) == (journal.ranges, journal.done)


def test_a_record_of_a_later_version_is_an_error(path):
    with Journal(path) as journal:
        journal.start(HEADER)
    with Journal(path) as journal:
        text = path.read_text().replace('"version": 1', '"version": 2')
        journal._cut(0)
        journal._append(text.rsplit(" ", 1)[0])
        journal.begin(FIRST)
    with pytest.raises(JournalFault, match="a later version wrote it"):
        Journal(path)
