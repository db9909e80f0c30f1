"""Real database servers in Aurora's place."""
