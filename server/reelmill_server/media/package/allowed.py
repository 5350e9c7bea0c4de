"""Check that a manifest says nothing but what libav's muxer has to say.

libav writes some texts of a source into manifests without escaping them. What leads a player elsewhere, as `BaseURL` or `xlink`
do, must never come from there, whatever a library does in its next version.
"""

from collections.abc import Mapping
from xml.etree.ElementTree import Element

DASH_NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"
_DASH, _XSI = f"{{{DASH_NAMESPACE}}}", "{http://www.w3.org/2001/XMLSchema-instance}"
_DESCRIPTOR = frozenset({"schemeIdUri", "value"})
_FRAMES = frozenset("width height sar frameRate scanType".split())
# Elements and their attributes (ISO 23009-1) that libav writes for what is packaged here.
_ALLOWED: Mapping[str, frozenset[str]] = {
    "MPD": frozenset(
        f"id profiles type minBufferTime mediaPresentationDuration maxSegmentDuration {_XSI}schemaLocation".split()
    ),
    "ProgramInformation": frozenset(),
    "Title": frozenset(),
    "ServiceDescription": frozenset({"id"}),
    "Period": frozenset("id start duration".split()),
    "AdaptationSet": _FRAMES
    | frozenset(
        "id contentType startWithSAP segmentAlignment bitstreamSwitching lang maxFrameRate maxWidth maxHeight par".split()
    ),
    "Representation": _FRAMES | frozenset("id mimeType codecs bandwidth audioSamplingRate".split()),
    "AudioChannelConfiguration": _DESCRIPTOR,
    "EssentialProperty": _DESCRIPTOR,
    "SupplementalProperty": _DESCRIPTOR,
    "SegmentTemplate": frozenset("timescale duration initialization media startNumber presentationTimeOffset".split()),
    "SegmentTimeline": frozenset(),
    "S": frozenset("t d r".split()),
}


def check_manifest(root: Element) -> None:
    """Raise ValueError if there is an element or an attribute that no manifest of ours has."""
    for element in root.iter():
        name = str(element.tag).removeprefix(_DASH)
        if name not in _ALLOWED:
            raise ValueError(f"the manifest has an unexpected element {name[:50]!r}")
        odd = next((attribute for attribute in element.attrib if attribute not in _ALLOWED[name]), None)
        if odd is not None:
            raise ValueError(f"the manifest has an unexpected attribute {odd[:50]!r} of {name}")
