"""Where bytes come from: one file a protocol, each with the limits that a hostile peer meets."""
