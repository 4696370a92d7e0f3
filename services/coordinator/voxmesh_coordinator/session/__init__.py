"""One session's wiring: what the client sends, what it gets, and the languages, slots and streams between them."""
