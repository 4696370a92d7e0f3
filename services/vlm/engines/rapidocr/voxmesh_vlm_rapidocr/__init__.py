"""RapidOCR text reading on CPU."""
