"""What sizes and dropout positions do to accuracy and gap."""
