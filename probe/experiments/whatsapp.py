"""WhatsApp: its sixteen message servers by TCP, its registration and its web app by TLS.

The app's connection to a message server is encrypted from the first byte with a key of the app, so
only the connection can be measured there: another server could have accepted it.

Source of the endpoints: OONI's whatsapp test (ts-018).
"""

from probe.experiments.service import of_service

EXPERIMENT = of_service("whatsapp")
