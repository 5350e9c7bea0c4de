"""The gRPC surface: requests in, messages out. The only part of the server that knows the protos."""
