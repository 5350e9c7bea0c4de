"""Take previews from children, as far as they look like some."""

import time

from reelmill_server.model.preview import Preview, jpeg_of
from reelmill_server.worker.messages import Previewed


def preview_of(message: Previewed) -> Preview | None:
    """Return the preview that a child sent, as taken now; None if it is no small JPEG."""
    return Preview(time.time_ns() // 1000, round(message.seconds, 3), message.jpeg) if jpeg_of(message.jpeg) else None
