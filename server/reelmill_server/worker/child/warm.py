"""Do in the fork server, when it starts, what each child would do first and keep, whatever its task is."""

import importlib

from PIL import Image

from reelmill_server.media.input.decoders import decoder_options
from reelmill_server.model.capability import Limits
from reelmill_server.worker.child import landlock

# With the first file that is opened, which may be text, and with the first image: for WebP, Pillow would load all formats.
_LOADED_LATE = ("av.subtitles.stream", "encodings.utf_16_be", "encodings.utf_16_le", "PIL.WebPImagePlugin")


def warm_up() -> None:
    """Load what is loaded late, and fill caches."""
    Image.preinit()
    for name in _LOADED_LATE:
        importlib.import_module(name)
    decoder_options(Limits())
    if landlock.ABI:
        landlock.usual().close()


warm_up()
