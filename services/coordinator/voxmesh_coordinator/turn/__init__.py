"""When a person's turn is over, and what speech over a reply means: decisions alone, with no clock and no I/O.

events    ─┐                                       ┌─► the next state
           ├─► machine.step(state, event, now) ────┤
state     ─┘                                       └─► commands, for the session's adapters
"""
