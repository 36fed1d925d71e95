"""The volunteer's hold on the program: consent, timer, health, and removal without trace."""
