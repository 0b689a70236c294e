"""What audio contributes: the same trials with the sound, without it, and with another."""
