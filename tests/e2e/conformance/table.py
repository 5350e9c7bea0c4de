"""All rows."""

from reelmill_server.api import supported_fields
from tests.e2e.conformance import (
    audio_rows,
    group_rows,
    image_rows,
    overlay_rows,
    privacy_rows,
    source_rows,
    subtitle_rows,
    target_rows,
    video_rows,
)

ROWS = (
    *source_rows.ROWS,
    *target_rows.ROWS,
    *video_rows.ROWS,
    *audio_rows.ROWS,
    *subtitle_rows.ROWS,
    *group_rows.ROWS,
    *image_rows.ROWS,
    *overlay_rows.ROWS,
    *privacy_rows.ROWS,
)

OTHER_REQUESTS = frozenset(
    {"PlanMediaConvertTaskRequest", "ProbeMediaRequest", "CreateProjectRequest", "UpdateProjectRequest", "TagInput"}
)
"""Requests that make no files: docs/compatibility.md names their tests."""

MESSAGES = sorted(set(supported_fields.FIELDS) - OTHER_REQUESTS)
"""The messages that a request to convert is made of."""

ELSEWHERE = {
    "CreateMediaConvertTaskRequest.parallelism": "tests/e2e/test_units.py::test_what_units_make_is_what_is_made_in_one_go",
    "CreateMediaConvertTaskRequest.request_id": "tests/e2e/test_conversion.py::test_the_same_request_id_is_the_same_task",
    **dict.fromkeys(
        (
            "CreateMediaConvertTaskRequest.notification",
            "Notification.mns",
            "Notification.extended_message_uri",
            "Notification.webhook",
            "MNS.topic_name",
            "Webhook.url",
            "Webhook.secret_name",
        ),
        "tests/e2e/test_notifications.py::test_success_is_told_on_every_channel_and_the_file_is_there_first",
    ),
    "Notification.notify_progress_percent_step": "tests/e2e/test_notifications.py::test_progress_is_told_in_order",
    **dict.fromkeys(
        ("Notification.rocket_mq", "RocketMQ.instance_id", "RocketMQ.topic_name"),
        "tests/unit/notify/test_channels.py::test_rocket_mq_gets_the_envelope",
    ),
    **dict.fromkeys(
        ("Notification.pub_sub", "PubSub.topic_name"),
        "tests/unit/notify/test_channels.py::test_pub_sub_gets_the_envelope_in_order",
    ),
    "CreateMediaConvertTaskRequest.credential_config": "tests/e2e/test_object_storage.py::test_from_one_store_to_another",
    "CredentialConfig.service_role": "tests/e2e/test_object_storage.py::test_from_one_store_to_another",
    "CredentialConfig.policy": "tests/contract/test_roles.py::test_roles_of_aws_are_assumed_one_after_the_other",
    "CredentialConfig.chain": "tests/contract/test_roles.py::test_roles_of_aws_are_assumed_one_after_the_other",
    "CredentialChainLink.role": "tests/contract/test_roles.py::test_roles_of_aws_are_assumed_one_after_the_other",
    "CredentialChainLink.assume_role_for": "tests/contract/test_roles.py::test_roles_of_aws_are_assumed_one_after_the_other",
    "CredentialChainLink.role_type": "tests/unit/api/test_validate.py::test_roles_of_a_request",
}
"""Fields that one task cannot show, with the test that does."""
