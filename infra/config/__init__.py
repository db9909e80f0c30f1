"""What an environment is: options, profiles, regions, names and capacity."""
