"""What users type: the command ``ssgi-gateway``, its commands, its help."""
