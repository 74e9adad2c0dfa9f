"""What travels between the rooms: frozen values, no modules, no files."""
