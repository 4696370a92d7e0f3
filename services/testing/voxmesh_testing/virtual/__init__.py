"""Whole sessions in virtual time: an event loop whose clock jumps, a network in memory, and fakes of every service.

loop      an hour of waiting takes no time; nothing outside the loop can wake it
network   gRPC without sockets: real stubs and real servicers, with messages that travel, links that break
speech    words in samples: what was said can be read back from any piece of audio
turn, stt, llm, tts, vlm   one fake of each service, true to its contract, with scripted answers
store     sessions that replicas share, kept in memory
caller    the client's end: a person who speaks in real pace and hears replies
stage     all of it together, around the true coordinator
"""
