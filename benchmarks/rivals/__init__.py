"""What runs in a rival's own environment: each module measures one rival and prints one line of JSON."""
