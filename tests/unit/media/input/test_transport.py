"""What the tables and packets of MPEG-TS say of streams that become others midway."""

from reelmill_server.media.input.transport import checksum, tables_of

H264, HEVC, AAC = 0x1B, 0x24, 0x0F
PMT_PID = 0x1000


def packet(pid: int, payload: bytes) -> bytes:
    """A packet with which something begins."""
    return bytes((0x47, 0x40 | pid >> 8, pid & 0xFF, 0x10)) + payload.ljust(184, b"\xff")


def section(table: int, number: int, body: bytes) -> bytes:
    """A packet's payload of one section."""
    begun = bytes((table, 0xB0, len(body) + 9)) + number.to_bytes(2) + b"\xc1\0\0" + body
    return b"\0" + begun + checksum(begun).to_bytes(4)


def tables(program: int, **types: int) -> bytes:
    """A program's tables: the stream type of each PID."""
    pmt = PMT_PID + program
    streams = b"".join(bytes((kind, 0xE0 | int(pid[1:]) >> 8, int(pid[1:]) & 0xFF, 0xF0, 0)) for pid, kind in types.items())
    pat = section(0, 1, program.to_bytes(2) + (0xE000 | pmt).to_bytes(2))
    return packet(0, pat) + packet(pmt, section(2, program, b"\xe1\0\xf0\0" + streams))


def frames(*pids: int, video: bool = True) -> bytes:
    """A frame of each PID, twice."""
    return b"".join(packet(pid, b"\0\0\1" + (b"\xe0" if video else b"\xc0")) for pid in pids * 2)


def test_a_codec_that_changes_is_found() -> None:
    """Of one program, and of programs that follow each other."""
    for program in (1, 2):
        found = tables_of([(0, tables(1, p256=H264, p257=AAC) * 3), (10_000, tables(program, p256=HEVC, p257=AAC) * 3)])
        assert found.changes() == {256: ("hevc", 188 * 5, 10_188)}


def test_tables_that_only_disagree_are_no_change() -> None:
    """Programs beside each other that share a stream, and a damaged table."""
    assert not tables_of([(0, (tables(1, p256=H264) + tables(2, p256=HEVC)) * 3)]).changes()
    damaged = tables(1, p256=HEVC)[:-170] + bytes(170)
    assert not tables_of([(0, tables(1, p256=H264) * 3 + damaged)]).changes()


def test_streams_behind_each_other_are_told_from_those_beside_each_other() -> None:
    first, second = frames(256) + frames(257, video=False), frames(512) + frames(513, video=False)
    assert tables_of([(0, first * 3 + second * 3)]).moves() == {"video": 376 * 6, "audio": 376 * 7}
    assert not tables_of([(0, (first + second) * 3)]).moves()
    # One program ends, and another begins, while a third goes on.
    third = frames(768) + frames(769, video=False)
    assert not tables_of([(0, (third + first) * 2 + (third + second) * 2)]).moves()
    assert tables_of([(0, (frames(256) + third[376:]) * 3 + (frames(512) + third[376:]) * 3)]).moves().keys() == {"video"}


def test_a_stream_that_goes_on_under_another_pid_is_found_beside_one_that_does_not() -> None:
    """By its program's tables: packets of another program's video do not end."""
    other = tables(2, p768=H264) + frames(768)
    before, after = (tables(1, **{f"p{pid}": H264}) + frames(pid) for pid in (256, 512))
    assert tables_of([(0, (before + other) * 3 + (after + other) * 3)]).moves().keys() == {"video"}
    assert not tables_of([(0, (before + other) * 6)]).moves()


def test_private_audio_that_goes_on_under_another_pid_is_found() -> None:
    """Packets of AC-3 and DTS do not say that they carry audio; tables do, by type, descriptor or registration."""
    private = b"\0\0\1\xbd"
    for kind in (0x81, 0x82, 0x8A):
        parts = [tables(1, **{f"p{pid}": kind}) + packet(pid, private) * 2 for pid in (256, 512)]
        assert tables_of([(0, parts[0] * 2 + parts[1] * 2)]).moves().keys() == {"audio"}
    assert not tables_of([(0, packet(256, private) * 4 + packet(512, private) * 4)]).moves()  # unlisted: it may be anything
