"""What can be measured of episodes, seasons and events; shared by notebooks, benchmarks and tests."""
