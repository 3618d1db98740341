"""What happens to each row on its way: the workflow's options, the read mode, steps, masks."""
