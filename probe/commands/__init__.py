"""The subcommands of `qazprobe`, one file each; each ends in a click command named `command`."""
