"""Fields of the contract that this version supports. A request that sets another one is refused; none is ignored."""

from collections.abc import Iterator, Mapping

from google.protobuf.message import Message

from reelmill_server.errors import Violation

_PACKAGE = "reelmill.v1."
_OPAQUE = ("google.protobuf.",)  # Tags: any JSON
_QUOTAS = "engine_concurrency max_queued_tasks fairness_weight"
_DATASETS = (
    "project_max_dataset_count dataset_max_bind_count dataset_max_file_count dataset_max_entity_count "
    "dataset_max_relation_count dataset_max_total_file_size"
)

FIELDS: Mapping[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, fields in {
        "CreateMediaConvertTaskRequest": "project_name sources targets target_groups alignment_index tags user_data "
        "notification credential_config request_id priority parallelism",
        "Notification": "mns rocket_mq extended_message_uri webhook pub_sub notify_progress_percent_step",
        "MNS": "topic_name",
        "RocketMQ": "instance_id topic_name",
        "Webhook": "url secret_name",
        "PubSub": "topic_name",
        "CredentialConfig": "service_role policy chain",
        "CredentialChainLink": "role role_type assume_role_for",
        "PlanMediaConvertTaskRequest": "request",
        "ProbeMediaRequest": "project_name source_uri credential_config",
        "Source": "uri start_time duration subtitles attached align_mode disable_video disable_audio",
        "Target": "uri container segment video audio subtitle image speed strip_metadata data attached_picture measure_vmaf "
        "min_vmaf max_size_ratio",
        "TargetImage": "snapshots sprites animations",
        "Snapshot": "uri format start_time interval number mode threshold width height scale_type skip_blank",
        "Sprite": "uri format start_time interval number mode threshold scale_width scale_height scale_type tile_width "
        "tile_height pad margin skip_blank web_vtt_uri image_playlist_uri",
        "Animation": "uri format start_time interval number width height scale_type frame_rate",
        "TargetData": "stream",
        "TargetAttachedPicture": "stream",
        "Segment": "format duration start_number",
        "TargetGroup": "uri targets auto_ladder",
        "AutoLadder": "max_renditions min_bitrate max_bitrate max_height min_vmaf_step",
        "GroupTarget": "uri container segment video audio subtitle speed strip_metadata measure_vmaf min_vmaf max_size_ratio",
        "TargetVideo": "disable_video stream transcode_video filter_video",
        "TranscodeVideo": "codec pixel_format frame_rate frame_rate_option resolution resolution_option "
        "adaptive_resolution_direction scale_type rotation bitrate bitrate_option crf max_bitrate buffer_size gop_size "
        "b_frames refs hardware preset passes quality_target smart_cut",
        "QualityTarget": "metric value min_crf max_crf max_bitrate",
        "TargetAudio": "disable_audio stream transcode_audio filter_audio",
        "TranscodeAudio": "codec bitrate bitrate_option quality sample_rate sample_rate_option channel bits_per_sample",
        "FilterVideo": "speed watermarks delogos desensitization",
        "Desensitization": "face license_plate",
        "DesensitizationRule": "confidence min_size blur_radius scale_ratio transparency",
        "Watermark": "type refer_pos dx dy start_time duration content font_name font_size font_color font_apha border_width "
        "border_color uri width height",
        "Delogo": "start_time duration dx dy width height refer_pos",
        "FilterAudio": "mixing loudness ducking",
        "Ducking": "threshold ratio attack release",
        "Loudness": "mode preset integrated true_peak dual_mono",
        "TargetSubtitle": "disable_subtitle stream extract_subtitle",
        "ExtractSubtitle": "format uri",
        "SourceSubtitle": "uri time_offset language",
        "CreateProjectRequest": f"project_name description service_role tag {_QUOTAS} {_DATASETS}",
        "UpdateProjectRequest": f"project_name description service_role tag {_QUOTAS} {_DATASETS}",
        "TagInput": "key value",
    }.items()
}
"""Supported fields of each request message; a message that is not listed is not supported."""


def unsupported(message: Message, path: str = "") -> Iterator[Violation]:
    """Yield a violation for every unsupported field that `message` sets."""
    name = message.DESCRIPTOR.full_name.removeprefix(_PACKAGE)
    for field, value in message.ListFields():
        field_path = f"{path}.{field.name}" if path else field.name
        if field.name not in FIELDS.get(name, ()):
            yield Violation(field_path, "is not supported by this version")
            continue
        if field.message_type is None or field.message_type.full_name.startswith(_OPAQUE):
            continue
        elements = (
            [(field_path, value)]
            if not field.is_repeated
            else [(f"{field_path}[{index}]", item) for index, item in enumerate(value)]
        )
        for element_path, element in elements:
            yield from unsupported(element, element_path)
