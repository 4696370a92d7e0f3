"""What each kind of service was told and has not answered, for a stream to say again; pure, without gRPC or asyncio."""
