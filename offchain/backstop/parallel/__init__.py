"""Work that is spread over workers: this process, several of this machine, or a cluster."""
