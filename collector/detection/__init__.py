"""Detection of events: pure functions over votes and series, and the monitor that reads them."""
