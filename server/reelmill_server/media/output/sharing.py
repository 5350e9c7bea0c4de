"""Find the outputs that would encode the same audio, or audio beside video."""

from collections.abc import Callable, Sequence

from reelmill_server.media.output.base import Output
from reelmill_server.media.track.audio import AudioTrack
from reelmill_server.media.track.shared_audio import AudioEncoding, SharedAudioTrack


def share_audio(outputs: Sequence[Output], check: Callable[[], None]) -> list[AudioEncoding]:
    """Let audio that several outputs would encode alike be encoded once, and audio beside video on a thread of its own.

    Return the encodes, to be closed. `check` raises when all is to end.
    """
    groups: list[list[tuple[Output, AudioTrack]]] = []
    for output in outputs:
        for track in output.tracks if _may_share(output) else ():
            if isinstance(track, AudioTrack):
                alike = next((group for group in groups if _are_alike(group[0], (output, track))), None)
                if alike is None:
                    groups.append(alike := [])
                alike.append((output, track))
    return [_shared(group, check) for group in groups if len(group) > 1 or _encodes_video(group[0][0])]


def _may_share(output: Output) -> bool:
    """Return whether audio may come later than what the output makes itself: nothing goes by how far it has come."""
    return output.shares_audio and output.fed and not any(track.follows_position for track in output.tracks)


def _are_alike(pair: tuple[Output, AudioTrack], its_pair: tuple[Output, AudioTrack]) -> bool:
    """Return whether two tracks make the same packets: they are planned alike, begin together, and their encoders were opened
    alike.
    """
    (output, track), (its_output, its_track) = pair, its_pair
    return (
        track.plan == its_track.plan
        and output.from_key == its_output.from_key
        and track.stream.codec_context.flags == its_track.stream.codec_context.flags
    )


def _encodes_video(output: Output) -> bool:
    return any(track.wants_frames and not isinstance(track, AudioTrack) for track in output.tracks)


def _shared(group: Sequence[tuple[Output, AudioTrack]], check: Callable[[], None]) -> AudioEncoding:
    encoding = AudioEncoding(group[0][1], check)
    for output, track in group:
        member = SharedAudioTrack(track, encoding)
        output.tracks = tuple(member if other is track else other for other in output.tracks)
    return encoding
