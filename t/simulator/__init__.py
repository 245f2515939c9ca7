"""A simulator of Telegram: its webhook client, its Bot API, and a bot's program."""
