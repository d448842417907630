"""What the stages share: how one goes through its work and resumes (executor), and many rollouts at once (rollouts)."""
