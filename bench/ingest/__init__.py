"""How ingest stands faults of the network, and how long it holds a stream."""
