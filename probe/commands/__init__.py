"""The subcommands of `qazprobe`, one file each; each defines a click command named `command`."""
