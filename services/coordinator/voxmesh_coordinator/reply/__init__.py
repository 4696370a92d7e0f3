"""One reply after another: the language model writes, speech follows, both flow to the client."""
