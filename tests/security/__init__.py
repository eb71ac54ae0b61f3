"""What docs/explanation/security.md claims, one test for each claim that no other test proves."""
