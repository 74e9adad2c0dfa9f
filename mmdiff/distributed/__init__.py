"""Starting several processes and stopping them well."""
