"""What earlier attempts left: the journal, adoption, stored packages."""
