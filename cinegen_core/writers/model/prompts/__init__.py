"""What a model is told, a module for each purpose. The material comes first and is the same, byte for byte, in all calls of an episode."""
