// forwarding
