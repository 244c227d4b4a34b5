"""How soon the wall shows a thousand streams, and what that costs the operator."""
