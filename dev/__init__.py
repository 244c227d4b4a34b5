"""Development tools: nothing in here is shipped."""
