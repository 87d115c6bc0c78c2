"""How much training a search needs: the service's own code against other tuners, simulated."""
