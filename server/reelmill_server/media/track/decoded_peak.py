"""Measure the true peak of what an audio encoder's packets decode to: lossy codecs raise peaks."""

from typing import Any

import av
from av import AudioResampler

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.libav.errors import meaning
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.libav.loudness import TruePeakMeter, samples_of
from reelmill_server.model.loudness import LOUDNESS_FORMAT


class DecodedPeak:
    """Decode an encoder's packets, and follow the highest true peak."""

    def __init__(self, encoder: Any) -> None:
        """`encoder` is the open codec context."""
        self._encoder = encoder
        self._decoder: Any = av.CodecContext.create(encoder.codec.canonical_name, "r")
        self._decoder.sample_rate, self._decoder.layout = encoder.sample_rate, encoder.layout
        self._resampler = AudioResampler(LOUDNESS_FORMAT, encoder.layout, encoder.sample_rate)
        self._meter, self._channels = TruePeakMeter(), len(encoder.layout.channels)

    def see(self, packet: Any) -> None:
        """Note that the encoder gave `packet`; None: the end. Raises OutputInvalid when it does not decode."""
        if not self._decoder.is_open:
            self._decoder.extradata = self._encoder.extradata
        try:
            decoded = self._decoder.decode(packet)
        except av.error.FFmpegError as error:
            failure = OutputInvalid(f"{self._encoder.name}: its output cannot be decoded: {error_text(error)}")
            raise meaning(error, failure) from error
        for frame in decoded:
            for floats in self._resampler.resample(frame):
                self._meter.give(samples_of(floats))

    def finish(self) -> float:
        """Return the highest true peak in dBTP."""
        self.see(None)
        return self._meter.finish(self._channels)
