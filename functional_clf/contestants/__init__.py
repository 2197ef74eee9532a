"""What is compared: whatever learns from a replicate's training samples and is tested."""
