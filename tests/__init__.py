"""Everything that proves the service; the folders mirror its rooms."""
