"""What a failure means."""

import errno

import av.error
import pytest

from reelmill_server.errors import (
    InternalError,
    InvalidMedia,
    OutOfMemory,
    OutputError,
    ReelmillError,
    UnsupportedFormat,
)
from reelmill_server.media.libav import encoder, errors
from reelmill_server.media.libav.encoder import EncoderDown, failure_of_encoder
from reelmill_server.media.libav.errors import check_memory, meaning, meaning_of_writing
from reelmill_server.model.plan import StreamPlan, StreamType

NO_MEMORY = av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")
INVALID = av.error.InvalidDataError(0x414449, "Invalid data found when processing input")
LOGGED = av.error.ExternalError(1, "Generic error in an external library", None, (16, "libvpx-vp9", "Memory allocation error"))
NO_THREAD = av.error.BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


def caused_by_memory() -> Exception:
    """An error that hides what it came from."""
    try:
        try:
            raise MemoryError
        except MemoryError:
            raise ValueError("no such decoder")  # noqa: B904
    except ValueError as error:
        return error


@pytest.mark.parametrize("error", [NO_MEMORY, MemoryError(), OSError(errno.ENOMEM, "mmap"), caused_by_memory(), LOGGED])
def test_want_of_memory_is_told_by_errors_and_by_what_they_came_from(error: Exception) -> None:
    """Whether it is met in reading, in writing, or where a failure is passed over otherwise."""
    assert isinstance(meaning(error, InvalidMedia("broken")), OutOfMemory)
    assert isinstance(meaning_of_writing(error, "mp4", UnsupportedFormat("no")), OutOfMemory)
    with pytest.raises(OutOfMemory):
        check_memory(error)


@pytest.mark.parametrize(
    ("error", "peak", "expected"),
    [
        (NO_MEMORY, 1 << 30, InvalidMedia),
        (NO_MEMORY, 31 << 30, OutOfMemory),
        (MemoryError(), 1 << 30, OutOfMemory),
        (LOGGED, 1 << 30, OutOfMemory),
    ],
)
def test_a_block_that_libav_never_allocates_is_the_files_fault(
    monkeypatch: pytest.MonkeyPatch, error: Exception, peak: int, expected: type[ReelmillError]
) -> None:
    """It has one error for that and for a lack of memory: such files were tried again with more of it."""
    monkeypatch.setattr(errors, "limit_bytes", lambda: 32 << 30)
    monkeypatch.setattr(errors, "peak_bytes", lambda: peak)
    assert type(meaning(error, InvalidMedia("broken"))) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (INVALID, InvalidMedia),
        (NO_THREAD, InternalError),
        (OSError(errno.EMFILE, "Too many open files"), InternalError),
        (OSError(errno.EIO, "Input/output error"), InvalidMedia),
    ],
)
def test_a_failure_to_read_is_the_files_fault_unless_this_machine_lacks_something(
    error: Exception, expected: type[ReelmillError]
) -> None:
    assert type(meaning(error, InvalidMedia("broken"))) is expected
    check_memory(error)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (av.error.OSError(errno.ENOSPC, "No space left on device"), OutputError),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), OutputError),
        (av.error.ArgumentError(errno.EINVAL, "Invalid argument"), UnsupportedFormat),
    ],
)
def test_a_failure_to_write_is_that_of_the_disk_or_of_what_was_asked_for(
    error: Exception, expected: type[ReelmillError]
) -> None:
    assert type(meaning_of_writing(error, "targets[0]: mp4", UnsupportedFormat("no"))) is expected


def test_any_failure_near_the_bound_is_for_want_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders call broken what they could not hold; a full disk is a full disk."""
    monkeypatch.setattr(errors, "memory_was_short", lambda: True)
    told = meaning(INVALID, InvalidMedia("8 of 50 packets are broken"))
    assert isinstance(told, OutOfMemory) and "8 of 50 packets are broken" in told.message
    with pytest.raises(OutOfMemory):
        check_memory(INVALID)
    full = meaning_of_writing(OSError(errno.ENOSPC, "No space left on device"), "mp4", UnsupportedFormat("no"))
    assert isinstance(full, OutputError)


@pytest.mark.parametrize(
    ("device", "short", "expected"),
    [
        ("software", False, OutOfMemory),
        ("nvenc", False, EncoderDown),
        ("nvenc", True, OutOfMemory),
    ],
)
def test_an_accelerator_may_be_out_of_memory_of_its_own(
    monkeypatch: pytest.MonkeyPatch, device: str, short: bool, expected: type[ReelmillError]
) -> None:
    """NVENC says so when it has no session left: another encoder takes its place."""
    for module in (encoder, errors):
        monkeypatch.setattr(module, "memory_was_short", lambda: short)
    plan = StreamPlan(StreamType.VIDEO, (), "h264", "h264_nvenc", "", device=device)
    assert type(failure_of_encoder(NO_MEMORY, plan, "does not open")) is expected
