"""From OONI: files of measurements, and each measurement as a record of ours."""
