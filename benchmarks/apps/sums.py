"""The messages of ``service Sums { rpc Add(Pair) returns (Sum); }``, as protoc would make them."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FILE = descriptor_pb2.FileDescriptorProto(name="sums.proto", package="sums", syntax="proto3")
for _name, _fields in (("Pair", ("one", "two")), ("Sum", ("value",))):
    _message = _FILE.message_type.add(name=_name)
    for _number, _field in enumerate(_fields, 1):
        _message.field.add(name=_field, number=_number, type=3, label=1)  # int64, optional
_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_FILE)
Pair, Sum = (message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"sums.{name}")) for name in ("Pair", "Sum"))
