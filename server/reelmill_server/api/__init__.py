"""The gRPC API: messages to plain data and back. The only package of the server that imports the protos."""
