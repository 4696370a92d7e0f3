"""Answers of chat completion servers as they come: events, dialects, thoughts, complaints."""
