"""The HTTP front: Connect, gRPC-Web, plain JSON and the vendor's wire protocol, over the services that gRPC serves (ADR 24)."""
