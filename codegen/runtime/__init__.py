"""What happens at a call: arguments are bound, storage is found, the kernel runs, the results are handed back."""
