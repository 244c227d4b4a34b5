"""For all tests."""

import asyncio

# Else pytest-asyncio finds the loop that Python 3.11 makes up for a thread without one, puts it
# aside, and nobody closes it: a warning, and so a failure, of whichever test runs then.
asyncio.set_event_loop(None)
