from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RoleType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_TYPE_UNSPECIFIED: _ClassVar[RoleType]
    ROLE_TYPE_USER: _ClassVar[RoleType]
    ROLE_TYPE_SERVICE: _ClassVar[RoleType]
ROLE_TYPE_UNSPECIFIED: RoleType
ROLE_TYPE_USER: RoleType
ROLE_TYPE_SERVICE: RoleType

class Notification(_message.Message):
    __slots__ = ("mns", "rocket_mq", "extended_message_uri", "webhook", "pub_sub", "notify_progress_percent_step")
    MNS_FIELD_NUMBER: _ClassVar[int]
    ROCKET_MQ_FIELD_NUMBER: _ClassVar[int]
    EXTENDED_MESSAGE_URI_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    PUB_SUB_FIELD_NUMBER: _ClassVar[int]
    NOTIFY_PROGRESS_PERCENT_STEP_FIELD_NUMBER: _ClassVar[int]
    mns: MNS
    rocket_mq: RocketMQ
    extended_message_uri: str
    webhook: Webhook
    pub_sub: PubSub
    notify_progress_percent_step: int
    def __init__(self, mns: _Optional[_Union[MNS, _Mapping]] = ..., rocket_mq: _Optional[_Union[RocketMQ, _Mapping]] = ..., extended_message_uri: _Optional[str] = ..., webhook: _Optional[_Union[Webhook, _Mapping]] = ..., pub_sub: _Optional[_Union[PubSub, _Mapping]] = ..., notify_progress_percent_step: _Optional[int] = ...) -> None: ...

class MNS(_message.Message):
    __slots__ = ("topic_name",)
    TOPIC_NAME_FIELD_NUMBER: _ClassVar[int]
    topic_name: str
    def __init__(self, topic_name: _Optional[str] = ...) -> None: ...

class RocketMQ(_message.Message):
    __slots__ = ("instance_id", "topic_name")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    TOPIC_NAME_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    topic_name: str
    def __init__(self, instance_id: _Optional[str] = ..., topic_name: _Optional[str] = ...) -> None: ...

class Webhook(_message.Message):
    __slots__ = ("url", "secret_name")
    URL_FIELD_NUMBER: _ClassVar[int]
    SECRET_NAME_FIELD_NUMBER: _ClassVar[int]
    url: str
    secret_name: str
    def __init__(self, url: _Optional[str] = ..., secret_name: _Optional[str] = ...) -> None: ...

class PubSub(_message.Message):
    __slots__ = ("topic_name",)
    TOPIC_NAME_FIELD_NUMBER: _ClassVar[int]
    topic_name: str
    def __init__(self, topic_name: _Optional[str] = ...) -> None: ...

class CredentialConfig(_message.Message):
    __slots__ = ("service_role", "policy", "chain")
    SERVICE_ROLE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    service_role: str
    policy: str
    chain: _containers.RepeatedCompositeFieldContainer[CredentialChainLink]
    def __init__(self, service_role: _Optional[str] = ..., policy: _Optional[str] = ..., chain: _Optional[_Iterable[_Union[CredentialChainLink, _Mapping]]] = ...) -> None: ...

class CredentialChainLink(_message.Message):
    __slots__ = ("role", "role_type", "assume_role_for")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ROLE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ASSUME_ROLE_FOR_FIELD_NUMBER: _ClassVar[int]
    role: str
    role_type: RoleType
    assume_role_for: str
    def __init__(self, role: _Optional[str] = ..., role_type: _Optional[_Union[RoleType, str]] = ..., assume_role_for: _Optional[str] = ...) -> None: ...
